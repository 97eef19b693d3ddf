# SPDX-License-Identifier: MIT OR Apache-2.0
"""Agreement of CPUs, kernel, slots, partitions and boards."""

import re
import tomllib

from tree import BSP, CORE, RECIPES

DISTRO = CORE + "/conf/distro/steadfast.conf"
AB = BSP + "/conf/machine/include/steadfast-ab.inc"
RAUC = BSP + "/dynamic-layers/rauc/recipes-core/rauc"
KERNEL = CORE + "/recipes-kernel/linux"

REQUIRED = {
    "rt.cfg": "EXPERT=y PREEMPT_RT=y HIGH_RES_TIMERS=y NO_HZ_FULL=y RCU_NOCB_CPU=y CPUSETS=y RT_GROUP_SCHED=n",
    "no-debug.cfg": "PROVE_LOCKING=n LOCKDEP=n DEBUG_PREEMPT=n DEBUG_OBJECTS=n SLUB_DEBUG=n",
    "io.cfg": "SPI_SPIDEV=y GPIO_CDEV=y WATCHDOG=y UIO_PDRV_GENIRQ=y",
    "rauc.cfg": "BLK_DEV_LOOP=y DM_VERITY=y SQUASHFS=y CRYPTO_SHA256=y BLK_DEV_NBD=y",
}


def the_isolated_cpus_are_defined_once(tree):
    """Only the variable of the distribution may name CPUs."""
    bad = []
    cpus = tree.value(DISTRO, "STEADFAST_RT_CPUS")
    for path in tree.files(*RECIPES, "*.conf", "*.in", "*.bbclass"):
        code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        if re.search(r"(isolcpus|nohz_full|rcu_nocbs|irqaffinity|CPUAffinity)=\S*\d", code):
            bad.append(f"{tree.name(path)}: names CPUs; they come from STEADFAST_RT_CPUS")
    for machine in tree.machines():
        count = tree.value(tree.name(machine), "STEADFAST_CPUS") or tree.value(AB, "STEADFAST_CPUS")
        try:
            tree.module("cpus").cmdline(cpus, count)
        except ValueError as error:
            bad.append(f"{tree.name(machine)}: {error}")
    return bad


def the_isolated_cpus_reach_kernel_interrupts_unit_and_board_file(tree):
    """Command line, interrupts and unit; the board file takes the CPU from the kernel."""
    bad = []
    for path, word in (
        (DISTRO, "${STEADFAST_CPUS_CMDLINE}"),
        (BSP + "/recipes-bsp/steadfast-boot/steadfast-boot_1.0.bb", "${STEADFAST_KERNEL_CMDLINE}"),
        (CORE + "/recipes-steadfast/rt-setup/steadfast-rt-setup_1.0.bb", "${STEADFAST_HOUSEKEEPING_CPUS}"),
        (tree.name(tree.files("steadfast_*.bb")[0]), "CPUAffinity=%s"),
    ):
        if word not in tree.text(path):
            bad.append(f"{path}: {word} is missing")
    for machine in tree.machines():
        board = tree.value(tree.name(machine), "STEADFAST_BOARD")
        cpu = tomllib.loads(tree.text(f"board/{board}/board.toml"))["loop"].get("cpu")
        if cpu != "isolated":
            bad.append(f"board/{board}/board.toml: cpu is {cpu}, not \"isolated\"")
    return bad


def documents_show_the_isolated_cpus_of_the_layer(tree):
    cpus = tree.module("cpus").cmdline(tree.value(DISTRO, "STEADFAST_RT_CPUS"), tree.value(AB, "STEADFAST_CPUS"))
    bad = []
    for path in tree.files("README.md", under="board") + tree.files("README.md"):
        for shown in re.findall(r"isolcpus=[^`]*", path.read_text()):
            if " ".join(shown.split()) != cpus:
                bad.append(f"{tree.name(path)}: shows {shown}, the layer gives {cpus}")
    return bad


def kernel_fragments_set_the_required_options(tree):
    bad = []
    for name, wanted in REQUIRED.items():
        have = tree.module("kconfig").symbols(tree.text(f"{KERNEL}/files/{name}"))
        for symbol, value in (w.split("=") for w in wanted.split()):
            if have.get("CONFIG_" + symbol) != value:
                bad.append(f"{KERNEL}/files/{name}: CONFIG_{symbol}={value} is missing")
    return bad


