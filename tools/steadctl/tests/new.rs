//! A machine of one's own, begun with `steadctl new` outside of this repository: it builds,
//! and docs/tutorial.md is true of it, command by command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::emulation;
use testbed::program::{Ended, Scratch, end_of};

const STEADCTL: &str = env!("CARGO_BIN_EXE_steadctl");

/// The checkout of this test.
fn steadfast() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the checkout is there")
}

/// `steadctl new` with these arguments.
fn new(arguments: &[&Path]) -> Ended {
    let mut command = emulation::start(Path::new(STEADCTL));
    end_of(command.arg("new").args(arguments)).expect("it starts")
}

fn write(folder: &Path) {
    let ended = new(&[folder, Path::new("--path"), &steadfast()]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
}

/// Target folder of the new machine.
fn build() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("new")
}

/// The output of cargo with these arguments in `folder`; it must succeed.
fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(folder)
        // Kept, so that only the first run builds the dependencies.
        .env("CARGO_TARGET_DIR", build())
        // In virtual time speed does not matter, and the build is faster.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0");
    // Not `end_of`: a build can take longer than its time limit.
    let ended = Ended::from(command.output().expect("cargo starts"));
    assert_eq!(ended.code, Some(0), "cargo {arguments:?}: {ended:?}");
    ended.out
}

/// A block of code of docs/tutorial.md: what stands behind its first three backticks, and
/// its lines.
type Block = (String, Vec<String>);

fn tutorial() -> Vec<Block> {
    let page = steadfast().join("docs/tutorial.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(info) => {
                inside = true;
                blocks.push((info.to_owned(), Vec::new()));
            }
            None if inside => blocks.last_mut().expect("open").1.push(line.to_owned()),
            None => {}
        }
    }
    blocks
}

/// Does what one line of a `sh` block says, in the `folder` of the machine, and gives what it
/// prints. It must end with this code.
fn follow(folder: &Path, line: &str, code: i32) -> String {
    if line.starts_with("cargo run --package steadctl -- new ../my-robot --path .") {
        write(folder);
        // The versions that this machine has: there is no network in a test.
        let lock = steadfast().join("Cargo.lock");
        fs::copy(lock, folder.join("Cargo.lock")).expect("it can be copied");
        return String::new();
    }
    if line == "cd ../my-robot" {
        return String::new();
    }
    if let Some(arguments) = line.strip_prefix("cargo test") {
        let arguments = arguments.split_whitespace();
        let all: Vec<&str> = ["test", "--offline"].into_iter().chain(arguments).collect();
        return cargo(folder, &all);
    }
    // `cargo run` would build all of it once more, to abort on a panic.
    let firmware = build().join("debug/my-robot");
    let line = line.replace("cargo run -- ", &format!("{} ", firmware.display()));
    assert!(!line.contains("cargo"), "not known here: {line}");
    let mut command = Command::new("sh");
    let ended = end_of(command.args(["-c", &line]).current_dir(folder)).expect("it starts");
    assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
    ended.out + &ended.err
}

#[test]
fn the_tutorial_is_true_to_its_end() {
    if emulation::emulator().is_some() {
        return emulation::not_run("it needs cargo, which is not emulated");
    }
    let scratch = Scratch::new("new-machine");
    let folder = scratch.path("my-robot");
    let (mut printed, mut commands, mut shown) = (String::new(), 0, 0);
    for (info, lines) in tutorial() {
        let words: Vec<&str> = info.split(' ').collect();
        match words[..] {
            ["sh"] | ["sh", _] => {
                let code = words.get(1).and_then(|word| word.strip_prefix("exit="));
                let code = code.map_or(0, |code| code.parse().expect("a number"));
                printed.clear();
                for line in lines {
                    printed += &follow(&folder, &line, code);
                    commands += 1;
                }
            }
            ["text"] => {
                for line in lines.iter().filter(|line| *line != "...") {
                    assert!(printed.contains(line), "{line}: {printed}");
                    shown += 1;
                }
            }
            [_, file] => {
                let name = file.strip_prefix("file=").expect("the name of a file");
                fs::write(folder.join(name), lines.join("\n") + "\n").expect("writable");
            }
            _ => panic!("`{info}`: sh, text, or file="),
        }
    }
    assert!(commands > 7 && shown > 10, "{commands} and {shown}");

    cargo(&folder, &["fmt", "--check"]);
    let mut keys = Command::new(build().join("debug/examples/keys"));
    let ended = end_of(&mut keys).expect("it starts");
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    for row in [
        "| `temperature` | signal that it reads: a number in degC | required |",
        "| `band_k` | number, 0.1 to 20 | `1` |",
    ] {
        assert!(ended.out.contains(row), "{row}: {}", ended.out);
    }
}

