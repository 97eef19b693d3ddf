# Functions of image/build and image/root, and of the scripts in tests that make parts of an
# image: values of the Yocto layers and their recipes, modules, file systems, bundles.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used by the scripts that read this file
cache=${STEADFAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/steadfast}
layer=yocto/meta-steadfast
bsp=yocto/meta-steadfast-bsp
# The time of all files that are made, s since 1970.
epoch=${SOURCE_DATE_EPOCH:-1767225600}

die() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

say() {
    printf '%s: %s\n' "$0" "$*" >&2
}

# value NAME FILE...: the value of a variable in configuration files of the layers; the first
# file that has it counts.
value() {
    local name=$1 file text
    shift
    for file in "$@"; do
        text=$(sed -n "s/^$name ?*= \"\(.*\)\"/\1/p" "$file" | tail -n 1)
        if grep -q "^$name ?*= " "$file"; then
            printf '%s\n' "$text"
            return
        fi
    done
    die "$name is in none of: $*"
}

# cpus_of FUNCTION RT_CPUS COUNT: a value derived from the layer's variable of CPUs.
cpus_of() {
    python3 -B -c 'import sys; sys.path.insert(0, sys.argv[1]); from steadfast import cpus
print(getattr(cpus, sys.argv[2])(sys.argv[3], sys.argv[4]))' $layer/lib "$1" "$2" "$3"
}

