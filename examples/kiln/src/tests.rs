//! The kiln fires by its profile, and goes out when it cannot know or hold its temperature.

use super::*;
use steadfast::telemetry::report::Report;

const BOARD: &str = include_str!("../board.toml");
/// Of virtual time: 100 cycles in a second.
const MINUTES: u64 = 60 * 100;

/// One after the other: there is one loop in a process.
#[test]
fn a_kiln() {
    it_fires_by_its_profile_and_twice_the_same();
    an_open_thermocouple_ends_it();
    a_welded_relay_ends_it();
    its_board_is_read();
}

/// Of each segment, in K, the farthest that the kiln was from the setpoint.
fn it_fires_by_its_profile_and_twice_the_same() {
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
            // Until it is done; the controller needs a minute to find the first ramp.
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
    // 16 + 3 + 14.7 + 5 + 12 + 1 minutes, and what the kiln was waited for.
    let done = done / MINUTES as f64;
    assert!((51.5..53.0).contains(&done), "done after {done} minutes");
    assert_eq!(fire(), (report, [hottest, error_k, done * MINUTES as f64]));
}

/// What a kiln on `board` reports after 20 minutes whose thermocouple opens at
/// `open_at`, and for how long after 10 minutes the heater was on.
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

fn an_open_thermocouple_ends_it() {
    let (report, seconds) = heats_after_10_minutes(BOARD, 10 * MINUTES);
    let words = "law firing: chamber.temperature is not known; \
                 look for a broken wire or a device that does not answer";
    assert_eq!(report.exit.reason, words);
    assert!(seconds <= 0.2, "heated for {seconds} s");
}

fn a_welded_relay_ends_it() {
    let chamber = BOARD.find("[simulation.plant.chamber]").unwrap();
    let board = format!("{}{WELDED}", &BOARD[..chamber]);
    let (report, seconds) = heats_after_10_minutes(&board, u64::MAX);
    let words = "law firing: chamber.temperature is above its set point; \
                 look for an output that does not switch off";
    assert_eq!(report.exit.reason, words);
    // 25 K at 1 K/s and less, of which the profile takes its share.
    assert!((10.0..120.0).contains(&seconds), "heated for {seconds} s");
}

/// The kiln whose relay welds after ten minutes.
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

fn its_board_is_read() {
    let board = include_str!("../board.linux.toml");
    firmware().read("board.linux.toml", board).unwrap();
}
