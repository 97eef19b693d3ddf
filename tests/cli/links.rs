//! The local link: what its clients get, and what they cannot do.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use steadfast::config::Config;
use steadfast::link::local::MAX_CLIENTS;
use steadfast::link::protocol::{self, Answered, Kind, MAX_PACKET, Request};
use steadfast::sys::Errno;
use steadfast::sys::local_socket::{Connection, readable, wait_any};
use testbed::emulation::not_run;
use testbed::program::by_ordinary_user;

use super::signals::Running;
use super::{Scratch, command, emulated, json_at, number};

/// Longer than any answer takes.
const NEVER: Duration = Duration::from_secs(30);

/// A controller with a local link and one command, `command.speed`.
pub(super) struct Controller {
    running: Running,
    scratch: Scratch,
    socket: PathBuf,
}

impl Controller {
    pub(super) fn start(test: &str, link: &str) -> Self {
        Self::start_by(test, link, |run| run)
    }

    /// As [`Controller::start`], by the command that `by` makes of the firmware's.
    fn start_by(test: &str, link: &str, by: impl FnOnce(Command) -> Command) -> Self {
        let scratch = Scratch::new(test);
        let socket = scratch.path("link.sock");
        let text = format!(
            "{}\n[link.local]\npath = \"{}\"\n{link}\n\
             [command.speed]\nmin = -5.0\nmax = 5.0\ntimeout_ms = 5000\n",
            super::SIM_BOARD,
            socket.display()
        );
        let board = scratch.file("board.toml", &text);
        let mut command = command(["run", "--for", "1h", "--quiet", "--json"]);
        command.arg(scratch.path("report.json"));
        command.arg("--board").arg(&board);
        let mut running = Running(by(command).spawn().expect("it starts"));
        running.wait_for_cycles(200);
        Self {
            running,
            scratch,
            socket,
        }
    }

    pub(super) fn connect(&self) -> Client {
        let connection = connect(&self.socket).expect("the controller listens");
        let client = Client {
            connection,
            number: 0,
        };
        client.receive(|answer| assert!(answer.done, "{}", answer.text));
        client
    }

    /// Ends it, and gives its report. Whatever clients did, the loop kept its promises.
    pub(super) fn end(self) -> Value {
        self.end_with_errors().0
    }

    /// Its board file.
    pub(super) fn config(&self) -> Config {
        let registry = steadfast::stock::registry();
        let board = self.scratch.path("board.toml");
        Config::load_with(&board, &registry).expect("the controller runs with it")
    }

    /// As [`Controller::end`], with what it wrote to standard error.
    pub(super) fn end_with_errors(self) -> (Value, String) {
        let (report, said) = self.ended();
        assert_eq!(report["exit"]["code"], 0, "{report}");
        (report, said)
    }

    /// As [`Controller::end_with_errors`], for one that may have a fault.
    pub(super) fn ended(self) -> (Value, String) {
        self.running.signal("TERM");
        let ended = self.running.ended();
        let report = json_at(&self.scratch.path("report.json"));
        for promise in ["allocations", "minor_faults", "major_faults"] {
            assert_eq!(
                number(&report, &format!("/memory/{promise}")),
                0,
                "{promise}"
            );
        }
        assert!(!self.socket.exists(), "the socket is removed");
        (report, ended.err)
    }
}

fn connect(socket: &Path) -> Option<Connection> {
    let path = CString::new(socket.as_os_str().as_bytes()).expect("a path");
    Connection::connect(&path).ok()
}

pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) number: u32,
}

