SUMMARY = "The controller's image for the field: nobody can log in"
DESCRIPTION = "Read-only root, no password, no shell and no ssh: it is changed by updates alone."
HOMEPAGE = "https://steadfast.example/"

require steadfast-image.inc

inherit extrausers features_check

# A way in that local.conf adds to every image ends the build of this one.
CONFLICT_IMAGE_FEATURES = "allow-empty-password allow-root-login empty-root-password serial-autologin-root ssh-server-dropbear ssh-server-openssh tools-debug"

# Locked, and without a shell: a console on the serial line answers nobody.
EXTRA_USERS_PARAMS = "usermod --lock --shell /sbin/nologin root;"
