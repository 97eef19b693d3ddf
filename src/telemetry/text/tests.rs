use super::super::report::{BlackBoxReport, Cycles, Exit, Section, SectionEntry};
use super::*;
use crate::realtime::contract::Text;
use crate::telemetry::forced::{Forced, Name};

fn row(name: &'static str, verdict: Verdict) -> Row {
    let of = |text: &str| Text::of(format_args!("{text}"));
    Row {
        name,
        required: of("FIFO 80"),
        observed: of("refused"),
        verdict,
        fix: of(match verdict {
            Verdict::Kept => "",
            Verdict::Broken => "ask for it",
        }),
    }
}

fn report() -> Report {
    let mut timing = Timing::new();
    for (lateness, execution) in [(0, 300), (1, 300), (9_000, 40_000)] {
        timing.add(lateness, execution, false);
    }
    Report {
        version: "0.1.0",
        board: "sim".to_owned(),
        pace: Pace::Free,
        contract: Box::default(),
        laws: Vec::new(),
        saved_parameters: Some(3),
        watchdog: None,
        black_box: None,
        forces: (0, Vec::new()),
        warnings: Vec::new(),
        cycles: Cycles {
            run: 3,
            skipped: 2,
            overruns: 1,
            bucket_fullest: 10,
            ..Cycles::default()
        },
        wake: WakeReport::default(),
        quick_stops: QuickStopReport::default(),
        release_lateness_ns: timing.release_lateness.summary(),
        execution_ns: timing.execution.summary(),
        response_ns: timing.response.summary(),
        memory: Memory {
            allocations: Some(0),
            ..Memory::default()
        },
        sections: vec![Section {
            key: "axes",
            label: "axis",
            entries: vec![SectionEntry {
                name: "x".to_owned(),
                text: "Operation enabled; tracking error max 0.010000 rad, rms 0.002000 rad"
                    .to_owned(),
                fields: Vec::new(),
            }],
        }],
        exit: Exit {
            code: 0,
            reason: "done".to_owned(),
        },
        timing: Box::new(timing),
    }
}

fn text_of(report: &Report) -> String {
    let mut text = String::new();
    write_report(&mut text, report).expect("a string takes all");
    text
}

