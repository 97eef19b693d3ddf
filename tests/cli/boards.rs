//! `check`, `doctor`, and the shipped board files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use steadfast::config::Config;

use super::{Ended, Scratch, command, end_of, steadfast};

/// The shipped board files by the name of the board.
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
    end_of(command(["check"]).arg(file)).expect("it starts")
}

#[test]
fn every_shipped_board_file_is_valid_and_missing_devices_are_named() {
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
                for line in ended.err.lines() {
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
                // All devices that this machine lacks must be listed.
                let config = Config::load(file).expect("a right file");
                let spi = config.io.spi.iter().map(|device| &device.path);
                let watchdog = config.watchdog.iter().map(|watchdog| &watchdog.device);
                for path in spi.chain(watchdog) {
                    let listed = ended.err.contains(path.as_str());
                    assert!(listed || Path::new(path).exists(), "{path}: {ended:?}");
                }
            }
            _ => panic!("{ended:?}"),
        }
    }
}

#[test]
fn the_unit_may_write_to_the_black_box_folders_of_shipped_boards() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("yocto/meta-steadfast/recipes-steadfast/steadfast/files/steadfast.service");
    let unit = fs::read_to_string(unit).expect("there is a unit");
    let says = |line: String| unit.lines().any(|other| other == line);
    for (name, file) in shipped() {
        let config = Config::load(&file).expect("a right file");
        let Some(black_box) = config.black_box else {
            assert_eq!(name, "sim", "only the demonstration has no black box");
            continue;
        };
        assert!(says(format!("ReadWritePaths=-{}", black_box.directory)));
        let memory = black_box.memory.strip_prefix("/run/").expect("tmpfs");
        assert!(says(format!("RuntimeDirectory={memory}")), "{memory}");
    }
}

/// Without settings it prints nothing. A missing device is exit 1 with its position, so that
/// the unit does not start the controller.
#[test]
fn setup_applies_the_settings_of_the_board_file() {
    let shipped = shipped();
    let none: Ended = command(["setup", "--board"])
        .arg(&shipped["qemuarm64"])
        .output()
        .expect("it starts")
        .into();
    assert_eq!(
        (none.code, none.out.as_str(), none.err.as_str()),
        (Some(0), "", "")
    );
    let scratch = Scratch::new("setup");
    let asks =
        include_str!("../board_files/linux.toml").replace("/dev/spidev0.0", "/dev/spidev99.0");
    let file = scratch.file("b.toml", &asks);
    let ended: Ended = command(["setup", "--board"])
        .arg(&file)
        .output()
        .expect("it starts")
        .into();
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.error_line().contains("there is no SPI bus 99"),
        "{ended:?}"
    );
}

#[test]
fn a_missing_device_is_exit_1_with_its_position_for_check_and_run() {
    let scratch = Scratch::new("missing-device");
    // Without its black box, whose folder in memory is needed before any device.
    let (missing, _) = include_str!("../board_files/linux.toml")
        .split_once("[black_box]")
        .expect("it has one");
    let missing = missing.replace("pinctrl-bcm2711", "no-such-chip");
    let file = scratch.file("b.toml", &missing);
    let run = end_of(command(["run", "--board"]).arg(&file)).expect("it starts");
    for ended in [check(&file), run] {
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        let at = format!("{}:", file.display());
        assert!(
            ended.err.lines().all(|line| line.starts_with(&at)),
            "{ended:?}"
        );
        assert!(ended.err.contains("\"no-such-chip\""), "{ended:?}");
    }
}

/// A board whose buses have no stock device.
const BUSES: &str = r#"
[board]
name = "buses"
realtime = "best-effort"
devices = "linux"

[loop]
period_us = 10000
scheduler = "fifo"
priority = 1
cpu = "any"

[spi.imu]
device = "/dev/spidev99.0"

[i2c.sensors]
device = "/dev/i2c-99"

[pwm.valve]
chip = "no-such.pwm"
channel = 0
period_ns = 50_000
"#;

#[test]
fn check_and_doctor_probe_the_buses_of_user_devices() {
    let scratch = Scratch::new("buses");
    let file = scratch.file("b.toml", BUSES);
    let checked = check(&file);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for words in [
        "/dev/spidev99.0: no such device",
        "/dev/i2c-99: no such device",
        "no-such.pwm: no such PWM chip",
    ] {
        assert!(checked.err.contains(words), "{words}: {checked:?}");
    }
    let doctor = end_of(command(["doctor", "--board"]).arg(&file)).expect("it starts");
    for words in ["I2C adapter", "PWM channel", "no-such.pwm channel 0"] {
        assert!(doctor.out.contains(words), "{words}: {doctor:?}");
    }
}

#[test]
fn an_error_in_the_file_is_exit_2_with_its_position_for_every_command() {
    let scratch = Scratch::new("mistake");
    let file = scratch.board(super::SIM_BOARD, &[("period_us = 1000", "period_us = 0")]);
    for words in [
        &["check"][..],
        &["run", "--board"],
        &["doctor", "--board"],
        &["setup", "--board"],
        &["--board"],
    ] {
        let ended = end_of(command(words).arg(&file)).expect("it starts");
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        let expected = format!(
            "{}:10:13: `period_us` is 0; it must be a whole number from 20 to 1000000",
            file.display()
        );
        assert_eq!(ended.error_line(), expected);
    }
}

#[test]
fn a_missing_file_is_exit_2() {
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
fn a_board_without_axes_passes_check_but_does_not_run() {
    let scratch = Scratch::new("no-axes");
    let file = scratch.file(
        "b.toml",
        "[board]\nname = \"b\"\ndevices = \"simulated\"\n[loop]\nperiod_us = 1000\n[simulation]\n",
    );
    let checked = check(&file);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let run = end_of(command(["run", "--board"]).arg(&file)).expect("it starts");
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(
        run.error_line()
            .contains("the board file has no control law; add [axis.X] or [law.X]"),
        "{run:?}"
    );
}

/// The machine's settings that affect real time, where they exist.
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
    assert!(
        !before.is_empty(),
        "this machine has no settings to compare"
    );
    let sim = shipped().remove("sim").expect("shipped");
    let with_board = end_of(command(["doctor", "--board"]).arg(sim)).expect("it starts");
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
            "memory reserve",
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

#[test]
fn doctor_measures_the_contention_for_memory_only_if_it_is_asked() {
    let measured = steadfast("doctor --memory");
    assert_eq!(measured.code, Some(0), "{measured:?}");
    assert!(measured.out.contains("memory contention"), "{measured:?}");
    let unasked = steadfast("doctor");
    assert!(!unasked.out.contains("memory contention"), "{unasked:?}");
}

/// Otherwise a supervisor would energise the outputs after each crash.
#[test]
fn under_a_supervisor_only_a_simulated_board_may_arm_at_start() {
    let scratch = Scratch::new("supervised");
    let shipped = fs::read_to_string(&shipped()["qemuarm64"]).expect("it is shipped");
    let at_start = shipped.replace("arm = \"on-reset\"", "arm = \"at-start\"");
    assert_ne!(at_start, shipped);
    let file = scratch.file("board.toml", &at_start);
    let run = |file: &Path, options: &[&str]| -> Ended {
        let mut command = command(["run", "--supervised", "--quiet", "--board"]);
        end_of(command.arg(file).args(options)).expect("it starts")
    };
    let refused = run(&file, &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let line = refused.error_line();
    assert!(
        line.contains("at-start") && line.contains("set arm = \"on-reset\""),
        "{line}"
    );
    let ended = run(
        &scratch.board(super::SIM_BOARD, &[]),
        &["--pace", "free", "--cycles", "10"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
