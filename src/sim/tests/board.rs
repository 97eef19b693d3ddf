use core::f64::consts::TAU;

use embedded_hal::spi::ErrorKind;

use crate::cycle::image::{Angle, InputChannel, RADIANS_PER_UNIT};
use crate::driver::as5047p::{self, As5047p, Error};
use crate::driver::mcp3208::{Input, Mcp3208};
use crate::driver::mcp4922::{Channel, Mcp4922, Scale};
use crate::sim::{
    AxisWiring, Drive, EncoderConfig, EndStops, Fault, HeaterWiring, LimitSwitch, Load,
    MotorConfig, MotorParameter, OutputStage, SimBoard, ThermalConfig, WiringError,
};
use crate::time::{Duration, Instant};

const STEP: Duration = Duration::from_micros(250);
const PERIOD: Duration = Duration::from_millis(1);
const ENABLE: u8 = 0;
const BRAKE_RELEASE: u8 = 1;
const LOWER: u8 = 4;
const UPPER: u8 = 5;

fn input(number: u8) -> InputChannel {
    InputChannel::new(number).unwrap()
}

/// One axis with all lines, its encoder, the converter that drives it, and one that measures
/// the amplifier's monitor output.
struct Rig {
    board: SimBoard,
    encoder: usize,
    dac: usize,
    state: as5047p::State,
    scale: Scale,
    now: Instant,
}

fn rig(seed: u64, noise_counts: u16) -> Rig {
    let mut board = SimBoard::new(seed, STEP);
    let config = MotorConfig {
        disturbance_nm: 0.005,
        end_stops: Some(EndStops {
            lower_rad: -20.0,
            upper_rad: 20.0,
        }),
        ..MotorConfig::default()
    };
    let switch = |input, at_rad| Some(LimitSwitch { input, at_rad });
    let wiring = AxisWiring {
        enable: Some(ENABLE),
        brake_release: Some(BRAKE_RELEASE),
        lower_switch: switch(LOWER, -19.0),
        upper_switch: switch(UPPER, 19.0),
    };
    let axis = board.add_axis(config, wiring).unwrap();
    let encoder = EncoderConfig {
        noise_counts,
        power_on: Duration::from_millis(10),
    };
    let encoder = board.add_encoder(axis, encoder).unwrap();
    let drive = Drive {
        load: Load::Axis(axis),
        stage: OutputStage::spanning(-10.0, 10.0, 4.096),
    };
    let dac = board.add_dac(4.096, 5.0, [Some(drive), None]).unwrap();
    board.advance(Instant::from_nanos(77));
    Rig {
        board,
        encoder,
        dac,
        state: as5047p::State::new(),
        scale: Scale::new(-10.0, 10.0).unwrap(),
        now: Instant::from_nanos(77),
    }
}

impl Rig {
    fn angle(&mut self) -> Result<Angle, Error> {
        let bus = self.board.device(self.encoder).unwrap();
        let mut driver = As5047p::resume(bus, self.state);
        let angle = driver.angle_pipelined();
        self.state = driver.suspend();
        angle
    }

    fn drive(&mut self, volts: f64) {
        let mut driver = Mcp4922::new(self.board.device(self.dac).unwrap());
        driver.write_volts(Channel::A, &self.scale, volts).unwrap();
    }

    fn cycle(&mut self, volts: f64) -> Result<Angle, Error> {
        self.now += PERIOD;
        self.board.advance(self.now);
        let angle = self.angle();
        self.drive(volts);
        angle
    }

    fn energise(&mut self) {
        let lines = 1 << ENABLE | 1 << BRAKE_RELEASE;
        self.board.gpio_mut().set_outputs(lines);
    }

    fn position(&self) -> f64 {
        self.board.motor(0).unwrap().position_rad()
    }
}

#[test]
fn a_board_can_be_moved_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<SimBoard>();
}

#[test]
fn a_proportional_loop_over_the_chips_closes_to_within_the_encoder() {
    let mut rig = rig(3, 1);
    rig.energise();
    let (mut position, mut last) = (0.0, Angle(0));
    for _ in 0..3_000 {
        let before = position;
        if let Ok(angle) = rig.cycle(0.0) {
            // The motor starts at zero.
            let moved = angle.wrapping_difference(last);
            position += f64::from(moved) * RADIANS_PER_UNIT;
            last = angle;
        }
        let velocity = (position - before) * 1_000.0;
        let volts = 8.0 * (5.0 - position) - 0.4 * velocity;
        rig.drive(volts.clamp(-10.0, 10.0));
    }
    assert!((rig.position() - 5.0).abs() < 0.1, "{}", rig.position());
    // One count of noise and one of rounding down; the shaft is at rest.
    let off_counts = (rig.position() - position) * 16_384.0 / TAU;
    assert!(off_counts.abs() < 2.0, "{off_counts}");
}

