# nooelint: oelint.file.underscores,oelint.var.mandatoryvar.SRC_URI - an update has the version of its image, and its only source is that image
SUMMARY = "The update: a signed verity bundle with one root file system"
DESCRIPTION = "A running board installs it into the other slot, which it boots next."
HOMEPAGE = "https://steadfast.example/"
LICENSE = "MIT"

inherit bundle features_check steadfast_keys

REQUIRED_DISTRO_FEATURES = "rauc systemd steadfast-rt"

RAUC_BUNDLE_COMPATIBLE = "${STEADFAST_COMPATIBLE}"
RAUC_BUNDLE_VERSION = "${DISTRO_VERSION}"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_SLOTS = "rootfs"
STEADFAST_BUNDLE_IMAGE ?= "steadfast-image"
RAUC_SLOT_rootfs = "${STEADFAST_BUNDLE_IMAGE}"
RAUC_SLOT_rootfs[fstype] = "ext4"

STEADFAST_KEY_FILES = "signing.key.pem signing.cert.pem steadfast-ca.cert.pem"
RAUC_KEY_FILE = "${STEADFAST_KEYS}/signing.key.pem"
RAUC_CERT_FILE = "${STEADFAST_KEYS}/signing.cert.pem"
RAUC_KEYRING_FILE = "${STEADFAST_KEYS}/steadfast-ca.cert.pem"
