//! A real-time controller for embedded Linux on ARM: locked into memory,
//! allocation-free, one cycle every millisecond, and the proof of it at every
//! start and in every cycle.
//!
//! A library and a firmware at once. The library gives the parts; the binary
//! `steadfast` is the firmware made of them, for servo axes. Another chip, control law
//! or plant is one `impl` in a crate of your own, registered with a
//! [`Firmware`](firmware::Firmware), and the rest stays.
//!
//! # One cycle
//!
//! ```text
//!       +---------------- every period, on the real-time thread ----------------+
//!  wait until release -> sense -> decide -> act -> record --ring--> reporter    |
//!       +-----------------------------------------------------------------------+
//! ```
//!
//! - `sense` fills a process image that is `Copy`. A reading that failed stands
//!   in it as the error it is: nothing can skip `act`.
//! - `decide` is pure: configuration, state, inputs and time in, outputs out.
//! - `act` writes every output, whatever fails.
//! - `record` puts one record of fixed size into a ring. When the ring is full
//!   the record is dropped and counted; the loop waits for nobody.
//!
//! The schedule is absolute and keeps its phase for ever. Slots that were missed
//! are skipped and counted, never run as a burst: slots run and slots skipped
//! are together the time in periods.
//!
//! # Layers
//!
//! ```text
//!  the core: no_std, no alloc, no unsafe, reads no clock
//!    time        Instant and Duration in nanoseconds
//!    control     laws: PID, filters, trajectory; configuration apart from state
//!    cycle       one period: sense -> decide -> act -> record; schedule, overrun;
//!                signals, and what a device and a law are
//!    axis        a servo axis: CiA 402 states, limits, safe outputs
//!    driver      chips over embedded-hal: AS5047P, MCP4922, MCP3208
//!    sim         motor, heater and the same chips at register level, with faults;
//!                what a plant is
//!
//!  the Linux half: feature "linux"
//!    sys         the only unsafe code: each system call and ioctl once, typed
//!    realtime    this process made real-time: memory, stack, allocator,
//!                scheduler, clock, contract, runner
//!    device      kernel devices: SPI, I2C and PWM as embedded-hal, GPIO, watchdog
//!    bus         one handle for each bus, over a kernel device or a simulated one
//!    telemetry   ring, reporter thread, flight file, black box, report,
//!                service notification
//!    config      board.toml -> Config; every error says file, line and fix; how
//!                drivers, laws and plants of one's own read their tables
//!    stock       what this crate ships for board files to name: PWM, H-bridge, PID,
//!                two-point, profile, lag, state space
//!    board       composes a Config into ports: simulated or Linux
//!    command     run, check, doctor
//!    firmware    drivers, laws and plants of one's own, registered
//! ```
//!
//! The rules, each of them tested:
//!
//! - Imports point up this list only: a layer imports those above it and none
//!   below. No shared layer names a chip or a law, a control law never sees a device.
//! - No files import each other in a circle.
//! - `unsafe` stays in `sys`, with its reason on each block.
//! - The core builds without the standard library and for bare metal.
//! - From the seal on, nothing allocates on the real-time thread.
//!
//! # Where to begin
//!
//! | to | read |
//! |---|---|
//! | build a machine of your own | [`firmware`], `docs/machines.md` |
//! | add a chip or an actuator | [`config::Driver`], [`cycle::device::Device`] |
//! | add a control law | [`config::LawKind`], [`cycle::law::Law`], [`control`] |
//! | list the keys of your board files | [`firmware::Firmware::keys`], `docs/board-file.md` |
//! | simulate what you control | [`config::PlantKind`], [`sim::Plant`] |
//! | put one law in place of all others, without a registry | [`cycle::ports::Decide`], [`board::run`], `examples/two_point` |
//! | follow one sample through the code | `docs/architecture.md` |
//! | change this crate | `CONTRIBUTING.md` |
//! | know what is promised and judged | [`realtime::contract`] |
//! | know what a late cycle leads to | [`cycle::overrun`] |
//! | use the kernel's SPI and GPIO without allocating | [`device`] |
//! | let a driver run on a board and over a register model | [`bus`] |
//! | read a shipped driver and its register model | [`driver`], [`sim`] |
//!
//! # Example
//!
//! A lamp that is lit while a button is pressed, for 300 cycles on the simulated
//! board. The virtual clock never waits; [`Pace::Real`](telemetry::report::Pace)
//! would make the thread real-time first.
//!
// One loop runs in a process at a time: such examples have one of their own.
#![cfg_attr(feature = "linux", doc = "```standalone_crate")]
#![cfg_attr(not(feature = "linux"), doc = "```ignore")]
//! use steadfast::board::{self, Description, Options};
//! use steadfast::config::Config;
//! use steadfast::cycle::image::{InputChannel, Inputs, OutputChannel, Outputs};
//! use steadfast::cycle::ports::{Decide, Directive, Tick};
//! use steadfast::cycle::run::Limit;
//! use steadfast::telemetry::report::Pace;
//!
//! struct Lamp;
//!
//! struct Channels {
//!     button: InputChannel,
//!     lamp: OutputChannel,
//! }
//!
//! impl Decide for Lamp {
//!     type Config = Channels;
//!     /// Whether it is lit.
//!     type State = bool;
//!
//!     fn decide(
//!         at: &Channels,
//!         lit: &mut bool,
//!         inputs: &Inputs,
//!         tick: &Tick,
//!         outputs: &mut Outputs,
//!     ) {
//!         // A button that cannot be read counts as pressed.
//!         let pressed = inputs.digital.map_or(true, |all| all.was_active(at.button));
//!         *lit = pressed && tick.directive == Directive::Run;
//!         // All others keep the safe values of the board file.
//!         outputs.set(at.lamp, *lit);
//!     }
//!
//!     fn at_rest(_: &Channels, lit: &bool) -> bool {
//!         !*lit
//!     }
//! }
//!
//! let config = Config::simulated();
//! let channels = Channels {
//!     button: config.input("emergency_stop")?,
//!     lamp: config.output("fault_lamp")?,
//! };
//! let options = Options {
//!     limit: Limit::Cycles(300),
//!     pace: Pace::Free,
//!     live: false,
//! };
//! let report = board::run::<Lamp>(&config, &channels, false, &options, |_| {
//!     Description::default()
//! })?;
//! assert_eq!((report.cycles.run, report.cycles.skipped), (300, 0));
//! assert_eq!(report.exit.code, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `linux` | yes | the Linux half and the firmware. Without it the crate is the core alone: `no_std`, without `alloc`, with `embedded-hal`, `heapless` and `libm` as its dependencies |
#![cfg_attr(not(any(test, feature = "linux")), no_std)]
#![cfg_attr(
    not(feature = "linux"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the map names the Linux half, which is not there"
    )
)]

pub mod axis;
pub mod control;
pub mod cycle;
pub mod driver;
pub mod sim;
pub mod time;

#[cfg(feature = "linux")]
pub mod board;
#[cfg(feature = "linux")]
pub mod bus;
#[cfg(feature = "linux")]
pub mod command;
#[cfg(feature = "linux")]
pub mod config;
#[cfg(feature = "linux")]
pub mod device;
#[cfg(feature = "linux")]
pub mod firmware;
#[cfg(feature = "linux")]
pub mod realtime;
#[cfg(feature = "linux")]
pub mod stock;
#[cfg(feature = "linux")]
pub mod sys;
#[cfg(feature = "linux")]
pub mod telemetry;

#[cfg(all(test, feature = "linux"))]
use testbed::emulation;