#[test]
fn two_runs_with_the_same_seed_are_identical() {
    let run = |seed| {
        let mut rig = rig(seed, 2);
        rig.energise();
        let mut trace = 0u64;
        for cycle in 0..2_000 {
            let volts = if cycle % 500 < 250 { 3.0 } else { -3.0 };
            let seen = rig.cycle(volts).map_or(u32::MAX, |angle| angle.0);
            trace = trace.rotate_left(7) ^ u64::from(seen);
        }
        (trace, rig.position().to_bits())
    };
    let (first, second, other) = (run(1), run(1), run(2));
    assert_eq!(first, second);
    assert!(first.0 != other.0 && first.1 != other.1);
}

#[test]
fn the_encoder_is_not_ready_during_its_power_on_time_and_then_correct() {
    let mut rig = rig(1, 0);
    let counts = 2_607.5;
    let shaft = counts * TAU / 16_384.0;
    rig.board.motor_mut(0).unwrap().set_state(shaft, 0.0);
    for cycle in 1..=12 {
        // The reply in cycle 10 is still that of cycle 9, when the chip was not settled.
        let expected = match cycle {
            ..10 => Err(Error::NotReady),
            10.. => Ok(Angle::from_counts(2_607, 14)),
        };
        assert_eq!(rig.cycle(0.0), expected, "cycle {cycle}");
    }
}

#[test]
fn no_torque_without_enable_and_no_motion_with_the_brake() {
    for lines in [0, 1 << ENABLE, 1 << BRAKE_RELEASE] {
        let mut rig = rig(1, 0);
        rig.board.gpio_mut().set_outputs(lines);
        for _ in 0..200 {
            let _ = rig.cycle(8.0);
        }
        assert_eq!(rig.position(), 0.0, "{lines:#b}");
    }
}

#[test]
fn angles_round_down_to_counts_on_both_sides_of_zero() {
    for (counts, seen) in [(0.5, 0), (1.5, 1), (-0.5, 0x3FFF), (-1.5, 0x3FFE)] {
        let mut board = SimBoard::new(0, STEP);
        let axis = board
            .add_axis(MotorConfig::default(), AxisWiring::default())
            .unwrap();
        let encoder = board.add_encoder(axis, EncoderConfig::default()).unwrap();
        let motor = board.motor_mut(axis).unwrap();
        motor.set_state(counts * TAU / 16_384.0 - 3.0 * TAU, 0.0);
        let mut driver = As5047p::new(board.device(encoder).unwrap());
        assert_eq!(driver.angle(), Ok(Angle::from_counts(seen, 14)));
    }
}

#[test]
fn a_closing_brake_stops_the_shaft_at_once() {
    let mut rig = rig(1, 0);
    rig.energise();
    for _ in 0..50 {
        let _ = rig.cycle(4.0);
    }
    assert!(rig.board.motor(0).unwrap().velocity_rad_s() > 1.0);
    rig.board.gpio_mut().set_outputs(1 << ENABLE);
    let position = rig.position();
    let _ = rig.cycle(4.0);
    assert_eq!(rig.position(), position);
    assert_eq!(rig.board.motor(0).unwrap().velocity_rad_s(), 0.0);
}

#[test]
fn limit_switches_report_before_the_end_stops_hold() {
    let mut rig = rig(1, 0);
    rig.energise();
    let initial = rig.board.gpio_mut().sample();
    assert!(!initial.is_active(input(LOWER)) && !initial.is_active(input(UPPER)));
    let mut reported_at = None;
    for _ in 0..1_000 {
        let _ = rig.cycle(2.0);
        if rig.board.gpio_mut().sample().became_active(input(UPPER)) {
            assert_eq!(reported_at.replace(rig.position()), None);
        }
    }
    let reported_at = reported_at.unwrap();
    assert!((19.0..20.0).contains(&reported_at), "{reported_at}");
    assert!((rig.position() - 20.0).abs() < 1e-3);
    rig.board.motor_mut(0).unwrap().set_state(-19.5, 0.0);
    let _ = rig.cycle(0.0);
    let sampled = rig.board.gpio_mut().sample();
    assert!(sampled.became_active(input(LOWER)) && !sampled.is_active(input(UPPER)));
}

#[test]
fn a_converter_that_ignores_writes_keeps_its_voltage() {
    let command_volts = |rig: &Rig| rig.board.command_volts(0).unwrap();
    let mut rig = rig(1, 0);
    rig.energise();
    rig.drive(5.0);
    assert!((command_volts(&rig) - 5.0).abs() < 0.003);
    let faults = rig.board.faults_mut(rig.dac).unwrap();
    faults.add_now(Fault::NoAnswer, 1).unwrap();
    rig.drive(0.0);
    assert!((command_volts(&rig) - 5.0).abs() < 0.003);
    rig.drive(0.0);
    assert!(command_volts(&rig).abs() < 0.003);
}

