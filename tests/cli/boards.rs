//! `check` and `doctor`, and the board files that are shipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use steadfast::config::Config;

use super::{Ended, Scratch, command, steadfast};

/// The board files that are shipped, by the board's name.
fn shipped() -> BTreeMap<String, PathBuf> {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("board");
    let entries = fs::read_dir(boards).expect("there are boards");
    entries
        .map(|entry| entry.expect("a directory can be listed"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, entry.path().join("board.toml"))
        })
        .filter(|(_, file)| file.exists())
        .collect()
}

fn check(file: &Path) -> Ended {
    let output = command(["check"]).arg(file).output();
    output.expect("it starts").into()
}

#[test]
fn every_shipped_board_file_is_right_and_a_missing_device_is_named() {
    let boards = shipped();
    assert!(boards.contains_key("sim"), "{boards:?}");
    for (name, file) in &boards {
        let ended = check(file);
        let shown = file.display().to_string();
        match ended.code {
            Some(0) => {
                let ok = format!("{shown}: ok, board \"{name}\": ");
                assert!(
                    ended.out.starts_with(&ok) && ended.err.is_empty(),
                    "{ended:?}"
                );
            }
            Some(1) => {
                assert_ne!(name, "sim");
                let line = ended.error_line();
                let rest = line.strip_prefix(&format!("{shown}:")).expect(line);
                let mut parts = rest.splitn(3, ':');
                for part in ["line", "column"] {
                    let number = parts.next().and_then(|text| text.parse::<u32>().ok());
                    assert!(number.is_some_and(|number| number > 0), "{part} of {line}");
                }
                assert!(
                    parts.next().is_some_and(|text| text.contains("; ")),
                    "{line}"
                );
            }
            _ => panic!("{ended:?}"),
        }
    }
}

#[test]
fn black_boxes_of_shipped_boards_are_where_the_unit_may_write() {
    let unit = include_str!(
        "../../yocto/meta-steadfast/recipes-steadfast/steadfast/files/steadfast.service"
    );
    let says = |line: String| unit.lines().any(|other| other == line);
    for (name, file) in shipped() {
        let config = Config::load(&file).expect("a right file");
        let Some(black_box) = config.black_box else {
            assert_eq!(name, "sim", "a demonstration leaves nothing behind");
            continue;
        };
        assert!(says(format!("ReadWritePaths=-{}", black_box.directory)));
        let memory = black_box.memory.strip_prefix("/run/").expect("tmpfs");
        assert!(says(format!("RuntimeDirectory={memory}")), "{memory}");
    }
}

#[test]
fn a_device_that_is_not_there_is_exit_1_with_its_place_for_check_and_run() {
    let scratch = Scratch::new("missing-device");
    // Without its black box, which needs a folder in memory before any device.
    let (missing, _) = include_str!("../board_files/linux.toml")
        .split_once("[black_box]")
        .expect("it has one");
    let missing = missing.replace("30200000.gpio", "no-such-chip");
    let file = scratch.file("b.toml", &missing);
    let run: Ended = command(["run", "--board"])
        .arg(&file)
        .output()
        .expect("it starts")
        .into();
    for ended in [check(&file), run] {
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        let line = ended.error_line();
        assert!(line.starts_with(&format!("{}:", file.display())), "{line}");
        assert!(line.contains("\"no-such-chip\""), "{line}");
    }
}

#[test]
fn a_mistake_in_the_file_is_exit_2_with_its_place_for_every_command() {
    let scratch = Scratch::new("mistake");
    let file = scratch.board(&[("period_us = 1000", "period_us = 0")]);
    for words in [
        &["check"][..],
        &["run", "--board"],
        &["doctor", "--board"],
        &["--board"],
    ] {
        let ended: Ended = command(words)
            .arg(&file)
            .output()
            .expect("it starts")
            .into();
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        let expected = format!(
            "{}:10:13: `period_us` is 0; it must be a whole number from 50 to 1000000",
            file.display()
        );
        assert_eq!(ended.error_line(), expected);
    }
}

