SUMMARY = "The controller's image for the field: nobody can log in"
DESCRIPTION = "Read-only root, no password, no shell and no ssh: only updates can change it."
HOMEPAGE = "https://steadfast.example/"

require steadfast-image.inc

inherit extrausers features_check

# The build fails if local.conf adds a login to every image.
CONFLICT_IMAGE_FEATURES = "allow-empty-password allow-root-login empty-root-password serial-autologin-root ssh-server-dropbear ssh-server-openssh tools-debug"

# Root is locked and has no shell, so nobody can log in on the serial console.
EXTRA_USERS_PARAMS = "usermod --lock --shell /sbin/nologin root;"
