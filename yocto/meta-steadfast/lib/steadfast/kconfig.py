# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whether the .config of a kernel or of U-Boot holds what the fragments ask for.

Kconfig drops a symbol whose dependencies are not met without a word: a kernel
built of rt.cfg without CONFIG_EXPERT is simply not real-time."""

import re


def symbols(text):
    """Symbol to value; "n" for the comment that kconfig writes instead."""
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
    """One line for each symbol that is not as the fragment asks. A symbol that the
    sources do not know counts as off."""
    have = symbols(config)
    return [
        "%s: wanted %s, found %s" % (name, wanted, have.get(name, "n"))
        for name, wanted in sorted(symbols(fragment).items())
        if have.get(name, "n") != wanted
    ]


# One symbol: older U-Boots (2025.01) have the second name.
REDUNDANT = ("CONFIG_ENV_REDUNDANT", "CONFIG_SYS_REDUNDAND_ENVIRONMENT")


def broken_u_boot(config, fragment):
    """As `broken`, for U-Boot: its environment lies in the FAT partition, in two
    copies, and nowhere else. U-Boot takes the first location that answers, and
    RAUC's tools write to the FAT partition alone."""
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
    # `make oldconfig` asks for such a value for ever.
    bad += ["%s: has no value" % name for name in re.findall(r"^(CONFIG_\w+)=$", config, re.M)]
    return bad
