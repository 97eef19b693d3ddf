//! Layer setting services (CiA 305), slave: a master finds this node by its identity (1018h), and
//! gives it another node id.
//!
//! A node id that was configured is in force after the next reset by NMT. The bit rate belongs to
//! the interface, which the system sets up, so it is not configured here.

use super::dictionary::{Config, Dictionary};
use super::drive::{Drive, Refusal};
use super::frame::{Frame, MAX_ID, Outbox};
use super::keeping::Keeping;
use super::table::identity;

/// COB-ID of the master.
pub(super) const REQUEST: u16 = 0x7E5;
/// COB-ID of the slaves.
const ANSWER: u16 = 0x7E4;
/// The node id of a node that has none: it takes part only in LSS.
pub(super) const UNCONFIGURED: u8 = 255;
/// Store configuration.
const STORE: u8 = 0x17;
/// Fastscan: all slaves without a node id begin.
const BEGIN: u8 = 0x80;

/// Error codes of answers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Code {
    Done = 0,
    /// Configure node id: out of range. Bit timing: not supported. Store: not supported.
    Refused = 1,
    /// Store: the file could not be written.
    Media = 2,
    /// The next byte says why: [`HAS_POWER`].
    Specific = 0xFF,
}

/// Specific error of storing: an axis has power, or it is not known yet whether one has.
const HAS_POWER: u8 = 1;

/// The slave.
#[derive(Clone, Debug)]
pub(super) struct Lss {
    /// LSS configuration state; otherwise waiting.
    configures: bool,
    /// The node id after the next reset.
    pub(super) pending: u8,
    /// Parts of the identity that the master has named in a row to select this node.
    selected: u8,
    /// The same for the limits of "identify remote slave".
    identified: u8,
    /// The part of the identity that Fastscan is at.
    scanned: u8,
}

impl Lss {
    /// Waiting, with this node id.
    pub(super) const fn new(node_id: u8) -> Self {
        Self {
            configures: false,
            pending: node_id,
            selected: 0,
            identified: 0,
            scanned: 0,
        }
    }

    /// A request of the LSS master to the node of `dictionary`. One of another length than 8 has no
    /// effect.
    pub(super) fn receive(
        &mut self,
        data: &[u8],
        dictionary: &mut Dictionary,
        drive: &mut impl Drive,
        out: &mut Outbox,
    ) {
        let &[command, a, b, c, d, bit, sub, next] = data else {
            return;
        };
        let config = &mut dictionary.config;
        let value = u32::from_le_bytes([a, b, c, d]);
        let own = identity(config.serial);
        // Neither now nor after the next reset.
        let has_no_id = config.node_id == UNCONFIGURED && self.pending == UNCONFIGURED;
        let answer = match command {
            0x04 => {
                self.switch_state(a, config);
                None
            }
            0x40..=0x43 => {
                let at = command - 0x40;
                let matches = own[usize::from(at)] == value;
                let all = step(&mut self.selected, at, matches, 4);
                self.configures |= all;
                all.then_some([0x44, 0, 0, 0, 0])
            }
            0x46..=0x4B => {
                let at = command - 0x46;
                let matches = match at {
                    0 => own[0] == value,
                    1 => own[1] == value,
                    2 => own[2] >= value,
                    3 => own[2] <= value,
                    4 => own[3] >= value,
                    _ => own[3] <= value,
                };
                let all = step(&mut self.identified, at, matches, 6);
                all.then_some([0x4F, 0, 0, 0, 0])
            }
            0x4C => has_no_id.then_some([0x50, 0, 0, 0, 0]),
            0x51 if has_no_id && !self.configures => {
                let found = self.scan(value, own, bit, sub, next);
                found.then_some([0x4F, 0, 0, 0, 0])
            }
            _ if !self.configures => None,
            0x11 => Some(with(command, self.configure(a))),
            0x13 => Some(with(command, (Code::Refused, 0))),
            STORE => match drive.keep_node_id(self.pending) {
                Ok(()) => {
                    dictionary.keeping = Some(Keeping::NodeId);
                    dictionary.look_kept(drive);
                    return send_kept(dictionary, out);
                }
                Err(refusal) => Some(with(command, stored(Err(refusal)))),
            },
            0x5A..=0x5D => {
                let [a, b, c, d] = own[usize::from(command - 0x5A)].to_le_bytes();
                Some([command, a, b, c, d])
            }
            0x5E => Some([command, config.node_id, 0, 0, 0]),
            // Also 15h, activate bit timing, which has no answer.
            _ => None,
        };
        if let Some(answer) = answer {
            send(answer, out);
        }
    }

    /// Switch state global: 0 waiting, 1 configuration. A node without an id that was given one
    /// boots with it when the configuration ends.
    fn switch_state(&mut self, state: u8, config: &mut Config) {
        match state {
            0 => {
                if self.configures && config.node_id == UNCONFIGURED {
                    config.node_id = self.pending;
                }
                self.configures = false;
                self.selected = 0;
                self.scanned = 0;
            }
            1 => self.configures = true,
            _ => {}
        }
    }

    fn configure(&mut self, node_id: u8) -> (Code, u8) {
        if !matches!(node_id, 1..=127 | UNCONFIGURED) {
            return (Code::Refused, 0);
        }
        self.pending = node_id;
        (Code::Done, 0)
    }

    /// One step of Fastscan: whether `value` agrees with part `sub` of the identity down to `bit`.
    fn scan(&mut self, value: u32, own: [u32; 4], bit: u8, sub: u8, next: u8) -> bool {
        if bit == BEGIN {
            self.scanned = 0;
            return true;
        }
        let Some(part) = own.get(usize::from(sub)) else {
            return false;
        };
        if bit > 31 || next > 3 || sub != self.scanned || (part ^ value) >> bit != 0 {
            return false;
        }
        self.scanned = next;
        // The last bit of the last part: this node alone is left.
        self.configures |= bit == 0 && next < sub;
        true
    }
}

/// Counts a match of step `at` in `count`; whether it was the last of `steps`.
fn step(count: &mut u8, at: u8, matches: bool, steps: u8) -> bool {
    let in_row = at == 0 || *count == at;
    *count = if in_row && matches { at + 1 } else { 0 };
    *count == steps
}

/// Answers "store configuration" when the disk has taken it, or not.
pub(super) fn send_kept(dictionary: &mut Dictionary, out: &mut Outbox) {
    let kept = dictionary
        .kept
        .take_if(|(what, _)| *what == Keeping::NodeId);
    if let Some((_, result)) = kept {
        send(with(STORE, stored(result)), out);
    }
}

/// Without room it is lost, and the master repeats its request.
fn send([command, a, b, c, d]: [u8; 5], out: &mut Outbox) {
    let _ = out.push_back(Frame::clipped(ANSWER, &[command, a, b, c, d, 0, 0, 0]));
}

/// The codes of an answer to "store configuration".
const fn stored(result: Result<(), Refusal>) -> (Code, u8) {
    match result {
        Ok(()) => (Code::Done, 0),
        Err(Refusal::State) => (Code::Specific, HAS_POWER),
        Err(Refusal::NotStored) => (Code::Refused, 0),
        Err(_) => (Code::Media, 0),
    }
}

const fn with(command: u8, (code, specific): (Code, u8)) -> [u8; 5] {
    [command, code as u8, specific, 0, 0]
}

const _: () = assert!(REQUEST <= MAX_ID && ANSWER <= MAX_ID);
