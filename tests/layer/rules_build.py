# SPDX-License-Identifier: MIT OR Apache-2.0
"""Errors that bitbake reports late or not at all. Each occurred in a build
(yocto/README.md); here it is found without one."""

import re
import tomllib

from tree import BSP, CORE

RECIPE = CORE + "/recipes-steadfast/steadfast"
DISTRO = CORE + "/conf/distro/steadfast.conf"
# The collections in the repositories of the kas files.
COLLECTIONS = {
    "bitbake": set(),
    "steadfast": {"steadfast", "steadfast-bsp"},
    "openembedded-core": {"core"},
    "meta-rauc": {"rauc"},
    "meta-raspberrypi": {"raspberrypi"},
    "meta-freescale": {"freescale-layer"},
}


def no_recipe_has_the_name_of_an_override(tree):
    """Otherwise FILES:steadfast means FILES, and bitbake refuses the recipe."""
    overrides = (tree.value(DISTRO, "DISTROOVERRIDES") or tree.value(DISTRO, "DISTRO")).split(":")
    overrides += [m.stem for m in tree.machines()]
    return [
        f"{tree.name(p)}: the recipe has the name of an override"
        for p in tree.files("*.bb") if re.split(r"[_.]", p.name)[0] in overrides
    ]


def no_oeqa_case_has_the_name_of_a_module(tree):
    """bitbake imports lib/steadfast, so a case of that name cannot be loaded."""
    modules = {p.name for p in (tree.root / CORE / "lib").iterdir()}
    cases = [p.stem for p in tree.files("*.py", under=CORE + "/lib/oeqa/runtime/cases")]
    suites = (tree.value(CORE + "/recipes-core/images/steadfast-image-test.bb", "TEST_SUITES") or "").split()
    return [f"lib/oeqa: the case {c} has the name of a module of lib" for c in cases if c in modules] + [
        f"steadfast-image-test.bb: does not run the case {c}" for c in cases if c not in suites]


def the_recipe_has_the_sources_that_cargo_reads(tree):
    """Every target of Cargo.toml, and the files that they include from other folders.
    cargo ignores a missing build.rs silently."""
    recipe = tree.text(tree.name(tree.files("steadfast_*.bb", under=RECIPE)[0]))
    unpacked = set(re.findall(r"file://(\S+);subdir=", recipe))
    bad = [f"{RECIPE}: unpacks {n}, which is not in the tree" for n in sorted(unpacked) if not (tree.root / n).exists()]
    manifest = tomllib.loads(tree.text("Cargo.toml"))
    needed = {"Cargo.toml", "Cargo.lock", "src", "tests", "examples", "benches"}
    needed |= {m.split("/")[0] for m in manifest["workspace"]["members"]}
    needed |= {t["path"].split("/")[0] for kind in ("bin", "test", "example", "bench") for t in manifest.get(kind, []) if "path" in t}
    needed |= {"build.rs"} if (tree.root / "build.rs").exists() else set()
    not_built = {tree.root / t["path"] for t in manifest.get("test", []) if t.get("test") is False}
    for path in (p for folder in ("src", "tests", "examples") for p in tree.files("*.rs", under=folder) if p not in not_built):
        for name in re.findall(r"include_(?:str|bytes)!\(\s*\"([^\"]*)\"", path.read_text()):
            needed.add(str((path.parent / name).resolve().relative_to(tree.root.resolve())).split("/")[0])
    return bad + [f"{RECIPE}: cargo reads {n}, which the recipe does not unpack" for n in sorted(needed - unpacked)]


def every_installed_program_is_built(tree):
    """cargo builds the root package, and other members only if named."""
    path = tree.name(tree.files("steadfast_*.bb", under=RECIPE)[0])
    text = tree.text(path)
    built = {tomllib.loads(tree.text("Cargo.toml"))["package"]["name"], *re.findall(r"oe_cargo_build --package (\S+)", text)}
    installed = re.findall(r"^\s*install .*\$\{CARGO_TARGET_SUBDIR\}/(\S+) ", text, re.M)
    return [f"{path}: {n} is installed but not built" for n in installed if n not in built]


