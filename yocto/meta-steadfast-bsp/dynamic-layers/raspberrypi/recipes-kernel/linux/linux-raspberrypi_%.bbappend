require ${@bb.utils.contains("DISTRO_FEATURES", "steadfast-rt", "recipes-kernel/linux/linux-steadfast.inc", "", d)}
