//! Parameters of control laws that clients change while the loop runs.
//!
//! A change is a set: the law's side ([`Parameters`]) checks it as a whole on the link thread, and
//! hands it to the loop, which takes it over in its next cycle before it decides
//! ([`Decide::change`](crate::cycle::ports::Decide::change)). What is refused changes nothing.

use core::fmt::{self, Write as _};

use super::protocol::{Answer, HEAD, Kind, MAX_PACKET, MAX_VALUES, Packet, Request, answer};
use crate::control::ParameterError;
use crate::telemetry::changes::{CHANGES, Change, MAX_CHANGES, Noted};
use crate::telemetry::say;
use crate::time::{Duration, Instant};

/// The refusal of a client that may only read.
pub(super) const NOT_COMMANDER: &str = "this user may not command; see [link.local] commanders";

/// A parameter and its present value.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Parameter<'p> {
    /// What it belongs to, such as an axis.
    pub of: &'p str,
    /// Its key in the board file, below the table of that.
    pub key: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its value: that of the last change, which the loop takes over in its next cycle.
    pub value: f64,
    /// Its value at the start.
    pub start: f64,
    /// Its least value, and its greatest; other parameters may limit it further.
    pub range: (f64, f64),
    /// Its value in the board file.
    pub board: f64,
    /// Its value at the next start: the saved one, or that of the board file.
    pub next: f64,
}

/// The value of an object of CiA 402.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Object {
    /// The present value, in SI units.
    pub value: f64,
    /// The number of the parameter; `None` for a value that cannot change.
    pub number: Option<u32>,
    /// The value of the parameter for one SI unit.
    pub per_si: f64,
}

/// One value of a change.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Setting {
    /// The number of the parameter.
    pub number: u32,
    /// Its new value.
    pub value: f64,
}

/// Why a change was refused.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Refusal<'p> {
    /// The machine has no parameter with this number.
    NoSuchParameter,
    /// A value is not permitted.
    Value {
        /// What the parameter belongs to.
        of: &'p str,
        /// The parameter and what is wrong with it.
        error: ParameterError,
    },
    /// The loop is taking over the last change at this moment.
    Busy,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchParameter => f.write_str("there is no such parameter"),
            Self::Value { of, error } => write!(f, "{of}: {error}"),
            Self::Busy => f.write_str("the loop takes over another change; repeat it"),
        }
    }
}

/// The parameters of a machine, on the link thread. Allocates nothing.
pub trait Parameters: Send {
    /// How many numbers there are, from 0. Not every number has a parameter.
    fn count(&self) -> u32;

    /// The parameter `number`, if there is one.
    fn get(&mut self, number: u32) -> Option<Parameter<'_>>;

    /// The object of CiA 402 with this index and sub-index of the axis `of`, if there is one.
    fn object(&self, of: &str, object: (u16, u8)) -> Option<Object>;

    /// Makes the changes, all of them or none, to the present values, or to those of the start if
    /// `from_start` is set; and hands them to the loop.
    ///
    /// # Errors
    /// A value is not permitted, alone or together with the others; then nothing has changed.
    fn set(&mut self, from_start: bool, settings: &[Setting]) -> Result<(), Refusal<'_>>;

    /// The value that the parameter `number` had before the last change.
    fn before(&mut self, number: u32) -> f64;

    /// Whether the loop has not taken over the last change yet.
    fn is_pending(&self) -> bool;

    /// The present values are about to be kept for the next start, or those of the board file if
    /// `defaults` is set.
    fn keeps(&mut self, defaults: bool);

    /// The next start has the values of the last [`Parameters::keeps`].
    fn kept(&mut self);
}

/// Parameters of a machine that has none.
pub struct Fixed;

impl Parameters for Fixed {
    fn count(&self) -> u32 {
        0
    }

    fn get(&mut self, _: u32) -> Option<Parameter<'_>> {
        None
    }

    fn object(&self, _: &str, _: (u16, u8)) -> Option<Object> {
        None
    }

    fn set(&mut self, _: bool, settings: &[Setting]) -> Result<(), Refusal<'_>> {
        match settings {
            [] => Ok(()),
            _ => Err(Refusal::NoSuchParameter),
        }
    }

    fn before(&mut self, _: u32) -> f64 {
        f64::NAN
    }

    fn is_pending(&self) -> bool {
        false
    }

    fn keeps(&mut self, _: bool) {}

    fn kept(&mut self) {}
}

/// The answer that describes `parameter`, one of `count`: after the head its value, its value at
/// the start, its least and its greatest value; then its name, a zero, and its unit.
#[must_use]
pub fn described(number: u32, count: u32, parameter: &Parameter<'_>) -> Packet {
    let kind = Kind::Parameter as u32;
    let mut packet = answer(kind, number, Answer::Done, count, "");
    let Parameter { value, start, .. } = *parameter;
    let (min, max) = parameter.range;
    let values = [value, start, min, max].into_iter();
    packet.extend(values.flat_map(f64::to_ne_bytes));
    // What is too long for a packet is cut off.
    for text in [parameter.of, ".", parameter.key, "\0", parameter.unit] {
        let room = MAX_PACKET - packet.len();
        packet.extend(text.bytes().take(room));
    }
    packet
}

