//! AS5047P, a 14-bit magnetic rotary position sensor (ams datasheet DS000324).
//!
//! # The pipelined read
//!
//! Every frame has 16 bits under a chip-select assertion of its own, and the
//! reply to a command comes with the *next* frame (figure "SPI Read"). A loop
//! that asks for the angle in every cycle therefore gets, in the same frame,
//! the angle it asked for in the cycle before: one frame a cycle, and a value
//! that is one period old. [`As5047p::angle_pipelined`] does that;
//! [`As5047p::angle`] costs two frames and is as old as one frame.
//!
//! # Faults found while running
//!
//! Parity and the error flag are checked in every frame. Whether the magnet is
//! there is told only by DIAAGC, so every Nth call (100 unless set otherwise)
//! asks DIAAGC first and the angle after it:
//!
//! ```text
//! call        k          k + 1 = N                     k + 2
//! sent        ANGLECOM   DIAAGC         ANGLECOM       ANGLECOM
//! received    angle k-1  angle k        DIAAGC         angle k+1
//! ```
//!
//! The angle of that call came with its first frame, so the loop never lacks a
//! value, its age is the same in all calls, and after each call an ANGLECOM is
//! under way again. The cost is one frame more in every Nth call and one
//! decrement and compare in the others. A fault found by it holds for the
//! following calls, in which DIAAGC is asked every time, until it is gone.
//!
//! A frame of all zeros is a valid reply: angle 0, even parity, no error flag.
//! It is also what a line gives that is stuck low or a chip that has no power.
//! DIAAGC tells them apart, because its LF bit is 1 in a living, settled chip.
//! So a reply of all zeros is never believed: in the same call DIAAGC is asked,
//! and after it the angle again, so that a line that was dead for some frames
//! and lives again does not leave its zero behind. That is three frames more
//! in each cycle in which the shaft stands at exactly zero; where the bus has
//! no time for that, [`As5047p::set_zero`] moves the zero to where the shaft
//! does not rest. A line stuck high (0xFFFF) has even parity too, but the error
//! flag set; it is told from a real error by ERRFL, whose upper bits are always
//! zero in a chip.
//!
//! A value that is frozen inside of the sensor cannot be told from a shaft at
//! rest here; that is what a following-error limit is for.
//!
//! # Cost
//!
//! 2 bytes on the stack, about 16 bytes of state. No call of the loop uses more
//! than [`MAX_FRAMES`], and that many only when everything fails at once.

mod error;
mod registers;
#[cfg(test)]
mod tests;

use core::num::NonZeroU16;

use embedded_hal::spi::{Error as _, MODE_1, Mode, SpiDevice};

pub use error::Error;
pub use registers::{
    Diagnosis, ErrorFlags, Register, Reply, Setting, Settings1, Settings2, write_data,
};

use crate::cycle::image::Angle;

/// CPOL = 0, CPHA = 1 (chapter "SPI Interface (slave)").
pub const SPI_MODE: Mode = MODE_1;
/// Highest clock, 10 MHz: T_clk >= 100 ns (figure "SPI Timing").
pub const MAX_CLOCK_HZ: u32 = 10_000_000;
/// Shortest time that chip select must be high between frames, t_CSn (figure
/// "SPI Timing").
pub const MIN_DESELECTED_NS: u32 = 350;
/// From power-on to the first valid angle, t_pon (figure "Electrical
/// Characteristics").
pub const POWER_ON_MS: u32 = 10;
/// Bits of the angle.
pub const ANGLE_BITS: u32 = 14;
/// Most frames of one call of [`As5047p::angle_pipelined`]: one to begin with
/// after an error, one for the angle, three because it is all zeros, and six for
/// an error flag without a cause: ERRFL, DIAAGC, and ERRFL again, two each.
pub const MAX_FRAMES: u32 = 11;
/// Calls of [`As5047p::angle_pipelined`] between two looks at DIAAGC.
pub const DIAGNOSIS_EVERY: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// What a driver remembers from one call to the next, for a bus that it can
/// have only for a while: see [`As5047p::suspend`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether the next frame brings an angle.
    angle_under_way: bool,
    /// Calls until DIAAGC is asked again.
    until_diagnosis: u16,
    diagnosis_every: NonZeroU16,
    /// What DIAAGC said last.
    verdict: Result<(), Error>,
}

impl State {
    /// Nothing sent yet; `calls` as for [`As5047p::with_diagnosis_every`].
    #[must_use]
    pub const fn new(calls: NonZeroU16) -> Self {
        Self {
            angle_under_way: false,
            until_diagnosis: 1,
            diagnosis_every: calls,
            verdict: Ok(()),
        }
    }

