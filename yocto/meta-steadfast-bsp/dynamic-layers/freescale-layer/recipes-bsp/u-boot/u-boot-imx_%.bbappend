FILESEXTRAPATHS:prepend:steadfast-ab := "${STEADFAST_BSP_LAYERDIR}/recipes-bsp/u-boot/files:"
SRC_URI:append:steadfast-ab = " file://steadfast-env.cfg file://fw_env.config"
