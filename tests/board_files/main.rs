//! Every error of a board file is one line: position, cause and remedy.
//!
//! Each test edits a good board file at one place, and states the position and part of the
//! text of the expected error. `§` marks the position in the edited text and is removed
//! before the file is read.

#![cfg(feature = "linux")]

mod buses;
mod contradictions;
mod files;
mod limits;
mod migration;
mod mutations;
mod numbers;
mod ranges;
mod stock;
mod stock_laws;
mod structure;
mod types;
mod wiring;

use steadfast::config::{Config, ConfigError, Position};
use steadfast::device::pwm::Polarity;
use steadfast::stock::SIM_BOARD;
use steadfast::stock::servo::Axes;

/// A board with real devices.
const LINUX: &str = include_str!("linux.toml");
/// The simulated board that the firmware carries.
const SIM: &str = SIM_BOARD;
/// Marks the position of the expected error.
const MARK: char = '§';

/// One edit of a board file.
struct Edit<'e> {
    /// The edited table, as in its header.
    table: &'e str,
    /// The replaced text, which occurs once.
    from: &'e str,
    /// The new text.
    to: &'e str,
}

const fn edit<'e>(table: &'e str, from: &'e str, to: &'e str) -> Edit<'e> {
    Edit { table, from, to }
}

/// `good` with `edits` applied, with the mark.
fn edited(good: &str, edits: &[Edit<'_>]) -> String {
    let mut text = good.to_owned();
    for Edit { table, from, to } in edits {
        let header = format!("[{table}]");
        // The mark of an earlier edit may be in the header.
        let start = text.find(&header).unwrap_or_else(|| panic!("no {header}"));
        let end = text[start..]
            .find("\n[")
            .map_or(text.len(), |end| start + end);
        let body = &text[start..end];
        assert_eq!(body.matches(from).count(), 1, "{from:?} in {body}");
        text = format!(
            "{}{}{}",
            &text[..start],
            body.replacen(from, to, 1),
            &text[end..]
        );
    }
    text
}

/// The error of `marked`, which must point at the mark.
fn error_of(marked: &str) -> ConfigError {
    error_from(marked, |text| Config::parse("b.toml", text))
}

/// As [`error_of`], with another reader of board files.
fn error_from(marked: &str, read: impl Fn(&str) -> Result<Config, ConfigError>) -> ConfigError {
    let text = marked.replacen(MARK, "", 1);
    let error = match read(&text) {
        Err(error) => error,
        Ok(_) => panic!("accepted:\n{marked}"),
    };
    let shown = one_line(&error);
    let offset = marked.find(MARK).expect("the position is marked");
    let line = marked[..offset].matches('\n').count() + 1;
    let column = marked[..offset]
        .chars()
        .rev()
        .take_while(|c| *c != '\n')
        .count()
        + 1;
    assert_eq!(error.position, Some(Position { line, column }), "{shown}");
    assert!(
        shown.starts_with(&format!("b.toml:{line}:{column}: ")),
        "{shown}"
    );
    error
}

/// The text of `error`, which must be one printable line.
fn one_line(error: &ConfigError) -> String {
    let shown = error.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert!(shown.len() < 600, "{shown:?}");
    assert!(!error.what.is_empty() && !error.fix.is_empty(), "{shown:?}");
    shown
}

/// Each case edits `good`; the error must contain these texts in its cause and its remedy.
fn refused(good: &str, cases: &[(&[Edit<'_>], &str, &str)]) {
    for (edits, what, fix) in cases {
        let error = error_of(&edited(good, edits));
        assert!(error.what.contains(what), "what: {what:?} in {error}");
        assert!(error.fix.contains(fix), "fix: {fix:?} in {error}");
    }
}

fn names_of(config: &Config) -> &[String] {
    &Axes::of(config).expect("axes").names.axes
}

#[test]
fn the_good_board_files_are_read() {
    let linux = Config::parse("linux.toml", LINUX).expect("good");
    assert_eq!(names_of(&linux), ["x", "table"]);
    assert_eq!(linux.io.outputs[1].max_hold.as_nanos(), 20_000_000);
    assert_eq!(linux.watchdog.expect("one").timeout_s, 2);
    let (adapter, channel) = (&linux.io.i2c[0], &linux.io.pwm[0]);
    assert_eq!(
        (adapter.path.as_str(), adapter.timeout_ms),
        ("/dev/i2c-2", 20)
    );
    assert_eq!(
        (channel.chip.as_str(), channel.channel),
        ("30660000.pwm", 1)
    );
    assert_eq!(
        (channel.period_ns, channel.polarity),
        (50_000, Polarity::Inversed)
    );
    let sim = Config::parse("sim.toml", SIM).expect("good");
    assert_eq!(names_of(&sim), ["x"]);
    // Else each cycle would handle user devices.
    assert!(sim.machine.is_empty() && linux.machine.is_empty());
}

#[test]
fn a_file_with_crlf_line_ends_is_read_the_same() {
    let there = LINUX.replace('\n', "\r\n");
    let (there, here) = (Config::parse("b", &there), Config::parse("b", LINUX));
    let (there, here) = (there.expect("good"), here.expect("good"));
    assert_eq!(there.io, here.io);
    assert_eq!(there.run, here.run);
}
