FILESEXTRAPATHS:prepend:steadfast-ab := "${THISDIR}/files:"
SRC_URI:append:steadfast-ab = " file://steadfast-env.cfg file://fw_env.config"
