//! Finds a table of the board file by its name. The error for an unknown name suggests a
//! similar one.

use super::reader::{At, Result, Table, nearest};

/// The index of `name` among `names`, the names of all `[header.NAME]`; or what is wrong, and
/// the remedy.
pub(super) fn find(
    names: &[&str],
    name: &str,
    header: &str,
) -> std::result::Result<usize, (String, String)> {
    if let Some(index) = names.iter().position(|known| *known == name) {
        return Ok(index);
    }
    let fix = match (names, nearest(names, name)) {
        ([], _) => format!("add a table [{header}.{name}]"),
        (names, Some(near)) => {
            format!("did you mean \"{near}\"? Available: {}", names.join(", "))
        }
        (names, None) => format!("available: {}", names.join(", ")),
    };
    Err((format!("there is no [{header}.{name}]"), fix))
}

/// The index of the name `at` among `names`, the names of all `[header.NAME]`.
pub(super) fn index_of(
    names: &[&str],
    at: &At<&str>,
    header: &str,
    table: &Table<'_>,
) -> Result<usize> {
    table.note_name(at, header);
    find(names, at.value, header).map_err(|(what, fix)| table.source().error(&at.span, what, fix))
}
