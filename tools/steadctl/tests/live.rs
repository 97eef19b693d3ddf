//! `steadctl` beside a running controller.

#[path = "live/forced.rs"]
mod forced;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use steadfast::stock::{SIM_BOARD, SIM_INTERACTIVE};
use testbed::emulation::{self, not_run};
use testbed::program::{Ended, Scratch, end_of};

const STEADCTL: &str = env!("CARGO_BIN_EXE_steadctl");

/// The simulated board with a link and a command, while it lives.
struct Controller {
    child: Child,
    socket: PathBuf,
    _scratch: Scratch,
}

fn firmware() -> Command {
    emulation::start(&Path::new(STEADCTL).with_file_name("steadfast"))
}

/// A run of the firmware with `board`.
fn run(board: &Path) -> Command {
    let mut command = firmware();
    command.args(["run", "--for", "1h", "--quiet", "--board"]);
    command.arg(board);
    command
}

impl Controller {
    fn start(test: &str) -> Self {
        let scratch = Scratch::new(test);
        let socket = scratch.path("link.sock");
        let text = format!(
            "{SIM_BOARD}\n[link.local]\npath = \"{}\"\n\
             force_with_power = [\"output.lamp\", \"input.door\"]\n[input.door]\n\
             [output.lamp]\nsafe = false\nmax_hold_ms = 20\nshutdown = 2\n[command.speed]\nunit = \"rad/s\"\n\
             min = -5.0\nmax = 5.0\ntimeout_ms = 2000\n",
            socket.display()
        );
        let mut command = run(&scratch.file("board.toml", &text));
        command.stderr(Stdio::null());
        Self::started(command, socket, scratch)
    }

    /// The demonstration.
    fn interactive(test: &str) -> Self {
        let scratch = Scratch::new(test);
        let folder = scratch.path("");
        let mut command = firmware();
        command
            .args(["--interactive", "--quiet"])
            .env("XDG_RUNTIME_DIR", &folder)
            .env_remove("RUNTIME_DIRECTORY");
        Self::started(command, folder.join("steadfast-sim.sock"), scratch)
    }

    /// The demonstration from a board file in `scratch`, with a file for saved parameters there.
    fn saving(scratch: &Scratch) -> Self {
        let saved = scratch.path("saved.toml");
        let saves = format!("\n[parameters]\nfile = \"{}\"\n", saved.display());
        Self::changed(scratch, |text| text + &saves)
    }

    /// The demonstration from a board file in `scratch`, as `change` makes it; without the list of
    /// positions.
    fn changed(scratch: &Scratch, change: impl Fn(String) -> String) -> Self {
        let socket = scratch.path("link.sock");
        let interactive = SIM_INTERACTIVE.replace(
            "[link.local]",
            &format!("[link.local]\npath = \"{}\"", socket.display()),
        );
        let text = format!("{SIM_BOARD}\n{interactive}\n").replace(
            "[axis.x.motion]\npositions_rad = [6.283185, -6.283185]\ndwell_s = 0.25\n",
            "",
        );
        let mut command = run(&scratch.file("board.toml", &change(text)));
        command.stderr(std::fs::File::create(scratch.path("log")).expect("a log"));
        Self::started(command, socket, Scratch::new("changed"))
    }

