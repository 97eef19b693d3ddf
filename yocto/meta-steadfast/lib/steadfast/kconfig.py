# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks that the .config of a kernel or of U-Boot has the values of the fragments.

Kconfig silently drops a symbol whose dependencies are not met: without CONFIG_EXPERT a
kernel built with rt.cfg is not real-time."""

import re


def symbols(text):
    """Maps symbols to values; "n" for a comment "is not set"."""
    found = {}
    for line in text.splitlines():
        off = re.match(r"# (CONFIG_\w+) is not set$", line.strip())
        on = re.match(r"(CONFIG_\w+)=(.+)$", line.strip())
        if off:
            found[off.group(1)] = "n"
        elif on:
            found[on.group(1)] = on.group(2)
    return found


def broken(config, fragment):
    """One line for each symbol that differs from the fragment. A symbol that the sources do
    not have counts as off."""
    have = symbols(config)
    return [
        "%s: wanted %s, found %s" % (name, wanted, have.get(name, "n"))
        for name, wanted in sorted(symbols(fragment).items())
        if have.get(name, "n") != wanted
    ]


# Two names of one symbol; the second is that of older U-Boots (2025.01).
REDUNDANT = ("CONFIG_ENV_REDUNDANT", "CONFIG_SYS_REDUNDAND_ENVIRONMENT")


def broken_u_boot(config, fragment):
    """`broken` for U-Boot: its environment must be in the FAT partition, in two copies, and
    nowhere else. U-Boot uses the first location that works, but RAUC's tools write only to
    the FAT partition."""
    have = symbols(config)
    elsewhere = sorted(
        name for name, value in have.items()
        if re.match(r"CONFIG_ENV_IS_(IN_\w+|NOWHERE)$", name) and name != "CONFIG_ENV_IS_IN_FAT" and value == "y"
    )
    judged_here = elsewhere + list(REDUNDANT)
    bad = [line for line in broken(config, fragment) if line.split(":")[0] not in judged_here]
    bad += ["%s: wanted n, found y" % name for name in elsewhere]
    if "y" not in (have.get(name) for name in REDUNDANT):
        bad.append("%s: wanted y, found n" % REDUNDANT[0])
    # `make oldconfig` would ask for such a value in an endless loop.
    bad += ["%s: has no value" % name for name in re.findall(r"^(CONFIG_\w+)=$", config, re.M)]
    return bad
