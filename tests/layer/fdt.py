# SPDX-License-Identifier: MIT OR Apache-2.0
"""A flattened device tree as nodes (Devicetree Specification, chapter 5)."""

import struct

BEGIN, END, PROPERTY, NOTHING, LAST = 1, 2, 3, 4, 9


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.properties, self.children = {}, []

    @property
    def path(self):
        return "/" if self.parent is None else self.parent.path.rstrip("/") + "/" + self.name

    def cells(self, name):
        """A property as 32-bit numbers; empty if it is missing or has another format."""
        value = self.properties.get(name, b"")
        return [] if len(value) % 4 else [n for (n,) in struct.iter_unpack(">I", value)]

    def strings(self, name):
        return self.properties.get(name, b"").decode(errors="replace").rstrip("\0").split("\0")

    def enabled(self):
        on = "status" not in self.properties or self.strings("status") in (["okay"], ["ok"])
        return on and (self.parent is None or self.parent.enabled())

    def inherited(self, name):
        node = self
        while node is not None and name not in node.properties:
            node = node.parent
        return node.cells(name) if node else []

    def all(self):
        yield self
        for child in self.children:
            yield from child.all()


def read(blob):
    """The root, and the nodes by phandle."""
    magic, _, structure, strings = struct.unpack(">4I", blob[:16])
    assert magic == 0xD00DFEED, "not a flattened device tree"
    at, node, root = structure, None, None
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN:
            end = blob.index(b"\0", at)
            child = Node(blob[at:end].decode(), node)
            if node is None:
                root = child
            else:
                node.children.append(child)
            node = child
            at = (end + 4) & ~3
        elif token == END:
            node = node.parent
        elif token == PROPERTY:
            length, name = struct.unpack_from(">2I", blob, at)
            start = strings + name
            key = blob[start:blob.index(b"\0", start)].decode()
            node.properties[key] = blob[at + 8:at + 8 + length]
            at = (at + 8 + length + 3) & ~3
        elif token == LAST:
            break
    return root, {n.cells("phandle")[0]: n for n in root.all() if n.cells("phandle")}