    /// Starts the controller, and waits until it answers.
    fn started(mut command: Command, socket: PathBuf, scratch: Scratch) -> Self {
        let controller = Self {
            child: command
                .stdin(Stdio::null())
                .spawn()
                .expect("run cargo test --workspace"),
            socket,
            _scratch: scratch,
        };
        let begun = Instant::now();
        while controller.steadctl("get x.position").code != Some(0) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it does not start"
            );
        }
        controller
    }

    /// Runs `steadctl` with the words of `line` and the socket.
    fn steadctl(&self, line: &str) -> Ended {
        let mut command = Command::new(STEADCTL);
        command.args(line.split_whitespace());
        command.arg("--socket").arg(&self.socket);
        end_of(&mut command).expect("it starts")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn signals_of_a_running_controller_are_read_and_commands_set() {
    if let Some(reason) = emulation::emulator().map(|_| "user-mode emulation has no such sockets") {
        return not_run(reason);
    }
    let controller = Controller::start("live");
    let listed = controller.steadctl("signals");
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    let line = |name: &str| {
        let found = listed.out.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}: {}", listed.out))
    };
    assert!(line("command.speed").ends_with("no value   may be set, -5 to 5"));
    assert!(line("input.emergency_stop").ends_with("off"));
    assert!(line("x.position").ends_with("rad"));

    let got = controller.steadctl("get output.enable input.emergency_stop");
    assert_eq!((got.code, got.out.lines().count()), (Some(0), 2));
    let watched = controller.steadctl("watch x.position --for 500ms");
    assert_eq!(watched.code, Some(0), "{}", watched.err);
    assert!(watched.out.lines().all(|line| line.contains("x.position")));

    let mut set = Command::new(STEADCTL);
    set.args(["set", "command.speed", "60rpm", "--for", "60s", "--socket"]);
    let mut set = set.arg(&controller.socket).spawn().expect("it starts");
    // 60 rpm are 2 pi rad/s, above the limit.
    assert_eq!(set.wait().expect("it ends").code(), Some(2));
    let mut set = Command::new(STEADCTL);
    set.args([
        "set",
        "command.speed",
        "-90deg/s",
        "--for",
        "60s",
        "--socket",
    ]);
    let mut set = set.arg(&controller.socket).spawn().expect("it starts");
    let begun = Instant::now();
    while controller.steadctl("get command.speed").out != "-1.570796 rad/s\n" {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is never set");
    }
    let refused = controller.steadctl("set command.speed 1 --for 1s");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.error_line().contains("commands it"),
        "{}",
        refused.err
    );
    set.kill().expect("it runs");
    set.wait().expect("it ends");
    let begun = Instant::now();
    while controller.steadctl("get command.speed").out != "no value\n" {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "a dead client commands"
        );
    }
}

/// The demonstration, which a second terminal drives as README.md says.
#[test]
fn the_demonstration_is_driven_from_a_second_terminal() {
    if let Some(reason) = emulation::emulator().map(|_| "user-mode emulation has no such sockets") {
        return not_run(reason);
    }
    let controller = Controller::interactive("interactive");
    let position = || {
        let got = controller.steadctl("get x.position");
        let number = got
            .out
            .split(' ')
            .next()
            .and_then(|text| text.parse::<f64>().ok());
        number.unwrap_or_else(|| panic!("no position: {}", got.out))
    };
    let moved = controller.steadctl("move x 90deg");
    assert_eq!(moved.code, Some(0), "{}", moved.err);
    assert!((position() - std::f64::consts::FRAC_PI_2).abs() < 0.05);
    let jogged = controller.steadctl("jog x -90deg/s --for 300ms");
    assert_eq!(jogged.code, Some(0), "{}", jogged.err);
    assert!(position() < 1.5, "it turned back");
    let homed = controller.steadctl("home x");
    assert_eq!(homed.code, Some(0), "{}", homed.err);
    let watched = controller.steadctl("watch --for 300ms");
    assert!(watched.out.contains("x.statusword"), "{}", watched.out);

    let mut jog = Command::new(STEADCTL);
    jog.args(["jog", "x", "1rad/s", "--socket"])
        .arg(&controller.socket);
    let mut jog = jog.stderr(Stdio::piped()).spawn().expect("it starts");
    let begun = Instant::now();
    while controller.steadctl("get x.mode_display").out != "3\n" {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it does not turn"
        );
    }
    assert_eq!(controller.steadctl("stop").code, Some(0));
    assert_eq!(jog.wait().expect("it ends").code(), Some(1));
    // A program that is ended stops its axis and gives it up: no fault, and the axis has no owner.
    let slow = controller.steadctl("set x.profile.velocity_rad_s 1rad/s");
    assert_eq!(slow.code, Some(0), "{}", slow.err);
    for (line, signal, code) in [
        ("jog x 1rad/s", "INT", 0),
        ("jog x 1rad/s", "TERM", 0),
        ("jog x 1rad/s", "HUP", 0),
        ("move x -3.5rad", "TERM", 1),
    ] {
        let mut words = Command::new(STEADCTL);
        words
            .args(line.split(' '))
            .arg("--socket")
            .arg(&controller.socket);
        let ended = words.stderr(Stdio::piped()).spawn().expect("it starts");
        let number = |name: &str| -> f64 {
            let got = controller.steadctl(&format!("get {name}")).out;
            let number = got.split_whitespace().next();
            number.map_or(f64::NAN, |text| text.parse().expect("a number"))
        };
        let begun = Instant::now();
        while number("x.velocity").abs() < 0.7 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{line}: no motion"
            );
        }
        let process = ended.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &process])
            .status();
        assert!(sent.expect("kill").success());
        let ended = ended.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{signal}: {said}");
        assert_eq!(said.contains("ended by SIGTERM"), code == 1, "{said}");
        assert_eq!(number("x.fault"), 0.0, "{line} {signal}");
        // One count of the encoder in a period is 0.4 rad/s.
        assert!(number("x.velocity").abs() < 0.6, "{line} {signal}");
        let word = number("x.statusword") as u16;
        assert!(
            matches!(word & 0x6F, 0x21 | 0x40),
            "{line} {signal}: {word:04X}"
        );
    }
    for (line, what) in [
        ("move y 1", "commanded axes: x"),
        ("move x 1m", "has another unit"),
        ("set x.mode 1", "use `move` or `jog`"),
    ] {
        let ended = controller.steadctl(line);
        assert_eq!(ended.code, Some(2), "{line}: {}", ended.err);
        assert!(ended.error_line().contains(what), "{line}: {}", ended.err);
    }
}