def every_kernel_fragment_is_checked_by_the_build(tree):
    inc = KERNEL + "/linux-steadfast.inc"
    text = tree.text(inc)
    asserted = set((tree.value(inc, "STEADFAST_FRAGMENTS") or "").split())
    io = {tree.value(tree.name(m), "STEADFAST_IO_FRAGMENT") for m in tree.machines()}
    if "${STEADFAST_IO_FRAGMENT}" in asserted:
        asserted |= io
    present = {p.name for p in tree.files("*.cfg", under=KERNEL + "/files")}
    bad = [f"{inc}: {name} is checked for no machine" for name in sorted(present - asserted)]
    bad += [f"{inc}: a machine names {name}, which does not exist" for name in sorted(map(str, io - present))]
    if "'file://' + f for f in d.getVar('STEADFAST_FRAGMENTS').split()" not in text:
        bad.append(f"{inc}: the checked fragments are not added to SRC_URI")
    if not re.search(r"^addtask steadfast_kernel_assert after do_configure before do_compile$", text, re.M):
        bad.append(f"{inc}: the check is not a task of the build")
    return bad


def a_missing_kernel_option_stops_the_build(tree):
    """The check itself, with a .config that lacks an option which EXPERT allows to omit."""
    kconfig = tree.module("kconfig")
    fragment = tree.text(KERNEL + "/files/rt.cfg")
    whole = "\n".join(f"{n}={v}" for n, v in kconfig.symbols(fragment).items() if v != "n")
    lost = whole.replace("CONFIG_PREEMPT_RT=y", "# CONFIG_PREEMPT_RT is not set")
    if kconfig.broken(whole, fragment) or len(kconfig.broken(lost, fragment)) != 1:
        return ["lib/steadfast/kconfig.py: does not distinguish a real-time .config from another"]
    if not kconfig.broken(whole + "\nCONFIG_RT_GROUP_SCHED=y", fragment):
        return ["lib/steadfast/kconfig.py: accepts a symbol that must be off"]
    return []


def slots_match_the_partitions(tree):
    """Partition numbers as counted by wic: an entry with --no-table has none."""
    bad = []
    for machine in tree.machines():
        wks = tree.value(tree.name(machine), "WKS_FILE")
        parts = [l for l in tree.text(f"{BSP}/files/wic/{wks}").splitlines()
                 if l.startswith("part ") and "--no-table" not in l]
        labels = [re.search(r"--label (\S+)", l).group(1) for l in parts]
        if labels != ["boot", "root-a", "root-b", "data"]:
            bad.append(f"{wks}: partitions are {labels}")
        sizes = [re.search(r"--fixed-size (\S+)", l).group(1) for l in parts[1:3]]
        if len(set(sizes)) != 1:
            bad.append(f"{wks}: the slots differ in size")
    for slot, number, label in (("A", "2", "root-a"), ("B", "3", "root-b")):
        if tree.value(AB, "STEADFAST_SLOT_" + slot) != "${STEADFAST_DISK}" + number:
            bad.append(f"{AB}: slot {slot} is not partition {number} ({label})")
        script = tree.text(BSP + "/recipes-bsp/steadfast-boot/files/boot.cmd.in")
        if f"setenv slot {slot}\n    setenv partition {number}\n    setenv root @@SLOT_{slot}@@" not in script:
            bad.append(f"boot.cmd.in: slot {slot} is not partition {number}")
        if f"device=@SLOT_{slot}@\ntype=ext4\nbootname={slot}\n" not in tree.text(RAUC + "/files/system.conf.in"):
            bad.append(f"system.conf.in: slot {slot} is not @SLOT_{slot}@")
    return bad


def the_boot_script_gets_all_its_values(tree):
    """The recipe stops the build for a value that is not replaced, also in a comment."""
    folder = BSP + "/recipes-bsp/steadfast-boot"
    script, recipe = tree.text(folder + "/files/boot.cmd.in"), tree.text(folder + "/steadfast-boot_1.0.bb")
    for value in re.findall(r"s\|(@@\w+@@)\|", recipe):
        script = script.replace(value, "")
    return [f"boot.cmd.in: {line.strip()}: a value that steadfast-boot does not replace" for line in script.splitlines() if "@@" in line]


def bundle_and_board_have_the_same_compatible(tree):
    bundle = tree.value(CORE + "/recipes-core/bundles/steadfast-bundle.bb", "RAUC_BUNDLE_COMPATIBLE")
    conf = tree.text(RAUC + "/rauc-conf.bbappend")
    board = re.search(r"s\|@COMPATIBLE@\|([^|]*)\|", conf)
    if not board or board.group(1) != bundle or "compatible=@COMPATIBLE@" not in tree.text(RAUC + "/files/system.conf.in"):
        return [f"the bundle is for {bundle}, system.conf for {board and board.group(1)}"]
    return []


