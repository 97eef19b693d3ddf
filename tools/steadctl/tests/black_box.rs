//! The black boxes and flight files of runs, and what `steadctl` shows of them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use steadfast::stock::SIM_BOARD;
use testbed::emulation::{self, not_run};
use testbed::program::{Ended, Scratch, by_ordinary_user, end_of};

const STEADCTL: &str = env!("CARGO_BIN_EXE_steadctl");

/// The firmware, in the same folder. It is in another package, so cargo builds it only with
/// `cargo test --workspace`.
fn firmware() -> PathBuf {
    let path = Path::new(STEADCTL).with_file_name("steadfast");
    assert!(
        path.exists(),
        "{} is not built; run cargo test --workspace",
        path.display()
    );
    path
}

/// The reason to skip tests that need a real kernel, if there is one.
fn emulated() -> Option<&'static str> {
    emulation::emulator().map(|_| "user-mode emulation: its locks and limits are not the program's")
}

/// The firmware with these arguments; none of its streams is a terminal.
fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = emulation::start(&firmware());
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn json_at(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a report");
    serde_json::from_str(&text).expect("the report is JSON")
}

/// A tmpfs that exists on any Linux.
const MEMORY: &str = "/dev/shm";

/// A folder of one test in memory, removed after the test.
struct Memory(PathBuf);

impl Memory {
    fn new(test: &str) -> Option<Self> {
        if let Some(reason) = emulated() {
            not_run(reason);
            return None;
        }
        if !Path::new(MEMORY).is_dir() {
            not_run("there is no /dev/shm");
            return None;
        }
        let path = Path::new(MEMORY).join(format!("sf-{}-{test}", std::process::id()));
        Some(Self(path))
    }

