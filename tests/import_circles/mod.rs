//! Finds circular imports of files in `src`.
//!
//! A file imports another file if it names an item of it by a path, in a `use` or in code.
//! A re-exported name (`pub use`) counts for the file that defines it; a re-export is not
//! an import.

use std::collections::{BTreeMap, BTreeSet};

/// A module by its names below the crate.
pub(crate) type Module = Vec<String>;

/// The names and paths of one file.
#[derive(Default)]
struct Imports {
    /// Re-exported names with their paths.
    exported: BTreeMap<String, Module>,
    /// Paths that it uses.
    used: BTreeSet<Module>,
}

/// The circles of `files` (the code of each module without comments and tests), each as the
/// sorted modules that reach each other.
pub(crate) fn circles(files: &BTreeMap<Module, String>) -> Vec<Vec<String>> {
    let imports: BTreeMap<&Module, Imports> = files
        .iter()
        .map(|(module, text)| (module, imports(module, text)))
        .collect();
    let direct: BTreeMap<&Module, BTreeSet<Module>> = imports
        .iter()
        .map(|(module, of)| {
            let targets = of.used.iter().map(|path| defined_in(path, &imports, 0));
            (
                *module,
                targets.filter(|target| target != *module).collect(),
            )
        })
        .collect();
    let reached: BTreeMap<&Module, BTreeSet<Module>> = direct
        .keys()
        .map(|module| (*module, all_from(module, &direct)))
        .collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (module, targets) in &reached {
        if targets.contains(*module) {
            let circle = targets
                .iter()
                .filter(|other| reached[other].contains(*module));
            found.insert(circle.map(|module| module.join("::")).collect());
        }
    }
    found.into_iter().collect()
}

/// All modules that `module` reaches by one or more imports.
fn all_from(module: &Module, direct: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&Module> = direct[module].iter().collect();
    while let Some(next) = left.pop() {
        if found.insert(next.clone()) {
            left.extend(&direct[next]);
        }
    }
    found
}

/// The module that defines the item at `path`.
fn defined_in(path: &[String], imports: &BTreeMap<&Module, Imports>, depth: u32) -> Module {
    let is_module = |length: &usize| imports.contains_key(&path[..*length].to_vec());
    let length = (0..=path.len()).rev().find(is_module).unwrap_or(0);
    let module = path[..length].to_vec();
    let again = path
        .get(length)
        .and_then(|name| imports[&module].exported.get(name));
    match again {
        Some(origin) if depth < 8 => {
            let mut origin = origin.clone();
            origin.extend_from_slice(&path[length + 1..]);
            defined_in(&origin, imports, depth + 1)
        }
        _ => module,
    }
}

fn imports(module: &Module, text: &str) -> Imports {
    let mut found = Imports::default();
    let mut children = BTreeSet::new();
    let mut rest = String::new();
    // Statements of `use` and `mod` begin on a line of their own, as rustfmt has it.
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (exported, statement) = without_visibility(line.trim_start());
        if let Some(path) = statement.strip_prefix("use ") {
            let mut path = path.to_owned();
            while !path.contains(';') {
                let Some(more) = lines.next() else { break };
                path.push(' ');
                path.push_str(more.trim());
            }
            let path = path.split(';').next().unwrap_or_default();
            for one in each(path) {
                let (one, name) = one.split_once(" as ").unwrap_or((&one, ""));
                let Some(path) = absolute(one, module, &children) else {
                    continue;
                };
                match (exported, path.last()) {
                    (true, Some(last)) => {
                        let name = if name.is_empty() { last.as_str() } else { name };
                        found.exported.insert(name.to_owned(), path);
                    }
                    _ => {
                        found.used.insert(path);
                    }
                }
            }
        } else {
            let name = statement
                .strip_prefix("mod ")
                .and_then(|s| s.strip_suffix(';'));
            children.extend(name.map(str::to_owned));
            rest.push_str(line);
            rest.push('\n');
        }
    }
    found.used.extend(paths(&rest, module, &children));
    found
}

/// Whether a line has a visibility, and the rest of the line.
fn without_visibility(line: &str) -> (bool, &str) {
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with(' ') => (true, rest.trim_start()),
        Some(rest) if rest.starts_with('(') => match rest.split_once(") ") {
            Some((_, rest)) => (true, rest),
            None => (false, line),
        },
        _ => (false, line),
    }
}

/// The paths of a `use`, with its braces expanded.
fn each(path: &str) -> Vec<String> {
    let Some((prefix, group)) = path.split_once('{') else {
        return vec![path.trim().to_owned()];
    };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(each)
        .map(|part| format!("{}{part}", prefix.trim()))
        .collect()
}

/// `path` from the crate down, if it leads into the crate.
fn absolute(path: &str, module: &Module, children: &BTreeSet<String>) -> Option<Module> {
    let mut words = path.trim().split("::").peekable();
    let mut found = match words.peek().copied()? {
        "crate" => {
            words.next();
            Module::new()
        }
        "self" => {
            words.next();
            module.clone()
        }
        "super" => {
            let mut above = module.clone();
            while words.next_if_eq(&"super").is_some() {
                above.pop();
            }
            above
        }
        child if children.contains(child) => module.clone(),
        _ => return None,
    };
    found.extend(words.filter(|word| *word != "self").map(str::to_owned));
    Some(found)
}

/// The paths in code that begin in the crate.
fn paths(code: &str, module: &Module, children: &BTreeSet<String>) -> Vec<Module> {
    let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(|c: char| !in_path(c))
        .filter(|word| word.contains("::") && !word.starts_with(':'))
        .filter_map(|word| absolute(word.trim_end_matches(':'), module, children))
        .collect()
}
