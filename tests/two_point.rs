//! The control law of `examples/two_point` on the board of its board file: it holds the
//! band, and switches the heater off without a valid reading.

#[path = "../examples/two_point/src/main.rs"]
#[expect(dead_code, reason = "its `main` is the example's")]
mod two_point;

use steadfast::board::{Ports, Simulated};
use steadfast::config::Config;
use steadfast::cycle::ports::{Decide, Directive, FaultNumber, Tick};
use steadfast::cycle::record::CycleRecord;
use steadfast::cycle::run::Limit;
use steadfast::cycle::stages::{Cycle, Drive};
use steadfast::cycle::stop::StopCause;
use steadfast::sim::{Fault, VirtualClock};
use steadfast::telemetry::report::Pace;
use steadfast::time::{Duration, Instant};
use testbed::emulation;
use two_point::{BAND_C, Channels, State, TwoPoint};

/// The board has one chip and one heater.
const ONLY: u8 = 0;
/// Half a code of the converter, °C: 5 V / 4096 / 2, at 10 mV per degree.
const HALF_A_CODE_K: f64 = 5.0 / 4096.0 / 2.0 / 0.010;
/// Maximum rate of this oven, K per period of 1 ms.
const STEP_K: f64 = 80.0 / 5.0 * 1e-3;

struct Oven<'l> {
    cycle: Cycle<'l, Ports<Simulated>, TwoPoint>,
    law: &'l Channels,
    slot: u64,
}

impl<'l> Oven<'l> {
    fn new(config: &Config, law: &'l Channels) -> Self {
        let simulation = config.simulation.as_ref().expect("a simulated board");
        let (devices, map) = Simulated::build(simulation, &config.io, config.run.period)
            .expect("its board file is right");
        let ports = Ports::new(devices, &config.io, &map);
        Self {
            cycle: Cycle::new(ports, law, State::default(), config.heartbeat),
            law,
            slot: 0,
        }
    }

    /// Runs one cycle; returns whether the heater's switch is closed after it.
    fn cycle(&mut self, directive: Directive) -> bool {
        let now = Instant::from_nanos(0) + Duration::from_millis(1) * self.slot;
        let tick = Tick {
            slot: self.slot,
            release: now,
            now,
            elapsed_slots: 1,
            directive,
        };
        self.slot += 1;
        let clock = VirtualClock::new(Duration::ZERO);
        let done = self
            .cycle
            .run_once(&clock, &tick, Drive::Fresh, &mut CycleRecord::default());
        assert_eq!(done.acted, Ok(()));
        let board = self.cycle.ports.devices.board_mut();
        board.gpio().output(self.law.heater.number())
    }

    /// The simulated temperature, not the reading.
    fn celsius(&mut self) -> f64 {
        let board = self.cycle.ports.devices.board_mut();
        board.thermal(ONLY).expect("there is one").temperature_c()
    }

    fn break_converter(&mut self, fault: Fault, transfers: u64) {
        let board = self.cycle.ports.devices.board_mut();
        let plan = board.faults_mut(usize::from(ONLY)).expect("there is one");
        plan.add_now(fault, transfers).expect("there is room");
    }
}

fn board() -> (Config, Channels) {
    let text = include_str!("../examples/two_point/board.toml");
    let config = Config::parse("board.toml", text).expect("its board file is right");
    let law = Channels {
        sensor: config.analog_input("oven").unwrap(),
        heater: config.output("heater").unwrap(),
    };
    (config, law)
}

