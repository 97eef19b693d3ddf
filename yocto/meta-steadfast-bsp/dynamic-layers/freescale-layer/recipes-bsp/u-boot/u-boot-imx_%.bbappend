require ${@"recipes-bsp/u-boot/steadfast-u-boot.inc" if "steadfast-ab" in d.getVar("MACHINEOVERRIDES").split(":") else ""}
