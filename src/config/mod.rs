//! Reads a board file, `board.toml`, into a [`Config`].
//!
//! A board file has everything that differs between two machines: devices, safe values of
//! outputs, parameters of control laws, and the settings required of the kernel. It is read at
//! start-up, before any output is driven; this allocates. The first error is a
//! [`ConfigError`]: file, line, column, what is wrong, and the remedy. Unknown keys are errors,
//! so a misspelt limit cannot silently become a default.

pub(crate) mod accesses;
pub(crate) mod bias;
mod black_box;
mod buses;
mod channels;
mod clocks;
mod commands;
mod error;
mod forced;
mod found;
mod gpio_access;
mod groups;
mod guarded;
mod io;
mod links;
mod machine;
mod misspelt;
mod names;
pub mod open;
mod opening;
mod own_tables;
mod plant_table;
mod reader;
mod recorded;
mod registry;
mod root_tables;
mod saved;
mod signals;
mod simulation;
mod spi_access;
mod timing;
mod types;
mod value;
mod wiring;

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

pub use commands::GroupNumber;
pub use error::{ConfigError, Details, Position};
pub use groups::{CommandGroup, Groups};
pub use io::{
    AnalogInput, AnalogOutput, Bias, DigitalInput, DigitalOutput, Encoder, GpioChip, GpioRegisters,
    I2cAdapter, Io, Line, MAX_DEVICES, MAX_SHUTDOWN, Monitor, Pin, PwmChannel, SpiDevice,
    SpiRegisters,
};
pub use links::LinksConfig;
pub use machine::{MAX_OWN_DEVICES, MAX_PLANTS, Machine, OwnDevice, OwnLaw, OwnPlant};
pub use opening::{I2cClaim, MAX_ACTIONS, Opening, PwmClaim, SpiClaim};
pub use own_tables::{DeviceTable, LawTable};
pub use plant_table::PlantTable;
pub use reader::Table;
pub use registry::{
    AnyLaw, Driver, LawKind, MakePlant, OpenDevice, PlantKind, ReadRoot, Registry, RootLaw,
    StartLaw,
};
pub use root_tables::RootTables;
pub(crate) use root_tables::VoltsOutput;
pub use signals::{ANY_UNIT, Signal, Signals};
pub use simulation::{SimulatedHeater, SimulatedMotor, SimulationConfig};
pub use timing::WatchdogConfig;
pub use types::{Named, Type};
pub(crate) use value::figure;

use crate::cycle::image::OutputChannel;
use crate::cycle::overrun::LadderConfig;
use crate::link::saved::SavedConfig;
use crate::realtime::audit::Reaction;
use crate::realtime::required::LoopConfig;
use crate::realtime::runner::Requirement;
use crate::telemetry::blackbox::BlackBoxConfig;
use accesses::Log;
use error::Source;
use machine::Wired;

/// Largest permitted board file, bytes.
pub const MAX_FILE: u64 = 256 * 1024;

/// A board file, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, as the caller named it.
    pub file: String,
    /// The board's name.
    pub name: String,
    /// Whether the controller refuses to start if the contract is broken.
    pub requirement: Requirement,
    /// The reaction to a promise of the contract that breaks while the loop runs.
    pub on_broken: Reaction,
    /// Timing, scheduling and memory of the loop.
    pub run: LoopConfig,
    /// The reactions to late cycles.
    pub ladder: LadderConfig,
    /// Devices and channels.
    pub io: Io,
    /// The digital output that toggles in every cycle.
    pub heartbeat: Option<OutputChannel>,
    /// The plants that the channels are connected to; `None` on a real board.
    pub simulation: Option<SimulationConfig>,
    /// The hardware watchdog to feed; `None` without `[watchdog]`.
    pub watchdog: Option<WatchdogConfig>,
    /// Where the cycles before a fault are kept; `None` without `[black_box]`.
    pub black_box: Option<BlackBoxConfig>,
    /// How the controller is commanded, and who reads its signals.
    pub links: LinksConfig,
    /// Where parameters are saved, and those in force; `None` without `[parameters]`.
    pub parameters: Option<SavedConfig>,
    /// Control laws, `[device.X]`, plants, and the signals between them.
    pub machine: Machine,
}

