//! Resolves names of channels to their numbers in the process image, and records which key
//! uses which channel.

use super::error::{ConfigError, Details};
use super::found::{find, index_of};
use super::io::Io;
use super::reader::{Result, Table};
use crate::cycle::image::{InputChannel, OutputChannel};

/// The kinds of channels.
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

/// The number of the channel `name`, for a caller outside of the board file: its error has no
/// position in the file.
pub(super) fn number_of(io: &Io, file: &str, kind: Kind, name: &str) -> Result<u8> {
    // No kind has more than 32 channels.
    find(&kind.names(io), name, kind.header())
        .map(|index| index as u8)
        .map_err(|(what, fix)| {
            ConfigError::from(Details {
                file: file.to_owned(),
                position: None,
                what,
                fix,
            })
        })
}

/// The digital input with this number, which the reader has limited to the size of the process
/// image.
pub(super) fn input(number: u8) -> InputChannel {
    InputChannel::new(number).expect("the number of [input.NAME] is bounded")
}

/// As [`input`], for `[output.NAME]`.
pub(super) fn output(number: u8) -> OutputChannel {
    OutputChannel::new(number).expect("the number of [output.NAME] is bounded")
}

/// The channel that `key` names.
pub(super) fn channel(table: &mut Table<'_>, key: &'static str, kind: Kind, io: &Io) -> Result<u8> {
    let at = table.text(key)?;
    // No kind has more than 32 channels.
    index_of(&kind.names(io), &at, kind.header(), table).map(|index| index as u8)
}

/// The channel that `key` names; `None` without the key.
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

/// The channels that laws at the root use, each for one purpose: an output that is a brake and
/// a lamp, or an input that is the emergency stop and a limit switch, is always a mistake.
#[derive(Default)]
pub(super) struct Claims(Vec<((Kind, u8), String, usize)>);

impl Claims {
    /// The claimed outputs: name as a signal, the key that claimed it, and its line.
    pub(super) fn outputs<'c>(
        &'c self,
        io: &'c Io,
    ) -> impl Iterator<Item = (String, &'c str, usize)> {
        let driven = |kind| matches!(kind, Kind::Output | Kind::AnalogOutput);
        let mine = self.0.iter().filter(move |((kind, _), ..)| driven(*kind));
        mine.filter_map(|((kind, channel), owner, line)| {
            let names = kind.names(io);
            let name = names.get(usize::from(*channel))?;
            Some((format!("{}.{name}", kind.header()), owner.as_str(), *line))
        })
    }

    /// The channel that `key` names, claimed by this table.
    pub(super) fn channel(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        kind: Kind,
        io: &Io,
    ) -> Result<u8> {
        let at = table.text(key)?;
        let channel = channel(table, key, kind, io)?;
        let shown = format!("[{}.{}]", kind.header(), at.value);
        self.take(table, key, (kind, channel), &shown)?;
        Ok(channel)
    }

    /// Claims `claim` for `key` of `table`; errors call it `shown`.
    pub(super) fn take(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        claim: (Kind, u8),
        shown: &str,
    ) -> Result<()> {
        let Some((_, first, line)) = self.0.iter().find(|(claimed, ..)| *claimed == claim) else {
            let at = table.text(key)?;
            let owner = format!("`{key}` of {}", table.title());
            let line = table.source().position(&at.span).line;
            self.0.push((claim, owner, line));
            return Ok(());
        };
        let what = format!("{shown} is already used by {first} in line {line}");
        Err(table.error_at(key, what, "give each its own channel"))
    }

    /// The digital input that `key` names, claimed by this table; `None` without the key.
    pub(super) fn input_if(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        io: &Io,
    ) -> Result<Option<InputChannel>> {
        self.channel_if(table, key, Kind::Input, io)
            .map(|channel| channel.map(input))
    }

    /// The digital output that `key` names, claimed by this table.
    pub(super) fn output(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        io: &Io,
    ) -> Result<OutputChannel> {
        self.channel(table, key, Kind::Output, io).map(output)
    }

    /// The digital output that `key` names, claimed by this table; `None` without the key.
    pub(super) fn output_if(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        io: &Io,
    ) -> Result<Option<OutputChannel>> {
        self.channel_if(table, key, Kind::Output, io)
            .map(|channel| channel.map(output))
    }

    /// The channel that `key` names, claimed by this table; `None` without the key.
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
