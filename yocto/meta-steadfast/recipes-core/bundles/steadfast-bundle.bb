SUMMARY = "The update: a signed verity bundle with one root file system"
DESCRIPTION = "What a running board installs into the slot that it does not run from, and boots next."
HOMEPAGE = "https://steadfast.example/"
LICENSE = "MIT"

inherit bundle

RAUC_BUNDLE_COMPATIBLE = "${STEADFAST_COMPATIBLE}"
RAUC_BUNDLE_VERSION = "${DISTRO_VERSION}"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_SLOTS = "rootfs"
STEADFAST_BUNDLE_IMAGE ?= "steadfast-image"
RAUC_SLOT_rootfs = "${STEADFAST_BUNDLE_IMAGE}"
RAUC_SLOT_rootfs[fstype] = "ext4"

RAUC_KEY_FILE = "${STEADFAST_KEYS}/signing.key.pem"
RAUC_CERT_FILE = "${STEADFAST_KEYS}/signing.cert.pem"
RAUC_KEYRING_FILE = "${STEADFAST_KEYS}/steadfast-ca.cert.pem"

python () {
    keys = d.getVar('STEADFAST_KEYS')
    if not keys:
        raise bb.parse.SkipRecipe('STEADFAST_KEYS is not set: export the folder that yocto/make-keys made')
    for name in ('RAUC_KEY_FILE', 'RAUC_CERT_FILE', 'RAUC_KEYRING_FILE'):
        if not os.path.exists(d.getVar(name)):
            raise bb.parse.SkipRecipe('%s does not exist: STEADFAST_KEYS has to be the folder that yocto/make-keys made' % d.getVar(name))
}