impl Config {
    /// Reads the board file at `path`, which may name drivers, laws and plants of `registry`.
    ///
    /// # Errors
    /// The file cannot be read, exceeds [`MAX_FILE`] or is not UTF-8; otherwise those of
    /// [`Config::parse_with`].
    #[inline(never)]
    pub fn load_with(path: &Path, registry: &Registry) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let whole = |what: String, fix: &str| error::whole(&file, what, fix);
        let unreadable = |error: std::io::Error| {
            whole(
                format!("cannot be read: {error}"),
                "name a board file that exists and is readable",
            )
        };
        let mut bytes = Vec::new();
        // Limited while reading: a pipe or a device has no size to check before.
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            let what = format!("exceeds {MAX_FILE} bytes, the limit of a board file");
            return Err(whole(what, "check that this is a board file").into());
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            Details {
                position: Some(Position::of(&text, valid)),
                ..whole(
                    "is not valid UTF-8 from here on".to_owned(),
                    "save it as UTF-8 text",
                )
            }
        })?;
        Self::parse_with(&file, &text, registry)
    }

    /// Reads the `text` of a board file, which may name drivers, laws and plants of
    /// `registry`; errors call it `file`.
    ///
    /// # Errors
    /// The first error of the file: TOML syntax, an unknown or missing key, a value out of
    /// range, or a contradiction between keys.
    pub fn parse_with(file: &str, text: &str, registry: &Registry) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let document = document(&source)?;
        let read = Self::read(source, &document, registry, None).map_err(|error| {
            misspelt::explain(error, source, document.get_ref(), |log| {
                Self::read(source, &document, registry, Some(log)).err()
            })
        })?;
        // Cloned after the document is freed: the original is scattered in the heap above the
        // document, and would keep the heap large.
        drop(document);
        Ok(read.clone())
    }

    /// As [`Config::parse_with`], and records in `log` the keys that the readers ask for.
    pub(crate) fn parse_recorded(
        file: &str,
        text: &str,
        registry: &Registry,
        log: &Log,
    ) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        Self::read(source, &document(&source)?, registry, Some(log))
    }

    #[inline(never)]
    fn read<'t>(
        source: Source<'t>,
        document: &'t Spanned<DeTable<'t>>,
        registry: &Registry,
        log: Option<&'t Log>,
    ) -> Result<Self, ConfigError> {
        let mut root = Table::root(source, document);
        if let Some(log) = log {
            root.record_to(log);
        }
        let mut board = root.table("board")?;
        let name = board.text("name")?.value.to_owned();
        let requirements = [
            ("required", Requirement::Required),
            ("best-effort", Requirement::BestEffort),
        ];
        let requirement = board.choice_or("realtime", &requirements, Requirement::Required)?;
        let reactions = [
            ("report", Reaction::Report),
            ("quick-stop", Reaction::QuickStop),
        ];
        let default = match requirement {
            Requirement::Required => Reaction::QuickStop,
            Requirement::BestEffort => Reaction::Report,
        };
        let on_broken = board.choice_or("on_broken", &reactions, default)?;
        let simulated = board.choice("devices", &[("simulated", true), ("linux", false)])?;
        board.finish()?;

        let mut paced = root.table("loop")?;
        let mut run = timing::read_loop(&mut paced)?;
        let (io, mut uses) = wiring::read(&mut root, simulated, run.period)?;
        let mut machine = Machine {
            signals: Signals::of(&io),
            ..Machine::default()
        };
        let wired = Wired {
            io: &io,
            uses: &mut uses,
            simulated,
            period: run.period,
        };
        machine.read_devices(&mut root, registry, wired)?;
        let hold = machine
            .max_hold()
            .map_or(io.max_hold(), |own| own.min(io.max_hold()));
        timing::check_output_failures(&mut paced, &run, hold)?;
        paced.finish()?;
        let overrun = root.table_if("overrun")?;
        let (ladder, stall) = timing::read_overrun(overrun, run.period, hold)?;
        run.stall = stall;
        machine.signals.read_commands(&mut root, run.period)?;
        let heartbeat = machine.read_root_laws(&mut root, registry, &io, run.period)?;
        machine.read_laws(&mut root, registry, run.period)?;
        let parameters = root
            .table_if("parameters")?
            .map(links::read_parameters)
            .transpose()?;
        let stores = parameters.is_some();
        let links = LinksConfig::read(&mut root, &name, &machine.signals, stores)?;
        let simulation = if simulated {
            root.without("watchdog", wiring::SIMULATED)?;
            let table = root.table("simulation")?;
            Some(SimulationConfig::read(table, &io, &mut machine, registry)?)
        } else {
            root.without("simulation", "devices = \"linux\"")?;
            None
        };
        let watchdog = root
            .table_if("watchdog")?
            .map(|table| timing::read_watchdog(table, &run))
            .transpose()?;
        let black_box = root
            .table_if("black_box")?
            .map(|table| black_box::read(table, run.period))
            .transpose()?;
        root.finish()?;
        Ok(Self {
            file: source.file.to_owned(),
            name,
            requirement,
            on_broken,
            run,
            ladder,
            io,
            heartbeat,
            simulation,
            watchdog,
            black_box,
            links,
            parameters,
            machine,
        })
    }

    /// The buses of the board, for [`open`].
    #[must_use]
    pub fn buses(&self) -> open::Buses<'_> {
        open::Buses {
            file: &self.file,
            io: &self.io,
        }
    }

    /// The error that the device named at `position` is not usable on this machine: `message` is
    /// `what; remedy`.
    pub(crate) fn device_error(&self, position: Position, message: &str) -> ConfigError {
        error::device_error(&self.file, position, message)
    }

    /// Number of cycles that the black box keeps, and its largest size, bytes; both 0 without
    /// `[black_box]`.
    #[must_use]
    pub fn black_box_records(&self) -> (u64, u64) {
        let kept = |config| black_box::kept(config, self.run.period);
        self.black_box.as_ref().map_or((0, 0), kept)
    }
}

