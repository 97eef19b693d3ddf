//! The chips of the own machine of the fault campaign, shared by its drivers
//! (`examples/faulty_law`) and the simulated chips (`examples/virtual_servo`): a PWM
//! channel, and a board behind SPI that drives 64 windings with one long frame.
//!
//! No safe value is 0, so that a stuck line or an unwritten file does not count as a safe
//! output.

/// Period of the PWM channel, ns.
pub const PERIOD_NS: u32 = 50_000;
/// Safe duty of the PWM channel, as a fraction of the period.
pub const SAFE_DUTY: f64 = 0.25;
/// The same, ns, as written to `duty_cycle`.
pub const SAFE_DUTY_NS: &str = "12500";

/// Windings behind the board.
pub const WINDINGS: usize = 64;
/// Length of a frame: 66 words of 16 bits, most significant byte first. The first word is
/// the frame number, the last the checksum of all words before it.
pub const FRAME_BYTES: usize = (WINDINGS + 2) * 2;
/// Safe torque of each winding, mN·m; it holds the load.
pub const SAFE_TORQUE: i16 = 1_500;

/// The frame with this number that drives each winding with `torque`, mN·m.
#[must_use]
pub fn frame(number: u16, torque: i16) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    for word in frame.chunks_exact_mut(2) {
        word.copy_from_slice(&torque.to_be_bytes());
    }
    frame[..2].copy_from_slice(&number.to_be_bytes());
    let sum = checksum(&frame[..FRAME_BYTES - 2]);
    frame[FRAME_BYTES - 2..].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The torque that `frame` sets for every winding, mN·m. `None`: the frame is incomplete,
/// its checksum is wrong, or the windings differ.
#[must_use]
pub fn torque(frame: &[u8]) -> Option<i16> {
    let word = |at: usize| Some([*frame.get(at)?, *frame.get(at + 1)?]);
    let (number, torque) = (u16::from_be_bytes(word(0)?), i16::from_be_bytes(word(2)?));
    (self::frame(number, torque) == frame).then_some(torque)
}

/// CRC-16/XMODEM.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_16_xmodem() {
        assert_eq!(checksum(b"123456789"), 0x31C3);
    }

    #[test]
    fn only_a_complete_valid_frame_is_accepted() {
        let good = frame(7, SAFE_TORQUE);
        assert_eq!(torque(&good), Some(SAFE_TORQUE));
        for length in 0..FRAME_BYTES {
            assert_eq!(torque(&good[..length]), None, "{length} bytes");
        }
        for bit in 0..FRAME_BYTES * 8 {
            let mut wrong = good;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(torque(&wrong), None, "bit {bit}");
        }
    }

    #[test]
    fn the_constants_of_the_safe_duty_agree() {
        let nanoseconds = f64::from(PERIOD_NS) * SAFE_DUTY;
        assert_eq!(nanoseconds.to_string(), SAFE_DUTY_NS);
    }
}
