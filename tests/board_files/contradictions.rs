//! Numbers that contradict each other.

use super::{LINUX, SIM, edit, edited, refused};
use steadfast::config::Config;
use steadfast::cycle::wake::Wake;
use steadfast::time::Duration;

#[test]
fn cut_off_frequencies_are_below_half_the_sample_rate() {
    refused(
        LINUX,
        r"
axis.x.gains: 250.0 -> §500.0
    `derivative_cutoff_hz` of [axis.x] is 500 Hz; below half the loop's rate, 500 Hz
axis.x.feedback: 200.0 -> §501
    `velocity_cutoff_hz` of [axis.x] is 501 Hz; below half the loop's rate, 500 Hz
loop: period_us = 1000\ndeadline_us = 900 -> period_us = 2000
axis.x.gains: 250.0 -> §250.0
axis.x.feedback: velocity_cutoff_hz = 200.0 -> velocity_cutoff_hz = 100.0
    `derivative_cutoff_hz` of [axis.x] is 250 Hz; rate, 250 Hz
",
    );
}

#[test]
fn limits_are_ordered_and_bound_the_values_they_limit() {
    refused(
        LINUX,
        r"
axis.x.limits: max_rad = 13.0 -> max_rad = §-13.0
    `max_rad` of [axis.x] is -13, not above its lower end -13; the greater of the two
axis.x.limits: max_rad = 13.0 -> max_rad = §-14.0
    `max_rad` of [axis.x] is -14, not above its lower end -13; the greater of the two
analog_output.torque: max_volts = 10.0 -> max_volts = §-10.0
    `max_volts` is -10, not above `min_volts` = -10; code 4095
axis.x.profile: \nvelocity_rad_s = 20.0 -> \nvelocity_rad_s = §40.5
    `velocity_rad_s` of [axis.x] is 40.5; from 0 to 40, the limit `max_velocity_rad_s`
axis.x.limits: max_velocity_rad_s = 40.0 -> max_velocity_rad_s = §401.0
    `max_velocity_rad_s` of [axis.x] is 401; from 0 to 400, which is `plausible_velocity_rad_s`
axis.x.feedback: 400.0 -> §4000.0
    `plausible_velocity_rad_s` of [axis.x] is 4000; half a turn of the encoder in each period
axis.x.profile: 800.0 -> §399.0
    `stop_deceleration_rad_s2` of [axis.x] is 399; at least 400, the `acceleration_rad_s2`
axis.x.profile: 80000.0 -> §1.0
    `stop_jerk_rad_s3` of [axis.x] is 1; at least 20000, the `jerk_rad_s3`
axis.x.motion: [6.283185, -> §[16.283185,
    `positions_rad` of [axis.x] is 16.283185; from -13 to 13, the limits
axis.x.motion: 0.25 -> §-1
    `dwell_s` of [axis.x] is -1; from 0 to 3600
axis.table.limits: max_command_volts = 5.0 -> max_command_volts = §5.1
    `max_command_volts` is 5.1, but the range of [analog_output.table_torque] is -5 to 5 V; it must be at most 5
link.can: sync_hold = 2 -> sync_hold = §4
    `sync_hold` is not below `sync_losses`; at most 3, or 0 for no hold
link.can: node_id = 1 -> node_id = §128
    `node_id` is 128, which no CANopen node can have; give 1 to 127, or 255
analog_output.torque: min_volts = -10.0 -> min_volts = 0.0
axis.x.limits: max_command_volts = 10.0 -> max_command_volts = §10.0
    the range of [analog_output.torque] is 0 to 10 V; both signs
",
    );
    refused(
        SIM,
        r"
simulation.motor.x: stiction_nm = 0.015 -> stiction_nm = §0.009
    `stiction_nm` is 0.009; from 0.01 to 1000
",
    );
}

#[test]
fn no_chip_is_clocked_above_its_maximum() {
    refused(
        LINUX,
        r#"
spi.shaft: 1_000_000 -> §20_000_000
    `speed_hz` of [spi.shaft] is 20000000, but the AS5047P of [encoder.shaft] supports at most 10000000; lower it
spi.dac: "/dev/spidev0.1" -> "/dev/spidev0.1"\nspeed_hz = §20_000_001
    the MCP4922 of [analog_output.torque] supports at most 20000000; lower it
# Without `supply_volts` the limit of the lowest supply applies.
spi.adc: "/dev/spidev1.0" -> "/dev/spidev1.0"\nspeed_hz = §1_000_001
    the MCP3208 of [analog_input.temperature] supports at most 1000000; supply_volts
spi.adc: "/dev/spidev1.0" -> "/dev/spidev1.0"\nspeed_hz = §1_260_870
analog_input.temperature: vref_volts = 3.3 -> vref_volts = 3.3\nsupply_volts = 3.3
analog_input.pressure: vref_volts = 3.3 -> vref_volts = 3.3\nsupply_volts = 3.3
    supports at most 1260869; supply_volts
spi.adc: "/dev/spidev1.0" -> "/dev/spidev1.0"\nspeed_hz = §2_000_001
analog_input.temperature: vref_volts = 3.3 -> vref_volts = 3.3\nsupply_volts = 5.0
analog_input.pressure: vref_volts = 3.3 -> vref_volts = 3.3\nsupply_volts = 5.0
analog_input.torque_monitor: supply_volts = 3.3 -> supply_volts = 5.0
    supports at most 2000000; lower it
# The channels of a chip have one supply; the lowest applies.
spi.adc: "/dev/spidev1.0" -> "/dev/spidev1.0"\nspeed_hz = §1_260_870
analog_input.pressure: vref_volts = 3.3 -> vref_volts = 3.3\nsupply_volts = 5.0
    the MCP3208 of [analog_input.temperature] supports at most 1000000; supply_volts
"#,
    );
}

/// A board without axes, because their filters would limit the period.
const VALVE: &str = "[board]
name = \"valve\"
devices = \"linux\"

[loop]
period_us = 1000

[overrun]
action = \"escalate\"

[watchdog]
timeout_s = 2

[gpio.main]
chip = \"30200000.gpio\"

[output.valve]
gpio = \"main\"
line = 8
safe = false
max_hold_ms = 20
shutdown = 1
";

#[test]
fn the_longest_hold_of_an_output_covers_the_stall_guard() {
    Config::parse("b.toml", VALVE).expect("good");
    let period = |us| edit("loop", "1000", us);
    let hold = |ms| edit("output.valve", "= 20", ms);
    refused(
        VALVE,
        r"
loop: 1000 -> 100000
output.valve: = 20 -> = §20
    `max_hold_ms` is 20, shorter than 3 periods of 100 ms; make it at least 300, or `period_us` shorter
output.valve: = 20 -> = §2
    `max_hold_ms` is 2, shorter than 3 periods of 1.00 ms; at least 3,
# Rounded up to whole milliseconds.
loop: 1000 -> 1400
output.valve: = 20 -> = §4
    `max_hold_ms` is 4,; at least 5,
",
    );
    let just = edited(VALVE, &[period("1400"), hold("= 5")]);
    Config::parse("b.toml", &just).expect("just long enough");
}

#[test]
fn the_watchdog_timeout_covers_the_longest_silence_of_the_loop() {
    let period = |us| edit("loop", "1000", us);
    let hold = |ms| edit("output.valve", "= 20", ms);
    let timeout = |s| edit("watchdog", "= 2", s);
    let count = edit("overrun", "escalate", "count");
    refused(
        VALVE,
        r"
# The watchdog would reset before the first feed.
loop: 1000 -> 1000000
output.valve: = 20 -> = 3000
watchdog: = 2 -> = §1
    `timeout_s` is 1: the stall guard acts only after 3.00 s without a finished cycle; make it at least 6,
loop: 1000 -> 1000000
output.valve: = 20 -> = 3000
watchdog: = 2 -> = §5
    `timeout_s` is 5; at least 6,
output.valve: = 20 -> = 10000
watchdog: = 2 -> = §2
    `timeout_s` is 2: the stall guard acts only after 10.0 s without a finished cycle; at least 14,
loop: 1000 -> 400000
output.valve: = 20 -> = 2000
watchdog: = 2 -> = §1
overrun: escalate -> count
    `timeout_s` is 1: a cycle may be late by a whole period, 400 ms; at least 2,
",
    );
    for edits in [
        [period("1000000"), hold("= 3000"), timeout("= 6")],
        [period("300000"), hold("= 2000"), count],
    ] {
        Config::parse("b.toml", &edited(VALVE, &edits)).expect("long enough");
    }
}

#[test]
fn sched_deadline_excludes_a_cpu_affinity() {
    refused(
        LINUX,
        r#"
loop: "fifo"\npriority = 80 -> §"deadline"\nruntime_us = 300
    scheduler = "deadline" with a CPU of its own; set cpu = "any"
"#,
    );
}

#[test]
fn the_watch_before_a_release_has_a_length_a_limit_and_fifo() {
    refused(
        LINUX,
        r#"
loop: wake = "spin" -> wake = §"spni"
    `wake` is "spni"; did you mean "spin"? It must be "sleep" or "spin" or "adaptive"
loop: wake = "spin"\nspin_us = 20 -> §spin_us = 20
    `spin_us` of [loop] has no effect: it needs wake = "spin" or "adaptive"; remove it
loop: wake = "spin"\nspin_us = 20 -> wake = "sleep"\n§spin_us = 20
    `spin_us` of [loop] has no effect: it needs wake = "spin" or "adaptive"; remove it
§loop: spin_us = 20\n ->
    [loop] has no `spin_us`; a whole number from 1 to 1000
loop: spin_us = 20 -> spin_us = §0
    `spin_us` is 0; from 1 to 1000
loop: spin_us = 20 -> spin_us = §501
    `spin_us` is 501, more than half of `period_us` = 1000; make it at most 500
loop: cpu = 3 -> cpu = "any"
loop: wake = "spin" -> wake = §"adaptive"
loop: "fifo"\npriority = 80 -> "deadline"\nruntime_us = 300
    `wake` watches the clock with scheduler = "deadline"; use scheduler = "fifo"
"#,
    );
}

#[test]
fn a_watch_before_the_release_is_read_and_none_is_the_default() {
    let wake = |keys: &str| {
        let file = edited(
            LINUX,
            &[edit("loop", "wake = \"spin\"\nspin_us = 20", keys)],
        );
        Config::parse("b.toml", &file)
            .expect("a good file")
            .run
            .wake
    };
    let us = Duration::from_micros;
    assert_eq!(wake("wake = \"spin\"\nspin_us = 500"), Wake::Spin(us(500)));
    assert_eq!(
        wake("wake = \"adaptive\"\nspin_us = 60"),
        Wake::Adaptive(us(60))
    );
    assert_eq!(wake(""), Wake::Sleep);
}

#[test]
fn output_failures_are_bounded_by_the_shortest_longest_hold() {
    let most = edited(LINUX, &[edit("loop", "failures = 3", "failures = 20")]);
    let config = Config::parse("b.toml", &most).expect("20 periods are 20 ms");
    assert_eq!(config.run.output_failures, 20);
}
