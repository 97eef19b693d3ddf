//! SPI0 of BCM2835 to BCM2711 (BCM2711 ARM Peripherals, chapter 9, "SPI"): bytes, and a chip that is
//! selected while the transfer is active (TA).

use super::parts::{Burst, Divider, State};
use super::{Block, Wire};
use crate::sys::Errno;
use embedded_hal::spi::{Phase, Polarity};

pub(super) const CS: usize = 0x00;
pub(super) const FIFO: usize = 0x04;
const CLK: usize = 0x08;

const PHASE: u32 = 1 << 2;
const POLARITY: u32 = 1 << 3;
/// Empties both FIFOs.
const CLEAR: u32 = 3 << 4;
/// Transfer active.
pub(super) const TA: u32 = 1 << 7;
/// All bytes are out.
pub(super) const DONE: u32 = 1 << 16;
/// A received byte waits.
pub(super) const RXD: u32 = 1 << 17;

/// The controller knows no limit; a transaction of this length takes half a second at 1 MHz.
pub(super) const MOST_BYTES: usize = 65_536;

/// The divider is even; 0 stands for 65,536.
pub(super) const fn divider(clock_hz: u32, speed_hz: u32) -> Option<Divider> {
    let least = clock_hz.div_ceil(speed_hz).next_multiple_of(2);
    let by = if least < 2 { 2 } else { least };
    if by > 65_536 {
        return None;
    }
    Some(Divider {
        bits: by & 0xffff,
        hz: clock_hz / by,
    })
}

const fn control(wire: &Wire) -> u32 {
    let phase = match wire.mode.phase {
        Phase::CaptureOnFirstTransition => 0,
        Phase::CaptureOnSecondTransition => PHASE,
    };
    let polarity = match wire.mode.polarity {
        Polarity::IdleLow => 0,
        Polarity::IdleHigh => POLARITY,
    };
    phase | polarity | wire.select as u32
}

/// The clock keeps the idle level of `wire`.
pub(super) fn end<B: Block>(block: &B, wire: &Wire) {
    block.write(CS, control(wire) | CLEAR);
}

/// Without interrupts and DMA requests, inactive.
pub(super) fn reset<B: Block>(block: &B) {
    block.write(CS, CLEAR);
}

pub(super) fn begin<B: Block>(block: &B, wire: &Wire, burst: &Burst) -> Result<u32, Errno> {
    block.write(CLK, wire.divider.bits);
    if block.read(CLK) != wire.divider.bits {
        return Err(Errno(libc::ENODEV));
    }
    // The clock has its idle level before the chip is selected: `end` has set it.
    block.write(CS, control(wire) | TA);
    if burst.lead_ns > 0 {
        let until = block.now_ns() + burst.lead_ns;
        while block.now_ns() < until {
            core::hint::spin_loop();
        }
    }
    Ok(0)
}

#[inline]
pub(super) const fn state(status: u32) -> State {
    match status {
        u32::MAX => State::Gone,
        _ if status & RXD != 0 => State::Word,
        _ => State::Nothing,
    }
}
