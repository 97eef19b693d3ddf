//! Failing devices: single failures, failures in a row, and failures at different points of a
//! cycle.

mod counted;
mod idle;
mod latched;
mod times;

use super::*;
use crate::board::Simulated;
use crate::config::Config;
use crate::sim::Fault;

/// A motor with encoder and converter, and a sensor, without a controller. The sensor stays
/// at 0.5 V (0 degC).
const BOARD: &str = r#"
[board]
name = "b"
devices = "simulated"
[loop]
period_us = 1000
[encoder.shaft]
chip = "as5047p"
[analog_output.torque]
chip = "mcp4922"
channel = "a"
min_volts = -10.0
max_volts = 10.0
safe_volts = 0.0
tolerated_failures = 2
monitor = "sensor"
monitor_volts_at_0 = 0.5
monitor_volts_per_volt = 0.1
monitor_tolerance_volts = 0.05
monitor_cycles = 3
max_hold_ms = 20
shutdown = 2
[output.heater]
safe = false
max_hold_ms = 20
shutdown = 1
[analog_input.sensor]
chip = "mcp3208"
channel = 0
vref_volts = 5.0
min_volts = 0.4
max_volts = 4.0
tolerated_failures = 2
[simulation.motor.x]
encoder = "shaft"
analog_output = "torque"
[simulation.heater.sensor]
analog_input = "sensor"
switch = "heater"
ambient_c = 0.0
sensor_volts_at_0_c = 0.5
sensor_volts_per_k = 0.01
"#;

const ENCODER: usize = 0;
const DAC: usize = 1;
const ADC: usize = 2;
const DEADLINE: Duration = Duration::from_millis(1);
const NEVER: Duration = Duration::from_nanos(0);

struct Bench {
    ports: Ports<Simulated>,
    inputs: Inputs,
    outputs: Outputs,
    slot: u64,
}

impl Bench {
    /// The board of `text`, after some cycles without failures.
    fn of(text: &str, deadline: Duration) -> Self {
        let config = Config::parse("b.toml", text).expect("good");
        let simulation = config.simulation.as_ref().expect("simulated");
        let (devices, map) =
            Simulated::build(simulation, &config.io, config.run.period).expect("wired");
        let ports = Ports::new(devices, &config.io, &map).retrying_until(deadline);
        let mut bench = Self {
            outputs: ports.safe_image(),
            ports,
            inputs: Inputs::NOT_READ,
            slot: 0,
        };
        for _ in 0..5 {
            assert_eq!(bench.cycle(), Ok(()));
        }
        bench
    }

    fn new(deadline: Duration) -> Self {
        Self::of(BOARD, deadline)
    }

    fn cycle(&mut self) -> Result<(), OutputError> {
        let now = Instant::from_nanos(1_000_000 * self.slot);
        let tick = Tick {
            slot: self.slot,
            release: now,
            now,
            elapsed_slots: 1,
            ..Tick::default()
        };
        self.slot += 1;
        self.ports.sense(&tick, &mut self.inputs);
        self.ports.act(&tick, &self.outputs)
    }

    /// Cycles until one fails.
    fn cycle_until_lost(&mut self) {
        let lost = (0..100).any(|_| self.cycle().is_err());
        assert!(lost, "nothing is lost in 100 cycles");
    }

    fn fail(&mut self, chip: usize, fault: Fault, transfers: u64) {
        let plan = self
            .ports
            .devices
            .board_mut()
            .faults_mut(chip)
            .expect("a chip");
        plan.add_now(fault, transfers).expect("room");
    }

    /// Runs two cycles in which one transfer of `chip` fails each. Gives for each cycle whether
    /// everything was read and everything was written.
    fn two_failures(chip: usize, deadline: Duration) -> [(bool, bool); 2] {
        let mut bench = Self::new(deadline);
        let found = [(); 2].map(|()| {
            bench.fail(chip, Fault::BusError, 1);
            let written = bench.cycle().is_ok();
            let read =
                bench.inputs.positions[0].value.is_ok() && bench.inputs.analogs[0].value.is_ok();
            (read, written)
        });
        let after = bench.cycle();
        assert_eq!(after, Ok(()), "{chip}: nothing is left to fail");
        assert!(bench.inputs.positions[0].value.is_ok() && bench.inputs.analogs[0].value.is_ok());
        found
    }
}

#[test]
fn a_failed_transfer_is_retried_within_the_cycle_only_with_a_budget() {
    for chip in [ENCODER, DAC, ADC] {
        let within = Bench::two_failures(chip, DEADLINE);
        assert_eq!(within, [(true, true); 2], "{chip}");
        let without = Bench::two_failures(chip, NEVER);
        assert_eq!(without, [(chip == DAC, chip != DAC); 2], "{chip}");
    }
}

