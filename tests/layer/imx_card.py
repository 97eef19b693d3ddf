#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The boot loader of the i.MX on its card; called by tests/layer/u-boot-imx.

    tests/layer/imx_card.py configuration CONFIG FRAGMENT
    tests/layer/imx_card.py boots FOLDER WKS SLOT_MB

The first checks the final .config. The second makes a card with the partitions of the .wks
file and boots it until the environment has been saved ten times. After that, the card must be
unchanged outside of the boot partition, and both copies of the environment valid. Each check is
also tested to fail."""

import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from tree import Tree  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECTOR, KIB, MIB = 512, 1 << 10, 1 << 20
SAVES = 10
# What the layer demands, apart from its fragment: a line of the fragment may be lost.
ON = ("ENV_IS_IN_FAT",)
OFF = ("ENV_IS_IN_MMC", "ENV_IS_IN_SPI_FLASH", "ENV_IS_NOWHERE", "VIDEO", "DM_VIDEO", "SPLASH_SCREEN")
# The files of the environment, and their length: CONFIG_ENV_SIZE.
COPIES, COPY = ("uboot.env", "uboot-redund.env"), 0x4000
HANGS = "(does not end)"
# The sandbox loads and applies everything and then refuses to start a kernel.
STARTED = "Booting is not supported on the sandbox"


def configuration(config, fragment):
    """Complaints about a .config."""
    module = Tree(ROOT).module("kconfig")
    have = module.symbols(config)
    bad = module.broken_u_boot(config, fragment)
    bad += [f"CONFIG_{n}: wanted y" for n in ON if have.get("CONFIG_" + n) != "y"]
    bad += [f"CONFIG_{n}: wanted n" for n in OFF if have.get("CONFIG_" + n, "n") != "n"]
    return bad


def check_configuration(config, fragment):
    config, fragment = pathlib.Path(config).read_text(), pathlib.Path(fragment).read_text()
    bad = configuration(config, fragment)
    off = "# CONFIG_ENV_IS_IN_MMC is not set"
    # The fragment, the configuration, or both with the environment in raw MMC.
    for wrong in ((config.replace(off, off[2:-11] + "=y"), fragment), (config, fragment.replace(off, off[2:-11] + "=y")),
                  (config.replace(off, off[2:-11] + "=y"), fragment.replace(off, off[2:-11] + "=y"))):
        if not any("ENV_IS_IN_MMC" in line for line in configuration(*wrong)):
            bad.append("an environment in raw MMC is not refused")
    print(f"the configuration of U-Boot for the i.MX: {len(bad)} complaints")
    return bad


def layout(wks, values):
    """Name, start, length, and whether bootable and in the table, as wic computes them: in
    order, each start aligned, after one sector for the table."""
    for name, value in values.items():
        wks = wks.replace("${%s}" % name, str(value))
    at, parts = SECTOR, []
    for line in re.findall(r"^part (.*)$", wks, re.M):
        align = int(re.search(r"--align (\d+)", line)[1]) * KIB
        size = re.search(r"--fixed-size (\d+)M", line)
        label = re.search(r"--label (\S+)", line)
        at = -(-at // align) * align
        length = int(size[1]) * MIB if size else values["boot loader"]
        parts.append((label[1] if label else "boot loader", at, length, "--active" in line, "--no-table" not in line))
        at += length
    return parts, at


class Card:
    """The file of a card: boot loader, boot partition with the script, slots, data."""

    def __init__(self, folder, path, wks, slot_mb, script):
        self.folder, self.path = folder, path
        loader = 2 * MIB
        values = {"IMX_BOOT_SEEK": 32, "STEADFAST_SLOT_MB": slot_mb, "STEADFAST_DATA_MB": 8, "boot loader": loader}
        self.parts, size = layout(wks, values)
        # The sandbox counts in MiB.
        with open(path, "wb") as card:
            card.truncate(-(-size // MIB) * MIB)
        self.at = {name: (start, length) for name, start, length, _, _ in self.parts}
        table = ["label: dos"] + [
            f"start={start // SECTOR}, size={length // SECTOR}, type={'c' if name == 'boot' else '83'}{', bootable' if active else ''}"
            for name, start, length, active, listed in self.parts if listed]
        subprocess.run(["sfdisk", "--quiet", path], input="\n".join(table), text=True, check=True)
        fat = folder / "boot.vfat"
        fat.unlink(missing_ok=True)
        with open(fat, "wb") as file:
            file.truncate(self.at["boot"][1])
        subprocess.run(["mkfs.vfat", "--invariant", "-F", "32", fat], stdout=subprocess.DEVNULL, check=True)
        subprocess.run(["mcopy", "-i", fat, script, "::boot.scr"], check=True)
        with open(path, "r+b") as card:
            # All between the table and the first partition, as the boot loader may become longer.
            card.seek(self.at["boot loader"][0])
            card.write(random.Random(1).randbytes(self.at["boot"][0] - self.at["boot loader"][0]))
            for name, file in (("boot", fat), ("root-a", folder / "root-a.ext4"), ("root-b", folder / "root-b.ext4")):
                card.seek(self.at[name][0])
                card.write(file.read_bytes())
        self.before = path.read_bytes()

    def boot(self, program):
        """What U-Boot prints from its start to the reset, where it would execute its own name. It does not
        end without a boot script: at the prompt it waits for words that do not come."""
        tree = self.folder / "card.dtb"
        source = ('/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; model = "sandbox"; binman { };'
                  'aliases { mmc1 = "/mmc1"; }; chosen { stdout-path = "/serial"; };'
                  'serial { compatible = "sandbox,serial"; bootph-all; }; reset { compatible = "sandbox,reset"; };'
                  'mmc1 { compatible = "sandbox,mmc"; filename = "%s"; }; };' % self.path)
        subprocess.run(["dtc", "-q", "-O", "dtb", "-o", tree, "-"], input=source, text=True, check=True)
        try:
            run = subprocess.run(["/bin/true", "-d", tree], executable=self.folder / program, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
            said = run.stdout
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"")[:1 << 20] + b"\n" + HANGS.encode()
        return said.decode(errors="replace")

    def copies(self):
        """Complaints about the copies of the environment, and the text of the newest one."""
        bad, found = [], {}
        for name in COPIES:
            place = f"{self.path}@@{self.at['boot'][0]}"
            got = subprocess.run(["mcopy", "-n", "-i", place, f"::{name}", "-"], capture_output=True)
            data = got.stdout
            if got.returncode or len(data) != COPY:
                bad.append(f"{name}: {len(data)} bytes, not {COPY}: {got.stderr.decode().strip()}")
            elif struct.unpack("<I", data[:4])[0] != zlib.crc32(data[5:]):
                bad.append(f"{name}: wrong CRC")
            else:
                found[data[4]] = data[5:].split(b"\0\0")[0].decode().split("\0")
        if not bad and len(found) != 2:
            bad.append("both copies have the same number")
        if not found:
            return bad, []
        # The number is one byte and wraps.
        newest = 0 if set(found) == {0, 255} else max(found)
        return bad, found[newest]

    def changed(self):
        """The parts outside of the boot partition that differ from the new card."""
        after = self.path.read_bytes()
        start, length = self.at["boot"]
        spans = [("partition table", 0, self.at["boot loader"][0]), ("boot loader", self.at["boot loader"][0], start),
                 ("slots and data", start + length, len(self.before))]
        return [f"{name}: changed" for name, begin, end in spans if self.before[begin:end] != after[begin:end]]

    def damaged(self):
        """What fsck finds in the boot partition."""
        start, length = self.at["boot"]
        with tempfile.NamedTemporaryFile(dir=self.folder) as part, open(self.path, "rb") as card:
            card.seek(start)
            part.write(card.read(length))
            part.flush()
            got = subprocess.run(["fsck.vfat", "-n", part.name], capture_output=True, text=True)
        # U-Boot does not keep the summary of free clusters, which is a hint (FAT specification, FSInfo).
        known = ("fsck.fat", "Free cluster summary wrong", "Auto-correcting.", "Leaving filesystem unchanged.", part.name)
        lines = [line.strip() for line in got.stdout.splitlines() if line.strip()]
        return [f"the boot partition: {line}" for line in lines if not line.startswith(known)]


# Slot and tries of each boot until the tenth save: the first boot saves three times, the
# seventh finds no tries left.
BOOTS = ["A of A B, left A 2 B 3", "A of A B, left A 1 B 3", "A of A B, left A 0 B 3", "B of A B, left A 0 B 2",
         "B of A B, left A 0 B 1", "B of A B, left A 0 B 0", None, "A of A B, left A 2 B 3"]


def ten_saves(card, program):
    """Complaints after the boots that save the environment ten times."""
    bad, saves = [], 0
    for number, expected in enumerate(BOOTS, 1):
        said = card.boot(program)
        if HANGS in said:
            bad.append(f"boot {number}: does not end")
            break
        saves += len(re.findall(r"^Saving Environment to .*OK", said, re.M))
        slot = re.search(r"^steadfast: slot (.*)$", said, re.M)
        if (slot and slot[1].strip()) != expected:
            bad.append(f"boot {number}: expected slot {expected}, got {slot and slot[1].strip()}")
        elif expected is None:
            if "steadfast: no slot has tries left" not in said:
                bad.append(f"boot {number}: does not say that no slot has tries left")
        elif STARTED not in said or f"\n{300000 if expected[0] == 'A' else 400000} bytes read" not in said:
            last = [line for line in said.splitlines() if line.strip()][-4:]
            bad.append(f"boot {number}: the kernel of slot {expected[0]} is not started: {last}")
    if saves != SAVES:
        bad.append(f"the environment was saved {saves} times, not {SAVES}")
    copies, newest = card.copies()
    bad += copies + card.changed() + card.damaged()
    bad += [f"the environment has no {want}" for want in ("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3") if want not in newest]
    if any(line.startswith("ramdisk_addr_r=") for line in newest):
        bad.append("ramdisk_addr_r is defined, which the board's U-Boot does not do")
    return bad


def check_boots(folder, wks, slot_mb):
    folder, wks = pathlib.Path(folder), pathlib.Path(wks).read_text()
    script = folder / "script/boot.scr"

    def new_card(script):
        return Card(folder, folder / "card.img", wks, int(slot_mb), script)

    bad = ten_saves(new_card(script), "u-boot")
    # The environment in raw MMC, as the defconfig has it.
    found = ten_saves(new_card(script), "u-boot-raw")
    if "partition table: changed" not in found:
        bad.append(f"an environment in raw MMC: expected a changed partition table, got {found}")
    # An address that other boards define.
    text = (folder / "script/boot.cmd").read_text()
    wrong, count = re.subn(r"setexpr overlay .*", "setenv overlay ${ramdisk_addr_r}", text)
    (folder / "wrong.cmd").write_text(wrong)
    subprocess.run(["mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", folder / "wrong.cmd", folder / "wrong.scr"],
                   stdout=subprocess.DEVNULL, check=True)
    said = new_card(folder / "wrong.scr").boot("u-boot")
    if count != 1 or STARTED in said or "boot/Image of slot A is loaded" not in said or "resetting" not in said:
        bad.append("a script that uses ramdisk_addr_r is expected to reset before the start of the kernel")
    (folder / "card.img").unlink()
    print(f"{len(BOOTS)} boots of the card of the i.MX, {SAVES} saved environments: {len(bad)} complaints")
    return bad


def main(arguments):
    checks = {"configuration": (check_configuration, 3), "boots": (check_boots, 4)}
    check, count = checks.get(arguments[0] if arguments else "", (None, 0))
    if check is None or len(arguments) != count:
        print(__doc__, file=sys.stderr)
        return 2
    bad = check(*arguments[1:])
    for line in bad:
        print(f"u-boot-imx: {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
