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
//! Parity and the error flag EF are checked in every frame. A lost magnet is not
//! an error to the chip as it leaves the factory: it is told in DIAAGC alone,
//! which costs a frame more each time. So the first call sets bits 7:6 of ZPOSL,
//! which let MAGL and MAGH set EF (figure "ZPOSL"), and reads them back. From
//! then on a magnet that is too weak or too strong shows in the frame that brings
//! the angle, within a cycle, and no cycle has a frame more than another. Only
//! when EF is set are ERRFL and DIAAGC asked for the cause. COF has no bit there;
//! the CORDIC overflows where the gain is at its lowest, which is MAGH.
//!
//! The bits last until the chip loses power. A chip that starts anew replies
//! zeros and is not ready (LF) for 10 ms; after either it is looked at again, and
//! the bits are set again, before its angle is believed.
//!
//! A frame of all zeros is a valid reply: angle 0, even parity, no error flag.
//! It is also what a line gives that is stuck low or a chip that has no power.
//! ZPOSL tells them apart, because its two bits are 1 in a chip that was set up.
//! So a reply of all zeros is never believed: in the same call ZPOSL is asked, and
//! after it the angle again, so that a line that was dead for some frames and lives
//! again does not leave its zero behind. That is three frames
//! more in each cycle in which the shaft stands at exactly zero; where the bus has
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
//! 2 bytes on the stack, 2 bytes of state. No call of the loop uses more
//! than [`MAX_FRAMES`], and that many only when everything fails at once.

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
/// Most frames of one call of [`As5047p::angle_pipelined`], of a chip that says
/// something else each time: twice twelve to look at it and to set its bits (four
/// to look, and twice two to write and two to read back), two for the angle, three
/// because that is all zeros, six for an error flag without a cause (ERRFL, DIAAGC,
/// and ERRFL again, two each).
pub const MAX_FRAMES: u32 = 35;

/// What a driver remembers from one call to the next, for a bus that it can
/// have only for a while: see [`As5047p::suspend`].
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the next frame brings an angle.
    angle_under_way: bool,
    /// Whether the chip was seen alive, with its magnet among the causes of EF.
    watched: bool,
}

impl State {
    /// Nothing sent yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            angle_under_way: false,
            watched: false,
        }
    }

    /// The angle under way was asked for before a gap in the cycles and is as old as
    /// that: the next call asks anew, in one frame more.
    pub const fn forget_angle(&mut self) {
        self.angle_under_way = false;
    }
}

/// Which frame made the chip take the angle that a call gave.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Latched {
    /// The last frame of the previous call: the angle is as old as the time between
    /// the two.
    ByPreviousCall,
    /// A frame of the call itself, after this many others of it.
    InThisCall {
        /// Frames of the call before that one.
        after: u8,
    },
}

/// The encoder on its own chip select.
#[derive(Debug)]
pub struct As5047p<SPI> {
    spi: SPI,
    state: State,
    /// Sent since the last [`As5047p::angle_pipelined`] began.
    frames: u8,
}

impl<SPI: SpiDevice> As5047p<SPI> {
    /// A driver that has not sent anything yet. Its first
    /// [`As5047p::angle_pipelined`] looks at the chip and sets it up.
    pub const fn new(spi: SPI) -> Self {
        Self::resume(spi, State::new())
    }

    /// Goes on where a driver of the same chip was suspended.
    #[inline]
    pub const fn resume(spi: SPI, state: State) -> Self {
        Self {
            spi,
            state,
            frames: 0,
        }
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
    /// One frame. The first call, and one after a chip was not ready, has five,
    /// and nine if its bits have to be set; a reply of all zeros costs three more,
    /// an error of the bus one more, an error that the chip reports two to four.
    ///
    /// # Errors
    /// All of [`Error`]. Each is a matter of this call: the next one is made
    /// whatever this one gave.
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

    /// Which frame latched the angle that the last [`As5047p::angle_pipelined`] of
    /// this driver gave. Of a call that failed it says nothing.
    #[inline]
    pub const fn latched(&self) -> Latched {
        // The last frame brings the angle, the one before it has asked for it.
        match self.frames {
            0 | 1 => Latched::ByPreviousCall,
            frames => Latched::InThisCall { after: frames - 2 },
        }
    }

    /// The angle as old as one frame. Two frames, three more if it is all zeros.
    ///
    /// # Errors
    /// As [`As5047p::angle_pipelined`], but a chip that was never looked at has
    /// its magnet looked at only if the reply is all zeros.
    pub fn angle(&mut self) -> Result<Angle, Error> {
        let mut data = self.read_register(Register::AngleCom)?;
        if data == 0 {
            let again = self.second_look()?;
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

    /// DIAAGC. Two frames, four if the question was disturbed on its way.
    ///
    /// # Errors
    /// `Bus`, `Parity`, `Framing` and `NotDriven`. What the register says is not
    /// judged, whatever EF says: see [`Diagnosis::verdict`].
    pub fn diagnosis(&mut self) -> Result<Diagnosis, Error> {
        self.ask(Register::DiaAgc)?;
        let reply = self.ask(Register::AngleCom)?;
        match parity_checked(reply)? {
            0 if reply.error_flag() => Err(Error::Framing(self.error_flags()?)),
            content => Ok(Diagnosis(content)),
        }
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
        let enables = self.read_register(Register::ZPosL)? as u8 & MAGNET_SETS_EF;
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
        // At most MAX_FRAMES in a call.
        self.frames = self.frames.wrapping_add(1);
        match self.spi.transfer_in_place(&mut bytes) {
            Ok(()) => Ok(Reply(u16::from_be_bytes(bytes))),
            Err(error) => {
                self.state.angle_under_way = false;
                Err(Error::Bus(error.kind()))
            }
        }
    }

    /// After a reply of all zeros: one that came after a sign of life. Three frames;
    /// a chip that does not give it is looked at as if for the first time.
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

    /// Makes sure that the chip lives and that its magnet is among the causes of
    /// EF, and asks for the angle. Four frames, eight if the bits are not set.
    ///
    /// They stand beside the zero position, which must not get lost by setting
    /// them: that is written only as it was read twice, with a sign of life
    /// between.
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

    /// Why EF is set. ERRFL is cleared by being read, so the flag ends here,
    /// unless it is the magnet's.
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

    /// A chip that was dead, or not there, may have lost what it was told.
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