#[test]
fn a_file_that_is_not_there_is_exit_2() {
    for line in [
        "check no/such.toml",
        "run --board no/such.toml",
        "doctor --board no/such.toml",
    ] {
        let ended = steadfast(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        assert!(
            ended
                .error_line()
                .starts_with("no/such.toml: cannot be read: "),
            "{ended:?}"
        );
    }
}

#[test]
fn a_board_without_axes_is_right_but_not_for_this_firmware() {
    let scratch = Scratch::new("no-axes");
    let file = scratch.file(
        "b.toml",
        "[board]\nname = \"b\"\ndevices = \"simulated\"\n[loop]\nperiod_us = 1000\n[simulation]\n",
    );
    let checked = check(&file);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let run: Ended = command(["run", "--board"])
        .arg(&file)
        .output()
        .expect("it starts")
        .into();
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.error_line().contains("there are no axes"), "{run:?}");
}

/// The machine's settings that bear on real time, as far as there are any.
fn settings() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut take = |path: PathBuf| {
        if let Ok(text) = fs::read_to_string(&path) {
            found.insert(path, text);
        }
    };
    for name in ["sched_rt_runtime_us", "sched_rt_period_us"] {
        take(Path::new("/proc/sys/kernel").join(name));
    }
    for entry in fs::read_dir("/sys/devices/system/cpu")
        .into_iter()
        .flatten()
        .flatten()
    {
        take(entry.path().join("cpufreq/scaling_governor"));
        take(entry.path().join("online"));
        for state in 0..10 {
            take(entry.path().join(format!("cpuidle/state{state}/disable")));
        }
    }
    for entry in fs::read_dir("/proc/irq").into_iter().flatten().flatten() {
        take(entry.path().join("smp_affinity"));
    }
    found
}

#[test]
fn doctor_shows_the_machine_and_changes_nothing() {
    let before = settings();
    assert!(!before.is_empty(), "there is something to change");
    let sim = shipped().remove("sim").expect("shipped");
    let with_board: Ended = command(["doctor", "--board"])
        .arg(sim)
        .output()
        .expect("it starts")
        .into();
    for ended in [steadfast("doctor"), with_board] {
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        for row in [
            "kernel",
            "memory lock",
            "scheduler",
            "timer",
            "PREEMPT_RT",
            "isolated CPUs",
            "rt throttling",
            "governor",
            "C-states",
        ] {
            assert!(ended.out.contains(row), "{row} in {}", ended.out);
        }
        let count = |word: &str| {
            ended
                .out
                .lines()
                .filter(|line| line.trim_start().starts_with(word))
                .count()
        };
        assert_eq!(count("BROKEN "), count("fix: "), "{}", ended.out);
        assert!(!ended.out.contains('\x1b'));
    }
    assert_eq!(settings(), before);
}

/// A supervisor would energise by itself after each crash.
#[test]
fn under_a_supervisor_only_a_simulated_board_arms_at_start() {
    let scratch = Scratch::new("supervised");
    let shipped = fs::read_to_string(&shipped()["qemuarm64"]).expect("it is shipped");
    let at_start = shipped.replace("arm = \"on-reset\"", "arm = \"at-start\"");
    assert_ne!(at_start, shipped);
    let file = scratch.file("board.toml", &at_start);
    let run = |file: &Path, options: &[&str]| -> Ended {
        let mut command = command(["run", "--supervised", "--quiet", "--board"]);
        let output = command.arg(file).args(options).output();
        output.expect("it starts").into()
    };
    let refused = run(&file, &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let line = refused.error_line();
    assert!(
        line.contains("at-start") && line.contains("set arm = \"on-reset\""),
        "{line}"
    );
    let ended = run(&scratch.board(&[]), &["--pace", "free", "--cycles", "10"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
