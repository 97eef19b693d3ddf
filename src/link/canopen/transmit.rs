//! Heartbeat, supervision, EMCY and TPDO: what time or the drive makes the node send.

use super::drive::{Drive, Item, Loss, Pace, Reset};
use super::emergency::{COMMUNICATION, HEARTBEAT, NOT_RESET, PROFILE, RPDO_TIMEOUT, SYNC_LOST};
use super::frame::{Frame, Outbox};
use super::lss;
use super::node::{Nmt, Node};
use super::object::Mapping;
use super::pdo::INVALID;
use super::table::{PDOS, find};
use crate::time::{Duration, Instant};

/// The longest time between two polls.
const LONGEST: Duration = Duration::from_millis(1000);
/// The time between two polls while the outbox is full.
const RETRY: Duration = Duration::from_millis(1);
/// Frames in the outbox above which nothing but answers is added.
const BUSY: usize = super::frame::OUTBOX_FRAMES / 2;

impl Node {
    /// Does what is due, and returns the time of the next call if nothing happens before.
    ///
    /// A change of a status, for which a TPDO is sent, is noticed here only.
    pub fn poll(&mut self, now: Instant, drive: &mut impl Drive, out: &mut Outbox) -> Instant {
        let mut next = now + LONGEST;
        self.dictionary.look_kept(drive);
        lss::send_kept(&mut self.dictionary, out);
        if self.dictionary.keeping.is_some() {
            next = now + RETRY;
        }
        if self.resets {
            match drive.reset() {
                Reset::Waits => return now + RETRY,
                Reset::Done => {}
                Reset::Refused => self.dictionary.errors.report(NOT_RESET, 0, [0; 5]),
            }
            self.resets = false;
        }
        if self.is_unconfigured() {
            return next;
        }
        if self.nmt == Nmt::Initialising {
            let id = 0x700 + u16::from(self.node_id());
            if out.push_back(Frame::clipped(id, &[0])).is_err() {
                return now + RETRY;
            }
            self.dictionary.reset(drive);
            self.nmt = Nmt::PreOperational;
            self.beat = Some(now);
        }
        self.send_heartbeat(now, out, &mut next);
        self.supervise_heartbeats(now, drive, &mut next);
        self.supervise_sync(now, drive, &mut next);
        self.supervise_rpdos(now, drive, &mut next);
        self.report_faults(drive);
        self.send_emergency(now, out, &mut next);
        if self.nmt == Nmt::Operational {
            self.transmit_events(now, drive, out, &mut next);
        }
        self.server
            .poll(now, &mut self.dictionary, drive, out, &mut next);
        for axis in 0..usize::from(self.dictionary.axes) {
            if self.is_alive(axis) {
                drive.alive(axis);
            }
        }
        next
    }

    fn send_heartbeat(&mut self, now: Instant, out: &mut Outbox, next: &mut Instant) {
        if self.dictionary.producer == 0 {
            return;
        }
        let period = Duration::from_millis(u64::from(self.dictionary.producer));
        let due = self.beat.map_or(now, |last| last + period);
        if due > now {
            *next = due.min(*next);
            return;
        }
        let id = 0x700 + u16::from(self.node_id());
        if out.push_back(Frame::clipped(id, &[self.nmt as u8])).is_ok() {
            // In step with the last one, except after a long pause.
            let late = now.since(due) >= period;
            self.beat = Some(if late { now } else { due });
            *next = (now + period).min(*next);
        } else {
            *next = (now + RETRY).min(*next);
        }
    }

    fn supervise_heartbeats(&mut self, now: Instant, drive: &mut impl Drive, next: &mut Instant) {
        for number in 0..self.dictionary.consumers.len() {
            let consumer = &mut self.dictionary.consumers[number];
            let Some(last) = consumer.last.filter(|_| consumer.is_used()) else {
                continue;
            };
            let due = last + Duration::from_millis(u64::from(consumer.timeout_ms()));
            if due > now {
                *next = due.min(*next);
                continue;
            }
            consumer.last = None;
            consumer.lost = true;
            let about = [consumer.node_id(), 0, 0, 0, 0];
            self.losses.heartbeat = true;
            self.dictionary
                .errors
                .report(HEARTBEAT, COMMUNICATION, about);
            self.communication_error();
            self.lost_all(Loss::Heartbeat, drive);
        }
        // A consumer that was written anew is no longer lost.
        let any = self.dictionary.consumers.iter().any(|one| one.lost);
        if self.losses.heartbeat && !any {
            self.losses.heartbeat = false;
            self.check_communication();
        }
    }

