//! The stock control laws, with one error in each key.

use super::stock::{BOARD, refused};

#[test]
fn errors_in_law_tables_have_line_and_column() {
    refused(
        BOARD,
        r#"
law.way: "wheel.angle" -> §"wheel.angel"
    no signal "wheel.angel"; "wheel.angle"
law.way: [0.5, 0.5] -> §[0.5]
    `rates` has 1 entries; each of the 2 entries of `targets`
law.way: [0.5, 0.5] -> [0.5, §0]
    `rates` is 0; from 1e-9
law.way: [1.0, 2.0] -> §[]
    `targets` is empty; add an entry
law.way: [1.0, 0.0] -> [1.0, §-1]
    `holds_s` is -1; from 0
law.way: "output.contactor" -> §"motor.duty"
    is a number, not a flag; another signal
law.loop: ki = 0.5 -> §kl = 0.5
    unknown key `kl`; did you mean
law.§loop: kp = 1.0\n ->
    has no `kp`; add `kp = ...`
law.loop: kp = 1.0 -> kp = §-1.0
    `kp` is -1.0; from 0
law.loop: ki = 0.5 -> ki = 0.5\nmax = §1.5
    `max` is 1.5; from -1 to 1
law.loop: ki = 0.5 -> derivative_cutoff_hz = §50.0
    `derivative_cutoff_hz` is 50.0; to 49.9
law.loop: ki = 0.5 -> tracking_time_s = §0.001
    `tracking_time_s` is 0.001; from 0.01
law.loop: "way.set_point" -> §"motor.duty"
    is without a unit, expected in rad; another signal
law.loop: "motor.duty" -> §"wheel.angle"
    cannot be set: it is an input; another signal
law.loop: ki = 0.5 -> rate = "wheel.angle"\n§derivative_cutoff_hz = 1.0
    has no effect: the rate is measured; remove it
law.loop: ki = 0.5 -> brake_to = §0.1
    `brake_to` needs a measured rate; add `rate = ...`
law.relay: "heat.output" -> §"way.set_point"
    is in rad, expected without a unit; another signal
law.relay: 100 -> §1
    `window` is 1; from 2 to 100000
law.relay: "output.relay" -> §"output.contactor"
    is already set by [law.way]; one writer
law.§alarm: high = 3.0 ->
    no limit; add `low = ...`
law.alarm: high = 3.0 -> high = 3.0\ndelay_s = §-1
    `delay_s` is -1; from 0
"#,
    );
    let two_point = BOARD.replace("kind = \"alarm\"", "kind = \"two_point\"");
    refused(
        &two_point,
        r"
law.§alarm: high = 3.0 -> set_point = 1.0
    has no `hysteresis`; add `hysteresis = ...`
law.alarm: high = 3.0 -> set_point = 1.0\nhysteresis = §-1.0
    `hysteresis` is -1.0; from 0
law.alarm: high = 3.0 -> set_point = §true\nhysteresis = 1.0
    `set_point` is true; decimal number
law.alarm: high = 3.0 -> set_point = 1.0\nhysteresis = 1.0\nvalid_min = 5.0\nvalid_max = §4.0
    `valid_max` is 4.0; from 5
law.alarm: high = 3.0 -> set_point = 1.0\nhysteresis = 1.0\ntolerated_s = §4000
    `tolerated_s` is 4000; to 3600
",
    );
}
