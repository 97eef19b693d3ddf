//! Names of channels, resolved to their numbers in the process image.

use super::Config;
use super::error::ConfigError;
use super::io::Io;
use super::reader::{At, Result, Table, nearest};

/// The kinds of channels that can be named.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Input,
    Output,
    Encoder,
    AnalogOutput,
    AnalogInput,
}

impl Kind {
    const fn header(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Encoder => "encoder",
            Self::AnalogOutput => "analog_output",
            Self::AnalogInput => "analog_input",
        }
    }

    fn names(self, io: &Io) -> Vec<&str> {
        match self {
            Self::Input => io.inputs.iter().map(|c| c.name.as_str()).collect(),
            Self::Output => io.outputs.iter().map(|c| c.name.as_str()).collect(),
            Self::Encoder => io.encoders.iter().map(|c| c.name.as_str()).collect(),
            Self::AnalogOutput => io.analog_outputs.iter().map(|c| c.name.as_str()).collect(),
            Self::AnalogInput => io.analog_inputs.iter().map(|c| c.name.as_str()).collect(),
        }
    }
}

/// The index of `name` among `names`, those of all `[header.NAME]`; else what is
/// wrong with it, and how to put it right.
fn find(names: &[&str], name: &str, header: &str) -> std::result::Result<usize, (String, String)> {
    if let Some(index) = names.iter().position(|known| *known == name) {
        return Ok(index);
    }
    let fix = match (names, nearest(names, name)) {
        ([], _) => format!("add a table [{header}.{name}]"),
        (names, Some(near)) => {
            format!("did you mean \"{near}\"? There is: {}", names.join(", "))
        }
        (names, None) => format!("there is: {}", names.join(", ")),
    };
    Err((format!("there is no [{header}.{name}]"), fix))
}

/// The index of what `at` names among `names`, those of all `[header.NAME]`.
pub(super) fn index_of(
    names: &[&str],
    at: &At<&str>,
    header: &str,
    table: &Table<'_>,
) -> Result<usize> {
    find(names, at.value, header).map_err(|(what, fix)| table.source().error(&at.span, what, fix))
}

/// The number of the channel `name`, as somebody asks for it who is not in the
/// board file.
pub(super) fn number_of(config: &Config, kind: Kind, name: &str) -> Result<u8> {
    // No kind has more than 32.
    find(&kind.names(&config.io), name, kind.header())
        .map(|index| index as u8)
        .map_err(|(what, fix)| ConfigError {
            file: config.file.clone(),
            place: None,
            what,
            fix,
        })
}

/// The channel that `key` names.
pub(super) fn channel(table: &mut Table<'_>, key: &'static str, kind: Kind, io: &Io) -> Result<u8> {
    let at = table.text(key)?;
    // No kind has more than 32.
    index_of(&kind.names(io), &at, kind.header(), table).map(|index| index as u8)
}

/// The channel that `key` names, where it is there.
pub(super) fn channel_if(
    table: &mut Table<'_>,
    key: &'static str,
    kind: Kind,
    io: &Io,
) -> Result<Option<u8>> {
    if table.has(key) {
        channel(table, key, kind, io).map(Some)
    } else {
        Ok(None)
    }
}

/// Channels that the controller uses, each for one purpose only: an output that
/// is a brake and a lamp, or an input that is the emergency stop and a limit
/// switch, is a mistake in every case.
#[derive(Default)]
pub(super) struct Claims(Vec<((Kind, u8), String, usize)>);

impl Claims {
    /// The channel that `key` names, for nobody else.
    pub(super) fn channel(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        kind: Kind,
        io: &Io,
    ) -> Result<u8> {
        let at = table.text(key)?;
        let channel = channel(table, key, kind, io)?;
        let claim = (kind, channel);
        match self.0.iter().find(|(claimed, ..)| *claimed == claim) {
            None => {
                let owner = format!("`{key}` of {}", table.title());
                let line = table.source().place(&at.span).line;
                self.0.push((claim, owner, line));
                Ok(channel)
            }
            Some((_, first, line)) => Err(table.source().error(
                &at.span,
                format!(
                    "[{}.{}] is used already, by {first} in line {line}",
                    kind.header(),
                    at.value
                ),
                "give each its own channel",
            )),
        }
    }

    /// The channel that `key` names, for nobody else, where it is there.
    pub(super) fn channel_if(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        kind: Kind,
        io: &Io,
    ) -> Result<Option<u8>> {
        if table.has(key) {
            self.channel(table, key, kind, io).map(Some)
        } else {
            Ok(None)
        }
    }
}
