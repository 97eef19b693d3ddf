//! A stop request is kept from the installation of its handler until the run that it stops
//! has ended. Several runs in one process, one after the other.
#![cfg(feature = "linux")]

use std::process::Command;

use steadfast::axis::Servo;
use steadfast::board::{self, Options};
use steadfast::config::Config;
use steadfast::cycle::run::Limit;
use steadfast::realtime::signals::{self, StopSignal};
use steadfast::stock::servo::Axes;
use steadfast::telemetry::report::{Pace, Report};

/// A run on the virtual clock that would take a hundred thousand cycles.
fn run() -> Report {
    let config = Config::simulated();
    let axes = Axes::of(&config).expect("it has an axis");
    let law = axes.law();
    let options = Options {
        limit: Limit::Cycles(CYCLES),
        pace: Pace::Free,
        live: false,
    };
    let describe = |state: &_| axes.names.describe(state);
    board::run::<Servo>(&config, &law, law.initial(), &options, describe).expect("it runs")
}

const CYCLES: u64 = 100_000;

/// Sends this process a signal, and returns when it was handled.
fn signal_self(name: &str) {
    let line = format!("kill -s {name} {}", std::process::id());
    let status = Command::new("sh").args(["-c", &line]).status();
    assert!(status.is_ok_and(|status| status.success()), "{line}");
    let begun = std::time::Instant::now();
    while signals::stop_requested().is_none() {
        assert!(begun.elapsed().as_secs() < 60, "SIG{name} is never noted");
        std::thread::yield_now();
    }
}

fn assert_stopped_at_once(report: &Report, by: &str) {
    assert_eq!(report.exit.reason, format!("stopped by {by}"));
    assert_eq!((report.exit.code, report.cycles.run), (0, 1));
}

// One test, because the request belongs to the process.
#[test]
fn a_stop_request_ends_the_current_or_the_next_run_only() {
    // A signal between the installation of the handler and the first cycle.
    signals::install().expect("handlers can be installed");
    signal_self("TERM");
    assert_stopped_at_once(&run(), "SIGTERM");

    let next = run();
    assert_eq!(
        (next.exit.reason.as_str(), next.cycles.run),
        ("done", CYCLES)
    );

    // Between two runs; the first request counts.
    signal_self("HUP");
    signals::request_stop(StopSignal::Terminate);
    assert_stopped_at_once(&run(), "SIGHUP");
    assert_eq!(run().exit.reason, "done");
}
