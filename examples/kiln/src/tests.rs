//! The kiln follows its profile, and switches off without a valid temperature or if it
//! overheats.

use super::*;
use steadfast::telemetry::report::Report;

const BOARD: &str = include_str!("../board.toml");
/// Cycles per minute of virtual time, at 100 cycles per second.
const MINUTES: u64 = 60 * 100;

/// All runs are in one test: a process has one loop at a time.
#[test]
fn the_kiln_follows_its_profile_and_stops_on_faults() {
    it_follows_its_profile_and_a_second_run_is_identical();
    an_open_thermocouple_ends_the_run();
    a_welded_relay_ends_the_run();
    the_file_of_the_real_board_is_valid();
}

fn it_follows_its_profile_and_a_second_run_is_identical() {
    let fire = || {
        let config = firmware().read("board.toml", BOARD).unwrap();
        let celsius = config.signal::<f64>("chamber.temperature").unwrap();
        let setpoint = config.signal::<f64>("firing.set_point").unwrap();
        let (seen, mut cycle) = (Arc::new(Mutex::new([0.0_f64; 3])), 0);
        let watched = Arc::clone(&seen);
        let watch = move |world: &mut World<'_>| {
            cycle += 1;
            let (is, wanted) = (world.read(celsius), world.read(setpoint).value.unwrap());
            let mut seen = watched.lock().unwrap();
            seen[0] = seen[0].max(wanted);
            // The controller needs a minute to reach the first ramp.
            if wanted > 0.0 && cycle > 2 * MINUTES {
                seen[1] = seen[1].max((is.value.unwrap() - wanted).abs());
                seen[2] = f64::from(cycle as u32);
            }
        };
        let report = firmware()
            .simulate_with(&config, 70 * MINUTES, watch)
            .unwrap();
        assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
        assert_eq!(report.memory.allocations, Some(0));
        (report.to_json(), *seen.lock().unwrap())
    };
    let (report, [hottest, error_k, done]) = fire();
    assert_eq!(hottest, 720.0);
    assert!(error_k < 5.0, "{error_k} K from the setpoint");
    // 16 + 3 + 14.7 + 5 + 12 + 1 minutes, plus the time that the profile waited for the kiln.
    let done = done / MINUTES as f64;
    assert!((51.5..53.0).contains(&done), "done after {done} minutes");
    assert_eq!(fire(), (report, [hottest, error_k, done * MINUTES as f64]));
}

/// The report of a kiln on `board` after 20 minutes, and how long the heater was on after the
/// first 10 minutes, s. The thermocouple opens in cycle `open_at`.
fn heats_after_10_minutes(board: &str, open_at: u64) -> (Report, f64) {
    let firmware = || firmware().plant::<Welded>();
    let config = firmware().read("board.toml", board).unwrap();
    let celsius = config.signal::<f64>("chamber.temperature").unwrap();
    let contactor = config.signal::<bool>("output.contactor").unwrap();
    let (last, mut cycle) = (Arc::new(Mutex::new(0)), 0);
    let on = Arc::clone(&last);
    let watch = move |world: &mut World<'_>| {
        cycle += 1;
        if world.read(contactor).value == Ok(true) {
            *on.lock().unwrap() = cycle;
        }
        if cycle > open_at {
            world.fail(celsius, InputError::NotReady);
        }
    };
    let report = firmware()
        .simulate_with(&config, 20 * MINUTES, watch)
        .unwrap();
    assert_eq!(report.exit.code, 4, "{}", report.exit.reason);
    let seconds = (*last.lock().unwrap() - 10 * MINUTES) as f64 / 100.0;
    (report, seconds)
}

fn an_open_thermocouple_ends_the_run() {
    let (report, seconds) = heats_after_10_minutes(BOARD, 10 * MINUTES);
    let words = "law firing: chamber.temperature has no valid value; \
                 check for a broken wire or a device that does not answer";
    assert_eq!(report.exit.reason, words);
    assert!(seconds <= 0.2, "heated for {seconds} s");
}

fn a_welded_relay_ends_the_run() {
    let chamber = BOARD.find("[simulation.plant.chamber]").unwrap();
    let board = format!("{}{WELDED}", &BOARD[..chamber]);
    let (report, seconds) = heats_after_10_minutes(&board, u64::MAX);
    let words = "law firing: chamber.temperature is above its set point; \
                 check for an output that does not switch off";
    assert_eq!(report.exit.reason, words);
    // 25 K above the profile, at 1 K/s or less while the set point rises as well.
    assert!((10.0..120.0).contains(&seconds), "heated for {seconds} s");
}

/// A kiln whose relay welds after ten minutes.
#[derive(Clone)]
struct Welded {
    relay: Output<bool>,
    contactor: Output<bool>,
    sensor: Input<f64>,
    seconds: f64,
    celsius: f64,
}

const WELDED: &str = r#"
[simulation.plant.chamber]
kind = "welded"
relay = "output.relay"
contactor = "output.contactor"
sensor = "chamber.temperature"
"#;

impl Plant for Welded {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let step_s = step.as_secs_f64();
        self.seconds += step_s;
        let closed = world.get(self.relay) || self.seconds > 600.0;
        let is_on = closed && world.get(self.contactor);
        let heat_w = if is_on { 3000.0 } else { 0.0 };
        self.celsius += (heat_w - 2.0 * (self.celsius - 20.0)) / 3_000.0 * step_s;
        world.put(self.sensor, self.celsius);
    }
}

impl PlantKind for Welded {
    const KIND: &'static str = "welded";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            relay: table.output("relay", "")?,
            contactor: table.output("contactor", "")?,
            sensor: table.input("sensor", "degC")?,
            seconds: 0.0,
            celsius: 20.0,
        })
    }
}

fn the_file_of_the_real_board_is_valid() {
    let board = include_str!("../board.linux.toml");
    firmware().read("board.linux.toml", board).unwrap();
}
