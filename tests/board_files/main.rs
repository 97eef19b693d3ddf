//! Every error of a board file is one line: position, cause and remedy.
//!
//! Each test edits a good board file at one place, and states the position and part of the
//! text of the expected error. `§` marks the position in the edited text and is removed
//! before the file is read.

#![cfg(feature = "linux")]

mod buses;
mod contradictions;
mod files;
mod gpio_access;
mod limits;
mod migration;
mod mutations;
mod numbers;
mod ranges;
mod saved;
mod saved_node;
mod spi_access;
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
struct Edit {
    /// The edited table, as in its header.
    table: String,
    /// The replaced text, which occurs once.
    from: String,
    /// The new text.
    to: String,
}

fn edit(table: &str, from: &str, to: &str) -> Edit {
    let [table, from, to] = [table, from, to].map(str::to_owned);
    Edit { table, from, to }
}

/// `good` with `edits` applied, with the mark.
fn edited(good: &str, edits: &[Edit]) -> String {
    let mut text = good.to_owned();
    for Edit { table, from, to } in edits {
        let header = format!("[{table}]");
        // The mark of an earlier edit may be in the header.
        let start = text.find(&header).unwrap_or_else(|| panic!("no {header}"));
        let end = text[start..]
            .find("\n[")
            .map_or(text.len(), |end| start + end);
        let body = &text[start..end];
        assert_eq!(body.matches(from.as_str()).count(), 1, "{from:?} in {body}");
        text = format!(
            "{}{}{}",
            &text[..start],
            body.replacen(from.as_str(), to, 1),
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

/// Each case edits `good`; the error must contain these texts in its cause and its remedy:
///
/// ```text
/// TABLE: FROM -> TO
/// §TABLE:
///     CAUSE; REMEDY
/// ```
///
/// A mark in the name of a table marks its header. `\n` is the end of a line.
fn refused(good: &str, cases: &str) {
    refused_by(good, cases, |text| Config::parse("b.toml", text));
}

/// As [`refused`], with another reader of board files.
fn refused_by(good: &str, cases: &str, read: impl Fn(&str) -> Result<Config, ConfigError>) {
    let (mut edits, mut marks) = (Vec::new(), Vec::new());
    for line in cases.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(words) = line.strip_prefix("    ") else {
            let (marked, change) = line.split_once(':').expect(line);
            let table = marked.replace(MARK, "");
            if marked != table {
                marks.push(edit(&table, &format!("[{table}]"), &format!("[{marked}]")));
            }
            if let Some((from, to)) = change.trim_start().split_once(" ->") {
                let [from, to] = [from, to.trim_start()].map(|part| part.replace("\\n", "\n"));
                edits.push(Edit { table, from, to });
            }
            continue;
        };
        edits.append(&mut marks);
        let error = error_from(&edited(good, &edits), &read);
        let (what, fix) = words.split_once(';').expect(line);
        assert!(error.what.contains(what), "what: {what:?} in {error}");
        assert!(error.fix.contains(fix.trim()), "fix: {fix:?} in {error}");
        edits.clear();
    }
    assert!(edits.is_empty() && marks.is_empty(), "no words: {cases}");
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