/// The interactive demonstration with a file for parameters, whose axis another program holds
/// where it is.
#[test]
fn parameters_change_while_the_axis_holds_its_position() {
    if let Some(reason) = emulation::emulator().map(|_| "user-mode emulation has no such sockets") {
        return not_run(reason);
    }
    let scratch = Scratch::new("parameters");
    let saved = scratch.path("saved.toml");
    let controller = Controller::saving(&scratch);
    let steadctl = |line: &str| {
        let ended = controller.steadctl(line);
        assert_eq!(ended.code, Some(0), "{line}: {}", ended.err);
        ended.out
    };
    let number = |name: &str| -> f64 {
        let got = steadctl(&format!("get {name}"));
        let number = got
            .split_whitespace()
            .next()
            .and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("no {name}: {got}"))
    };
    let mut jog = Command::new(STEADCTL);
    jog.args(["jog", "x", "0rad/s", "--socket"])
        .arg(&controller.socket);
    let mut jog = jog.spawn().expect("it starts");
    let begun = Instant::now();
    while number("x.statusword") as u16 & 0x6F != 0x27 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no power");
    }
    let position = number("x.position");
    let set = "set x.gains.kp 60 x.gains.ki 300 x.profile.velocity_rad_s 90deg/s";
    assert_eq!(
        steadctl(set),
        "x.gains.kp  40 -> 60 V/rad\nx.gains.ki  200 -> 300 V/rad/s\n\
         x.profile.velocity_rad_s  20 -> 1.5707963267948966 rad/s\n"
    );
    assert_eq!(steadctl("get x.gains.kp"), "60 V/rad\n");
    assert_eq!(steadctl("diff").lines().count(), 3);
    assert!(steadctl("parameters").contains("60 V/rad   0 to 1000000000, 40 at the start"));
    // It holds its position, with power, and what is refused changes nothing.
    for (line, code, what) in [
        (
            "set x.gains.kp 70 x.profile.velocity_rad_s 41",
            1,
            "it must be from 0 to 40",
        ),
        ("set x.gains.kp -1", 1, "gains.kp is -1, it must be from 0"),
        ("set x.gains.kp", 2, "VALUE"),
        ("set x.gains.kp 70 x.gains.ki", 2, "has no value"),
        ("set x.gains.kp 70rad", 2, "has another unit"),
        ("set x.gains.kp 70 --for 1s", 2, "leave --for out"),
        (
            "set x.gains.kp 70 x.gains.kpp 1",
            2,
            "there is no parameter \"x.gains.kpp\"",
        ),
        ("save", 1, "x has power; stop it"),
        ("restore", 1, "x has power"),
        ("revert x.gains.kpp", 2, "there is no parameter"),
    ] {
        let ended = controller.steadctl(line);
        assert_eq!(ended.code, Some(code), "{line}: {}", ended.err);
        assert!(ended.error_line().contains(what), "{line}: {}", ended.err);
    }
    assert_eq!(number("x.gains.kp"), 60.0);
    assert!(
        (number("x.position") - position).abs() < 0.02,
        "it has moved"
    );
    assert_eq!(
        number("x.statusword") as u16 & 0x6F,
        0x27,
        "it has lost its power"
    );
    steadctl("stop");
    assert_eq!(jog.wait().expect("it ends").code(), Some(1));
    // The loop moves with the new profile: 1 rad at 1.57 rad/s instead of 20 rad/s.
    let begun = Instant::now();
    steadctl("move x 1rad --relative");
    assert!(begun.elapsed() > Duration::from_millis(600), "too fast");
    assert_eq!(
        steadctl("revert x.gains.kp"),
        "x.gains.kp  60 -> 40 V/rad\n"
    );
    assert_eq!(steadctl("diff").lines().count(), 2);
    // Saved without power, and in force after the controller was killed.
    let begun = Instant::now();
    while number("x.statusword") as u16 & 0x4F != 0x40 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it keeps power");
    }
    assert_eq!(steadctl("save"), "saved 2 parameters for the next start\n");
    let ki = "x.gains.ki  200 -> 300 V/rad/s, saved 300\n";
    assert!(steadctl("diff").starts_with(ki), "{}", steadctl("diff"));
    drop(controller);
    let log = std::fs::read_to_string(scratch.path("log")).expect("a log");
    let line = format!(
        "saved 2 parameters for the next start ({})",
        saved.display()
    );
    assert!(log.contains(&line), "{log}");

    let controller = Controller::saving(&scratch);
    let steadctl = |line: &str| {
        let ended = controller.steadctl(line);
        assert_eq!(ended.code, Some(0), "{line}: {}", ended.err);
        ended.out
    };
    let in_force = "x.gains.ki  300 V/rad/s, saved 300, board file 200\n";
    assert!(
        steadctl("diff").starts_with(in_force),
        "{}",
        steadctl("diff")
    );
    assert_eq!(steadctl("diff").lines().count(), 2);
    assert_eq!(
        steadctl("restore"),
        "removed; the next start has the parameters of the board file\n"
    );
    assert!(!saved.exists());
    let in_force = "x.gains.ki  300 V/rad/s, board file 200\n";
    assert!(
        steadctl("diff").starts_with(in_force),
        "{}",
        steadctl("diff")
    );
    // A negative value with a unit, also behind another pair.
    let wrong = controller.steadctl("set x.gains.ki 200 x.profile.velocity_rad_s -90deg/s");
    assert!(
        wrong.error_line().contains("velocity_rad_s is -1.57"),
        "{}",
        wrong.err
    );
    steadctl("set x.gains.ki 200 x.profile.velocity_rad_s 20");
    assert_eq!(
        steadctl("save"),
        "nothing to save: all parameters are those of the board file\n"
    );
    drop(controller);
    let log = std::fs::read_to_string(scratch.path("log")).expect("a log");
    assert!(log.contains("2 saved parameters are in force"), "{log}");
}

