//! Names of channels, resolved to their numbers in the process image.

use super::error::ConfigError;
use super::io::Io;
use super::reader::{At, Table};

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

    fn number(self, io: &Io, at: &At<&str>, table: &Table<'_>) -> Result<u8, ConfigError> {
        let names = self.names(io);
        if let Some(number) = names.iter().position(|name| *name == at.value) {
            return Ok(number as u8);
        }
        let header = self.header();
        let fix = match names.as_slice() {
            [] => format!("add a table [{header}.{}]", at.value),
            names => format!("there is: {}", names.join(", ")),
        };
        let what = format!("there is no [{header}.{}]", at.value);
        Err(table.source().error(&at.span, what, fix))
    }
}

/// The channel that `key` names.
pub(super) fn channel(
    table: &mut Table<'_>,
    key: &'static str,
    kind: Kind,
    io: &Io,
) -> Result<u8, ConfigError> {
    let at = table.text(key)?;
    kind.number(io, &at, table)
}

/// The channel that `key` names, where it is there.
pub(super) fn channel_if(
    table: &mut Table<'_>,
    key: &'static str,
    kind: Kind,
    io: &Io,
) -> Result<Option<u8>, ConfigError> {
    if table.has(key) {
        channel(table, key, kind, io).map(Some)
    } else {
        Ok(None)
    }
}
