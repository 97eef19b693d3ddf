//! The pages of docs/ are a book: docs/SUMMARY.md lists them, and their links lead somewhere.
//! What mdbook would find when it builds the book is found here without it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

const PARTS: [&str; 4] = ["Tutorial", "How-to", "Reference", "Explanation"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The text without blocks of code and without code between backticks.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut fence = None;
    for line in text.lines() {
        let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
        match fence {
            Some(open) if ticks >= open => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => {
                prose.push_str(&without_code(line));
                prose.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a block of code is not closed");
    prose
}

/// `line` with nothing between pairs of equally many backticks.
fn without_code(line: &str) -> String {
    let (mut kept, mut rest) = (String::new(), line);
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].chars().take_while(|c| *c == '`').count();
        let code = &rest[start + ticks..];
        let mut at = 0;
        let end = loop {
            let Some(found) = code[at..].find('`') else {
                break None;
            };
            let run = code[at + found..].chars().take_while(|c| *c == '`');
            let run = run.count();
            if run == ticks {
                break Some(at + found + run);
            }
            at += found + run;
        };
        let Some(end) = end else { break };
        kept.push_str(&rest[..start]);
        rest = &code[end..];
    }
    kept + rest
}

/// The headings of a page: level and text, code between backticks included.
fn headings(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let level = line.chars().take_while(|c| *c == '#').count();
        if !fenced && (1..=6).contains(&level) && line[level..].starts_with(' ') {
            found.push((level, line[level..].trim().to_owned()));
        }
    }
    found
}

/// The anchors of a page, as GitHub and mdbook make them of its headings: small letters,
/// hyphens for blanks, without punctuation; a repeated one gets a number.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = headings(text).into_iter();
    let anchors = headings.map(|(_, heading)| {
        let letters = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        let slug: String = letters.flat_map(char::to_lowercase).collect();
        let count = seen.entry(slug.clone()).or_insert(0);
        *count += 1;
        match *count {
            1 => slug,
            count => format!("{slug}-{}", count - 1),
        }
    });
    anchors.collect()
}

/// The targets of the links in a page.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let links = prose.split("](").skip(1);
    let targets = links.map(|link| link.split([')', ' ']).next().unwrap().to_owned());
    targets.collect()
}

/// `folder` and `relative` joined, without `..`; `None` where that leaves the repository.
fn joined(folder: &Path, relative: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in folder.join(relative).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// The pages of the book, without docs/SUMMARY.md.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = Path::new("docs").join(entry.unwrap().file_name());
        let is_page = path.extension().is_some_and(|ending| ending == "md");
        if is_page && path != Path::new("docs/SUMMARY.md") {
            pages.push(path);
        }
    }
    pages.sort();
    assert!(pages.len() > 10, "the pages were not found");
    pages
}

/// What is wrong with the links of the page at `path` with this `text`, and their number.
fn wrong_links(path: &Path, text: &str) -> (Vec<String>, usize) {
    let folder = path.parent().unwrap();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for link in links(text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        checked += 1;
        let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = match file {
            "" => Some(path.to_owned()),
            file => joined(folder, file),
        };
        let Some(target) = target.filter(|target| root().join(target).exists()) else {
            wrong.push(format!("{link}: no such file"));
            continue;
        };
        if folder == Path::new("docs") && !target.starts_with("docs") {
            wrong.push(format!("{link}: not a part of the book; name its path"));
        }
        let there = if file.is_empty() {
            text.to_owned()
        } else if anchor.is_empty() {
            continue;
        } else {
            read(&target)
        };
        if !anchors(&there).iter().any(|known| known == anchor) {
            wrong.push(format!("{link}: no such heading"));
        }
    }
    (wrong, checked)
}

