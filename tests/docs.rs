//! The files, functions, types, keys of board files and test programs named in
//! docs/architecture.md and CONTRIBUTING.md exist.
//!
//! Checked per paragraph or table row:
//!
//! - a path between backticks, from the root or from `src`, and the target of a link;
//! - a name (`Cycle::run_once`): each part is declared in one of the files of the same
//!   paragraph or row, where it has any, else in any file of the sources;
//! - a key of a board file (`[loop] period_us`): docs/board-file.md has it;
//! - a test program in a command (`cargo test --test layers`);
//! - a file in a drawing.
//!
//! A part in capitals (`src/stock/NAME.rs`) is the reader's to choose.
//!
//! All pages of docs/ are a book: `book`.

mod book;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Keywords before a declared name.
const DECLARES: [&str; 9] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "const",
    "static",
    "type",
    "mod",
    "macro_rules!",
];

/// The parts of the repository that the pages name.
struct Tree {
    root: PathBuf,
    /// The declarations of each source file, by its path from the root.
    declared: BTreeMap<PathBuf, BTreeSet<String>>,
    /// docs/board-file.md.
    keys: String,
}

impl Tree {
    fn read() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut declared = BTreeMap::new();
        for folder in ["src", "tests", "testbed/src", "testbed/tests"] {
            collect(&root, Path::new(folder), &mut declared);
        }
        assert!(declared.len() > 100, "the sources were not found");
        let keys = fs::read_to_string(root.join("docs/board-file.md")).unwrap();
        Self {
            root,
            declared,
            keys,
        }
    }

    /// The location of `path`, relative to the root or to `src`.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let path = match path.rsplit_once('/') {
            Some((folder, name)) if is_placeholder(name) => folder,
            _ => path,
        };
        let candidates = [PathBuf::from(path), Path::new("src").join(path)];
        candidates
            .into_iter()
            .find(|path| self.root.join(path).exists())
    }

    /// Whether one of `files` declares `name`; any file if `files` is empty.
    fn declares(&self, files: &[PathBuf], name: &str) -> bool {
        let has = |file: &PathBuf| {
            file.file_stem().is_some_and(|stem| stem == name)
                || self.declared.get(file).is_some_and(|d| d.contains(name))
        };
        match files {
            [] => self.declared.keys().any(has),
            files => files.iter().any(has),
        }
    }

    fn has_test(&self, name: &str) -> bool {
        let places = [
            format!("tests/{name}.rs"),
            format!("tests/{name}/main.rs"),
            format!("testbed/tests/{name}/main.rs"),
            format!("benches/{name}.rs"),
            format!("testbed/benches/{name}/main.rs"),
        ];
        places.iter().any(|place| self.root.join(place).exists())
    }
}

fn collect(root: &Path, folder: &Path, declared: &mut BTreeMap<PathBuf, BTreeSet<String>>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root.join(&path).is_dir() {
            collect(root, &path, declared);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            declared.insert(path, declarations(&text));
        }
    }
}

/// The names that `text` declares: items, methods, and the variants of enums.
fn declarations(text: &str) -> BTreeSet<String> {
    let identifier = |word: &str| {
        let end = word.find(|c: char| !c.is_alphanumeric() && c != '_');
        word[..end.unwrap_or(word.len())].to_owned()
    };
    let mut found = BTreeSet::new();
    // The column of the variants of an enum.
    let mut variants = None;
    for line in text.lines() {
        let code = line.split("//").next().unwrap();
        let indentation = code.len() - code.trim_start().len();
        let words: Vec<&str> = code.split_whitespace().collect();
        if let Some(column) = variants {
            match words.first() {
                Some(word) if indentation == column && word.starts_with(char::is_uppercase) => {
                    found.insert(identifier(word));
                }
                Some(_) if indentation < column => variants = None,
                _ => {}
            }
        }
        for pair in words.windows(2) {
            if DECLARES.contains(&pair[0]) {
                found.insert(identifier(pair[1]));
                if pair[0] == "enum" && code.trim_end().ends_with('{') {
                    variants = Some(indentation + 4);
                }
            }
        }
    }
    found
}

/// Whether a part of a path is a placeholder: `NAME.rs`, `BOARD`.
fn is_placeholder(part: &str) -> bool {
    let stem = part.split('.').next().unwrap();
    stem.len() > 1 && stem.chars().all(|c| c.is_ascii_uppercase()) && part != "README.md"
}

fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let ends = [".rs", ".md", ".toml"];
    let is_file = word.contains('/') || ends.iter().any(|ending| word.ends_with(ending));
    is_file && !word.starts_with(['/', '.']) && word.chars().all(plain)
}

fn is_name(word: &str) -> bool {
    let word = word.strip_suffix("()").unwrap_or(word);
    let is_identifier = |part: &str| {
        let letters = |c: char| c.is_alphanumeric() || c == '_';
        !part.is_empty() && part.chars().all(letters) && !part.starts_with(char::is_numeric)
    };
    word.split("::").all(is_identifier) && !is_placeholder(word)
}

