# SPDX-License-Identifier: MIT OR Apache-2.0
"""The boot loader: its environment, its script, and its start on the emulated machine.
Finds, without a build, errors that occurred with other layers and with U-Boot."""

import pathlib
import re
import tempfile
import textwrap
import types

from tree import BSP, CORE

FRAGMENTS = BSP + "/recipes-bsp/u-boot/files"
INC = BSP + "/recipes-bsp/u-boot/steadfast-u-boot.inc"
APPENDS = (
    BSP + "/recipes-bsp/u-boot/u-boot_%.bbappend",
    BSP + "/dynamic-layers/freescale-layer/recipes-bsp/u-boot/u-boot-imx_%.bbappend",
)
SCRIPT = BSP + "/recipes-bsp/steadfast-boot/files/boot.cmd.in"


def u_boot_and_fw_setenv_use_the_same_environment(tree):
    """fw_env.config names what fw_setenv writes; the fragment names what U-Boot reads."""
    tools = [line.split() for line in tree.text(FRAGMENTS + "/fw_env.config").splitlines() if not line.startswith("#")]
    bad = []
    for machine in tree.machines():
        path = f"{FRAGMENTS}/{machine.stem}/steadfast-env.cfg"
        have = tree.module("kconfig").symbols(tree.text(path))
        interface, disk = tree.value(tree.name(machine), "STEADFAST_BOOT_DEVICE").split()
        wanted = {
            "CONFIG_ENV_IS_IN_FAT": "y",
            "CONFIG_ENV_FAT_INTERFACE": f'"{interface}"',
            "CONFIG_ENV_FAT_DEVICE_AND_PART": f'"{disk}:1"',
        }
        for symbol, (file, offset, size) in zip(("FILE", "FILE_REDUND"), tools):
            wanted["CONFIG_ENV_FAT_" + symbol] = '"%s"' % file.rsplit("/", 1)[1]
            if int(offset, 16) != 0 or int(size, 16) != int(have.get("CONFIG_ENV_SIZE", "0"), 16):
                bad.append(f"{path}: ENV_SIZE is not the size that fw_env.config has for {file}")
        bad += [f"{path}: {n} is {have.get(n)}, not {w}" for n, w in wanted.items() if have.get(n) != w]
    return bad


def the_boot_loader_configuration_is_checked_by_the_build(tree):
    """U-Boot keeps the locations of its defconfig beside that of the fragment."""
    bad = [f"{a}: does not require {INC}" for a in APPENDS if "recipes-bsp/u-boot/steadfast-u-boot.inc" not in tree.text(a)]
    text = tree.text(INC)
    if not re.search(r"^addtask steadfast_u_boot_assert after do_configure before do_compile$", text, re.M):
        bad.append(f"{INC}: the check is not a task of the build")
    if "steadfast.kconfig.broken_u_boot(" not in text:
        bad.append(f"{INC}: the configuration is not checked")
    bad += refuses_another_fw_env_config(tree)
    return bad


def refuses_another_fw_env_config(tree):
    """Runs the check of the build with our fw_env.config and with that of another layer."""
    body = re.search(r"^python do_steadfast_u_boot_assert \(\) \{\n(.*?)^\}", tree.text(INC), re.S | re.M).group(1)

    class Refused(Exception):
        pass

    def fatal(text):
        raise Refused(text)

    def run(fw_env):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "fw_env.config").write_text(fw_env)
            (root / "steadfast-env.cfg").write_text("")
            (root / ".config").write_text("")
            values = {"UNPACKDIR": folder, "B": folder, "STEADFAST_BSP_LAYERDIR": str(tree.root / BSP)}
            steadfast = types.SimpleNamespace(kconfig=types.SimpleNamespace(broken_u_boot=lambda config, fragment: []))
            data = types.SimpleNamespace(getVar=values.get)
            exec(textwrap.dedent(body), {"d": data, "bb": types.SimpleNamespace(fatal=fatal), "steadfast": steadfast})

    try:
        run(tree.text(FRAGMENTS + "/fw_env.config"))
    except Refused as refusal:
        return [f"{INC}: refuses our fw_env.config: {refusal}"]
    try:
        run("/dev/mmcblk0 0x400000 0x4000\n")
    except Refused as refusal:
        return [] if "fw_env.config" in str(refusal) else [f"{INC}: the refusal does not name fw_env.config: {refusal}"]
    return [f"{INC}: accepts the fw_env.config of another layer"]


