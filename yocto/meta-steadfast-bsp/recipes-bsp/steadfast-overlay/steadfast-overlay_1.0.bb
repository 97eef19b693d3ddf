SUMMARY = "The board's device tree overlay"
DESCRIPTION = "Compiles board/NAME/overlay.dtso of the checkout that contains this layer, with registers.dtsi if asked for."
HOMEPAGE = "https://steadfast.example/"
SECTION = "bsp"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"
DEPENDS = "dtc-native"

# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext - the checkout is used where it lies
FILESEXTRAPATHS:prepend := "${STEADFAST_CHECKOUT}/board/${STEADFAST_BOARD}:"
SRC_URI = "file://overlay.dtso file://registers.dtsi"

# "1": the firmware drives the SPI controller by its registers, and the kernel's driver is off.
STEADFAST_REGISTERS ?= "0"

S = "${UNPACKDIR}"

PACKAGE_ARCH = "${MACHINE_ARCH}"
COMPATIBLE_MACHINE = "^(steadfast-raspberrypi4-64|steadfast-imx8mp)$"
INHIBIT_DEFAULT_DEPS = "1"

do_compile() {
    cp ${S}/overlay.dtso ${B}/board.dtso
    if [ "${STEADFAST_REGISTERS}" = 1 ]; then
        cat ${S}/registers.dtsi >>${B}/board.dtso
    fi
    dtc -@ -I dts -O dtb -o ${B}/steadfast.dtbo ${B}/board.dtso
}

do_install() {
    install -D -m 0644 ${B}/steadfast.dtbo ${D}/boot/devicetree/steadfast.dtbo
}

FILES:${PN} += "/boot/devicetree"