#[test]
fn the_report_of_a_virtual_run_omits_the_machine() {
    let expected = "\
VIRTUAL CLOCK: nothing is promised, and nothing measured of this machine.

board             sim, steadfast 0.1.0
cycles            3 run, 2 slots skipped, 1 overruns (bucket at most 10)

                         min       p50       p99     p99.9       max
release lateness        0 ns      1 ns   9.00 us   9.00 us   9.00 us
execution             300 ns    303 ns   40.0 us   40.0 us   40.0 us
response              300 ns    303 ns   49.0 us   49.0 us   49.0 us

     from    cycles release lateness    cycles execution        cycles response
     0 ns         2 ############
      ...
   256 ns                                 2 ############          2 ############
";
    let text = text_of(&report());
    assert!(text.starts_with(expected), "{text}");
    let end = "
axis x            Operation enabled; tracking error max 0.010000 rad, rms 0.002000 rad
allocations       0 since the seal
parameters        3 saved ones in force
exit 0            done
";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn every_spike_has_a_bar_in_the_column_of_its_distribution() {
    let text = text_of(&report());
    let line = |from: &str| {
        let mut found = text.lines().filter(|l| l.trim_start().starts_with(from));
        let line = found.next().unwrap_or_else(|| panic!("{from} in {text}"));
        line.split_whitespace()
            .skip(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        line("8.19 us"),
        ["1", "######"],
        "half of the fullest octave"
    );
    assert_eq!(line("256 ns"), ["2", "############", "2", "############"]);
    assert_eq!(line("32.8 us"), ["1", "######", "1", "######"]);
}

#[test]
fn lines_have_no_trailing_blanks_and_at_most_eighty_columns() {
    for line in text_of(&report()).lines() {
        assert_eq!(line, line.trim_end());
        assert!(line.chars().count() <= 90, "{line}");
    }
}

#[test]
fn broken_promises_come_first_each_followed_by_its_fix() {
    let rows = [
        row("timer", Verdict::Kept),
        row("scheduler", Verdict::Broken),
        row("cpu", Verdict::Broken),
    ];
    let mut text = String::new();
    write_rows(&mut text, &rows).expect("a string takes all");
    let expected = "                    required  observed
  BROKEN scheduler  FIFO 80   refused
              fix:  ask for it
  BROKEN cpu        FIFO 80   refused
              fix:  ask for it
  kept   timer      FIFO 80   refused
";
    assert_eq!(text, expected);
}

#[test]
fn a_failure_is_in_the_first_and_the_last_line() {
    let mut report = report();
    report.exit = Exit {
        code: 4,
        reason: "too many missed deadlines".to_owned(),
    };
    let text = text_of(&report);
    let line = "exit 4            too many missed deadlines";
    assert_eq!(text.lines().next(), Some(line));
    assert_eq!(text.lines().last(), Some(line));
}

#[test]
fn a_refused_run_has_no_distributions() {
    let mut report = report();
    report.cycles = Cycles::default();
    report.timing.clear();
    let text = text_of(&report);
    assert!(
        text.contains("\ncycles            none, nothing was run\n"),
        "{text}"
    );
    assert!(!text.contains("p99.9"), "{text}");
}

#[test]
fn all_measured_figures_are_shown() {
    let mut report = report();
    report.memory = Memory {
        vm_lck_kb: Some(1_900),
        vm_rss_kb: Some(1_896),
        minor_faults: Some(3),
        major_faults: Some(4),
        allocations: None,
        stack_bytes: Some(65_536),
        stack_high_water_bytes: Some(14_072),
    };
    report.cycles.records_dropped = 5;
    report.watchdog = Some(WatchdogReport {
        timeout_s: 2,
        caused_last_reset: Some(true),
        feeds_refused: 3,
    });
    report.black_box = Some(BlackBoxReport {
        saved: vec!["/data/b-000001.blackbox".to_owned()],
        failed: vec!["no space".to_owned()],
    });
    report.warnings = vec!["something beside the loop".to_owned()];
    let text = text_of(&report);
    for line in [
        "memory            1900 kB locked (VmLck), 1896 kB resident (VmRSS)",
        "page faults       3 minor, 4 major, on the real-time thread",
        "allocations       not counted: this binary has no sealed allocator",
        "stack             14072 of 65536 bytes at its high-water mark",
        "watchdog          2 s; IT CAUSED the board's last reset; 3 feeds refused",
        "black box         /data/b-000001.blackbox",
        "black box         NOT KEPT: no space",
        "warning           something beside the loop",
        "records           5 dropped, the reporter was too slow; leave CPU time to ordinary threads",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

#[test]
fn promises_broken_while_running_come_first_and_are_not_shown_as_broken_at_the_start() {
    use crate::realtime::audit::{Breach, Promise};
    let mut contract = Contract::default();
    let breach = Breach {
        promise: Promise::Scheduler,
        at: Duration::from_millis(1_500),
        found: heapless::String::try_from("OTHER instead of FIFO 80").unwrap(),
    };
    contract.broke([breach].into_iter().collect());
    let mut out = String::new();
    write_contract(&mut out, &contract).unwrap();
    let mut lines = out.lines();
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("NOT REAL-TIME: kept at the start, 1 of "),
        "{first}"
    );
    assert!(first.ends_with("broken while running."), "{first}");
    let second = "  BROKEN 1.50 s after the start: scheduler: OTHER instead of FIFO 80";
    assert_eq!(lines.next(), Some(second));
}

#[test]
fn the_last_forces_of_the_run_are_listed_with_the_reasons_of_their_ends() {
    let mut name = Name::new();
    name.push_str("output.lamp").expect("it fits");
    let lamp = Forced {
        name,
        place: 4,
        client: 3,
        value: 1.0,
        ms: 10_000,
        slot: 5,
        ended: Some((Ended::Fault, 9)),
    };
    let mut report = report();
    report.forces = (3, vec![lamp]);
    let text = text_of(&report);
    let lines = "\
forced            output.lamp = 1 by client 3 for 10 s; ended: a fault
forced            2 more before these
";
    assert!(text.contains(lines), "{text}");
    let json = report.to_json();
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["forced"], 3);
    let ended = serde_json::json!({"slot": 9, "reason": "fault"});
    assert_eq!(json["forces"][0]["ended"], ended);
}

#[test]
fn wakes_are_shown_with_the_remedy_for_late_ones() {
    use crate::cycle::wake::Wake;
    let us = Duration::from_micros;
    let mut report = report();
    report.wake = WakeReport {
        wake: Wake::Adaptive(us(60)),
        percent: 6,
        wakes: Some(Wakes {
            longest: us(12),
            margin: us(24),
            ..Wakes::default()
        }),
    };
    let line = "\nwakes             adaptive, 24.0 us before the release, at most 6 % of one CPU; \
                longest 12.0 us, 0 after the release\n";
    assert!(text_of(&report).contains(line), "{}", text_of(&report));
    let wakes = report.wake.wakes.as_mut().unwrap();
    (wakes.late, wakes.crowded) = (3, 2);
    let line = " 3 after the release; raise [loop] spin_us; \
                2 not watched, the cycle before ended too late\n";
    assert!(text_of(&report).contains(line), "{}", text_of(&report));
}