def a_second_environment_stops_the_build(tree):
    """The check itself, with configurations that U-Boot has made."""
    module = tree.module("kconfig")
    fragment = tree.text(FRAGMENTS + "/steadfast-imx8mp/steadfast-env.cfg")
    old = "CONFIG_SYS_REDUNDAND_ENVIRONMENT=y"
    whole = "\n".join(
        f"{n}={v}" for n, v in module.symbols(fragment).items() if v != "n" and n != "CONFIG_ENV_REDUNDANT")
    bad = []
    if module.broken_u_boot(whole, fragment) or module.broken_u_boot(whole.replace(old, "CONFIG_ENV_REDUNDANT=y"), fragment):
        bad.append("refuses a configuration that matches its fragment")
    for lost, words in (
        (whole + "\nCONFIG_ENV_IS_IN_MMC=y", "a second location that the fragment names"),
        (whole + "\nCONFIG_ENV_IS_IN_FLASH=y", "a second location that the fragment does not name"),
        (whole + "\nCONFIG_ENV_ADDR_REDUND=", "a value that oldconfig would ask for"),
        (whole.replace(old, ""), "a single copy"),
    ):
        if len(module.broken_u_boot(lost, fragment)) != 1:
            bad.append("does not detect " + words)
    return ["lib/steadfast/kconfig.py: broken_u_boot " + line for line in bad]


def both_copies_are_written_before_a_try_is_counted(tree):
    """libubootenv refuses an environment with one copy: no slot could be marked good."""
    found = re.search(
        r'if test -z "\$\{env_copies\}"; then\n  setenv env_copies 2\n  saveenv\n  saveenv\nfi\n(.*)', tree.text(SCRIPT), re.S)
    if not found or "BOOT_A_LEFT" not in found.group(1) or not re.search(r"^saveenv$", found.group(1), re.M):
        return [f"{SCRIPT}: the first boot saves only one copy of the environment"]
    return []


def an_overlay_is_applied_to_a_copy_with_free_space(tree):
    """Not to U-Boot's own tree, and only with addresses that every board defines."""
    script = re.sub(r"^\s*#.*\n", "", tree.text(SCRIPT), flags=re.M)
    given = set(re.findall(r"\b(?:setenv|setexpr) (\w+)", script)) | {"kernel_addr_r", "fdt_addr", "filesize", "env_copies"}
    bad = [f"{SCRIPT}: ${{{n}}} is not defined on every board" for n in sorted(set(re.findall(r"\$\{(\w+)\}", script)) - given - {"candidate"})]
    apply = script.find("fdt apply")
    for command in ("fdt resize", "fdt move ${fdt_addr} ${tree} 80000"):
        if not 0 <= script.find(command) < apply:
            bad.append(f"{SCRIPT}: no `{command}` before the overlay is applied")
    for line in re.findall(r"^\s*(?:load|fdt \w+) .*$", script, re.M):
        if not line.endswith("|| reset"):
            bad.append(f"{SCRIPT}: `{line.strip()}` has no reset on failure: the other slot would never be tried")
    return bad


def runqemu_finds_disk_and_network(tree):
    """runqemu needs an image of the named type, which wic removes if it is not listed, and
    a network without an address on the kernel command line."""
    bad = []
    for machine in tree.machines():
        name = tree.name(machine)
        kind = tree.value(name, "QB_DEFAULT_FSTYPE")
        if not kind:
            continue
        # The include assigns, so only the lines after it count.
        after = tree.text(name).split("steadfast-ab.inc", 1)[1]
        if not re.search(r'^IMAGE_FSTYPES \+= "(?:[^"]* )?%s(?: [^"]*)?"$' % re.escape(kind), after, re.M):
            bad.append(f"{name}: no image of the type {kind} is kept for runqemu")
        if tree.value(name, "QB_DEFAULT_KERNEL") == "none" and tree.value(name, "TEST_RUNQEMUPARAMS") != "slirp":
            bad.append(f"{name}: testimage passes the guest its address on a kernel command line that is not used")
    return bad


