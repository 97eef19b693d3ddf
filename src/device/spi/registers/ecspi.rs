//! ECSPI of i.MX (i.MX 8M Plus Applications Processor Reference Manual, "Enhanced Configurable
//! SPI"): one transaction is one burst of up to 4,096 bits with the controller's own chip select.
//!
//! - The first word holds the bytes that are left over when the burst is divided into words of
//!   32 bits, in its low bits; bytes go out from the most significant one of a word on.
//! - The burst stops while the transmit FIFO is empty, with the chip selected, and goes on when
//!   words follow and XCH is written again. So a pause may be where a word ends.
//! - Chip selects must be the controller's pins, not GPIO lines.

use super::parts::{Burst, Divider, State};
use super::{Block, Wire};
use crate::sys::Errno;
use embedded_hal::spi::{Phase, Polarity};

pub(super) const RXDATA: usize = 0x00;
pub(super) const TXDATA: usize = 0x04;
pub(super) const CONREG: usize = 0x08;
const CONFIGREG: usize = 0x0c;
pub(super) const STATREG: usize = 0x18;
const INTREG: usize = 0x10;
const DMAREG: usize = 0x14;
const PERIODREG: usize = 0x1c;

/// CONREG: block enable.
pub(super) const EN: u32 = 1;
/// CONREG: start of the exchange.
pub(super) const XCH: u32 = 1 << 2;
/// CONREG: all four channels are masters.
const MASTER: u32 = 0xf << 4;

/// STATREG: a received word waits.
pub(super) const RR: u32 = 1 << 3;
/// STATREG: the receive FIFO has overflowed.
pub(super) const RO: u32 = 1 << 6;
/// STATREG: transfer completed.
pub(super) const COMPLETED: u32 = 1 << 7;

/// `BURST_LENGTH` has 12 bits.
const BURST_BITS: usize = 4_096;
pub(super) const MOST_BYTES: usize = BURST_BITS / 8;

/// `CSD_CTL` of PERIODREG has 6 bits: clocks between chip select and first edge.
const MOST_LEAD_CLOCKS: u64 = 63;

/// The clock is divided by 1 to 16 and by a power of two up to 2^15. The smallest power gives
/// the finest steps.
pub(super) const fn divider(clock_hz: u32, speed_hz: u32) -> Option<Divider> {
    let mut post = 0;
    while post <= 15 {
        let pre = (clock_hz as u64).div_ceil((speed_hz as u64) << post);
        if pre <= 16 {
            let pre = if pre == 0 { 1 } else { pre as u32 };
            return Some(Divider {
                bits: (pre - 1) << 12 | post << 8,
                hz: (clock_hz / pre) >> post,
            });
        }
        post += 1;
    }
    None
}

pub(super) fn longest_setup_ns(divider: Divider) -> u32 {
    let ns = MOST_LEAD_CLOCKS * 1_000_000_000 / u64::from(divider.hz);
    u32::try_from(ns).unwrap_or(u32::MAX)
}

/// Writing 0 to EN resets the block's logic and empties both FIFOs.
pub(super) fn end<B: Block>(block: &B) {
    block.write(CONREG, 0);
}

/// Without interrupts and DMA requests, disabled.
pub(super) fn reset<B: Block>(block: &B) {
    block.write(CONREG, EN);
    block.write(INTREG, 0);
    block.write(DMAREG, 0);
    end(block);
}

pub(super) fn begin<B: Block>(block: &B, wire: &Wire, burst: &Burst) -> Result<u32, Errno> {
    let hz = u64::from(wire.divider.hz);
    let lead = (burst.lead_ns * hz).div_ceil(1_000_000_000);
    // A burst that is longer by one word than what is sent does not end before `end`.
    let bits = 8 * burst.bytes + if burst.hold { 32 } else { 0 };
    if lead > MOST_LEAD_CLOCKS || bits > BURST_BITS {
        return Err(Errno(libc::ENOTSUP));
    }
    let select = u32::from(wire.select);
    let control = EN | MASTER | wire.divider.bits | select << 18 | (bits as u32 - 1) << 20;
    // "With the EN bit set": the other registers take no value before.
    block.write(CONREG, control);
    if block.read(CONREG) != control {
        return Err(Errno(libc::ENODEV));
    }
    let second = u32::from(wire.mode.phase == Phase::CaptureOnSecondTransition);
    let high = u32::from(wire.mode.polarity == Polarity::IdleHigh);
    // SCLK_PHA, SCLK_POL and the level of the idle clock (SCLK_CTL). SS_CTL 0: one burst;
    // SS_POL 0: active low.
    block.write(CONFIGREG, (second | high << 4 | high << 20) << select);
    block.write(PERIODREG, (lead as u32) << 16);
    // The clock has its new idle level one period later, and the chip must not be selected
    // before it (spi-imx.c waits for two periods as well).
    let until = block.now_ns() + 2_000_000_000 / hz;
    while block.now_ns() < until {
        core::hint::spin_loop();
    }
    Ok(control | XCH)
}

#[inline]
pub(super) const fn state(status: u32) -> State {
    match status {
        u32::MAX => State::Gone,
        _ if status & RO != 0 => State::Overrun,
        _ if status & RR != 0 => State::Word,
        _ => State::Nothing,
    }
}