#[test]
fn the_temperature_reaches_its_band_and_stays_for_ten_minutes() {
    let (config, law) = board();
    let mut oven = Oven::new(&config, &law);
    while oven.celsius() < BAND_C.0 {
        assert!(oven.cycle(Directive::Run), "off while it is cold");
        assert!(oven.slot < 5_000, "still cold after 5 s");
    }
    let (mut coldest, mut warmest, mut switched) = (f64::MAX, f64::MIN, 0);
    let mut heating = true;
    for _ in 0..600_000 {
        let heats = oven.cycle(Directive::Run);
        switched += u32::from(heats != heating);
        heating = heats;
        coldest = coldest.min(oven.celsius());
        warmest = warmest.max(oven.celsius());
    }
    let beyond = HALF_A_CODE_K + 2.0 * STEP_K;
    assert!(coldest > BAND_C.0 - beyond, "{coldest} degC");
    assert!(warmest < BAND_C.1 + beyond, "{warmest} degC");
    // In the middle between ambient and full power it warms and cools by 8 K/s: 0.25 s
    // through a band of 2 K, 2,400 times in ten minutes. Fewer switches would mean no
    // control, more switches no hysteresis.
    assert!((2_000..3_000).contains(&switched), "{switched} times");
}

#[test]
fn without_a_valid_reading_the_heater_is_off_in_the_same_cycle() {
    for fault in [
        Fault::BusError,
        Fault::MisoHigh,
        // These read as 0 V, which is -50 degC: impossible for an oven.
        Fault::MisoLow,
        Fault::NoAnswer,
    ] {
        let (config, law) = board();
        let mut oven = Oven::new(&config, &law);
        (0..100).for_each(|_| assert!(oven.cycle(Directive::Run)));
        oven.break_converter(fault, 50);
        for _ in 0..50 {
            assert!(!oven.cycle(Directive::Run), "on with {fault:?}");
            assert_eq!(
                TwoPoint::fault(&law, &oven.cycle.state),
                Some(FaultNumber::MIN)
            );
        }
        assert!(oven.cycle(Directive::Run), "off after {fault:?}");
        assert_eq!(TwoPoint::fault(&law, &oven.cycle.state), None);
    }
}

#[test]
fn a_quick_stop_switches_the_heater_off_and_is_at_rest() {
    let (config, law) = board();
    let mut oven = Oven::new(&config, &law);
    assert!(oven.cycle(Directive::Run));
    assert!(!TwoPoint::at_rest(&law, &oven.cycle.state));
    for _ in 0..100 {
        assert!(!oven.cycle(Directive::QuickStop(StopCause::RunEnds)));
        assert!(TwoPoint::at_rest(&law, &oven.cycle.state));
    }
}

/// Waits until the first thread of the process, the test harness, sleeps: it allocates once
/// more when it begins to wait for the test.
fn let_the_harness_rest() {
    let stat = format!("/proc/self/task/{}/stat", std::process::id());
    let sleeps = || {
        let text = std::fs::read_to_string(&stat).expect("/proc is mounted");
        let state = text
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim_start().chars().next());
        state == Some('S')
    };
    // Several readings, because it may also sleep before.
    let mut seen = 0;
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while seen < 20 {
        assert!(
            std::time::Instant::now() < patience,
            "the test harness never rests"
        );
        seen = if sleeps() { seen + 1 } else { 0 };
        std::thread::yield_now();
    }
}

/// In a separate process: the allocator is sealed for the whole process, and other tests
/// allocate on their threads.
#[test]
fn the_whole_controller_runs_without_a_fault() {
    const ALONE: &str = "STEADFAST_TEST_ALONE";
    const SLOTS: u64 = 120_000;
    const NAME: &str = "the_whole_controller_runs_without_a_fault";
    if std::env::var_os(ALONE).is_none() {
        let program = std::env::current_exe().expect("/proc is mounted");
        let mut command = emulation::start(&program);
        let output = command
            .args(["--exact", NAME, "--test-threads=1", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .expect("this program starts anew");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    let_the_harness_rest();
    let report = two_point::run(Pace::Free, Limit::Slots(SLOTS)).expect("it runs");
    assert_eq!((report.exit.code, report.exit.reason.as_str()), (0, "done"));
    assert_eq!((report.cycles.run, report.cycles.skipped), (SLOTS, 0));
    assert_eq!(report.memory.allocations, Some(0));
}

#[test]
fn the_example_is_no_longer_than_documented() {
    let lines = include_str!("../examples/two_point/src/main.rs")
        .lines()
        .count();
    assert!(lines < 80, "{lines} lines");
}