    fn flight(&self) -> PathBuf {
        self.0.join("sim.flight")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The simulated board with a black box in `scratch`.
fn board(scratch: &Scratch, memory: &Memory, boxes: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let path = scratch.patient_board(SIM_BOARD, changes);
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    writeln!(
        file,
        "\n[black_box]\ndirectory = \"{}\"\nmemory = \"{}\"",
        boxes.display(),
        memory.0.display()
    )
    .unwrap();
    path
}

fn run(board: &Path, more: &str) -> Ended {
    let mut command = command(["run", "--quiet", "--board"]);
    command.arg(board).args(more.split_whitespace());
    end_of(&mut command).unwrap()
}

fn steadctl(args: &[&str], file: &Path) -> Ended {
    end_of(Command::new(STEADCTL).args(args).arg(file)).unwrap()
}

#[expect(clippy::zombie_processes, reason = "the caller waits for the child")]
fn start(board: &Path, memory: &Memory) -> Child {
    let mut command = command(["run", "--quiet", "--for", "60s", "--board"]);
    let mut child = command.arg(board).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let status = steadctl(&["status"], &memory.flight());
        let cycles = status.out.lines().find_map(|line| {
            let rest = line.strip_prefix("cycles")?.trim_start();
            rest.split(',').next()?.parse::<u64>().ok()
        });
        if cycles.is_some_and(|cycles| cycles > 50) {
            assert!(status.out.contains("running"), "{status:?}");
            return child;
        }
        if Instant::now() >= patience {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it never ran: {status:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A person who changes a gain, and a program that commands and dies, shortly before the controller
/// does.
#[test]
fn a_black_box_has_the_changed_parameters_and_the_lost_clients() {
    let Some(memory) = Memory::new("changed") else {
        return;
    };
    let scratch = Scratch::new("bb-changed");
    let boxes = scratch.path("boxes");
    let board = board(&scratch, &memory, &boxes, &[]);
    let socket = scratch.path("link.sock");
    let mut file = fs::File::options().append(true).open(&board).unwrap();
    let command = "force_with_power = [\"output.lamp\"]\n[command.speed]\nunit = \"rad/s\"\nmin = -5.0\nmax = 5.0\ntimeout_ms = 2000\n\
                   [output.lamp]\nsafe = false\nmax_hold_ms = 20\nshutdown = 2";
    let path = socket.display();
    writeln!(file, "\n[link.local]\npath = \"{path}\"\n{command}").unwrap();
    let mut killed = start(&board, &memory);
    let beside = |words: &[&str]| {
        let mut command = Command::new(STEADCTL);
        command.args(words).arg("--socket").arg(&socket);
        command
    };
    let set = end_of(&mut beside(&["set", "x.gains.kp", "42.5"])).unwrap();
    assert_eq!(set.code, Some(0), "{set:?}");
    let mut commander = beside(&["set", "command.speed", "1.5"]).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while !(end_of(&mut beside(&["get", "command.speed"])).unwrap().out).contains("1.5") {
        assert!(Instant::now() < patience, "it does not command");
    }
    let forced = end_of(&mut beside(&[
        "force",
        "output.lamp",
        "on",
        "--for",
        "50ms",
    ]))
    .unwrap();
    assert_eq!(forced.code, Some(0), "{forced:?}");
    commander.kill().unwrap();
    commander.wait().unwrap();
    // The reporter empties its queue every 20 ms.
    std::thread::sleep(Duration::from_millis(500));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let next = run(&board, "--cycles 10");
    assert_eq!(next.code, Some(0), "{next:?}");
    let shown = steadctl(&["blackbox"], &boxes.join("sim-000001.blackbox"));
    // Which number a client has depends on how long the end of the one before it takes.
    let client = |before: &str, after: &str| {
        shown.out.lines().any(|line| {
            let named = line.split_once(before).map(|(_, rest)| rest);
            let rest = named.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            rest == Some(after)
        })
    };
    let was = "parameter gains.kp of x was 40 V/rad";
    assert!(shown.out.contains(was), "{shown:?}");
    assert!(
        shown.out.contains("output.lamp was forced to 1"),
        "{shown:?}"
    );
    assert!(client("client ", " set it to 42.5"), "{shown:?}");
    let gone = " no longer commands command.speed: it is gone";
    assert!(client("client ", gone), "{shown:?}");
}

#[test]
fn the_next_start_saves_the_black_box_of_a_killed_process() {
    let Some(memory) = Memory::new("killed") else {
        return;
    };
    let scratch = Scratch::new("bb-killed");
    let boxes = scratch.path("boxes");
    let board = board(&scratch, &memory, &boxes, &[]);
    let mut killed = start(&board, &memory);

    let second = run(&board, "--cycles 10");
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.error_line().contains("another process controls"));

    killed.kill().unwrap();
    killed.wait().unwrap();
    let status = steadctl(&["status"], &memory.flight());
    assert!(status.out.contains("DEAD"), "{status:?}");

    let report = scratch.path("r.json");
    let next = run(&board, &format!("--cycles 10 --json {}", report.display()));
    assert_eq!(next.code, Some(0), "{next:?}");
    let file = boxes.join("sim-000001.blackbox");
    let saved = json_at(&report).pointer("/black_box/saved/0").cloned();
    assert_eq!(saved, Some(file.to_str().unwrap().into()));

    let shown = steadctl(&["blackbox"], &file);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.out.contains("cause = no cause written"), "{shown:?}");
    assert!(shown.out.contains("the first cycle"), "{shown:?}");
    let csv = steadctl(&["blackbox", "--csv"], &file);
    assert!(csv.out.lines().count() > 40, "{csv:?}");
    assert!(csv.out.starts_with("slot,lateness_ns,"), "{csv:?}");

    // The archive for a bug report has it.
    let report = scratch.path("report.tar.gz");
    let mut command = Command::new(STEADCTL);
    command.args(["doctor", "--pack"]).arg(&report);
    command
        .arg("--board")
        .arg(&board)
        .arg("--program")
        .arg(firmware());
    let packed = end_of(&mut command).unwrap();
    assert_eq!(packed.code, Some(0), "{packed:?}");
    let bytes = fs::read(&file).unwrap();
    let gzip = flate2::read::GzDecoder::new(fs::File::open(&report).unwrap());
    let mut archive = tar::Archive::new(gzip);
    let found = archive.entries().unwrap().any(|entry| {
        let mut entry = entry.unwrap();
        let mut of_entry = Vec::new();
        entry.read_to_end(&mut of_entry).unwrap();
        of_entry == bytes
            && entry
                .path()
                .unwrap()
                .ends_with("black-box/sim-000001.blackbox")
    });
    assert!(found, "{packed:?}");
    for part in [
        "board.toml",
        "check",
        "doctor",
        "sim.status",
        "sim.contract",
        "sim.flight",
    ] {
        assert!(
            packed.out.contains(&format!("\n  {part} ")),
            "{part}: {packed:?}"
        );
    }

    let cut = scratch.path("cut.blackbox");
    fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let shown = steadctl(&["blackbox"], &cut);
    assert_eq!(shown.code, Some(5), "{shown:?}");
    assert!(shown.out.starts_with("DAMAGED"), "{shown:?}");

    // A run that ended in order leaves nothing to save.
    assert_eq!(run(&board, "--cycles 10").code, Some(0));
    assert_eq!(fs::read_dir(&boxes).unwrap().count(), 1, "and no mark");
}

#[test]
fn a_fault_ends_with_a_black_box_that_names_it() {
    let Some(memory) = Memory::new("fault") else {
        return;
    };
    let scratch = Scratch::new("bb-fault");
    let boxes = scratch.path("boxes");
    // No machine meets a deadline of 1 us.
    let changes = [
        ("period_us = 1000", "period_us = 1000\ndeadline_us = 1"),
        ("action = \"count\"", "action = \"escalate\""),
    ];
    let board = board(&scratch, &memory, &boxes, &changes);
    let ended = run(&board, "--for 5s");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let shown = steadctl(&["blackbox"], &boxes.join("sim-000001.blackbox"));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.out.contains("missed deadlines"), "{shown:?}");
    assert!(shown.out.contains("exit = 4"), "{shown:?}");
    assert!(shown.out.contains("overrun"), "{shown:?}");
}

#[test]
fn a_quick_stop_after_overruns_is_in_status_and_black_box() {
    let Some(memory) = Memory::new("stop") else {
        return;
    };
    let scratch = Scratch::new("bb-stop");
    let boxes = scratch.path("boxes");
    // As above, but without a fault of the ladder.
    let changes = [
        ("period_us = 1000", "period_us = 1000\ndeadline_us = 1"),
        (
            "action = \"count\"",
            "action = \"escalate\"\nfault = 1000000",
        ),
    ];
    let board = board(&scratch, &memory, &boxes, &changes);
    let ended = run(&board, "--for 3s");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let status = steadctl(&["status"], &memory.flight());
    let words = [
        "quick stops      1, the last at 0.",
        "too many missed deadlines (overrun ladder)",
        "NOT ARMED AGAIN",
    ];
    assert!(
        words.iter().all(|word| status.out.contains(word)),
        "{status:?}"
    );
    // One during the run, one at its end.
    for (file, cause) in [
        ("sim-000001.blackbox", "cause = quick stop: too many missed"),
        ("sim-000002.blackbox", "exit = 5"),
    ] {
        let shown = steadctl(&["blackbox"], &boxes.join(file));
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.out.contains(cause), "{shown:?}");
        let event = "  quick stop: too many missed deadlines (overrun ladder), ";
        assert!(shown.out.contains(event), "{shown:?}");
        assert!(shown.out.contains("quick-stop+stopped"), "{shown:?}");
    }
}

#[test]
fn a_watchdog_reset_without_records_gives_a_black_box() {
    let Some(memory) = Memory::new("reset") else {
        return;
    };
    let scratch = Scratch::new("bb-reset");
    let boxes = scratch.path("boxes");
    let board = board(&scratch, &memory, &boxes, &[]);
    let mut killed = start(&board, &memory);
    killed.kill().unwrap();
    killed.wait().unwrap();
    fs::remove_file(memory.flight()).unwrap();
    assert_eq!(run(&board, "--cycles 10").code, Some(0));
    let shown = steadctl(&["blackbox"], &boxes.join("sim-000001.blackbox"));
    assert!(shown.out.contains("power was lost"), "{shown:?}");
}

#[test]
fn an_unwritable_disk_does_not_end_the_run_and_the_black_box_is_saved_later() {
    let Some(memory) = Memory::new("disk") else {
        return;
    };
    let scratch = Scratch::new("bb-disk");
    // Not even root can make a folder below a file.
    let file = scratch.file("file", "");
    let boxes = file.join("boxes");
    let board = board(&scratch, &memory, &boxes, &[]);
    let mut killed = start(&board, &memory);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let report = scratch.path("r.json");
    let next = run(&board, &format!("--cycles 10 --json {}", report.display()));
    assert_eq!(next.code, Some(0), "{next:?}");
    let line = next.error_line();
    let words = [boxes.to_str().unwrap(), "cannot be created", "set another"];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    let failed = json_at(&report).pointer("/black_box/failed/0").cloned();
    assert!(failed.is_some(), "{next:?}");

    fs::remove_file(&file).unwrap();
    assert_eq!(run(&board, "--cycles 10").code, Some(0));
    let shown = steadctl(&["blackbox"], &boxes.join("sim-000001.blackbox"));
    assert!(shown.out.contains("no cause written"), "{shown:?}");
}

#[test]
fn a_read_only_folder_is_one_line_and_does_not_end_the_run() {
    let Some(memory) = Memory::new("ro") else {
        return;
    };
    let scratch = Scratch::new("bb-ro");
    let boxes = scratch.path("boxes");
    fs::create_dir(&boxes).unwrap();
    fs::set_permissions(&boxes, fs::Permissions::from_mode(0o555)).unwrap();
    let board = board(&scratch, &memory, &boxes, &[]);
    // Root may write anywhere.
    let mut command = Command::new(scratch.copy(&firmware()));
    command.args(["run", "--quiet", "--cycles", "10", "--board"]);
    by_ordinary_user(command.arg(&board));
    let ended = end_of(&mut command).unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.error_line().contains("could not be marked"));
}

#[test]
fn a_folder_on_a_disk_is_refused_for_the_flight_file() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let scratch = Scratch::new("bb-on-disk");
    // /proc is never a tmpfs.
    let memory = Memory(PathBuf::from("/proc/self"));
    let board = board(&scratch, &memory, &scratch.path("boxes"), &[]);
    std::mem::forget(memory);
    let refused = run(&board, "--cycles 10");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error_line().contains("is not in memory"));
}

#[test]
fn a_file_of_another_kind_is_refused_in_one_line() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let scratch = Scratch::new("bb-none");
    let text = scratch.file("text", "nothing of it");
    for args in [&["blackbox"][..], &["status"]] {
        let ended = steadctl(args, &text);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.error_line().contains("name "), "{ended:?}");
        let missing = steadctl(args, &scratch.path("missing"));
        assert_eq!(missing.code, Some(1), "{missing:?}");
        missing.error_line();
    }
}
