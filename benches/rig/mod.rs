//! The measured program: the firmware's loop with ports whose cost is not counted.
//!
//! First the board is simulated and the readings of its encoders are recorded. Then the
//! same loop with the same control law runs with the recorded readings: the motion is the
//! same, including noise, but no driver, chip or motor runs. The cost of the ports is in
//! separate functions, which the measurement subtracts.

mod links;

use std::hint::black_box;

use steadfast::axis::Mode;
use steadfast::board::{self, MachineLaws, Ports, Simulated};
use steadfast::config::Config;
use steadfast::cycle::image::{
    Angle, DigitalInputs, Inputs, MAX_ANALOG_OUTPUTS, MAX_POSITIONS, OutputError, Outputs, Sample,
};
use steadfast::cycle::ports::{Act, Clock, Decide, Record, Sense, Tick};
use steadfast::cycle::received::{Group, Handed, Received};
use steadfast::cycle::run::{Limit, Plant};
use steadfast::cycle::stages::Cycle;
use steadfast::cycle::timing::Timing;
use steadfast::realtime::helper::Barrier;
use steadfast::realtime::runner::{self, Outcome, Parts, Request, StartError};
use steadfast::stock::SIM_BOARD;
use steadfast::telemetry::report::Field;
use steadfast::telemetry::ring::{Discard, Reader, Ring};
use steadfast::time::{Duration, Instant};

use links::Linked;

/// Parts of the names of functions that are not the loop's: those that replace devices, and what
/// the link thread runs.
pub(crate) const OUTSIDE: [&str; 3] = ["Notes", "received::Handed::write", "mailbox::Sender"];
/// Name of the measured function in the profile.
pub(crate) const MEASURED: &str = "measured_loop";

/// Recorded cycles beyond the requested ones, for the end of the loop.
const MARGIN: u64 = 16;

/// A clock of negligible cost: every cycle begins 10 us late and takes 20 us. The values
/// are hidden from the optimiser.
struct Given {
    woken: Instant,
}

impl Given {
    const LATENESS: Duration = Duration::from_micros(10);
    const COST: Duration = Duration::from_micros(20);
    const START: Self = Self {
        woken: Instant::from_nanos(0),
    };
}

impl Clock for Given {
    #[inline]
    fn now(&self) -> Instant {
        black_box(self.woken + Self::COST)
    }

    #[inline]
    fn wait_until(&mut self, release: Instant) -> Instant {
        self.woken = black_box(release + Self::LATENESS);
        self.woken
    }
}

/// The readings of one cycle.
#[derive(Copy, Clone)]
struct Sensed {
    digital: DigitalInputs,
    positions: [Sample<Angle>; MAX_POSITIONS],
    /// The commands to the first axis, and their group.
    orders: [f64; 4],
    group: Group,
}

/// Ports that record the readings of the simulated board.
struct Recorder {
    ports: Ports<Simulated>,
    notes: Vec<Sensed>,
    mode: Option<Mode>,
    handed: &'static Handed,
}

impl Sense for Recorder {
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs) {
        self.ports.sense(tick, inputs);
        let (orders, group) = order(self.mode, tick);
        hand(self.handed, &orders, group, inputs);
        self.notes.push(Sensed {
            digital: inputs.digital.expect("nothing fails on this board"),
            positions: inputs.positions,
            orders,
            group,
        });
    }
}

impl Act for Recorder {
    fn safe_image(&self) -> Outputs {
        self.ports.safe_image()
    }

    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        self.ports.act(tick, outputs)
    }

    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError> {
        self.ports.safe(tick)
    }
}

/// Ports that return the recorded readings, and at intervals read the ring like the
/// reporter, so that it does not fill up.
struct Notes<'n> {
    notes: &'n [Sensed],
    next: usize,
    axes: usize,
    reader: Reader<'n>,
    handed: &'static Handed,
}

/// After this time without a refresh, commands are stale: more than the recorded run takes.
const TIMEOUT: Duration = Duration::from_millis(100);

/// The buffer of a link.
fn buffer() -> &'static Handed {
    Box::leak(Box::new(Handed::new()))
}

/// Commands the first axis.
fn hand(handed: &'static Handed, orders: &[f64; 4], group: Group, inputs: &mut Inputs) {
    handed.write(orders, &[group], &[TIMEOUT]);
    inputs.received = Received::of(handed);
}

