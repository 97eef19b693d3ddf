//! Forces of signals, which a client asks for to commission a machine.
//!
//! The link thread checks a request by the rules of the board file ([`Rule`]) and puts it into
//! an [`Exchange`]; the loop takes it from there before its next decision, and refuses it if an
//! axis has power meanwhile. The answer waits for that. The loop ends each force by itself
//! ([`Forces`](crate::cycle::force::Forces)); the link thread only asks for an earlier end, so a link thread that hangs
//! leaves nothing forced. Neither side waits for the other, or allocates.

mod exchange;
#[cfg(test)]
mod tests;

use core::fmt::{self, Write as _};
use core::sync::atomic::Ordering;

use super::frames::Shared;
use super::owner::Client;
use super::parameters::{self, NOT_COMMANDER};
use super::protocol::{Answer, HEAD, Kind, MAX_PACKET, Packet, Request, answer};
use crate::cycle::force::{Ended, MAX_FORCES, Place};
use crate::telemetry::forced::{self, Forced};
use crate::telemetry::say;
use crate::time::{Duration, Instant};
use exchange::{BEGIN, ENDED, GONE, REFUSED, RELEASE, WITH_POWER, packed};
pub use exchange::{Exchange, Taker};

/// The longest time of a force, s.
pub const MAX_SECONDS: f64 = 3600.0;
/// In place of a signal: all of them. Positive as an `int`, unlike the number of a signal that a
/// client did not find.
pub const ALL: u32 = i32::MAX as u32;
/// Forces that may begin at once; then two in a second.
const BURST: u64 = 16;
const REFILL: Duration = Duration::from_millis(500);

/// What may be done with a signal.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its place; or why it is never forced.
    pub place: Result<Place, Never>,
    /// Its range, in its unit.
    pub range: (f64, f64),
    /// Whether it is a flag.
    pub is_flag: bool,
    /// Whether it may be forced while an axis has power.
    pub with_power: bool,
}

/// Why a signal is never forced.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Never {
    /// It belongs to the safety functions: emergency stop, reset, switches and feedback of an
    /// axis, enable, brake, heartbeat.
    Safety,
    /// The board file says so.
    Listed,
    /// It is a command from outside.
    Command,
    /// It is a value of a control law.
    OfLaw,
}

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safety => "is needed for safety and is never forced",
            Self::Listed => "is never forced, see `never_force` of [link.local]",
            Self::Command => "is a command, which is set, not forced",
            Self::OfLaw => "is a value of a control law; force an input or an output",
        })
    }
}

/// A force as the link thread knows it.
#[derive(Copy, Clone, Debug)]
struct Held {
    client: Client,
    signal: u32,
    value: f64,
    length: Duration,
    place: Place,
    /// The request that has no answer yet.
    asked: Option<u32>,
    /// When the loop had taken it over, about.
    since: Instant,
}

/// The link thread's side.
pub struct Forcing<'e> {
    exchange: &'e Exchange,
    rules: Vec<Rule>,
    held: [Option<Held>; MAX_FORCES],
    /// How many may begin, and when that was refilled last.
    left: u64,
    at: Instant,
}

impl<'e> Forcing<'e> {
    /// The side of the link thread, with a rule for each signal.
    #[must_use]
    pub fn new(exchange: &'e Exchange, rules: Vec<Rule>) -> Self {
        Self {
            exchange,
            rules,
            held: [None; MAX_FORCES],
            left: BURST,
            at: Instant::from_nanos(0),
        }
    }

