//! The firmware started by a user with a small memory lock limit and without real-time
//! priority.

use std::path::Path;
use std::process::{Command, Stdio};

use testbed::emulation::not_run;
use testbed::program::by_ordinary_user;

use super::{Ended, STEADFAST, Scratch, emulated, end_of, number, reason};

/// Limit of locked memory, bytes: the kernel's default until 5.16.
const MEMLOCK: u32 = 64 * 1024;

/// Runs the firmware with `args` without privileges and with small limits; `None`, with a
/// note, if that is not possible.
fn unprivileged(scratch: &Scratch, args: &[&str]) -> Option<Ended> {
    if let Some(reason) = emulated() {
        not_run(reason);
        return None;
    }
    let binary = scratch.copy(Path::new(STEADFAST));
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--memlock={MEMLOCK}:{MEMLOCK}"))
        .arg("--rtprio=0:0")
        .arg(&binary)
        .args(args)
        .stdin(Stdio::null());
    by_ordinary_user(&mut command);
    match end_of(&mut command) {
        Ok(ended) => Some(ended),
        Err(error) => {
            not_run(&format!("prlimit of util-linux: {error}"));
            None
        }
    }
}

#[test]
fn without_privileges_it_runs_and_reports_each_broken_promise_with_its_fix() {
    let scratch = Scratch::new("unprivileged");
    let Some(ended) = unprivileged(&scratch, &["run", "--for", "300ms"]) else {
        return;
    };
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let first = ended.out.lines().next().unwrap_or_default();
    assert!(first.starts_with("NOT REAL-TIME: "), "{first}");
    let fix_of = |row: &str| {
        let mut lines = ended.out.lines();
        let broken = format!("BROKEN {row}");
        lines
            .find(|line| line.trim_start().starts_with(&broken))
            .unwrap_or_else(|| panic!("{broken} in {}", ended.out));
        lines.next().unwrap_or_default().to_owned()
    };
    let memory = fix_of("memory lock");
    for words in [
        "RLIMIT_MEMLOCK allows 64 kB",
        "cap_ipc_lock",
        "LimitMEMLOCK=",
        "ulimit -l ",
    ] {
        assert!(memory.contains(words), "{words} in {memory}");
    }
    let scheduler = fix_of("scheduler");
    for words in [
        "priority 80 is above RLIMIT_RTPRIO, which is 0",
        "cap_sys_nice",
        "LimitRTPRIO=80",
    ] {
        assert!(scheduler.contains(words), "{words} in {scheduler}");
    }
    assert!(ended.out.contains("\nexit 0 "), "{}", ended.out);
}

#[test]
fn without_privileges_a_board_that_requires_real_time_does_not_run() {
    let scratch = Scratch::new("required");
    let board = scratch.board(super::SIM_BOARD, &[("\"best-effort\"", "\"required\"")]);
    let json = scratch.path("report.json");
    let args = [
        "run",
        "--for",
        "300ms",
        "--board",
        board.to_str().expect("UTF-8"),
        "--json",
        json.to_str().expect("UTF-8"),
    ];
    let Some(ended) = unprivileged(&scratch, &args) else {
        return;
    };
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let first = ended.out.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("exit 3 ") && first.contains("contract refused"),
        "{first}"
    );
    assert!(ended.out.contains("nothing was run"), "{}", ended.out);
    let report = super::json_at(&json);
    assert_eq!(
        (
            number(&report, "/exit/code"),
            number(&report, "/cycles/run")
        ),
        (3, 0)
    );
    for row in ["memory lock", "scheduler"] {
        assert!(reason(&report).contains(row), "{}", reason(&report));
    }
    assert_eq!(report["contract"]["kept"], false);
}

#[test]
fn a_refused_run_prints_its_reason_even_with_quiet() {
    let scratch = Scratch::new("required-quiet");
    let board = scratch.board(super::SIM_BOARD, &[("\"best-effort\"", "\"required\"")]);
    let args = ["run", "--quiet", "--board", board.to_str().expect("UTF-8")];
    let Some(ended) = unprivileged(&scratch, &args) else {
        return;
    };
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""), "{ended:?}");
    assert!(
        ended.error_line().contains("contract refused: "),
        "{ended:?}"
    );
}

#[test]
fn doctor_reports_the_missing_privileges_without_a_run() {
    let scratch = Scratch::new("doctor");
    let Some(ended) = unprivileged(&scratch, &["doctor"]) else {
        return;
    };
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    for words in [
        "NOT REAL-TIME: ",
        "RLIMIT_MEMLOCK allows 64 kB",
        "RLIMIT_RTPRIO, which is 0",
    ] {
        assert!(ended.out.contains(words), "{words} in {}", ended.out);
    }
}
