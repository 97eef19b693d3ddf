# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests that each rule can fail: a copy of the tree is broken in one place, and exactly
that rule must report a new error."""

import pathlib
import shutil
import tempfile

from tree import BSP, CORE, Tree

FIELD = CORE + "/recipes-core/images/steadfast-image.bb"
BUNDLE = CORE + "/recipes-core/bundles/steadfast-bundle.bb"
RECIPE = CORE + "/recipes-steadfast/steadfast/steadfast_%s.bb"
KERNEL = CORE + "/recipes-kernel/linux"
UBOOT = BSP + "/recipes-bsp/u-boot"
FLEET = CORE + "/recipes-steadfast/fleet/files/10-steadfast.conf"
BOOT = BSP + "/recipes-bsp/steadfast-boot/files/boot.cmd.in"

# Rule, file, old text, new text. None: append.
BREAKS = [
    ("every_file_in_src_uri_exists", CORE + "/recipes-steadfast/data/steadfast-data_1.0.bb", "file://data.mount", "file://date.mount"),
    ("every_file_in_src_uri_exists", UBOOT + "/steadfast-u-boot.inc", "+= \"file://steadfast-env.cfg", "+= \"file://steadfast-environment.cfg"),
    ("the_recipe_version_is_that_of_the_crate", CORE + "/conf/distro/steadfast.conf", 'DISTRO_VERSION = "', 'DISTRO_VERSION = "9'),
    ("the_rust_of_the_release_series_can_build_the_crate", "Cargo.toml", 'rust-version = "1.', 'rust-version = "1.1'),
    ("the_crate_list_matches_the_lock_file", "Cargo.lock", 'checksum = "', 'checksum = "0'),
    ("ptest_has_every_test_that_needs_no_sources", RECIPE, " memory_rules", ""),
    ("ptest_has_every_test_that_needs_no_sources", RECIPE, " memory_rules", " memory_rules layers"),
    ("layers_name_their_series_and_contact", BSP + "/conf/layer.conf", '"wrynose"', '"scarthgap"'),
    ("layers_name_their_series_and_contact", CORE + "/README.md", "Contact", ""),
    ("no_recipe_has_the_name_of_an_override", CORE + "/conf/distro/steadfast.conf", 'DISTROOVERRIDES = "', '#DISTROOVERRIDES = "'),
    ("no_oeqa_case_has_the_name_of_a_module", CORE + "/lib/oeqa/runtime/cases/oeqa.py", None, ""),
    ("no_oeqa_case_has_the_name_of_a_module", CORE + "/recipes-core/images/steadfast-image-test.bb", "ssh steadfast_target", "ssh"),
    ("the_recipe_has_the_sources_that_cargo_reads", RECIPE, "    file://docs;subdir=${BP} \\\n", ""),
    ("the_recipe_has_the_sources_that_cargo_reads", RECIPE, "    file://benches;subdir=${BP} \\\n", ""),
    ("the_recipe_has_the_sources_that_cargo_reads", RECIPE, "    file://tools;subdir=${BP} \\\n", ""),
    ("the_recipe_has_the_sources_that_cargo_reads", RECIPE, "    file://build.rs;subdir=${BP} \\\n", ""),
    ("the_recipe_has_the_sources_that_cargo_reads", "src/stock/mod.rs", "../../board/sim/board.toml", "../../fuzz/board.toml"),
    ("every_installed_program_is_built", RECIPE, "    oe_cargo_build --package steadctl\n", ""),
    ("the_recipe_does_not_use_externalsrc", RECIPE, "inherit cargo ", "inherit externalsrc cargo "),
    ("the_firmware_is_static_or_not_built", RECIPE, "*INTERP*) bbfatal", "*INTERP*) bbwarn"),
    ("the_firmware_is_static_or_not_built", RECIPE, "target['crt-static-respected'] = True", ""),
    ("the_standard_library_has_the_panic_strategy_of_the_crate", CORE + "/conf/distro/steadfast.conf", "RUST_PANIC_STRATEGY:class-target", "#"),
    ("tests_that_unwind_are_ignored_where_panics_abort", "src/sys/shared.rs", '    #[cfg_attr(panic = "abort", ignore = "unwinds, and this build aborts instead")]\n', ""),
    ("kas_uses_only_layers_named_in_layer_conf", "yocto/kas/base.yml", None, "  meta-openembedded:\n    url: x\n    commit: " + "0" * 40 + "\n"),
    ("kas_pins_every_repository", "yocto/kas/raspberrypi4-64.yml", "    commit: ", "    # commit: "),
    ("the_isolated_cpus_are_defined_once", CORE + "/conf/distro/steadfast.conf", '${STEADFAST_CPUS_CMDLINE}', '${STEADFAST_CPUS_CMDLINE} isolcpus=2'),
    ("the_isolated_cpus_are_defined_once", BSP + "/conf/machine/steadfast-imx8mp.conf", None, 'STEADFAST_CPUS = "2"\n'),
    ("the_isolated_cpus_reach_kernel_interrupts_unit_and_board_file", CORE + "/conf/distro/steadfast.conf", "${STEADFAST_CPUS_CMDLINE} ", ""),
    ("the_isolated_cpus_reach_kernel_interrupts_unit_and_board_file", "board/imx8mp-evk/board.toml", 'cpu = "isolated"', "cpu = 2"),
    ("documents_show_the_isolated_cpus_of_the_layer", "board/imx8mp-evk/README.md", "nohz_full=3", "nohz_full=2"),
    ("kernel_fragments_set_the_required_options", KERNEL + "/files/rt.cfg", "CONFIG_EXPERT=y\n", ""),
    ("kernel_fragments_set_the_required_options", KERNEL + "/files/rauc.cfg", "CONFIG_DM_VERITY=y\n", ""),
    ("every_kernel_fragment_is_checked_by_the_build", KERNEL + "/linux-steadfast.inc", "rt.cfg no-debug.cfg", "no-debug.cfg"),
    ("every_kernel_fragment_is_checked_by_the_build", BSP + "/conf/machine/steadfast-imx8mp.conf", "io-imx8mp.cfg", "io-imx8.cfg"),
    ("every_kernel_fragment_is_checked_by_the_build", KERNEL + "/linux-steadfast.inc", "addtask steadfast", "#addtask steadfast"),
    ("a_missing_kernel_option_stops_the_build", CORE + "/lib/steadfast/kconfig.py", "!= wanted", "is None"),
    ("slots_match_the_partitions", BSP + "/files/wic/steadfast-imx.wks.in", "--label root-b", "--label root-c"),
    ("slots_match_the_partitions", BSP + "/conf/machine/include/steadfast-ab.inc", "${STEADFAST_DISK}3", "${STEADFAST_DISK}2"),
    ("the_boot_script_gets_all_its_values", BSP + "/recipes-bsp/steadfast-boot/files/boot.cmd.in", "# Selects a slot", "# @@ is a value. Picks a slot"),
    ("bundle_and_board_have_the_same_compatible", BUNDLE, "${STEADFAST_COMPATIBLE}", "steadfast"),
    ("only_verity_bundles_are_accepted", BUNDLE, '"verity"', '"plain"'),
    ("no_private_key_is_in_the_tree", "yocto/key.pem", None, "-----BEGIN " + "PRIVATE KEY-----\n"),
    ("the_field_image_allows_no_login", FIELD, "usermod --lock", "usermod"),
    ("the_field_image_allows_no_login", FIELD, " ssh-server-openssh", ""),
    ("the_field_image_allows_no_login", FIELD, None, 'IMAGE_FEATURES += "ssh-server-openssh"\n'),
    ("u_boot_and_fw_setenv_use_the_same_environment", UBOOT + "/files/fw_env.config", "uboot-redund.env", "uboot-second.env"),
    ("u_boot_and_fw_setenv_use_the_same_environment", UBOOT + "/files/fw_env.config", "0x4000", "0x8000"),
    ("u_boot_and_fw_setenv_use_the_same_environment", BSP + "/conf/machine/steadfast-raspberrypi4-64.conf", '"mmc 0"', '"mmc 1"'),
    ("the_boot_loader_configuration_is_checked_by_the_build", UBOOT + "/u-boot_%.bbappend", "steadfast-u-boot.inc", "u-boot.inc"),
    ("the_boot_loader_configuration_is_checked_by_the_build", UBOOT + "/steadfast-u-boot.inc", "addtask steadfast", "#addtask steadfast"),
    ("a_second_environment_stops_the_build", CORE + "/lib/steadfast/kconfig.py", 'and value == "y"', "and False"),
    ("a_second_environment_stops_the_build", CORE + "/lib/steadfast/kconfig.py", 'r"^(CONFIG_\w+)=$"', 'r"^(CONFIG_\w+)==$"'),
    ("a_second_environment_stops_the_build", CORE + "/lib/steadfast/kconfig.py", 'if "y" not in', "if None in"),
    ("both_copies_are_written_before_a_try_is_counted", BOOT, "  setenv env_copies 2\n  saveenv\n", "  setenv env_copies 2\n"),
    ("an_overlay_is_applied_to_a_copy_with_free_space", BOOT, "setexpr overlay ${kernel_addr_r} + 8100000", "setenv overlay ${ramdisk_addr_r}"),
    ("an_overlay_is_applied_to_a_copy_with_free_space", BOOT, "    fdt move ${fdt_addr} ${tree} 80000 || reset\n", "    setenv tree ${fdt_addr}\n"),
    ("an_overlay_is_applied_to_a_copy_with_free_space", BOOT, "fdt apply ${overlay} || reset", "fdt apply ${overlay}"),
    ("runqemu_finds_disk_and_network", BSP + "/conf/machine/steadfast-qemuarm64.conf", 'IMAGE_FSTYPES += "wic"', ""),
    ("runqemu_finds_disk_and_network", BSP + "/conf/machine/steadfast-qemuarm64.conf", '"slirp"', '""'),
    ("a_disk_on_pci_has_its_environment_loaded_again", BSP + "/recipes-bsp/u-boot/files/steadfast-qemuarm64/steadfast-env.cfg", 'CONFIG_PREBOOT="env load"\n', ""),
    ("the_emulated_machine_keeps_its_gpio_chip", BSP + "/conf/machine/steadfast-qemuarm64.conf", "virt,acpi=off", "virt"),
    ("recipes_require_the_features_of_the_distribution", BUNDLE, "features_check ", ""),
    ("the_boot_loader_configuration_is_checked_by_the_build", UBOOT + "/steadfast-u-boot.inc", "if found.read() != own.read()", "if False"),
    ("a_slot_on_trial_asks_no_server_for_an_update", FLEET, "After=boot-complete.target\n", ""),
    ("a_slot_on_trial_asks_no_server_for_an_update", FLEET, None, "[Unit]\nRequires=boot-complete.target\n"),
    ("what_depends_on_a_recipe_of_a_machine_is_of_the_machine", CORE + "/conf/distro/steadfast.conf", "rauc->rauc-conf", "rauc->rauc"),
    ("what_depends_on_a_recipe_of_a_machine_is_of_the_machine", CORE + "/recipes-steadfast/health/steadfast-health_1.0.bb", 'PACKAGE_ARCH = "', '#PACKAGE_ARCH = "'),
    ("no_machine_enables_graphics", BSP + "/conf/machine/steadfast-raspberrypi4-64.conf", "DISABLE_VC4GRAPHICS", "#"),
    ("a_board_for_hardware_has_a_watchdog", "board/raspberrypi4-64/board.toml", "timeout_s = 2 ", "timeout_s = 16"),
    ("a_board_for_hardware_has_a_watchdog", "board/imx8mp-evk/board.toml", "[watchdog]", "[watchdogs]"),
    ("the_raspberry_pi_keeps_its_console_and_resets_released_lines", BSP + "/conf/machine/steadfast-raspberrypi4-64.conf", "8250.nr_uarts=1 ", ""),
    ("the_raspberry_pi_keeps_its_console_and_resets_released_lines", BSP + "/conf/machine/steadfast-raspberrypi4-64.conf", "outputs=n", "outputs=y"),
    ("each_board_documents_the_levels_of_its_lines", "board/raspberrypi4-64/README.md", "after SIGKILL", "after it was killed"),
    ("overlays_use_a_compatible_that_spidev_accepts", "board/imx8mp-evk/overlay.dtso", "rohm,dh2228fv", "linux,spidev"),
]


def judge(rules, root):
    return {(rule.__name__, line) for rule in rules for line in rule(Tree(root))}


def copy(root, folder):
    for part in ("yocto", "board", "src", "tests", "benches", "docs", "examples", "testbed", "tools"):
        shutil.copytree(root / part, folder / part)
    for name in ("Cargo.toml", "Cargo.lock", "LICENSE-MIT", "build.rs"):
        shutil.copy(root / name, folder)


def run(root, rules):
    before = judge(rules, root)
    failures = []
    version = next(root.glob(RECIPE % "*")).stem.split("_")[1]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "tree"
        folder.mkdir()
        copy(root, folder)
        for rule, name, old, new in BREAKS:
            path = folder / (name % version if name == RECIPE else name)
            kept = path.read_text() if path.exists() else None
            if old is not None and old not in kept:
                failures.append(f"{rule}: {name} no longer contains {old!r}")
                continue
            path.write_text((kept or "") + new if old is None else kept.replace(old, new))
            said = {r for r, _ in judge(rules, folder) - before}
            if said != {rule}:
                failures.append(f"{rule}: {name} was broken, expected only this rule to fail, got {sorted(said) or 'none'}")
            path.unlink() if kept is None else path.write_text(kept)
    failures += [f"{r.__name__}: no entry of BREAKS" for r in rules if r.__name__ not in {b[0] for b in BREAKS}]
    print("\n".join(failures + [f"{len(BREAKS)} breaks, {len(failures)} failures"]))
    return 1 if failures else 0