    /// Whether a force is there or on its way.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.held.iter().any(Option::is_some)
    }

    /// Does what `request` of `client` asks for. Gives the answer; `None` if that waits for the
    /// loop ([`Forcing::turn`]).
    pub fn serve(
        &mut self,
        request: &Request,
        client: Client,
        may_command: bool,
        shared: &Shared,
        now: Instant,
    ) -> Option<Packet> {
        let (kind, number) = (request.kind as u32, request.number);
        if request.kind == Kind::Forced {
            return Some(self.describe(request, shared, now));
        }
        let refused = |why: &dyn fmt::Display| {
            let mut text = heapless::String::<224>::new();
            let _ = write!(text, "{why}");
            Some(answer(kind, number, Answer::Refused, client.0, &text))
        };
        if !may_command {
            return refused(&NOT_COMMANDER);
        }
        if request.kind == Kind::Unforce {
            let is_it = |held: &Held| request.target == ALL || request.target == held.signal;
            let ended = self.order(RELEASE, is_it);
            return Some(answer(kind, number, Answer::Done, ended, ""));
        }
        let Some(rule) = self.rules.get(request.target as usize).copied() else {
            return refused(&"there is no such signal");
        };
        let name = shared.name(request.target as usize);
        let place = match rule.place {
            Ok(place) => place,
            Err(never) => return refused(&format_args!("{name} {never}")),
        };
        let [value, seconds] = request.values[..] else {
            return refused(&"a force needs a value and a time in s");
        };
        let (min, max) = rule.range;
        if rule.is_flag && value != 0.0 && value != 1.0 {
            return refused(&format_args!("{name} is a flag; force it to 0 or 1"));
        }
        if !(min..=max).contains(&value) {
            return refused(&format_args!(
                "{name} must be finite and from {min} to {max}"
            ));
        }
        if !(seconds > 0.0 && seconds <= MAX_SECONDS) {
            return refused(&format_args!(
                "a force needs a time of more than 0 and at most {MAX_SECONDS} s"
            ));
        }
        let other = (self.held.iter().flatten())
            .find(|held| held.signal == request.target && held.client != client);
        if let Some(other) = other {
            return refused(&format_args!("{} forces {name}", other.client));
        }
        let Some(free) = self.held.iter().position(Option::is_none) else {
            return refused(&format_args!(
                "there are {MAX_FORCES} forces already; end one with `steadctl unforce`"
            ));
        };
        if !self.may_begin(now) {
            return refused(&"too many forces in a short time; wait a second");
        }
        let length = Duration::from_nanos((seconds * 1e9) as u64);
        let slot = &self.exchange.0[free];
        let with_power = if rule.with_power { WITH_POWER } else { 0 };
        slot.place
            .store(packed(place) | with_power, Ordering::Relaxed);
        slot.value.store(value.to_bits(), Ordering::Relaxed);
        slot.length.store(length.as_nanos(), Ordering::Relaxed);
        let generation = (slot.order.load(Ordering::Relaxed) >> 8) + 1;
        // A force of the client's own is replaced: an output without a cycle between them that is
        // not forced, an input never by both at once.
        let is_output = matches!(
            place,
            Place::OutputLine(_) | Place::CommandFlag(_) | Place::Command(_)
        );
        let replaced = |held: &Held| held.signal == request.target;
        if !is_output {
            self.order(RELEASE, replaced);
        }
        slot.order.store(generation << 8 | BEGIN, Ordering::Release);
        if is_output {
            self.order(RELEASE, replaced);
        }
        self.held[free] = Some(Held {
            client,
            signal: request.target,
            value,
            length,
            place,
            asked: Some(number),
            since: now,
        });
        None
    }

    /// Ends all forces of `client`, which is gone.
    pub fn lost(&mut self, client: Client) {
        self.order(GONE, |held| held.client == client);
    }

    /// Ends the forces that `which` selects, and gives their number.
    fn order(&mut self, order: u64, which: impl Fn(&Held) -> bool) -> u32 {
        let mut ended = 0;
        for (held, slot) in self.held.iter().zip(&self.exchange.0) {
            if held.as_ref().is_some_and(&which) {
                let before = slot.order.load(Ordering::Relaxed);
                slot.order.store(before & !0xff | order, Ordering::Release);
                ended += 1;
            }
        }
        ended
    }

    /// Looks what the loop has done: logs it, and gives the answers that waited for it to
    /// `send`.
    pub fn turn(&mut self, shared: &Shared, now: Instant, mut send: impl FnMut(Client, &Packet)) {
        for (seat, place) in self.held.iter_mut().enumerate() {
            let Some(held) = place else { continue };
            let slot = &self.exchange.0[seat];
            let state = slot.state.load(Ordering::Acquire);
            if state >> 8 != slot.order.load(Ordering::Relaxed) >> 8 {
                continue;
            }
            let (state, code) = (state & 0xff, (state & 0x1f) as u8);
            let name = shared.name(held.signal as usize);
            if let Some(number) = held.asked.take() {
                let kind = Kind::Force as u32;
                if state < REFUSED {
                    held.since = now;
                    begin(seat, held, &name, slot.began.load(Ordering::Relaxed));
                    let done = answer(kind, number, Answer::Done, held.client.0, "");
                    send(held.client, &done);
                } else {
                    let why = Ended::from_number(code);
                    let text = refusal(why, &name);
                    let refused = answer(kind, number, Answer::Refused, held.client.0, &text);
                    send(held.client, &refused);
                    *place = None;
                    continue;
                }
            }
            if state >= ENDED {
                *place = None;
                let why = Ended::from_number(code).unwrap_or(Ended::Run);
                end(seat, why, slot.ended.load(Ordering::Relaxed));
            }
        }
    }

    /// The run has ended, and all forces with it.
    pub fn finish(&mut self, shared: &Shared) {
        self.turn(shared, Instant::from_nanos(0), |_, _| {});
        for (seat, place) in self.held.iter_mut().enumerate() {
            if let Some(held) = place.take()
                && held.asked.is_none()
            {
                end(seat, Ended::Run, shared.slot());
            }
        }
    }

    /// Whether another force may begin at `now`; it is then counted.
    fn may_begin(&mut self, now: Instant) -> bool {
        let refilled = now.since(self.at).as_nanos() / REFILL.as_nanos();
        if refilled > 0 {
            self.left = self.left.saturating_add(refilled).min(BURST);
            self.at = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// The answer to [`Kind::Forced`]: after the head the value, the rest of the time in s, and
    /// the numbers of client and signal.
    fn describe(&self, request: &Request, shared: &Shared, now: Instant) -> Packet {
        let (kind, number) = (Kind::Forced as u32, request.number);
        let count = MAX_FORCES as u32;
        let held = self.held.get(request.target as usize).copied().flatten();
        let Some(held) = held.filter(|held| held.asked.is_none()) else {
            return answer(kind, number, Answer::Refused, count, "there is no force");
        };
        let mut packet = answer(kind, number, Answer::Done, count, "");
        let end = held.since + held.length;
        let left = end.since(now).as_nanos() as f64 / 1e9;
        let (client, signal) = (f64::from(held.client.0), f64::from(held.signal));
        let values = [held.value, left, client, signal].into_iter();
        packet.extend(values.flat_map(f64::to_ne_bytes));
        let name = shared.name(held.signal as usize);
        let room = MAX_PACKET - packet.len();
        packet.extend(name.bytes().chain([0]).take(room));
        packet
    }
}

/// What the answer to [`Kind::Forced`] adds to the head, as a client reads it: the four numbers
/// and the signal's name. `None` for a packet without them.
#[must_use]
pub fn read_forced(packet: &[u8]) -> Option<([f64; 4], &str)> {
    let (values, text) = packet.get(HEAD..)?.split_first_chunk::<32>()?;
    let (name, _) = core::str::from_utf8(text).ok()?.split_once('\0')?;
    Some((parameters::four(values), name))
}

/// The text of a refusal by the loop.
fn refusal(why: Option<Ended>, name: &str) -> heapless::String<224> {
    let mut text = heapless::String::new();
    let _ = match why {
        Some(Ended::Power) => write!(
            text,
            "an axis has power; disable it, or name {name} in `force_with_power` of [link.local]"
        ),
        Some(why) => write!(text, "{name} was not forced: {why}"),
        None => write!(text, "{name} was not forced"),
    };
    text
}

#[inline(never)]
fn begin(seat: usize, held: &Held, name: &forced::Name, slot: u64) {
    let forced = Forced {
        name: name.clone(),
        place: noted(held.place),
        client: held.client.0,
        value: held.value,
        ms: (held.length.as_nanos() / 1_000_000) as u32,
        slot,
        ended: None,
    };
    say(format_args!("steadfast: forced: {forced}"));
    forced::all().begin(seat, forced);
}

#[inline(never)]
fn end(seat: usize, why: Ended, slot: u64) {
    // Not said while the lock is held: a line may wait for its reader.
    let ended = forced::all().end(seat, why, slot).cloned();
    if let Some(ended) = ended {
        say(format_args!(
            "steadfast: {} is not forced any more: {why}",
            ended.name
        ));
    }
}

/// A place as the number in the events of a black box.
pub(crate) const fn noted(place: Place) -> u16 {
    packed(place) as u16
}
