//! Board files: `board.toml` to [`Config`].
//!
//! A board file says everything that differs between two machines: which
//! devices there are, what the safe values of the outputs are, how the axes are
//! tuned, and what is wanted of the kernel. Reading one allocates and happens
//! before anything is energised. Whatever is wrong with it is one
//! [`ConfigError`]: file, line, column, what, and how to put it right. Unknown
//! keys are refused: a misspelt limit must not become a default.

mod axis;
mod black_box;
mod channels;
mod error;
mod io;
mod names;
mod reader;
mod simulation;
mod timing;
mod value;
mod wiring;

use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

pub use error::{ConfigError, Place};
pub use io::{
    AnalogInput, AnalogOutput, Bias, DigitalInput, DigitalOutput, Encoder, GpioChip, Io, Line,
    MAX_DEVICES, MAX_SHUTDOWN, Monitor, Pin, SpiDevice,
};
pub use simulation::{SimulatedHeater, SimulatedMotor, SimulationConfig};

use crate::axis::ServoConfig;
use crate::cycle::overrun::LadderConfig;
use crate::realtime::runner::Requirement;
use crate::realtime::wanted::LoopConfig;
use crate::telemetry::blackbox::BlackBoxConfig;
use error::Source;
use reader::Table;

/// Largest board file, bytes.
pub const MAX_FILE: u64 = 256 * 1024;

/// The simulated board, as the firmware carries it.
pub const SIM_BOARD: &str = include_str!("../../board/sim/board.toml");

/// A board file, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, as it was named by whoever asked for it.
    pub file: String,
    /// The board's name.
    pub name: String,
    /// Whether a broken contract is refused.
    pub requirement: Requirement,
    /// How the loop is to run.
    pub run: LoopConfig,
    /// What late cycles lead to.
    pub ladder: LadderConfig,
    /// Devices and channels.
    pub io: Io,
    /// The digital output that toggles in every cycle.
    pub heartbeat: Option<u8>,
    /// What stands behind the channels; `None` on a real board.
    pub simulation: Option<SimulationConfig>,
    /// The hardware watchdog, if one is to be fed.
    pub watchdog: Option<WatchdogConfig>,
    /// Where the last seconds before a fault are kept, if they are to be.
    pub black_box: Option<BlackBoxConfig>,
    /// The axes, for boards that have some.
    pub servo: Option<Servo>,
}

/// The axes of a board, with their names.
#[derive(Clone, Debug)]
pub struct Servo {
    /// What the servo controller works with.
    pub config: ServoConfig,
    /// The axes' names, in order.
    pub names: Vec<String>,
    /// The encoder of each and the device it hangs on, as a person finds them.
    pub encoders: Vec<String>,
}

/// `[watchdog]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// The device node.
    pub device: String,
    /// Where it stands in the file.
    pub place: Place,
    /// The board resets this long after the last cycle in time, s.
    pub timeout_s: u32,
}

