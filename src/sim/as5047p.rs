//! AS5047P at register level (ams datasheet DS000324; figures cited by title).
//!
//! Modelled: command, read and write frames with parity and error flag, the reply one frame
//! later, ERRFL, DIAAGC and MAG from the field strength, zero position and direction, the
//! time without a valid angle after power-on. Not modelled: programming of the one-time
//! memory, the incremental, UVW and PWM outputs, and the latency that dynamic angle error
//! compensation removes (ANGLEUNC equals ANGLECOM).
//!
//! Assumed, because the datasheet does not say: the reply to a wrong frame has zeros and the
//! error flag; a write to a read-only register is ignored; a frame of all zeros is a NOP.

use super::fault::{Active, Fault};
use super::spi::SimChip;

/// Field strength in the middle of the range of gain control; the unit of field strengths.
pub const NOMINAL_FIELD: f64 = 1.0;

/// The field strengths at which the gain reaches 255 and 0: the datasheet's 35 mT to 70 mT
/// with a margin on both sides.
const WEAKEST_FIELD: f64 = 0.5;
const STRONGEST_FIELD: f64 = 2.0;
/// CORDIC magnitude while the gain is in its range.
const REGULATED_MAGNITUDE: f64 = 4_800.0;

const FRERR: u16 = 1 << 0;
const INVCOMM: u16 = 1 << 1;
const PARERR: u16 = 1 << 2;

const EF: u16 = 0x4000;
const DATA: u16 = 0x3FFF;

/// The sensor with its magnet.
#[derive(Clone, Debug)]
pub struct As5047pChip {
    /// 14 bits of the shaft's angle, before zero position and direction.
    shaft: u16,
    field: f64,
    settled: bool,
    disturbance: Active,
    /// The angle of a stuck position.
    held: Option<u16>,
    /// DIAAGC and MAG for the present field.
    diagnostics: u16,
    magnitude: u16,
    errfl: u16,
    prog: u16,
    zero_high: u16,
    zero_low: u16,
    settings1: u16,
    settings2: u16,
    redundancy: u16,
    /// Register that the data of the next frame is written to.
    write_to: Option<u16>,
    /// The reply of the next frame.
    reply: u16,
}

impl As5047pChip {
    /// A settled chip with factory settings and a magnet of nominal strength at angle 0.
    #[must_use]
    pub fn new() -> Self {
        let mut chip = Self {
            shaft: 0,
            field: NOMINAL_FIELD,
            settled: true,
            disturbance: Active::default(),
            held: None,
            diagnostics: 0,
            magnitude: 0,
            errfl: 0,
            prog: 0,
            zero_high: 0,
            zero_low: 0,
            settings1: 0x01,
            settings2: 0,
            redundancy: 0,
            write_to: None,
            reply: 0,
        };
        chip.measure_field();
        chip
    }

    /// Sets the angle of the shaft in counts, 16384 per turn; higher values wrap.
    #[inline]
    pub const fn set_shaft(&mut self, counts: u16) {
        self.shaft = counts & DATA;
    }

    /// Sets the field strength in units of [`NOMINAL_FIELD`].
    pub fn set_field(&mut self, field: f64) {
        self.field = field;
        self.measure_field();
    }

    /// Sets whether the offset loops have settled (LF), which takes 10 ms after power-on
    /// (t_pon). `false` is a loss of power: the chip loses its settings.
    #[inline]
    pub fn set_settled(&mut self, settled: bool) {
        if self.settled != settled {
            self.settled = settled;
            if !settled {
                let factory = Self::new();
                (self.zero_high, self.zero_low) = (factory.zero_high, factory.zero_low);
                (self.settings1, self.settings2) = (factory.settings1, factory.settings2);
            }
            self.measure_field();
        }
    }

    /// Figures "DIAAGC" and "MAG": gain control keeps the magnitude constant until the gain
    /// reaches 0 or 255.
    fn measure_field(&mut self) {
        let field = if self.disturbance.has(Fault::FieldWeak) {
            0.1
        } else if self.disturbance.has(Fault::FieldStrong)
            || self.disturbance.has(Fault::CordicOverflow)
        {
            // The CORDIC overflows when the gain is at its minimum.
            3.0
        } else {
            self.field
        };
        let gain = if field < NOMINAL_FIELD {
            128.0 + 127.0 * (NOMINAL_FIELD - field) / (NOMINAL_FIELD - WEAKEST_FIELD)
        } else {
            128.0 - 128.0 * (field - NOMINAL_FIELD) / (STRONGEST_FIELD - NOMINAL_FIELD)
        };
        let gain = gain.clamp(0.0, 255.0) as u16;
        let weak = (gain == 255) as u16;
        let strong = (gain == 0) as u16;
        let overflow = self.disturbance.has(Fault::CordicOverflow) as u16;
        let settled = self.settled as u16;
        self.diagnostics = weak << 11 | strong << 10 | overflow << 9 | settled << 8 | gain;
        let beyond = (field / WEAKEST_FIELD)
            .min(1.0)
            .max(field / STRONGEST_FIELD);
        self.magnitude = (REGULATED_MAGNITUDE * beyond).clamp(0.0, 16_383.0) as u16;
    }

