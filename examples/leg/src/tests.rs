//! The leg machine on the virtual clock, and the frames of its real board.

use std::sync::{Arc, Mutex};

use embedded_hal::spi::ErrorKind;
use steadfast::cycle::image::{Inputs, Outputs};
use steadfast::cycle::ports::Tick;
use steadfast::telemetry::report::Report;

use super::*;

const BOARD: &str = include_str!("../board.toml");
/// Cycles per second.
const SECOND: u64 = 500;
const TARGETS: [f64; 6] = [0.1, -0.8, 1.6, -0.1, -0.8, 1.6];

/// Observations of a run.
#[derive(Copy, Clone, Default)]
struct Seen {
    cycles: u64,
    positions: [f64; JOINTS],
    torques: [f64; JOINTS],
}

/// A failure of the board: first cycle, number of cycles, and error.
type Broken = (u64, u64, InputError);

const NEVER: Broken = (u64::MAX, 0, InputError::Bus);

fn run(board: &str, cycles: u64, (from, count, error): Broken) -> (Report, Seen) {
    let config = firmware().read("board.toml", board);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let signal = |name: String| {
        config
            .signal::<f64>(&name)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let positions = NAMES.map(|name| signal(format!("legs.{name}_position")));
    let velocities = NAMES.map(|name| signal(format!("legs.{name}_velocity")));
    let torques = NAMES.map(|name| signal(format!("legs.{name}")));
    let shared = Arc::new(Mutex::new(Seen::default()));
    let to = Arc::clone(&shared);
    let watch = move |world: &mut World<'_>| {
        let mut seen = to.lock().unwrap();
        seen.cycles += 1;
        if seen.cycles <= cycles {
            seen.positions = positions.map(|position| world.read(position).value.unwrap());
        }
        seen.torques = torques.map(|torque| world.read(torque).value.unwrap());
        if (from..from.saturating_add(count)).contains(&seen.cycles) {
            // A lost frame affects positions and velocities.
            for signal in positions.into_iter().chain(velocities) {
                world.fail(signal, error);
            }
        }
    };
    let report = firmware().simulate_with(&config, cycles, watch).unwrap();
    assert_eq!(report.memory.allocations, Some(0));
    let seen = *shared.lock().unwrap();
    (report, seen)
}

fn all_joints_reach_their_targets() {
    let (report, seen) = run(BOARD, 10 * SECOND, NEVER);
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    for ((name, position), target) in NAMES.iter().zip(seen.positions).zip(TARGETS.iter().cycle()) {
        // The weight of 1 N·m on a stiffness of 60 N·m/rad.
        assert!(
            (position - target).abs() < 1.0 / 60.0,
            "{name}: {position} rad"
        );
    }
    let (again, _) = run(BOARD, 10 * SECOND, NEVER);
    assert_eq!(
        report.to_json(),
        again.to_json(),
        "the same to the last bit"
    );
}

fn a_few_lost_frames_are_tolerated() {
    let (report, seen) = run(BOARD, 10 * SECOND, (SECOND, 2, InputError::Parity));
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert!(
        (seen.positions[1] + 0.8).abs() < 1.0 / 60.0,
        "{} rad",
        seen.positions[1]
    );
}

fn a_lost_board_ends_the_run_without_torque() {
    for error in [InputError::Parity, InputError::Bus] {
        let (report, seen) = run(BOARD, 10 * SECOND, (SECOND, u64::MAX, error));
        assert_eq!(report.exit.code, 4, "{error:?}");
        assert!(
            report.exit.reason.contains("device.legs"),
            "{}",
            report.exit.reason
        );
        assert!(seen.cycles < SECOND + 20, "{} cycles", seen.cycles);
        assert_eq!(seen.torques, [0.0; JOINTS]);
    }
}

fn a_joint_that_cannot_follow_is_named() {
    let board = BOARD.replace("weight = 1.0", "weight = 90.0");
    let (report, _) = run(&board, 10 * SECOND, NEVER);
    assert_eq!(report.exit.code, 4);
    // The abduction joints still hold: 9 N·m are 0.15 rad.
    assert_eq!(
        report.exit.reason,
        "law fr_hip: legs.fr_hip_position does not follow its set point; \
         check for an obstacle or an actuator without power"
    );
}

fn a_frame_with_any_flipped_bit_is_refused() {
    let mut words = [0; 32];
    words
        .iter_mut()
        .zip(1..)
        .for_each(|(word, number)| *word = number * 0x0101);
    let good = encoded(&words);
    assert_eq!(decoded(&good), Some(words));
    for bit in 0..good.len() * 8 {
        let mut frame = good;
        frame[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decoded(&frame), None, "bit {bit}");
    }
    assert_eq!(
        (decoded(&[0; 132]), decoded(&[0xFF; 132])),
        (None, None),
        "a line that is stuck"
    );
}

