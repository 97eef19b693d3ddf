//! Keys and tables.

use steadfast::firmware::Firmware;

use super::{LINUX, SIM, edit, edited, error_from, error_of, refused};

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    refused(
        LINUX,
        r#"
board: name -> §nmae
    unknown key `nmae` in [board]; `name`
loop: period_us -> §peroid_us
    `peroid_us` in [loop]; did you mean `period_us`?
axis.x.gains: kp -> §kq
    `kq` in [axis.x.gains]; did you mean
axis.x.limits: max_rad = -> §max_rads =
    `max_rads`; `max_rad`
output.enable: safe -> §save
    `save` in [output.enable]; `safe`
overrun: drain -> §drian
    `drian`; `drain`
watchdog: timeout_s -> §timeout
    `timeout`; `timeout_s`
safety: reset = -> §rest =
    `rest`; `reset`
spi.shaft: speed_hz -> §speed_Hz
    `speed_Hz`; `speed_hz`
gpio.main: chip -> §label
    `label`; known here: chip
loop: scheduler = "fifo" -> §schedular = "deadline"\nruntime_us = 300
    `schedular` in [loop]; did you mean `scheduler`?
loop: cpu = 3 -> cpu = 3\n§cores = 4
    `cores`; known here: period_us,
"#,
    );
    refused(
        SIM,
        r"
simulation: seed -> §sead
    `sead`; `seed`
simulation.motor.x: coulomb_nm -> §colomb_nm
    `colomb_nm`; `coulomb_nm`
",
    );
}

#[test]
fn an_unknown_table_is_refused_with_a_suggestion() {
    refused(
        LINUX,
        r"
loop: [loop] -> [§lopp]
    unknown key `lopp` in the board file; `loop`
output.lamp: [output.lamp] -> [§outputs.lamp]
    `outputs`; `output`
axis.x.gains: [axis.x.gains] -> [axis.x.§gain]
    `gain` in [axis.x]; `gains`
loop: [loop] -> [§network]\n[loop]
    `network`; known here: board, loop,
",
    );
}

#[test]
fn a_missing_key_is_reported_at_its_table_with_its_expected_value() {
    refused(
        LINUX,
        r#"
§board: name = "bench"\n ->
    [board] has no `name`; add `name = ...`, a text
§loop: period_us = 1000\n ->
    [loop] has no `period_us`; a whole number from 20 to 1000000
gpio.§main: chip = "pinctrl-bcm2711" ->
    [gpio.main] has no `chip`; add `chip = ...`
axis.x.§gains: kp = 40.0\n ->
    [axis.x.gains] has no `kp`; a finite number
input.§reset: line = "RESET"\n ->
    [input.reset] has no `line`; a line number
axis.x.§limits: max_rad = 13.0\n ->
    [axis.x.limits] has no `max_rad`; add `max_rad
§watchdog: timeout_s = 2\n ->
    [watchdog] has no `timeout_s`; a whole number from 1
axis.§x: enable = "enable"\n ->
    [axis.x] has no `enable`; a text
"#,
    );
}

#[test]
fn a_missing_table_is_reported_at_its_parent() {
    let without = |good: &str, table: &str| {
        let header = format!("[{table}]");
        let start = good.find(&header).expect("there");
        let end = good[start..]
            .find("\n[")
            .map_or(good.len(), |end| start + end + 1);
        format!("{}{}", &good[..start], &good[end..])
    };
    for table in ["board", "loop", "safety"] {
        let error = error_of(&format!("§{}", without(LINUX, table)));
        assert!(error.what.contains(&format!("no [{table}]")), "{error}");
        assert!(
            error.fix.contains(&format!("add a table [{table}]")),
            "{error}"
        );
    }
    let mut simulated = without(SIM, "simulation.motor.x");
    simulated = without(&simulated, "simulation");
    let error = error_of(&format!("§{simulated}"));
    assert!(error.fix.contains("add a table [simulation]"), "{error}");
    for table in ["gains", "feedback", "profile", "limits", "timing"] {
        let text = without(LINUX, &format!("axis.x.{table}"));
        let error = error_of(&edited(&text, &[edit("axis.x", "axis.x", "axis.§x")]));
        assert!(
            error
                .what
                .contains(&format!("[axis.x] has no [axis.x.{table}]")),
            "{error}"
        );
    }
}

#[test]
fn a_key_without_effect_is_refused() {
    refused(
        LINUX,
        r#"
loop: priority -> §runtime_us
    `runtime_us` of [loop] has no effect: it needs scheduler = "deadline"; remove it
loop: "fifo"\npri -> "deadline"\n§pri
    `priority` of [loop] has no effect; remove it
board: [board] -> [§simulation]\n[board]
    `simulation` of the board file has no effect; remove it
"#,
    );
    refused(
        SIM,
        r#"
board: [board] -> [§gpio.main]\n[board]
    `gpio`; remove it
board: [board] -> [§spi.main]\n[board]
    `spi`; remove it
board: [board] -> [§watchdog]\ntimeout_s = 2\n[board]
    `watchdog`; remove it
output.enable: safe -> §line = 4\nsafe
    `line` of [output.enable] has no effect: devices = "simulated"; remove it
encoder.shaft: chip -> §spi = "x"\nchip
    `spi` of [encoder.shaft] has no effect; remove it
simulation.motor.x: inertia -> §upper_switch_rad = 1.0\ninertia
    `upper_switch_rad`; remove it
"#,
    );
}

#[test]
fn a_duplicate_key_is_reported_at_its_second_occurrence() {
    refused(
        LINUX,
        r"
axis.x.gains: ki = 200.0 -> §kp = 41.0\nki = 200.0
    duplicate key `kp`; keep one
output.lamp: [output.lamp] -> [output.§enable]
    duplicate key `enable`; keep one
axis.table: [axis.table] -> [§loop]
    duplicate key `loop`; keep one
",
    );
}

#[test]
fn a_can_link_on_a_machine_without_a_commanded_axis_is_refused() {
    let link = "[link.can]\ninterface = §\"can0\"\nnode_id = 1\nbit_rate = 500000\n";
    let command = "[command.speed]\nmin = -5.0\nmax = 5.0\ntimeout_ms = 100\n";
    // An axis that takes no commands; a command of a control law; no axis at all.
    for text in [
        format!("{SIM}\n{link}"),
        format!("{SIM}\n{command}{link}"),
        format!("{}\n{command}{link}", super::stock::BOARD),
    ] {
        let read = |text: &str| Firmware::stock().read("b.toml", text);
        let error = error_from(&text, read);
        assert_eq!(error.what, "nothing can be commanded over the CAN bus");
        assert!(error.fix.contains("remove [link.can]"), "{error}");
    }
}
