//! AS5047P, a 14-bit magnetic rotary position sensor (ams datasheet DS000324).
//!
//! The reply to a command arrives with the *next* frame of 16 bits (figure "SPI Read").
//! [`As5047p::angle_pipelined`] therefore takes one frame per cycle and gives an angle that
//! is one period old; [`As5047p::angle`] takes two frames and is as old as one frame. Parity,
//! the error flag and a lost magnet are detected in each frame, a dead line in the same call:
//! see [`As5047p`]. A position frozen inside the sensor looks like a shaft at rest; set a
//! following-error limit to detect it.
//!
//! Cost: 2 bytes of stack, 2 bytes of state, at most [`MAX_FRAMES`] frames in a call.

mod error;
mod registers;
#[cfg(test)]
mod tests;

use embedded_hal::spi::{Error as _, MODE_1, Mode, SpiDevice};

pub use error::Error;
use registers::MAGNET_SETS_EF;
pub use registers::{
    Diagnosis, ErrorFlags, Register, Reply, Setting, Settings1, Settings2, write_data,
};

use crate::cycle::image::Angle;

use super::chip::EncoderChip;

/// CPOL = 0, CPHA = 1 (chapter "SPI Interface (slave)").
pub const SPI_MODE: Mode = MODE_1;
/// For board files.
pub const CHIP: EncoderChip = EncoderChip {
    key: "as5047p",
    name: "AS5047P",
    max_clock_hz: MAX_CLOCK_HZ,
};
/// Maximum SPI clock, Hz: T_clk >= 100 ns (figure "SPI Timing").
pub const MAX_CLOCK_HZ: u32 = 10_000_000;
/// Bits of the angle.
pub const ANGLE_BITS: u32 = 14;
/// Maximum number of frames of one call of [`As5047p::angle_pipelined`], if every check
/// fails: 2 x 12 to check the chip and set its bits (4 to check, 2 x 4 to write and read
/// back), 2 for the angle, 3 for a reply of all zeros, 6 for an error flag without a cause
/// (ERRFL, DIAAGC and ERRFL again, 2 each).
pub const MAX_FRAMES: u32 = 35;

/// State of a driver between two calls, for a driver that borrows its bus only during a
/// call: see [`As5047p::suspend`].
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the next frame carries an angle.
    angle_under_way: bool,
    /// Whether the chip was verified and its magnet errors set EF.
    watched: bool,
}

impl State {
    /// The state before the first frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            angle_under_way: false,
            watched: false,
        }
    }

    /// Discards the angle requested by the last call, which is too old after a gap in the
    /// cycles. The next call requests it again and takes one more frame.
    pub const fn forget_angle(&mut self) {
        self.angle_under_way = false;
    }
}

/// The frame that latched the angle of a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Latched {
    /// The last frame of the previous call: the age of the angle is the time between the
    /// two calls.
    ByPreviousCall,
    /// A frame of this call.
    InThisCall {
        /// Number of frames of this call before the latching one.
        after: u8,
    },
}

/// The encoder on its own chip select.
///
/// # Detected faults
///
/// - **Disturbed frames**: parity and the error flag EF are checked in each frame. If EF is
///   set, ERRFL and DIAAGC are read for the cause.
/// - **Magnet too weak or too strong**: in the factory setting the chip reports this in
///   DIAAGC only, which would take another frame. So the first call sets bits 7:6 of ZPOSL,
///   with which MAGL and MAGH set EF (figure "ZPOSL"), and reads them back. A CORDIC
///   overflow (COF) has no such bit; it occurs at the lowest gain, which is MAGH.
/// - **Power lost**: the chip loses these bits, replies zeros and is not ready (LF) for
///   10 ms. The driver then checks the chip and sets the bits again before it returns an
///   angle.
/// - **Line stuck low**: a frame of all zeros is also valid (angle 0, even parity, no error
///   flag). So after such a reply the same call reads ZPOSL, whose two bits are 1 in a
///   chip that was set up, and then the angle again. This takes three more frames in each
///   cycle in which the angle is exactly zero. If the bus has no time for them, move the
///   zero with [`As5047p::set_zero`] to a position at which the shaft does not rest.
/// - **Line stuck high** (0xFFFF): even parity, error flag set. It differs from an error of
///   the chip in ERRFL, whose upper bits a chip always leaves at zero.
#[derive(Debug)]
pub struct As5047p<SPI> {
    spi: SPI,
    state: State,
    /// Frames sent since the start of the last [`As5047p::angle_pipelined`].
    frames: u8,
}

