//! Which signals a client of a link may force, and while what.

use super::guarded::Guarded;
use super::io::Io;
use super::machine::Machine;
use super::reader::{Result, Table};
use super::signals::{Index, Signal, Signals};
use super::types::Type;
use crate::cycle::force::Place;
use crate::cycle::image::{InputChannel, OutputChannel};
use crate::link::force::{Never, Rule, noted};
use crate::link::local::LocalConfig;

/// Most signals of one list.
const MOST: usize = 64;

impl Signals {
    /// The channels that are needed for safety.
    #[must_use]
    pub const fn guarded(&self) -> &Guarded {
        &self.guarded
    }

    /// The signals that may be forced: number of the place as in a black box, and name.
    pub(super) fn named_places(&self) -> Vec<String> {
        let named = |signal: &Signal| {
            let place = self.place(signal).ok()?;
            Some(format!("{} {}", noted(place), signal.name))
        };
        self.iter().filter_map(named).collect()
    }

    /// The place of `signal` in the process image, or why it is never forced.
    fn place(&self, signal: &Signal) -> core::result::Result<Place, Never> {
        let guarded = &self.guarded;
        let unless = |mask: u32, number: u8, place: Option<Place>| match place {
            Some(place) if mask >> (number % 32) & 1 == 0 => Ok(place),
            _ => Err(Never::Safety),
        };
        match (signal.index(), signal.of) {
            (Index::InputLine(number), _) => {
                let channel = InputChannel::new(number);
                unless(guarded.inputs, number, channel.map(Place::InputLine))
            }
            (Index::OutputLine(number), _) => {
                let channel = OutputChannel::new(number);
                unless(guarded.outputs, number, channel.map(Place::OutputLine))
            }
            (Index::Sensed(number), Type::Angle) => {
                unless(guarded.angles, number, Some(Place::Angle(number)))
            }
            (Index::Sensed(number), Type::Flag) => Ok(Place::Flag(number)),
            (Index::Sensed(number), Type::Number) => Ok(Place::Number(number)),
            (Index::Commanded(number), Type::Flag) => Ok(Place::CommandFlag(number)),
            (Index::Commanded(number), _) => Ok(Place::Command(number)),
            (Index::Received(..), _) => Err(Never::Command),
        }
    }
}

/// The numbers of the signals in the list `key`; none without the key.
pub(super) fn list(
    table: &mut Table<'_>,
    signals: &Signals,
    key: &'static str,
) -> Result<Vec<usize>> {
    if !table.has(key) {
        return Ok(Vec::new());
    }
    let names = table.any_signals(key, MOST)?;
    let mut numbers = Vec::new();
    for at in names {
        let named = signals.named(table.source(), &at, None)?;
        let is_it = |signal: &Signal| signal.name == named.name;
        numbers.extend(signals.iter().position(is_it));
        let of_drive = matches!(
            (named.index(), named.of),
            (Index::Commanded(number), Type::Number)
                if signals.guarded.volts >> (number % 64) & 1 != 0
        );
        if key == "force_with_power" && (of_drive || signals.place(named).is_err()) {
            let why = match signals.place(named) {
                Err(never) => never.to_string(),
                Ok(_) => "is the voltage of a drive".to_owned(),
            };
            let what = format!("\"{}\" {why}", at.value);
            return Err(table.error_in(&at.span, what, "remove it from this list"));
        }
    }
    Ok(numbers)
}

impl Machine {
    /// The rule of each signal and value of [`Machine::described`], in its order.
    pub(crate) fn force_rules(&self, io: &Io, local: &LocalConfig) -> Vec<Rule> {
        let of_law = |name: &str| {
            let owner = name.split_once('.').map(|(owner, _)| owner);
            let mut laws = self.laws.iter();
            laws.any(|law| law.name.is_some() && law.name.as_deref() == owner)
        };
        let rule = |signal: &Signal, number: usize| {
            let mut place = self.signals.place(signal);
            if of_law(&signal.name) {
                place = Err(Never::OfLaw);
            }
            if place.is_ok() && local.never_force.contains(&number) {
                place = Err(Never::Listed);
            }
            let range = match (signal.index(), signal.of) {
                (Index::Sensed(number), Type::Number) => (io.analog_inputs)
                    .get(usize::from(number))
                    .map(|input| (input.min_volts, input.max_volts)),
                (_, Type::Angle) => Some((-core::f64::consts::TAU, core::f64::consts::TAU)),
                _ => self.signals.range(signal),
            };
            Rule {
                place,
                range: range.unwrap_or((f64::MIN, f64::MAX)),
                is_flag: signal.of == Type::Flag,
                with_power: local.force_with_power.contains(&number),
            }
        };
        let rules = self.signals.iter().zip(0..);
        let mut rules: Vec<Rule> = rules.map(|(signal, number)| rule(signal, number)).collect();
        let statuses = self.laws.iter().map(|law| law.law.statuses().len()).sum();
        rules.extend(core::iter::repeat_n(
            Rule {
                place: Err(Never::OfLaw),
                range: (f64::MIN, f64::MAX),
                is_flag: false,
                with_power: false,
            },
            statuses,
        ));
        rules
    }
}
