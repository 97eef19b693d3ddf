//! Every dependency has a licence that `deny.toml` allows, for the targets of the firmware
//! and for the build machine.
//!
//! It needs `cargo metadata`: `tests/run host` runs it, a plain `cargo test` does not.

use std::process::Command;

use serde_json::Value;

/// Whether the allowed licences satisfy the SPDX expression (SPDX 2.3, annex D): `OR` needs
/// one side, `AND` both; `AND` has precedence. `/` is an old form of `OR` in crates.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any(&mut rest, allowed);
    met && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while let Some(("OR", rest)) = words.split_first().map(|(word, rest)| (*word, rest)) {
        *words = rest;
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while let Some(("AND", rest)) = words.split_first().map(|(word, rest)| (*word, rest)) {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    let Some((word, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    if *word == "(" {
        let met = any(words, allowed);
        return match words.split_first() {
            Some((&")", rest)) => {
                *words = rest;
                met
            }
            _ => false,
        };
    }
    if let Some((&"WITH", rest)) = words.split_first() {
        // An exception only adds permissions.
        *words = rest.get(1..).unwrap_or_default();
    }
    allowed.iter().any(|licence| licence == word)
}

fn allowed() -> Vec<String> {
    let text = include_str!("../deny.toml");
    let table = toml::de::DeTable::parse(text)
        .expect("deny.toml is TOML")
        .into_inner();
    let list = table["licenses"].get_ref()["allow"]
        .get_ref()
        .as_array()
        .expect("a list");
    list.iter()
        .map(|licence| {
            licence
                .get_ref()
                .as_str()
                .expect("a licence's name")
                .to_owned()
        })
        .collect()
}

fn packages(platform: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            platform,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // Only the resolved graph: the list also has packages of other platforms.
    let used: Vec<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("a graph")
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let all = metadata["packages"].as_array().expect("packages");
    all.iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| used.contains(&id)))
        .cloned()
        .collect()
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let allowed = allowed();
    let mut refused = Vec::new();
    let mut seen = 0;
    for platform in ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"] {
        for package in packages(platform) {
            seen += 1;
            let licence = package["license"].as_str().unwrap_or("");
            if !is_met(licence, &allowed) {
                refused.push(format!(
                    "{} {}: '{licence}'",
                    package["name"], package["version"]
                ));
            }
        }
    }
    assert!(
        seen > 10,
        "the graph has {seen} packages only: the check looked at nothing"
    );
    assert!(refused.is_empty(), "not allowed by deny.toml: {refused:#?}");
}

#[test]
fn a_licence_expression_is_accepted_only_with_allowed_licences() {
    let allowed = [
        "MIT".to_owned(),
        "Apache-2.0".to_owned(),
        "Unicode-3.0".to_owned(),
    ];
    for met in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only",
        "GPL-2.0-only AND MIT OR Apache-2.0",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for refused in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND GPL-2.0-only",
        "MIT Apache-2.0",
        "(MIT",
    ] {
        assert!(!is_met(refused, &allowed), "{refused}");
    }
}
