# SPDX-License-Identifier: MIT OR Apache-2.0
"""Access of the rules to the tree: files, and assignments in recipes."""

import importlib.util
import pathlib
import re

CORE = "yocto/meta-steadfast"
BSP = "yocto/meta-steadfast-bsp"
RECIPES = ("*.bb", "*.bbappend", "*.inc")


class Tree:
    """A checkout, or a copy of the files that the rules read."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def text(self, path):
        return (self.root / path).read_text()

    def name(self, path):
        return str(path.relative_to(self.root))

    def files(self, *patterns, under="yocto"):
        return sorted(p for pattern in patterns for p in (self.root / under).rglob(pattern) if p.is_file())

    def value(self, path, variable):
        """The first assignment of a variable, with continued lines joined."""
        text = self.text(path).replace("\\\n", " ")
        found = re.search(r"^%s\s*[?+]*=\s*\"([^\"]*)\"" % re.escape(variable), text, re.M)
        return found and " ".join(found.group(1).split())

    def machines(self):
        return self.files("*.conf", under=BSP + "/conf/machine")

    def module(self, name):
        """A Python module of the layer, imported as by bitbake."""
        path = self.root / CORE / "lib/steadfast" / (name + ".py")
        spec = importlib.util.spec_from_file_location("layer_" + name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
