# SPDX-License-Identifier: MIT OR Apache-2.0
"""What bitbake refuses, or builds wrongly without a word. Each of these was found
by running it once (yocto/README.md); here it is found without."""

import re
import tomllib

from tree import BSP, CORE

RECIPE = CORE + "/recipes-steadfast/steadfast"
DISTRO = CORE + "/conf/distro/steadfast.conf"
# The collections that the repositories of the kas files hold.
COLLECTIONS = {
    "bitbake": set(),
    "steadfast": {"steadfast", "steadfast-bsp"},
    "openembedded-core": {"core"},
    "meta-rauc": {"rauc"},
    "meta-raspberrypi": {"raspberrypi"},
    "meta-freescale": {"freescale-layer"},
}


def no_recipe_has_the_name_of_an_override(tree):
    """Else FILES:steadfast is FILES, and bitbake refuses the recipe."""
    overrides = (tree.value(DISTRO, "DISTROOVERRIDES") or tree.value(DISTRO, "DISTRO")).split(":")
    overrides += [m.stem for m in tree.machines()]
    return [
        f"{tree.name(p)}: the recipe has the name of an override"
        for p in tree.files("*.bb") if re.split(r"[_.]", p.name)[0] in overrides
    ]


def no_oeqa_case_has_the_name_of_a_module(tree):
    """bitbake has imported lib/steadfast: a case of that name cannot be loaded."""
    modules = {p.name for p in (tree.root / CORE / "lib").iterdir()}
    cases = [p.stem for p in tree.files("*.py", under=CORE + "/lib/oeqa/runtime/cases")]
    suites = (tree.value(CORE + "/recipes-core/images/steadfast-image-test.bb", "TEST_SUITES") or "").split()
    return [f"lib/oeqa: the case {c} has the name of a module of lib" for c in cases if c in modules] + [
        f"steadfast-image-test.bb: does not run the case {c}" for c in cases if c not in suites]


def the_recipe_has_the_sources_that_cargo_reads(tree):
    """Every target of Cargo.toml, and what those include from elsewhere in the tree. A
    build.rs that is not there is none to cargo, which says nothing."""
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


def what_the_recipe_installs_is_built(tree):
    """cargo builds the root package, and of the other members what is named to it."""
    path = tree.name(tree.files("steadfast_*.bb", under=RECIPE)[0])
    text = tree.text(path)
    built = {tomllib.loads(tree.text("Cargo.toml"))["package"]["name"], *re.findall(r"oe_cargo_build --package (\S+)", text)}
    installed = re.findall(r"^\s*install .*\$\{CARGO_TARGET_SUBDIR\}/(\S+) ", text, re.M)
    return [f"{path}: {n} is installed and not built" for n in installed if n not in built]


def the_checkout_is_not_hashed_whole(tree):
    """externalsrc hashes all files of the checkout at every parse when the build
    folder lies in it, and kas puts it there."""
    return [f"{tree.name(p)}: externalsrc" for p in tree.files("*.bb", "*.bbappend", "*.inc")
            if re.search(r"^inherit\b.*\bexternalsrc\b|^EXTERNALSRC", p.read_text(), re.M)]


def the_firmware_is_static_or_not_built(tree):
    """oe-core's glibc targets do not respect crt-static: rustc passes over it."""
    path = tree.name(tree.files("steadfast_*.bb", under=RECIPE)[0])
    text = tree.text(path)
    wanted = (
        ("target-feature=+crt-static", "asks for no static program"),
        ("target['crt-static-respected'] = True", "does not tell rustc that the target can be static"),
        ('do_rust_gen_targets[postfuncs] += "steadfast_target_may_be_static"', "does not tell rustc that the target can be static"),
        ('*INTERP*) bbfatal', "does not look at what was linked"),
    )
    return sorted({f"{path}: {words}" for code, words in wanted if code not in text})


def the_standard_library_panics_as_the_crate_does(tree):
    """Else: "the crate `panic_abort` does not have the panic strategy `abort`"."""
    crate = tomllib.loads(tree.text("Cargo.toml"))["profile"]["release"].get("panic", "unwind")
    distro = tree.value(DISTRO, "RUST_PANIC_STRATEGY:class-target") or "unwind"
    return [] if crate == distro else [f"steadfast.conf: RUST_PANIC_STRATEGY is {distro}, Cargo.toml says {crate}"]


def no_test_unwinds_where_the_build_aborts(tree):
    """One such test ends the whole program that ptest runs."""
    bad = []
    for path in tree.files("*.rs", under="src"):
        for test in path.read_text().split("    #[test]\n")[1:]:
            name = re.search(r"fn (\w+)", test)
            if re.search(r"should_panic|catch_unwind", test) and 'cfg_attr(panic = "abort", ignore' not in test:
                bad.append(f"{tree.name(path)}: {name.group(1)} is not ignored where panics abort")
    return bad


def kas_takes_the_layers_that_ours_name(tree):
    """One more brings its own dependencies with it, and bitbake stops for those."""
    named = {"core"}
    for layer in (CORE, BSP):
        text = tree.text(layer + "/conf/layer.conf")
        named |= set(" ".join(re.findall(r"^LAYER(?:DEPENDS|RECOMMENDS)_\S+ = \"([^\"]*)\"", text, re.M)).split())
    bad = []
    for path in tree.files("*.yml", under="yocto/kas"):
        repos = re.split(r"^repos:\n", path.read_text(), flags=re.M)[1:]
        for repo in re.findall(r"^  ([\w-]+):$", repos[0], re.M) if repos else []:
            if repo not in COLLECTIONS:
                bad.append(f"{tree.name(path)}: {repo} is no layer that ours depend on")
            elif COLLECTIONS[repo] - named - {"steadfast", "steadfast-bsp"}:
                bad.append(f"{tree.name(path)}: no layer.conf of ours names {repo}")
    return bad


RULES = [
    no_recipe_has_the_name_of_an_override,
    no_oeqa_case_has_the_name_of_a_module,
    the_recipe_has_the_sources_that_cargo_reads,
    what_the_recipe_installs_is_built,
    the_checkout_is_not_hashed_whole,
    the_firmware_is_static_or_not_built,
    the_standard_library_panics_as_the_crate_does,
    no_test_unwinds_where_the_build_aborts,
    kas_takes_the_layers_that_ours_name,
]
