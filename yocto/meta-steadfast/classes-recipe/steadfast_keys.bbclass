# For recipes that sign or verify with the user's own keys. Without the keys the recipe is
# skipped, and bitbake names the missing file.
STEADFAST_KEY_FILES ?= ""

# nooelint: oelint.task.noanonpython - only this can skip a recipe with a reason
python () {
    files = (d.getVar('STEADFAST_KEY_FILES') or '').split()
    keys = d.getVar('STEADFAST_KEYS')
    if files and not keys:
        raise bb.parse.SkipRecipe('STEADFAST_KEYS is not set; export the folder made by yocto/make-keys')
    for name in files:
        path = os.path.join(keys, name)
        if not os.path.exists(path):
            raise bb.parse.SkipRecipe('%s does not exist; set STEADFAST_KEYS to the folder made by yocto/make-keys' % path)
}