fn document<'t>(source: &Source<'t>) -> Result<Spanned<DeTable<'t>>, ConfigError> {
    DeTable::parse(source.text).map_err(|error| syntax(source, &error))
}

/// The error of the file as TOML.
fn syntax(source: &Source<'_>, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    // The expected token becomes the remedy.
    let (what, expected) = error
        .message()
        .split_once(", expected ")
        .unwrap_or((error.message(), ""));
    let rest = source.text.get(span.start..).unwrap_or_default();
    let nothing_follows = rest
        .lines()
        .next()
        .is_none_or(|line| line.trim().is_empty());
    let (what, fix) = match what {
        "duplicate key" => (
            format!("duplicate key `{}`", source.quote(&span)),
            "keep one of them".to_owned(),
        ),
        "string values must be quoted" if nothing_follows => (
            "the value is missing".to_owned(),
            "write one after the `=`, or remove the key".to_owned(),
        ),
        "string values must be quoted" => (
            format!("invalid value `{}`", source.quote(&span)),
            "put text in quotes, write numbers as 1 or 1.5".to_owned(),
        ),
        _ if expected.is_empty() => (what.to_owned(), "see https://toml.io".to_owned()),
        _ => (
            what.to_owned(),
            format!("TOML expects {expected} here, see https://toml.io"),
        ),
    };
    source.error(&span, what, fix)
}