impl Client {
    /// Waits for an answer, and gives it to `check`.
    pub(super) fn receive<T>(&self, check: impl FnOnce(Answered<'_>) -> T) -> T {
        let mut packet = [0; MAX_PACKET];
        let mut waited = [readable(self.connection.as_fd())];
        let begun = Instant::now();
        while !wait_any(&mut waited, 1000).expect("poll") {
            assert!(begun.elapsed() < NEVER, "no answer");
        }
        let length = self.connection.receive(&mut packet).expect("an answer");
        let length = length.expect("it is there");
        // Behind the head of a description are numbers, which are no text.
        let answer = Answered::read(&packet[..length]).or_else(|| Answered::read(&packet[..16]));
        check(answer.expect("a well-formed answer"))
    }

    /// Asks, and gives the text of the refusal, or nothing.
    pub(super) fn ask(&mut self, kind: Kind, target: u32, values: &[f64]) -> Result<(), String> {
        self.number += 1;
        let request = Request {
            kind,
            number: self.number,
            target,
            values: values.iter().copied().collect(),
        };
        self.connection.send(&request.packet(), None).expect("sent");
        let number = self.number;
        self.receive(|answer| {
            assert_eq!(answer.number, number);
            match answer.done {
                true => Ok(()),
                false => Err(answer.text.to_owned()),
            }
        })
    }
}

#[test]
fn a_group_has_one_owner_until_it_is_released_or_its_owner_is_gone() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("owner", "");
    let (mut first, mut second) = (controller.connect(), controller.connect());
    let refused = first.ask(Kind::Write, 0, &[1.0]).expect_err("not claimed");
    assert!(refused.contains("claim it first"), "{refused}");
    first.ask(Kind::Claim, 0, &[]).expect("it is free");
    let refused = second.ask(Kind::Claim, 0, &[]).expect_err("it is taken");
    assert!(refused.contains("client 1"), "{refused}");
    first.ask(Kind::Write, 0, &[5.0]).expect("within its range");
    for wrong in [&[5.1][..], &[f64::NAN], &[], &[1.0, 1.0]] {
        first.ask(Kind::Write, 0, wrong).expect_err("out of range");
    }
    drop(first);
    let begun = Instant::now();
    while second.ask(Kind::Claim, 0, &[]).is_err() {
        assert!(begun.elapsed() < NEVER, "a lost client keeps its group");
    }
    second.ask(Kind::Write, 0, &[1.0]).expect("it is the owner");
    let mut third = controller.connect();
    third
        .ask(Kind::Revoke, 0, &[])
        .expect("every commander may stop");
    second.ask(Kind::Write, 0, &[1.0]).expect_err("it lost it");
    second.ask(Kind::Claim, 0, &[]).expect("it is free");
    second.ask(Kind::Release, 0, &[]).expect("it is the owner");
    controller.end();
}

#[test]
fn clients_that_send_garbage_do_not_read_or_flood_disturb_no_other() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("hostile", "");
    let mut commander = controller.connect();
    commander.ask(Kind::Claim, 0, &[]).expect("it is free");
    let hostile = controller.connect();
    let mut garbage = [0_u8; MAX_PACKET];
    let mut seed = 1_u64;
    for round in 0..2000 {
        for byte in &mut garbage {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 56) as u8;
        }
        // Its answers are never read: it is disconnected at last.
        if hostile
            .connection
            .send(&garbage[..1 + round % 1023], None)
            .is_err()
        {
            break;
        }
    }
    let begun = Instant::now();
    // EAGAIN: the controller has not yet read what was sent.
    while let Ok(()) | Err(Errno(libc::EAGAIN)) = hostile.connection.send(&garbage[..100], None) {
        assert!(
            begun.elapsed() < NEVER,
            "a client that does not read stays connected"
        );
        // Let the controller's thread run on a machine with one CPU.
        std::thread::yield_now();
    }
    commander
        .ask(Kind::Write, 0, &[2.0])
        .expect("still the owner");
    let others: Vec<_> = (1..MAX_CLIENTS).map(|_| controller.connect()).collect();
    let refused = connect(&controller.socket).expect("it listens");
    let refused = Client {
        connection: refused,
        number: 0,
    };
    refused.receive(|answer| assert!(!answer.done && answer.text.contains("8 clients")));
    drop(others);
    controller.end();
}

#[test]
fn who_may_connect_and_command_is_decided_by_the_board_file() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("users", "readers = \"all\"");
    // A shell cannot speak the protocol, but can see the mode.
    let mode = |path: &Path| {
        let about = std::fs::metadata(path).expect("a socket");
        std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777
    };
    assert_eq!(mode(&controller.socket), 0o666);
    controller.end();
    let controller = Controller::start("owner-only", "");
    assert_eq!(mode(&controller.socket), 0o600);
    let mut other = Command::new("test");
    other.arg("-w").arg(&controller.socket);
    by_ordinary_user(&mut other);
    let may_connect = other.status().is_ok_and(|status| status.success());
    assert!(!may_connect, "another user may not connect");
    controller.end();
}

#[test]
fn a_second_controller_does_not_take_the_socket_and_a_dead_one_leaves_it() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("taken", "");
    let board = controller.scratch.path("board.toml");
    let second = || {
        let mut second = command(["run", "--cycles", "10", "--quiet", "--board"]);
        second.arg(&board);
        super::end_of(&mut second).expect("it starts")
    };
    let refused = second();
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(
        refused.err.contains("another process listens"),
        "{}",
        refused.err
    );
    controller.connect();
    controller.running.signal("KILL");
    let _ = controller.running.ended();
    assert!(
        controller.socket.exists(),
        "a killed process cannot remove it"
    );
    assert_eq!(second().code, Some(0));
}