def only_verity_bundles_are_accepted(tree):
    bundle = tree.value(CORE + "/recipes-core/bundles/steadfast-bundle.bb", "RAUC_BUNDLE_FORMAT")
    conf = tree.text(RAUC + "/files/system.conf.in")
    if bundle != "verity" or "bundle-formats=verity\n" not in conf:
        return ["bundle or system.conf allows a format other than verity"]
    return []


def no_private_key_is_in_the_tree(tree):
    return [f"{tree.name(p)}: a private key" for p in tree.files("*") if b"PRIVATE KEY-----" in p.read_bytes()]


def the_field_image_allows_no_login(tree):
    base, field = (tree.text(f"{CORE}/recipes-core/images/steadfast-image.{e}") for e in ("inc", "bb"))
    bad = []
    if 'IMAGE_FEATURES += "read-only-rootfs"' not in base:
        bad.append("steadfast-image.inc: the root is not read-only")
    if "usermod --lock --shell /sbin/nologin root" not in field:
        bad.append("steadfast-image.bb: root is not locked")
    if re.search(r"^IMAGE_FEATURES \+?= \"[^\"]*(ssh|empty|login)", base + field, re.M):
        bad.append("steadfast-image: an image feature allows a login")
    refused = (tree.value(f"{CORE}/recipes-core/images/steadfast-image.bb", "CONFLICT_IMAGE_FEATURES") or "").split()
    ways = tree.value(f"{CORE}/recipes-core/images/steadfast-image-test.bb", "IMAGE_FEATURES").split()
    bad += [f"steadfast-image.bb: local.conf could add {w}" for w in ways if w not in refused]
    return bad


def overlays_use_a_compatible_that_spidev_accepts(tree):
    return [
        f"{tree.name(p)}: linux,spidev is refused by the kernel's driver"
        for p in tree.files("*.dtso", under="board") if re.search(r"compatible = \"linux,spidev\"", p.read_text())
    ]


def a_board_for_hardware_has_a_watchdog(tree):
    """Only the watchdog switches off what a killed controller leaves energised."""
    limits = {"raspberrypi4-64": 15, "imx8mp-evk": 128, "sabrelite": 128}
    bad = []
    for path in tree.files("overlay.dtso", under="board"):
        board = path.parent.name
        timeout = tomllib.loads(tree.text(f"board/{board}/board.toml")).get("watchdog", {}).get("timeout_s")
        if timeout is None or timeout > limits.get(board, 0):
            bad.append(f"board/{board}/board.toml: the watchdog's timeout is {timeout}, the hardware allows at most {limits.get(board)} s")
    return bad


def the_raspberry_pi_keeps_its_console_and_resets_released_lines(tree):
    """The boot script's command line replaces that of the Raspberry Pi's firmware."""
    name = BSP + "/conf/machine/steadfast-raspberrypi4-64.conf"
    given = (tree.value(name, "STEADFAST_KERNEL_CMDLINE:append") or "").split()
    wanted = ("8250.nr_uarts=1", "pinctrl_bcm2835.persist_gpio_outputs=n")
    return [f"{name}: {w} is not on the kernel's command line" for w in wanted if w not in given]


def each_board_documents_the_levels_of_its_lines(tree):
    bad = []
    for path in tree.files("overlay.dtso", under="board"):
        readme = f"board/{path.parent.name}/README.md"
        text = tree.text(readme)
        for words in ("power-on to the kernel's start", "first request", "after an orderly end", "after SIGKILL", "after a reset", "external pull-down"):
            if words not in text:
                bad.append(f"{readme}: does not document the levels of the lines: '{words}'")
    return bad


RULES = [
    the_isolated_cpus_are_defined_once,
    the_isolated_cpus_reach_kernel_interrupts_unit_and_board_file,
    documents_show_the_isolated_cpus_of_the_layer,
    kernel_fragments_set_the_required_options,
    every_kernel_fragment_is_checked_by_the_build,
    a_missing_kernel_option_stops_the_build,
    slots_match_the_partitions,
    the_boot_script_gets_all_its_values,
    bundle_and_board_have_the_same_compatible,
    only_verity_bundles_are_accepted,
    no_private_key_is_in_the_tree,
    the_field_image_allows_no_login,
    overlays_use_a_compatible_that_spidev_accepts,
    a_board_for_hardware_has_a_watchdog,
    the_raspberry_pi_keeps_its_console_and_resets_released_lines,
    each_board_documents_the_levels_of_its_lines,
]
