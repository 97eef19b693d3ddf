SUMMARY = "U-Boot script that selects a slot"
DESCRIPTION = "Reads RAUC's slot order and tries, and boots kernel and overlay from that slot."
HOMEPAGE = "https://steadfast.example/"
SECTION = "bsp"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"
DEPENDS = "u-boot-mkimage-native"
PROVIDES += "u-boot-default-script"

SRC_URI = "file://boot.cmd.in"

S = "${UNPACKDIR}"

inherit kernel-arch deploy nopackages

PACKAGE_ARCH = "${MACHINE_ARCH}"
COMPATIBLE_MACHINE = "steadfast-ab"
INHIBIT_DEFAULT_DEPS = "1"

do_compile() {
    sed -e 's|@@SLOT_A@@|${STEADFAST_SLOT_A}|' \
        -e 's|@@SLOT_B@@|${STEADFAST_SLOT_B}|' \
        -e 's|@@CONSOLE@@|${STEADFAST_CONSOLE}|' \
        -e 's|@@CMDLINE@@|${STEADFAST_KERNEL_CMDLINE}|' \
        -e 's|@@BOOT_DEVICE@@|${STEADFAST_BOOT_DEVICE}|' \
        -e 's|@@BASE_DTB@@|${STEADFAST_BASE_DTB}|' \
        -e 's|@@INITRAMFS@@|${STEADFAST_INITRAMFS}|' \
        -e 's|@@OVERLAY@@|${@'steadfast.dtbo' if d.getVar('STEADFAST_OVERLAY_PACKAGE') else ''}|' \
        ${S}/boot.cmd.in > ${B}/boot.cmd
    if grep -n '@@' ${B}/boot.cmd; then
        bbfatal "boot.cmd.in has an unknown value (see above); add it to do_compile of steadfast-boot"
    fi
    mkimage -A ${UBOOT_ARCH} -T script -C none -n steadfast -d ${B}/boot.cmd ${B}/boot.scr
}

do_deploy() {
    install -D -m 0644 ${B}/boot.scr ${DEPLOYDIR}/boot.scr
}
addtask deploy after do_compile before do_build