    /// The angle under way, asked for before a gap in the cycles, is not to be
    /// taken for one of this cycle: the next call asks anew, in one frame more.
    pub const fn forget_angle(&mut self) {
        self.angle_under_way = false;
    }
}

/// The encoder on its own chip select.
#[derive(Debug)]
pub struct As5047p<SPI> {
    spi: SPI,
    state: State,
}

impl<SPI: SpiDevice> As5047p<SPI> {
    /// A driver that has not sent anything yet. Its first
    /// [`As5047p::angle_pipelined`] looks at DIAAGC.
    pub const fn new(spi: SPI) -> Self {
        Self::with_diagnosis_every(spi, DIAGNOSIS_EVERY)
    }

    /// As [`As5047p::new`], with `calls` of [`As5047p::angle_pipelined`]
    /// between two looks at DIAAGC: the longest time, in cycles, for which a
    /// lost magnet goes unseen.
    pub const fn with_diagnosis_every(spi: SPI, calls: NonZeroU16) -> Self {
        Self::resume(spi, State::new(calls))
    }

    /// Goes on where a driver of the same chip was suspended.
    #[inline]
    pub const fn resume(spi: SPI, state: State) -> Self {
        Self { spi, state }
    }

    /// What [`As5047p::resume`] needs to go on; the bus is let go.
    #[inline]
    pub fn suspend(self) -> State {
        self.state
    }

    /// The bus, to reach what is behind it. A frame sent past the driver
    /// makes its next reading a wrong one.
    pub const fn bus_mut(&mut self) -> &mut SPI {
        &mut self.spi
    }

    /// Gives the bus back.
    pub fn release(self) -> SPI {
        self.spi
    }

    /// The angle asked for by the previous call, one period old; asks for the
    /// next one.
    ///
    /// One frame; two in every Nth call and while a fault holds; four when the
    /// reply is all zeros; one more after an error of the bus, two to four more
    /// when the chip reports an error.
    ///
    /// # Errors
    /// All of [`Error`] except `Refused`. Each is a matter of this call: the
    /// next one is made whatever this one gave.
    pub fn angle_pipelined(&mut self) -> Result<Angle, Error> {
        self.state.until_diagnosis = self.state.until_diagnosis.saturating_sub(1);
        let due = self.state.until_diagnosis == 0 || self.state.verdict.is_err();
        if !self.state.angle_under_way {
            self.frame(Register::AngleCom.read_command())?;
        }
        let mut reply = self.ask(if due {
            Register::DiaAgc
        } else {
            Register::AngleCom
        })?;
        if due || reply.0 == 0 {
            reply = self.with_diagnosis(reply, due)?;
        }
        let data = self.checked(reply)?;
        self.state.verdict?;
        Ok(Angle::from_counts(u32::from(data), ANGLE_BITS))
    }

    /// The angle as old as one frame. Two frames, five if it is all zeros.
    ///
    /// # Errors
    /// As [`As5047p::angle_pipelined`], but the magnet is looked at only if the
    /// reply is all zeros.
    pub fn angle(&mut self) -> Result<Angle, Error> {
        let mut data = self.read_register(Register::AngleCom)?;
        if data == 0 {
            self.diagnosis()?.verdict()?;
            let again = self.ask(Register::AngleCom)?;
            data = self.checked(again)?;
        }
        Ok(Angle::from_counts(u32::from(data), ANGLE_BITS))
    }

    /// The 14 bits of `register`. Two frames; the second one asks for the
    /// angle, so that a pipelined read can follow.
    ///
    /// # Errors
    /// `Bus`, `Parity`, and when the chip reports an error `Framing`,
    /// `NotDriven` or what DIAAGC says.
    pub fn read_register(&mut self, register: Register) -> Result<u16, Error> {
        self.ask(register)?;
        let reply = self.ask(Register::AngleCom)?;
        if register as u16 == Register::ErrFl as u16 {
            // EF is what made ERRFL worth reading; here it is no news.
            return parity_checked(reply);
        }
        self.checked(reply)
    }

    /// DIAAGC. Two frames.
    ///
    /// # Errors
    /// As [`As5047p::read_register`]. What the register says is not judged: see
    /// [`Diagnosis::verdict`].
    pub fn diagnosis(&mut self) -> Result<Diagnosis, Error> {
        self.read_register(Register::DiaAgc).map(Diagnosis)
    }

    /// ERRFL, which is cleared by this. Two frames.
    ///
    /// # Errors
    /// `Bus`, `Parity`, and `NotDriven` if bits are set that are always zero.
    pub fn error_flags(&mut self) -> Result<ErrorFlags, Error> {
        match self.read_register(Register::ErrFl)? {
            flags @ 0..=7 => Ok(ErrorFlags(flags as u8)),
            _ => Err(Error::NotDriven),
        }
    }

