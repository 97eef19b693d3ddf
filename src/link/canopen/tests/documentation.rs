//! `docs/canopen.md` has the objects of the table.

use super::super::object::{Access, Mapping, Part, Source, Type, Unit};
use super::super::table::OBJECTS;
use std::fmt::Write as _;

const BEGIN: &str = "<!-- objects: generated, see src/link/canopen/tests/documentation.rs -->\n";
const END: &str = "<!-- end of objects -->\n";

fn objects() -> String {
    let mut text = String::from(
        "\n| object | name | type | access | PDO | unit | remarks |\n|---|---|---|---|---|---|---|\n",
    );
    for object in &OBJECTS {
        if object.part == Part::Member && object.name.is_empty() {
            continue;
        }
        let sub = match (object.part, object.subs) {
            (Part::Variable, _) => String::new(),
            (_, 1) => format!(":{}", object.sub),
            (_, subs) => format!(":{}-{}", object.sub, object.sub + subs - 1),
        };
        let name = match object.part {
            Part::Array | Part::Record => format!("**{}**", object.name),
            _ => object.name.to_owned(),
        };
        let kind = match object.kind {
            Type::I8 => "INTEGER8",
            Type::I16 => "INTEGER16",
            Type::I32 => "INTEGER32",
            Type::U8 => "UNSIGNED8",
            Type::U16 => "UNSIGNED16",
            Type::U32 => "UNSIGNED32",
            Type::Text => "VISIBLE_STRING",
            Type::Domain => "DOMAIN",
        };
        let access = match object.access {
            Access::Const => "const",
            Access::Ro => "ro",
            Access::Rw => "rw",
        };
        let mapping = match object.mapping {
            Mapping::No => "",
            Mapping::Tx => "T",
            Mapping::Event => "T, event",
            Mapping::Rx => "R",
        };
        let unit = match object.source {
            Source::Drive(_, Unit::Position) => "10^-6 rad",
            Source::Drive(_, Unit::Velocity) => "10^-6 rad/s",
            Source::Drive(_, Unit::Acceleration) => "10^-3 rad/s²",
            Source::Drive(_, Unit::Time) => "ms",
            _ => "",
        };
        let _ = writeln!(
            text,
            "| {:04X}h{sub} | {name} | {kind} | {access} | {mapping} | {unit} | {} |",
            object.index, object.note
        );
    }
    text.push('\n');
    text
}

#[test]
fn the_documented_objects_are_those_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/canopen.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (now, after) = rest.split_once(END).unwrap();
    let expected = objects();
    if std::env::var_os("STEADFAST_ACCEPT").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(
        now == expected,
        "docs/canopen.md differs: STEADFAST_ACCEPT=1 cargo test --lib canopen"
    );
}
