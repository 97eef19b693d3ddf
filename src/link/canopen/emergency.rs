//! Emergency messages: error register 1001h, history 1003h, and the frames (CiA 301, EMCY).

use super::table::HISTORY;

/// No error, or the last one is over.
pub(super) const RESET: u16 = 0x0000;
/// The CAN controller lost frames.
pub(super) const OVERRUN: u16 = 0x8110;
/// The CAN controller is error passive.
pub(super) const PASSIVE: u16 = 0x8120;
/// A consumed heartbeat did not come.
pub(super) const HEARTBEAT: u16 = 0x8130;
/// The CAN controller has recovered from bus-off.
pub(super) const RECOVERED: u16 = 0x8140;
/// A PDO was too short and was not processed.
pub(super) const SHORT_PDO: u16 = 0x8210;
/// A PDO was longer than its mapping.
pub(super) const LONG_PDO: u16 = 0x8220;
/// SYNC had an unexpected length.
pub(super) const SYNC_LENGTH: u16 = 0x8240;
/// An RPDO did not come within its event timer.
pub(super) const RPDO_TIMEOUT: u16 = 0x8250;
/// SYNC did not come.
pub(super) const SYNC_LOST: u16 = 0x8700;
/// The machine refused a value of an RPDO; byte 3 is the number of the PDO, bytes 4 to 7 the SDO
/// abort code.
pub(super) const REFUSED: u16 = 0xFF01;
/// Another node has this node id.
pub(super) const SAME_NODE_ID: u16 = 0xFF02;

/// NMT, reset node: an axis has power, so its parameters were not reset.
pub(super) const NOT_RESET: u16 = 0xFF03;

/// Bit 0 of the error register: any error.
pub(super) const GENERIC: u8 = 0x01;
/// Bit 4: communication.
pub(super) const COMMUNICATION: u8 = 0x10;
/// Bit 5: device profile; an axis has a fault.
pub(super) const PROFILE: u8 = 0x20;

/// Messages that wait for the inhibit time or for room; further ones are in the history only.
const WAITING: usize = 8;

/// Register, history, and waiting messages.
#[derive(Clone, Debug)]
pub(super) struct Emergencies {
    /// Bits 4 and 5 of the register.
    causes: u8,
    history: [u32; HISTORY],
    count: u8,
    waiting: heapless::Deque<[u8; 8], WAITING>,
}

impl Emergencies {
    /// No error.
    pub(super) const NONE: Self = Self {
        causes: 0,
        history: [0; HISTORY],
        count: 0,
        waiting: heapless::Deque::new(),
    };

    /// The error register, 1001h.
    pub(super) const fn register(&self) -> u8 {
        self.causes | if self.causes != 0 { GENERIC } else { 0 }
    }

    /// Reports an error of the kind `cause`; `about` are bytes 3 to 7 of the message. With a
    /// `cause` of 0 the error is over as soon as it is reported.
    pub(super) fn report(&mut self, code: u16, cause: u8, about: [u8; 5]) {
        self.causes |= cause;
        self.history.copy_within(..HISTORY - 1, 1);
        self.history[0] = u32::from(code) | u32::from(about[0]) << 16;
        self.count = (self.count + 1).min(HISTORY as u8);
        self.queue(code, about);
    }

    /// The errors of the kind `cause` are over.
    pub(super) fn clear(&mut self, cause: u8) {
        if self.causes & cause != 0 {
            self.causes &= !cause;
            self.queue(RESET, [0; 5]);
        }
    }

    fn queue(&mut self, code: u16, about: [u8; 5]) {
        let [low, high] = code.to_le_bytes();
        let [a, b, c, d, e] = about;
        let message = [low, high, self.register(), a, b, c, d, e];
        // A full queue loses the message; the history and the register have it.
        let _ = self.waiting.push_back(message);
    }

    /// The next message to send.
    pub(super) fn next(&mut self) -> Option<[u8; 8]> {
        self.waiting.pop_front()
    }

    /// Whether a message waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Number of entries of the history.
    pub(super) const fn count(&self) -> u8 {
        self.count
    }

    /// Entry `number` of the history, from 0, newest first.
    pub(super) fn entry(&self, number: u8) -> Option<u32> {
        (number < self.count).then(|| self.history[usize::from(number)])
    }

    /// Clears the history.
    pub(super) const fn forget(&mut self) {
        self.count = 0;
    }
}
