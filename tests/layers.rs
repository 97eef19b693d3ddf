//! The rules of the layers, checked against the sources: imports point one way, `unsafe` stays
//! in one layer, no files import each other in a circle, files stay short.

mod import_circles;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first: each may import those before it.
const LAYERS: [&str; 18] = [
    "time",
    "control",
    "cycle",
    "axis",
    "driver",
    "sim",
    "sys",
    "realtime",
    "device",
    "bus",
    "telemetry",
    "link",
    "config",
    "stock",
    "board",
    "command",
    "firmware",
    "main",
];

/// Number of layers in the core, which does not depend on Linux.
const CORE: usize = 6;

/// Imports that are forbidden although the order would allow them: a
/// controller never sees a device, and devices know nothing of controllers.
const FORBIDDEN: [(&str, &str); 4] = [
    ("driver", "axis"),
    ("driver", "control"),
    ("sim", "axis"),
    ("device", "axis"),
];

/// Layers shared by all machines: they do not name a chip or a law, so that new ones need no
/// change there. (Signals are in `cycle`.)
const SHARED: [&str; 6] = [
    "cycle",
    "realtime",
    "bus",
    "telemetry",
    "config",
    "firmware",
];

/// Names of control laws. The names of chips are those of the files in `driver`.
const LAWS: [&str; 3] = ["servo", "axis", "axes"];

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(files.len() > 40, "the sources were not found");
    files.sort();
    files
}

/// The layer of a file; `None` for `lib.rs`.
fn layer(file: &Path) -> Option<usize> {
    let inside = file
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap();
    let first = inside.components().next().unwrap();
    let name = Path::new(first.as_os_str())
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    if name == "lib" {
        return None;
    }
    Some(index(&name).unwrap_or_else(|| panic!("{name} is not a layer")))
}

fn index(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == name)
}

/// The lines of a file that are product code, without comments and without the tests at its
/// end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap()))
}

/// Names of layers in `crate::NAME` on a line.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").filter_map(|(at, prefix)| {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let rest = &line[at + prefix.len()..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        Some(&rest[..end])
    })
}

/// The forbidden imports of `text`, a file of `layer`.
fn wrong_imports(layer: usize, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in code(text) {
        for name in imported(line) {
            let Some(target) = index(name) else { continue };
            let forbidden = FORBIDDEN.contains(&(LAYERS[layer], name));
            if target > layer || forbidden {
                wrong.push(format!("line {number}: {} imports {name}", LAYERS[layer]));
            }
        }
        if layer < CORE && (line.contains("std::") || line.contains("libc::")) {
            wrong.push(format!(
                "line {number}: the core names the operating system"
            ));
        }
    }
    wrong
}

