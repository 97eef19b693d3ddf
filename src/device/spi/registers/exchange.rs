//! One transaction by registers.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::kind::Kind;
use super::parts::{Burst, State};
use super::{Block, Wire};
use crate::sys::Errno;
use crate::sys::spi::Transfer;

/// What the controller may be late by before a transfer counts as stuck, ns.
pub const MARGIN_NS: u64 = 100_000;

/// How a thread has the controller for one transaction.
pub(super) struct Hold<'a> {
    pub(super) owner: &'a AtomicUsize,
    /// This thread, as the owner.
    pub(super) me: usize,
    /// Number of executions of the safe plan that want the controller; `None` for one of these.
    pub(super) wanted: Option<&'a AtomicU32>,
}

impl Hold<'_> {
    /// Whether the safe plan has taken the controller: leave, and touch no register. Before each
    /// register access: a load and a comparison.
    #[inline]
    fn is_lost(&self) -> bool {
        self.owner.load(Ordering::Relaxed) != self.me
    }

    /// Whether the safe plan waits for the controller: disable the block and leave.
    #[inline]
    fn is_wanted(&self) -> bool {
        (self.wanted).is_some_and(|wanted| wanted.load(Ordering::Relaxed) > 0)
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
struct Cursor {
    transfer: usize,
    byte: usize,
    /// Bytes left in the transfer; 0 at the end of all.
    left: usize,
    /// Bytes before it, in all transfers.
    total: usize,
}

impl Cursor {
    /// The first byte of `transfers`.
    fn first(transfers: &[Transfer<'_>]) -> Self {
        let mut first = Self {
            transfer: 0,
            byte: 0,
            left: transfers.first().map_or(0, Transfer::bytes),
            total: 0,
        };
        if first.left == 0 {
            first.next_transfer(transfers);
        }
        first
    }

    /// Goes on with the next transfer that has bytes.
    fn next_transfer(&mut self, transfers: &[Transfer<'_>]) {
        self.byte = 0;
        while self.left == 0 && self.transfer < transfers.len() {
            self.transfer += 1;
            self.left = transfers.get(self.transfer).map_or(0, Transfer::bytes);
        }
    }

    #[inline]
    fn advance(&mut self, transfers: &[Transfer<'_>]) {
        self.byte += 1;
        self.total += 1;
        self.left -= 1;
        if self.left == 0 {
            self.next_transfer(transfers);
        }
    }

    /// The next byte to send: 0 in a transfer that only receives.
    #[inline]
    fn take(&mut self, transfers: &[Transfer<'_>]) -> u8 {
        let sent = transfers.get(self.transfer).and_then(Transfer::tx);
        let byte = sent.map_or(0, |bytes| bytes[self.byte]);
        self.advance(transfers);
        byte
    }

    /// Stores the next received byte, unless its transfer only sends.
    #[inline]
    fn store(&mut self, transfers: &mut [Transfer<'_>], byte: u8) {
        let received = (transfers.get_mut(self.transfer)).and_then(Transfer::rx_mut);
        if let Some(bytes) = received {
            bytes[self.byte] = byte;
        }
        self.advance(transfers);
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

/// Completes `burst` by the pauses before the first byte and after the last one.
///
/// # Errors
/// `ENOTSUP` for a pause that is not where a word ends. Nothing has been sent.
fn plan_pauses(kind: Kind, transfers: &[Transfer<'_>], burst: &mut Burst) -> Result<(), Errno> {
    if let (0, ns) = next_pause(transfers, 0) {
        burst.lead_ns = burst.lead_ns.max(ns);
    }
    let (mut at, mut hold_ns) = (0, 0);
    while at < burst.bytes {
        (at, hold_ns) = next_pause(transfers, at + 1);
        if at < burst.bytes && kind.word_bytes(burst.bytes - at) != kind.word_bytes(0) {
            return Err(Errno(libc::ENOTSUP));
        }
    }
    burst.hold = hold_ns > 0;
    Ok(())
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
    // Compiled once for each kind: it does not look at the kind again for each word.
    match kind {
        Kind::Ecspi => run_as(Kind::Ecspi, block, wire, transfers, hold),
        Kind::Bcm2835 => run_as(Kind::Bcm2835, block, wire, transfers, hold),
    }
}

#[inline(always)]
fn run_as<B: Block>(
    kind: Kind,
    block: &B,
    wire: &Wire,
    transfers: &mut [Transfer<'_>],
    hold: &Hold<'_>,
) -> Result<usize, Errno> {
    let (mut bytes, mut pauses_us) = (0, 0);
    for transfer in transfers.iter() {
        bytes += transfer.bytes();
        pauses_us |= transfer.delay_us();
    }
    if bytes > kind.most_bytes() {
        return Err(Errno(libc::EMSGSIZE));
    }
    // Without a clock the chip is not selected.
    if bytes == 0 {
        return Err(Errno(libc::ENOTSUP));
    }
    let mut burst = Burst {
        bytes,
        lead_ns: wire.setup_ns.into(),
        hold: false,
    };
    // The end of all bytes, without a pause.
    let mut first = (bytes, 0);
    if pauses_us > 0 {
        plan_pauses(kind, transfers, &mut burst)?;
        first = next_pause(transfers, 1);
    }
    let block = &Guarded { block, hold };
    kind.end(block, wire);
    let sent = match kind.begin(block, wire, &burst) {
        Ok(start) => send(kind, block, wire, transfers, (&burst, start, first)),
        Err(errno) => Err(errno),
    };
    kind.end(block, wire);
    if hold.is_lost() {
        // Whatever was read since then was the plan's.
        return Err(Errno(libc::ECANCELED));
    }
    sent.map(|()| bytes)
}

/// How long nothing may come, and since when nothing has come.
struct Patience {
    /// The clock on the wire.
    hz: u32,
    lead_ns: u64,
    deadline: Option<u64>,
    overdue: bool,
}

impl Patience {
    /// A look has found nothing. Gives whether that look began after the limit: this thread may
    /// have been preempted before, while the controller went on.
    fn is_over<B: Block>(&mut self, block: &B) -> bool {
        let over = self.overdue;
        let now = block.now_ns();
        let deadline = *(self.deadline).get_or_insert_with(|| {
            let word_ns = 34 * 1_000_000_000 / u64::from(self.hz);
            now + word_ns + self.lead_ns + MARGIN_NS
        });
        self.overdue = now >= deadline;
        over
    }

    fn begin_again(&mut self) {
        self.deadline = None;
        self.overdue = false;
    }
}

#[inline(always)]
fn send<B: Block>(
    kind: Kind,
    block: &Guarded<'_, B>,
    wire: &Wire,
    transfers: &mut [Transfer<'_>],
    (burst, start, (mut stop, mut pause_ns)): (&Burst, u32, (usize, u64)),
) -> Result<(), Errno> {
    let (mut fed, mut got) = (Cursor::first(transfers), Cursor::first(transfers));
    let mut in_flight = 0;
    let mut patience = Patience {
        hz: wire.divider.hz,
        lead_ns: burst.lead_ns,
        deadline: None,
        overdue: false,
    };
    let check = || match block.hold.is_wanted() || block.hold.is_lost() {
        false => Ok(()),
        true => Err(Errno(libc::ECANCELED)),
    };
    loop {
        // A lost block reads as one that is gone.
        if block.hold.is_wanted() {
            return Err(Errno(libc::ECANCELED));
        }
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
