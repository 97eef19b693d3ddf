//! The simulated board with as many axes as a measurement wants.

/// Tables of the simulated board that an axis has to itself.
const OWN: [&str; 6] = [
    "output.enable",
    "output.brake_release",
    "encoder.shaft",
    "analog_output.torque",
    "axis.x",
    "simulation.motor.x",
];

/// The board file `simulated`, whose one axis is `x`, with `axes` axes: each further one
/// is a copy of the first, with channels and a motor of its own.
///
/// # Panics
/// The board file has not the tables of an axis to copy.
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

/// `text` cut before each table.
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

/// `tables` for axis `number`: the names that the first axis has to itself, where they
/// are defined and where they are referred to.
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