# task NAME FILE VARIABLE=VALUE...: runs a shell task of a recipe with these variables, which are
# replaced in its text, also in quotes, as bitbake does.
task() {
    local name=$1 file=$2 text pair
    shift 2
    text=$(sed -n "/^$name() {\$/,/^}\$/p" "$file")
    [ -n "$text" ] || die "$file has no $name"
    for pair in "$@"; do text=${text//"\${${pair%%=*}}"/"${pair#*=}"}; done
    env "$@" bash -eu <<<"$text
$name" || die "$name of $file failed"
}

# install_recipe FILE ROOT BUILD BOARD RT_CPUS HOUSEKEEPING_CPUS: runs the do_install of a recipe,
# and enables its units. BUILD/target/release has the programs that cargo would build.
install_recipe() {
    local file=$1 root=$2 build=$3 files units unit source
    files=$(dirname "$file")/files
    source=$files
    # cargo builds the checkout.
    ! grep -q '^inherit cargo ' "$file" || source=$PWD
    task do_install "$file" D="$root" S="$source" UNPACKDIR="$files" B="$build" \
        bindir=/usr/bin libexecdir=/usr/libexec sysconfdir=/etc nonarch_libdir=/usr/lib \
        systemd_system_unitdir=/usr/lib/systemd/system CARGO_TARGET_SUBDIR=release READELF=readelf \
        STEADFAST_BOARD="$4" STEADFAST_RT_CPUS="$5" STEADFAST_HOUSEKEEPING_CPUS="$6"
    # shellcheck disable=SC2016 # bitbake's variable
    units=$(sed -n 's/^SYSTEMD_SERVICE:${PN} = "\(.*\)"/\1/p' "$file")
    for unit in $units; do systemctl --quiet --root="$root" enable "$unit"; done
}

# system_conf COMPATIBLE SLOT_A SLOT_B: RAUC's configuration of the layer.
system_conf() {
    sed -e "s|@COMPATIBLE@|$1|" -e "s|@SLOT_A@|$2|" -e "s|@SLOT_B@|$3|" \
        $bsp/dynamic-layers/rauc/recipes-core/rauc/files/system.conf.in
}

# modules ROOT FOLDER NAME...: copies modules and their dependencies, decompressed; FOLDER/ORDER
# has the order in which to load them.
modules() {
    local root=$1 folder=$2 version name path file
    shift 2
    version=$(basename "$root"/usr/lib/modules/*)
    for name in "$@"; do
        # For a built-in module it prints "builtin NAME".
        modprobe --dirname "$root/usr" --set-version "$version" --show-depends "$name" \
            || die "the kernel has no module $name; update the list of modules"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
        file=$(basename "$path")
        case $file in
            *.xz) file=${file%.xz} && xz -dc "$path" >"$folder/$file" ;;
            *) cp "$path" "$folder/$file" ;;
        esac
        printf '%s\n' "$file" >>"$folder/ORDER"
    done
}

# unpack_base BASE ROOT: unpacks the archive of image/root without the files of Debian that no robot
# needs: each megabyte is written, read and hashed in every installation, and each rule of udev is
# applied to each device at every start. The kernel makes the device nodes, and /var is volatile
# (read_only).
unpack_base() {
    local name
    mkdir "$2"
    tar -xpf "$1/root.tar" --numeric-owner --exclude './dev/*' -C "$2"
    rm -rf "$2"/usr/lib/aarch64-linux-gnu/{gconv,perl-base,libapt-*,libdb-5*} "$2"/usr/{lib,share}/perl* \
        "$2"/usr/lib/udev/hwdb.{d,bin} "$2"/usr/share/{bash-completion,zsh,doc,man,locale,info} \
        "$2"/usr/lib/{apt,dpkg} "$2"/usr/bin/{apt*,deb*,dpkg*,localedef,perl*,sqv} \
        "$2"/var/{cache,log}/* "$2"/var/lib/{apt,dpkg}
    # Discs, screens, sound, radios, sessions of users.
    for name in 60-{autosuspend,cdrom_id,dmi-id,drm,evdev,fido-id,infiniband,input-id,sensor} \
        60-persistent-{alsa,input,storage-mtd,storage-tape,v4l} 64-btrfs 75-probe_mtd 78-sound-card 81-net-dhcp \
        70-{camera,joystick,memory,mouse,power-switch,touchpad,uaccess} 71-seat 73-seat-late 90-iocost 96-e2scrub; do
        rm -f "$2/usr/lib/udev/rules.d/$name.rules"
    done
}

# read_only ROOT: a read-only root with a volatile /var, as in the layer's images, without the
# services of Debian that a target does not have and that cost time at every start. A seed of random
# numbers would be kept in /var.
read_only() {
    systemctl --quiet --root="$1" set-default multi-user.target
    systemctl --quiet --root="$1" mask \
        {apt-daily,apt-daily-upgrade,dpkg-db-backup,e2scrub_all,fstrim,systemd-tmpfiles-clean}.timer e2scrub_reap.service \
        ldconfig.service systemd-{ask-password-console,ask-password-wall}.path proc-sys-fs-binfmt_misc.automount \
        systemd-{hibernate-clear,journal-catalog-update,logind,random-seed,update-done,user-sessions}.service \
        systemd-{creds,hostnamed,initctl,sysext}.socket modprobe@{configfs,drm,efi_pstore}.service \
        {dev-hugepages,dev-mqueue,sys-kernel-config,sys-kernel-debug,sys-kernel-tracing}.mount
    printf 'tmpfs /var tmpfs mode=0755,size=64M 0 0\n' >"$1/etc/fstab"
    touch "$1/etc/.updated" "$1/var/.updated"
}

# bundle FILE KEYS COMPATIBLE VERSION IMAGE [--mksquashfs-args=...]: a signed update from the
# image of a slot. RAUC calls it a verity bundle.
bundle() {
    local file=$1 keys=$2 folder
    folder=$(mktemp -d "$(dirname "$file")/.bundle.XXXXXX")
    ln "$5" "$folder/root.ext4" 2>/dev/null || cp --sparse=always "$5" "$folder/root.ext4"
    printf '[update]\ncompatible=%s\nversion=%s\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=root.ext4\n' \
        "$3" "$4" >"$folder/manifest.raucm"
    rm -f "$file"
    rauc bundle "${@:6}" --cert="$keys/signing.cert.pem" --key="$keys/signing.key.pem" \
        --keyring="$keys/steadfast-ca.cert.pem" "$folder" "$file" >"$folder.log" 2>&1 \
        || die "no bundle: $(tail -n 2 "$folder.log")"
    rm -rf "$folder" "$folder.log"
}

# discard FOLDER...: removes the files of a killed run. During a build /proc, /sys and device
# nodes of this machine are mounted in it: they are unmounted first, and files of other file
# systems are never removed.
discard() {
    local folder place
    for folder in "$@"; do
        [ -d "$folder" ] || continue
        awk -v below="$folder/" 'index($2, below) == 1 { print $2 }' /proc/mounts | tac |
            while read -r place; do umount "$place"; done
        if grep -qF " $folder/" /proc/mounts; then
            die "$folder has mounts that cannot be unmounted; run umount on them"
        fi
        in_namespace rm -rf --one-file-system "$folder"
    done
}

# in_namespace COMMAND...: runs a command as root, or as a user in a user namespace in which it is
# root and owns the user IDs that /etc/subuid grants.
in_namespace() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        unshare --user --map-root-user --map-auto -- "$@"
    fi
}

# run_arm64 PROGRAM [ARGUMENT]...: runs a static program for arm64 on this machine.
run_arm64() {
    if [ "$(uname -m)" = aarch64 ]; then
        "$@"
    else
        qemu-aarch64 "$@"
    fi
}

# identifier NAME: a fixed UUID for a name.
identifier() {
    printf '%s' "$1" | sha256sum | sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-4\3-8\4-\5/'
}

# ext4 FILE MEGABYTES LABEL [TREE]: the same tree gives the same bytes. With a tree it is read-only,
# and needs no journal.
ext4() {
    local id log features=^metadata_csum_seed
    [ $# -lt 4 ] || features+=,^has_journal
    id=$(identifier "$3")
    rm -f "$1"
    truncate -s "$2M" "$1"
    E2FSPROGS_FAKE_TIME=$epoch SOURCE_DATE_EPOCH=$epoch mkfs.ext4 -q -F -L "$3" -U "$id" \
        -O $features -m 0 -E "root_owner=0:0,hash_seed=$id" ${4:+-d "$4"} "$1"
    [ $# -eq 4 ] || return 0
    # Before 1.47.1 it copies the times of access and of change, which no program can set on the tree.
    # debugfs reports a command that fails, and ends with 0.
    log=$(find "$4" -printf '/%P\n' |
        sed 's/.*/set_inode_field "&" atime @'"$epoch"'\nset_inode_field "&" ctime @'"$epoch"'/' |
        E2FSPROGS_FAKE_TIME=$epoch debugfs -w -f - "$1" 2>&1 >/dev/null | sed 1d)
    [ -z "$log" ] || die "the times in $1 cannot be set: $log"
}

# boot_script FOLDER VARIABLE=VALUE...: makes FOLDER/boot.scr by the recipe's do_compile, with the
# variables of bitbake and STEADFAST_OVERLAY, the overlay's file name or nothing.
boot_script() {
    local folder=$1 files=$bsp/recipes-bsp/steadfast-boot recipe
    shift
    recipe=$folder/recipe
    # The overlay's name is an expression in Python.
    # shellcheck disable=SC2016
    sed 's/\${@[^}]*}/${STEADFAST_OVERLAY}/' "$files"/steadfast-boot_*.bb >"$recipe"
    task do_compile "$recipe" "$@" S="$files/files" B="$folder" UBOOT_ARCH=arm64 \
        SOURCE_DATE_EPOCH="$epoch" >/dev/null
}

# fat FILE MEGABYTES LABEL TREE: a FAT file system; the same tree gives the same bytes.
fat() {
    rm -f "$1"
    truncate -s "$2M" "$1"
    # A warning about the lower-case label, which is the one that Linux compares.
    mkfs.vfat --invariant -F 32 -n "$3" "$1" >/dev/null 2>&1 || die "mkfs.vfat failed for $1"
    local entry
    while read -r -d '' entry; do
        SOURCE_DATE_EPOCH=$epoch TZ=UTC mcopy -s -m -i "$1" "$entry" ::
    done < <(find "$4" -mindepth 1 -maxdepth 1 -print0 | LC_ALL=C sort -z)
}
