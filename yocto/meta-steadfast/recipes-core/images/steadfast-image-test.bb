SUMMARY = "The controller's image for the bench: ssh, ptest and rt-tests"
DESCRIPTION = "Root logs in without a password, over the network too. It is for the bench: never ship it."
HOMEPAGE = "https://steadfast.example/"

require steadfast-image.inc

IMAGE_FEATURES += "ssh-server-openssh allow-empty-password allow-root-login empty-root-password"
IMAGE_INSTALL += "rt-tests steadfast-ptest ptest-runner"

inherit testimage

TEST_SUITES = "ping ssh steadfast"
