//! The printed report.

use super::{Ended, Scratch, command, end_of, steadfast};

/// Requires the content of the report of a real-time run.
fn check_report(ended: &Ended) {
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(
        !ended.out.contains(['\x1b', '\r', '\x08', '\t']),
        "{}",
        ended.out
    );
    let first = ended.out.lines().next().unwrap_or_default();
    assert!(
        first == "REAL-TIME: the contract is kept."
            || first.starts_with("NOT REAL-TIME: ") && first.ends_with(" promises broken."),
        "{first}"
    );
    for row in [
        "kernel",
        "memory lock",
        "locked memory",
        "static memory",
        "scheduler",
        "cpu",
        "cpu latency",
        "timer",
        "throttling",
        "stack",
        "allocator",
        "page faults",
    ] {
        let judged = |line: &str| {
            let line = line.trim_start();
            let rest = line.strip_prefix("kept").or(line.strip_prefix("BROKEN"));
            rest.is_some_and(|rest| rest.trim_start().starts_with(row))
        };
        assert!(ended.out.lines().any(judged), "{row} in {}", ended.out);
    }
    for words in [
        "min       p50       p99     p99.9       max",
        "release lateness ",
        "execution ",
        "response ",
        "#",
        "tracking error max ",
        "allocations ",
        "page faults ",
        "kB locked (VmLck)",
        "at its high-water mark",
        "exit 0",
    ] {
        assert!(ended.out.contains(words), "{words} in {}", ended.out);
    }
}

#[test]
fn without_arguments_and_terminal_the_demonstration_runs_and_reports() {
    // A stop request shortens the run of ten seconds; the report has the same content.
    let child = command([""; 0]).spawn().expect("it starts");
    let mut running = super::signals::Running(child);
    running.wait_for_cycles(300);
    running.signal("TERM");
    check_report(&running.ended());
}

#[test]
fn a_real_time_run_prints_every_figure() {
    let ended = steadfast("run --for 300ms");
    check_report(&ended);
    assert!(
        ended
            .out
            .lines()
            .last()
            .is_some_and(|line| line.ends_with(" done"))
    );
}

#[test]
fn a_broken_promise_is_followed_by_its_fix() {
    let scratch = Scratch::new("fix");
    // A promise that no machine here keeps.
    let board = scratch.board(super::SIM_BOARD, &[("cpu = \"any\"", "cpu = 1023")]);
    let mut command = command(["run", "--for", "100ms", "--board"]);
    let ended = end_of(command.arg(&board)).expect("it starts");
    check_report(&ended);
    let mut lines = ended.out.lines();
    assert!(
        lines.any(|line| line.trim_start().starts_with("BROKEN cpu ")),
        "{}",
        ended.out
    );
    let fix = lines.next().unwrap_or_default().trim_start();
    assert!(fix.starts_with("fix:  ") && fix.len() > 10, "{fix}");
}

#[test]
fn the_printed_report_of_a_virtual_run_omits_the_machine() {
    let ended = steadfast("run --pace free --for 1s");
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.starts_with("VIRTUAL CLOCK"), "{}", ended.out);
    for absent in ["VmLck", "REAL-TIME", "not taken", "null", "stack"] {
        assert!(!ended.out.contains(absent), "{absent} in {}", ended.out);
    }
}

#[test]
fn quiet_prints_nothing() {
    for line in ["run --quiet --for 200ms", "--quiet --pace free --for 1s"] {
        let ended = steadfast(line);
        let said = (ended.code, ended.out.as_str(), ended.err.as_str());
        assert_eq!(said, (Some(0), "", ""), "{line}");
    }
}

#[test]
fn a_closed_stdout_is_not_a_failure() {
    let mut command = command(["run", "--pace", "free", "--for", "1s"]);
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let ended: Ended = child.wait_with_output().expect("it ends").into();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
}
