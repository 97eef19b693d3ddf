//! `[parameters]`, and the parameters that are saved to its file while the controller runs.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast::cycle::image::{Inputs, Outputs};
use steadfast::cycle::word::put;
use steadfast::link::canopen::{MAX_AXES, Saved, most_stored};
use steadfast::link::frames::{Layout, Shared};
use steadfast::link::mailbox::Mailbox;
use steadfast::link::owner::{Client, Owners};
use steadfast::link::parameters::{Parameter, Parameters, Setting};
use steadfast::link::saved::disk::Disk;
use steadfast::link::saved::{Keep, MAX_SAVED, Refusal, Store};
use steadfast::time::{Duration, Instant};
use testbed::program::Scratch;

use super::{Config, SIM, edit, edited, error_of};

/// The simulated board with a file for saved parameters in `scratch`.
pub(super) fn board(scratch: &Scratch, good: &str) -> Config {
    let path = scratch.path("saved.toml");
    let text = format!("{good}\n[parameters]\nfile = \"{}\"\n", path.display());
    Config::parse("b.toml", &text).unwrap()
}

pub(super) fn parameters(config: &Config) -> Box<dyn Parameters> {
    let mut laws = config.machine.laws.iter();
    laws.find_map(|law| law.law.parameters()).unwrap()
}

pub(super) fn number(known: &mut dyn Parameters, name: &str) -> u32 {
    let is_named = |parameter: Parameter<'_>| format!("{}.{}", parameter.of, parameter.key) == name;
    let mut numbers = 0..known.count();
    numbers
        .find(|number| known.get(*number).is_some_and(is_named))
        .unwrap()
}

/// Value, value in the board file and value at the next start of a parameter.
pub(super) fn values(known: &mut dyn Parameters, name: &str) -> [f64; 3] {
    let number = number(known, name);
    let parameter = known.get(number).unwrap();
    [parameter.value, parameter.board, parameter.next]
}

/// What a link does with the parameters of a controller whose axes have the statuswords `words`.
pub(super) fn with_owners<T>(
    config: &Config,
    words: &[f64],
    check: impl FnOnce(&mut Bench<'_>) -> T,
) -> T {
    let mailbox: &Mailbox = Box::leak(Box::default());
    let (sender, _receiver) = mailbox.open([]);
    let layout = Layout {
        statuses: words.len(),
        ..Layout::default()
    };
    let shared = Shared::new(layout, &[], &[], Duration::from_millis(1)).unwrap();
    let tick = steadfast::cycle::ports::Tick {
        now: NOW,
        ..Default::default()
    };
    shared
        .publisher()
        .publish(&tick, &Inputs::default(), &Outputs::new(0, &[]), |shown| {
            for (to, value) in shown.iter().zip(words) {
                put(to, *value);
            }
        });
    let mut known = parameters(config);
    let saved = config.parameters.as_ref().unwrap();
    let node_id = config.links.can.as_ref().map(|can| can.node.node_id);
    let objects = saved.room(node_id.map(|_| words.len()));
    let disk = Disk::new(&saved.path, &config.name, &mut *known, objects);
    let axes = (0..words.len()).map(|at| (["x", "y"][at].to_owned(), layout.statuses_at() + at));
    let mut owners = Owners::new(sender, [], []);
    owners.parameters = known;
    owners.store = Some(Store::new(
        saved,
        &config.name,
        node_id,
        &shared,
        axes.collect(),
        &disk,
    ));
    check(&mut Bench {
        owners,
        disk: &disk,
    })
}

/// Clients, and the disk that they save to.
pub(super) struct Bench<'m> {
    owners: Owners<'m>,
    disk: &'m Disk,
}

impl<'m> std::ops::Deref for Bench<'m> {
    type Target = Owners<'m>;

    fn deref(&self) -> &Owners<'m> {
        &self.owners
    }
}

impl std::ops::DerefMut for Bench<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.owners
    }
}

impl Bench<'_> {
    /// Keeps what is asked for, with a disk that takes it at once.
    pub(super) fn keep(
        &mut self,
        client: Client,
        what: Keep<'_>,
        now: Instant,
    ) -> Result<u32, Refusal> {
        self.owners.keep(client, what, now)?;
        assert!(self.is_keeping());
        self.disk.work();
        self.look_kept();
        assert!(!self.is_keeping());
        self.take_kept(client).expect("it is done")
    }
}