#[test]
fn the_answer_to_a_packet_of_another_version_says_so() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start("version", "");
    let client = controller.connect();
    let mut packet = protocol::answer(77, 9, protocol::Answer::Done, 0, "").to_vec();
    client.connection.send(&packet, None).expect("sent");
    client.receive(|answer| {
        assert_eq!((answer.kind, answer.number, answer.done), (77, 9, false));
        assert!(answer.text.contains("steadfast.h"), "{}", answer.text);
    });
    packet.truncate(3);
    client.connection.send(&packet, None).expect("sent");
    client.receive(|answer| assert!(!answer.done));
    controller.end();
}

/// A link at the place of a file that is something else must not destroy it.
#[test]
fn a_file_that_is_not_a_socket_is_not_removed() {
    let scratch = Scratch::new("not-a-socket");
    let file = scratch.file("precious", "data");
    let link = scratch.path("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    for path in [&file, &link] {
        let text = format!(
            "{}\n[link.local]\npath = \"{}\"\n",
            super::SIM_BOARD,
            path.display()
        );
        let board = scratch.file("board.toml", &text);
        let mut command = command(["run", "--cycles", "10", "--quiet", "--board"]);
        let refused = super::end_of(command.arg(&board)).expect("it starts");
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(
            refused.err.contains("a file which is not a socket"),
            "{}",
            refused.err
        );
        assert_eq!(std::fs::read(&file).expect("still there"), b"data");
    }
}

/// Without a descriptor for it, a client waits, and the controller goes on without a busy loop;
/// when another client is gone, it is accepted.
#[test]
fn a_client_beyond_the_limit_of_descriptors_waits_until_there_is_one() {
    if let Some(reason) = emulated() {
        return not_run(reason);
    }
    let controller = Controller::start_by("descriptors", "", |run| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 18; exec \"$@\"", "sh"]);
        shell.arg(run.get_program()).args(run.get_args());
        shell.stdin(Stdio::null()).stdout(Stdio::piped());
        shell.stderr(Stdio::piped());
        shell
    });
    let folder = format!("/proc/{}/fd", controller.running.0.id());
    let descriptors = || std::fs::read_dir(&folder).expect("descriptors").count();
    let begun = Instant::now();
    let mut clients = Vec::new();
    // The kernel connects all of them.
    let waiting = 'limit: loop {
        let client = connect(&controller.socket).expect("the kernel connects");
        // On a busy machine an accepted one waits as well.
        while !wait_any(&mut [readable(client.as_fd())], 500).expect("poll") {
            if descriptors() >= 18 {
                break 'limit client;
            }
            assert!(begun.elapsed() < NEVER, "the limit is not reached");
        }
        clients.push(client);
        assert!(clients.len() < MAX_CLIENTS, "the limit is not reached");
    };
    clients.pop().expect("the first was accepted");
    let mut waited = [readable(waiting.as_fd())];
    while !wait_any(&mut waited, 1000).expect("poll") {
        assert!(begun.elapsed() < NEVER, "it is never accepted");
    }
    // The report needs a descriptor as well.
    drop((clients, waiting));
    while descriptors() > 15 {
        assert!(begun.elapsed() < NEVER, "clients that are gone keep theirs");
    }
    let (_, errors) = controller.end_with_errors();
    assert!(errors.contains("could not connect"), "{errors}");
    let lines = errors.lines().count();
    assert!(lines < 20, "the log is flooded by {lines} lines");
}

/// `cargo test --test cli --no-default-features --features linux`
#[cfg(not(feature = "canopen"))]
#[test]
fn a_can_link_is_refused_by_check_and_run_of_a_firmware_without_canopen() {
    let scratch = Scratch::new("without-canopen");
    let text = format!(
        "{}\n[axis.x.command]\ntimeout_ms = 100\n\
         [link.can]\ninterface = \"can0\"\nbit_rate = 500000\nnode_id = 5\n",
        super::SIM_BOARD
    );
    let board = scratch.file("board.toml", &text);
    for (words, code) in [(&["check"][..], 2), (&["run", "--quiet", "--board"], 1)] {
        let refused = super::end_of(command(words).arg(&board)).expect("it starts");
        assert_eq!(refused.code, Some(code), "{}", refused.err);
        assert!(
            refused.err.contains("--features canopen"),
            "{}",
            refused.err
        );
    }
}