/// The commands of a master to the first axis: it is enabled, then follows a sine in mode csp or
/// pv, or moves to set-points in mode pp.
fn order(mode: Option<Mode>, tick: &Tick) -> ([f64; 4], Group) {
    let Some(mode) = mode else {
        return ([0.0; 4], Group::NONE);
    };
    let t = tick.slot as f64 * 1e-3;
    let controlword = match tick.slot {
        0..10 => 0x06,
        10..20 => 0x07,
        slot if slot % 700 < 350 => 0x0F,
        _ => 0x1F,
    };
    let target = match mode {
        Mode::SyncPosition => 2.0 * (1.0 - (t - 0.02).max(0.0).cos()),
        _ => [1.0, -1.0][tick.slot as usize / 700 % 2],
    };
    // A velocity that changes each 100 ms.
    let velocity = [2.0, -2.0, 1.0, 0.0][tick.slot as usize / 100 % 4];
    let orders = [
        f64::from(controlword),
        f64::from(mode.number()),
        target,
        velocity,
    ];
    let group = Group {
        at: tick.now,
        valid: Ok(()),
    };
    (orders, group)
}

impl Sense for Notes<'_> {
    #[inline(never)]
    fn sense(&mut self, _: &Tick, inputs: &mut Inputs) {
        let sensed = &self.notes[self.next];
        self.next += 1;
        hand(self.handed, &sensed.orders, sensed.group, inputs);
        inputs.digital = Ok(sensed.digital);
        for (position, sample) in inputs
            .positions
            .iter_mut()
            .zip(&sensed.positions)
            .take(self.axes)
        {
            *position = *sample;
        }
    }
}