/// A simulated joint board.
#[derive(Default)]
struct Chip {
    /// The words that it sends next.
    state: Words,
    torques: [u32; JOINTS],
    /// Noise on the line from the board, and on the line to it.
    noise: (bool, bool),
    is_unplugged: bool,
}

impl SpiChip for Chip {
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), ErrorKind> {
        if self.is_unplugged {
            return Err(ErrorKind::Other);
        }
        received.copy_from_slice(&encoded(&self.state));
        received[7] ^= u8::from(self.noise.0);
        let frame = sent.try_into().unwrap();
        if let Some(words) = decoded(frame).filter(|_| !self.noise.1) {
            self.state[0] = words[0];
            self.torques.copy_from_slice(&words[1..=JOINTS]);
        }
        Ok(())
    }
}

fn the_safe_frame_is_accepted_and_sets_no_torque() {
    let mut chip = Chip {
        torques: [7; JOINTS],
        ..Chip::default()
    };
    let exchanged = chip.exchange(&encoded(&[0; 32]), &mut [0; 132]);
    assert_eq!((exchanged, chip.torques), (Ok(()), [0; JOINTS]));
}

fn the_driver_exchanges_frames_and_reports_lost_ones() {
    let chip = Arc::<Mutex<Chip>>::default();
    let joints = Joints {
        positions: std::array::from_fn(|joint| Input::numbered(joint as u8).unwrap()),
        velocities: std::array::from_fn(|joint| Input::numbered(12 + joint as u8).unwrap()),
        torques: std::array::from_fn(|joint| Output::numbered(joint as u8).unwrap()),
    };
    let mut board = OpenBoard::new(joints, Spi::simulated(chip.clone()));
    let outputs = Outputs::new(
        0,
        &std::array::from_fn::<_, JOINTS, _>(|joint| joint as f64),
    );
    let mut tick = Tick::default();
    // One cycle: the first position, the last velocity, and whether the torques have arrived.
    let mut cycle = || {
        tick.now += Duration::from_millis(2);
        let mut inputs = Inputs::NOT_READ;
        board.sense(&mut Readings::new(&mut inputs, &tick, tick.now));
        let acted = board.act(&Commands::new(&outputs, &tick));
        (inputs.analogs[0].value, inputs.analogs[23].value, acted)
    };
    {
        let state = &mut chip.lock().unwrap().state;
        (state[1], state[24]) = (-250_000_i32 as u32, 1_500_000);
    }
    let not_ready = Err(InputError::NotReady);
    assert_eq!(cycle(), (not_ready, not_ready, Ok(())));
    let good = (Ok(-0.25), Ok(1.5), Ok(()));
    assert_eq!(cycle(), good);
    let torques: [u32; JOINTS] = std::array::from_fn(|joint| joint as u32 * 1_000_000);
    assert_eq!(chip.lock().unwrap().torques, torques, "µN·m");
    // Noise on the line from the board: the received frame is invalid.
    chip.lock().unwrap().noise = (true, false);
    assert_eq!(cycle(), (Ok(-0.25), Ok(1.5), Err(NotDriven)));
    chip.lock().unwrap().noise = (false, false);
    let parity = Err(InputError::Parity);
    assert_eq!(cycle(), (parity, parity, Ok(())));
    assert_eq!(cycle(), good);
    // Noise on the line to the board: the next received frame does not have its number.
    chip.lock().unwrap().noise = (false, true);
    assert_eq!(cycle(), good);
    assert_eq!(cycle().2, Err(NotDriven));
    chip.lock().unwrap().noise = (false, false);
    assert_eq!(cycle().2, Err(NotDriven));
    assert_eq!(cycle(), good);
    chip.lock().unwrap().is_unplugged = true;
    assert_eq!(cycle().2, Err(NotDriven));
    let bus = Err(InputError::Bus);
    assert_eq!(cycle(), (bus, bus, Err(NotDriven)));
}

/// All runs are in one test: a process has one loop at a time, and no other test may allocate
/// during it.
#[test]
fn the_legs_reach_their_targets_and_stop_on_faults() {
    firmware()
        .read("board.linux.toml", include_str!("../board.linux.toml"))
        .unwrap_or_else(|error| panic!("{error}"));
    a_frame_with_any_flipped_bit_is_refused();
    the_safe_frame_is_accepted_and_sets_no_torque();
    the_driver_exchanges_frames_and_reports_lost_ones();
    all_joints_reach_their_targets();
    a_few_lost_frames_are_tolerated();
    a_lost_board_ends_the_run_without_torque();
    a_joint_that_cannot_follow_is_named();
}
