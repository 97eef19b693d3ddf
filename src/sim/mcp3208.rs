//! MCP3208, simulated clock by clock (Microchip datasheet DS21298E).
//!
//! Modelled: the search for the start bit, the configuration bits of table 5-2, the null bit,
//! the value most significant bit first and then least significant bit first (figures 5-1 and
//! 5-2), and the open line before the null bit, which reads as ones. Not modelled: noise,
//! nonlinearity, and the loss of charge at a slow clock.

use super::spi::SimChip;

/// The converter and the voltages at its pins.
#[derive(Clone, Debug)]
pub struct Mcp3208Chip {
    /// Voltages at CH0 to CH7, V.
    pub volts: [f64; 8],
    codes_per_volt: f64,
}

impl Mcp3208Chip {
    /// A chip with a reference of `reference_volts`, V, and all inputs at 0 V.
    #[must_use]
    pub const fn new(reference_volts: f64) -> Self {
        Self {
            volts: [0.0; 8],
            codes_per_volt: 4096.0 / reference_volts,
        }
    }

    /// Table 5-2, for the four bits SGL/DIFF, D2, D1, D0.
    fn convert(&self, select: usize) -> u64 {
        let channel = select & 0b111;
        let volts = if select & 0b1000 != 0 {
            self.volts[channel]
        } else {
            self.volts[channel] - self.volts[channel ^ 1]
        };
        // A cast of a float saturates: below zero is 0.
        ((volts * self.codes_per_volt) as u64).min(4095)
    }

    /// The output bits while `input` is clocked in; bit 63 is the first on the wire.
    fn output(&self, input: u64) -> u64 {
        let start = input.leading_zeros();
        if start > 50 {
            return u64::MAX;
        }
        let select = (input << start << 1 >> 60) as usize;
        let code = self.convert(select);
        // The least significant bit is sent once and ends the first run.
        let backwards = code.reverse_bits() >> 52 & 0x7FF;
        // Null bit, 12 bits, 11 bits: 24 bits from bit 63 down.
        let answer = (code << 11 | backwards) << 40;
        // The null bit is six clocks after the start bit.
        let null_at = start + 6;
        let open = !(u64::MAX >> null_at);
        open | answer >> null_at
    }
}

impl SimChip for Mcp3208Chip {
    #[inline]
    fn frame(&mut self, tx: &[u8], rx: &mut [u8]) {
        let used = tx.len().min(8);
        let mut input = [0; 8];
        input[..used].copy_from_slice(&tx[..used]);
        let output = self.output(u64::from_be_bytes(input)).to_be_bytes();
        rx.fill(0);
        let used = used.min(rx.len());
        rx[..used].copy_from_slice(&output[..used]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip() -> Mcp3208Chip {
        let mut chip = Mcp3208Chip::new(4.096);
        chip.volts = [0.0, 1.0, 2.0, 4.096, 5.0, 3.0, 2.748, 0.001_5];
        chip
    }

    fn frame(tx: &[u8]) -> [u8; 6] {
        let mut rx = [0xEE; 6];
        chip().frame(tx, &mut rx[..tx.len()]);
        rx
    }

    #[test]
    fn the_reply_of_three_bytes_matches_figure_6_1() {
        // CH6 single-ended at code 2748 = 0xABC.
        let rx = frame(&[0x07, 0x80, 0x00]);
        assert_eq!(rx[..3], [0xFF, 0xEA, 0xBC]);
    }

    #[test]
    fn further_clocks_give_the_value_lsb_first_and_then_zeros() {
        // 0xABC = 1010 1011 1100; backwards without its last bit:
        // 0 1111 0101 01.
        let rx = frame(&[0x07, 0x80, 0x00, 0x00, 0x00, 0x00]);
        assert_eq!(rx[3..], [0b0111_1010, 0b1010_0000, 0x00]);
    }

    #[test]
    fn the_start_bit_may_be_at_any_clock() {
        // Start bit first, then CH7: null bit in clock 6, value from clock 7.
        let rx = frame(&[0b1111_1000, 0x00, 0x00]);
        let code = u32::from_be_bytes([0, rx[0], rx[1], rx[2]]) >> 5 & 0xFFF;
        assert_eq!((code, rx[0] & 0b10), (1, 0b00));
        assert_eq!(frame(&[0, 0, 0])[..3], [0xFF; 3]);
    }

    #[test]
    fn inputs_saturate_at_both_ends_and_negative_differences_are_zero() {
        let code = |select: u8| {
            let [high, low] = (u16::from(0b1_0000 | select) << 6).to_be_bytes();
            let rx = frame(&[high, low, 0]);
            u16::from_be_bytes([rx[1] & 0x0F, rx[2]])
        };
        assert_eq!(code(0b1000), 0);
        assert_eq!(code(0b1001), 1000);
        assert_eq!(code(0b1011), 4095);
        assert_eq!(code(0b1100), 4095);
        assert_eq!(code(0b0000), 0);
        assert_eq!(code(0b0001), 1000);
        assert_eq!(code(0b0100), 2000);
        assert_eq!(code(0b0101), 0);
    }
}
