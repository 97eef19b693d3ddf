//! Wrong types of values, and syntax errors.

use super::{LINUX, error_of, refused};

#[test]
fn a_value_of_the_wrong_type_is_refused_with_the_expected_type() {
    refused(
        LINUX,
        r#"
board: "bench" -> §7
    `name` is the whole number 7; a text in quotes
board: "linux" -> §true
    `devices` is true; "simulated" or "linux"
loop: 1000 -> §"1000"
    `period_us` is the text "1000"; a whole number
loop: 1000 -> §1000.0
    `period_us` is the number 1000.0; a whole number from 20
loop: cpu = 3 -> cpu = §3.5
    `cpu` is the number 3.5; a CPU number from 0 to 1023, "isolated" or "any"
loop: stack_kb = 64 -> stack_kb = §[64]
    `stack_kb` is a list; a whole number
input.emergency_stop: latch = true -> latch = §1
    `latch` is the whole number 1; true or false
input.emergency_stop: line = 5 -> line = §5.0
    `line` is the number 5.0; a line number from 0 to 511, or a line name
output.enable: false -> §"low"
    `safe` is the text "low"; true or false
axis.x.gains: 40.0 -> §true
    `kp` is true; a decimal number
axis.x.gains: 40.0 -> §0x28
    `kp` is the whole number 0x28; a decimal number
axis.x.gains: 40.0 -> §2024-01-01
    `kp` is the date 2024-01-01; a decimal number
axis.x.gains: 40.0 -> §{}
    `kp` is a table; a decimal number
axis.x.motion: [6.283185, -6.283185] -> §6.28
    `positions_rad` is; a list of numbers
axis.x.motion: -6.283185 -> §"no"
    `positions_rad` is the text "no"; a decimal number
encoder.shaft: "as5047p" -> §"as5048a"
    `chip` is "as5048a"; did you mean "as5047p"
safety: "when-in-time" -> §"always"
    `rearm` is "always"; "on-reset" or "when-in-time" or "on-command"
loop: "fifo" -> §"rr"
    `scheduler` is "rr"; "fifo" or "deadline"
loop: cpu = 3 -> cpu = §"last"
    `cpu` is "last"; "isolated" or "any"
input.emergency_stop: "low" -> §"Low"
    `active` is "Low"; did you mean "low"?
"#,
    );
}

#[test]
fn a_value_in_place_of_a_table_is_refused() {
    let with = |line: &str| format!("{line}\n[board]\nname = \"b\"\ndevices = \"linux\"\n");
    for (line, what, fix) in [
        (
            "loop = §5",
            "`loop` is the whole number 5",
            "a table [loop]",
        ),
        (
            "loop.period_us = 1000\noutput = §3",
            "`output` is",
            "tables [output.NAME]",
        ),
        (
            "loop.period_us = 1000\noutput.enable = §3",
            "`output.enable` is",
            "a table [output.enable]",
        ),
        (
            "loop.period_us = 1000\naxis.x = §\"servo\"",
            "`axis.x` is",
            "a table [axis.x]",
        ),
        (
            "loop.period_us = 1000\nsafety.arm = \"at-start\"\naxis = §[]",
            "`axis` is a list",
            "tables [axis.NAME]",
        ),
    ] {
        let error = error_of(&with(line));
        assert!(error.what.contains(what), "{error}");
        assert!(error.fix.contains(fix), "{error}");
    }
}

#[test]
fn a_syntax_error_is_one_line_with_its_position() {
    refused(
        LINUX,
        r#"
board: "bench" -> "bench§
    invalid basic string; TOML expects `"` here
board: "bench" -> §bench
    invalid value `bench`; put text in quotes
board: "bench" -> "\§q"
    missing escaped value; TOML expects
loop: [loop] -> [loop§\n
    unclosed table; TOML expects `]` here
loop: period_us = 1000 -> period_us = §
    the value is missing; write one after the `=`
loop: period_us = 1000 -> period_us §1000
    key with no value; TOML expects `=` here
axis.x.motion: -6.283185]\n -> -6.283185\n§
    missing comma; TOML expects `,` here
axis.x.gains: 40.0 -> 40.§
    invalid fraction; TOML expects digits here
axis.x.gains: 40.0 -> 40§,0
    unexpected key or value; TOML expects newline
axis.x: enable = -> §encoder.bit = 1\nenable =
    cannot extend value; toml.io
"#,
    );
}

#[test]
fn deeply_nested_arrays_do_not_exhaust_the_stack() {
    let deep = format!("a = {}", "[".repeat(100_000));
    let error = steadfast::config::Config::parse("b.toml", &deep).expect_err("refused");
    super::one_line(&error);
}
