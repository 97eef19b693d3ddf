//! The node: NMT states and the entry points.

use super::dictionary::{Config, Dictionary};
use super::drive::{Drive, Loss};
use super::emergency::{COMMUNICATION, OVERRUN, PASSIVE, RECOVERED, SAME_NODE_ID};
use super::frame::{Frame, MAX_ID, Outbox};
use super::lss::{self, Lss};
use super::sdo::Server;
use crate::time::Instant;

/// NMT states (CiA 301), with their numbers in a heartbeat.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Nmt {
    /// Before the boot-up message; a node without a node id stays here.
    Initialising = 0,
    /// No communication but NMT and heartbeat.
    Stopped = 4,
    /// All services.
    Operational = 5,
    /// All services but PDO.
    PreOperational = 127,
}

/// What the CAN controller reports.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// Too many errors: the controller takes no part in communication any more.
    Off,
    /// The controller sends and receives again after bus-off.
    Recovered,
    /// Error passive: many errors on the bus.
    Passive,
    /// Received frames were lost.
    Overrun,
}

/// A CANopen node. A value of about 6 kB, without pointers.
///
/// The owner of the socket passes each frame to [`Node::receive`], calls [`Node::poll`] at the
/// time it returned or at least when values of the drive have changed, and sends the frames of
/// the outbox. Frames that do not fit into the outbox are dropped, so it is emptied after each
/// call. [`Node::poll`] must be called once before frames are received: it sends the boot-up
/// message.
///
/// Cost: no allocation; a frame costs at most one pass over the PDOs, SYNC one value of the drive
/// for each mapped object.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) dictionary: Dictionary,
    pub(super) server: Server,
    pub(super) lss: Lss,
    /// The parameters of the axes are to be reset before the boot-up message.
    pub(super) resets: bool,
    pub(super) nmt: Nmt,
    /// Time of the last heartbeat.
    pub(super) beat: Option<Instant>,
    /// Time of the last EMCY.
    pub(super) emcy: Option<Instant>,
    /// Time of the last SYNC; `None` before the first, and after a loss.
    pub(super) sync: Option<Instant>,
    /// SYNC messages missed since the last one.
    pub(super) sync_missing: u8,
    /// The axes hold because SYNC is missing.
    pub(super) held: bool,
    /// The counter of SYNC, or the number of SYNC messages.
    pub(super) sync_counter: u8,
    /// A frame with this node's id was reported.
    pub(super) same_id: bool,
    /// The last SYNC had a wrong length, which was reported.
    pub(super) wrong_sync: bool,
    /// Commands are not valid at present.
    pub(super) losses: Losses,
    /// The fault codes last reported.
    pub(super) faults: [u16; super::table::MAX_AXES],
}

/// The losses that last.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    pub(super) heartbeat: bool,
    pub(super) sync: bool,
    pub(super) bus: bool,
    /// One bit for each axis.
    pub(super) rpdo: u8,
}

impl Node {
    /// A node with the preset parameters, before the boot-up message. `axes` as in
    /// [`Drive::axes`].
    #[must_use]
    pub fn new(config: Config, axes: usize) -> Self {
        Self {
            dictionary: Dictionary::new(config, axes),
            server: Server::IDLE,
            lss: Lss::new(config.node_id),
            resets: false,
            nmt: Nmt::Initialising,
            beat: None,
            emcy: None,
            sync: None,
            sync_missing: 0,
            held: false,
            sync_counter: 0,
            same_id: false,
            wrong_sync: false,
            losses: Losses::default(),
            faults: [0; super::table::MAX_AXES],
        }
    }

    /// The NMT state.
    #[must_use]
    pub const fn nmt(&self) -> Nmt {
        self.nmt
    }

    /// The node id; 255 for none.
    #[must_use]
    pub const fn node_id(&self) -> u8 {
        self.dictionary.config.node_id
    }

    /// Whether this node has no node id: it waits for a master that gives it one by LSS.
    #[must_use]
    pub const fn is_unconfigured(&self) -> bool {
        self.node_id() == lss::UNCONFIGURED
    }

    /// Whether `id` is the identifier of SYNC.
    #[must_use]
    pub fn is_sync(&self, id: u16) -> bool {
        self.dictionary.sync_id == u32::from(id)
    }