    /// ANGLECOM: direction (SETTINGS1 bit 2), then zero position.
    #[inline]
    fn angle(&self) -> u16 {
        if !self.settled {
            return 0;
        }
        let seen = match self.held {
            Some(held) => held,
            None => self
                .shaft
                .wrapping_add_signed(self.disturbance.jump_counts()),
        };
        let turned = if self.settings1 & (1 << 2) != 0 {
            seen.wrapping_neg()
        } else {
            seen
        };
        let zero = self.zero_high << 6 | (self.zero_low & 0x3F);
        turned.wrapping_sub(zero) & DATA
    }

    /// Figures "Volatile Registers" and "Non-Volatile Registers".
    #[inline]
    fn register(&self, address: u16) -> Option<u16> {
        Some(match address {
            0x3FFF | 0x3FFE => self.angle(),
            0x3FFD => self.magnitude,
            0x3FFC => self.diagnostics,
            0x0000 => 0,
            0x0001 => self.errfl,
            0x0003 => self.prog,
            0x0016 => self.zero_high,
            0x0017 => self.zero_low,
            0x0018 => self.settings1,
            0x0019 => self.settings2,
            0x001A => self.redundancy,
            _ => return None,
        })
    }

    fn store(&mut self, address: u16, data: u16) {
        match address {
            0x0003 => self.prog = data & 0x7F,
            0x0016 => self.zero_high = data & 0xFF,
            0x0017 => self.zero_low = data & 0xFF,
            // Bit 0 is always 1.
            0x0018 => self.settings1 = data & 0xFF | 1,
            0x0019 => self.settings2 = data & 0xFF,
            0x001A => self.redundancy = data & 0x1F,
            _ => {}
        }
    }

    /// Figure "ZPOSL": with bit 7 (comp_h_error_en) MAGL sets the error flag, with bit 6
    /// (comp_l_error_en) MAGH does.
    const fn field_is_an_error(&self) -> bool {
        let weak = self.zero_low & (1 << 7) != 0 && self.diagnostics & (1 << 11) != 0;
        let strong = self.zero_low & (1 << 6) != 0 && self.diagnostics & (1 << 10) != 0;
        weak || strong
    }

    /// Figure "SPI Read Data Frame": even parity over all 16 bits.
    #[inline]
    fn prepare(&mut self, data: u16) {
        let error = self.errfl != 0 || self.field_is_an_error();
        let frame = data & DATA | if error { EF } else { 0 };
        self.reply = if frame.count_ones() % 2 == 1 {
            frame | 0x8000
        } else {
            frame
        };
    }

    fn reject(&mut self, flag: u16) {
        self.errfl |= flag;
        self.write_to = None;
        self.prepare(0);
    }

    /// Executes a frame at the rising edge of chip select.
    #[inline]
    fn execute(&mut self, frame: u16) {
        if frame.count_ones() % 2 == 1 {
            return self.reject(PARERR);
        }
        let payload = frame & DATA;
        if let Some(address) = self.write_to.take() {
            self.store(address, payload);
            let now = self.register(address).unwrap_or(0);
            return self.prepare(now);
        }
        let Some(content) = self.register(payload) else {
            return self.reject(INVCOMM);
        };
        self.prepare(content);
        if frame & 0x4000 == 0 && payload != 0 {
            self.write_to = Some(payload);
        } else if payload == 0x0001 {
            self.errfl = 0;
        }
    }
}

impl Default for As5047pChip {
    fn default() -> Self {
        Self::new()
    }
}

impl SimChip for As5047pChip {
    #[inline]
    fn frame(&mut self, tx: &[u8], rx: &mut [u8]) {
        let reply = self.reply.to_be_bytes();
        if let ([high, low], [first, second]) = (tx, &mut *rx) {
            [*first, *second] = reply;
            return self.execute(u16::from_be_bytes([*high, *low]));
        }
        for (place, byte) in rx.iter_mut().zip(reply.into_iter().chain([0; 32])) {
            *place = byte;
        }
        self.reject(FRERR);
    }

    fn disturb(&mut self, active: &Active) {
        let stuck = active.has(Fault::StuckPosition);
        if stuck && self.held.is_none() {
            self.held = Some(self.shaft);
        } else if !stuck {
            self.held = None;
        }
        self.disturbance = *active;
        self.measure_field();
    }
}
