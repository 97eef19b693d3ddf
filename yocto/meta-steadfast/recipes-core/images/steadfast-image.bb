SUMMARY = "The controller's image for the field: nobody can log in"
DESCRIPTION = "Read-only root, no password, no shell and no ssh: it is changed by updates alone."
HOMEPAGE = "https://steadfast.example/"

require steadfast-image.inc

inherit extrausers

# Locked, and without a shell: a console on the serial line answers nobody.
EXTRA_USERS_PARAMS = "usermod --lock --shell /sbin/nologin root;"

python () {
    leaks = {'debug-tweaks', 'allow-empty-password', 'allow-root-login', 'empty-root-password', 'ssh-server-openssh', 'ssh-server-dropbear'}
    found = sorted(leaks & set(d.getVar('IMAGE_FEATURES').split()))
    if found:
        raise bb.parse.SkipRecipe('steadfast-image is for the field and cannot have %s; build steadfast-image-test' % ' '.join(found))
}
