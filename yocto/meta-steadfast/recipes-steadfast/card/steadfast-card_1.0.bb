SUMMARY = "Takes over the board file, the network and the keys of the card"
DESCRIPTION = "A person edits files on the card's boot partition; each is checked at the next start, and kept on the data partition."
HOMEPAGE = "https://steadfast.example/"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = " \
    file://10-dropbear.conf \
    file://20-card.conf \
    file://steadfast-card \
    file://steadfast-card.service \
    file://steadfast-ssh.service \
"

S = "${UNPACKDIR}"

inherit features_check systemd

REQUIRED_DISTRO_FEATURES = "systemd steadfast-rt"
# As the recipe that it depends on.
PACKAGE_ARCH = "${MACHINE_ARCH}"

# Nobody can log in to the image for the field: without dropbear, steadfast-card refuses keys. Install
# steadfast-card-ssh to permit it.
PACKAGES =+ "${PN}-ssh"
SYSTEMD_PACKAGES = "${PN} ${PN}-ssh"
SYSTEMD_SERVICE:${PN} = "steadfast-card.service"
SYSTEMD_SERVICE:${PN}-ssh = "steadfast-ssh.service"

do_install() {
    install -D -m 0755 ${S}/steadfast-card ${D}${libexecdir}/steadfast/steadfast-card
    install -D -m 0644 ${S}/steadfast-card.service ${D}${systemd_system_unitdir}/steadfast-card.service
    install -D -m 0644 ${S}/steadfast-ssh.service ${D}${systemd_system_unitdir}/steadfast-ssh.service
    install -D -m 0644 ${S}/10-dropbear.conf ${D}${systemd_system_unitdir}/dropbear.socket.d/10-steadfast.conf
    install -D -m 0644 ${S}/20-card.conf ${D}${systemd_system_unitdir}/steadfast.service.d/20-card.conf
}

FILES:${PN} += "${systemd_system_unitdir}/steadfast.service.d"
FILES:${PN}-ssh += "${systemd_system_unitdir}/steadfast-ssh.service ${systemd_system_unitdir}/dropbear.socket.d"

RDEPENDS:${PN} += "steadfast steadfast-data"
RDEPENDS:${PN}-ssh += "${PN} dropbear"
