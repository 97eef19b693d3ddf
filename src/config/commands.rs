//! Commands from outside: reads `[command.X]`, and numbers the commands of laws at the root.
//!
//! What a link may set is a command signal. Signals that have one owner and one timeout are a
//! group: the commands of an axis, or one `[command.X]`.

use std::ops::RangeInclusive;

use super::groups::{CommandGroup, Groups};
use super::reader::{Result, Table};
use super::root_tables::RootTables;
use super::signals::{Index, Signals};
use super::types::Type;
use crate::cycle::received::MAX_GROUPS;
use crate::cycle::signal::Input;
use crate::time::Duration;

/// Most `[command.X]`.
const MAX_COMMANDS: usize = 16;
/// Longest timeout of a command, ms.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// Units of a `[command.X]`.
const UNITS: [&str; 22] = [
    "", "1", "V", "A", "W", "rad", "rad/s", "rad/s^2", "m", "m/s", "m/s^2", "N", "Nm", "Pa", "K",
    "degC", "Hz", "s", "%", "kg", "l/min", "mmH2O",
];

/// A group while its commands are declared.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct GroupNumber(u8);

impl Signals {
    /// The groups of commands from outside.
    #[must_use]
    pub const fn groups(&self) -> &Groups {
        &self.received
    }

    /// Adds the group of `table`; `None` when the process image is full.
    fn group(&mut self, name: &str, timeout: Duration, table: &Table<'_>) -> Option<GroupNumber> {
        let number = self.received.groups.len();
        if number >= MAX_GROUPS {
            return None;
        }
        self.received.groups.push(CommandGroup {
            name: name.to_owned(),
            timeout,
            first: u8::try_from(self.received.ranges.len()).ok()?,
            count: 0,
            span: table.span().clone(),
        });
        Some(GroupNumber(number as u8))
    }

    /// Adds a command to the group that was added last; `None` when the process image is full.
    fn receive(
        &mut self,
        group: GroupNumber,
        owner: &str,
        name: &str,
        unit: &'static str,
        range: &RangeInclusive<f64>,
    ) -> Option<Input<f64>> {
        let number = u8::try_from(self.received.ranges.len()).ok()?;
        let signal = Input::received(number, group.0)?;
        self.received.ranges.push((*range.start(), *range.end()));
        self.received.groups.last_mut()?.count += 1;
        self.add(
            owner,
            name,
            Type::Number,
            unit,
            Index::Received(number, group.0),
        );
        Some(signal)
    }

    /// Reads `[command.X]`.
    pub(super) fn read_commands(&mut self, root: &mut Table<'_>, period: Duration) -> Result<()> {
        for (name, mut table) in root.tables("command", MAX_COMMANDS)? {
            let units = UNITS.map(|unit| (unit, unit));
            let unit = table.choice_or("unit", &units, "")?;
            let least = table.number("min", -1.0e9..=1.0e9)?;
            let most = table.number("max", -1.0e9..=1.0e9)?;
            if least > most {
                let what = format!("`max` of {} is below its `min`", table.title());
                return Err(table.error_at("max", what, "make it the greater of the two"));
            }
            let timeout = read_timeout(&mut table, period)?;
            let added = self
                .group(&format!("command.{name}"), timeout, &table)
                .and_then(|group| self.receive(group, "command", name, unit, &(least..=most)));
            if added.is_none() {
                return Err(full(&table));
            }
            table.finish()?;
        }
        Ok(())
    }
}

impl RootTables<'_, '_> {
    /// Adds a group of commands from outside with the name `name` and the timeout of the key
    /// `timeout_ms` of `table`.
    ///
    /// # Errors
    /// The key is missing or out of range; there are too many groups.
    pub fn command_group(&mut self, table: &mut Table<'_>, name: &str) -> Result<GroupNumber> {
        let timeout = read_timeout(table, self.period)?;
        let group = self.signals.group(name, timeout, table);
        group.ok_or_else(|| full(table))
    }

    /// Adds the command `owner.name` in `unit` within `range` to `group`, which must be the group
    /// that was added last.
    ///
    /// # Errors
    /// The process image has no room for another command.
    pub fn command(
        &mut self,
        table: &Table<'_>,
        group: GroupNumber,
        (owner, name): (&str, &str),
        unit: &'static str,
        range: &RangeInclusive<f64>,
    ) -> Result<Input<f64>> {
        self.signals
            .receive(group, owner, name, unit, range)
            .ok_or_else(|| full(table))
    }
}

/// The key `timeout_ms`.
fn read_timeout(table: &mut Table<'_>, period: Duration) -> Result<Duration> {
    let timeout = Duration::from_millis(table.integer("timeout_ms", 1..=MAX_TIMEOUT_MS)?);
    if timeout < period * 2 {
        return Err(table.error_at(
            "timeout_ms",
            "`timeout_ms` is shorter than two periods of the loop".to_owned(),
            "a command is looked at once in a period; make it longer",
        ));
    }
    Ok(timeout)
}

fn full(table: &Table<'_>) -> super::error::ConfigError {
    table.error(
        "the machine has too many commands from outside",
        format!("use at most {MAX_GROUPS} commanded laws and [command.X]"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use crate::time::Duration;

    const BOARD: &str = include_str!("../../board/sim/board.toml");

    fn read(commands: &str) -> Result<Config, String> {
        let text = format!("{BOARD}\n{commands}");
        let registry = crate::stock::registry();
        let read = Config::parse_with("board.toml", &text, &registry);
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_is_a_signal_with_a_timeout_of_its_own() {
        let config = read(
            "[link.local]\n[command.speed]\nunit = \"rad/s\"\nmin = -5.0\nmax = 5.0\ntimeout_ms = 100\n\
             [command.mix]\nmin = 0.0\nmax = 1.0\ntimeout_ms = 20\n",
        )
        .unwrap();
        let groups = config.machine.signals.groups();
        let names: Vec<_> = groups
            .groups
            .iter()
            .map(|group| group.name.as_str())
            .collect();
        assert_eq!(names, ["command.speed", "command.mix"]);
        assert_eq!(groups.groups[1].timeout, Duration::from_millis(20));
        assert_eq!(groups.ranges, [(-5.0, 5.0), (0.0, 1.0)]);
    }

    #[test]
    fn wrong_commands_are_refused() {
        for (commands, what) in [
            (
                "[command.x]\nmin = 2.0\nmax = 1.0\ntimeout_ms = 9",
                "is below its `min`",
            ),
            (
                "[command.x]\nmin = 1.0\nmax = 1.0\ntimeout_ms = 1",
                "shorter than two periods",
            ),
            ("[command.x]\nmin = 1.0\nmax = 1.0", "has no `timeout_ms`"),
            (
                "[command.x]\nunit = \"furlong\"\nmin = 1.0\nmax = 1.0\ntimeout_ms = 9",
                "furlong",
            ),
        ] {
            let error = read(commands).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
