//! The simulated board with any number of axes.

/// Tables of the simulated board that belong to one axis.
const OWN: [&str; 6] = [
    "output.enable",
    "output.brake_release",
    "encoder.shaft",
    "analog_output.torque",
    "axis.x",
    "simulation.motor.x",
];

/// The board file `simulated`, whose only axis is `x`, with `axes` axes: each further axis
/// is a copy of the first, with its own channels and motor.
///
/// # Panics
/// The board file lacks a table of the axis to copy.
#[must_use]
pub fn board_file(simulated: &str, axes: usize) -> String {
    let mut text = simulated.to_owned();
    let own: String = tables(simulated).filter(|table| is_own(table)).collect();
    for table in OWN {
        let head = format!("[{table}]\n");
        assert!(own.contains(&head), "the board file has no {head}");
    }
    for number in 1..axes {
        text.push('\n');
        text.push_str(&renamed(&own, number));
    }
    text
}

/// `text`, split before each table.
fn tables(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.get(1..)?.find("\n[").map_or(rest.len(), |at| at + 2);
        let (table, after) = rest.split_at(end);
        rest = after;
        Some(table)
    })
}

fn is_own(table: &str) -> bool {
    let head = table.lines().next().unwrap_or_default();
    OWN.iter().any(|own| {
        let rest = head.strip_prefix('[').and_then(|h| h.strip_prefix(own));
        rest.is_some_and(|rest| rest.starts_with(['.', ']']))
    })
}

/// `tables` for axis `number`: renames the tables of the first axis, in their headers and
/// in references.
fn renamed(tables: &str, number: usize) -> String {
    let mut text = tables.to_owned();
    for own in OWN {
        let (kind, name) = own.rsplit_once('.').unwrap_or(("", own));
        for end in ['.', ']'] {
            let old = format!("[{own}{end}");
            text = text.replace(&old, &format!("[{kind}.{name}{number}{end}"));
        }
        text = text.replace(&format!("\"{name}\""), &format!("\"{name}{number}\""));
    }
    text
}
