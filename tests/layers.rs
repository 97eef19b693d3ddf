//! The house rules, read off the sources: imports point one way, `unsafe` stays
//! in one room, files stay short.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the house, from the ground up: each may use those before it.
const ROOMS: [&str; 15] = [
    "time",
    "control",
    "cycle",
    "axis",
    "driver",
    "sim",
    "sys",
    "realtime",
    "device",
    "telemetry",
    "config",
    "board",
    "command",
    "main",
    "bin",
];

/// Rooms of the core, which know nothing of Linux.
const CORE: usize = 6;

/// Rooms that may not see each other although the order would allow it: a
/// controller never sees a device, and devices know nothing of controllers.
const STRANGERS: [(&str, &str); 4] = [
    ("driver", "axis"),
    ("driver", "control"),
    ("sim", "axis"),
    ("device", "axis"),
];

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

/// The room that a file belongs to; `None` for the map itself, `lib.rs`.
fn room(file: &Path) -> Option<usize> {
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
    Some(index(&name).unwrap_or_else(|| panic!("{name} is no room of the house")))
}

fn index(name: &str) -> Option<usize> {
    ROOMS.iter().position(|room| *room == name)
}

/// The lines of a file that are code of the product: without comments, and
/// without the tests at its end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap()))
}

/// Names of rooms in `crate::NAME` on a line.
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

/// What is wrong with the imports of `text`, a file of `room`.
fn wrong_imports(room: usize, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in code(text) {
        for name in imported(line) {
            let Some(target) = index(name) else { continue };
            let strange = STRANGERS.contains(&(ROOMS[room], name));
            if target > room || strange {
                wrong.push(format!("line {number}: {} imports {name}", ROOMS[room]));
            }
        }
        if room < CORE && (line.contains("std::") || line.contains("libc::")) {
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
        if let Some(room) = room(&file) {
            // A tests.rs is the tests of the room beside it.
            let is_tests = file.file_stem().is_some_and(|stem| stem == "tests")
                || file.components().any(|part| part.as_os_str() == "tests");
            if !is_tests {
                wrong.extend(
                    check(room, &text)
                        .iter()
                        .map(|w| format!("{}: {w}", file.display())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_point_one_way() {
    every_file(wrong_imports);
}

#[test]
fn an_import_that_points_the_wrong_way_is_found() {
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
    every_file(|room, text| {
        let found = |line: &str| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
        };
        text.lines()
            .enumerate()
            .filter(|(_, line)| room != sys && found(line.split("//").next().unwrap()))
            .map(|(number, _)| format!("line {}: unsafe code outside of sys", number + 1))
            .collect()
    });
}

#[test]
fn files_stay_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .collect();
    assert!(long.is_empty(), "split these: {long:?}");
}
