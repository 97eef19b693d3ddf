//! The report as JSON.

use serde_json::Value;

use super::{Scratch, command, end_of, json_at, number, reason, reported};

/// The keys of the object at `pointer`, sorted.
fn keys(report: &Value, pointer: &str) -> Vec<String> {
    let object = report.pointer(pointer).and_then(Value::as_object);
    let object = object.unwrap_or_else(|| panic!("no object at {pointer} of {report}"));
    let mut keys: Vec<String> = object.keys().cloned().collect();
    keys.sort();
    keys
}

/// Requires the documented keys of every object, on which consumers rely. There may be more.
fn check_keys(report: &Value) {
    for (pointer, expected) in [
        (
            "",
            "axes board contract cycles execution_ns exit memory pace release_lateness_ns response_ns version",
        ),
        ("/contract", "kept rows"),
        (
            "/cycles",
            "bucket_fullest overruns records_dropped rest run skipped",
        ),
        (
            "/wake",
            "crowded late longest_ns margin_ns mode percent_of_cpu spin_ns",
        ),
        ("/release_lateness_ns", "max min p50 p99 p999"),
        ("/execution_ns", "max min p50 p99 p999"),
        ("/response_ns", "max min p50 p99 p999"),
        (
            "/memory",
            "allocations major_faults minor_faults stack_bytes stack_high_water_bytes vm_lck_kb vm_rss_kb",
        ),
        (
            "/axes/0",
            "name state tracking_error_max_rad tracking_error_rms_rad",
        ),
        ("/exit", "code reason"),
    ] {
        let found = keys(report, pointer);
        for key in expected.split(' ') {
            assert!(
                found.iter().any(|found| found == key),
                "{pointer}/{key} of {report}"
            );
        }
    }
}

#[test]
fn a_real_time_run_reports_every_figure() {
    let scratch = Scratch::new("json-real");
    let (ended, report) = reported("run --for 500ms --quiet", &scratch);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check_keys(&report);
    assert_eq!(
        keys(&report, "/contract/rows/0").join(" "),
        "fix name observed required verdict"
    );
    let rows = report["contract"]["rows"].as_array().expect("rows");
    let kept = rows.iter().all(|row| row["verdict"] == "kept");
    assert_eq!(report["contract"]["kept"], kept, "{report}");
    for row in rows {
        assert!(
            row["verdict"] == "kept" || row["verdict"] == "broken",
            "{row}"
        );
        assert_eq!(row["fix"] == "", row["verdict"] == "kept", "{row}");
    }
    for figure in keys(&report, "/memory") {
        assert!(report["memory"][&figure].is_u64(), "{figure} of {report}");
    }
    assert_eq!(number(&report, "/memory/allocations"), 0);
    let (used, size) = (
        number(&report, "/memory/stack_high_water_bytes"),
        number(&report, "/memory/stack_bytes"),
    );
    assert!(0 < used && used < size, "{report}");
    for times in ["release_lateness_ns", "execution_ns", "response_ns"] {
        let times =
            ["min", "p50", "p99", "p999", "max"].map(|q| number(&report[times], &format!("/{q}")));
        assert!(times.is_sorted() && times[4] > 0, "{report}");
    }
    assert_eq!(
        (report["axes"][0]["name"].as_str(), reason(&report)),
        (Some("x"), "done")
    );
    assert_eq!(report["pace"], "real");
}

#[test]
fn a_watch_of_the_clock_is_honoured_on_the_real_clock_and_ignored_on_the_virtual_one() {
    let scratch = Scratch::new("wake");
    let spin = [("[loop]\n", "[loop]\nwake = \"spin\"\nspin_us = 90\n")];
    let board = scratch.board(super::SIM_BOARD, &spin);
    let run = |pace: &str| {
        let board = board.display();
        reported(
            &format!("run {pace} --for 200ms --quiet --board {board}"),
            &scratch,
        )
        .1
    };
    let real = run("")["wake"].clone();
    assert_eq!(
        (&real["mode"], &real["percent_of_cpu"]),
        (&"spin".into(), &9.into())
    );
    assert_eq!(number(&real, "/margin_ns"), 90_000);
    assert!(number(&real, "/longest_ns") > 0, "{real}");
    let ran = run("--pace free");
    assert_eq!(number(&ran, "/release_lateness_ns/max"), 0);
    assert!(ran["wake"]["longest_ns"].is_null(), "{ran}");
}