def the_recipe_does_not_use_externalsrc(tree):
    """externalsrc hashes the whole checkout at every parse if the build folder is in it,
    which is the default of kas."""
    return [f"{tree.name(p)}: externalsrc" for p in tree.files("*.bb", "*.bbappend", "*.inc")
            if re.search(r"^inherit\b.*\bexternalsrc\b|^EXTERNALSRC", p.read_text(), re.M)]


def the_firmware_is_static_or_not_built(tree):
    """oe-core's glibc targets do not respect crt-static: rustc ignores it."""
    path = tree.name(tree.files("steadfast_*.bb", under=RECIPE)[0])
    text = tree.text(path)
    wanted = (
        ("target-feature=+crt-static", "does not request a static program"),
        ("target['crt-static-respected'] = True", "does not tell rustc that the target can be static"),
        ('do_rust_gen_targets[postfuncs] += "steadfast_target_may_be_static"', "does not tell rustc that the target can be static"),
        ('*INTERP*) bbfatal', "does not check the linked program"),
    )
    return sorted({f"{path}: {words}" for code, words in wanted if code not in text})


def the_standard_library_has_the_panic_strategy_of_the_crate(tree):
    """Otherwise: "the crate `panic_abort` does not have the panic strategy `abort`"."""
    crate = tomllib.loads(tree.text("Cargo.toml"))["profile"]["release"].get("panic", "unwind")
    distro = tree.value(DISTRO, "RUST_PANIC_STRATEGY:class-target") or "unwind"
    return [] if crate == distro else [f"steadfast.conf: RUST_PANIC_STRATEGY is {distro}, Cargo.toml says {crate}"]


def tests_that_unwind_are_ignored_where_panics_abort(tree):
    """Otherwise such a test ends the whole test program of ptest."""
    bad = []
    for path in tree.files("*.rs", under="src"):
        for test in path.read_text().split("    #[test]\n")[1:]:
            name = re.search(r"fn (\w+)", test)
            if re.search(r"should_panic|catch_unwind", test) and 'cfg_attr(panic = "abort", ignore' not in test:
                bad.append(f"{tree.name(path)}: {name.group(1)} is not ignored where panics abort")
    return bad


def kas_uses_only_layers_named_in_layer_conf(tree):
    """A further layer has dependencies of its own, without which bitbake stops."""
    named = {"core"}
    for layer in (CORE, BSP):
        text = tree.text(layer + "/conf/layer.conf")
        named |= set(" ".join(re.findall(r"^LAYER(?:DEPENDS|RECOMMENDS)_\S+ = \"([^\"]*)\"", text, re.M)).split())
    bad = []
    for path in tree.files("*.yml", under="yocto/kas"):
        repos = re.split(r"^repos:\n", path.read_text(), flags=re.M)[1:]
        for repo in re.findall(r"^  ([\w-]+):$", repos[0], re.M) if repos else []:
            if repo not in COLLECTIONS:
                bad.append(f"{tree.name(path)}: our layers do not depend on {repo}")
            elif COLLECTIONS[repo] - named - {"steadfast", "steadfast-bsp"}:
                bad.append(f"{tree.name(path)}: no layer.conf of our layers names {repo}")
    return bad


RULES = [
    no_recipe_has_the_name_of_an_override,
    no_oeqa_case_has_the_name_of_a_module,
    the_recipe_has_the_sources_that_cargo_reads,
    every_installed_program_is_built,
    the_recipe_does_not_use_externalsrc,
    the_firmware_is_static_or_not_built,
    the_standard_library_has_the_panic_strategy_of_the_crate,
    tests_that_unwind_are_ignored_where_panics_abort,
    kas_uses_only_layers_named_in_layer_conf,
]