impl<SPI: SpiDevice> As5047p<SPI> {
    /// A driver that has sent no frame. Its first [`As5047p::angle_pipelined`] checks the
    /// chip and sets it up.
    pub const fn new(spi: SPI) -> Self {
        Self::resume(spi, State::new())
    }

    /// Continues with the state of a suspended driver of the same chip.
    #[inline]
    pub const fn resume(spi: SPI, state: State) -> Self {
        Self {
            spi,
            state,
            frames: 0,
        }
    }

    /// Releases the bus and returns the state for [`As5047p::resume`].
    #[inline]
    pub fn suspend(self) -> State {
        self.state
    }

    /// The bus. A frame sent on it directly makes the next reading of the driver wrong.
    pub const fn bus_mut(&mut self) -> &mut SPI {
        &mut self.spi
    }

    /// Returns the bus.
    pub fn release(self) -> SPI {
        self.spi
    }

    /// The angle requested by the previous call, one period old; requests the next one.
    ///
    /// One frame. The first call, and a call after the chip was not ready, takes five, or
    /// nine if the bits must be set. A reply of all zeros takes three more, an error of the
    /// bus one more, an error reported by the chip two to four more.
    ///
    /// # Errors
    /// All of [`Error`]. An error does not affect the next call.
    #[inline]
    pub fn angle_pipelined(&mut self) -> Result<Angle, Error> {
        self.frames = 0;
        if !self.state.watched {
            self.watch_magnet()?;
        }
        if !self.state.angle_under_way {
            self.ask(Register::AngleCom)?;
        }
        let mut reply = self.ask(Register::AngleCom)?;
        if reply.0 == 0 {
            reply = self.second_look()?;
        }
        let data = self.checked(reply)?;
        Ok(Angle::from_counts(u32::from(data), ANGLE_BITS))
    }

    /// The frame that latched the angle of the last [`As5047p::angle_pipelined`]. Not
    /// defined after a call that failed.
    #[inline]
    pub const fn latched(&self) -> Latched {
        // The last frame carries the angle that the frame before it requested.
        match self.frames {
            0 | 1 => Latched::ByPreviousCall,
            frames => Latched::InThisCall { after: frames - 2 },
        }
    }

    /// The angle, as old as one frame. Two frames, three more if the reply is all zeros.
    ///
    /// # Errors
    /// Those of [`As5047p::angle_pipelined`]. Before the first pipelined call, the magnet is
    /// checked only if the reply is all zeros.
    pub fn angle(&mut self) -> Result<Angle, Error> {
        let mut data = self.read_register(Register::AngleCom)?;
        if data == 0 {
            let again = self.second_look()?;
            data = self.checked(again)?;
        }
        Ok(Angle::from_counts(u32::from(data), ANGLE_BITS))
    }

    /// The 14 bits of `register`. Two frames; the second one requests the angle, so that a
    /// pipelined read can follow.
    ///
    /// # Errors
    /// `Bus`, `Parity`; if the chip reports an error, `Framing`, `NotDriven` or an error
    /// from DIAAGC.
    pub fn read_register(&mut self, register: Register) -> Result<u16, Error> {
        self.ask(register)?;
        let reply = self.ask(Register::AngleCom)?;
        if register as u16 == Register::ErrFl as u16 {
            // ERRFL is read because EF is set, so EF is no further error here.
            return parity_checked(reply);
        }
        self.checked(reply)
    }

    /// DIAAGC. Two frames, four if the command was disturbed.
    ///
    /// # Errors
    /// `Bus`, `Parity`, `Framing` and `NotDriven`. The content of the register is not
    /// evaluated, even if EF is set: see [`Diagnosis::verdict`].
    pub fn diagnosis(&mut self) -> Result<Diagnosis, Error> {
        self.ask(Register::DiaAgc)?;
        let reply = self.ask(Register::AngleCom)?;
        match parity_checked(reply)? {
            0 if reply.error_flag() => Err(Error::Framing(self.error_flags()?)),
            content => Ok(Diagnosis(content)),
        }
    }

    /// Reads and thereby clears ERRFL. Two frames.
    ///
    /// # Errors
    /// `Bus`, `Parity`, and `NotDriven` if bits are set that a chip leaves at zero.
    pub fn error_flags(&mut self) -> Result<ErrorFlags, Error> {
        match self.read_register(Register::ErrFl)? {
            flags @ 0..=7 => Ok(ErrorFlags(flags as u8)),
            _ => Err(Error::NotDriven),
        }
    }

