SUMMARY = "Mounts of the data and boot partitions"
DESCRIPTION = "Mounts data (black boxes, board files, RAUC status) and the boot loader environment."
HOMEPAGE = "https://steadfast.example/"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = " \
    file://data.mount \
    file://mnt-env.mount \
"

S = "${UNPACKDIR}"

inherit features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd"

SYSTEMD_SERVICE:${PN} = "data.mount mnt-env.mount"

do_install() {
    install -D -m 0644 ${S}/data.mount ${D}${systemd_system_unitdir}/data.mount
    install -D -m 0644 ${S}/mnt-env.mount ${D}${systemd_system_unitdir}/mnt-env.mount
    install -d ${D}/data ${D}/mnt/env
}

FILES:${PN} += "/data /mnt/env"
