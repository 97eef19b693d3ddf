SUMMARY = "The controller's image for the bench: ssh, ptest and rt-tests"
DESCRIPTION = "Root can log in without a password, also over the network. For the bench only: never ship it."
HOMEPAGE = "https://steadfast.example/"

require steadfast-image.inc

# nooelint: oelint.var.badimagefeature.allow-empty-password,oelint.var.badimagefeature.allow-root-login,oelint.var.badimagefeature.empty-root-password - the bench, see above
IMAGE_FEATURES += "ssh-server-openssh allow-empty-password allow-root-login empty-root-password"
# Tools for the cases of lib/oeqa: busybox has no `chrt -a`.
IMAGE_INSTALL += "rt-tests steadfast-ptest ptest-runner util-linux-chrt util-linux-findmnt"

inherit testimage

TEST_SUITES = "ping ssh steadfast_target"