    /// Writes `value` to `setting`, reads it back and returns the old content. Four frames:
    /// the command, the data (its reply is the old content, figure "SPI Write"), and two to
    /// read.
    ///
    /// The setting lasts until power is lost. For start-up only.
    ///
    /// # Errors
    /// Those of [`As5047p::read_register`], and `Refused`. After `Bus` the chip may still
    /// expect the data and take the next frame for it: write again before using a reading.
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

    /// Sets the zero of the angle to `counts` (0 to 16383, higher bits are ignored), which
    /// is split between ZPOSM and ZPOSL (figures "ZPOSM" and "ZPOSL"). The two enable bits
    /// in ZPOSL keep their values. Ten frames.
    ///
    /// # Errors
    /// Those of [`As5047p::write_setting`].
    pub fn set_zero(&mut self, counts: u16) -> Result<(), Error> {
        let enables = self.read_register(Register::ZPosL)? as u8 & MAGNET_SETS_EF;
        self.write_setting(Setting::ZPosM, (counts >> 6) as u8)?;
        self.write_setting(Setting::ZPosL, enables | (counts & 0x3F) as u8)?;
        Ok(())
    }

    /// Sends a read command and records whether the next reply is an angle.
    #[inline]
    fn ask(&mut self, register: Register) -> Result<Reply, Error> {
        let reply = self.frame(register.read_command())?;
        self.state.angle_under_way = matches!(register, Register::AngleCom);
        Ok(reply)
    }

    #[inline]
    fn frame(&mut self, mut bytes: [u8; 2]) -> Result<Reply, Error> {
        self.frames = self.frames.wrapping_add(1);
        match self.spi.transfer_in_place(&mut bytes) {
            Ok(()) => Ok(Reply(u16::from_be_bytes(bytes))),
            Err(error) => {
                self.state.angle_under_way = false;
                Err(Error::Bus(error.kind()))
            }
        }
    }

    /// After a reply of all zeros: verifies the chip by ZPOSL and reads the angle again.
    /// Three frames. If ZPOSL is not as set, the chip is checked and set up again.
    fn second_look(&mut self) -> Result<Reply, Error> {
        self.ask(Register::ZPosL)?;
        let zero = self.ask(Register::AngleCom)?;
        let again = self.ask(Register::AngleCom)?;
        if self.checked(zero)? as u8 & MAGNET_SETS_EF == MAGNET_SETS_EF {
            return Ok(again);
        }
        self.watch_magnet()?;
        self.ask(Register::AngleCom)
    }

    /// Checks that the chip answers, makes magnet errors set EF, and requests the angle.
    /// Four frames, eight if the bits are not set.
    ///
    /// The bits share a register with the zero position, which must be kept: it is written
    /// back only if two readings agree and the chip answered between them.
    #[cold]
    fn watch_magnet(&mut self) -> Result<(), Error> {
        self.state.watched = false;
        self.ask(Register::ZPosL)?;
        let zero = self.ask(Register::DiaAgc)?;
        let diagnosis = self.ask(Register::ZPosL)?;
        let again = self.ask(Register::AngleCom)?;
        let diagnosis = self.checked(diagnosis)?;
        Diagnosis(diagnosis).verdict()?;
        let zero = self.checked(zero)? as u8;
        if self.checked(again)? as u8 != zero {
            return Err(Error::NotDriven);
        }
        if zero & MAGNET_SETS_EF != MAGNET_SETS_EF {
            let before = self.write_setting(Setting::ZPosL, zero | MAGNET_SETS_EF)?;
            if before != zero {
                self.write_setting(Setting::ZPosL, before | MAGNET_SETS_EF)?;
            }
        }
        self.state.watched = true;
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

    /// Why EF is set. Reading ERRFL clears it and so EF, unless the magnet sets EF.
    #[cold]
    fn cause_of_error_flag(&mut self) -> Error {
        match self.error_flags() {
            Err(error) => self.no_longer_watched(error),
            Ok(flags) if !flags.is_empty() => Error::Framing(flags),
            Ok(none) => match self.diagnosis().and_then(Diagnosis::verdict) {
                Err(error) => self.no_longer_watched(error),
                Ok(()) => Error::Framing(none),
            },
        }
    }

    /// After `NotReady` or `NotDriven` the chip may have lost its settings.
    const fn no_longer_watched(&mut self, error: Error) -> Error {
        if matches!(error, Error::NotReady | Error::NotDriven) {
            self.state.watched = false;
        }
        error
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
