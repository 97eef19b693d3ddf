//! A leg machine: 12 joints on one SPI board, with one long frame per cycle. A stock PID law
//! controls each joint; the machine has its own driver.

use std::process::ExitCode;

use embedded_hal::spi::{MODE_0, SpiDevice};
use steadfast::firmware::prelude::*;

#[cfg(test)]
mod tests;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

const JOINTS: usize = 12;
const NAMES: [&str; JOINTS] = [
    "fr_abd", "fr_hip", "fr_knee", "fl_abd", "fl_hip", "fl_knee", "hr_abd", "hr_hip", "hr_knee",
    "hl_abd", "hl_hip", "hl_knee",
];

/// The words of a frame, big-endian, without the checksum after them. To the board: the number
/// of the frame, 12 torques in µN·m, zeros. From the board: the number of the last accepted
/// frame, 12 positions in µrad, 12 velocities in µrad/s, zeros. The board prepares its frame
/// before it receives ours.
type Words = [u32; 32];

/// Initial value of the checksum, the exclusive or of all words; not zero, so that a frame from
/// a stuck line is invalid.
const CHECKSUM: u32 = 0x5AFE_F00D;

fn encoded(words: &Words) -> [u8; 132] {
    let mut frame = [0; 132];
    let checksum = words.iter().fold(CHECKSUM, |sum, word| sum ^ word);
    for (to, word) in frame
        .chunks_exact_mut(4)
        .zip(words.iter().chain([&checksum]))
    {
        to.copy_from_slice(&word.to_be_bytes());
    }
    frame
}

fn decoded(frame: &[u8; 132]) -> Option<Words> {
    let mut words = [0; 32];
    for (word, bytes) in words.iter_mut().zip(frame.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    (encoded(&words) == *frame).then_some(words)
}

#[derive(Copy, Clone)]
struct Joints {
    positions: [Input<f64>; JOINTS],
    velocities: [Input<f64>; JOINTS],
    torques: [Output<f64>; JOINTS],
}

struct JointBoard(Joints, SpiClaim);

struct OpenBoard {
    joints: Joints,
    spi: Spi,
    number: u32,
    /// The last received frame and its time.
    last: (Result<Words, InputError>, Instant),
}

impl OpenBoard {
    const fn new(joints: Joints, spi: Spi) -> Self {
        let last = (Err(InputError::NotReady), Instant::from_nanos(0));
        Self {
            joints,
            spi,
            number: 0,
            last,
        }
    }
}

impl Driver for JointBoard {
    const NAME: &'static str = "joint_board";
    type Device = OpenBoard;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let [positions, velocities] =
            ["position", "velocity"].map(|what| NAMES.map(|name| format!("{name}_{what}")));
        let joints = Joints {
            positions: table.publish_each(positions, "rad")?,
            velocities: table.publish_each(velocities, "rad/s")?,
            torques: table.command_each(NAMES, "N·m", -17.0..=17.0)?,
        };
        Ok(Self(joints, table.spi(MODE_0, 6_000_000)?))
    }
    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenBoard, ConfigError> {
        let spi = opening.spi(self.1)?;
        // The safe action: no torque.
        opening.safe_spi(&spi, &encoded(&[0; 32]))?;
        Ok(OpenBoard::new(self.0, spi))
    }
}

impl Device for OpenBoard {
    /// Reports the frame that was received while the torques of the last cycle were sent.
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let (frame, at) = self.last;
        let value = |word: usize| frame.map(|words| f64::from(words[word] as i32) * 1e-6);
        for joint in 0..JOINTS {
            readings.put_at(self.joints.positions[joint], value(1 + joint), at);
            readings.put_at(self.joints.velocities[joint], value(13 + joint), at);
        }
    }
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let before = self.number;
        self.number = before.wrapping_add(1);
        let mut words = [0; 32];
        words[0] = self.number;
        for (word, torque) in words[1..].iter_mut().zip(self.joints.torques) {
            *word = (commands.get(torque) * 1e6) as i32 as u32;
        }
        let mut frame = encoded(&words);
        let sent = self.spi.transfer_in_place(&mut frame);
        let received = sent.map_err(|_| InputError::Bus);
        let received = received.and_then(|()| decoded(&frame).ok_or(InputError::Parity));
        self.last = (received, commands.tick().now);
        // In the first cycle, the board may report the number of an earlier run.
        let is_accepted = received.is_ok_and(|words| words[0] == before || before == 0);
        is_accepted.then_some(()).ok_or(NotDriven)
    }
}

fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<JointBoard>()
        .board("leg.toml", include_str!("../board.toml"))
}

fn main() -> ExitCode {
    firmware().main()
}
