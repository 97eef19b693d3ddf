//! A firmware: the drivers, control laws and plants that its board files can name, and the
//! command line over them.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use steadfast::firmware::Firmware;
//! use steadfast::realtime::allocator::SealedAllocator;
//!
//! #[global_allocator]
//! static ALLOCATOR: SealedAllocator = SealedAllocator;
//!
//! fn main() -> ExitCode {
//!     Firmware::stock()
//!         // .driver::<Imu>()       [device.NAME]  driver = "..."
//!         // .law::<Balance>()      [law.NAME]     kind = "..."
//!         // .plant::<Robot>()      [simulation.plant.NAME]  kind = "..."
//!         .main()
//! }
//! ```
#![cfg_attr(any(doc, doctest), doc = include_str!("../../docs/own-machine.md"))]

pub mod prelude;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::board::{self, Options, RunError};
use crate::command::keys::Keys;
use crate::command::{self, Known};
use crate::config::{
    Config, ConfigError, Driver, LawKind, MAX_PLANTS, MakePlant, OwnPlant, PlantKind,
};
use crate::cycle::run::Limit;
use crate::sim::{Plant, World};
use crate::stock;
use crate::sys::arena::{Full, Placed};
use crate::telemetry::report::{Pace, Report};
use crate::time::Duration;

/// A firmware: its registered drivers, laws and plants, and its built-in board file.
#[derive(Clone, Debug)]
#[must_use]
pub struct Firmware(Known);

impl Firmware {
    /// The stock firmware: servo axes, the chips of the shipped boards, and the kinds of
    /// [`stock`].
    pub fn stock() -> Self {
        Self(Known {
            registry: stock::registry(),
            built_in: (stock::SIM_BOARD_FILE, stock::SIM_BOARD),
            interactive: stock::SIM_INTERACTIVE,
        })
    }

    /// Registers the driver `D` for `[device.NAME] driver = "..."`. It replaces a driver of
    /// the same name.
    pub fn driver<D: Driver>(mut self) -> Self {
        self.0.registry = self.0.registry.driver::<D>();
        self
    }

    /// Registers the control law `L` for `[law.NAME] kind = "..."`. It replaces a law of the
    /// same name.
    pub fn law<L: LawKind>(mut self) -> Self {
        self.0.registry = self.0.registry.law::<L>();
        self
    }

    /// Registers the plant `P` for `[simulation.plant.NAME] kind = "..."`. It replaces a
    /// plant of the same name.
    pub fn plant<P: PlantKind>(mut self) -> Self {
        self.0.registry = self.0.registry.plant::<P>();
        self
    }

    /// Sets the board file that `run` uses without `--board`: its `text`, usually from
    /// `include_str!`, and its `name` in messages.
    pub fn board(mut self, name: &'static str, text: &'static str) -> Self {
        self.0.built_in = (name, text);
        self.0.interactive = "[link.local]\n";
        self
    }

    /// Runs the command of the program's arguments: `run`, `check`, `doctor` or `setup`.
    /// Returns its exit code, see `--help`.
    #[must_use]
    pub fn main(self) -> ExitCode {
        self.main_with(std::env::args_os().skip(1))
    }

    /// Runs the command of `args`, the arguments after the program's name.
    #[must_use]
    pub fn main_with(self, args: impl IntoIterator<Item = OsString>) -> ExitCode {
        command::main(&self.0, args)
    }

    /// Reads the `text` of a board file; `file` is its name in messages.
    ///
    /// # Errors
    /// The first error of the file, with line and column.
    pub fn read(&self, file: &str, text: &str) -> Result<Config, ConfigError> {
        Config::parse_with(file, text, &self.0.registry)
    }

    /// A reference in Markdown of all tables and keys that a board file of this firmware can
    /// have. It is derived by reading `files` (pairs of name and text) and many modified
    /// copies of them. Registered kinds that no file names get a table of their own;
    /// [`Keys::undescribed`] lists what could not be derived.
    ///
    /// For a test or a program that writes a document, such as `tests/board_file_keys`. It
    /// reads files several thousand times, which takes a few seconds.
    ///
    /// # Errors
    /// The first error of one of the files.
    pub fn keys(&self, files: &[(&str, &str)]) -> Result<Keys, ConfigError> {
        command::keys::describe(&self.0.registry, files)
    }

    /// Runs `cycles` cycles of the simulated board `config` on a virtual clock that never
    /// waits: for tests. The same board file gives a bit-identical run.
    ///
    /// A process has one run at a time, and no other thread may allocate during it: put all
    /// such runs of a test program into one `#[test]`.
    ///
    /// # Errors
    /// [`RunError`] if no cycle was run. A fault during the run is in the report.
    pub fn simulate(&self, config: &Config, cycles: u64) -> Result<Report, RunError> {
        let options = Options {
            limit: Limit::Cycles(cycles),
            pace: Pace::Free,
            live: false,
        };
        let_the_harness_rest();
        board::run_machine(config, &options)
    }

    /// [`Firmware::simulate`] with `watch` called before each cycle, after the plants have
    /// advanced with the outputs of the last cycle. `watch` reads signals with
    /// [`World::read`] and handles from [`Config::signal`], and can make a sensor fail with
    /// [`World::fail`]. It must not allocate.
    ///
    /// # Errors
    /// Those of [`Firmware::simulate`].
    ///
    /// # Panics
    /// If the board file already has the maximum number of plants.
    pub fn simulate_with(
        &self,
        config: &Config,
        cycles: u64,
        watch: impl FnMut(&mut World<'_>) + Send + 'static,
    ) -> Result<Report, RunError> {
        let plants = &config.machine.plants;
        assert!(plants.len() < MAX_PLANTS, "there is no room for a watch");
        let mut config = config.clone();
        config.machine.plants.push(OwnPlant {
            name: String::new(),
            plant: Arc::new(Watch(Arc::new(Mutex::new(watch)))),
        });
        self.simulate(&config, cycles)
    }
}

/// On any other thread than the first one, waits until the first thread sleeps. The harness
/// of `cargo test` allocates on that thread when it starts to wait for a test; with a sealed
/// allocator this would abort the process.
fn let_the_harness_rest() {
    let first = std::process::id().to_string();
    let is_this = std::fs::read_link("/proc/thread-self").is_ok_and(|path| path.ends_with(&first));
    let rests = || {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{first}/stat"));
        stat.is_ok_and(|stat| (stat.rsplit(')').next()).is_some_and(|rest| rest.starts_with(" S")))
    };
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
    // Several times in a row: the thread can also sleep briefly before it allocates.
    let mut seen = 0;
    while !is_this && seen < 20 && std::time::Instant::now() < patience {
        seen = if rests() { seen + 1 } else { 0 };
        std::thread::yield_now();
    }
}

/// The watch of a run, as a plant after all others.
struct Watch<W>(Arc<Mutex<W>>);

impl<W: FnMut(&mut World<'_>) + Send + 'static> MakePlant for Watch<W> {
    fn make(&self) -> Result<Placed<dyn Plant>, Full> {
        Placed::<dyn Plant>::new(Self(Arc::clone(&self.0)), |plant| plant)
    }
}

impl<W: FnMut(&mut World<'_>) + Send> Plant for Watch<W> {
    fn advance(&mut self, world: &mut World<'_>, _: Duration) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watch(world);
    }
}

impl Default for Firmware {
    fn default() -> Self {
        Self::stock()
    }
}
