//! The time of a sample: the velocity is that of the shaft, whatever disturbs the reading of an
//! angle.
//!
//! Transfers take time here, during which the shafts turn, so an angle is not measured at the
//! start of its cycle.

use std::cell::Cell;

use super::super::*;
use super::DEADLINE;
use crate::axis::feedback::{Feedback, FeedbackState, Reading};
use crate::axis::{Fault as AxisFault, FeedbackConfig};
use crate::config::Config;
use crate::cycle::image::DigitalInputs;
use crate::sim::{AxisWiring, EncoderConfig, Fault, MotorConfig, SimBoard, WiringError};
use crate::stock::servo::Axes;
use embedded_hal::spi::SpiDevice;
use embedded_hal::spi::{ErrorKind, ErrorType, Operation};

const PERIOD: Duration = Duration::from_millis(1);
/// A count of the encoder, rad.
const COUNT_RAD: f64 = core::f64::consts::TAU / 16_384.0;

std::thread_local! {
    /// The time, ns.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn now() -> Instant {
    Instant::from_nanos(NOW.get())
}

/// Encoders on shafts that turn at a constant speed, on a bus whose transfers take `call` each, as
/// does reading the lines.
struct Turning {
    board: SimBoard,
    call: Duration,
    transfers: u32,
}

impl Turning {
    fn new(shafts: u8, speed: f64, call: Duration) -> Result<Self, WiringError> {
        let mut board = SimBoard::new(1, Duration::from_micros(5));
        for _ in 0..shafts {
            let motor = MotorConfig {
                viscous_nm_s: 0.0,
                coulomb_nm: 0.0,
                stiction_nm: 0.0,
                ..MotorConfig::default()
            };
            let axis = board.add_axis(motor, AxisWiring::default())?;
            let settled = EncoderConfig {
                noise_counts: 0,
                power_on: Duration::ZERO,
            };
            board.add_encoder(axis, settled)?;
            let motor = board.motor_mut(axis);
            motor.expect("just added").set_state(0.3, speed);
        }
        let transfers = 0;
        Ok(Self {
            board,
            call,
            transfers,
        })
    }

    /// Advances time and shafts by one call.
    fn pass(&mut self) {
        NOW.set(NOW.get() + self.call.as_nanos());
        self.board.advance(now());
    }
}

impl Devices for Turning {
    type Spi<'a> = Calls<'a>;

    fn advance(&mut self, tick: &Tick) -> Instant {
        self.board.advance(tick.now);
        tick.now
    }

    fn now(_: &Tick) -> Instant {
        now()
    }

    fn spi(&mut self, index: usize) -> Calls<'_> {
        Calls {
            devices: self,
            index,
        }
    }

    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        self.pass();
        Ok(DigitalInputs::default())
    }

    fn digital_outputs(&mut self, _: u32) -> Result<(), OutputError> {
        Ok(())
    }
}

/// One encoder of [`Turning`].
struct Calls<'a> {
    devices: &'a mut Turning,
    index: usize,
}

impl ErrorType for Calls<'_> {
    type Error = ErrorKind;
}

impl SpiDevice for Calls<'_> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        self.devices.pass();
        self.devices.transfers += 1;
        let device = self.devices.board.device(self.index);
        device.expect("an encoder").transaction(operations)
    }
}

/// A disturbance of a cycle.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Disturbance {
    /// This many transfers fail.
    Failures(u64),
    /// A reply of zeros, which is checked again.
    Zeros,
    /// A reply with wrong parity.
    Parity,
    /// A command that the chip answers with an error flag.
    Framing,
    /// This many slots before it are skipped.
    Skipped(u32),
}

use Disturbance::{Failures, Framing, Parity, Skipped, Zeros};

impl Disturbance {
    /// The fault of the encoder, and how many transfers have it.
    const fn fault(self) -> Option<(Fault, u64)> {
        match self {
            Failures(count) => Some((Fault::BusError, count)),
            Zeros => Some((Fault::MisoLow, 1)),
            Parity => Some((Fault::ReplyBitFlip(3), 1)),
            Framing => Some((Fault::CommandBitFlip(0), 1)),
            Skipped(_) => None,
        }
    }

