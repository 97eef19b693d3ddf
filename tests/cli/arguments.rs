//! Valid and invalid arguments.

use super::{Scratch, command, end_of, steadfast};

#[test]
fn version_and_help_are_printed_with_exit_0() {
    let version = steadfast("--version");
    assert_eq!(version.code, Some(0));
    assert_eq!(
        version.out,
        concat!("steadfast ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = steadfast("--help");
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for word in [
        "--board",
        "--for",
        "--cycles",
        "--pace",
        "--json",
        "--quiet",
        "--supervised",
        "check",
        "doctor",
        "setup",
        "--version",
        "--help",
        "exit codes",
    ] {
        assert!(help.out.contains(word), "{word} in {}", help.out);
    }
    assert_eq!(steadfast("run --help").out, help.out);
}

#[test]
fn an_invalid_argument_is_one_line_and_exit_2() {
    for (line, words) in [
        ("--fast", "--fast"),
        ("walk", "\"walk\""),
        ("run --for 10", "10s"),
        ("run --for 1s --cycles 5", "exclude"),
        ("run --cycles many", "many"),
        ("run --pace slow", "slow"),
        ("run --json", "json"),
        ("run board.toml", "--board board.toml"),
        ("check", "FILE"),
        ("check --json x y", "--json"),
        ("doctor --for 1s", "--for"),
        ("-x", "-x"),
    ] {
        let ended = steadfast(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{line}");
        let error = ended.error_line();
        assert!(
            error.starts_with("steadfast: ") && error.contains(words),
            "{error}"
        );
        assert!(error.contains("see steadfast --help"), "{error}");
    }
}

#[test]
fn a_non_utf8_or_control_character_argument_is_one_line_and_exit_2() {
    use std::os::unix::ffi::OsStrExt;
    for bytes in [&b"\xff"[..], b"--\xff", b"a\nb", b"\x1b[2J"] {
        let ended = end_of(&mut command([std::ffi::OsStr::from_bytes(bytes)])).expect("it starts");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.error_line();
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_run() {
    let scratch = Scratch::new("unwritable");
    let below_a_file = scratch.file("file", "").join("report.json");
    let missing = scratch.path("no/such/directory.json");
    for path in [&scratch.0, &below_a_file, &missing] {
        // If the run came first, it would take ten days.
        let mut command = command(["run", "--for", "240h", "--json"]);
        let ended = end_of(command.arg(path)).expect("it starts");
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        let error = ended.error_line();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains("name a writable file"), "{error}");
    }
}

#[test]
fn a_run_that_does_not_start_leaves_existing_reports_unchanged() {
    let scratch = Scratch::new("never-was");
    let board = scratch.board(super::SIM_BOARD, &[("[simulation.motor.x]", "[gone.x]")]);
    let (old, new) = (scratch.file("old.json", "old"), scratch.path("new.json"));
    for path in [&old, &new] {
        let mut command = command(["run", "--board"]);
        let ended = end_of(command.arg(&board).arg("--json").arg(path));
        assert_eq!(ended.expect("it starts").code, Some(2));
    }
    assert_eq!(std::fs::read_to_string(&old).expect("kept"), "old");
    assert!(!new.exists());
}

#[test]
fn a_longer_old_report_is_replaced_completely() {
    let scratch = Scratch::new("older");
    let path = scratch.file("report.json", &"x".repeat(100_000));
    let mut command = command(["run", "--pace", "free", "--for", "10ms", "--json"]);
    let ended = end_of(command.arg(&path)).expect("it starts");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(super::number(&super::json_at(&path), "/cycles/run"), 10);
}

#[test]
fn a_virtual_clock_with_real_devices_is_refused() {
    let scratch = Scratch::new("free-linux");
    // Saved parameters, which are read first, are on a disk that is not mounted here.
    let text = include_str!("../board_files/linux.toml")
        .split("\n[parameters]")
        .next();
    let board = scratch.file("b.toml", text.expect("a first part"));
    let mut command = command(["run", "--pace", "free", "--board"]);
    let ended = end_of(command.arg(&board)).expect("it starts");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .error_line()
            .contains("--pace free needs a simulated board")
    );
}
