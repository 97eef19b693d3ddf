//! One transaction by registers.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::kind::Kind;
use super::parts::{Burst, State};
use super::{Block, Wire};
use crate::sys::Errno;
use crate::sys::spi::Transfer;

/// What the controller may be late by before a transfer counts as stuck, ns.
pub const MARGIN_NS: u64 = 100_000;

/// Whether the transaction still has the controller.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Grip {
    /// It goes on.
    Held,
    /// The safe plan waits for the controller: disable the block and leave.
    Wanted,
    /// The safe plan has taken the controller: leave, and touch no register.
    Lost,
}

/// How a thread has the controller for one transaction.
pub(super) struct Hold<'a> {
    pub(super) owner: &'a AtomicUsize,
    /// This thread, as the owner.
    pub(super) me: usize,
    /// Number of executions of the safe plan that want the controller; `None` for one of these.
    pub(super) wanted: Option<&'a AtomicU32>,
}

impl Hold<'_> {
    /// Before each register access: a load and a comparison.
    #[inline]
    fn is_lost(&self) -> bool {
        self.owner.load(Ordering::Relaxed) != self.me
    }

    #[inline]
    fn grip(&self) -> Grip {
        let is_wanted = |wanted: &AtomicU32| wanted.load(Ordering::Relaxed) > 0;
        if self.is_lost() {
            Grip::Lost
        } else if self.wanted.is_some_and(is_wanted) {
            Grip::Wanted
        } else {
            Grip::Held
        }
    }
}

/// The block, as long as it is not lost.
struct Guarded<'a, B> {
    block: &'a B,
    hold: &'a Hold<'a>,
}

impl<B: Block> Block for Guarded<'_, B> {
    #[inline]
    fn read(&self, offset: usize) -> u32 {
        if self.hold.is_lost() {
            return u32::MAX;
        }
        self.block.read(offset)
    }

    #[inline]
    fn write(&self, offset: usize, value: u32) {
        if !self.hold.is_lost() {
            self.block.write(offset, value);
        }
    }

    fn now_ns(&self) -> u64 {
        self.block.now_ns()
    }
}

/// A place in the bytes of all transfers.
#[derive(Default)]
struct Cursor {
    transfer: usize,
    byte: usize,
    /// Bytes before it, in all transfers.
    total: usize,
}

