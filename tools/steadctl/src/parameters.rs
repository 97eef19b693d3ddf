//! `steadctl parameters`, `diff`, `revert`, `save` and `restore`, and the part of `set` for parameters: changes of a
//! running controller that stay.

use std::fmt::Write as _;
use std::path::Path;

use crate::client::{Client, Parameter};
use crate::{BAD_INPUT, Failure, print, units};

/// `value` with the unit of `parameter`.
pub(crate) fn shown(value: f64, parameter: &Parameter) -> String {
    format!("{value} {}", parameter.unit).trim_end().to_owned()
}

/// The parameters of the controller, if one of `names` is not a signal.
pub(crate) fn if_named(client: &mut Client, names: &[String]) -> Result<Vec<Parameter>, Failure> {
    let mut known = Vec::new();
    if names.iter().any(|name| client.signal(name).is_err()) {
        known = client.parameters()?;
    }
    // Without one of them among the names it is the signal that is wrong.
    if !known
        .iter()
        .any(|parameter| names.contains(&parameter.name))
    {
        known.clear();
    }
    Ok(known)
}

/// The parameter `name`.
fn find<'p>(known: &'p [Parameter], name: &str) -> Result<&'p Parameter, Failure> {
    let found = known.iter().find(|parameter| parameter.name == name);
    found.ok_or_else(|| {
        let what = format!("there is no parameter \"{name}\"; `steadctl parameters` lists them");
        Failure(BAD_INPUT, what)
    })
}

/// Lists all parameters.
pub(crate) fn list(socket: Option<&Path>) -> Result<u8, Failure> {
    let known = Client::connect(socket)?.parameters()?;
    let most = known.iter().map(|parameter| parameter.name.len()).max();
    let width = most.unwrap_or(0);
    let mut text = String::new();
    for parameter in &known {
        let (min, max) = parameter.range;
        let (name, value) = (&parameter.name, shown(parameter.value, parameter));
        let _ = write!(text, "{name:width$}  {value}   {min} to {max}");
        if parameter.value != parameter.start {
            let _ = write!(text, ", {} at the start", parameter.start);
        }
        text.push('\n');
    }
    print(&text).map(|()| 0)
}

/// Lists the parameters that differ from those of the start, of the board file or of the next
/// start.
pub(crate) fn diff(socket: Option<&Path>) -> Result<u8, Failure> {
    let mut client = Client::connect(socket)?;
    let mut text = String::new();
    for known in client.parameters()? {
        let [board, next] = client.kept(&known)?;
        let Parameter { value, start, .. } = known;
        if [value, board, next].iter().all(|value| *value == start) {
            continue;
        }
        let _ = match value == start {
            true => write!(text, "{}  {}", known.name, shown(value, &known)),
            false => write!(text, "{}", changes(&known, start, value).trim_end()),
        };
        if next != board {
            let _ = write!(text, ", saved {next}");
        }
        if board != start {
            let _ = write!(text, ", board file {board}");
        }
        text.push('\n');
    }
    print(&text).map(|()| 0)
}

/// Saves the parameters for the next start, or removes the saved ones.
pub(crate) fn save(socket: Option<&Path>, defaults: bool) -> Result<u8, Failure> {
    let saved = Client::connect(socket)?.save(defaults)?;
    let text = match (defaults, saved) {
        (true, _) => "removed; the next start has the parameters of the board file\n".to_owned(),
        (false, 0) => "nothing to save: all parameters are those of the board file\n".to_owned(),
        (false, _) => format!("saved {saved} parameters for the next start\n"),
    };
    print(&text).map(|()| 0)
}

/// One line of a change.
fn changes(parameter: &Parameter, before: f64, after: f64) -> String {
    let name = &parameter.name;
    format!("{name}  {before} -> {}\n", shown(after, parameter))
}

/// Sets the parameters in `pairs` of names and values, all or none.
pub(crate) fn set(
    client: &mut Client,
    known: &[Parameter],
    pairs: &[[String; 2]],
) -> Result<u8, Failure> {
    let settings = pairs.iter().map(|[name, value]| {
        let parameter = find(known, name)?;
        Ok((parameter, units::value(value, &parameter.unit)?))
    });
    let settings = settings.collect::<Result<Vec<_>, Failure>>()?;
    client.change(false, &settings)?;
    let lines = settings.iter();
    let lines = lines.map(|(parameter, value)| changes(parameter, parameter.value, *value));
    print(&lines.collect::<String>()).map(|()| 0)
}

/// Sets the parameters `names`, or all, back to their values of the start.
pub(crate) fn revert(socket: Option<&Path>, names: &[String]) -> Result<u8, Failure> {
    let mut client = Client::connect(socket)?;
    let known = client.parameters()?;
    if names.is_empty() {
        client.change(true, &[])?;
    } else {
        let settings = names.iter().map(|name| {
            let parameter = find(&known, name)?;
            Ok((parameter, parameter.start))
        });
        let settings = settings.collect::<Result<Vec<_>, Failure>>()?;
        client.change(false, &settings)?;
    }
    let reverted = known.iter().filter(|known| {
        known.value != known.start && (names.is_empty() || names.contains(&known.name))
    });
    let lines = reverted.map(|known| changes(known, known.value, known.start));
    print(&lines.collect::<String>()).map(|()| 0)
}