    /// The identifiers of the frames that this node needs, as pairs of an identifier and the bits
    /// of it that are compared. They change only while a frame is received.
    pub fn identifiers(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        // Without a node id there are no others.
        let others = match self.is_unconfigured() {
            true => 0,
            false => usize::MAX,
        };
        let id = u16::from(self.node_id());
        let sync = self.dictionary.sync_id as u16;
        let fixed = [(0, MAX_ID), (sync, MAX_ID), (0x600 + id, MAX_ID)];
        // All heartbeats: those consumed, and that of another node with this id. It also sends
        // on the identifiers of SDO answers and EMCY.
        let emcy = self.dictionary.emcy_id as u16 & MAX_ID;
        let heartbeats = [(0x700, 0x780), (0x580 + id, MAX_ID), (emcy, MAX_ID)];
        let pdos = self.dictionary.rpdos.iter().filter(|pdo| pdo.is_valid());
        let pdos = pdos.map(|pdo| (pdo.can_id(), MAX_ID));
        let others = (fixed.into_iter().chain(heartbeats).chain(pdos)).take(others);
        core::iter::once((lss::REQUEST, MAX_ID)).chain(others)
    }

    /// Processes a received frame. Frames for others, remote frames and frames of a wrong length
    /// have no effect.
    pub fn receive(
        &mut self,
        now: Instant,
        frame: &Frame,
        drive: &mut impl Drive,
        out: &mut Outbox,
    ) {
        if frame.is_remote() {
            return;
        }
        if frame.id() == lss::REQUEST {
            if self.nmt != Nmt::Initialising || self.is_unconfigured() {
                let dictionary = &mut self.dictionary;
                self.lss.receive(frame.data(), dictionary, drive, out);
            }
            return;
        }
        if self.nmt == Nmt::Initialising {
            return;
        }
        let id = u16::from(self.node_id());
        match frame.id() {
            0 => self.receive_nmt(frame.data(), drive),
            can_id if can_id == 0x600 + id => {
                if self.nmt != Nmt::Stopped
                    && let Ok(request) = <&[u8; 8]>::try_from(frame.data())
                {
                    self.server
                        .receive(now, request, &mut self.dictionary, drive, out);
                }
            }
            can_id if self.is_sync(can_id) => {
                self.receive_sync(now, frame.data(), drive, out);
            }
            can_id if can_id == 0x580 + id || u32::from(can_id) == self.dictionary.emcy_id => {
                self.report_same_id();
            }
            can_id @ 0x701..=0x77F => self.receive_heartbeat(now, can_id, frame.data()),
            can_id => self.receive_pdo(now, can_id, frame.data(), drive),
        }
    }

    /// Whether another node has sent with this node's id since the last reset.
    #[must_use]
    pub const fn has_twin(&self) -> bool {
        self.same_id
    }

    /// A frame that only a node with this node's id sends. It is reported, and nothing stops:
    /// a stranger's frame must not stop an axis.
    pub(super) fn report_same_id(&mut self) {
        if !core::mem::replace(&mut self.same_id, true) {
            self.dictionary.errors.report(SAME_NODE_ID, 0, [0; 5]);
        }
    }

    /// Processes an event of the CAN controller. Bus-off ends the validity of the commands.
    pub fn bus(&mut self, event: BusEvent, drive: &mut impl Drive) {
        let errors = &mut self.dictionary.errors;
        match event {
            BusEvent::Off => {
                self.losses.bus = true;
                self.lost_all(Loss::Bus, drive);
            }
            BusEvent::Recovered if self.losses.bus => {
                self.losses.bus = false;
                errors.report(RECOVERED, COMMUNICATION, [0; 5]);
                self.check_communication();
            }
            BusEvent::Recovered => {}
            BusEvent::Passive => errors.report(PASSIVE, 0, [0; 5]),
            BusEvent::Overrun => errors.report(OVERRUN, 0, [0; 5]),
        }
    }

    /// Tells the drive of each axis that the commands are not valid any more.
    pub(super) fn lost_all(&self, loss: Loss, drive: &mut impl Drive) {
        for axis in 0..usize::from(self.dictionary.axes) {
            drive.lost(axis, loss);
        }
    }

    /// Ends the error "communication" when no loss lasts.
    pub(super) fn check_communication(&mut self) {
        if self.losses == Losses::default() {
            self.dictionary.errors.clear(COMMUNICATION);
        }
    }

    /// 1029h: what a communication error does to the NMT state.
    pub(super) fn communication_error(&mut self) {
        match self.dictionary.error_behaviour {
            0 if self.nmt == Nmt::Operational => self.nmt = Nmt::PreOperational,
            2 => self.nmt = Nmt::Stopped,
            _ => {}
        }
    }
}