    const fn skipped_slots(self) -> u32 {
        match self {
            Skipped(slots) => slots,
            Failures(_) | Zeros | Parity | Framing => 0,
        }
    }
}

/// Disturbances of successive cycles, and whether there is time for a retry.
const DISTURBANCES: [(&[Disturbance], bool); 14] = [
    (&[], true),
    (&[Failures(1)], true),
    (&[Failures(1)], false),
    (&[Failures(3), Failures(3)], true),
    (&[Failures(2)], false),
    (&[Skipped(1)], true),
    (&[Skipped(2)], true),
    (&[Zeros], true),
    (&[Parity], true),
    (&[Parity], false),
    (&[Framing], true),
    (&[Framing], false),
    (
        &[Failures(1), Skipped(1), Zeros, Parity, Skipped(2), Zeros],
        true,
    ),
    (
        &[
            Skipped(1),
            Failures(1),
            Zeros,
            Skipped(1),
            Parity,
            Failures(1),
        ],
        false,
    ),
];

struct Run {
    ports: Ports<Turning>,
    inputs: Inputs,
    slot: u64,
    feedback: Feedback,
    state: FeedbackState,
}

impl Run {
    fn new(shafts: u8, plausible: f64, speed: f64, call: Duration, retries: bool) -> Self {
        NOW.set(0);
        let mut io = Config::parse("b.toml", super::BOARD).expect("good").io;
        io.encoders = std::vec![io.encoders[0].clone(); usize::from(shafts)];
        io.analog_inputs.clear();
        io.analog_outputs.clear();
        let map = SpiMap {
            encoders: (0..usize::from(shafts)).collect(),
            ..SpiMap::default()
        };
        let devices = Turning::new(shafts, speed, call).expect("wired");
        let mut ports = Ports::new(devices, &io, &map);
        if retries {
            ports = ports.retrying_until(DEADLINE);
        }
        let config = FeedbackConfig {
            encoder_channel: shafts - 1,
            gear_ratio: 1.0,
            encoder_inverted: false,
            offset_rad: 0.0,
            plausible_velocity_rad_s: plausible,
            velocity_cutoff_hz: 200.0,
            tolerated_failures: 2,
            frozen: None,
        };
        Self {
            ports,
            inputs: Inputs::NOT_READ,
            slot: 5,
            feedback: config.build(PERIOD).expect("in range"),
            state: FeedbackState::UNKNOWN,
        }
    }

    /// One cycle, in which the last encoder is disturbed.
    fn cycle(&mut self, disturbance: Option<Disturbance>) -> Reading {
        let skipped = disturbance.map_or(0, Disturbance::skipped_slots);
        let channel = usize::from(self.feedback.channel());
        let chip = self.ports.devices.board.faults_mut(channel);
        let plan = chip.expect("an encoder");
        if let Some((fault, count)) = disturbance.and_then(Disturbance::fault) {
            plan.add_now(fault, count).expect("room");
        }
        self.slot += u64::from(skipped) + 1;
        let release = Instant::from_nanos(0) + PERIOD * self.slot;
        // Late by up to 20 us, as in a real loop.
        let tick = Tick {
            slot: self.slot,
            release,
            now: release + Duration::from_micros(self.slot * 5 % 25),
            elapsed_slots: skipped + 1,
            ..Tick::default()
        };
        NOW.set(tick.now.as_nanos());
        self.ports.sense(&tick, &mut self.inputs);
        let sample = &self.inputs.positions[channel];
        self.feedback.update(&mut self.state, sample, 0.0)
    }
}

/// Runs all disturbances at `speed`. The velocity may deviate by `share` of it, and by the
/// encoder's resolution over half a period.
fn assert_velocity(shafts: u8, plausible: f64, speed: f64, call: Duration, share: f64) {
    let bend = 2.0 * COUNT_RAD / PERIOD.as_secs_f64() + share * speed.abs();
    for (disturbances, retries) in DISTURBANCES {
        let mut run = Run::new(shafts, plausible, speed, call, retries);
        let quiet = [None; 60].into_iter();
        let cycles = quiet.chain(disturbances.iter().copied().map(Some));
        for (cycle, disturbance) in cycles.chain([None; 12]).enumerate() {
            let reading = run.cycle(disturbance);
            let off = run.state.velocity_rad_s() - speed;
            let what = || {
                std::format!(
                    "{speed} rad/s of {plausible}, {disturbances:?}, retries {retries}, cycle {cycle}"
                )
            };
            assert!(
                !matches!(reading, Reading::Failed(_)),
                "{}: {reading:?}",
                what()
            );
            assert!(cycle < 30 || off.abs() <= bend, "{}: off by {off}", what());
        }
    }
}

