use super::*;

/// The gauge of a plant after `seconds` with the valve at `duty` and the relay closed or not.
fn run(keys: &str, duty: f64, relay: bool, seconds: f64) -> f64 {
    let config = config(&format!("\n[simulation.plant.x]\n{keys}\n"));
    let mut plant = config.machine.plants[0].plant.make().unwrap();
    let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
    let outputs = Outputs::new(u32::from(relay), &[duty]);
    let steps = (seconds / PERIOD.as_secs_f64()).round() as u32;
    for _ in 0..steps {
        let mut world = World::new(&mut inputs, &outputs, &tick, tick.now);
        plant.advance(&mut world, PERIOD);
    }
    inputs.analogs[0].value.unwrap()
}

const LAG: &str = r#"
kind = "lag"
input = "valve.duty"
output = "gauge.angle"
gain = 80.0
ambient = 20.0
time_constant_s = 5.0
"#;

#[test]
fn a_lag_rises_by_its_gain_with_its_time_constant() {
    let end = |seconds: f64| 20.0 + 40.0 * (1.0 - (-seconds / 5.0).exp());
    for seconds in [0.1, 5.0, 20.0] {
        let value = run(LAG, 0.5, false, seconds);
        assert!(
            (value - end(seconds)).abs() < 1e-9,
            "{value} after {seconds} s"
        );
    }
    assert!((run(&format!("{LAG}start = 50.0"), 0.0, false, 100.0) - 20.0).abs() < 1e-6);
    let late = run(&format!("{LAG}sensor_s = 2.0"), 0.5, false, 3.0);
    assert!(late < end(3.0) - 5.0, "{late}");
    let enabled = format!("{LAG}enable = \"output.relay\"");
    assert_eq!(run(&enabled, 1.0, false, 5.0), 20.0);
    assert!(run(&enabled, 1.0, true, 5.0) > 60.0);
}

#[test]
fn a_lag_is_driven_by_a_switch_too() {
    let keys = LAG.replace("valve.duty", "output.relay");
    assert_eq!(run(&keys, 1.0, false, 5.0), 20.0);
    assert!((run(&keys, 0.0, true, 100.0) - 100.0).abs() < 1e-6);
}

/// A mass on a spring with damping, 1 rad/s, and an offset of its gauge.
const SPRING: &str = r#"
kind = "linear"
inputs = ["valve.duty"]
outputs = ["gauge.angle"]
a = [0.0, 1.0, -1.0, 0.0]
b = [0.0, 1.0]
c = [1.0, 0.0]
offsets = [3.0]
"#;

#[test]
fn a_linear_plant_swings_like_the_exact_solution() {
    let keys = format!("{SPRING}start = [1.0, 0.0]");
    for seconds in [0.1, 1.0, 6.3, 60.0] {
        let value = run(&keys, 0.0, false, seconds);
        assert!(
            (value - 3.0 - seconds.cos()).abs() < 1e-4,
            "{value} after {seconds} s"
        );
        let driven = run(&keys, 1.0, false, seconds);
        assert!(
            (driven - 4.0).abs() < 1e-4,
            "{driven}: it rests at its new end"
        );
    }
    let direct = run(&format!("{keys}\nd = [2.0]"), 0.5, false, 60.0);
    let indirect = run(&keys, 0.5, false, 60.0);
    assert!((direct - indirect - 1.0).abs() < 1e-9, "{direct}");
}

#[test]
fn a_linear_plant_applies_its_disturbance_once() {
    let keys = format!("{SPRING}start = [0.0, 0.0]\ndisturbance = [0.0, 0.5]\ndisturb_at_s = 1.0");
    assert_eq!(run(&keys, 0.0, false, 0.9), 3.0);
    let value = run(&keys, 0.0, false, 3.0);
    assert!((value - 3.0 - 0.5 * 2.0_f64.sin()).abs() < 1e-4, "{value}");
}

#[test]
fn an_unstable_linear_plant_stays_finite() {
    let keys = SPRING.replace("a = [0.0, 1.0, -1.0, 0.0]", "a = [9.0, 1.0, 1.0, 9.0]");
    let value = run(&format!("{keys}start = [1.0, 0.0]"), 0.0, false, 600.0);
    assert!(value.is_finite() && value > 1e8, "{value}");
}

/// A joint, of a device that is registered for this test.
struct Joint;

impl Driver for Joint {
    const NAME: &'static str = "joint";
    type Device = Never;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.publish::<f64>("angle", "rad")?;
        table.publish::<f64>("rate", "rad/s")?;
        table.command("torque", "N·m", -10.0..=10.0)?;
        Ok(Self)
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<Never, ConfigError> {
        Err(opening.error("this driver has no real device", "simulate the board"))
    }
}

struct Never;

impl Device for Never {}

