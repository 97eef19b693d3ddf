//! Channels and devices that may be used only once, and names and keys that must exist.

use super::{LINUX, SIM, edit, refused};

#[test]
fn a_gpio_line_is_used_by_one_channel_only() {
    refused(
        LINUX,
        r#"
output.brake: line = 9 -> line = §8
    line 8 of [gpio.main] is already used by [output.enable] in line 85; only one table can use it
output.brake: line = 9 -> line = §5
    line 5 of [gpio.main] is already used by [input.emergency_stop]; only one table can use it
input.lower: line = 6 -> line = §"RESET"
    line "RESET" of [gpio.main] is already used by [input.reset]; only one table can use it
"#,
    );
}

#[test]
fn a_bias_that_the_chips_driver_ignores_is_refused() {
    refused(
        LINUX,
        r#"
gpio.main: "pinctrl-bcm2711" -> "30210000.gpio"
input.emergency_stop: "pull-down" -> §"pull-down"
    the driver of 30210000.gpio (gpio-mxc) does not set a bias; set the pull in the device tree (pad control) and remove `bias`
"#,
    );
}

#[test]
fn a_device_is_used_by_one_table_only() {
    refused(
        LINUX,
        r#"
gpio.expander: "gpiochip4" -> §"pinctrl-bcm2711"
    GPIO chip "pinctrl-bcm2711" is already used by [gpio.main]; only one table can use it
spi.dac: "/dev/spidev0.1" -> §"/dev/spidev0.0"
    /dev/spidev0.0 is already used by [spi.shaft]; only one table can use it
"#,
    );
}

#[test]
fn a_converter_channel_is_used_only_once() {
    refused(
        LINUX,
        r#"
encoder.table: "table" -> §"shaft"
    the encoder of [spi.shaft] is already used by [encoder.shaft]; only one table can use it
analog_output.table_torque: "b" -> §"a"
    channel "a" of [spi.dac] is already used by [analog_output.torque]; only one table can use it
analog_input.pressure: channel = 1 -> channel = §0
    channel 0 of [spi.adc] is already used by [analog_input.temperature]; only one table can use it
analog_output.torque: "dac" -> §"shaft"
    [spi.shaft] is already the device of another chip, [encoder.shaft]; has its own chip select
analog_input.pressure: "adc" -> "dac"
analog_output.torque: "dac" -> §"dac"
    [spi.dac] is already the device of another chip, [analog_input.pressure]; has its own chip select
"#,
    );
}

#[test]
fn a_channel_has_one_purpose_only() {
    refused(
        LINUX,
        r#"
axis.x: "brake" -> §"enable"
    [output.enable] is already used by `enable` of [axis.x]; its own channel
axis.table: "table_enable" -> §"heartbeat"
    [output.heartbeat] is already used by `heartbeat` of [safety]; its own channel
safety: "lamp" -> §"heartbeat"
    [output.heartbeat] is already used; its own channel
safety: "reset" -> §"emergency_stop"
    [input.emergency_stop] is already used by `emergency_stop` of [safety]; its own channel
axis.x.limits: "upper" -> §"lower"
    [input.lower] is already used by `negative_switch` of [axis.x.limits]; its own channel
axis.x.limits: "upper" -> §"reset"
    [input.reset] is already used; its own channel
axis.table: encoder = "table" -> encoder = §"shaft"
    [encoder.shaft] is already used by `encoder` of [axis.x]; its own channel
axis.table: "table_torque" -> §"torque"
    [analog_output.torque] is already used; its own channel
"#,
    );
}

#[test]
fn an_unknown_channel_name_is_refused_with_the_known_names() {
    refused(
        LINUX,
        r#"
output.enable: "main" -> §"mian"
    there is no [gpio.mian]; did you mean "main"? Available: main, expander
output.enable: "main" -> §"header"
    there is no [gpio.header]; available: main, expander
encoder.shaft: "shaft" -> §"spi0"
    there is no [spi.spi0]; available: shaft, dac, adc, table
safety: "emergency_stop" -> §"estop"
    there is no [input.estop]; available: emergency_stop, reset, lower, upper
safety: "lamp" -> §"reset"
    there is no [output.reset]; available: enable, brake, heartbeat, lamp, table_enable
axis.x: "shaft" -> §"motor"
    there is no [encoder.motor]; available: shaft, table
axis.x: "torque" -> §"speed"
    there is no [analog_output.speed]; available: torque, table_torque
"#,
    );
    refused(
        SIM,
        r#"
simulation.motor.x: "shaft" -> §"shift"
    there is no [encoder.shift]; did you mean "shaft"?
safety: arm = -> reset = §"reset"\narm =
    there is no [input.reset]; available: emergency_stop
"#,
    );
}