/// Speeds from standstill to `plausible / margin`, in both directions.
fn speeds(plausible: f64, margin: f64) -> impl Iterator<Item = f64> {
    (-20..=20).map(move |part| plausible / margin * f64::from(part) / 20.0)
}

#[test]
fn disturbances_of_a_cycle_do_not_distort_the_velocity_or_cause_a_jump_fault() {
    // Half a turn per period is the highest speed that an encoder resolves.
    for plausible in [200.0, 3_000.0] {
        for margin in [1.05, 20.0] {
            for speed in speeds(plausible, margin) {
                assert_velocity(1, plausible, speed, Duration::ZERO, 0.0);
            }
        }
    }
}

#[test]
fn slow_transfers_distort_the_velocity_by_less_than_their_share_of_the_period() {
    for (shafts, us) in [(1, 20), (1, 60), (3, 25), (8, 15)] {
        let call = Duration::from_micros(us);
        let share = call.as_secs_f64() / PERIOD.as_secs_f64();
        for margin in [1.05, 20.0] {
            for speed in speeds(400.0, margin).step_by(5) {
                assert_velocity(shafts, 400.0, speed, call, share);
            }
        }
    }
}

#[test]
fn each_simulated_disturbance_has_its_effect() {
    let call = Duration::from_micros(20);
    let transfers = |disturbance, retries| {
        let mut run = Run::new(1, 400.0, 100.0, call, retries);
        for _ in 0..9 {
            run.cycle(None);
        }
        let before = run.ports.devices.transfers;
        let reading = run.cycle(Some(disturbance));
        (run.ports.devices.transfers - before, reading)
    };
    let held = Reading::Held(AxisFault::FeedbackBus);
    assert_eq!(transfers(Failures(1), true), (3, Reading::Fresh));
    assert_eq!(transfers(Failures(1), false), (1, held));
    assert_eq!(transfers(Failures(3), true), (2, held));
    assert_eq!(transfers(Skipped(1), true), (2, Reading::Fresh));
    assert_eq!(transfers(Zeros, true), (4, Reading::Fresh));
    assert_eq!(transfers(Parity, true), (2, Reading::Fresh));
}

#[test]
fn an_angle_has_the_time_of_its_request() {
    let mut run = Run::new(1, 400.0, 100.0, Duration::from_micros(20), true);
    for _ in 0..9 {
        run.cycle(None);
    }
    let at = |run: &Run| run.inputs.positions[0].at;
    let began = |run: &Run| {
        let release = Instant::from_nanos(0) + PERIOD * run.slot;
        release + Duration::from_micros(run.slot * 5 % 25)
    };
    let before = began(&run);
    run.cycle(None);
    assert_eq!(at(&run), before, "pipelined");
    run.cycle(Some(Skipped(1)));
    assert_eq!(at(&run), began(&run), "requested again");
    let before = began(&run);
    run.cycle(None);
    assert_eq!(at(&run), before, "pipelined again");
    run.cycle(Some(Failures(1)));
    let failed = Duration::from_micros(40);
    assert_eq!(
        at(&run),
        began(&run) + failed,
        "the lines and a frame later"
    );
    let before = at(&run);
    run.cycle(None);
    assert_eq!(at(&run), before, "requested by the repeated transfer");
    run.cycle(Some(Zeros));
    assert_eq!(at(&run), began(&run) + failed, "after two of five calls");
}

