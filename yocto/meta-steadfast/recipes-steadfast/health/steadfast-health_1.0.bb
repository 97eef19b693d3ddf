SUMMARY = "Keeps an update only if the controller keeps its contract"
DESCRIPTION = "Runs before boot-complete.target, after which RAUC marks the slot good."
HOMEPAGE = "https://steadfast.example/"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = " \
    file://steadfast-health \
    file://steadfast-health.service \
    file://steadfast-slot \
"

S = "${UNPACKDIR}"

inherit features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd steadfast-rt"
# As the recipe that it depends on: else two machines of one tune have different signatures of it.
PACKAGE_ARCH = "${MACHINE_ARCH}"

SYSTEMD_SERVICE:${PN} = "steadfast-health.service"

do_install() {
    install -D -m 0755 ${S}/steadfast-health ${D}${libexecdir}/steadfast/steadfast-health
    install -D -m 0755 ${S}/steadfast-slot ${D}${libexecdir}/steadfast/steadfast-slot
    install -D -m 0644 ${S}/steadfast-health.service ${D}${systemd_system_unitdir}/steadfast-health.service
}

RDEPENDS:${PN} += "steadfast"