/// The simulated board as the CANopen node 5 with a file for saved parameters in `scratch`.
pub(super) fn node(scratch: &Scratch) -> Config {
    board(scratch, NODE)
}

const NODE: &str = concat!(
    include_str!("../../board/sim/board.toml"),
    "[axis.x.command]\ntimeout_ms = 100\n",
    "[link.can]\ninterface = \"can0\"\nnode_id = 5\nbit_rate = 500000\n"
);

#[test]
fn clients_do_not_wait_for_a_slow_disk() {
    let scratch = Scratch::new("saved-slowly");
    with_owners(&board(&scratch, SIM), &OFF, |bench| {
        let other = Client(4);
        set(&mut *bench.parameters, "x.gains.kp", 50.0);
        bench.owners.keep(CLIENT, Keep::Present, NOW).unwrap();
        bench.look_kept();
        assert!(bench.is_keeping() && bench.take_kept(CLIENT).is_none());
        // What is changed meanwhile is not saved, and a second save is refused.
        set(&mut *bench.parameters, "x.gains.kp", 60.0);
        let busy = bench.owners.keep(other, Keep::Present, NOW).unwrap_err();
        assert!(
            busy.to_string().contains("has not taken the last save"),
            "{busy}"
        );
        assert_eq!(values(&mut *bench.parameters, "x.gains.kp")[2], 40.0);
        bench.disk.work();
        bench.look_kept();
        assert!(bench.take_kept(other).is_none());
        assert_eq!(bench.take_kept(CLIENT).unwrap().unwrap(), 1);
        assert!(bench.take_kept(CLIENT).is_none(), "told once");
        assert_eq!(
            values(&mut *bench.parameters, "x.gains.kp"),
            [60.0, 40.0, 50.0]
        );
    });
    let text = fs::read_to_string(scratch.path("saved.toml")).unwrap();
    assert!(text.contains("[50.0, 40.0]"), "{text}");
}

#[test]
fn the_thread_of_the_disk_writes_what_was_handed_over_before_the_end() {
    let scratch = Scratch::new("saved-at-the-end");
    with_owners(&board(&scratch, SIM), &OFF, |bench| {
        set(&mut *bench.parameters, "x.gains.kp", 50.0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| bench.disk.run(&done));
            bench.owners.keep(CLIENT, Keep::Present, NOW).unwrap();
            done.store(true, Ordering::Release);
        });
        assert!(scratch.path("saved.toml").exists());
        bench.look_kept();
        assert_eq!(bench.take_kept(CLIENT).unwrap().unwrap(), 1);
    });
}

#[test]
fn the_largest_file_has_room() {
    let scratch = Scratch::new("saved-whole");
    assert!(most_stored(MAX_AXES as u8) <= MAX_SAVED);
    let all: Vec<_> = (0..most_stored(OFF.len() as u8) as u16)
        .map(|at| Saved {
            index: 0xFFFF - at,
            sub: 0xFF,
            value: u32::MAX,
        })
        .collect();
    with_owners(&node(&scratch), &OFF, |bench| {
        for number in 0..bench.parameters.count() {
            let Some(parameter) = bench.parameters.get(number) else {
                continue;
            };
            let value = parameter.value * (1.0 + 1e-12);
            // Some are fixed or at their limit.
            let _ = bench.parameters.set(false, &[Setting { number, value }]);
        }
        let kept = bench.keep(CLIENT, Keep::With(5, &all), NOW).unwrap();
        assert!(kept > 10, "{kept}");
    });
    let text = fs::read_to_string(scratch.path("saved.toml")).unwrap();
    assert!(text.ends_with("[end]\n"));
    let objects = text.lines().filter(|line| line.ends_with("= 0xFFFFFFFF"));
    assert_eq!(objects.count(), all.len());
}

pub(super) const NOW: Instant = Instant::from_nanos(10_000_000_000);
pub(super) const CLIENT: Client = Client(3);
/// Statuswords: switch on disabled, fault, and three with power.
pub(super) const OFF: [f64; 2] = [0x40 as f64, 0x08 as f64];
pub(super) const POWERED: [f64; 4] = [0x233 as f64, 0x237 as f64, 0x17 as f64, 0x0F as f64];

pub(super) fn set(known: &mut dyn Parameters, name: &str, value: f64) {
    let number = number(known, name);
    known.set(false, &[Setting { number, value }]).unwrap();
}

