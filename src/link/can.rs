//! The link to a CAN bus: the node of [`canopen`](super::canopen) on an interface.
//!
//! The master on the bus is one client of [`Owners`]: with its first command it claims the group
//! of an axis, and it loses it when the master is lost ([`Loss`](super::canopen::Loss)), so that
//! another client can take over. While it commands, others are refused, and while another client
//! commands, its SDO downloads are aborted with 0x08000021 and its PDOs are reported by EMCY.

mod machine;
mod notices;
mod reset;

use std::os::fd::{AsFd, BorrowedFd};

pub use self::machine::DriveConfig;
use self::machine::{Machine, STATUSES, Values};
use self::notices::Notice;
use super::canopen::{BusEvent, Config, Frame, MAX_AXES, Nmt, Node, OUTBOX_FRAMES, Outbox};
use super::frames::Shared;
use super::owner::Owners;
use super::server::Link;
use crate::cycle::ports::Clock;
use crate::device::can::{Can, CanError, MAX_WANTED, Received};
use crate::realtime::clock::Monotonic;
use crate::sys::Errno;
use crate::telemetry::say;
use crate::time::{Duration, Instant};

/// Frames that are received before the loop gets the commands.
const TURN: usize = 64;
/// How often the first cycle is looked for.
const FIRST_CYCLE: Duration = Duration::from_millis(1);

/// `[link.can]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanConfig {
    /// Name of the interface.
    pub interface: String,
    /// Its bit rate, bit/s.
    pub bit_rate: u32,
    /// The node.
    pub node: Config,
}

/// The link.
pub struct CanLink<'l> {
    can: Can,
    node: Node,
    out: Outbox,
    shared: &'l Shared,
    axes: heapless::Vec<DriveConfig, MAX_AXES>,
    values: Values,
    /// The identifiers that the kernel passes on.
    wanted: heapless::Vec<(u16, u16), MAX_WANTED>,
    /// The next time at which the node has something to do.
    next: Instant,
    /// The interface is down.
    down: bool,
    /// An error of the socket was reported.
    failed: bool,
    /// The loop has shown its first cycle.
    is_running: bool,
}

impl<'l> CanLink<'l> {
    /// Opens the interface of `config` for the first [`MAX_AXES`] of `axes`.
    ///
    /// # Errors
    /// Why the interface cannot be used.
    pub fn open(
        config: &CanConfig,
        shared: &'l Shared,
        axes: impl IntoIterator<Item = DriveConfig>,
    ) -> Result<Self, CanError> {
        let axes: heapless::Vec<_, MAX_AXES> = axes.into_iter().take(MAX_AXES).collect();
        Ok(Self {
            can: Can::open(&config.interface, config.bit_rate)?,
            node: Node::new(config.node, axes.len()),
            out: Outbox::new(),
            shared,
            // Without an axis there is nothing to wait for.
            is_running: axes.is_empty(),
            axes,
            values: Values::NONE,
            wanted: heapless::Vec::new(),
            next: Instant::from_nanos(0),
            down: false,
            failed: false,
        })
    }
}

impl Link for CanLink<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.can.as_fd()
    }

    /// Rounded up; at least one while frames wait for room in the queue of the interface.
    fn timeout_ms(&self, now: Instant) -> u16 {
        let ms = self.next.since(now).as_nanos().div_ceil(1_000_000);
        let least = u16::from(!self.out.is_empty());
        u16::try_from(ms).unwrap_or(u16::MAX).max(least)
    }

    fn serve(&mut self, owners: &mut Owners<'_>, now: Instant) {
        self.values.note_taken(owners);
        for (axis, statuses) in self.axes.iter().zip(&mut self.values.statuses) {
            let mut newest = [0.0; STATUSES];
            if self.shared.newest(axis.status, &mut newest) {
                *statuses = newest;
                self.is_running = true;
            }
        }
        if !self.is_running {
            // The boot-up message tells the master that the node can be used: not before the
            // states of the axes are known. A frame that has come already waits in the socket:
            // this thread then looks again and again, at most until the first cycle.
            self.next = now + FIRST_CYCLE;
            return;
        }
        let mut machine = Machine {
            owners,
            now,
            axes: &self.axes,
            values: &mut self.values,
        };
        if self.node.nmt() == Nmt::Initialising {
            // The boot-up message comes before the first frame is received.
            self.node.poll(now, &mut machine, &mut self.out);
        }
        for _ in 0..TURN {
            if self.out.len() > OUTBOX_FRAMES / 2 {
                break;
            }
            let received = match self.can.receive() {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(errno) => {
                    report(&mut self.failed, errno);
                    break;
                }
            };
            let event = match received {
                Received::Frame {
                    id,
                    remote,
                    len,
                    data,
                } => {
                    let data = data.get(..usize::from(len)).unwrap_or(&data);
                    if !remote && let Some(frame) = Frame::new(id, data) {
                        // SYNC is measured and supervised by the time at which the kernel got it,
                        // however late this thread is.
                        let at = match self.node.is_sync(id) {
                            true => Monotonic.now() - self.can.age(),
                            false => now,
                        };
                        self.node.receive(at, &frame, &mut machine, &mut self.out);
                    }
                    continue;
                }
                Received::BusOff => {
                    machine.values.notices.add(Notice::Off);
                    BusEvent::Off
                }
                Received::Down => {
                    machine.values.notices.add(Notice::Down);
                    self.down = true;
                    BusEvent::Off
                }
                Received::Restarted => BusEvent::Recovered,
                Received::Passive => {
                    machine.values.notices.add(Notice::Passive);
                    BusEvent::Passive
                }
                Received::Overrun => BusEvent::Overrun,
            };
            self.node.bus(event, &mut machine);
        }
        if self.node.has_twin() {
            machine.values.notices.add(Notice::SameId);
        }
        // After it: what has come in time is not lost because this thread is late.
        self.next = self.node.poll(now, &mut machine, &mut self.out);
        // Before the frames are sent: a master may answer to the boot-up message, or use a new COB-ID
        // as soon as it is confirmed, before this thread runs on.
        let same = self.node.identifiers().eq(self.wanted.iter().copied());
        if !same {
            self.wanted = self.node.identifiers().take(MAX_WANTED).collect();
            if let Err(errno) = self.can.want(self.wanted.iter().copied()) {
                report(&mut self.failed, errno);
            }
        }
        while let Some(frame) = self.out.front() {
            match self.can.send(frame.id(), frame.data()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(errno) => {
                    report(&mut self.failed, errno);
                    break;
                }
            }
            let _ = self.out.pop_front();
            if core::mem::take(&mut self.down) {
                self.node.bus(BusEvent::Recovered, &mut machine);
            }
        }
    }
}

/// Reports the first error of the socket.
fn report(failed: &mut bool, errno: Errno) {
    if !core::mem::replace(failed, true) {
        say(format_args!(
            "steadfast: the CAN interface failed ({errno}); see the kernel log (dmesg)"
        ));
    }
}

#[cfg(test)]
mod tests;