#[test]
fn run_plus_skipped_equal_the_requested_periods() {
    let scratch = Scratch::new("periods");
    let (_, report) = reported("run --for 400ms --quiet", &scratch);
    let (run, skipped) = (
        number(&report, "/cycles/run"),
        number(&report, "/cycles/skipped"),
    );
    // Slots skipped by the very last cycle reach beyond the end.
    assert!(
        run + skipped >= 400 && run + skipped - 400 <= skipped,
        "{report}"
    );
    assert!(run <= 400, "{report}");
    let (_, report) = reported("run --pace free --for 12345ms --quiet", &scratch);
    assert_eq!(
        number(&report, "/cycles/run") + number(&report, "/cycles/skipped"),
        12_345
    );
    // A period that begins within the time is run.
    let (_, report) = reported("run --pace free --for 1500us --quiet", &scratch);
    assert_eq!(number(&report, "/cycles/run"), 2);
}

#[test]
fn a_cycle_longer_than_the_period_skips_and_counts_slots() {
    let scratch = Scratch::new("skips");
    let slow = [("cycle_cost_us = 20", "cycle_cost_us = 2500")];
    let board = scratch.board(super::SIM_BOARD, &slow);
    let line = format!(
        "run --pace free --for 3s --quiet --board {}",
        board.display()
    );
    let (ended, report) = reported(&line, &scratch);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // 2.5 periods per cycle: the next release is the third.
    assert_eq!(number(&report, "/cycles/run"), 1000);
    assert_eq!(number(&report, "/cycles/skipped"), 2000);
    assert_eq!(number(&report, "/cycles/overruns"), 1000);
}

#[test]
fn the_requested_number_of_cycles_runs() {
    let scratch = Scratch::new("cycles");
    for (line, cycles) in [
        ("run --cycles 250 --quiet", 250),
        ("run --cycles 1 --quiet", 1),
        ("run --pace free --cycles 54321 --quiet", 54_321),
    ] {
        let (ended, report) = reported(line, &scratch);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(number(&report, "/cycles/run"), cycles, "{line}");
    }
}

#[test]
fn virtual_runs_of_one_seed_give_identical_reports_and_other_seeds_differ() {
    let scratch = Scratch::new("seeds");
    let reports = [("1", "a"), ("1", "b"), ("2", "c")].map(|(seed, name)| {
        let board = scratch.board(
            super::SIM_BOARD,
            &[("seed = 1\n", &format!("seed = {seed}\n"))],
        );
        let path = scratch.path(name);
        let mut command = command(["run", "--pace", "free", "--for", "10s", "--quiet"]);
        let run = end_of(command.arg("--board").arg(&board).arg("--json").arg(&path));
        assert_eq!(run.expect("it starts").code, Some(0));
        std::fs::read(&path).expect("a report")
    });
    assert!(reports[0] == reports[1], "the same seed");
    assert!(reports[0] != reports[2], "another seed");
    let report = json_at(&scratch.path("a"));
    check_keys(&report);
    assert_eq!(number(&report, "/cycles/run"), 10_000);
    assert_eq!(
        (report["pace"].as_str(), &report["contract"]["kept"]),
        (Some("free"), &false.into())
    );
    for figure in keys(&report, "/memory") {
        let taken = figure == "allocations";
        assert_eq!(
            report["memory"][&figure].is_null(),
            !taken,
            "{figure} of {report}"
        );
    }
    let error = report["axes"][0]["tracking_error_max_rad"]
        .as_f64()
        .expect("a figure");
    assert!(error > 0.0 && error < 0.1, "{report}");
}