/// The file after kp, a time with a fraction and a small value were saved.
pub(super) fn saved(scratch: &Scratch) -> String {
    let config = board(scratch, SIM);
    with_owners(&config, &OFF, |owners| {
        set(&mut *owners.parameters, "x.gains.kp", 50.0);
        set(
            &mut *owners.parameters,
            "x.limits.following_error_timeout_ms",
            20.5,
        );
        set(&mut *owners.parameters, "x.gains.kd", 1.0e-300);
        assert_eq!(owners.keep(CLIENT, Keep::Present, NOW).unwrap(), 3);
        let kp = values(&mut *owners.parameters, "x.gains.kp");
        assert_eq!(kp, [50.0, 40.0, 50.0]);
    });
    fs::read_to_string(scratch.path("saved.toml")).unwrap()
}

#[test]
fn saved_parameters_are_in_force_at_the_next_start() {
    let scratch = Scratch::new("saved");
    assert_eq!(board(&scratch, SIM).saved_text().unwrap(), None);
    // What an interrupted save left.
    fs::write(scratch.path(".saved.toml.new"), "garbage").unwrap();
    let text = saved(&scratch);
    assert!(!scratch.path(".saved.toml.new").exists());
    let mut config = board(&scratch, SIM);
    assert_eq!(config.saved_text().unwrap().as_deref(), Some(&*text));
    config.put_saved(&text).unwrap();
    assert_eq!(config.parameters.as_ref().unwrap().in_force, 3);
    let mut known = parameters(&config);
    assert_eq!(values(&mut *known, "x.gains.kp"), [50.0, 40.0, 50.0]);
    assert_eq!(values(&mut *known, "x.gains.kd")[0], 1.0e-300);
    assert_eq!(
        values(&mut *known, "x.limits.following_error_timeout_ms")[0],
        20.5
    );
    // A revert goes back to the start, and the next save keeps what is saved.
    set(&mut *known, "x.gains.kp", 60.0);
    known.set(true, &[]).unwrap();
    assert_eq!(values(&mut *known, "x.gains.kp"), [50.0, 40.0, 50.0]);
    with_owners(&config, &OFF, |owners| {
        assert_eq!(owners.keep(CLIENT, Keep::Present, NOW).unwrap(), 3);
        assert_eq!(
            fs::read_to_string(scratch.path("saved.toml")).unwrap(),
            text
        );
        assert_eq!(owners.keep(CLIENT, Keep::Defaults, NOW).unwrap(), 0);
        let kp = values(&mut *owners.parameters, "x.gains.kp");
        assert_eq!(kp, [50.0, 40.0, 40.0], "until the next start");
    });
    assert_eq!(config.saved_text().unwrap(), None);
}

#[test]
fn nothing_is_saved_while_an_axis_has_power() {
    let scratch = Scratch::new("saved-power");
    let text = saved(&scratch);
    let config = board(&scratch, SIM);
    for word in POWERED {
        with_owners(&config, &[OFF[0], word], |owners| {
            for what in [Keep::Present, Keep::Defaults] {
                let refused = owners.keep(CLIENT, what, NOW).unwrap_err().to_string();
                assert!(refused.starts_with("y has power"), "{word}: {refused}");
            }
        });
    }
    // A frame of another time tells nothing.
    let later = NOW + Duration::from_secs(4);
    with_owners(&config, &OFF, |owners| {
        owners.keep(CLIENT, Keep::Defaults, later).unwrap_err();
        owners.store = None;
        let refused = owners
            .keep(CLIENT, Keep::Present, NOW)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("[parameters] `file`"), "{refused}");
    });
    assert_eq!(
        fs::read_to_string(scratch.path("saved.toml")).unwrap(),
        text
    );
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let scratch = Scratch::new("saved-unwritable");
    let text = saved(&scratch);
    // A folder in the place of the temporary file: also root cannot write it.
    fs::create_dir(scratch.path(".saved.toml.new")).unwrap();
    let config = board(&scratch, SIM);
    with_owners(&config, &OFF, |owners| {
        set(&mut *owners.parameters, "x.gains.kp", 60.0);
        let refused = owners
            .keep(CLIENT, Keep::Present, NOW)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("a file cannot be created"), "{refused}");
        assert_eq!(
            values(&mut *owners.parameters, "x.gains.kp"),
            [60.0, 40.0, 40.0]
        );
    });
    assert_eq!(
        fs::read_to_string(scratch.path("saved.toml")).unwrap(),
        text
    );
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let scratch = Scratch::new("saved-cut");
    let text = saved(&scratch);
    let mut config = board(&scratch, SIM);
    let whole = text.trim_end().len();
    for end in (0..whole).filter(|end| text.is_char_boundary(*end)) {
        let error = config
            .put_saved(&text[..end])
            .expect_err(&text[..end])
            .to_string();
        assert!(error.contains("is cut off"), "{error}");
        assert!(error.contains("; remove the file to start with"), "{error}");
    }
    assert_eq!(config.parameters.as_ref().unwrap().in_force, 0);
    fs::write(scratch.path("saved.toml"), b"\xFF\xFE").unwrap();
    let error = config.saved_text().unwrap_err().to_string();
    assert!(
        error.contains("saved.toml: is damaged: it is not a text; remove"),
        "{error}"
    );
    fs::remove_dir_all(scratch.path("")).unwrap();
    let error = config.saved_text().unwrap_err().to_string();
    assert!(
        error.contains("mount its disk or create this folder"),
        "{error}"
    );
    fs::create_dir(scratch.path("")).unwrap();
}

