//! The cycle does not allocate: 100,000 cycles of the firmware's loop on the simulated
//! board, under the firmware's sealed allocator, including every error of bus and chips,
//! emergency stops, faults and their reset, missed deadlines and quick stops.
//!
//! The check itself is tested with a control law that allocates.
#![cfg(feature = "linux")]

mod no_alloc_faults;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use no_alloc_faults::{Disturbed, SlowClock};
use steadfast::axis::Servo;
use steadfast::board::{self, Description, Options, Ports, Simulated};
use steadfast::config::Config;
use steadfast::cycle::image::{InputChannel, Inputs, Outputs};
use steadfast::cycle::overrun::LadderConfig;
use steadfast::cycle::ports::{Act, Clock, Decide, Record, Sense, Tick};
use steadfast::cycle::record::{CycleRecord, flags};
use steadfast::cycle::run::{self, Demand, End, Limit, Plan, Plant, Summary, Supervise};
use steadfast::cycle::stages::{Cycle, Drive};
use steadfast::cycle::timing::Timing;
use steadfast::realtime::allocator::{
    self, AllocationCounts, RealtimeThread, Seal, SealedAllocator,
};
use steadfast::sim::VirtualClock;
use steadfast::stock::SIM_BOARD;
use steadfast::stock::servo::Axes;
use steadfast::telemetry::report::Pace;
use steadfast::telemetry::ring::{Reader, Ring, Writer};
use steadfast::time::{Duration, Instant};
use testbed::emulation;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

const CYCLES: u64 = 100_000;

/// The seal is that of the process: one test at a time.
static SEAL: Mutex<()> = Mutex::new(());

/// Supervises the loop like the runner, whose supervisor is private.
struct Watch;

impl Supervise for Watch {
    fn demand(&self, _: Instant) -> Demand {
        match allocator::counts().realtime {
            0 => Demand::Continue,
            _ => Demand::Allocated,
        }
    }
}

/// The writer of the ring with a count of its records: the number that the reader gets
/// depends on its timing.
struct Tally<'r> {
    writer: Writer<'r>,
    records: u64,
    flags: u16,
    /// Records with a fault after one without.
    faults: u64,
    /// Records without a fault after one with.
    resets: u64,
    faulted: bool,
}

impl<'r> Tally<'r> {
    fn new(writer: Writer<'r>) -> Self {
        Self {
            writer,
            records: 0,
            flags: 0,
            faults: 0,
            resets: 0,
            faulted: false,
        }
    }
}

impl Record for Tally<'_> {
    fn record(&mut self, record: &CycleRecord) {
        let faulted = record.fault != 0;
        self.records += 1;
        self.flags |= record.flags;
        self.faults += u64::from(faulted && !self.faulted);
        self.resets += u64::from(self.faulted && !faulted);
        self.faulted = faulted;
        self.writer.record(record);
    }
}

/// Reads until `done`; returns the number of records, including dropped ones.
fn read(mut reader: Reader<'_>, done: &AtomicBool) -> u64 {
    let mut records = 0;
    loop {
        let last = done.load(Ordering::Acquire);
        while let Some(record) = reader.dequeue() {
            black_box(record);
            records += 1;
        }
        if last {
            return records + reader.dropped();
        }
        std::thread::yield_now();
    }
}

/// Ends the reader when dropped, also on failure of the test.
struct EndReader<'d>(&'d AtomicBool);

impl Drop for EndReader<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The result of a sealed run.
struct Sealed {
    summary: Summary,
    counts: AllocationCounts,
    flags: u16,
    records: u64,
    faults: u64,
    resets: u64,
}

/// Runs `cycles` cycles with the allocator sealed on this thread as real-time thread, while
/// another thread reads the records.
fn run_sealed<P, D, C>(
    config: &Config,
    cycle: &mut Cycle<'_, P, D>,
    clock: &mut C,
    cycles: u64,
) -> Sealed
where
    P: Sense + Act,
    D: Decide,
    C: Clock,
{
    let plan = Plan {
        period: config.run.period,
        deadline: config.run.deadline,
        limit: Limit::Cycles(cycles),
        rest_slots: config.run.slots(config.run.stop_time),
        output_failures: config.run.output_failures,
        ladder: LadderConfig::default(),
        max_hold: config.io.max_hold(),
        drive: Drive::Fresh,
        plant: Plant::GoesOn,
    };
    let epoch = Instant::from_nanos(config.run.period.as_nanos());
    let mut timing = Box::new(Timing::new());
    let mut ring = Box::new(Ring::new());
    let (writer, reader) = ring.split();
    let mut tally = Tally::new(writer);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reporter = scope.spawn(|| read(reader, &done));
        let end = EndReader(&done);
        let mark = RealtimeThread::mark();
        allocator::seal(Seal::Count);
        let summary = run::run(
            cycle,
            &plan,
            epoch,
            clock,
            &mut timing,
            &mut tally,
            &mut Watch,
        );
        let counts = allocator::counts();
        allocator::unseal();
        drop(mark);
        drop(end);
        assert_eq!(reporter.join().unwrap(), tally.records);
        Sealed {
            summary,
            counts,
            flags: tally.flags,
            records: tally.records,
            faults: tally.faults,
            resets: tally.resets,
        }
    })
}

/// The simulated board with `axes` axes.
fn several(axes: usize) -> Config {
    let text = testbed::axes::board_file(SIM_BOARD, axes);
    Config::parse("board.toml", &text).expect("copies of a checked axis")
}

