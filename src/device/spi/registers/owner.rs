//! Who drives a controller.
//!
//! The loop and the safe plan (stall guard, crash handlers) drive the same registers from
//! different threads, and nobody may wait for a lock: the thread that holds it may be stopped.
//!
//! - The loop takes a controller for one transaction, and looks at it before each register
//!   access. When the plan wants the controller, the loop disables the block and
//!   leaves; when the plan has taken it, the loop leaves without another access.
//! - The plan takes a free controller at once, and one whose owner is the thread that it
//!   interrupted: that transaction never goes on. Otherwise it waits [`LEAVE_NS`] for the owner
//!   to leave, then takes it. It begins with a disabled block, which ends any transaction.
//! - A loop that is stopped between its look and its access can still do this one access later,
//!   into the plan's frame. Its handle then finds the safe-state latch set, and executes the
//!   whole plan again ([`emergency::repeat`](crate::sys::emergency::repeat)).

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::exchange::{Hold, run};
use super::{Block, Kind, Mapped, Wire};
use crate::sys::Errno;
use crate::sys::emergency::DirectBus;
use crate::sys::spi::Transfer;

/// How long the safe plan waits for a transaction of another thread to leave, ns. The loop looks
/// at least once in a microsecond while it runs.
pub const LEAVE_NS: u64 = 100_000;

/// The same for a frame of the plan on another thread, which does not leave.
const FRAME_NS: u64 = 5_000_000;

/// Nobody owns the controller.
const FREE: usize = 0;
/// The owner is the safe plan.
const PLAN: usize = 1;

std::thread_local! {
    static ME: u64 = const { 0 };
}

/// A number of this thread, even and not 0, without a system call.
fn me() -> usize {
    ME.with(|me| core::ptr::from_ref(me).addr())
}

/// A controller and its owner.
#[derive(Debug)]
pub(super) struct Controller<B> {
    pub(super) kind: Kind,
    pub(super) block: B,
    owner: AtomicUsize,
    /// Number of executions of the safe plan that wait for it or drive it.
    wanted: AtomicU32,
}

impl<B: Block> Controller<B> {
    pub(super) const fn new(kind: Kind, block: B) -> Self {
        Self {
            kind,
            block,
            owner: AtomicUsize::new(FREE),
            wanted: AtomicU32::new(0),
        }
    }

    /// Whether no execution of the safe plan waits for it or drives it.
    #[cfg(test)]
    pub(super) fn is_free_of_plan(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) == 0
    }

    fn change(&self, from: usize, to: usize) -> bool {
        let changed = (self.owner).compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        changed.is_ok()
    }

    /// Takes the controller for the safe plan.
    fn take(&self, plan: usize) {
        let began = self.block.now_ns();
        loop {
            let owner = self.owner.load(Ordering::SeqCst);
            let wait_ns = match owner {
                FREE => 0,
                _ if owner | PLAN == plan => 0,
                _ if owner & PLAN != 0 => FRAME_NS,
                _ => LEAVE_NS,
            };
            if self.block.now_ns() >= began + wait_ns && self.change(owner, plan) {
                return;
            }
            core::hint::spin_loop();
        }
    }
}

/// One chip of a controller.
#[derive(Debug)]
pub struct Chip<B: 'static = Mapped> {
    pub(super) controller: &'static Controller<B>,
    pub(super) wire: Wire,
}

impl<B: Block> Chip<B> {
    /// Most bytes of a transaction.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        self.controller.kind.most_bytes()
    }

    /// Runs `transfers` as one transaction, and gives the number of bytes.
    ///
    /// # Errors
    /// `ECANCELED` while the safe plan drives the controller, or when it takes it. `EMSGSIZE`,
    /// `ENOTSUP` for a pause that the controller cannot make, `ENODEV`, `ETIMEDOUT`, `EOVERFLOW`.
    pub fn message(&self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        let Self { controller, wire } = self;
        let me = me();
        if !controller.change(FREE, me) {
            return Err(Errno(libc::ECANCELED));
        }
        let hold = Hold {
            owner: &controller.owner,
            me,
            wanted: Some(&controller.wanted),
        };
        let sent = run(controller.kind, &controller.block, wire, transfers, &hold);
        controller.change(me, FREE);
        sent
    }
}

impl<B: Block + Sync> DirectBus for Chip<B> {
    fn send(&self, frame: &[u8]) -> Result<(), Errno> {
        let Self { controller, wire } = self;
        let mut transfers = [Transfer::write(frame).map_err(|_| Errno(libc::EMSGSIZE))?];
        let plan = me() | PLAN;
        controller.wanted.fetch_add(1, Ordering::SeqCst);
        controller.take(plan);
        let hold = Hold {
            owner: &controller.owner,
            me: plan,
            wanted: None,
        };
        let sent = run(
            controller.kind,
            &controller.block,
            wire,
            &mut transfers,
            &hold,
        );
        controller.change(plan, FREE);
        controller.wanted.fetch_sub(1, Ordering::SeqCst);
        sent.map(|_| ())
    }
}
