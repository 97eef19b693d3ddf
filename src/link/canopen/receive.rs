//! NMT commands, heartbeats of others, SYNC and RPDO.

use super::drive::{Drive, Loss, Pace};
use super::emergency::{LONG_PDO, REFUSED, SHORT_PDO, SYNC_LENGTH};
use super::frame::Outbox;
use super::node::{Nmt, Node};
use super::pdo::{Direction, mapped_bits};
use super::sdo::Server;
use super::table::{PDOS, find};
use crate::time::Instant;

impl Node {
    /// An NMT command: byte 0 the command, byte 1 the node, 0 for all.
    pub(super) fn receive_nmt(&mut self, data: &[u8], drive: &mut impl Drive) {
        let &[command, node] = data else { return };
        if node != 0 && node != self.node_id() {
            return;
        }
        match command {
            1 => self.enter(Nmt::Operational, drive),
            2 => {
                self.enter(Nmt::Stopped, drive);
                self.lost_all(Loss::Stopped, drive);
            }
            0x80 => self.enter(Nmt::PreOperational, drive),
            // Reset node and reset communication: the next poll loads the stored parameters and
            // sends the boot-up message; that of a reset node waits for the axes. The firmware itself
            // goes on.
            0x81 | 0x82 => {
                self.lost_all(Loss::Stopped, drive);
                self.pace(Pace::Free, drive);
                self.server = Server::IDLE;
                self.beat = None;
                self.sync = None;
                self.sync_missing = 0;
                self.same_id = false;
                self.wrong_sync = false;
                let bus = self.losses.bus;
                self.losses = super::node::Losses {
                    bus,
                    ..Default::default()
                };
                self.check_communication();
                self.resets |= command == 0x81;
                self.dictionary.config.node_id = self.lss.pending;
                self.nmt = Nmt::Initialising;
            }
            _ => {}
        }
    }

    fn enter(&mut self, state: Nmt, drive: &mut impl Drive) {
        if self.nmt == state {
            return;
        }
        self.pace(Pace::Free, drive);
        if state == Nmt::Stopped {
            self.server = Server::IDLE;
        }
        self.nmt = state;
        self.sync = None;
        self.sync_missing = 0;
        self.sync_counter = 0;
        let dictionary = &mut self.dictionary;
        for pdo in dictionary.rpdos.iter_mut().chain(&mut dictionary.tpdos) {
            pdo.restart();
        }
    }

    /// A heartbeat or boot-up message of another node.
    pub(super) fn receive_heartbeat(&mut self, now: Instant, can_id: u16, data: &[u8]) {
        let node = (can_id - 0x700) as u8;
        let &[_state] = data else { return };
        if node == self.node_id() {
            self.report_same_id();
            return;
        }
        let mut any_lost = false;
        for consumer in &mut self.dictionary.consumers {
            if consumer.is_used() && consumer.node_id() == node {
                consumer.last = Some(now);
                consumer.lost = false;
            }
            any_lost |= consumer.lost;
        }
        if self.losses.heartbeat && !any_lost {
            self.losses.heartbeat = false;
            self.check_communication();
        }
    }

    /// SYNC: applies the received synchronous RPDOs, then sends the synchronous TPDOs.
    pub(super) fn receive_sync(
        &mut self,
        now: Instant,
        data: &[u8],
        drive: &mut impl Drive,
        out: &mut Outbox,
    ) {
        let overflow = self.dictionary.sync_overflow;
        match data {
            [] if overflow == 0 => self.sync_counter = 0,
            &[counter] if overflow != 0 => self.sync_counter = counter,
            _ => {
                if !core::mem::replace(&mut self.wrong_sync, true) {
                    let about = [data.len() as u8, 0, 0, 0, 0];
                    self.dictionary.errors.report(SYNC_LENGTH, 0, about);
                }
                return;
            }
        }
        self.wrong_sync = false;
        if self.nmt == Nmt::Stopped {
            return;
        }
        self.measure_sync(now, drive);
        if self.losses.sync {
            self.losses.sync = false;
            self.check_communication();
        }
        if self.nmt != Nmt::Operational {
            return;
        }
        for number in 0..self.dictionary.rpdos.len() {
            let pdo = &mut self.dictionary.rpdos[number];
            if pdo.pending && pdo.is_synchronous() {
                pdo.pending = false;
                self.apply(number, drive);
            }
        }
        self.pace(Pace::Sync, drive);
        self.transmit_after_sync(now, drive, out);
    }

    fn measure_sync(&mut self, now: Instant, drive: &impl Drive) {
        let nominal = self.sync_period_ns(drive);
        let interval = self.sync.map(|last| now.since(last).as_nanos());
        let missing = self.sync_missing;
        (self.dictionary.sync_measured).add(interval, missing, nominal);
        self.sync = Some(now);
        self.sync_missing = 0;
    }

