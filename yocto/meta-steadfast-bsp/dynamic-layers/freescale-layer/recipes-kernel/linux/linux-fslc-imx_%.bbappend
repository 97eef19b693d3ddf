# nooelint: oelint.file.requirenotfound - it is in meta-steadfast, which this layer depends on
require ${@bb.utils.contains("DISTRO_FEATURES", "steadfast-rt", "recipes-kernel/linux/linux-steadfast.inc", "", d)}
