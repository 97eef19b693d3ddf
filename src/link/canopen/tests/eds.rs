//! The EDS and the table behind it.

use super::super::eds::Cursor;
use super::super::object::{Access, Mapping, Part, Type};
use super::super::table::{OBJECTS, find, index_of, instances};
use super::fake::Bench;
use std::collections::BTreeMap;

/// The whole text, read in steps of `step` bytes.
fn text(axes: u8, step: usize) -> String {
    let mut cursor = Cursor::START;
    let mut all = Vec::new();
    let mut bytes = vec![0; step];
    loop {
        let read = cursor.read(axes, &mut bytes);
        all.extend(&bytes[..read]);
        if read < step {
            return String::from_utf8(all).unwrap();
        }
    }
}

/// Sections by name, in order of keys.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(section) = line.strip_prefix('[') {
            name = section.strip_suffix(']').unwrap().to_owned();
            let before = sections.insert(name.clone(), BTreeMap::new());
            assert!(before.is_none(), "[{name}] twice");
        } else {
            let (key, value) = line.split_once('=').unwrap();
            let section = sections.get_mut(&name).unwrap();
            let before = section.insert(key.to_owned(), value.to_owned());
            assert!(before.is_none(), "{key} twice in [{name}]");
        }
    }
    sections
}

#[test]
fn the_text_does_not_depend_on_how_it_is_read() {
    let whole = text(2, 100_000);
    for step in [1, 7, 333] {
        assert!(text(2, step) == whole, "{step}");
    }
}

#[test]
fn the_table_is_sorted_and_its_records_are_complete() {
    for pair in OBJECTS.windows(2) {
        let [a, b] = pair else { unreachable!() };
        assert!((a.index, a.sub + a.subs - 1) < (b.index, b.sub), "{b:?}");
        assert_eq!(a.index == b.index, b.part == Part::Member, "{b:?}");
    }
    for object in &OBJECTS {
        assert!(!object.name.is_empty() && object.name.is_ascii());
        assert!(object.access == Access::Rw || object.range.is_none());
        assert!(object.mapping != Mapping::Rx || object.access == Access::Rw);
    }
}

#[test]
fn every_object_of_the_table_is_in_the_eds_and_no_other() {
    for axes in [1, 3, 8] {
        let all = sections(&text(axes, 4096));
        let mut expected = 6;
        for object in &OBJECTS {
            for instance in 0..instances(object.index, axes) {
                let index = index_of(object.index, instance);
                if object.part == Part::Variable {
                    assert!(all.contains_key(&format!("{index:04X}")));
                    expected += 1;
                    continue;
                }
                expected += u32::from(object.sub == 0);
                for sub in object.sub..object.sub + object.subs {
                    let name = format!("{index:04X}sub{sub:X}");
                    assert!(all.contains_key(&name), "{name}");
                    expected += 1;
                }
            }
        }
        assert_eq!(all.len(), expected as usize);
        let pdos = (4 * axes).to_string();
        assert_eq!(all["DeviceInfo"]["NrOfRXPDO"], pdos);
        let optional = &all["OptionalObjects"];
        assert_eq!(
            optional["SupportedObjects"],
            (optional.len() - 1).to_string()
        );
        let listed = ["MandatoryObjects", "OptionalObjects", "ManufacturerObjects"]
            .map(|list| all[list].len() - 1);
        let whole = all.keys().filter(|name| name.len() == 4).count();
        assert_eq!(listed.iter().sum::<usize>(), whole);
    }
}

#[test]
fn the_defaults_of_the_eds_are_the_values_of_a_new_node() {
    let mut bench = Bench::new(2);
    let mut compared = 0;
    for (name, keys) in sections(&text(2, 4096)) {
        let Some(default) = keys.get("DefaultValue") else {
            continue;
        };
        let (index, sub) = name.split_once("sub").unwrap_or((&name, "0"));
        let index = u16::from_str_radix(index, 16).unwrap();
        let sub = u8::from_str_radix(sub, 16).unwrap();
        let found = find(index, sub, 2).unwrap();
        if found.object.kind == Type::Text {
            continue;
        }
        let (node_id, number) = match default.strip_prefix("$NODEID+") {
            Some(number) => (5, number),
            None => (0, default.as_str()),
        };
        let value = match number.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).unwrap(),
            None => number.parse().unwrap(),
        };
        let read = bench.read(index, sub).unwrap();
        assert_eq!(found.object.kind.value(read), value + node_id, "{name}");
        compared += 1;
    }
    assert!(compared > 200, "{compared}");
}