/// Paragraphs and table rows, and separately the lines of drawings.
fn blocks(page: &str) -> (Vec<String>, Vec<&str>) {
    let (mut blocks, mut drawn) = (vec![String::new()], Vec::new());
    let mut fenced = false;
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            drawn.push(line);
        } else {
            let begins = ["|", "- ", "#"].iter().any(|mark| line.starts_with(mark));
            let numbered = line.starts_with(|c: char| c.is_ascii_digit());
            if line.is_empty() || begins || numbered {
                blocks.push(String::new());
            }
            let block = blocks.last_mut().unwrap();
            block.push_str(line);
            block.push(' ');
        }
    }
    assert!(!fenced, "a block of code is not closed");
    (blocks, drawn)
}

/// The errors of `page`, which is in `folder`, and the number of checked names.
fn wrong(tree: &Tree, folder: &str, page: &str) -> (Vec<String>, usize) {
    let (mut wrong, mut checked) = (Vec::new(), 0);
    let mut claim = |holds: bool, what: String| {
        checked += 1;
        if !holds {
            wrong.push(what);
        }
    };
    let (blocks, drawn) = blocks(page);
    for line in drawn {
        for word in line.split_whitespace().filter(|word| word.ends_with(".rs")) {
            claim(tree.find(word).is_some(), format!("no file {word}"));
        }
    }
    for block in blocks {
        for link in block.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let is_here = !target.is_empty() && !target.contains("://");
            let exists = tree.root.join(folder).join(target).exists();
            claim(!is_here || exists, format!("no file {target}"));
        }
        let quoted: Vec<&str> = block.split('`').skip(1).step_by(2).collect();
        let mut files = Vec::new();
        for path in quoted.iter().filter(|word| is_path(word)) {
            let found = tree.find(path.trim_end_matches('/'));
            claim(found.is_some(), format!("no file {path}"));
            let is_source = |file: &PathBuf| tree.declared.contains_key(file);
            files.extend(found.filter(is_source));
        }
        for words in quoted.into_iter().filter(|word| !is_path(word)) {
            if is_name(words) {
                for part in words.trim_end_matches("()").split("::") {
                    let what = format!("`{words}`: no `{part}` in {files:?}");
                    claim(tree.declares(&files, part), what);
                }
            } else if let Some((table, key)) = words.strip_prefix('[').and_then(table_and_key) {
                let known = |name: String| tree.keys.contains(&name);
                let has = known(format!("`[{table}]`")) || known(format!("`[{table}."));
                claim(has, format!("no table [{table}]"));
                let has = key.is_empty() || known(format!("| `{key}` |"));
                claim(has, format!("[{table}] has no key {key}"));
            } else {
                let mut words = words.split(' ').peekable();
                let program = words.peek().filter(|word| is_path(word));
                if let Some(path) = program {
                    claim(tree.find(path).is_some(), format!("no file {path}"));
                }
                while let Some(word) = words.next() {
                    if ["--test", "--bench"].contains(&word) {
                        let name = words.next().unwrap_or_default();
                        let known = is_placeholder(name) || tree.has_test(name);
                        claim(known, format!("no test {name}"));
                    }
                }
            }
        }
    }
    (wrong, checked)
}

/// `loop` and `period_us` of `loop] period_us = 1000`; `device` of `device.X]`.
fn table_and_key(text: &str) -> Option<(&str, &str)> {
    let (table, key) = text.split_once(']')?;
    let table = table.split('.').next()?;
    Some((table, key.split('=').next()?.trim()))
}

/// Checks the page at `path`, which must have at least this many names.
fn require_true(path: &str, least: usize) {
    let tree = Tree::read();
    let text = fs::read_to_string(tree.root.join(path)).unwrap();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (wrong, checked) = wrong(&tree, folder, &text);
    assert!(wrong.is_empty(), "{path}: {}", wrong.join("\n"));
    assert!(
        checked >= least,
        "{path}: only {checked} names were checked, expected {least}"
    );
}

#[test]
fn names_in_architecture_md_exist() {
    require_true("docs/architecture.md", 200);
}

#[test]
fn names_in_contributing_md_exist() {
    require_true("CONTRIBUTING.md", 60);
}

#[test]
fn a_missing_name_is_detected() {
    let tree = Tree::read();
    for (page, count) in [
        ("| `cycle/stages.rs` | `Cycle::run_once` |", 0),
        ("| `cycle/stage.rs` |", 1),
        ("| `cycle/stages.rs` | `Cycle::run_twice` |", 1),
        // Declared in another file.
        ("| `cycle/stages.rs` | `Ladder` |", 1),
        ("| `cycle/stages.rs` |\n| `Ladder` |", 0),
        ("A law has `Law::step()`, not `Law::leap()`.", 1),
        // A variant, and a name that is used but not declared there.
        ("`cycle/run.rs` has `End::DeviceLost`", 0),
        ("`cycle/run.rs` has `Schedule`", 1),
        ("`src/stock/NAME.rs` and `stocks/NAME.rs`", 1),
        ("`[loop] period_us = 1000`, `[device.X] driver`", 0),
        ("`[lop]` and `[loop] perod_us`", 2),
        ("`cargo test --test layers` and `--test NAME`", 0),
        ("`cargo test --test layer`", 1),
        ("`tests/run host` and `tests/runs host`", 1),
        ("[a](docs/safety.md#audit) [b](docs/danger.md)", 1),
        ("```text\n loop: cycle/run.rs, then cycle/walk.rs\n```", 1),
    ] {
        let (wrong, checked) = wrong(&tree, "", page);
        assert_eq!(wrong.len(), count, "{page}: {wrong:?} of {checked}");
    }
}