    /// A frame that may be an RPDO.
    pub(super) fn receive_pdo(
        &mut self,
        now: Instant,
        can_id: u16,
        data: &[u8],
        drive: &mut impl Drive,
    ) {
        if self.nmt != Nmt::Operational {
            return;
        }
        for number in 0..self.dictionary.rpdos.len() {
            let axes = self.dictionary.axes;
            let pdo = &mut self.dictionary.rpdos[number];
            if !pdo.is_valid() || pdo.can_id() != can_id {
                continue;
            }
            let mut bits = 0_u16;
            for entry in pdo.entries() {
                bits += u16::from(mapped_bits(Direction::Receive, axes, entry).unwrap_or(0));
            }
            let expected = usize::from(bits / 8);
            let wrong = data.len() != expected;
            let was_wrong = core::mem::replace(&mut pdo.wrong_length, wrong);
            if data.len() >= expected {
                pdo.last = Some(now);
                pdo.data = [0; 8];
                for (to, from) in pdo.data.iter_mut().zip(data) {
                    *to = *from;
                }
                pdo.len = expected as u8;
                pdo.pending = pdo.is_synchronous();
            }
            let apply = data.len() >= expected && !pdo.is_synchronous();
            if wrong && !was_wrong {
                let code = if data.len() < expected {
                    SHORT_PDO
                } else {
                    LONG_PDO
                };
                let about = [number as u8 + 1, data.len() as u8, expected as u8, 0, 0];
                self.dictionary.errors.report(code, 0, about);
            }
            let axis = 1 << (number / PDOS);
            if data.len() >= expected && self.losses.rpdo & axis != 0 {
                self.losses.rpdo &= !axis;
                self.check_communication();
            }
            if apply {
                self.apply(number, drive);
            }
        }
    }

    /// Writes the values of RPDO `number`. The first refusal is reported, and not again until
    /// all values are taken.
    fn apply(&mut self, number: usize, drive: &mut impl Drive) {
        let pdo = self.dictionary.rpdos[number];
        let mut rest = &pdo.data[..];
        let mut refusal = None;
        for entry in pdo.entries() {
            let [bits, sub, low, high] = entry.to_le_bytes();
            let (value, after) = rest.split_at(usize::from(bits / 8).min(rest.len()));
            rest = after;
            let index = u16::from_le_bytes([low, high]);
            if index < 0x1000 {
                continue;
            }
            let mut raw = [0; 4];
            for (to, from) in raw.iter_mut().zip(value) {
                *to = *from;
            }
            let written = find(index, sub, self.dictionary.axes).and_then(|found| {
                self.dictionary
                    .write(&found, u32::from_le_bytes(raw), drive)
            });
            if let Err(abort) = written {
                refusal = refusal.or(Some(abort));
            }
        }
        let was_refused = core::mem::replace(
            &mut self.dictionary.rpdos[number].refused,
            refusal.is_some(),
        );
        if let Some(abort) = refusal
            && !was_refused
        {
            let [a, b, c, d] = abort.0.to_le_bytes();
            let about = [number as u8 + 1, a, b, c, d];
            self.dictionary.errors.report(REFUSED, 0, about);
        }
    }

    /// Tells the axes with a synchronous RPDO what their targets follow.
    pub(super) fn pace(&mut self, pace: Pace, drive: &mut impl Drive) {
        self.held = pace == Pace::Hold;
        let axes = usize::from(self.dictionary.axes);
        for (axis, pdos) in self.dictionary.rpdos.chunks(PDOS).take(axes).enumerate() {
            let follows = pdos
                .iter()
                .any(|pdo| pdo.is_valid() && pdo.is_synchronous());
            drive.pace(axis, if follows { pace } else { Pace::Free });
        }
    }

    /// Whether the master is supervised without a loss.
    pub(super) fn is_alive(&self, axis: usize) -> bool {
        let losses = &self.losses;
        self.nmt != Nmt::Stopped
            && !losses.heartbeat
            && !losses.sync
            && !losses.bus
            && losses.rpdo & 1 << axis == 0
    }

    /// The period of SYNC by which it is supervised, ns: 1006h, or the interpolation period of
    /// the first axis that has a synchronous RPDO. 0: it is not supervised.
    pub(super) fn sync_period_ns(&self, drive: &impl Drive) -> u64 {
        let dictionary = &self.dictionary;
        if dictionary.sync_period != 0 {
            return u64::from(dictionary.sync_period) * 1000;
        }
        let synchronous = |pdo: &super::pdo::Pdo| pdo.is_valid() && pdo.is_synchronous();
        let number = dictionary.rpdos.iter().position(synchronous);
        number.map_or(0, |number| {
            dictionary.interpolation_ns((number / PDOS) as u8, drive)
        })
    }
}