/// The board with a reset button, so that stopped axes can start again, and its law.
fn board_with_reset(axes: usize) -> (Config, Servo) {
    let mut config = several(axes);
    let mut button = config.io.inputs[0].clone();
    button.name = "reset".to_owned();
    config.io.inputs.push(button);
    let mut servo = Axes::of(&config).unwrap().config.clone();
    servo.reset = InputChannel::new(no_alloc_faults::RESET);
    let law = servo.build(config.run.period).unwrap();
    (config, law)
}

fn a_hundred_thousand_cycles_with_faults(axes: usize) {
    assert!(allocator::is_installed());
    let _alone = SEAL.lock().unwrap();
    let (config, law) = board_with_reset(axes);
    let simulation = config.simulation.as_ref().unwrap();
    let (devices, map) = Simulated::build(simulation, &config.io, config.run.period).unwrap();
    let ports = Disturbed::new(Ports::new(devices, &config.io, &map), axes);
    let mut cycle = Cycle::<_, Servo>::new(ports, &law, law.initial(), config.heartbeat);
    let mut clock = SlowClock::new(config.run.period);
    let sealed = run_sealed(&config, &mut cycle, &mut clock, CYCLES);

    assert_eq!(
        (sealed.counts.realtime, sealed.counts.realtime_frees),
        (0, 0),
        "allocated and freed on the thread of the loop"
    );
    assert_eq!(sealed.summary.end, End::Finished, "{:?}", sealed.summary);
    assert_eq!(sealed.summary.run, CYCLES);
    assert_eq!(sealed.records, CYCLES + sealed.summary.rest_cycles);
    // Else the faults did not occur.
    let expected =
        flags::OVERRUN | flags::OUTPUT_FAILED | flags::HELD | flags::QUICK_STOP | flags::STOPPED;
    assert_eq!(sealed.flags, expected);
    let stops = (sealed.faults, sealed.resets);
    assert!(
        stops.0 >= 60 && stops.1 >= 60,
        "faults and resets: {stops:?}"
    );
    assert!(cycle.ports.every_disturbance_was_made());
    for axis in cycle.state.axes() {
        assert!(axis.tracking_error_max_rad() > 0.0, "the axis did not move");
    }
}

#[test]
fn the_cycle_of_one_axis_never_allocates_even_with_faults() {
    a_hundred_thousand_cycles_with_faults(1);
}

#[test]
fn the_cycle_of_eight_axes_never_allocates_even_with_faults() {
    a_hundred_thousand_cycles_with_faults(8);
}

/// A controller that allocates once, in the cycle given by its configuration.
struct Leaky;

impl Decide for Leaky {
    type Config = u64;
    type State = ();

    fn decide(slot: &u64, (): &mut (), _: &Inputs, tick: &Tick, _: &mut Outputs) {
        if tick.slot == *slot {
            drop(black_box(Box::new(tick.slot)));
        }
    }
}

#[test]
fn an_allocating_control_law_ends_the_run_in_the_same_cycle() {
    let _alone = SEAL.lock().unwrap();
    let config = several(1);
    let simulation = config.simulation.as_ref().unwrap();
    let (devices, map) = Simulated::build(simulation, &config.io, config.run.period).unwrap();
    let ports = Ports::new(devices, &config.io, &map);
    let mut cycle = Cycle::<_, Leaky>::new(ports, &700, (), config.heartbeat);
    let mut clock = VirtualClock::new(Duration::from_micros(20));
    let sealed = run_sealed(&config, &mut cycle, &mut clock, 1_000);
    assert_eq!(sealed.summary.end, End::Allocated);
    assert_eq!(sealed.summary.run, 701, "slot 700 is the last one");
    assert_eq!(
        (sealed.counts.realtime, sealed.counts.realtime_frees),
        (1, 1)
    );
    assert_ne!(sealed.flags & flags::ALLOCATED, 0);
}

/// Set in a process that runs [`Leaky`] as a firmware.
const CHILD: &str = "STEADFAST_LEAKY_CHILD";

/// Runs the test `name` of this program in a separate process.
fn alone(name: &str) -> Output {
    let mut command = emulation::start(&std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap()
}

/// A firmware whose control law allocates: with debug assertions the seal ends
/// the process, without them the run ends in a fault with safe outputs.
#[test]
fn a_firmware_with_an_allocating_control_law_ends_with_an_error() {
    if std::env::var_os(CHILD).is_some() {
        let options = Options {
            limit: Limit::Cycles(1_000),
            pace: Pace::Free,
            live: false,
        };
        let report =
            board::run::<Leaky>(&several(1), &700, (), &options, |()| Description::default())
                .unwrap();
        eprintln!("exit {}: {}", report.exit.code, report.exit.reason);
        std::process::exit(i32::from(report.exit.code));
    }
    let output = alone("a_firmware_with_an_allocating_control_law_ends_with_an_error");
    let said = String::from_utf8_lossy(&output.stderr);
    let line = if cfg!(debug_assertions) {
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
        "steadfast: 8 bytes allocated on the real-time thread after the seal; allocate before the \
         loop starts"
    } else {
        assert_eq!(output.status.code(), Some(4), "{said}");
        "exit 4: memory was allocated on the real-time thread; allocate nothing in drivers and control laws"
    };
    assert!(said.lines().any(|said| said == line), "{said}");
}
