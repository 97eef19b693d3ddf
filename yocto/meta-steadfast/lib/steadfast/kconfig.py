# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whether a kernel's .config holds what the fragments ask for.

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
    """One line for each symbol that is not as the fragment asks. A symbol the
    kernel does not know counts as off."""
    have = symbols(config)
    return [
        "%s: wanted %s, the kernel has %s" % (name, wanted, have.get(name, "n"))
        for name, wanted in sorted(symbols(fragment).items())
        if have.get(name, "n") != wanted
    ]