    /// Writes `value` to `setting` and reads it back; gives what it held before.
    /// Four frames: the command, the data (its reply is the old content, figure
    /// "SPI Write"), and two to read.
    ///
    /// The setting lasts until power is lost. Not for the loop.
    ///
    /// # Errors
    /// As [`As5047p::read_register`], and `Refused`. After `Bus` the chip may
    /// still wait for the data and take the next frame for it: write again
    /// before anything is believed.
    pub fn write_setting(&mut self, setting: Setting, value: u8) -> Result<u8, Error> {
        self.frame(setting.write_command())?;
        self.state.angle_under_way = false;
        let reply = self.frame(write_data(value))?;
        let before = self.checked(reply)?;
        let holds = self.read_register(setting.register())?;
        if holds != u16::from(value) {
            return Err(Error::Refused {
                wrote: value,
                holds,
            });
        }
        Ok(before as u8)
    }

    /// Makes `counts` (0 to 16383, higher bits are ignored) the zero of the
    /// angle, as ZPOSM and ZPOSL split it (figures "ZPOSM" and "ZPOSL"). The
    /// two enable bits beside it keep their values. Ten frames.
    ///
    /// # Errors
    /// As [`As5047p::write_setting`].
    pub fn set_zero(&mut self, counts: u16) -> Result<(), Error> {
        let enables = self.read_register(Register::ZPosL)? as u8 & 0b1100_0000;
        self.write_setting(Setting::ZPosM, (counts >> 6) as u8)?;
        self.write_setting(Setting::ZPosL, enables | (counts & 0x3F) as u8)?;
        Ok(())
    }

    /// Sends a read command and notes whether the next reply is an angle.
    #[inline]
    fn ask(&mut self, register: Register) -> Result<Reply, Error> {
        let reply = self.frame(register.read_command())?;
        self.state.angle_under_way = matches!(register, Register::AngleCom);
        Ok(reply)
    }

    #[inline]
    fn frame(&mut self, mut bytes: [u8; 2]) -> Result<Reply, Error> {
        match self.spi.transfer_in_place(&mut bytes) {
            Ok(()) => Ok(Reply(u16::from_be_bytes(bytes))),
            Err(error) => {
                self.state.angle_under_way = false;
                Err(Error::Bus(error.kind()))
            }
        }
    }

    /// Looks at DIAAGC, for which the frame that brought `reply` has `asked` or
    /// not, and gives a reply that can be believed: `reply` itself, or if that
    /// is all zeros, one that came after the chip has shown that it lives.
    fn with_diagnosis(&mut self, reply: Reply, asked: bool) -> Result<Reply, Error> {
        if !asked {
            self.ask(Register::DiaAgc)?;
        }
        self.finish_diagnosis()?;
        match reply.0 {
            0 => {
                self.state.verdict?;
                self.ask(Register::AngleCom)
            }
            _ => Ok(reply),
        }
    }

    /// Takes the DIAAGC that is under way, and asks for the angle.
    fn finish_diagnosis(&mut self) -> Result<(), Error> {
        let reply = self.ask(Register::AngleCom)?;
        let content = parity_checked(reply)?;
        if reply.error_flag() && content == 0 {
            // The answer to a command that was disturbed on its way there.
            return Err(match self.error_flags() {
                Ok(flags) => Error::Framing(flags),
                Err(error) => error,
            });
        }
        self.state.verdict = Diagnosis(content).verdict();
        self.state.until_diagnosis = self.state.diagnosis_every.get();
        Ok(())
    }

    #[inline]
    fn checked(&mut self, reply: Reply) -> Result<u16, Error> {
        let data = parity_checked(reply)?;
        if reply.error_flag() {
            return Err(self.cause_of_error_flag());
        }
        Ok(data)
    }

    /// Why EF is set. ERRFL is cleared by being read, so the flag ends here.
    #[cold]
    fn cause_of_error_flag(&mut self) -> Error {
        match self.error_flags() {
            Err(error) => error,
            Ok(flags) if !flags.is_empty() => Error::Framing(flags),
            // ZPOSL bits 7:6 let a magnet that is too weak or too strong set EF.
            Ok(none) => match self.look_at_magnet() {
                Err(error) => error,
                Ok(()) => Error::Framing(none),
            },
        }
    }

    #[cold]
    fn look_at_magnet(&mut self) -> Result<(), Error> {
        self.ask(Register::DiaAgc)?;
        self.finish_diagnosis()?;
        self.state.verdict
    }
}

#[inline]
fn parity_checked(reply: Reply) -> Result<u16, Error> {
    if reply.parity_is_even() {
        Ok(reply.data())
    } else {
        Err(Error::Parity)
    }
}
