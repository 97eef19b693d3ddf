//! Runs the commands of README.md.
//!
//! Every line of its `sh` blocks must be in [`COMMANDS`], either as a command to run or
//! with the reason why it is not run, and every entry must be in a block.

use std::path::Path;
use std::process::Command;

use testbed::emulation;

const README: &str = include_str!("../README.md");

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
    ("tests/run", Not("it is what runs this test")),
    ("cargo test --workspace", Not("tests/run host runs it")),
    ("cargo bench --bench cycle", Not("tests/run host runs it")),
    (
        "cargo bench -p testbed --bench board",
        Not("tests/run bench runs it"),
    ),
    (
        "cross test --workspace --target aarch64-unknown-linux-gnu",
        Not("needs containers; tests/run cross runs it where they work"),
    ),
    (
        "cargo run --package steadctl -- new ../my-robot --path .",
        Not("writes beside the checkout; tools/steadctl/tests/new.rs does it elsewhere"),
    ),
    (
        "cd ../my-robot && cargo test",
        Not("tools/steadctl/tests/new.rs does it in a folder of its own"),
    ),
    (
        "cd ../my-robot && cargo run -- run --pace free",
        Not("tools/steadctl/tests/new.rs does it in a folder of its own"),
    ),
    ("cargo run -p two_point", Here),
    ("cargo run -p two_point -- free", Here),
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

/// The commands in the `sh` blocks of a Markdown text, one per line.
fn commands(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() && !command.starts_with('#') => {
                found.push(command);
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
        "README.md: `{command}` ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_command_is_run_or_has_a_reason_not_to_be() {
    let listed: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    let found = commands(README);
    for command in &found {
        assert!(
            listed.contains(command),
            "`{command}` is in README.md and not in the table of tests/readme.rs"
        );
    }
    for command in listed {
        assert!(
            found.contains(&command),
            "`{command}` is in the table of tests/readme.rs and not in README.md"
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
    let text =
        "cargo no\n```sh\n# why\ncargo a\n\n  cargo b\n```\ncargo no\n```text\ncargo no\n```\n";
    assert_eq!(commands(text), ["cargo a", "cargo b"]);
}

/// The files linked by README.md and the READMEs of the boards exist.
#[test]
fn links_to_files_of_the_repository_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    let boards = std::fs::read_dir(root.join("board")).expect("there are boards");
    let boards = boards.map(|entry| entry.expect("readable").path().join("README.md"));
    for file in boards.chain([root.join("README.md"), root.join("CHANGELOG.md")]) {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        let folder = file.parent().expect("a file is in a folder");
        for link in text.split("](").skip(1).filter_map(|l| l.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !path.is_empty() {
                seen += 1;
                assert!(folder.join(path).exists(), "{file:?} links to {link}");
            }
        }
    }
    assert!(
        seen > 4,
        "only {seen} links were found, expected more than 4"
    );
}