def a_disk_on_pci_has_its_environment_loaded_again(tree):
    """U-Boot loads the environment before it scans PCI: tries would always be the default."""
    bad = []
    for machine in tree.machines():
        if tree.value(tree.name(machine), "STEADFAST_BOOT_DEVICE").split()[0] != "virtio":
            continue
        path = f"{FRAGMENTS}/{machine.stem}/steadfast-env.cfg"
        have = tree.module("kconfig").symbols(tree.text(path))
        for symbol, wanted in (("CONFIG_CMD_NVEDIT_LOAD", "y"), ("CONFIG_USE_PREBOOT", "y"), ("CONFIG_PREBOOT", '"env load"')):
            if have.get(symbol) != wanted:
                bad.append(f"{path}: {symbol} is {have.get(symbol)}, not {wanted}")
    return bad


def the_emulated_machine_keeps_its_gpio_chip(tree):
    """With ACPI and a boot loader the machine `virt` has no PL061."""
    bad = []
    for machine in tree.machines():
        name = tree.name(machine)
        if tree.value(name, "QB_DEFAULT_BIOS") and "acpi=off" not in (tree.value(name, "QB_MACHINE") or ""):
            bad.append(f"{name}: QB_MACHINE does not have acpi=off")
    return bad


def recipes_require_the_features_of_the_distribution(tree):
    """Otherwise yocto-check-layer fails with any other distribution."""
    return [
        f"{tree.name(p)}: does not inherit features_check"
        for p in tree.files("*.bb", under=CORE)
        if "/images/" not in tree.name(p) and not re.search(r"^inherit .*\bfeatures_check\b", p.read_text(), re.M)
    ]


def what_depends_on_a_recipe_of_a_machine_is_of_the_machine(tree):
    """Otherwise two machines of one tune have different signatures of the same package."""
    def is_of_machine(path):
        return re.search(r'^PACKAGE_ARCH = "\$\{MACHINE_ARCH\}"', path.read_text(), re.M)

    recipes = [p for p in tree.files("*.bb", under=CORE) if "/images/" not in tree.name(p)]
    machine = {p.name.split("_")[0] for p in recipes if is_of_machine(p)}
    bad = []
    for path in recipes:
        needed = " ".join(re.findall(r'^RDEPENDS\S* \+= "([^"]*)"', path.read_text(), re.M)).split()
        for name in sorted(machine.intersection(needed)):
            if not is_of_machine(path):
                bad.append(f"{tree.name(path)}: depends on {name}, which is of the machine; set PACKAGE_ARCH")
    # meta-rauc's rauc recommends rauc-conf, which has the disk of the machine.
    distro = CORE + "/conf/distro/steadfast.conf"
    if not re.search(r'^SIGGEN_EXCLUDE_SAFE_RECIPE_DEPS \+= "rauc->rauc-conf"$', tree.text(distro), re.M):
        bad.append(f"{distro}: the signatures of rauc depend on the machine")
    return bad


def a_slot_on_trial_asks_no_server_for_an_update(tree):
    """An update would replace the other slot, to which it rolls back."""
    path = CORE + "/recipes-steadfast/fleet/files/10-steadfast.conf"
    unit = tree.text(path)
    bad = []
    if not re.search(r"^After=.*\bboot-complete\.target\b", unit, re.M):
        bad.append(f"{path}: the updater does not wait for the health check")
    if re.search(r"^(Requires|BindsTo|Requisite)=.*\bboot-complete\.target\b", unit, re.M):
        bad.append(f"{path}: a board that stays up without its contract gets no update")
    return bad


def no_machine_enables_graphics(tree):
    """The distribution disables graphics; a machine must not enable them."""
    bad = []
    for machine in tree.machines():
        name = tree.name(machine)
        if "conf/machine/raspberrypi" in tree.text(name) and tree.value(name, "DISABLE_VC4GRAPHICS") != "1":
            bad.append(f"{name}: DISABLE_VC4GRAPHICS is not 1")
    return bad


RULES = [
    u_boot_and_fw_setenv_use_the_same_environment,
    the_boot_loader_configuration_is_checked_by_the_build,
    a_second_environment_stops_the_build,
    both_copies_are_written_before_a_try_is_counted,
    an_overlay_is_applied_to_a_copy_with_free_space,
    runqemu_finds_disk_and_network,
    a_disk_on_pci_has_its_environment_loaded_again,
    the_emulated_machine_keeps_its_gpio_chip,
    recipes_require_the_features_of_the_distribution,
    what_depends_on_a_recipe_of_a_machine_is_of_the_machine,
    a_slot_on_trial_asks_no_server_for_an_update,
    no_machine_enables_graphics,
]