#[test]
fn a_transfer_is_retried_only_once() {
    for chip in [ENCODER, DAC, ADC] {
        let mut bench = Bench::new(DEADLINE);
        bench.fail(chip, Fault::BusError, 3);
        let acted = bench.cycle();
        let failed = match chip {
            ENCODER => bench.inputs.positions[0].value.is_err(),
            ADC => bench.inputs.analogs[0].value.is_err(),
            _ => acted.is_err(),
        };
        assert!(failed, "{chip}: three transfers failed");
    }
}

#[test]
fn an_output_that_fails_too_often_in_a_row_is_reported_lost_by_name() {
    let mut bench = Bench::new(NEVER);
    bench.fail(DAC, Fault::BusError, 2);
    assert_eq!(bench.cycle(), Err(OutputError::Analog(0)));
    assert_eq!(bench.cycle(), Err(OutputError::Analog(0)));
    assert_eq!(bench.cycle(), Ok(()), "two are tolerated");
    bench.fail(DAC, Fault::BusError, 3);
    assert_eq!(bench.cycle(), Err(OutputError::Analog(0)));
    assert_eq!(bench.cycle(), Err(OutputError::Analog(0)));
    let lost = Err(OutputError::Lost(Lost::AnalogOutput(0)));
    assert_eq!(bench.cycle(), lost);
    assert_eq!(bench.cycle(), lost, "it stays lost");
}

#[test]
fn an_input_that_fails_too_often_in_a_row_is_reported_lost_with_the_cause() {
    let mut bench = Bench::new(NEVER);
    for _ in 0..10 {
        bench.fail(ADC, Fault::BusError, 2);
        for _ in 0..3 {
            assert_eq!(bench.cycle(), Ok(()), "two in a row are tolerated");
        }
    }
    bench.fail(ADC, Fault::MisoHigh, 3);
    assert_eq!((bench.cycle(), bench.cycle()), (Ok(()), Ok(())));
    let lost = Lost::AnalogInput(0, InputError::Framing);
    assert_eq!(bench.cycle(), Err(OutputError::Lost(lost)));
}

#[test]
fn a_broken_wire_is_out_of_range_and_not_read_again() {
    // The sensor has a live zero, so 0 V is out of its limits.
    let mut bench = Bench::new(DEADLINE);
    bench.fail(ADC, Fault::MisoLow, 3);
    for _ in 0..2 {
        assert_eq!(bench.cycle(), Ok(()));
        assert_eq!(bench.inputs.analogs[0].value, Err(InputError::OutOfRange));
    }
    let lost = Lost::AnalogInput(0, InputError::OutOfRange);
    assert_eq!(bench.cycle(), Err(OutputError::Lost(lost)));
}

#[test]
fn without_a_failure_limit_no_channel_is_lost() {
    let text = BOARD.replace("tolerated_failures = 2\n", "");
    let mut bench = Bench::of(&text, NEVER);
    bench.fail(ADC, Fault::BusError, 500);
    for _ in 0..500 {
        assert_eq!(bench.cycle(), Ok(()));
        assert_eq!(bench.inputs.analogs[0].value, Err(InputError::Bus));
    }
}

#[test]
fn an_output_that_deviates_from_its_command_is_lost() {
    let mut bench = Bench::new(DEADLINE);
    // 0.4 V at the output are 0.04 V at the input: within the tolerance.
    bench.outputs.analogs[0] = 0.4;
    for _ in 0..100 {
        assert_eq!(bench.cycle(), Ok(()));
    }
    bench.outputs.analogs[0] = 2.0;
    for _ in 0..4 {
        assert_eq!(bench.cycle(), Ok(()), "seen a cycle later, three tolerated");
    }
    let lost = Err(OutputError::Lost(Lost::Monitored(0)));
    assert_eq!(bench.cycle(), lost);
}

#[test]
fn a_monitored_output_is_compared_with_its_clamped_command() {
    let mut bench = Bench::new(DEADLINE);
    bench.outputs.analogs[0] = 1e9;
    assert_eq!(bench.cycle(), Ok(()));
    assert_eq!(bench.ports.monitors[0].expected, Some(1.5));
}

#[test]
fn a_non_finite_command_becomes_the_safe_value_in_the_same_cycle() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut bench = Bench::new(DEADLINE);
        bench.outputs.analogs[0] = 0.4;
        assert_eq!(bench.cycle(), Ok(()));
        bench.outputs.analogs[0] = bad;
        assert_eq!(bench.cycle(), Err(OutputError::NotFinite(0)), "{bad}");
        let volts = bench.ports.devices.board_mut().command_volts(0);
        assert!(volts.expect("an axis").abs() < 0.01, "{bad}: {volts:?}");
    }
}

#[test]
fn a_non_finite_command_is_reported_besides_a_lost_input() {
    let mut bench = Bench::new(NEVER);
    bench.fail(ADC, Fault::BusError, 10);
    bench.cycle_until_lost();
    bench.outputs.analogs[0] = f64::NAN;
    assert_eq!(bench.cycle(), Err(OutputError::NotFinite(0)));
}

