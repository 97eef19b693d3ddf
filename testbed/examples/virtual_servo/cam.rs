//! A switch on the shaft: an input line of a GPIO chip follows the position.
//!
//! The emulated chip of the Raspberry Pi also sets the level of an input line when its "output set"
//! and "output clear" registers are written (`testbed::boards::Drive::Registers`).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use steadfast::sys::registers::Registers;

/// A cam.
#[derive(Debug)]
pub(crate) struct Cam {
    set: Registers,
    clear: Registers,
    bit: u32,
    /// The line is high from here to there, rad.
    from: f64,
    to: f64,
    is_broken: bool,
}

impl Cam {
    /// `SET CLEAR LINE FROM TO`: the physical addresses of the registers, hexadecimal; the line, 0 to
    /// 31; the positions between which it is high, rad.
    ///
    /// # Errors
    /// One of the words is no such number, or the registers cannot be mapped.
    pub(crate) fn new(words: [&str; 5]) -> io::Result<Self> {
        let no_number = || io::Error::other("not SET CLEAR LINE FROM TO");
        let [set, clear, line, from, to] = words;
        let memory = File::options().read(true).write(true).open("/dev/mem")?;
        let register = |address: &str| {
            let address = u64::from_str_radix(address, 16).map_err(|_| no_number())?;
            Ok::<_, io::Error>(Registers::map(memory.as_fd(), address, 4)?)
        };
        let line: u32 = line.parse().map_err(|_| no_number())?;
        Ok(Self {
            set: register(set)?,
            clear: register(clear)?,
            bit: 1_u32.checked_shl(line).ok_or_else(no_number)?,
            from: from.parse().map_err(|_| no_number())?,
            to: to.parse().map_err(|_| no_number())?,
            is_broken: false,
        })
    }

    /// Breaks its wire for good: the line stays low.
    pub(crate) fn break_wire(&mut self) {
        self.is_broken = true;
    }

    /// The shaft is at `position`, rad.
    pub(crate) fn follow(&self, position: f64) {
        let is_high = !self.is_broken && position > self.from && position < self.to;
        let register = if is_high { self.set } else { self.clear };
        register.write(0, self.bit);
    }
}