#[test]
fn an_output_without_a_safe_value_is_refused() {
    refused(
        LINUX,
        r"
output.§brake: safe = false ->
    [output.brake]: the output has no safe value, `safe`; while the controller is not in control
analog_output.§torque: safe_volts = 0.0\n ->
    [analog_output.torque]: the output has no safe value, `safe_volts`; `safe_volts = 0.0`
analog_output.torque: safe_volts = 0.0 -> safe_volts = §10.5
    `safe_volts` is 10.5, outside the range of this output; `min_volts` to `max_volts`, -10 to 10
analog_output.torque: safe_volts = 0.0 -> safe_volts = §-10.001
    `safe_volts` is -10.001; -10 to 10
",
    );
}

#[test]
fn inconsistent_limits_and_monitors_of_analog_channels_are_refused() {
    refused(
        LINUX,
        r#"
analog_input.pressure: = 3.0 -> = §0.33
    `max_volts` is 0.33, not above `min_volts` = 0.33; valid range
analog_input.pressure: max_volts = 3.0\n ->
analog_input.pressure: 0.33 -> §3.3
    `max_volts` is 3.3, not above `min_volts` = 3.3; valid range
analog_input.pressure: = 3.0 -> = §3.4
    `max_volts` is 3.4; a finite number from 0 to 3.3
analog_output.torque: "torque_monitor" -> §"torque_monitr"
    there is no [analog_input.torque_monitr]; did you mean "torque_monitor"?
analog_output.torque: 0.165 -> §0
    `monitor_volts_per_volt` is 0; for one volt of the output
analog_output.torque: monitor = "torque_monitor"\n ->
analog_output.torque: monitor_volts_at_0 -> §monitor_volts_at_0
    `monitor_volts_at_0` of [analog_output.torque] has no effect: it needs `monitor`; remove it
analog_output.§torque: monitor_tolerance_volts = 0.1\n ->
    [analog_output.torque] has no `monitor_tolerance_volts`; from 0.001 to 1000
"#,
    );
}

#[test]
fn an_output_without_a_longest_hold_or_a_shutdown_step_is_refused() {
    refused(
        LINUX,
        r"
output.§brake: shutdown = 1 ->
    [output.brake]: the output has no `shutdown`; add `shutdown = 1`
analog_output.§torque: max_hold_ms = 20\n ->
    [analog_output.torque]: the output has no `max_hold_ms`; `max_hold_ms = 20`
output.brake: shutdown = 1 -> shutdown = §9
    `shutdown` is 9; from 1 to 8
analog_output.torque: shutdown = 2 -> shutdown = §1
    `shutdown` is 1, not above 1, the last of the digital outputs; after every [output.X]
",
    );
}

#[test]
fn axes_without_a_means_to_arm_are_refused() {
    refused(
        LINUX,
        r#"
§safety: reset = "reset"\n ->
    [safety]: nothing can arm the axes: `arm` is "on-reset" and there is no `reset`; arm = "at-start"
"#,
    );
    refused(
        SIM,
        r#"
§safety: arm = "at-start"\n ->
    nothing can arm the axes; name the reset input
"#,
    );
}

#[test]
fn a_simulated_channel_is_connected_to_exactly_one_plant() {
    const SECOND: &str = "[encoder.second]\nchip = \"as5047p\"\n\n[simulation.motor.y]\nencoder = \"shaft\"\nanalog_output = \"torque\"\n\n[safety]";
    refused(
        SIM,
        r#"
encoder.shaft: [encoder -> [encoder.second]\nchip = "as5047p"\n[encoder
§simulation:
    [encoder.second] is not connected to a motor; exactly one [simulation.motor.NAME]
"#,
    );
    let edits = [
        edit("safety", "[safety]", SECOND),
        edit("simulation", "[simulation]", "[§simulation]"),
    ];
    let two = super::edited(SIM, &edits);
    let error = super::error_of(&two);
    assert!(
        error
            .what
            .contains("[encoder.shaft] is connected to 2 motors"),
        "{error}"
    );
}