    /// A SYNC counts as missing half a period after it was due.
    fn supervise_sync(&mut self, now: Instant, drive: &mut impl Drive, next: &mut Instant) {
        let period = self.sync_period_ns(drive);
        let Some(last) = self.sync.filter(|_| self.nmt == Nmt::Operational) else {
            return;
        };
        if period == 0 {
            return;
        }
        let elapsed = now.since(last).as_nanos();
        let missing = (elapsed + period / 2) / period;
        let missing = u8::try_from(missing.saturating_sub(1)).unwrap_or(u8::MAX);
        let new = missing.saturating_sub(self.sync_missing);
        self.sync_missing = missing.max(self.sync_missing);
        let measured = &mut self.dictionary.sync_measured;
        measured.missed = measured.missed.saturating_add(u32::from(new));
        let config = self.dictionary.config;
        if self.sync_missing >= config.sync_losses.max(1) {
            self.sync = None;
            self.pace(Pace::Free, drive);
            self.losses.sync = true;
            let about = [self.sync_missing, 0, 0, 0, 0];
            self.dictionary
                .errors
                .report(SYNC_LOST, COMMUNICATION, about);
            self.communication_error();
            self.lost_all(Loss::Sync, drive);
            return;
        }
        if config.sync_hold != 0 && self.sync_missing >= config.sync_hold && !self.held {
            measured.holds = measured.holds.saturating_add(1);
            self.pace(Pace::Hold, drive);
        }
        let periods = u64::from(self.sync_missing) + 1;
        let due = last + Duration::from_nanos(period.saturating_mul(periods) + period / 2);
        *next = due.min(*next).max(now);
    }

    fn supervise_rpdos(&mut self, now: Instant, drive: &mut impl Drive, next: &mut Instant) {
        if self.nmt != Nmt::Operational {
            return;
        }
        for number in 0..self.dictionary.rpdos.len() {
            let pdo = &mut self.dictionary.rpdos[number];
            let Some(due) = pdo.due().filter(|_| pdo.is_valid()) else {
                continue;
            };
            if due > now {
                *next = due.min(*next);
                continue;
            }
            pdo.last = None;
            let axis = number / PDOS;
            self.losses.rpdo |= 1 << axis;
            let about = [number as u8 + 1, 0, 0, 0, 0];
            self.dictionary
                .errors
                .report(RPDO_TIMEOUT, COMMUNICATION, about);
            drive.lost(axis, Loss::Rpdo);
        }
    }

    fn report_faults(&mut self, drive: &impl Drive) {
        for axis in 0..self.dictionary.axes {
            let at = usize::from(axis);
            // The cast saturates.
            let code = drive.get(at, Item::ErrorCode).unwrap_or(0.0) as u16;
            if code == self.faults[at] {
                continue;
            }
            self.faults[at] = code;
            let errors = &mut self.dictionary.errors;
            if code != 0 {
                errors.report(code, PROFILE, [axis + 1, 0, 0, 0, 0]);
            } else if self.faults == [0; super::table::MAX_AXES] {
                errors.clear(PROFILE);
            }
        }
    }

    fn send_emergency(&mut self, now: Instant, out: &mut Outbox, next: &mut Instant) {
        let dictionary = &mut self.dictionary;
        if self.nmt == Nmt::Stopped
            || dictionary.emcy_id & INVALID != 0
            || !dictionary.errors.is_waiting()
        {
            return;
        }
        let inhibit = Duration::from_micros(100 * u64::from(dictionary.emcy_inhibit));
        let due = self.emcy.map_or(now, |last| last + inhibit);
        if due > now {
            *next = due.min(*next);
            return;
        }
        if out.len() < BUSY
            && let Some(message) = dictionary.errors.next()
        {
            // There is room.
            let _ = out.push_back(Frame::clipped(dictionary.emcy_id as u16, &message));
            self.emcy = Some(now);
        }
        if dictionary.errors.is_waiting() {
            *next = (now + inhibit.max(RETRY)).min(*next);
        }
    }