/// What [`described`] adds to the head, as a client reads it: the four values, name and unit.
/// `None` for a packet without them.
#[must_use]
pub fn read_described(packet: &[u8]) -> Option<([f64; 4], &str, &str)> {
    let (values, text) = packet.get(HEAD..)?.split_first_chunk::<32>()?;
    let (name, unit) = core::str::from_utf8(text).ok()?.split_once('\0')?;
    Some((four(values), name, unit))
}

/// The four numbers in `bytes`.
pub(super) fn four(bytes: &[u8; 32]) -> [f64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    core::array::from_fn(|at| f64::from_ne_bytes(words[at]))
}

/// Does what the request of `client`, its number and its name, asks for, and gives the answer.
pub(super) fn serve(
    request: &Request,
    client: (u32, &dyn fmt::Display),
    may_command: bool,
    (parameters, changes): (&mut dyn Parameters, &mut ChangeLog),
    now: Instant,
) -> Packet {
    let (kind, number, count) = (request.kind as u32, request.number, parameters.count());
    let refused = |refusal: &dyn fmt::Display| {
        let mut text = heapless::String::<256>::new();
        let _ = write!(text, "{refusal}");
        answer(kind, number, Answer::Refused, count, &text)
    };
    if matches!(request.kind, Kind::Parameter | Kind::Kept) {
        return match parameters.get(request.target) {
            Some(parameter) if request.kind == Kind::Parameter => {
                described(number, count, &parameter)
            }
            Some(Parameter { board, next, .. }) => {
                let mut packet = answer(kind, number, Answer::Done, count, "");
                packet.extend([board, next].into_iter().flat_map(f64::to_ne_bytes));
                packet
            }
            None => refused(&Refusal::NoSuchParameter),
        };
    }
    if !may_command {
        return refused(&NOT_COMMANDER);
    }
    let (pairs, rest) = request.values.as_chunks::<2>();
    // A number that is no integer is that of no parameter.
    let settings = pairs.iter().map(|[number, value]| Setting {
        number: Some(*number as u32)
            .filter(|whole| f64::from(*whole) == *number)
            .unwrap_or(u32::MAX),
        value: *value,
    });
    let settings: heapless::Vec<_, { MAX_VALUES / 2 }> = settings.collect();
    if !rest.is_empty() {
        return refused(&"the values are not pairs of a number and a value");
    }
    match parameters.set(request.target == 1, &settings) {
        Err(refusal) => refused(&refusal),
        Ok(()) => {
            changes.add(parameters, client, now);
            answer(kind, number, Answer::Done, count, "")
        }
    }
}

/// The lines of changes in the log, and their events in the black box: at most 64 at once, and
/// then two in a second.
///
/// A PDO may change a parameter in each cycle, and a line can take long to write.
#[derive(Debug)]
pub struct ChangeLog {
    /// How many may be written.
    left: u64,
    /// When it was refilled last.
    at: Instant,
    unlogged: u32,
}

const LINES: u64 = MAX_CHANGES as u64;
const REFILL: Duration = Duration::from_millis(500);

impl Default for ChangeLog {
    fn default() -> Self {
        Self {
            left: LINES,
            at: Instant::from_nanos(0),
            unlogged: 0,
        }
    }
}

impl ChangeLog {
    /// Says and records what the last change of the client has changed.
    pub(super) fn add(
        &mut self,
        parameters: &mut dyn Parameters,
        (client, name): (u32, &dyn fmt::Display),
        now: Instant,
    ) {
        for number in 0..parameters.count() {
            let before = parameters.before(number);
            let Some(parameter) = parameters.get(number).filter(|now| now.value != before) else {
                continue;
            };
            if !self.has_room(now) {
                continue;
            }
            let Parameter {
                of,
                key,
                unit,
                value,
                ..
            } = parameter;
            say(format_args!(
                "steadfast: {name} changed {of}.{key} from {before} to {value} {unit}"
            ));
            // Without room it is in the log alone.
            let _ = CHANGES.add(Noted::Changed(Change {
                number: number as u16,
                client: client as u16,
                before: before as f32,
                after: value as f32,
            }));
        }
    }

    /// Whether a line may be written at `now`; it is then counted as written.
    fn has_room(&mut self, now: Instant) -> bool {
        let refilled = now.since(self.at).as_nanos() / REFILL.as_nanos();
        if refilled > 0 {
            self.left = self.left.saturating_add(refilled).min(LINES);
            self.at = now;
        }
        if self.left == 0 {
            self.unlogged = self.unlogged.saturating_add(1);
            return false;
        }
        self.left -= 1;
        if self.unlogged > 0 {
            let unlogged = core::mem::take(&mut self.unlogged);
            say(format_args!(
                "steadfast: {unlogged} changes of parameters before the next one were not logged"
            ));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_each_cycle_do_not_fill_the_log() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut log = ChangeLog::default();
        let lines = (5000..15_000).filter(|ms| log.has_room(at(*ms))).count();
        // The first 64, and two in each of ten seconds.
        assert!((64..=84).contains(&lines), "{lines}");
        assert!(log.unlogged > 400, "{log:?}");
        let again = (60_000..60_100).filter(|ms| log.has_room(at(*ms))).count();
        assert_eq!(again, 64);
    }
}
