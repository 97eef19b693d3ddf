//! Too many tables or entries; texts that are too long, empty, or have control characters.

use std::fmt::Write;

use super::{LINUX, SIM, edit, edited, error_of};

/// `count` tables; the last header has the mark of the expected error position.
fn tables(count: usize, kind: &str, body: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for index in 0..count {
        let mark = if index + 1 == count { "§" } else { "" };
        writeln!(text, "[{kind}.{mark}n{index}]\n{}", body(index)).expect("a string");
    }
    text
}

#[test]
fn one_table_too_many_is_refused_at_that_table() {
    const HEAD: &str = "[board]\nname = \"b\"\ndevices = \"linux\"\n[loop]\nperiod_us = 1000\n[gpio.g]\nchip = \"g\"\n[spi.s]\ndevice = \"s\"\n";
    for (kind, there, most) in [
        ("input", 0, 32),
        ("output", 0, 32),
        ("gpio", 1, 16),
        ("spi", 1, 16),
        ("i2c", 0, 16),
        ("pwm", 0, 16),
        ("encoder", 0, 32),
        ("analog_output", 0, 8),
        ("analog_input", 0, 16),
        ("axis", 0, 32),
    ] {
        let body = |index: usize| match kind {
            "input" => format!("gpio = \"g\"\nline = {index}"),
            "output" => format!("gpio = \"g\"\nline = {index}\nsafe = false"),
            "gpio" => format!("chip = \"g{index}\""),
            "spi" => format!("device = \"s{index}\""),
            _ => String::new(),
        };
        let text = format!("{HEAD}{}", tables(most + 1 - there, kind, body));
        let error = error_of(&text);
        let what = format!("there are {} tables [{kind}.NAME]", most + 1);
        assert!(error.what.contains(&what), "{error}");
        assert!(error.fix.contains(&format!("at most {most}")), "{error}");
    }
    let motors = format!(
        "{SIM}\n{}",
        tables(8, "simulation.motor", |_| String::new())
    );
    let error = error_of(&motors);
    assert!(
        error.what.contains("9 tables [simulation.motor.NAME]"),
        "{error}"
    );
}

#[test]
fn the_maximum_number_of_inputs_is_accepted() {
    let inputs = tables(28, "input", |index| {
        format!("gpio = \"expander\"\nline = {}", 100 + index)
    });
    let text = format!("{LINUX}\n{}", inputs.replace('§', ""));
    let config = steadfast::config::Config::parse("b", &text).expect("32 inputs");
    assert_eq!(config.io.inputs.len(), 32);
}

#[test]
fn a_list_of_more_than_8_positions_is_refused() {
    let nine = format!("§[{}]", ["0.0"; 9].join(", "));
    let error = error_of(&edited(
        LINUX,
        &[edit("axis.x.motion", "[6.283185, -6.283185]", &nine)],
    ));
    assert!(
        error.what.contains("`positions_rad` has 9 entries"),
        "{error}"
    );
    assert!(error.fix.contains("at most 8"), "{error}");
}

#[test]
fn names_and_texts_are_neither_empty_nor_too_long() {
    let long = "n".repeat(65);
    for (text, what) in [
        (
            edited(LINUX, &[edit("output.lamp", "output.lamp", "output.§\"\"")]),
            "a name in [output.NAME] is 0 bytes long",
        ),
        (
            edited(
                LINUX,
                &[edit(
                    "output.lamp",
                    "output.lamp",
                    &format!("output.§{long}"),
                )],
            ),
            "a name in [output.NAME] is 65 bytes long",
        ),
        (
            edited(LINUX, &[edit("board", "\"bench\"", "§\"\"")]),
            "`name` is 0 bytes long",
        ),
        (
            edited(
                LINUX,
                &[edit("board", "\"bench\"", &format!("§\"{long}\""))],
            ),
            "`name` is 65 bytes long",
        ),
        (
            edited(LINUX, &[edit("spi.dac", "\"/dev/spidev0.1\"", "§''")]),
            "`device` is 0 bytes long",
        ),
        (
            edited(LINUX, &[edit("input.reset", "\"RESET\"", "§\"\"")]),
            "`line` is 0 bytes long",
        ),
    ] {
        let error = error_of(&text);
        assert!(error.what.contains(what), "{error}");
        assert!(error.fix.contains("1 to 64 bytes"), "{error}");
    }
    let longest = "µ".repeat(32);
    let text = edited(LINUX, &[edit("board", "bench", &longest)]);
    let config = steadfast::config::Config::parse("b", &text).expect("64 bytes");
    assert_eq!(config.name, longest);
}

#[test]
fn control_characters_in_names_are_refused_and_shown_escaped() {
    for (escape, shown) in [
        ("\\n", "\\u{a}"),
        ("\\r", "\\u{d}"),
        ("\\u001B[2J", "\\u{1b}"),
        ("\\u0000", "\\u{0}"),
        ("\\u0085", "\\u{85}"),
        ("\\u2028", "\\u{2028}"),
        ("\\u202E", "\\u{202e}"),
    ] {
        let name = format!("§\"bench{escape}two\"");
        let named = edited(LINUX, &[edit("board", "\"bench\"", &name)]);
        let table = format!("output.§\"lamp{escape}\"");
        let tabled = edited(LINUX, &[edit("output.lamp", "output.lamp", &table)]);
        for text in [named, tabled] {
            let error = error_of(&text);
            assert!(
                error
                    .what
                    .contains(&format!("contains the character {shown}")),
                "{error}"
            );
            assert!(error.fix.contains("printable characters"), "{error}");
        }
        let key = format!("§\"na{escape}me\" = 1\nname");
        let error = error_of(&edited(LINUX, &[edit("board", "name", &key)]));
        assert!(error.what.contains("unknown key"), "{error}");
    }
}

#[test]
fn long_quotations_in_errors_are_truncated() {
    let long = "x".repeat(10_000);
    for text in [
        edited(LINUX, &[edit("board", "name", &format!("§{long}"))]),
        edited(
            LINUX,
            &[edit("loop", "1000\nd", &format!("§\"{long}\"\nd"))],
        ),
        edited(
            LINUX,
            &[edit(
                "loop",
                "1000\nd",
                &format!("§{}\nd", "9".repeat(10_000)),
            )],
        ),
        edited(
            LINUX,
            &[edit(
                "axis.x.gains",
                "40.0",
                &format!("§1{}.0", "0".repeat(10_000)),
            )],
        ),
    ] {
        let error = error_of(&text);
        assert!(error.what.contains("..."), "{error}");
    }
}