impl Act for Notes<'_> {
    fn safe_image(&self) -> Outputs {
        Outputs::new(0, &[0.0; MAX_ANALOG_OUTPUTS][..self.axes])
    }

    #[inline(never)]
    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        black_box(outputs);
        if tick.slot.is_multiple_of(512) {
            while let Some(record) = self.reader.dequeue() {
                black_box(record);
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn safe(&mut self, _: &Tick) -> Result<(), OutputError> {
        Ok(())
    }
}

/// A controller without axes, which leaves the loop itself.
struct Empty;

impl Decide for Empty {
    type Config = ();
    type State = ();

    fn decide((): &(), (): &mut (), _: &Inputs, _: &Tick, _: &mut Outputs) {}
}

/// Whether the loop takes commands from links and shows its cycles to them.
#[derive(Copy, Clone)]
pub(crate) enum Links {
    None,
    Active,
}

/// Runs `cycles` cycles of `axes` axes on a clock without cost. `most` is the number of
/// recorded cycles, the same for all compared runs. With `mode`, the first axis is commanded in
/// this mode.
///
/// # Panics
/// The axes did not follow their profile.
pub(crate) fn servo(axes: usize, mode: Option<Mode>, links: Links, cycles: u64, most: u64) {
    let config = short(match mode {
        Some(_) => commanded_board(),
        None => board_of(axes),
    });
    let notes = write_down(&config, mode, most);
    let mut ring = Ring::new();
    let (mut writer, reader) = ring.split();
    let ports = Notes {
        notes: &notes,
        next: 0,
        axes,
        reader,
        handed: buffer(),
    };
    match links {
        Links::None => follow(&config, ports, axes, cycles, &mut writer),
        Links::Active => {
            let ports = Linked::new(ports, &config);
            follow(&config, ports, axes, cycles, &mut writer);
        }
    }
}

/// The measured loop of [`servo`].
fn follow<P: Sense + Act, R: Record>(
    config: &Config,
    ports: P,
    axes: usize,
    cycles: u64,
    record: &mut R,
) {
    // As in the firmware: one law among those that a board file can name.
    let laws = board::laws(config).expect("they fit");
    let mut cycle = Cycle::<_, MachineLaws>::new(ports, &(), laws, config.heartbeat);
    run(
        config,
        &mut cycle,
        cycles,
        record,
        &mut { Given::START },
        How::Measured,
    );
    for law in cycle.state.iter() {
        let law = law.description();
        assert_eq!(law.fault, None, "the notes are not those of this loop");
        let entries: Vec<_> = law.sections.iter().flat_map(|s| &s.entries).collect();
        assert_eq!(entries.len(), axes);
        for axis in entries {
            let error = ("tracking_error_max_rad", 0.0..0.05);
            let told = axis.fields.iter().any(|(key, field)| {
                matches!(field, Field::Number(rad) if *key == error.0 && error.1.contains(rad) && *rad > 0.0)
            });
            assert!(told, "tracking error in {:?}", axis.fields);
        }
    }
}

/// Runs `cycles` cycles of a controller without axes: the loop alone.
pub(crate) fn empty(cycles: u64) {
    let config = short(board_of(1));
    let nothing = Sensed {
        digital: DigitalInputs::default(),
        positions: [Sample::NOT_READ; MAX_POSITIONS],
        orders: [0.0; 4],
        group: Group::NONE,
    };
    let notes = vec![nothing; (cycles + MARGIN) as usize];
    let mut ring = Ring::new();
    let (mut writer, reader) = ring.split();
    let ports = Notes {
        notes: &notes,
        next: 0,
        axes: 0,
        reader,
        handed: buffer(),
    };
    let mut cycle = Cycle::<_, Empty>::new(ports, &(), (), config.heartbeat);
    run(
        &config,
        &mut cycle,
        cycles,
        &mut writer,
        &mut { Given::START },
        How::Measured,
    );
}

/// The simulated board with `axes` axes.
pub(crate) fn board_of(axes: usize) -> Config {
    let text = testbed::axes::board_file(SIM_BOARD, axes);
    Config::parse("board.toml", &text).expect("copies of a checked axis")
}

/// The simulated board with one axis that obeys commands.
fn commanded_board() -> Config {
    let text = format!("{SIM_BOARD}\n[axis.x.command]\ntimeout_ms = 100\n[link.local]\n");
    Config::parse("board.toml", &text).expect("the board and a table")
}

/// The board without time for a stop: a run ends at once.
fn short(mut config: Config) -> Config {
    config.run.stop_time = config.run.period;
    config
}

fn write_down(config: &Config, mode: Option<Mode>, cycles: u64) -> Vec<Sensed> {
    let simulation = config.simulation.as_ref().expect("a simulated board");
    let (devices, map) =
        Simulated::build(simulation, &config.io, config.run.period).expect("checked");
    let recorder = Recorder {
        ports: Ports::new(devices, &config.io, &map),
        notes: Vec::with_capacity((cycles + MARGIN) as usize),
        mode,
        handed: buffer(),
    };
    let laws = board::laws(config).expect("they fit");
    let mut cycle = Cycle::<_, MachineLaws>::new(recorder, &(), laws, config.heartbeat);
    run(
        config,
        &mut cycle,
        cycles,
        &mut Discard,
        &mut { Given::START },
        How::Unmeasured,
    );
    cycle.ports.notes
}

/// One run of `cycles` cycles in the firmware's runner, with its seal and supervisor.
fn run<P, D, R, C>(
    config: &Config,
    cycle: &mut Cycle<'_, P, D>,
    cycles: u64,
    record: &mut R,
    clock: &mut C,
    how: How,
) where
    P: Sense + Act,
    D: Decide,
    R: Record,
    C: Clock,
{
    let request = Request {
        config: &config.run,
        ladder: config.ladder,
        requirement: config.requirement,
        on_broken: config.on_broken,
        limit: Limit::Cycles(cycles),
        max_hold: config.io.max_hold(),
        plant: Plant::Waits,
    };
    let mut timing = Timing::new();
    let parts = Parts {
        cycle,
        timing: &mut timing,
        record,
        mapped: &[],
        deadline_met: &mut |_: &Tick| {},
        barrier: &Barrier::new(),
        watch: None,
        audit: None,
        judged: &|_| {},
    };
    let outcome = match how {
        How::Measured => measured_loop(&request, parts, clock),
        How::Unmeasured => runner::run_virtual(&request, parts, clock),
    };
    let ran = outcome.ok().and_then(|outcome| outcome.ran);
    assert_eq!(ran.map(|ran| ran.run), Some(cycles));
    assert_eq!(timing.overruns, 0, "the clock given is always in time");
}

/// Whether a run is counted, or prepares the counted one.
#[derive(Copy, Clone)]
enum How {
    Measured,
    Unmeasured,
}

/// A separate function, which delimits the count.
#[inline(never)]
fn measured_loop<P, D, R, F, C>(
    request: &Request<'_>,
    parts: Parts<'_, '_, P, D, R, F>,
    clock: &mut C,
) -> Result<Outcome, StartError>
where
    P: Sense + Act,
    D: Decide,
    R: Record,
    F: FnMut(&Tick),
    C: Clock,
{
    runner::run_virtual(request, parts, clock)
}
