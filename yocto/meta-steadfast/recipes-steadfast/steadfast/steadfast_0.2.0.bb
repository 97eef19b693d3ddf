SUMMARY = "Real-time controller firmware for embedded Linux"
DESCRIPTION = "One static binary with locked memory and no allocation, 1 kHz, verified at each start and while running."
HOMEPAGE = "https://steadfast.example/"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE-MIT;md5=0a0a3ccd1d3034e504ed03c59f5221ec"

# The sources of the checkout are listed by name: externalsrc would hash the whole checkout at
# each parse, including the build folder of kas.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext - the checkout is used where it lies
FILESEXTRAPATHS:prepend := "${STEADFAST_CHECKOUT}:"
SRC_URI = " \
    file://Cargo.toml;subdir=${BP} \
    file://Cargo.lock;subdir=${BP} \
    file://LICENSE-MIT;subdir=${BP} \
    file://build.rs;subdir=${BP} \
    file://benches;subdir=${BP} \
    file://board;subdir=${BP} \
    file://docs;subdir=${BP} \
    file://examples;subdir=${BP} \
    file://src;subdir=${BP} \
    file://testbed;subdir=${BP} \
    file://tests;subdir=${BP} \
    file://tools;subdir=${BP} \
    file://steadfast.service \
    file://60-steadfast.rules \
    file://steadfast.sysusers.conf \
    file://steadfast.tmpfiles.conf \
"

inherit cargo ptest-cargo cargo-update-recipe-crates features_check systemd useradd

require steadfast-crates.inc

REQUIRED_DISTRO_FEATURES = "systemd steadfast-rt"
STEADFAST_BOARD ?= "sim"
PACKAGE_ARCH = "${MACHINE_ARCH}"

# Static, as in the tests: all of a shared C library would be locked into RAM.
RUSTFLAGS:append = " -C target-feature=+crt-static"

# oe-core's target specification lacks these two options, and rustc then silently ignores
# crt-static. The values are those of rustc's own glibc targets.
python steadfast_target_may_be_static () {
    import json
    path = d.getVar('RUST_TARGETS_DIR') + d.getVar('RUST_HOST_SYS') + '.json'
    with open(path) as file:
        target = json.load(file)
    target['crt-static-respected'] = True
    target['static-position-independent-executables'] = True
    with open(path, 'w') as file:
        json.dump(target, file, indent=4)
}
do_rust_gen_targets[postfuncs] += "steadfast_target_may_be_static"

# bitbake strips, and keeps the symbols in the -dbg package.
export CARGO_PROFILE_RELEASE_STRIP = "none"

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --no-create-home --home-dir / --shell /sbin/nologin --user-group steadfast"

SYSTEMD_SERVICE:${PN} = "steadfast.service"

# The tests that need neither the sources nor cargo. tests/layer checks that the list is
# complete.
STEADFAST_PTESTS = "steadfast black_box_words board_probe bus device_gpio device_gpio_latch device_i2c device_irq device_no_alloc device_pwm device_spi device_watchdog foreign_drivers memory_rules no_alloc own_axis own_machine stop_request third_party_drivers two_point"

python steadfast_choose_ptests () {
    path = d.getVar('CARGO_TEST_BINARIES_FILES')
    wanted = d.getVar('STEADFAST_PTESTS').split()
    with open(path) as all_tests:
        found = [line for line in all_tests if os.path.basename(line.strip()).rsplit('-', 1)[0] in wanted]
    absent = set(wanted) - {os.path.basename(line.strip()).rsplit('-', 1)[0] for line in found}
    if absent:
        bb.fatal('STEADFAST_PTESTS names tests that do not exist; remove these: ' + ' '.join(sorted(absent)))
    with open(path, 'w') as chosen:
        chosen.writelines(found)
}
do_compile_ptest_cargo[postfuncs] += "steadfast_choose_ptests"

# The firmware is built first and alone, so that features that steadctl enables in common
# dependencies are not part of it.
do_compile:append() {
    oe_cargo_build --package steadctl
}

do_install() {
    headers=$(${READELF} --wide --program-headers ${B}/target/${CARGO_TARGET_SUBDIR}/steadfast)
    case $headers in
        *INTERP*) bbfatal "the firmware was linked dynamically; check crt-static in RUSTFLAGS and in the target specification" ;;
    esac
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/steadfast ${D}${bindir}/steadfast
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/steadctl ${D}${bindir}/steadctl
    install -D -m 0644 ${S}/board/${STEADFAST_BOARD}/board.toml ${D}${sysconfdir}/steadfast/board.toml
    install -D -m 0644 ${UNPACKDIR}/60-steadfast.rules ${D}${nonarch_libdir}/udev/rules.d/60-steadfast.rules
    install -D -m 0644 ${UNPACKDIR}/steadfast.sysusers.conf ${D}${nonarch_libdir}/sysusers.d/steadfast.conf
    install -D -m 0644 ${UNPACKDIR}/steadfast.tmpfiles.conf ${D}${nonarch_libdir}/tmpfiles.d/steadfast.conf
    install -D -m 0644 ${UNPACKDIR}/steadfast.service ${D}${systemd_system_unitdir}/steadfast.service
    # Helper threads must not run on the real-time CPUs. The loop pins itself to one of them,
    # which an affinity mask allows, but a cpuset would not.
    install -d ${D}${systemd_system_unitdir}/steadfast.service.d
    printf '[Service]\nCPUAffinity=%s\n' "${STEADFAST_HOUSEKEEPING_CPUS}" \
        > ${D}${systemd_system_unitdir}/steadfast.service.d/10-cpus.conf
}

FILES:${PN} += "${nonarch_libdir}/udev ${nonarch_libdir}/sysusers.d ${nonarch_libdir}/tmpfiles.d ${systemd_system_unitdir}/steadfast.service.d"
CONFFILES:${PN} = "${sysconfdir}/steadfast/board.toml"
