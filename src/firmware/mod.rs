//! A firmware put together: the drivers, control laws and plants that its board files
//! can name, and everything that the commands do with them.
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

/// What a firmware is made of.
#[derive(Clone, Debug)]
#[must_use]
pub struct Firmware(Known);

impl Firmware {
    /// What this crate ships: servo axes, the chips of its boards, and the kinds of
    /// [`stock`].
    pub fn stock() -> Self {
        Self(Known {
            registry: stock::registry(),
            built_in: (stock::SIM_BOARD_FILE, stock::SIM_BOARD),
        })
    }

    /// With the driver `D` too: `[device.NAME] driver = "..."`. One of the same name
    /// takes its place.
    pub fn driver<D: Driver>(mut self) -> Self {
        self.0.registry = self.0.registry.driver::<D>();
        self
    }

    /// With the control law `L` too: `[law.NAME] kind = "..."`. One of the same name
    /// takes its place.
    pub fn law<L: LawKind>(mut self) -> Self {
        self.0.registry = self.0.registry.law::<L>();
        self
    }

    /// With the plant `P` too: `[simulation.plant.NAME] kind = "..."`. One of the same
    /// name takes its place.
    pub fn plant<P: PlantKind>(mut self) -> Self {
        self.0.registry = self.0.registry.plant::<P>();
        self
    }

    /// With the board file `text`, called `name`, for `run` without a board file:
    /// `include_str!` gives it.
    pub fn board(mut self, name: &'static str, text: &'static str) -> Self {
        self.0.built_in = (name, text);
        self
    }

    /// Does what the program's arguments ask for: `run`, `check`, `doctor`, `setup`.
    #[must_use]
    pub fn main(self) -> ExitCode {
        self.main_with(std::env::args_os().skip(1))
    }

    /// Does what `args`, the arguments after the program's name, ask for.
    #[must_use]
    pub fn main_with(self, args: impl IntoIterator<Item = OsString>) -> ExitCode {
        command::main(&self.0, args)
    }

    /// Reads a board file's `text`; `file` is what errors call it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(&self, file: &str, text: &str) -> Result<Config, ConfigError> {
        Config::parse_with(file, text, &self.0.registry)
    }

    /// The reference of all tables and keys that a board file of this firmware can have, in
    /// Markdown: made from what the readers ask for when they read `files`, names and texts, and
    /// many changed copies of them. For registered kinds that are in none of the files a table
    /// is made up. [`Keys::undescribed`] says what no file has come to.
    ///
    /// For a test or a program that writes a document, as `tests/board_file_keys` does: it
    /// reads files some thousand times, which takes a few seconds.
    ///
    /// # Errors
    /// What is wrong with one of the files.
    pub fn keys(&self, files: &[(&str, &str)]) -> Result<Keys, ConfigError> {
        command::keys::describe(&self.0.registry, files)
    }

    /// Runs `cycles` cycles of the simulated board `config` on a clock that never
    /// waits: for tests. The same board file gives the same run, to the last bit. One after
    /// the other in a process, and on other threads nothing may allocate meanwhile: such
    /// tests are one `#[test]`.
    ///
    /// # Errors
    /// When nothing was run. A fault is a report.
    pub fn simulate(&self, config: &Config, cycles: u64) -> Result<Report, RunError> {
        let options = Options {
            limit: Limit::Cycles(cycles),
            pace: Pace::Free,
            live: false,
        };
        let_the_harness_rest();
        board::run_machine(config, &options)
    }

    /// The same, with `watch` called before each cycle, behind the plants: what was driven
    /// and computed in the cycle before has had its effect on them. It reads signals by
    /// [`World::read`] with handles of [`Config::signal`], and can break a sensor by
    /// [`World::fail`]. It must not allocate.
    ///
    /// # Errors
    /// As of [`Firmware::simulate`].
    ///
    /// # Panics
    /// When the board file has as many plants as there can be.
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

/// Waits until the process's first thread rests, where this is another one. The harness of
/// `cargo test` allocates once more when it begins to wait for a test, and the allocator
/// takes that for a crash once it is sealed.
fn let_the_harness_rest() {
    let first = std::process::id().to_string();
    let is_this = std::fs::read_link("/proc/thread-self").is_ok_and(|path| path.ends_with(&first));
    let rests = || {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{first}/stat"));
        stat.is_ok_and(|stat| (stat.rsplit(')').next()).is_some_and(|rest| rest.starts_with(" S")))
    };
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
    // More than once, as it may also wait for a moment on its way.
    let mut seen = 0;
    while !is_this && seen < 20 && std::time::Instant::now() < patience {
        seen = if rests() { seen + 1 } else { 0 };
        std::thread::yield_now();
    }
}

/// What watches a run, as a plant behind the others.
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