#[test]
fn every_page_is_in_one_part_of_the_book() {
    let summary = read(Path::new("docs/SUMMARY.md"));
    let mut parts = Vec::new();
    let mut listed = BTreeMap::new();
    for line in summary.lines() {
        if let Some(part) = line.strip_prefix("# ").filter(|part| *part != "Summary") {
            parts.push(part);
        }
        for link in links(line) {
            let page = Path::new("docs").join(&link);
            assert!(root().join(&page).exists(), "no page {link}");
            // What the book begins with belongs to no part.
            assert_eq!(parts.is_empty(), link == "README.md", "{link}");
            let twice = listed.insert(page, parts.len());
            assert!(twice.is_none(), "{link} is listed twice");
        }
    }
    assert_eq!(parts, PARTS);
    let listed: Vec<PathBuf> = listed.into_keys().collect();
    assert_eq!(listed, pages(), "listed in docs/SUMMARY.md, and there");
}

#[test]
fn every_page_has_one_title() {
    for page in pages() {
        let headings = headings(&read(&page));
        assert_eq!(headings[0].0, 1, "{page:?} does not begin with a title");
        let titles = headings.iter().filter(|(level, _)| *level == 1);
        assert_eq!(titles.count(), 1, "{page:?}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut files = pages();
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        files.push(name.into());
    }
    for folder in ["board", "benches", "yocto", "fuzz"] {
        collect(Path::new(folder), &mut files);
    }
    let mut seen = 0;
    let mut all = Vec::new();
    for file in files {
        let (wrong, checked) = wrong_links(&file, &read(&file));
        seen += checked;
        all.extend(
            wrong
                .into_iter()
                .map(|what| format!("{}: {what}", file.display())),
        );
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    assert!(seen > 60, "only {seen} links were looked at");
}

/// Adds the Markdown files below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|ending| ending == "md") {
            files.push(path);
        }
    }
}

#[test]
fn a_wrong_link_is_found() {
    let page = Path::new("docs/safety.md");
    for (text, count) in [
        ("[a](stock.md) [b](safety.md#the-safe-plan)", 0),
        ("[a](stocks.md)", 1),
        ("[a](safety.md#the-safe-plans)", 1),
        ("[a](../README.md)", 1),
        ("[a](../../README.md)", 1),
        ("# A `b` c\n# A `b` c\n[a](#a-b-c) [a](#a-b-c-1)", 0),
        ("# A\n[a](#b)", 1),
        ("`[a](b.md)` ``[`a`](b.md)``\n```\n[a](b.md)\n```", 0),
        ("[a](https://example.org/b.md)", 0),
    ] {
        let (wrong, _) = wrong_links(page, text);
        assert_eq!(wrong.len(), count, "{text}: {wrong:?}");
    }
}

/// docs/memory.md says what the kernel does, each by the rule that tests it.
#[test]
fn the_page_on_memory_has_every_rule_of_the_kernel() {
    let page = read(Path::new("docs/memory.md"));
    let mut rules = 0;
    for file in ["locks", "fork", "limits"] {
        let source = read(&Path::new("tests/memory_rules").join(format!("{file}.rs")));
        for rule in source.split("kernel_rule(").skip(1) {
            let Some(name) = rule.trim_start().strip_prefix('"') else {
                continue;
            };
            let name = name.split('"').next().unwrap();
            rules += 1;
            assert!(page.contains(&format!("`{name}`")), "no {name}");
        }
    }
    let names = page.matches("` |\n").count();
    assert!(rules > 20, "only {rules} rules were found");
    assert_eq!(names, rules, "a rule that does not exist, or one twice");
}

/// docs/commands.md has the usage of the firmware, word for word.
#[cfg(feature = "linux")]
#[test]
fn the_page_on_commands_has_the_usage() {
    let help = steadfast::command::args::HELP;
    let usage = &help[help.find("usage:").unwrap()..help.find("\nexit codes").unwrap()];
    let page = read(Path::new("docs/commands.md"));
    assert!(page.contains(&format!("```text\n{usage}```")), "{usage}");
    for code in 0..=5 {
        assert!(help.contains(&format!("{code} ")), "{help}");
        assert!(
            page.contains(&format!("\n| {code} | ")),
            "no exit code {code}"
        );
    }
}
