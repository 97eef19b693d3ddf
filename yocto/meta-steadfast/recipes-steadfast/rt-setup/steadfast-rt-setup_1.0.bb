SUMMARY = "Interrupts, governor and limits for real time"
DESCRIPTION = "Moves interrupts off the real-time CPUs and sets the kernel options that the contract requires."
HOMEPAGE = "https://steadfast.example/"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = " \
    file://steadfast-rt-setup \
    file://steadfast-rt-setup.service \
    file://steadfast.slice \
    file://60-steadfast-rt.sysctl.conf \
"

S = "${UNPACKDIR}"

inherit features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd steadfast-rt"

PACKAGE_ARCH = "${MACHINE_ARCH}"
SYSTEMD_SERVICE:${PN} = "steadfast-rt-setup.service"

do_install() {
    install -D -m 0755 ${S}/steadfast-rt-setup ${D}${libexecdir}/steadfast/steadfast-rt-setup
    install -D -m 0644 ${S}/steadfast-rt-setup.service ${D}${systemd_system_unitdir}/steadfast-rt-setup.service
    install -D -m 0644 ${S}/steadfast.slice ${D}${systemd_system_unitdir}/steadfast.slice
    install -D -m 0644 ${S}/60-steadfast-rt.sysctl.conf ${D}${nonarch_libdir}/sysctl.d/60-steadfast-rt.conf
    install -d ${D}${sysconfdir}/steadfast
    printf "RT_CPUS=%s\nHOUSEKEEPING_CPUS=%s\n" "${STEADFAST_RT_CPUS}" "${STEADFAST_HOUSEKEEPING_CPUS}" \
        > ${D}${sysconfdir}/steadfast/cpus
}

FILES:${PN} += "${nonarch_libdir}/sysctl.d ${systemd_system_unitdir}/steadfast.slice"