    /// TPDOs of the types 254 and 255; those of type 0 are only marked.
    fn transmit_events(
        &mut self,
        now: Instant,
        drive: &impl Drive,
        out: &mut Outbox,
        next: &mut Instant,
    ) {
        for number in 0..self.dictionary.tpdos.len() {
            let pdo = self.dictionary.tpdos[number];
            if !pdo.is_valid() || matches!(pdo.kind, 1..=240) {
                continue;
            }
            let (data, events) = self.pack(number, drive);
            let mut pending = pdo.pending || pdo.last.is_none() || events != pdo.data;
            if pdo.kind == 0 {
                self.dictionary.tpdos[number].pending = pending;
                continue;
            }
            let due = pdo.due().unwrap_or(now + LONGEST);
            pending |= pdo.event != 0 && due <= now;
            let allowed = pdo.inhibited_until().unwrap_or(now);
            if !pending {
                *next = due.min(*next);
            } else if allowed > now {
                self.dictionary.tpdos[number].pending = true;
                *next = allowed.min(*next);
            } else {
                self.transmit(now, number, &data, events, out);
                let pdo = &self.dictionary.tpdos[number];
                let retry = pdo.pending.then_some(now + RETRY);
                *next = retry.or(pdo.due()).unwrap_or(*next).min(*next);
            }
        }
    }

    /// Synchronous TPDOs.
    pub(super) fn transmit_after_sync(
        &mut self,
        now: Instant,
        drive: &impl Drive,
        out: &mut Outbox,
    ) {
        for number in 0..self.dictionary.tpdos.len() {
            let counts = self.dictionary.sync_overflow != 0;
            let pdo = &mut self.dictionary.tpdos[number];
            if !pdo.is_valid() || !pdo.is_synchronous() {
                continue;
            }
            let due = if pdo.kind == 0 {
                pdo.pending
            } else if !pdo.pending && pdo.start != 0 && counts && pdo.start != self.sync_counter {
                false
            } else {
                pdo.pending = true;
                pdo.syncs += 1;
                pdo.syncs >= pdo.kind
            };
            if due {
                let started = pdo.kind != 0;
                pdo.syncs = 0;
                let (data, events) = self.pack(number, drive);
                self.transmit(now, number, &data, events, out);
                self.dictionary.tpdos[number].pending |= started;
            }
        }
    }

    /// Sends TPDO `number`; while the outbox is full it stays pending.
    fn transmit(
        &mut self,
        now: Instant,
        number: usize,
        data: &heapless::Vec<u8, 8>,
        events: [u8; 8],
        out: &mut Outbox,
    ) {
        let pdo = &mut self.dictionary.tpdos[number];
        let frame = Frame::clipped(pdo.can_id(), data);
        let sent = out.len() < BUSY && out.push_back(frame).is_ok();
        pdo.pending = !sent;
        if sent {
            pdo.data = events;
            pdo.last = Some(now);
        }
    }

    /// The values of TPDO `number`, and those of them whose change is an event.
    fn pack(&self, number: usize, drive: &impl Drive) -> (heapless::Vec<u8, 8>, [u8; 8]) {
        let mut data = heapless::Vec::new();
        let mut events = [0; 8];
        for entry in self.dictionary.tpdos[number].entries() {
            let [bits, sub, low, high] = entry.to_le_bytes();
            let index = u16::from_le_bytes([low, high]);
            let Ok(found) = find(index, sub, self.dictionary.axes) else {
                continue;
            };
            let raw = self.dictionary.read(&found, drive).unwrap_or(0);
            for byte in raw.to_le_bytes().into_iter().take(usize::from(bits / 8)) {
                if found.object.mapping == Mapping::Event
                    && let Some(event) = events.get_mut(data.len())
                {
                    *event = byte;
                }
                // The mapping is at most 8 bytes long.
                let _ = data.push(byte);
            }
        }
        (data, events)
    }
}