/// Angle and rate of a pendulum after `seconds`.
fn pendulum(keys: &str, torque: f64, seconds: f64) -> [f64; 2] {
    let text = format!(
        r#"{BOARD}
[device.joint]
driver = "joint"
max_hold_ms = 1000
shutdown = 1
safe = {{ torque = 0.0 }}
[simulation.plant.x]
kind = "inertia"
inputs = ["joint.torque"]
angles = ["joint.angle"]
rates = ["joint.rate"]
inertia = 0.5
{keys}
"#
    );
    let config = Config::parse_with("bench.toml", &text, &registry().driver::<Joint>());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let mut plant = config.machine.plants[0].plant.make().unwrap();
    let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
    // The valve's duty is the first.
    let outputs = Outputs::new(0, &[0.0, torque]);
    let step = Duration::from_millis(1);
    for _ in 0..(seconds * 1e3) as u32 {
        let mut world = World::new(&mut inputs, &outputs, &tick, tick.now);
        plant.advance(&mut world, step);
    }
    // Gauge and rate are the first two.
    [2, 3].map(|number| inputs.analogs[number].value.unwrap())
}

#[test]
fn an_inertia_is_accelerated_by_its_torque_and_slowed_by_its_friction() {
    let [angle, rate] = pendulum("", 1.0, 3.0);
    assert!((rate - 6.0).abs() < 1e-9, "{rate} rad/s");
    assert!((angle - 9.0).abs() < 0.01, "{angle} rad");
    let [_, rate] = pendulum("friction = 2.0\ngain = 3.0", 1.0, 20.0);
    assert!((rate - 1.5).abs() < 1e-6, "{rate} rad/s");
}

#[test]
fn a_pendulum_swings_for_hours_and_rests_where_its_weight_is_held() {
    // Small: 2 rad/s, as the weight of 2 N·m has it on 0.5 kg m2.
    let [angle, rate] = pendulum("weight = 2.0\nstart = 0.01", 0.0, 2.0 * 3600.0);
    let energy = (angle / 0.01).powi(2) + (rate / 0.02).powi(2);
    assert!((energy - 1.0).abs() < 0.01, "{energy}");
    let [angle, _] = pendulum("weight = 2.0\nfriction = 1.0", 1.0, 100.0);
    assert!((angle - 0.5_f64.asin()).abs() < 1e-6, "{angle} rad");
}

/// Whether the gauge has a valid value in each tenth of a second; a lag sets it.
fn known(keys: &str, tenths: usize) -> Vec<bool> {
    let tables = format!("[simulation.plant.oven]\n{LAG}\n[simulation.plant.x]\n{keys}\n");
    let config = config(&format!("\n{tables}"));
    let plants = config.machine.plants.iter();
    let mut plants: Vec<_> = plants.map(|plant| plant.plant.make().unwrap()).collect();
    let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
    let outputs = Outputs::new(0, &[0.5]);
    let step = |_| {
        for plant in &mut plants {
            let mut world = World::new(&mut inputs, &outputs, &tick, tick.now);
            plant.advance(&mut world, PERIOD);
        }
        match inputs.analogs[0].value {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, InputError::OutOfRange);
                false
            }
        }
    };
    (0..tenths).map(step).collect()
}

const FAULT: &str =
    "kind = \"fault\"\nsignal = \"gauge.angle\"\nerror = \"out-of-range\"\nat_s = 0.25\n";

#[test]
fn a_fault_lasts_for_its_configured_time() {
    let for_ever = [true, true, true, false, false, false, false, false];
    assert_eq!(known(FAULT, 8), for_ever);
    let once = [true, true, true, false, false, true, true, true];
    assert_eq!(known(&format!("{FAULT}for_s = 0.2"), 8), once);
    let again = [true, true, true, false, true, true, true, false];
    assert_eq!(
        known(&format!("{FAULT}for_s = 0.1\nevery_s = 0.4"), 8),
        again
    );
}

#[test]
fn a_fault_needs_a_signal_of_an_earlier_plant() {
    let error = |tables: &str| {
        let text = format!("{BOARD}\n{tables}");
        let read = Config::parse_with("bench.toml", &text, &registry());
        read.map(|_| ()).unwrap_err().to_string()
    };
    let alone = error(&format!("[simulation.plant.x]\n{FAULT}"));
    let words =
        "\"gauge.angle\" is not set by a plant before this table; name a signal that a plant sets";
    assert!(
        alone.starts_with("bench.toml:13:10: ") && alone.contains(words),
        "{alone}"
    );
    let driven = error(&format!(
        "[simulation.plant.x]\n{}",
        FAULT.replace("gauge.angle", "valve.duty")
    ));
    assert!(
        driven.contains("\"valve.duty\" is not set by a plant"),
        "{driven}"
    );
    let short = format!(
        "[simulation.plant.o]\n{LAG}[simulation.plant.x]\n{FAULT}for_s = 2.0\nevery_s = 1.0\n"
    );
    let short = error(&short);
    assert!(short.contains("`every_s` is 1"), "{short}");
}