/// The error of the saved file with `from` replaced by `to`, beside the board file `good`.
fn refused(good: &str, from: &str, to: &str) -> String {
    let scratch = Scratch::new("saved-refused");
    let text = saved(&scratch);
    assert!(text.contains(from), "{from} in {text}");
    let mut config = board(&scratch, good);
    let text = text.replacen(from, to, 1);
    let error = config.put_saved(&text).expect_err(to).to_string();
    let kp = values(&mut *parameters(&config), "x.gains.kp");
    assert_eq!(kp[0], kp[1], "nothing of it is in force");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn saved_parameters_that_do_not_fit_the_board_file_are_refused_as_a_whole() {
    let changed = edited(SIM, &[edit("axis.x.gains", "kp = 40.0", "kp = 45.0")]);
    let error = refused(&changed, "", "");
    let told = "saved.toml:7:1: `x.gains.kp` was saved as 50 while the board file had 40, and it has 45 now; remove this line to have 45, or write [50, 45] to keep 50";
    assert!(error.ends_with(told), "{error}");
    let told = [
        (
            "board = \"sim\"",
            "board = \"other\"",
            ":4:9: these parameters are of the board \"other\"",
        ),
        (
            "x.gains.kp",
            "x.gains.kpp",
            ":7:1: the machine has no parameter `x.gains.kpp`; remove this line",
        ),
        (
            "x.gains.kp",
            "y.gains.kp",
            "the machine has no parameter `y.gains.kp`",
        ),
        (
            "[50.0, 40.0]",
            "50.0",
            "`x.gains.kp` is not a pair of numbers",
        ),
        (
            "[50.0, 40.0]",
            "[true, 40.0]",
            "`x.gains.kp` is not a pair of numbers",
        ),
        (
            "[50.0, 40.0]",
            "[-50.0, 40.0]",
            "the saved values are refused: x: gains.kp is -50, it must be from 0",
        ),
        (
            "[50.0, 40.0]",
            "[nan, 40.0]",
            "the saved values are refused: x: gains.kp",
        ),
        ("[50.0, 40.0]", "[50.0, 40.0", "is damaged: "),
        (
            "[saved]",
            "[savd]",
            "is damaged: this file has no [saved]; remove the file",
        ),
        ("[end]", "", "is cut off"),
        (
            "[saved]",
            "more = 1\n[saved]",
            "is damaged: unknown key `more` in this file",
        ),
        (
            "[end]",
            "[can]\nnode_id = 5\n1801 = 1\n[end]",
            "`1801` is not an object",
        ),
    ];
    for (from, to, what) in told {
        let error = refused(SIM, from, to);
        assert!(error.contains(what), "{to}: {error}");
    }
    // Each value is permitted, but not both.
    let text = (
        "x.gains.kp\" = [50.0, 40.0]",
        "x.profile.velocity_rad_s\" = [41.0, 20.0]",
    );
    let error = refused(SIM, text.0, text.1);
    assert!(
        error.contains("x: velocity_rad_s is 41, it must be from 0 to 40"),
        "{error}"
    );
}

#[test]
fn the_path_of_the_file_is_absolute() {
    for file in ["saved.toml", "/", "/data/.."] {
        let text = format!("{SIM}\n[parameters]\nfile = §\"{file}\"\n");
        let error = error_of(&text).to_string();
        assert!(error.contains("not the absolute path of a file"), "{error}");
    }
}