/// docs/commands.md has the help texts of this program.
#[test]
fn the_page_on_commands_has_the_help() {
    let page = fs::read_to_string(steadfast().join("docs/commands.md")).expect("it is there");
    for command in ["", "blackbox ", "status ", "explain ", "new "] {
        let command = format!("{command}--help");
        let mut program = emulation::start(Path::new(STEADCTL));
        let ended = end_of(program.args(command.split(' '))).expect("it starts");
        let lines: Vec<&str> = ended.out.lines().map(str::trim_end).collect();
        let help = format!("```text\n{}\n```\n", lines.join("\n").trim_end());
        assert!(page.contains(&help), "{command}: {help}");
    }
}

#[test]
fn the_name_is_replaced_in_every_file() {
    let scratch = Scratch::new("new-names");
    let folder = scratch.path("left-arm");
    write(&folder);
    let mut folders = vec![folder.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("text");
            for left in ["my-robot", "my_robot", "VERSION"] {
                assert!(!text.contains(left), "{left} in {}", path.display());
            }
        }
    }
    assert_eq!(files, 13);
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it is there");
    let root = steadfast();
    let dependency = format!("steadfast = {{ path = \"{}\" }}\n", root.display());
    assert!(manifest.contains(&dependency), "{manifest}");

    let published = scratch.path("right_arm");
    let ended = new(&[&published]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let manifest = fs::read_to_string(published.join("Cargo.toml")).expect("it is there");
    let dependency = concat!("steadfast = \"", env!("CARGO_PKG_VERSION"), "\"\n");
    assert!(manifest.contains(dependency), "{manifest}");
}

#[test]
fn the_template_has_the_release_profile_of_the_firmware() {
    let release = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        lines
            .skip_while(|line| *line != "[profile.release]")
            .take_while(|line| !line.starts_with("[profile.") || line.contains("release"))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    let ours = fs::read_to_string(steadfast().join("Cargo.toml")).expect("readable");
    // In the firmware's manifest this is the package itself.
    let steadfast = ["[profile.release.package.steadfast]", "opt-level = \"s\""];
    let theirs: Vec<String> = release(include_str!("../template/Cargo.toml.in"));
    let at = theirs.iter().position(|line| line == steadfast[0]);
    let at = at.expect("the library is not built as a dependency");
    assert_eq!(theirs[at + 1], steadfast[1]);
    let theirs: Vec<String> = [&theirs[..at], &theirs[at + 2..]].concat();
    assert_eq!(theirs, release(&ours));
    assert!(
        theirs.contains(&"panic = \"abort\"".to_owned()),
        "{theirs:?}"
    );
}

#[test]
fn invalid_arguments_are_refused_in_one_line_and_nothing_is_written() {
    let scratch = Scratch::new("new-refused");
    let there = scratch.path("there");
    fs::create_dir(&there).expect("a folder");
    let free = scratch.path("free");
    let path = Path::new("--path");
    for (arguments, code, word) in [
        (vec![there.as_path()], 2, "exists already"),
        (vec![Path::new("2arms")], 2, "a letter first"),
        (
            vec![free.as_path(), path, &there],
            2,
            "the folder has no Cargo.toml of steadfast",
        ),
        (
            vec![free.as_path(), path, Path::new("/nowhere")],
            2,
            "No such file",
        ),
        (vec![&*scratch.path("no/arm")], 1, "No such file"),
    ] {
        let ended = new(&arguments);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.error_line().contains(word), "{ended:?}");
    }
    assert_eq!(fs::read_dir(&there).expect("it is there").count(), 0);
    assert!(!free.exists());
}
