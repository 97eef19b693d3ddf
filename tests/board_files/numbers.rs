//! Numbers: finite and in range.

use super::ranges::values;
use super::{LINUX, SIM, edit, edited, error_of, refused};

#[test]
fn the_period_is_a_whole_number_from_50_to_1000000() {
    refused(
        LINUX,
        r"
loop: 1000\nd -> §0\nd
    `period_us` is 0; a whole number from 20 to 1000000
loop: 1000\nd -> §-1000\nd
    `period_us` is -1000; a whole number from 20 to 1000000
loop: 1000\nd -> §19\nd
    `period_us` is 19; a whole number from 20 to 1000000
loop: 1000\nd -> §1000001\nd
    `period_us` is 1000001; a whole number from 20 to 1000000
loop: 1000\nd -> §99999999999999999999999\nd
    `period_us` is 99999999999999999999999; a whole number from 20 to 1000000
loop: 1000\nd -> §0x0\nd
    `period_us` is 0x0; a whole number from 20 to 1000000
loop: 1000\nd -> §nan\nd
    `period_us` is the number nan; a whole number from 20 to 1000000
loop: 900 -> §1001
    `deadline_us` is 1001, longer than `period_us` = 1000; at most the period
loop: 900 -> §0
    `deadline_us` is 0; a whole number from 1
",
    );
}

#[test]
fn whole_numbers_out_of_range_are_refused() {
    refused(
        LINUX,
        r#"
loop: cpu = 3 -> cpu = §1024
    `cpu` is 1024; from 0 to 1023
loop: priority = 80 -> priority = §99
    `priority` is 99; from 1 to 98
loop: priority = 80 -> priority = §0
    `priority` is 0; from 1 to 98
loop: stack_kb = 64 -> stack_kb = §16
    `stack_kb` is 16; from 32 to 1024
loop: max_locked_kb = 2048 -> max_locked_kb = §1
    `max_locked_kb` is 1; from 256
loop: warm_up_cycles = 100 -> warm_up_cycles = §9
    `warm_up_cycles` is 9; from 10
loop: stop_ms = 2000 -> stop_ms = §0
    `stop_ms` is 0; from 1 to 60000
loop: output_failures = 3 -> output_failures = §0
    `output_failures` is 0; from 1
loop: output_failures = 3 -> output_failures = §21
    `output_failures` is 21: outputs that cannot be written would keep their values for 21.0 ms; at most 20: the shortest `max_hold_ms` of all outputs is 20.0 ms
loop: cpu = 3 -> cpu = "any"
loop: "fifo"\npriority = 80 -> "deadline"\nruntime_us = §901
    `runtime_us` is 901; from 1 to 900
overrun: fill = 10 -> fill = §0
    `fill` is 0; from 1
overrun: stall_periods = 5 -> stall_periods = §2
    `stall_periods` is 2; from 3
overrun: stall_periods = 5 -> stall_periods = §21
    `stall_periods` is 21, longer than outputs may be held; at most 20: the shortest `max_hold_ms`
overrun: fault = 200 -> fault = §50
    `fault` is 50, not above `quick_stop` = 50; precedes the fault
overrun: quick_stop = 50\nfault = 200 -> quick_stop = §1000000
    not above `quick_stop` = 1000000; precedes the fault
watchdog: timeout_s = 2 -> timeout_s = §0
    `timeout_s` is 0; from 1 to 3600
spi.shaft: 1_000_000 -> §0
    `speed_hz` is 0; from 1000 to 50000000
spi.shaft: 1_000_000 -> §100_000_000
    `speed_hz` is 100_000_000; from 1000 to 50000000
spi.shaft: irq_priority = 85 -> irq_priority = §99
    `irq_priority` is 99; from 1 to 98
input.lower: line = 6 -> line = §512
    `line` is 512; from 0 to 511
input.lower: line = 6 -> line = §-1
    `line` is -1; from 0 to 511
output.enable: max_hold_ms = 20 -> max_hold_ms = §0
    `max_hold_ms` is 0; from 1 to 60000
analog_input.pressure: channel = 1 -> channel = §8
    `channel` is 8; from 0 to 7
axis.x.feedback: tolerated_failures = 2 -> tolerated_failures = §101
    `tolerated_failures` is 101; from 0 to 100
axis.x.timing: brake_release_ms = 30 -> brake_release_ms = §600001
    `brake_release_ms` is 600001; from 0 to 600000
"#,
    );
    refused(
        SIM,
        r"
simulation: seed = 1 -> seed = §-1
    `seed` is -1; from 0
simulation: step_us = 100 -> step_us = §0
    `step_us` is 0; from 1
",
    );
}

#[test]
fn infinite_and_nan_values_are_refused() {
    let mut tried = 0;
    for good in [LINUX, SIM] {
        let decimals = values(good)
            .into_iter()
            .filter(|(.., value)| value.parse::<f64>().is_ok() && value.contains(['.', 'e']));
        for (table, key, value) in decimals {
            for bad in [
                "nan", "+nan", "-nan", "inf", "+inf", "-inf", "1e999", "-1e999",
            ] {
                let from = format!("\n{key} = {value}");
                let to = format!("\n{key} = §{bad}");
                let error = error_of(&edited(good, &[edit(&table, &from, &to)]));
                let what = format!("`{key}` is {bad}");
                assert!(error.what.contains(&what), "{error}");
                assert!(
                    error.fix.starts_with("it must be a finite number"),
                    "{error}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 8 * 60, "only {tried}");
}

#[test]
fn negative_gains_are_refused() {
    refused(
        LINUX,
        r"
axis.x.gains: 40.0 -> §-40.0
    `kp` of [axis.x] is -40; it must be at least 0
axis.x.gains: 200.0 -> §-1
    `ki` of [axis.x] is -1; it must be at least 0
axis.table.gains: kd = 0.1 -> kd = §-0.1
    `kd` of [axis.table] is -0.1; it must be at least 0
axis.x.gains: 0.02 -> §-0.02
    `velocity_feed_forward_v_s_rad` of [axis.x] is -0.02; it must be at least 0
axis.x.gains: tracking_time_s = 0.1 -> tracking_time_s = §0.0009
    `tracking_time_s` of [axis.x] is 0.0009; at least 0.001, one period
",
    );
}

#[test]
fn parameters_used_as_divisors_must_be_above_zero() {
    refused(
        LINUX,
        r"
axis.x.profile: 20000.0 -> §0
    `jerk_rad_s3` of [axis.x] is 0; it must be greater than 0
axis.x.profile: 400.0 -> §-400.0
    `acceleration_rad_s2` of [axis.x] is -400; it must be greater than 0
axis.x.profile: \nvelocity_rad_s = 20.0 -> \nvelocity_rad_s = §0.0
    `velocity_rad_s` of [axis.x] is 0; it must be greater than 0
axis.x.feedback: gear_ratio = 1.0 -> gear_ratio = §0.0
    `gear_ratio` of [axis.x] is 0; it must be greater than 0
axis.x.timing: 0.5 -> §0
    `standstill_velocity_rad_s` of [axis.x] is 0; it must be greater than 0
axis.table.limits: 0.5 -> §-1.0
    `following_error_window_rad` of [axis.table] is -1; it must be greater than 0
axis.x.limits: max_command_volts = 10.0 -> max_command_volts = §0.0
    `max_command_volts` of [axis.x] is 0; it must be greater than 0
",
    );
}
