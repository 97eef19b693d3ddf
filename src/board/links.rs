//! Opens the links of a board file, and connects them to the loop.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::error::RunError;
use crate::config::Config;
use crate::cycle::force::Forces;
use crate::cycle::image::{Inputs, Outputs};
use crate::cycle::ports::Tick;
use crate::cycle::word::Word;
use crate::link::can::CanLink;
use crate::link::force::{Exchange, Forcing, Taker};
use crate::link::frames::{Publisher, Shared};
use crate::link::local::{Local, LocalConfig, Refused};
use crate::link::mailbox::{Mailbox, Receiver};
use crate::link::owner::Owners;
use crate::link::saved::Store;
use crate::link::saved::disk::Disk;
use crate::link::server::{CHANGED, FORCING, Link, Server};
use crate::realtime::memory::Range;
use crate::sys::arena::Placed;

/// Commands for the loop. Made by the first run with links, so that it takes no locked memory
/// without them; it lives on, because the loop's thread has it as well.
static MAILBOX: OnceLock<Box<Mailbox>> = OnceLock::new();
/// Forces for the loop.
static FORCES: Exchange = Exchange::new();
/// Number of clients that read signals, and [`CHANGED`] and [`FORCING`].
static WATCHED: AtomicU32 = AtomicU32::new(0);

/// The link thread's side.
///
/// In the heap: a value of this size that is moved through the start would make the stack of the
/// main thread larger, which is locked, also on a board without links.
pub(super) struct Links {
    server: Box<Server<'static>>,
    /// The frames that the loop writes.
    pub(super) frames: Range,
    /// Writes the saved parameters, on a thread of its own.
    pub(super) disk: Option<&'static Disk>,
}

/// The loop's side.
pub(super) struct LoopLinks {
    receiver: Receiver,
    publisher: Publisher,
    taker: Taker<'static>,
}

impl Links {
    /// Opens the links of `config`; `None` without any. Allocates.
    #[inline(never)]
    pub(super) fn open(config: &Config) -> Result<Option<(Self, Placed<LoopLinks>)>, RunError> {
        let links = &config.links;
        if !links.is_any() {
            return Ok(None);
        }
        can_is_supported(config)?;
        let machine = &config.machine;
        let groups = machine.signals.groups();
        let shared = Shared::new(
            machine.layout(),
            &machine.described(),
            &machine.described_groups(),
            config.run.period,
        )
        .map_err(RunError::Shared)?;
        let shared: &'static Shared = Box::leak(Box::new(shared));
        let publisher = shared.publisher();
        let timeouts = groups.groups.iter().map(|group| group.timeout);
        let (sender, receiver) = MAILBOX
            .get_or_init(|| Box::new(Mailbox::new()))
            .open(timeouts);
        let parts = groups.groups.iter().map(|group| (group.first, group.count));
        let mut owners = Owners::new(sender, parts, groups.ranges.iter().copied());
        if let Some(parameters) = machine.laws.iter().find_map(|law| law.law.parameters()) {
            owners.parameters = parameters;
        }
        let mut disk = None;
        if let Some(saved) = &config.parameters {
            let node_id = links.can.as_ref().map(|can| can.node.node_id);
            let known = &mut *owners.parameters;
            let axes = machine.statuswords();
            let objects = saved.room(node_id.map(|_| axes.len()));
            let on = Box::new(Disk::new(&saved.path, &config.name, known, objects));
            let on: &'static Disk = Box::leak(on);
            let store = Store::new(saved, &config.name, node_id, shared, axes, on);
            owners.store = Some(store);
            disk = Some(on);
        }
        let local = match &links.local {
            Some(local) => {
                let forcing = Forcing::new(&FORCES, machine.force_rules(&config.io, local));
                let drives = machine.drives().into_iter().map(|drive| drive.group);
                let opened = Local::open(local, shared, forcing, drives);
                Some(opened.map_err(|refused| error(local, refused))?)
            }
            None => None,
        };
        let can = match &links.can {
            // The condition is constant: without the feature, the binary has no CANopen node.
            Some(can) if cfg!(feature = "canopen") => {
                let opened = CanLink::open(can, shared, machine.drives());
                let name = can.interface.clone();
                let opened = opened.map_err(|error| RunError::Can(name, error))?;
                Some(Box::new(opened) as Box<dyn Link>)
            }
            _ => None,
        };
        let guarded = machine.signals.guarded();
        let in_loop = LoopLinks {
            receiver,
            publisher,
            taker: Taker::new(&FORCES, Forces::new(guarded.power, guarded.stop)),
        };
        let in_loop = Placed::of(in_loop).map_err(RunError::Full)?;
        let server = Box::new(Server { local, can, owners });
        let frames = shared.range();
        let links = Self {
            server,
            frames,
            disk,
        };
        Ok(Some((links, in_loop)))
    }

    /// Serves the links until `done` is set.
    pub(super) fn run(mut self, done: &AtomicBool) {
        self.server.run(done, &WATCHED);
    }
}

/// Whether this firmware has what `[link.can]` needs, if `config` has one.
///
/// # Errors
/// [`RunError::WithoutCanopen`].
pub fn can_is_supported(config: &Config) -> Result<(), RunError> {
    supported(config.links.can.is_some(), cfg!(feature = "canopen"))
}

const fn supported(asked: bool, is_built_in: bool) -> Result<(), RunError> {
    if asked && !is_built_in {
        return Err(RunError::WithoutCanopen);
    }
    Ok(())
}

fn error(config: &LocalConfig, refused: Refused) -> RunError {
    RunError::Link(config.path.clone(), refused)
}

impl LoopLinks {
    /// Takes the newest commands and forces. `levels` are those of the digital outputs.
    #[inline]
    pub(super) fn receive(&mut self, tick: &Tick, inputs: &mut Inputs, levels: u32) {
        self.receiver.receive(tick.now, &mut inputs.received);
        if WATCHED.load(Ordering::Relaxed) & FORCING != 0 || self.taker.is_busy() {
            self.taker.take(tick, levels);
        }
    }

    /// The forces, if there are any.
    #[inline]
    pub(super) fn forces(&mut self) -> Option<&mut Forces> {
        self.taker.forces()
    }

    /// Whether parameters were changed. It includes a change before the last received command:
    /// the link thread raises the flag before it sends.
    #[inline]
    pub(super) fn changed() -> bool {
        WATCHED.load(Ordering::Relaxed) & CHANGED != 0
    }

    /// Shows the cycle to clients, if there are any.
    #[inline]
    pub(super) fn publish(
        &mut self,
        tick: &Tick,
        inputs: &Inputs,
        outputs: &Outputs,
        status: impl FnOnce(&[Word]),
    ) {
        self.taker.tell();
        if WATCHED.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.publisher.publish(tick, inputs, outputs, status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_can_link_needs_a_firmware_with_canopen() {
        assert!(matches!(
            supported(true, false),
            Err(RunError::WithoutCanopen)
        ));
        for (asked, is_built_in) in [(true, true), (false, false), (false, true)] {
            assert!(supported(asked, is_built_in).is_ok());
        }
    }
}