#[test]
fn raw_frames_and_drivers_reach_the_same_chips() {
    let mut rig = rig(1, 0);
    rig.energise();
    let mut rx = [0; 2];
    // Channel A, unbuffered, gain 1, active, 4095.
    rig.board.exchange(rig.dac, &[0x3F, 0xFF], &mut rx).unwrap();
    assert!((rig.board.command_volts(0).unwrap() - 10.0).abs() < 1e-9);
    assert_eq!(
        rig.board.exchange(99, &[0, 0], &mut rx),
        Err(ErrorKind::ChipSelectFault)
    );
    assert_eq!(
        rig.board.exchange(rig.dac, &[0], &mut rx),
        Err(ErrorKind::Overrun)
    );
    assert!(rig.board.device(99).is_none());
}

#[test]
fn without_progress_of_time_nothing_moves() {
    let mut rig = rig(1, 0);
    rig.energise();
    let _ = rig.cycle(5.0);
    let _ = rig.cycle(5.0);
    let position = rig.position();
    rig.board.advance(rig.now);
    rig.board.advance(Instant::from_nanos(0));
    assert_eq!(rig.position(), position);
    assert!(position > 0.0);
}

#[test]
fn a_two_point_control_holds_a_temperature_with_a_switched_heater() {
    let mut board = SimBoard::new(0, STEP);
    let wiring = HeaterWiring { switch: Some(3) };
    let heater = board.add_heater(ThermalConfig::default(), wiring).unwrap();
    let mut sensors = [None; 8];
    sensors[0] = Some(heater);
    let adc = board.add_adc(4.096, sensors).unwrap();
    for slot in 0..10_000 {
        board.advance(Instant::from_nanos(slot * PERIOD.as_nanos()));
        let mut driver = Mcp3208::new(board.device(adc).unwrap(), 4.096).unwrap();
        let volts = driver.read_volts(Input::single(0).unwrap()).unwrap();
        let celsius = (volts - 0.5) / 0.010;
        let on = celsius < if board.gpio().output(3) { 60.5 } else { 59.5 };
        board.gpio_mut().set_outputs(u32::from(on) << 3);
        if slot > 6_000 {
            assert!((59.0..61.0).contains(&celsius), "{celsius}");
        }
    }
}

#[test]
fn an_analog_output_drives_a_heater_with_part_of_its_power() {
    let mut board = SimBoard::new(0, STEP);
    let heater = board
        .add_heater(ThermalConfig::default(), HeaterWiring::default())
        .unwrap();
    let drive = Drive {
        load: Load::Heater(heater),
        stage: OutputStage::spanning(0.0, 10.0, 4.096),
    };
    let dac = board.add_dac(4.096, 5.0, [None, Some(drive)]).unwrap();
    let scale = Scale::new(0.0, 10.0).unwrap();
    let mut driver = Mcp4922::new(board.device(dac).unwrap());
    driver.write_volts(Channel::B, &scale, 5.0).unwrap();
    board.advance(Instant::from_nanos(0));
    board.advance(Instant::from_nanos(100_000_000_000));
    let temperature = board.thermal(heater).unwrap().temperature_c();
    assert!((temperature - 60.0).abs() < 0.02, "{temperature}");
}

#[test]
fn invalid_wiring_is_refused_with_the_reason() {
    let mut board = SimBoard::new(0, STEP);
    let encoder = EncoderConfig::default();
    assert_eq!(board.add_encoder(0, encoder), Err(WiringError::NoAxis(0)));
    let wiring = AxisWiring {
        enable: Some(32),
        ..AxisWiring::default()
    };
    let motor = MotorConfig::default();
    assert_eq!(board.add_axis(motor, wiring), Err(WiringError::NoLine(32)));
    let bad = MotorConfig {
        inertia_kg_m2: -1.0,
        ..motor
    };
    assert_eq!(
        board.add_axis(bad, AxisWiring::default()),
        Err(WiringError::Motor(MotorParameter::Inertia))
    );
    let drive = |load, reference| {
        Some(Drive {
            load,
            stage: OutputStage::spanning(0.0, 10.0, reference),
        })
    };
    assert_eq!(
        board.add_dac(4.096, 5.0, [drive(Load::Heater(2), 4.096), None]),
        Err(WiringError::NoHeater(2))
    );
    assert_eq!(
        board.add_dac(0.0, 5.0, [None, None]),
        Err(WiringError::Volts)
    );
    for number in 0..8 {
        assert_eq!(board.add_axis(motor, AxisWiring::default()), Ok(number));
    }
    assert_eq!(
        board.add_axis(motor, AxisWiring::default()),
        Err(WiringError::Full)
    );
    assert_eq!(
        board.add_dac(4.096, 5.0, [drive(Load::Axis(0), 0.0), None]),
        Err(WiringError::Volts)
    );
}
