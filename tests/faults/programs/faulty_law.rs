//! `faulty_law BOARD-FILE FAULT SLOT MARK REPORT`: the firmware's servo
//! controller with a control law that misbehaves once, in the slot asked for.
//!
//! Everything but the law is the library's own, through
//! [`board::run`](steadfast::board::run), as in a firmware that somebody writes
//! with it. `MARK` is the `value` file of a pin that is lit just before; the
//! JSON report goes to `REPORT`. Faults are those of [`Kind`].

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use steadfast::axis::{Servo, ServoState};
use steadfast::board::{self, Options};
use steadfast::config::Config;
use steadfast::cycle::image::{Inputs, Outputs};
use steadfast::cycle::ports::{Decide, Tick, Trace};
use steadfast::cycle::run::Limit;
use steadfast::realtime::allocator::SealedAllocator;
use steadfast::realtime::runner;
use steadfast::telemetry::report::Pace;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// Asks the helper thread to misbehave.
static HELPER_FAILS: AtomicBool = AtomicBool::new(false);

/// Where the virtual servo is told what fails (`tests/virtual_servo/rig.rs`), and
/// that it is the next transfer of the DAC, which will take 500 ms.
const SERVO: &str = "/dev/servo-control";
const HANG: &[u8] = b"spidev3.1 delay 500000 x1\n";

/// What the law does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// It panics.
    Panic,
    /// Its command is no number, from then on.
    Nan,
    /// Its command is far beyond what the output can give, from then on.
    Huge,
    /// It calls itself until the stack is at its end.
    Stack,
    /// It allocates memory.
    Allocate,
    /// It does not come back.
    Loop,
    /// It blocks for 50 ms.
    Sleep,
    /// Another thread of the process panics.
    HelperPanic,
    /// Another thread of the process calls itself until its stack is at its end.
    HelperStack,
    /// It panics while the bus of the DAC takes nothing any more: the frame that
    /// the crash sends hangs.
    HungBus,
}

impl Kind {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "panic" => Self::Panic,
            "nan" => Self::Nan,
            "huge" => Self::Huge,
            "stack" => Self::Stack,
            "allocate" => Self::Allocate,
            "loop" => Self::Loop,
            "sleep" => Self::Sleep,
            "helper-panic" => Self::HelperPanic,
            "helper-stack" => Self::HelperStack,
            "hung-bus" => Self::HungBus,
            _ => return None,
        })
    }
}

struct FaultyLaw;

struct FaultyConfig {
    servo: Servo,
    kind: Kind,
    slot: u64,
    mark: File,
    bus: File,
    torque: usize,
}

impl Decide for FaultyLaw {
    type Config = FaultyConfig;
    type State = ServoState;

    const TRACE: &'static [&'static str] = Servo::TRACE;

    fn decide(
        config: &FaultyConfig,
        state: &mut ServoState,
        inputs: &Inputs,
        tick: &Tick,
    ) -> Outputs {
        let mut outputs = Servo::decide(&config.servo, state, inputs, tick);
        // The rehearsal counts its own slots, and fewer than are asked for.
        if tick.slot == config.slot {
            let _ = config.mark.write_at(b"1", 0);
            misbehave(config);
        }
        if tick.slot >= config.slot {
            match config.kind {
                Kind::Nan => outputs.analogs[config.torque] = f64::NAN,
                Kind::Huge => outputs.analogs[config.torque] = 1e9,
                _ => {}
            }
        }
        outputs
    }

    fn at_rest(config: &FaultyConfig, state: &ServoState) -> bool {
        Servo::at_rest(&config.servo, state)
    }

    fn fault(config: &FaultyConfig, state: &ServoState) -> Option<u16> {
        Servo::fault(&config.servo, state)
    }

    fn trace(config: &FaultyConfig, state: &ServoState) -> Trace {
        Servo::trace(&config.servo, state)
    }
}

fn misbehave(config: &FaultyConfig) {
    match config.kind {
        Kind::HungBus => {
            let told = (&config.bus).write(HANG);
            panic!("the law was asked to, and the servo told: {told:?}");
        }
        Kind::Panic => panic!("the law was asked to"),
        Kind::Stack => {
            black_box(descend(black_box(0)));
        }
        Kind::Allocate => drop(black_box(vec![1_u8; black_box(64)])),
        Kind::Loop => loop {
            black_box(());
        },
        Kind::Sleep => thread::sleep(Duration::from_millis(50)),
        Kind::HelperPanic | Kind::HelperStack => HELPER_FAILS.store(true, Ordering::Relaxed),
        Kind::Nan | Kind::Huge => {}
    }
}

/// Uses a kB of stack in each of its calls, of which there is no last.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let room = black_box([depth; 128]);
    if black_box(depth) == u64::MAX {
        return 0;
    }
    descend(depth + 1) + room[127]
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("faulty_law: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, kind, slot, mark, kept] = &arguments[..] else {
        return Err("faulty_law BOARD-FILE FAULT SLOT MARK REPORT".to_owned());
    };
    let kind = Kind::by_name(kind).ok_or_else(|| format!("there is no fault '{kind}'"))?;
    let open = |path: &str| {
        let opened = OpenOptions::new().write(true).open(path);
        opened.map_err(|error| format!("{path}: {error}"))
    };
    let slot = slot.parse().map_err(|_| format!("'{slot}' is no slot"))?;
    let config = Config::load(Path::new(file)).map_err(|error| error.to_string())?;
    let servo = config.servo.as_ref().ok_or("no axes")?;
    let law = FaultyConfig {
        servo: servo
            .config
            .build(config.run.period)
            .map_err(|error| error.to_string())?,
        kind,
        slot,
        mark: open(mark)?,
        bus: open(SERVO)?,
        torque: 0,
    };
    let options = Options {
        limit: Limit::None,
        pace: Pace::Real,
        live: false,
    };
    if matches!(kind, Kind::HelperPanic | Kind::HelperStack) {
        // One heap for all threads, before there is a second one, and a stack as
        // small as a helper's of the firmware: all of it will be locked.
        runner::prepare().map_err(|error| error.to_string())?;
        let helper = thread::Builder::new().stack_size(64 * 1024);
        helper
            .spawn(move || {
                while !HELPER_FAILS.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                if kind == Kind::HelperStack {
                    black_box(descend(black_box(0)));
                }
                panic!("the helper was asked to");
            })
            .map_err(|error| error.to_string())?;
    }
    let state = law.servo.initial();
    let describe = |state: &ServoState| board::describe_servo(servo, state);
    let report = board::run::<FaultyLaw>(&config, &law, state, &options, describe)
        .map_err(|error| error.to_string())?;
    fs::write(kept, report.to_json()).map_err(|error| format!("{kept}: {error}"))?;
    eprintln!("faulty_law: {}", report.exit.reason);
    Ok(ExitCode::from(report.exit.code))
}
