//! The device tree of the running kernel as source text (Devicetree Specification, chapter 6).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::machine::Machine;
use super::secrets::{Secrets, arguments};

/// Where the kernel shows it: a folder for each node, a file for each property.
pub(super) const FOLDER: &str = "/sys/firmware/devicetree/base";
/// Largest property, bytes.
const MAX_PROPERTY: u64 = 1 << 20;
/// Deepest node: the tree of a board has about ten levels.
const MAX_DEPTH: usize = 32;

/// The tree without identities.
pub(super) fn source(machine: &Machine, secrets: &Secrets) -> Result<String, String> {
    let mut text = "/dts-v1/;\n\n".to_owned();
    node(machine, secrets, "", "/", 0, &mut text)?;
    Ok(text)
}

/// Writes the node `path` and the nodes below.
fn node(
    machine: &Machine,
    secrets: &Secrets,
    path: &str,
    name: &str,
    depth: usize,
    text: &mut String,
) -> Result<(), String> {
    let folder = format!("{FOLDER}{path}");
    let named = |error: std::io::Error| format!("{folder}: {error}");
    let indent = "\t".repeat(depth);
    let entries = fs::read_dir(machine.at(Path::new(&folder))).map_err(named)?;
    let mut properties = Vec::new();
    let mut nodes = Vec::new();
    for entry in entries {
        let entry = entry.map_err(named)?;
        let of_entry = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type().map_err(named)?.is_dir() {
            true => nodes.push(of_entry),
            // The kernel adds it to each node.
            false if of_entry == "name" => {}
            false => properties.push(of_entry),
        }
    }
    properties.sort();
    nodes.sort();
    let _ = writeln!(text, "{indent}{name} {{");
    for property in properties {
        let found = machine.read(Path::new(&format!("{folder}/{property}")), MAX_PROPERTY)?;
        let value = match found.bytes {
            line if path == "/chosen" && property == "bootargs" => {
                let line = String::from_utf8_lossy(&line).into_owned();
                (arguments(line.trim_end_matches('\0')) + "\0").into_bytes()
            }
            value => value,
        };
        let _ = match secrets.hide_property(path, &property, &value) {
            true => writeln!(text, "{indent}\t/* {property}: left out */"),
            false => writeln!(text, "{indent}\t{property}{};", shown(&value)),
        };
    }
    for below in nodes {
        if depth == MAX_DEPTH {
            return Err(format!("{folder}: more than {MAX_DEPTH} levels"));
        }
        node(
            machine,
            secrets,
            &format!("{path}/{below}"),
            &below,
            depth + 1,
            text,
        )?;
    }
    let _ = writeln!(text, "{indent}}};");
    Ok(())
}

/// A value with its sign of assignment: texts, cells of 32 bits, or bytes. Which of them it is, the
/// tree does not say.
fn shown(value: &[u8]) -> String {
    if value.is_empty() {
        return String::new();
    }
    if let Some(texts) = texts(value) {
        let quoted = texts
            .iter()
            .map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
        return format!(" = {}", quoted.collect::<Vec<_>>().join(", "));
    }
    let (cells, rest) = value.as_chunks::<4>();
    if rest.is_empty() {
        let cells = cells
            .iter()
            .map(|cell| format!("{:#x}", u32::from_be_bytes(*cell)));
        return format!(" = <{}>", cells.collect::<Vec<_>>().join(" "));
    }
    let bytes = value.iter().map(|byte| format!("{byte:02x}"));
    format!(" = [{}]", bytes.collect::<Vec<_>>().join(" "))
}

/// The texts of a value that consists of such, each ended by a zero byte.
fn texts(value: &[u8]) -> Option<Vec<&str>> {
    let texts = std::str::from_utf8(value.strip_suffix(&[0])?).ok()?;
    let texts: Vec<&str> = texts.split('\0').collect();
    let is_text =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    texts.iter().all(is_text).then_some(texts)
}
