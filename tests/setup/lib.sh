# Functions of tests/run and the other scripts of this folder: they find the programs that a
# tier needs, install missing ones as root, and print what they do.
#
# A function that fails sets `missing` to the reason and returns 1; it never ends the run.
# shellcheck shell=bash

guest_target=aarch64-unknown-linux-gnu
# Of 32-bit boards.
arm_target=armv7-unknown-linux-gnueabihf
bare_target=thumbv7em-none-eabihf
missing=''

say() {
    printf 'setup: %s\n' "$*" >&2
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# install PACKAGE...: installs Debian packages; needs root.
install() {
    if ! have apt-get; then
        missing="needs the Debian packages $*, and this machine has no apt"
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        missing="needs packages; run sudo apt-get install $*"
        return 1
    fi
    say "installing $*"
    update_once
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >&2 || {
        missing="apt-get install $* failed; see above"
        return 1
    }
}

updated=no
update_once() {
    [ "$updated" = no ] || return 0
    # Not fatal: if a list is missing, the installation fails with a reason.
    apt-get -qq update >&2 || say "apt-get update reported errors"
    updated=yes
}

# need COMMAND PACKAGE
need() {
    have "$1" || install "$2"
}

# The emulator, at least 10.0: older versions have neither imx8mp-evk nor raspi4b.
need_emulator() {
    local program=$1 package=$2
    if have "$program" && emulator_is_new "$program"; then
        return
    fi
    add_backports || return 1
    local release=()
    [ -z "$backports" ] || release=(-t "$backports")
    install "${release[@]}" "$package" || return 1
    if ! emulator_is_new "$program"; then
        missing="needs $program 10.0 or newer, found $("$program" --version | sed -n 1p)"
        return 1
    fi
}

emulator_is_new() {
    local version
    version=$("$1" --version | sed -n '1s/.*version \([0-9]*\)\..*/\1/p')
    [ "${version:-0}" -ge 10 ]
}

# Debian 12 has such an emulator only in its backports. They are fetched from the mirror of
# this machine's apt.
backports=''
add_backports() {
    local codename site
    # shellcheck disable=SC1091 # not part of the repository
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    [ "$codename" = bookworm ] && have apt-get || return 0
    backports=bookworm-backports
    # shellcheck disable=SC2016 # $(SITE) is apt's own
    if [ -n "$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $backports")" ]; then
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        missing="needs QEMU 10.0; add $backports to the apt sources, or run as root"
        return 1
    fi
    # shellcheck disable=SC2016
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' \
        "Codename: $codename" 'Component: main' | sed -n 1p)
    if [ -z "$site" ]; then
        missing="apt has no mirror for $codename; run apt-get update"
        return 1
    fi
    say "adding $backports to the apt sources (steadfast-backports.list)"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
        "$site" "$backports" >/etc/apt/sources.list.d/steadfast-backports.list
    updated=no
}

# has_std RUSTC TARGET: whether the compiler has the standard library of the target.
has_std() {
    local sysroot
    sysroot=$("$1" --print sysroot 2>/dev/null) || return 1
    compgen -G "$sysroot/lib/rustlib/$2/lib/lib*core-*.rlib" >/dev/null
}

debian_rustc=/usr/bin/rustc

# has_debian_rust TARGET: whether Debian's compiler is new enough and has the target.
has_debian_rust() {
    [ -x "$debian_rustc" ] && new_enough "$debian_rustc" && has_std "$debian_rustc" "$1"
}

new_enough() {
    local version
    version=$("$1" --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ "${version:-0}" -ge 88 ]
}

# Sets `guest_rustc` to a compiler with the guest's target.
guest_rustc=''
need_guest_compiler() {
    need_cross_compiler "$guest_target" aarch64-linux-gnu arm64 && guest_rustc=$cross_rustc
}

# The same for 32-bit boards.
arm_rustc=''
need_arm_compiler() {
    need_cross_compiler "$arm_target" arm-linux-gnueabihf armhf && arm_rustc=$cross_rustc
}

# need_cross_compiler TARGET PREFIX ARCHITECTURE: linker, static C library, and in `cross_rustc` a
# compiler with the target: the present compiler, if it has the target or rustup can add it, else
# Debian's `rustc-web`.
cross_rustc=''
need_cross_compiler() {
    local target=$1 prefix=$2 architecture=$3
    need "$prefix-gcc" "gcc-$prefix" || return 1
    # Its static C library.
    [ -e "$("$prefix-gcc" -print-file-name=libc.a)" ] || install "libc6-dev-$architecture-cross" || return 1
    if has_std rustc "$target"; then
        cross_rustc=$(command -v rustc)
    elif has_debian_rust "$target"; then
        cross_rustc=$debian_rustc
    elif rustup_add "$target"; then
        cross_rustc=$(command -v rustc)
    else
        if have dpkg && [ "$(id -u)" = 0 ] && [ "$(dpkg --print-architecture)" != "$architecture" ] \
            && ! dpkg --print-foreign-architectures | grep -qx "$architecture"; then
            say "adding the architecture $architecture to dpkg, for $target's standard library"
            dpkg --add-architecture "$architecture"
            updated=no
        fi
        install rustc-web libstd-rust-web-dev "libstd-rust-web-dev:$architecture" || return 1
        if ! has_debian_rust "$target"; then
            missing="needs a Rust compiler for $target; run rustup target add $target"
            return 1
        fi
        cross_rustc=$debian_rustc
    fi
}

rustup_add() {
    have rustup || return 1
    say "asking rustup for $1"
    timeout 60 rustup target add "$1" >/dev/null 2>&1
}

# Sets `bare_command` to the cargo command that builds for bare metal.
bare_command=()
need_bare_compiler() {
    if has_std rustc "$bare_target" || rustup_add "$bare_target"; then
        bare_command=(cargo build)
        return
    fi
    if ! [ -x "$debian_rustc" ] || ! new_enough "$debian_rustc"; then
        install rustc-web libstd-rust-web-dev || return 1
    fi
    if ! [ -e "$("$debian_rustc" --print sysroot)/lib/rustlib/src/rust/library/core" ]; then
        install rust-web-src || return 1
    fi
    # Debian's compiler builds `core` from Debian's sources.
    bare_command=(env RUSTC="$debian_rustc" RUSTC_BOOTSTRAP=1 cargo build -Zbuild-std=core)
}

# guest_cargo ARGUMENT...: cargo for the guest.
guest_cargo() {
    cross_cargo "$guest_target" "$guest_rustc" aarch64-linux-gnu-gcc qemu-aarch64 "$@"
}

# arm_cargo ARGUMENT...: cargo for 32-bit boards.
arm_cargo() {
    cross_cargo "$arm_target" "$arm_rustc" arm-linux-gnueabihf-gcc qemu-arm "$@"
}

# cross_cargo TARGET RUSTC LINKER EMULATOR ARGUMENT...: cargo for a target, with qemu-user as the
# runner. Static linking, because this machine has no dynamic loader for the target's programs. Tests
# without debug information, which takes a good part of the time of their build.
cross_cargo() {
    local target=$1 rustc=$2 linker=$3 emulator=$4 prefix
    shift 4
    prefix=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$target")
    env RUSTC="$rustc" RUSTDOC="${rustc%rustc}rustdoc" \
        "${prefix}_LINKER=$linker" \
        "${prefix}_RUSTFLAGS=-C target-feature=+crt-static" \
        "${prefix}_RUSTDOCFLAGS=-C target-feature=+crt-static" \
        "${prefix}_RUNNER=$emulator" \
        CARGO_PROFILE_DEV_DEBUG=false \
        cargo "$@" --target "$target"
}

# Sets `miri` to a nightly toolchain with Miri, which only rustup provides, or to nothing.
miri=''
find_miri() {
    have rustup || return 0
    local nightly
    nightly=$(rustup toolchain list | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | sed -n 1p)
    if [ -z "$nightly" ]; then
        nightly=nightly
        say "asking rustup for $nightly"
        timeout 300 rustup toolchain install "$nightly" --profile minimal >/dev/null 2>&1 || return 0
    fi
    if cargo "+$nightly" miri --version >/dev/null 2>&1 ||
        { say "asking rustup for Miri" &&
            timeout 300 rustup component add miri rust-src --toolchain "$nightly" >/dev/null 2>&1; }; then
        miri=$nightly
    fi
}

# Sets `asan_host` to this machine's target if the compiler has the runtime of the address
# sanitizer for it (Debian's has not), or to nothing.
asan_host=''
find_asan() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    if compgen -G "$(rustc --print sysroot)/lib/rustlib/$host/lib/librustc-*_rt.asan.a" >/dev/null; then
        asan_host=$host
    fi
}

# container_engine: prints the name of a working container engine.
container_engine() {
    local engine
    for engine in docker podman; do
        if have "$engine" && timeout 20 "$engine" info >/dev/null 2>&1; then
            printf '%s\n' "$engine"
            return 0
        fi
    done
    return 1
}

# cross_works ENGINE: whether cross can fetch its image and build an empty library in a
# container.
cross_works() {
    local scratch works=1
    scratch=$(mktemp -d)
    if cargo init --quiet --lib --vcs none --name probe "$scratch" &&
        (cd "$scratch" && CROSS_CONTAINER_ENGINE=$1 \
            timeout 900 cross check --quiet --target "$guest_target") >&2; then
        works=0
    fi
    rm -rf "$scratch"
    return $works
}
