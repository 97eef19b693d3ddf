//! On a terminal.

use std::process::{Command, Stdio};

use super::emulation::not_run;
use super::{Ended, STEADFAST, emulated};

/// What starts every drawing of the live line: back to its start, and clear it
/// (ECMA-48, EL).
const REDRAW: &str = "\r\x1b[K";

/// Runs the firmware with `args` on a terminal of its own; `None`, with a word
/// about it, where there is no `script` to give it one.
fn on_a_terminal(args: &str) -> Option<Ended> {
    if let Some(reason) = emulated() {
        not_run(reason);
        return None;
    }
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(format!("'{STEADFAST}' {args}"))
        .arg("/dev/null")
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(output.into()),
        Err(error) => {
            not_run(&format!("script of util-linux: {error}"));
            None
        }
    }
}

#[test]
fn the_live_line_is_redrawn_and_stays_above_the_report() {
    let Some(ended) = on_a_terminal("run --for 800ms") else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let drawn: Vec<&str> = ended.out.split(REDRAW).skip(1).collect();
    assert!(drawn.len() >= 2, "{ended:?}");
    for line in &drawn {
        for words in [" s  ", " cycles  worst lateness ", "  tracking_error_rad "] {
            assert!(line.contains(words), "{words} in {line:?}");
        }
    }
    let (last, before) = drawn.split_last().expect("not empty");
    assert!(before.iter().all(|line| !line.contains('\n')), "{before:?}");
    let report = last.split_once('\n').expect("the last one is ended").1;
    assert!(report.contains("REAL-TIME: "), "{report}");
    assert!(!report.contains('\x1b'), "{report}");
}

#[test]
fn quiet_and_the_virtual_clock_draw_nothing() {
    for args in ["run --for 300ms --quiet", "run --for 1s --pace free"] {
        let Some(ended) = on_a_terminal(args) else {
            return;
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.out.contains('\x1b'), "{ended:?}");
    }
}
