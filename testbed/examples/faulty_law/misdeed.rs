//! What a law does wrong, once, in a slot that was asked for.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use steadfast::realtime::{memory, runner};

/// Asks the helper thread to misbehave.
static HELPER_FAILS: AtomicBool = AtomicBool::new(false);

/// Where the virtual servo is told what fails (`testbed/examples/virtual_servo/rig.rs`), and
/// that it is the next transfer of the DAC, which will take 500 ms.
const SERVO: &str = "/dev/servo-control";
const HANG: &[u8] = b"spidev3.1 delay 500000 x1\n";

/// What the runner holds open for CPUs to stay awake.
const LATENCY: &str = "/dev/cpu_dma_latency";

/// What the law does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: what fails is elsewhere.
    None,
    /// It panics.
    Panic,
    /// Its command is not finite, from then on.
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
    /// It unlocks all memory of the process.
    Unlock,
    /// It closes the descriptor of `/dev/cpu_dma_latency`.
    CloseLatency,
}

impl Kind {
    /// The one that is called so.
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

/// What is done wrong, and when.
struct Misdeed {
    kind: Kind,
    slot: u64,
    /// The pin that is lit just before.
    mark: File,
    bus: File,
    /// The device number of [`LATENCY`].
    latency: u64,
}

/// The process's one.
static MISDEED: OnceLock<Misdeed> = OnceLock::new();

/// Prepares a misdeed in `slot`; `mark` is the `value` file of the pin that tells.
pub(crate) fn prepare(kind: Kind, slot: u64, mark: &str) -> Result<(), String> {
    let open = |path: &str| {
        let opened = OpenOptions::new().write(true).open(path);
        opened.map_err(|error| format!("{path}: {error}"))
    };
    let misdeed = Misdeed {
        kind,
        slot,
        mark: open(mark)?,
        bus: open(SERVO)?,
        latency: fs::metadata(LATENCY).map_or(0, |device| device.rdev()),
    };
    MISDEED
        .set(misdeed)
        .map_err(|_| "two misdeeds".to_owned())?;
    if matches!(kind, Kind::HelperPanic | Kind::HelperStack) {
        start_helper(kind)?;
    }
    Ok(())
}

/// In the slot that was asked for the misdeed is done. What the law is to command from
/// then on in place of its own, if anything.
pub(crate) fn commit(slot: u64) -> Option<f64> {
    let misdeed = MISDEED.get()?;
    // The rehearsal counts its own slots, and fewer than are asked for.
    if misdeed.kind == Kind::None || slot < misdeed.slot {
        return None;
    }
    if slot == misdeed.slot {
        let _ = misdeed.mark.write_at(b"1", 0);
        misbehave(misdeed);
    }
    match misdeed.kind {
        Kind::Nan => Some(f64::NAN),
        Kind::Huge => Some(1e9),
        _ => None,
    }
}

fn misbehave(misdeed: &Misdeed) {
    match misdeed.kind {
        Kind::HungBus => {
            let told = (&misdeed.bus).write(HANG);
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
        Kind::Unlock => {
            let unlocked = memory::unlock_all();
            assert_eq!(unlocked, Ok(()), "the law was asked to");
        }
        Kind::CloseLatency => close_latency(misdeed.latency),
        Kind::None | Kind::Nan | Kind::Huge => {}
    }
}

/// Closes the descriptor of [`LATENCY`]. Allocates nothing.
#[expect(unsafe_code, reason = "nothing safe closes what somebody else opened")]
fn close_latency(device: u64) {
    for descriptor in 3..64 {
        // SAFETY: stat is plain numbers, zero is a value of each.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `stat` is live and writable.
        let known = unsafe { libc::fstat(descriptor, &raw mut stat) } == 0;
        if known && stat.st_rdev == device {
            // SAFETY: takes no pointer. It is not ours to close, which is the fault: its
            // owner finds it closed.
            let closed = unsafe { libc::close(descriptor) };
            assert_eq!(closed, 0, "the law was asked to");
            return;
        }
    }
    panic!("{LATENCY} is not open");
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

/// Starts the thread that misbehaves in the law's place.
fn start_helper(kind: Kind) -> Result<(), String> {
    // One heap for all threads, before there is a second one, and a stack as
    // small as a helper's of the firmware: all of it will be locked.
    runner::prepare().map_err(|error| error.to_string())?;
    let helper = thread::Builder::new().stack_size(64 * 1024);
    let started = helper.spawn(move || {
        while !HELPER_FAILS.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if kind == Kind::HelperStack {
            black_box(descend(black_box(0)));
        }
        panic!("the helper was asked to");
    });
    started.map(drop).map_err(|error| error.to_string())
}
