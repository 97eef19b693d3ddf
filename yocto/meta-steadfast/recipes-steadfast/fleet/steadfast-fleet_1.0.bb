SUMMARY = "Updates of a fleet, from a hawkBit server"
DESCRIPTION = "Configures rauc-hawkbit-updater to read its server, name and token from the data partition."
HOMEPAGE = "https://steadfast.example/"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://10-steadfast.conf"

S = "${UNPACKDIR}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_install() {
    install -D -m 0644 ${S}/10-steadfast.conf \
        ${D}${systemd_system_unitdir}/rauc-hawkbit-updater.service.d/10-steadfast.conf
}

FILES:${PN} += "${systemd_system_unitdir}"

RDEPENDS:${PN} += "rauc-hawkbit-updater"