impl Config {
    /// Reads the board file at `path`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    #[inline(never)]
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let whole = |what: String, fix: &str| ConfigError {
            file: file.clone(),
            place: None,
            what,
            fix: fix.to_owned(),
        };
        let unreadable = |error: std::io::Error| {
            whole(
                format!("cannot be read: {error}"),
                "name a board file that exists and is readable",
            )
        };
        let mut bytes = Vec::new();
        // Not by its size: a pipe and a device have none.
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            let what = format!("is longer than {MAX_FILE} bytes");
            return Err(whole(what, "no board file is: name another"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            ConfigError {
                place: Some(Place::of(&text, valid)),
                ..whole(
                    "is not UTF-8 from here on".to_owned(),
                    "save it as UTF-8 text",
                )
            }
        })?;
        Self::parse(&file, &text)
    }

    /// Reads a board file's `text`; `file` is what errors call it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let read = Self::read(file, text)?;
        // Copied when the document is gone: what was read lies scattered above
        // it, and would keep the heap as large as the document made it.
        Ok(read.clone())
    }

    #[inline(never)]
    fn read(file: &str, text: &str) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let document = DeTable::parse(text).map_err(|error| syntax(&source, &error))?;
        let mut root = Table::root(source, &document);
        root.only(&[
            "board",
            "loop",
            "overrun",
            "gpio",
            "spi",
            "input",
            "output",
            "encoder",
            "analog_output",
            "analog_input",
            "watchdog",
            "black_box",
            "safety",
            "axis",
            "simulation",
        ])?;

        let mut board = root.table("board")?;
        board.only(&["name", "realtime", "devices"])?;
        let name = board.text("name")?.value.to_owned();
        let requirements = [
            ("required", Requirement::Required),
            ("best-effort", Requirement::BestEffort),
        ];
        let requirement = board.choice_or("realtime", &requirements, Requirement::Required)?;
        let simulated = board.choice("devices", &[("simulated", true), ("linux", false)])?;
        board.finish()?;

        let mut run = timing::read_loop(root.table("loop")?)?;
        let io = wiring::read(&mut root, simulated)?;
        let overrun = root.table_if("overrun")?;
        let (ladder, stall) = timing::read_overrun(overrun, run.period, io.max_hold())?;
        run.stall = stall;
        let simulation = if simulated {
            root.without("watchdog", wiring::SIMULATED)?;
            Some(SimulationConfig::read(root.table("simulation")?, &io)?)
        } else {
            root.without("simulation", "devices = \"linux\"")?;
            None
        };
        let watchdog = root.table_if("watchdog")?.map(watchdog).transpose()?;
        let black_box = root
            .table_if("black_box")?
            .map(|table| black_box::read(table, run.period))
            .transpose()?;
        let (heartbeat, servo) = axis::read(&mut root, &io, run.period)?;
        root.finish()?;
        Ok(Self {
            file: file.to_owned(),
            name,
            requirement,
            run,
            ladder,
            io,
            heartbeat,
            simulation,
            watchdog,
            black_box,
            servo,
        })
    }

    /// The error that a device named at `place` cannot be had on this machine:
    /// `what` is wrong, with what to do about it.
    pub(crate) fn device_error(&self, place: Place, what: &str) -> ConfigError {
        let (what, fix) = what
            .split_once("; ")
            .unwrap_or((what, "see steadfast check"));
        ConfigError {
            file: self.file.clone(),
            place: Some(place),
            what: what.to_owned(),
            fix: fix.to_owned(),
        }
    }

    /// The simulated board that the firmware carries.
    ///
    /// # Panics
    /// Never: it is checked by a test.
    #[must_use]
    pub fn simulated() -> Self {
        Self::parse("board/sim/board.toml", SIM_BOARD).expect("the embedded board file is checked")
    }
}

fn watchdog(mut table: Table<'_>) -> Result<WatchdogConfig, ConfigError> {
    table.only(&["device", "timeout_s"])?;
    let place = table.source().place(table.span());
    let config = WatchdogConfig {
        device: table
            .text_if("device")?
            .map_or("/dev/watchdog", |at| at.value)
            .to_owned(),
        place,
        timeout_s: table.integer("timeout_s", 1..=3600)? as u32,
    };
    table.finish()?;
    Ok(config)
}

/// What is wrong with the file as TOML.
fn syntax(source: &Source<'_>, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    // What was expected belongs to the fix.
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
            "there is no value".to_owned(),
            "write one after the `=`, or remove the key".to_owned(),
        ),
        "string values must be quoted" => (
            format!("`{}` is no value", source.quote(&span)),
            "put texts in quotes, numbers are written as 1 or 1.5".to_owned(),
        ),
        _ if expected.is_empty() => (what.to_owned(), "see https://toml.io".to_owned()),
        _ => (
            what.to_owned(),
            format!("TOML expects {expected} here, see https://toml.io"),
        ),
    };
    source.error(&span, what, fix)
}