#[test]
fn a_command_arms_the_axes_where_the_board_file_permits_it() {
    if let Some(reason) = emulation::emulator().map(|_| "user-mode emulation has no such sockets") {
        return not_run(reason);
    }
    let scratch = Scratch::new("arm");
    let armed_by = |how: &str| {
        let how = format!("arm = \"{how}\"\nreset = \"reset\"");
        Controller::changed(&scratch, move |text| {
            text.replace("arm = \"at-start\"", &how) + "[input.reset]\n"
        })
    };
    // Statusword bit 4, "voltage enabled".
    let is_armed = |controller: &Controller| {
        let word = controller.steadctl("get x.statusword").out;
        let word = word.split_whitespace().next().expect("a value");
        word.parse::<f64>().expect("a number") as u16 & 1 << 4 != 0
    };

    let controller = armed_by("on-command");
    assert!(!is_armed(&controller));
    let armed = controller.steadctl("arm");
    assert_eq!((armed.code, &*armed.out), (Some(0), "the axes are armed\n"));
    assert!(is_armed(&controller));
    let again = controller.steadctl("arm x");
    assert_eq!(again.out, "the axes are armed already\n");
    assert_eq!(controller.steadctl("move x 0.1rad").code, Some(0));
    let unknown = controller.steadctl("arm y");
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    drop(controller);

    let controller = armed_by("on-reset");
    let refused = controller.steadctl("arm");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("[safety] arm"), "{refused:?}");
    assert!(!is_armed(&controller));
}

#[test]
fn each_mistake_beside_a_controller_is_one_line() {
    if let Some(reason) = emulation::emulator().map(|_| "user-mode emulation has no such sockets") {
        return not_run(reason);
    }
    let controller = Controller::start("mistakes");
    for (line, code, what) in [
        ("get x.velocty", 2, "there is no signal \"x.velocty\""),
        ("set x.position 1", 2, "cannot be set"),
        ("set command.speed fast", 2, "is not a number"),
        ("set command.speed 3m", 2, "has another unit"),
        ("set command.speed 9", 2, "must be from -5 to 5 rad/s"),
        ("watch x.position --for 5", 2, "is not a time"),
    ] {
        let ended = controller.steadctl(line);
        assert_eq!(ended.code, Some(code), "{line}: {}", ended.err);
        assert!(ended.error_line().contains(what), "{line}: {}", ended.err);
    }
    let gone = controller.socket.with_file_name("none.sock");
    let mut command = Command::new(STEADCTL);
    let ended = end_of(command.args(["signals", "--socket"]).arg(gone)).expect("it starts");
    assert_eq!(ended.code, Some(1));
    assert!(ended.error_line().contains("no controller listens there"));
}