#[test]
fn a_non_finite_command_is_reported_besides_a_failing_output() {
    let second = r#"
[analog_output.second]
chip = "mcp4922"
channel = "b"
min_volts = -10.0
max_volts = 10.0
safe_volts = 0.0
max_hold_ms = 20
shutdown = 3
"#;
    let motor = r#"
[encoder.other]
chip = "as5047p"
[simulation.motor.y]
encoder = "other"
analog_output = "second"
"#;
    let mut bench = Bench::of(&format!("{BOARD}{second}{motor}"), NEVER);
    // A second encoder, before the converters.
    bench.fail(DAC + 1, Fault::BusError, 2);
    assert_eq!(bench.cycle(), Err(OutputError::Analog(0)));
    bench.outputs.analogs[1] = f64::NAN;
    assert_eq!(bench.cycle(), Err(OutputError::NotFinite(1)));

    let not_finite = Err(OutputError::NotFinite(1));
    for other in [
        Ok(()),
        Err(OutputError::Digital),
        Err(OutputError::Analog(0)),
    ] {
        assert_eq!(graver(other, not_finite), not_finite, "{other:?}");
        assert_eq!(graver(not_finite, other), not_finite, "{other:?}");
    }
}

#[test]
fn a_loss_before_the_run_does_not_count_in_it() {
    let mut bench = Bench::new(NEVER);
    bench.fail(ADC, Fault::BusError, 3);
    bench.cycle_until_lost();
    assert_eq!(bench.ports.safe(&Tick::default()), Ok(()));
    assert_eq!(bench.cycle(), Ok(()));
}

#[test]
fn the_safe_value_is_written_again_when_its_first_transfer_fails() {
    let mut bench = Bench::new(NEVER);
    bench.outputs.analogs[0] = 3.0;
    assert_eq!(bench.cycle(), Ok(()));
    bench.fail(DAC, Fault::BusError, 1);
    assert_eq!(bench.ports.safe(&Tick::default()), Ok(()));
    let volts = bench.ports.devices.board_mut().command_volts(0);
    assert!(volts.expect("an axis").abs() < 0.01, "{volts:?}");
}

#[test]
fn a_lost_output_takes_precedence_over_a_lost_input() {
    let mut bench = Bench::new(NEVER);
    bench.fail(ADC, Fault::BusError, 10);
    bench.cycle_until_lost();
    bench.fail(DAC, Fault::BusError, 3);
    let lost: Vec<_, 3> = (0..3).map(|_| bench.cycle()).collect();
    assert_eq!(lost[2], Err(OutputError::Lost(Lost::AnalogOutput(0))));
}

#[test]
fn a_failing_output_is_reported_besides_a_lost_input() {
    let text = BOARD.replacen("tolerated_failures = 2\n", "", 1);
    let mut bench = Bench::of(&text, NEVER);
    bench.fail(ADC, Fault::BusError, 1_000);
    bench.cycle_until_lost();
    bench.fail(DAC, Fault::BusError, 2);
    let failed = Err(OutputError::Analog(0));
    assert_eq!([bench.cycle(), bench.cycle()], [failed, failed]);
    let lost = Lost::AnalogInput(0, InputError::Bus);
    assert_eq!(bench.cycle(), Err(OutputError::Lost(lost)), "it stays lost");
}

#[test]
fn a_retry_needs_time_for_itself_and_the_rest_of_the_cycle() {
    let mut budget = Budget::none(4);
    budget.deadline = DEADLINE;
    let tick = Tick {
        release: Instant::from_nanos(5_000_000),
        now: Instant::from_nanos(5_100_000),
        ..Tick::default()
    };
    let at = |us: u64| Instant::from_nanos(5_000_000 + us * 1_000);
    // After two of four calls: 2 x 50 us for each of 2 + 2 to come are 400 us.
    assert!(budget.allows(at(200), &tick, 2));
    // 2 x 150 us x 4 are 1,200 us.
    assert!(!budget.allows(at(400), &tick, 2));
    // 2 x 90 us x 4 = 720 us of 720 us, and then 1 us more.
    assert!(budget.allows(at(280), &tick, 2));
    assert!(!budget.allows(at(281), &tick, 2));
    assert!(!budget.allows(at(1_000), &tick, 4), "the deadline is there");
    assert!(!budget.allows(at(5_000), &tick, 4), "it has passed");
    assert!(!Budget::none(4).allows(at(100), &tick, 1), "no budget");
}

#[test]
fn only_a_cycle_without_failure_resets_the_count_of_failures_in_a_row() {
    let tick = |slot, elapsed_slots| Tick {
        slot,
        elapsed_slots,
        ..Tick::default()
    };
    let mut counter = DebounceCounter::tolerating(Some(1));
    assert!(!counter.exceeded(&tick(0, 1)));
    assert!(!counter.exceeded(&tick(2, 1)), "slot 1 was good");
    assert!(counter.exceeded(&tick(9, 7)), "nothing between 2 and 9");
    let mut never = DebounceCounter::tolerating(None);
    assert!((0..1_000).all(|slot| !never.exceeded(&tick(slot, 1))));
}
