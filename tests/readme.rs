//! The commands of README.md, CONTRIBUTING.md and the pages of docs/ are run: what they say
//! works, works. (Those of docs/tutorial.md are run by tools/steadctl/tests/new.rs.)
//!
//! Every line of their `sh` blocks is in [`COMMANDS`], either as one that is run
//! here or with the reason why it cannot be. A line that is not there, and an
//! entry that is in no block, fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::emulation;

/// The files, but for docs/tutorial.md.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).expect("there are documents");
    let docs = docs.map(|entry| entry.expect("readable").path());
    let is_page = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "md") && !path.ends_with("tutorial.md")
    };
    let own = ["README.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    docs.filter(is_page).chain(own).collect()
}

enum How {
    /// Run here; it must end with 0.
    Here,
    /// Not run here, with the reason.
    Not(&'static str),
}

use How::{Here, Not};

const COMMANDS: &[(&str, How)] = &[
    ("cargo run --release", Here),
    ("cargo run --release -- --help", Here),
    ("cargo run --release -- doctor", Here),
    (
        "cargo run --release -- run --for 1h --pace free --json /tmp/report.json",
        Here,
    ),
    (
        "cargo run --release -- --interactive",
        Not("runs until it is stopped; tools/steadctl/tests/live.rs runs it"),
    ),
    (
        "cargo run --release --package steadctl -- jog x 90deg/s",
        Not("runs until it is stopped; tools/steadctl/tests/live.rs runs it"),
    ),
    (
        "cargo run --release --package steadctl -- watch",
        Not("runs until it is stopped; tools/steadctl/tests/live.rs runs it"),
    ),
    (
        "steadctl signals",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl get x.position",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl watch x.position x.velocity",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl set command.speed 90deg/s",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl force output.lamp on --for 10s",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl forces",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl unforce output.lamp",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl unforce --all",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl parameters",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl get x.gains.kp",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl set x.gains.kp 50 x.profile.velocity_rad_s 90deg/s",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl diff",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl save",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl revert",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl move x 90deg",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl move x -1rad --relative",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl jog x 90deg/s",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl home x",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl stop",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl arm",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    (
        "steadctl reset x",
        Not("tools/steadctl/tests/live.rs runs it beside a controller"),
    ),
    ("pip install ./python", Not("tests/links/run does it")),
    (
        "ip link set can0 up type can bitrate 1000000 restart-ms 100",
        Not("needs a CAN interface"),
    ),
    ("tests/run", Not("it is what runs this test")),
    (
        "rustup toolchain install nightly --component miri",
        Not("tests/run unsafe does it where it may"),
    ),
    (
        "MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --lib -- \
         sys::cause sys::spsc telemetry::journal telemetry::ring telemetry::seqlock",
        Not("tests/run unsafe runs it"),
    ),
    ("cargo test --workspace", Not("tests/run host runs it")),
    (
        "cargo run --package steadctl -- new ../my-robot --path .",
        Not("writes beside the checkout; tools/steadctl/tests/new.rs does it elsewhere"),
    ),
    (
        "cd ../my-robot",
        Not("tools/steadctl/tests/new.rs does it in a folder of its own"),
    ),
    (
        "cargo test",
        Not("tools/steadctl/tests/new.rs does it in a folder of its own"),
    ),
    (
        "cargo run -- run --pace free",
        Not("tools/steadctl/tests/new.rs does it in a folder of its own"),
    ),
    ("cargo build", Here),
    ("cargo doc --no-deps", Here),
    ("cargo check --lib --no-default-features", Here),
    (
        "sudo apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        Not("installs packages; tests/run does it where it may"),
    ),
    (
        "rustup target add aarch64-unknown-linux-gnu",
        Not("needs rustup and a network; tests/run does it where it may"),
    ),
    (
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
         RUSTFLAGS='-C target-feature=+crt-static' \
         cargo build --release --target aarch64-unknown-linux-gnu",
        Not("needs the target; tests/run board builds its firmware so"),
    ),
    (
        "steadfast check board.toml",
        Not("on a board; tests/run board does what it does"),
    ),
    (
        "steadfast doctor --board board.toml",
        Not("on a board that has the devices"),
    ),
    (
        "steadfast run --board board.toml --json report.json",
        Not("on a board; tests/run board runs it on an emulated one"),
    ),
    (
        "sudo setcap cap_ipc_lock,cap_sys_nice+ep /usr/local/bin/steadfast",
        Not("needs root and an installed firmware"),
    ),
];

/// The commands in the `sh` blocks of a Markdown text, one a line; a line that ends with a
/// backslash goes on in the next.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    let mut begun = String::new();
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() && !command.starts_with('#') => {
                match command.strip_suffix('\\') {
                    Some(part) => begun += part,
                    None => found.push(std::mem::take(&mut begun) + command),
                }
            }
            _ => {}
        }
    }
    found
}

fn run(command: &str) {
    println!("--> {command}");
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("there is a shell");
    assert!(
        output.status.success(),
        "`{command}` ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_command_is_run_or_has_a_reason_not_to_be() {
    let mut found = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("readable");
        for command in commands(&text) {
            assert!(
                COMMANDS.iter().any(|(known, _)| *known == command),
                "`{command}` is in {page:?} and not in the table of tests/readme.rs"
            );
            found.push(command);
        }
    }
    for (command, _) in COMMANDS {
        assert!(
            found.iter().any(|known| known == command),
            "`{command}` is in the table of tests/readme.rs and in no page"
        );
    }
}

#[test]
fn runnable_commands_exit_with_0() {
    if emulation::emulator().is_some() {
        return emulation::not_run("emulated, and the commands are for the machine that builds");
    }
    for (command, how) in COMMANDS {
        match how {
            Here => run(command),
            Not(reason) => println!("not run: {command}: {reason}"),
        }
    }
}

#[test]
fn only_lines_of_sh_blocks_are_commands() {
    let text = "cargo no\n```sh\n# why\ncargo a\n\n  cargo b \\\n  -c\n```\ncargo no\n```text\ncargo no\n```\n";
    assert_eq!(commands(text), ["cargo a", "cargo b -c"]);
}