/// A servo at full speed on a plant that does not wait, with occasional disturbances. `margin` is
/// the plausible speed as a multiple of the profile's speed.
fn run_servo(margin: f64, disturbances: &[Disturbance], retries: bool) {
    use crate::axis::Servo;
    use crate::board::Simulated;
    use crate::cycle::record::CycleRecord;
    use crate::cycle::stages::{Cycle, Drive};
    use crate::sim::VirtualClock;

    const SPEED: f64 = 60.0;
    let mut text = crate::stock::SIM_BOARD.to_owned();
    for (key, value) in [
        ("waits = true", "waits = false"),
        (
            "profile]\nvelocity_rad_s = 20.0",
            "profile]\nvelocity_rad_s = 60.0",
        ),
        (
            "\nacceleration_rad_s2 = 400.0",
            "\nacceleration_rad_s2 = 1500.0",
        ),
        ("\njerk_rad_s3 = 20000.0", "\njerk_rad_s3 = 100000.0"),
        (
            "stop_deceleration_rad_s2 = 800.0",
            "stop_deceleration_rad_s2 = 1500.0",
        ),
        ("stop_jerk_rad_s3 = 80000.0", "stop_jerk_rad_s3 = 100000.0"),
        ("max_velocity_rad_s = 40.0", "max_velocity_rad_s = 63.0"),
        (
            "positions_rad = [6.283185, -6.283185]",
            "positions_rad = [12.5, -12.5]",
        ),
        ("dwell_s = 0.25", "dwell_s = 0.05"),
    ] {
        assert_eq!(text.matches(key).count(), 1, "{key}");
        text = text.replace(key, value);
    }
    let plausible = std::format!("plausible_velocity_rad_s = {:.1}", SPEED * margin);
    text = text.replace("plausible_velocity_rad_s = 400.0", &plausible);
    let config = Config::parse("b.toml", &text).expect("good");
    let simulation = config.simulation.as_ref().expect("simulated");
    let (devices, map) = Simulated::build(simulation, &config.io, PERIOD).expect("wired");
    let mut ports = Ports::new(devices, &config.io, &map);
    if retries {
        ports = ports.retrying_until(DEADLINE);
    }
    let law = Axes::of(&config).expect("an axis").law();
    let mut cycle = Cycle::<_, Servo>::new(ports, &law, law.initial(), None);
    let clock = VirtualClock::new(Duration::from_micros(20));
    let (mut slot, mut fast, mut disturbed) = (0_u64, 0, 0);
    let mut next = disturbances.iter().cycle();
    for count in 0..6_000 {
        let axis = &cycle.state.axes()[0];
        let fault = axis.fault();
        let at_speed = axis.velocity_rad_s().abs() > 0.98 * SPEED;
        assert_eq!(
            fault, None,
            "{margin}, {disturbances:?}, {retries}, cycle {count}"
        );
        let mut elapsed_slots = 1;
        let board = cycle.ports.devices.board_mut();
        if count % 7 == 0
            && at_speed
            && let Some(disturbance) = next.next()
        {
            disturbed += 1;
            let plan = board.faults_mut(0).expect("the encoder");
            elapsed_slots += disturbance.skipped_slots();
            if let Some((fault, count)) = disturbance.fault() {
                plan.add_now(fault, count).expect("room");
            }
        }
        slot += u64::from(elapsed_slots);
        let release = Instant::from_nanos(0) + PERIOD * slot;
        let tick = Tick {
            slot,
            release,
            now: release + Duration::from_micros(slot * 7 % 40),
            elapsed_slots,
            ..Tick::default()
        };
        let done = cycle.run_once(&clock, &tick, Drive::Fresh, &mut CycleRecord::default());
        assert_eq!(done.acted, Ok(()));
        let axis = &cycle.state.axes()[0];
        let motor = cycle.ports.devices.board_mut().motor(0).expect("there");
        if at_speed && motor.velocity_rad_s().abs() > 0.99 * SPEED {
            fast += 1;
            // One count of noise in each direction over half a period, and the lag of the filter.
            let off = axis.velocity_rad_s() - motor.velocity_rad_s();
            assert!(
                off.abs() < 2.5,
                "{disturbances:?}, cycle {count}: off by {off}"
            );
        }
    }
    assert!(
        fast > 1_000 && disturbed > 100,
        "{fast} cycles at speed, {disturbed} disturbed"
    );
}

#[test]
fn a_servo_at_full_speed_continues_through_every_disturbance() {
    for margin in [1.05, 1.2, 20.0] {
        for (disturbance, retries) in DISTURBANCES {
            if !disturbance.is_empty() {
                run_servo(margin, disturbance, retries);
            }
        }
    }
}
