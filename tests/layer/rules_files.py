# SPDX-License-Identifier: MIT OR Apache-2.0
"""Names and versions that must agree between files."""

import importlib.machinery
import importlib.util
import re
import tomllib

from tree import BSP, CORE, RECIPES

# The Rust version of oe-core's wrynose branch.
SERIES_RUST = (1, 94)
RECIPE = CORE + "/recipes-steadfast/steadfast"


def every_file_in_src_uri_exists(tree):
    """bitbake searches the recipe's folders and those of FILESEXTRAPATHS."""
    bad = []
    for path in tree.files(*RECIPES):
        text = path.read_text()
        folders = [path.parent / "files", path.parent / re.split(r"[_.]", path.name)[0]]
        for prefix in re.findall(r"FILESEXTRAPATHS:prepend\S* := \"([^\"]*)\"", text):
            for folder in prefix.split(":"):
                folder = folder.replace("${THISDIR}", str(path.parent))
                folder = folder.replace("${STEADFAST_LAYERDIR}", str(tree.root / CORE))
                folder = folder.replace("${STEADFAST_BSP_LAYERDIR}", str(tree.root / BSP))
                folder = folder.replace("${STEADFAST_CHECKOUT}", str(tree.root))
                if folder.startswith("/"):
                    folders.append(type(path)(folder))
        removed = set(re.findall(r"SRC_URI:remove\S* = \"file://([^\"]*)\"", text))
        for name in re.findall(r"file://([^\s;\"'$]+)", re.sub(r"LIC_FILES_CHKSUM.*", "", text)):
            if name in removed:
                continue
            # Of the machines; other boards have no image.
            machines = [m.read_text() for m in tree.files("*.conf", under=BSP + "/conf/machine")]
            overlays = sorted((tree.root / "board").glob("*/overlay.dtso"))
            boards = [b for b in overlays if any(f'STEADFAST_BOARD = "{b.parent.name}"' in m for m in machines)]
            for board in machine_folders(tree, folders, name, boards):
                if not any((f / name).exists() for f in board):
                    bad.append(f"{tree.name(path)}: file://{name} is in none of its folders")
    return sorted(set(bad))


def machine_folders(tree, folders, name, boards):
    """One list of folders per machine, if the name depends on the machine."""
    if any("${STEADFAST_BOARD}" in str(f) for f in folders):
        return [[type(f)(str(f).replace("${STEADFAST_BOARD}", b.parent.name)) for f in folders] for b in boards]
    per_machine = [f / m.stem for f in folders for m in tree.machines() if (f / m.stem).is_dir()]
    if per_machine and not any((f / name).is_file() for f in folders):
        return [[f / m.stem for f in folders] for m in tree.machines()]
    return [folders]


def the_recipe_version_is_that_of_the_crate(tree):
    version = tomllib.loads(tree.text("Cargo.toml"))["workspace"]["package"]["version"]
    found = [p.name for p in tree.files("steadfast_*.bb", under=RECIPE)]
    bad = [] if found == [f"steadfast_{version}.bb"] else [f"{RECIPE}: {found}, Cargo.toml says {version}"]
    distro = tree.value(CORE + "/conf/distro/steadfast.conf", "DISTRO_VERSION")
    return bad if distro == version else bad + [f"steadfast.conf: DISTRO_VERSION is {distro}, Cargo.toml says {version}"]


def the_rust_of_the_release_series_can_build_the_crate(tree):
    wanted = tomllib.loads(tree.text("Cargo.toml"))["workspace"]["package"]["rust-version"]
    if tuple(int(n) for n in wanted.split(".")[:2]) > SERIES_RUST:
        return [f"Cargo.toml: rust-version {wanted} is above the series' {SERIES_RUST[0]}.{SERIES_RUST[1]}"]
    return []


def the_crate_list_matches_the_lock_file(tree):
    path = tree.root / "yocto/update-crates"
    loader = importlib.machinery.SourceFileLoader("update_crates", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("update_crates", loader))
    loader.exec_module(module)
    if tree.text(module.LIST) != module.crates(tree.text("Cargo.lock")):
        return [f"{module.LIST} is stale: run yocto/update-crates"]
    return []


def ptest_has_every_test_that_needs_no_sources(tree):
    version = tomllib.loads(tree.text("Cargo.toml"))["workspace"]["package"]["version"]
    listed = set(tree.value(f"{RECIPE}/steadfast_{version}.bb", "STEADFAST_PTESTS").split()) - {"steadfast"}
    tests = tree.root / "tests"
    sources = {p.stem: [p] for p in tests.glob("*.rs")}
    sources |= {p.parent.name: sorted(p.parent.rglob("*.rs")) for p in tests.glob("*/main.rs")}
    portable = {
        name for name, paths in sources.items()
        if not any(re.search(r"CARGO_MANIFEST_DIR|CARGO_BIN_EXE|\"cargo\"", p.read_text()) for p in paths)
    }
    return [f"STEADFAST_PTESTS: {n} is missing" for n in sorted(portable - listed)] + [
        f"STEADFAST_PTESTS: {n} cannot run on a target, or is not a test" for n in sorted(listed - portable)
    ]


def layers_name_their_series_and_contact(tree):
    bad = []
    for layer in (CORE, BSP):
        if 'LAYERSERIES_COMPAT_' not in (t := tree.text(layer + "/conf/layer.conf")) or '= "wrynose"' not in t:
            bad.append(f"{layer}/conf/layer.conf: LAYERSERIES_COMPAT is not wrynose")
        for name, word in (("README.md", "Contact"), ("SECURITY.md", "vulnerability")):
            path = tree.root / layer / name
            if not path.is_file() or word not in path.read_text():
                bad.append(f"{layer}/{name}: missing, or without the word {word}")
    return bad


def kas_pins_every_repository(tree):
    bad = []
    for path in tree.files("*.yml", under="yocto/kas"):
        text = path.read_text()
        for url in re.split(r"\n    url: ", text)[1:]:
            if not re.search(r"\n    commit: [0-9a-f]{40}\n", url.split("\n  ", 1)[0] + "\n" + url):
                bad.append(f"{tree.name(path)}: {url.splitlines()[0]} has no commit")
    return bad


RULES = [
    every_file_in_src_uri_exists,
    the_recipe_version_is_that_of_the_crate,
    the_rust_of_the_release_series_can_build_the_crate,
    the_crate_list_matches_the_lock_file,
    ptest_has_every_test_that_needs_no_sources,
    layers_name_their_series_and_contact,
    kas_pins_every_repository,
]
