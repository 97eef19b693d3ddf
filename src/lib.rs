//! A real-time controller for embedded Linux on ARM.
//!
//! steadfast locks its memory, allocates nothing after start-up and closes a control
//! loop once a period, typically every millisecond. At each start it verifies that the
//! machine grants what real time needs (the *contract*), and it checks these promises
//! once a second while the loop runs.
//!
//! The crate is a library and a firmware. The binary `steadfast` is the stock firmware
//! for servo axes; a text file, the *board file*, describes the machine. To add a chip,
//! a control law or a simulated plant, implement one trait in a crate of your own and
//! register it with [`Firmware`](firmware::Firmware).
//!
//! # One cycle
//!
//! ```text
//!       +---------------- every period, on the real-time thread ----------------+
//!  wait until release -> sense -> decide -> act -> record --ring--> reporter    |
//!       +-----------------------------------------------------------------------+
//! ```
//!
//! - `sense` reads all inputs into the process image. A failed reading is stored as an
//!   error in place of the value, so no failure can skip `act`.
//! - `decide` runs the control laws. A law is a pure function: configuration, state,
//!   inputs and time in, outputs out.
//! - `act` writes every output, even if writing another output failed.
//! - `record` puts one record of fixed size into a ring. If the ring is full, the record
//!   is dropped and counted; the loop never waits for the reporter.
//!
//! The schedule is absolute: cycle *n* is released at start + *n* periods, without drift.
//! A missed slot is skipped and counted; it is never made up for by a burst of cycles.
//! Slots run plus slots skipped equal the elapsed periods.
//!
//! # Layers
//!
//! ```text
//!  the core: no_std, no alloc, no unsafe, reads no clock
//!    time        Instant and Duration in nanoseconds
//!    control     PID, filters, trajectory; configuration separate from state
//!    cycle       one period: sense -> decide -> act -> record; schedule, overrun,
//!                signals; the traits Device and Law
//!    axis        a servo axis: CiA 402 states, limits, safe outputs
//!    driver      chips over embedded-hal: AS5047P, MCP4922, MCP3208
//!    sim         motor, heater and the same chips at register level, with faults;
//!                the trait Plant
//!
//!  the Linux half: feature "linux"
//!    sys         the only unsafe code: each system call and ioctl once, typed
//!    realtime    makes the process real-time: memory, stack, allocator,
//!                scheduler, clock, contract, runner
//!    device      kernel devices: SPI, I2C and PWM as embedded-hal, GPIO, watchdog
//!    bus         one handle per bus, over a kernel device or a simulated one
//!    telemetry   ring, reporter thread, flight file, black box, report,
//!                service notification
//!    link        commands from outside, signals for others: local socket and shared
//!                memory, CANopen
//!    config      board file -> Config; each error names file, line and fix; the
//!                traits Driver, LawKind and PlantKind
//!    stock       shipped drivers, laws and plants: PWM, H-bridge, PID, two-point,
//!                profile, lag, state space
//!    board       connects a Config to simulated or Linux devices
//!    command     run, check, doctor, setup
//!    firmware    registers your drivers, laws and plants; the main function
//! ```
//!
//! Tests enforce these rules:
//!
//! - A layer imports only layers above it in this list. Shared layers name no chip and
//!   no law. A control law has no access to a device.
//! - No files import each other in a circle.
//! - `unsafe` is in `sys` only, with the reason on each block.
//! - The core builds without the standard library, also for bare metal.
//! - After the allocator is sealed, nothing allocates on the real-time thread.
//!
//! # Where to begin
//!
//! | to | read |
//! |---|---|
//! | build a machine of your own | [`firmware`], `docs/tutorial.md`, `docs/machines.md` |
//! | add a chip or an actuator | [`config::Driver`], [`cycle::device::Device`] |
//! | add a control law | [`config::LawKind`], [`cycle::law::Law`], [`control`] |
//! | list the keys of your board files | [`firmware::Firmware::keys`], `docs/board-file.md` |
//! | simulate what you control | [`config::PlantKind`], [`sim::Plant`] |
//! | write one law without a registry | [`cycle::ports::Decide`], [`board::run`], `examples/two_point` |
//! | follow one sample through the code | `docs/architecture.md` |
//! | change this crate | `CONTRIBUTING.md` |
//! | see what the contract promises and how it is verified | [`realtime::contract`] |
//! | see what happens after a late cycle | [`cycle::overrun`] |
//! | use the kernel's SPI and GPIO without allocating | [`device`] |
//! | run one driver on a board and over a register model | [`bus`] |
//! | read a shipped driver and its register model | [`driver`], [`sim`] |
//!
//! # Example
//!
//! A lamp is lit while a button is pressed, for 300 cycles on the simulated board. The
//! virtual clock never waits. With [`Pace::Real`](telemetry::report::Pace) the same call
//! first makes the thread real-time, then runs on the real clock.
//!
// A process runs one loop at a time, so each such example needs a process of its own.
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
//! | `canopen` | yes | `[link.can]`: 49 kB of the static binary |
//! | `linux` | yes | the Linux half and the firmware. Without it the crate is the core alone: `no_std`, without `alloc`, with `embedded-hal`, `heapless` and `libm` as its dependencies |
#![cfg_attr(not(any(test, feature = "linux")), no_std)]
#![cfg_attr(
    not(feature = "linux"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the list of layers names the Linux half, which is not compiled"
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
pub mod link;
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
