# The machine sets the slots, the user the keys (yocto/README.md, Keys).
FILESEXTRAPATHS:prepend:steadfast-ab := "${THISDIR}/files:${STEADFAST_KEYS}:"
SRC_URI:remove:steadfast-ab = "file://system.conf"
SRC_URI:append:steadfast-ab = " file://system.conf.in"

inherit steadfast_keys

STEADFAST_KEY_FILES:steadfast-ab = "steadfast-ca.cert.pem"
PACKAGE_ARCH:steadfast-ab = "${MACHINE_ARCH}"
RAUC_KEYRING_FILE:steadfast-ab = "steadfast-ca.cert.pem"

do_install:prepend:steadfast-ab() {
    sed -e 's|@COMPATIBLE@|${STEADFAST_COMPATIBLE}|' \
        -e 's|@SLOT_A@|${STEADFAST_SLOT_A}|' \
        -e 's|@SLOT_B@|${STEADFAST_SLOT_B}|' \
        ${UNPACKDIR}/system.conf.in > ${UNPACKDIR}/system.conf
}