impl Cursor {
    /// Steps over transfers that have no byte left.
    fn settle(&mut self, transfers: &[Transfer<'_>]) {
        while (transfers.get(self.transfer)).is_some_and(|it| self.byte == it.bytes()) {
            self.transfer += 1;
            self.byte = 0;
        }
    }

    fn advance(&mut self) {
        self.byte += 1;
        self.total += 1;
    }

    /// The next byte to send: 0 in a transfer that only receives.
    fn take(&mut self, transfers: &[Transfer<'_>]) -> u8 {
        self.settle(transfers);
        let sent = transfers.get(self.transfer).and_then(Transfer::tx);
        let byte = sent.map_or(0, |bytes| bytes[self.byte]);
        self.advance();
        byte
    }

    /// Stores the next received byte, unless its transfer only sends.
    fn store(&mut self, transfers: &mut [Transfer<'_>], byte: u8) {
        self.settle(transfers);
        let received = (transfers.get_mut(self.transfer)).and_then(Transfer::rx_mut);
        if let Some(bytes) = received {
            bytes[self.byte] = byte;
        }
        self.advance();
    }
}

/// The first pause after `from` bytes or more: where it is, and its length in ns. At the end of
/// all bytes without one.
fn next_pause(transfers: &[Transfer<'_>], from: usize) -> (usize, u64) {
    let (mut at, mut ns) = (0, 0);
    for transfer in transfers {
        if transfer.bytes() > 0 && ns > 0 {
            return (at, ns);
        }
        at += transfer.bytes();
        if at >= from {
            ns += u64::from(transfer.delay_us()) * 1_000;
        }
    }
    (at, ns)
}

/// Runs `transfers` as one transaction on a block that this thread owns, and leaves it disabled
/// unless the grip was lost. Gives the number of bytes.
///
/// # Errors
/// `EMSGSIZE` for more bytes than the controller can send at once; `ENOTSUP` for a pause that it
/// cannot make; `ENODEV` when no block answers; `ETIMEDOUT` when it is stuck; `EOVERFLOW` when a
/// received word was lost; `ECANCELED` when the safe plan takes the controller.
pub(super) fn run<B: Block>(
    kind: Kind,
    block: &B,
    wire: &Wire,
    transfers: &mut [Transfer<'_>],
    hold: &Hold<'_>,
) -> Result<usize, Errno> {
    let bytes = transfers.iter().map(Transfer::bytes).sum();
    if bytes > kind.most_bytes() {
        return Err(Errno(libc::EMSGSIZE));
    }
    // Without a clock the chip is not selected.
    if bytes == 0 {
        return Err(Errno(libc::ENOTSUP));
    }
    let lead_ns = match next_pause(transfers, 0) {
        (0, ns) => ns,
        _ => 0,
    };
    // Before anything is sent: each pause is where a word ends.
    let (mut at, mut hold_ns) = (0, 0);
    while at < bytes {
        (at, hold_ns) = next_pause(transfers, at + 1);
        if at < bytes && kind.word_bytes(bytes - at) != kind.word_bytes(0) {
            return Err(Errno(libc::ENOTSUP));
        }
    }
    let burst = Burst {
        bytes,
        lead_ns: lead_ns.max(u64::from(wire.setup_ns)),
        hold: hold_ns > 0,
    };
    let block = &Guarded { block, hold };
    kind.end(block, wire);
    let sent = kind
        .begin(block, wire, &burst)
        .and_then(|start| send(kind, block, wire, transfers, (&burst, start)));
    kind.end(block, wire);
    if hold.is_lost() {
        // Whatever was read since then was the plan's.
        return Err(Errno(libc::ECANCELED));
    }
    sent.map(|()| bytes)
}

/// How long nothing may come, and since when nothing has come.
struct Patience {
    limit_ns: u64,
    deadline: Option<u64>,
    overdue: bool,
}

impl Patience {
    /// A look has found nothing. Gives whether that look began after the limit: this thread may
    /// have been preempted before, while the controller went on.
    fn is_over<B: Block>(&mut self, block: &B) -> bool {
        let over = self.overdue;
        let now = block.now_ns();
        self.overdue = now >= *self.deadline.get_or_insert(now + self.limit_ns);
        over
    }

    fn begin_again(&mut self) {
        self.deadline = None;
        self.overdue = false;
    }
}

fn send<B: Block>(
    kind: Kind,
    block: &Guarded<'_, B>,
    wire: &Wire,
    transfers: &mut [Transfer<'_>],
    (burst, start): (&Burst, u32),
) -> Result<(), Errno> {
    let (mut fed, mut got) = (Cursor::default(), Cursor::default());
    let mut in_flight = 0;
    let (mut stop, mut pause_ns) = next_pause(transfers, 1);
    let word_ns = 34 * 1_000_000_000 / u64::from(wire.divider.hz);
    let mut patience = Patience {
        limit_ns: word_ns + burst.lead_ns + MARGIN_NS,
        deadline: None,
        overdue: false,
    };
    let check = || match block.hold.grip() {
        Grip::Held => Ok(()),
        Grip::Wanted | Grip::Lost => Err(Errno(libc::ECANCELED)),
    };
    loop {
        check()?;
        if in_flight <= Kind::FIFO_WORDS / 2 && fed.total < stop {
            while in_flight < Kind::FIFO_WORDS && fed.total < stop {
                let mut word = 0;
                for _ in 0..kind.word_bytes(burst.bytes - fed.total) {
                    word = word << 8 | u32::from(fed.take(transfers));
                }
                kind.push(block, word);
                in_flight += 1;
            }
            kind.start(block, start);
        }
        match kind.state(block) {
            State::Gone => return Err(Errno(libc::ENODEV)),
            State::Overrun => return Err(Errno(libc::EOVERFLOW)),
            State::Nothing if patience.is_over(block) => return Err(Errno(libc::ETIMEDOUT)),
            State::Nothing => continue,
            State::Word => patience.begin_again(),
        }
        let word = kind.pull(block);
        in_flight -= 1;
        for at in (0..kind.word_bytes(burst.bytes - got.total)).rev() {
            got.store(transfers, (word >> (8 * at)) as u8);
        }
        if got.total < stop {
            continue;
        }
        let last = stop == burst.bytes;
        while last && !burst.hold && !kind.finished(block) {
            check()?;
            if patience.is_over(block) {
                return Err(Errno(libc::ETIMEDOUT));
            }
        }
        if pause_ns > 0 {
            let until = block.now_ns() + pause_ns;
            while block.now_ns() < until {
                check()?;
            }
        }
        if last {
            return Ok(());
        }
        patience.begin_again();
        (stop, pause_ns) = next_pause(transfers, stop + 1);
    }
}