fn every_file(check: impl Fn(usize, &str) -> Vec<String>) {
    let mut wrong = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        if let Some(layer) = layer(&file) {
            // A tests.rs is the tests of the layer beside it.
            let is_tests = file.file_stem().is_some_and(|stem| stem == "tests")
                || file.components().any(|part| part.as_os_str() == "tests");
            if !is_tests {
                wrong.extend(
                    check(layer, &text)
                        .iter()
                        .map(|w| format!("{}: {w}", file.display())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_follow_the_order_of_the_layers() {
    every_file(wrong_imports);
}

#[test]
fn an_import_in_the_wrong_direction_is_detected() {
    let cycle = index("cycle").unwrap();
    assert_eq!(wrong_imports(cycle, "use crate::axis::Axis;").len(), 1);
    assert_eq!(
        wrong_imports(
            cycle,
            "let x = (crate::time::Instant, crate::board::Board);"
        )
        .len(),
        1
    );
    assert_eq!(wrong_imports(cycle, "use std::vec::Vec;").len(), 1);
    assert_eq!(
        wrong_imports(index("driver").unwrap(), "use crate::axis::Axis;").len(),
        1
    );
    assert_eq!(
        wrong_imports(cycle, "use crate::time::Instant; // not crate::axis").len(),
        0
    );
    assert_eq!(
        wrong_imports(cycle, "#[cfg(test)]\nmod tests { use crate::sim; }").len(),
        0
    );
}

#[test]
fn unsafe_code_stays_in_sys() {
    let sys = index("sys").unwrap();
    every_file(|layer, text| {
        let found = |line: &str| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
        };
        text.lines()
            .enumerate()
            .filter(|(_, line)| layer != sys && found(line.split("//").next().unwrap()))
            .map(|(number, _)| format!("line {}: unsafe code outside of sys", number + 1))
            .collect()
    });
}

/// The code of a file without comments and tests.
fn code_alone(text: &str) -> String {
    code(text).map(|(_, line)| format!("{line}\n")).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    for file in sources() {
        let inside = file.strip_prefix(&root).unwrap().with_extension("");
        let mut module: Vec<String> = inside
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        module.retain(|part| part != "mod" && part != "lib");
        files.insert(module, code_alone(&fs::read_to_string(&file).unwrap()));
    }
    let found = import_circles::circles(&files);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_circle_of_imports_is_detected() {
    let circles = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(module, text)| {
            let module = module.split("::").filter(|part| !part.is_empty());
            (module.map(str::to_owned).collect(), (*text).to_owned())
        });
        import_circles::circles(&files.collect())
    };
    let root = ("", "mod a;\nmod b;\npub use a::A;\n");
    let found = circles(&[
        root,
        ("a", "use super::b::B;"),
        ("b", "fn f() { crate::a::g() }"),
    ]);
    assert_eq!(found, [["a", "b"]]);
    // By a name that the root exports again, and in braces over lines.
    let found = circles(&[
        root,
        ("a", "use crate::{\n    b::{self, B},\n};"),
        ("b", "use super::A;"),
    ]);
    assert_eq!(found, [["a", "b"]]);
    // A parent and its child.
    let found = circles(&[
        ("", ""),
        ("a", "mod b;\nfn f() { b::g() }"),
        ("a::b", "use super::A;"),
    ]);
    assert_eq!(found, [["a", "a::b"]]);
    let found = circles(&[root, ("a", "use super::b::B;"), ("b", "use std::fmt;")]);
    assert!(found.is_empty(), "{found:?}");
}

/// Number of occurrences of `names` in the code of `text`, ignoring case, also as part of a
/// word, as in `AxisReport`.
fn mentions(text: &str, names: &[String]) -> usize {
    let code = code_alone(text).to_lowercase();
    let count = |name: &String| code.matches(name.as_str()).count();
    names.iter().map(count).sum()
}

#[test]
fn shared_layers_do_not_name_a_chip_or_a_law() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names: Vec<String> = LAWS.iter().map(|name| (*name).to_owned()).collect();
    for entry in fs::read_dir(root.join("driver")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_owned();
        let name = name.into_string().unwrap();
        // The layer itself, what board files know of any chip, and the bus that the
        // layer's tests use.
        if !["mod", "script", "chip"].contains(&&*name) && !names.contains(&name) {
            names.push(name);
        }
    }
    assert!(names.len() > LAWS.len(), "the drivers were not found");
    let mut found = Vec::new();
    for file in sources() {
        let inside = file.strip_prefix(&root).unwrap();
        let part = |name: &str| inside.iter().any(|part| part == name);
        let shared = SHARED.iter().any(|layer| inside.starts_with(layer));
        if !shared || part("tests") || part("tests.rs") {
            continue;
        }
        let count = mentions(&fs::read_to_string(&file).unwrap(), &names);
        if count > 0 {
            found.push((inside.to_str().unwrap().to_owned(), count));
        }
    }
    assert_eq!(found, [], "move this into the chip or the law");
}

#[test]
fn a_mention_of_a_chip_or_a_law_is_detected() {
    let names = ["axis".to_owned(), "mcp4922".to_owned()];
    for (text, count) in [
        ("use crate::driver::mcp4922;\nlet x = MCP4922_MAX;", 2),
        ("struct AxisReport; // of an axis", 1),
        ("/// An axis.\nfn f() {}", 0),
        ("fn f() {}\n#[cfg(test)]\nmod tests { use axis; }", 0),
    ] {
        assert_eq!(mentions(text, &names), count, "{text}");
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .collect();
    assert!(
        long.is_empty(),
        "files of more than 500 lines, split them: {long:?}"
    );
}

/// An example is to be read at one sitting; its tests and board files do not count.
#[test]
fn examples_stay_short() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for example in fs::read_dir(examples).unwrap() {
        let source = example.unwrap().path().join("src");
        let files = fs::read_dir(&source).unwrap_or_else(|error| panic!("{source:?}: {error}"));
        let files = files.map(|file| file.unwrap().path());
        let lines = files.filter(|file| !file.ends_with("tests.rs"));
        let lines = lines.map(|file| fs::read_to_string(file).unwrap().lines().count());
        let lines: usize = lines.sum();
        assert!(
            (1..=150).contains(&lines),
            "{source:?} has {lines} lines, expected 1 to 150"
        );
        seen += 1;
    }
    assert_eq!(seen, 5, "number of examples: update it for a new one");
}
