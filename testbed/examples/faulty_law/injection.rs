//! Injection of a fault by the law, in a given slot.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use steadfast::realtime::{memory, runner};

/// Requests the fault of the helper thread.
static HELPER_FAILS: AtomicBool = AtomicBool::new(false);

/// Where the virtual servo is told what fails (`testbed/examples/virtual_servo/rig.rs`), and
/// that it is the next transfer of the DAC, which will take 500 ms.
const SERVO: &str = "/dev/servo-control";
const HANG: &[u8] = b"spidev3.1 delay 500000 x1\n";

/// The file that the runner keeps open against CPU idle states.
const LATENCY: &str = "/dev/cpu_dma_latency";

/// The fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None; the fault is injected elsewhere.
    None,
    /// The law panics.
    Panic,
    /// The command is NaN from this slot on.
    Nan,
    /// The command is far beyond the range of the output from this slot on.
    Huge,
    /// Unbounded recursion.
    Stack,
    /// The law allocates memory.
    Allocate,
    /// The law does not return.
    Loop,
    /// The law blocks for 50 ms.
    Sleep,
    /// Another thread of the process panics.
    HelperPanic,
    /// Unbounded recursion in another thread of the process.
    HelperStack,
    /// The law panics while the bus of the DAC hangs, and with it the safe frame of the
    /// crash handler.
    HungBus,
    /// The law unlocks all memory of the process.
    Unlock,
    /// The law closes the descriptor of `/dev/cpu_dma_latency`.
    CloseLatency,
}

impl Kind {
    /// The fault of this name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
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
            "unlock" => Self::Unlock,
            "close-latency" => Self::CloseLatency,
            _ => return None,
        })
    }
}

/// A fault and its slot.
struct Injection {
    kind: Kind,
    slot: u64,
    /// The pin that rises just before.
    mark: File,
    bus: File,
    /// The device number of [`LATENCY`].
    latency: u64,
}

/// The injection of this process.
static INJECTION: OnceLock<Injection> = OnceLock::new();

/// Prepares an injection in `slot`; `mark` is the `value` file of the pin that marks it.
pub(crate) fn prepare(kind: Kind, slot: u64, mark: &str) -> Result<(), String> {
    let open = |path: &str| {
        let opened = OpenOptions::new().write(true).open(path);
        opened.map_err(|error| format!("{path}: {error}"))
    };
    let injection = Injection {
        kind,
        slot,
        mark: open(mark)?,
        bus: open(SERVO)?,
        latency: fs::metadata(LATENCY).map_or(0, |device| device.rdev()),
    };
    INJECTION
        .set(injection)
        .map_err(|_| "an injection is already prepared".to_owned())?;
    if matches!(kind, Kind::HelperPanic | Kind::HelperStack) {
        start_helper(kind)?;
    }
    Ok(())
}

/// Injects the fault in its slot. Gives the command that replaces the law's from then on,
/// if there is one.
pub(crate) fn at_slot(slot: u64) -> Option<f64> {
    let injection = INJECTION.get()?;
    // The rehearsal has its own count of slots, which ends before.
    if injection.kind == Kind::None || slot < injection.slot {
        return None;
    }
    if slot == injection.slot {
        let _ = injection.mark.write_at(b"1", 0);
        inject(injection);
    }
    match injection.kind {
        Kind::Nan => Some(f64::NAN),
        Kind::Huge => Some(1e9),
        _ => None,
    }
}

fn inject(injection: &Injection) {
    match injection.kind {
        Kind::HungBus => {
            let written = (&injection.bus).write(HANG);
            panic!("injected panic of the law, command to the servo: {written:?}");
        }
        Kind::Panic => panic!("injected panic of the law"),
        Kind::Stack => {
            black_box(descend(black_box(0)));
        }
        Kind::Allocate => drop(black_box(vec![1_u8; black_box(64)])),
        Kind::Loop => loop {
            black_box(());
        },
        Kind::Sleep => thread::sleep(Duration::from_millis(50)),
        Kind::HelperPanic | Kind::HelperStack => HELPER_FAILS.store(true, Ordering::Relaxed),
        Kind::Unlock => {
            let unlocked = memory::unlock_all();
            assert_eq!(unlocked, Ok(()), "munlockall(2) is never refused");
        }
        Kind::CloseLatency => close_latency(injection.latency),
        Kind::None | Kind::Nan | Kind::Huge => {}
    }
}

/// Closes the descriptor of [`LATENCY`]. Allocates nothing.
#[expect(
    unsafe_code,
    reason = "there is no safe way to close a descriptor of another owner"
)]
fn close_latency(device: u64) {
    for descriptor in 3..64 {
        // SAFETY: stat is plain numbers, zero is a value of each.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `stat` is live and writable.
        let known = unsafe { libc::fstat(descriptor, &raw mut stat) } == 0;
        if known && stat.st_rdev == device {
            // SAFETY: takes no pointer. Its owner finds it closed, which is the fault.
            let closed = unsafe { libc::close(descriptor) };
            assert_eq!(closed, 0, "the descriptor is open");
            return;
        }
    }
    panic!("{LATENCY} is not open");
}

/// Recursion without an end; each call uses 1 kB of stack.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let room = black_box([depth; 128]);
    if black_box(depth) == u64::MAX {
        return 0;
    }
    descend(depth + 1) + room[127]
}

/// Starts the thread that injects the fault instead of the law.
fn start_helper(kind: Kind) -> Result<(), String> {
    // One heap for all threads, to be set before the second one, and a stack as small as
    // that of a helper thread of the firmware, because all of it will be locked.
    runner::prepare().map_err(|error| error.to_string())?;
    let helper = thread::Builder::new().stack_size(64 * 1024);
    let started = helper.spawn(move || {
        while !HELPER_FAILS.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if kind == Kind::HelperStack {
            black_box(descend(black_box(0)));
        }
        panic!("injected panic of the helper");
    });
    started.map(drop).map_err(|error| error.to_string())
}
