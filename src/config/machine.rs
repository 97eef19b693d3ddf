//! Reads `[device.X]`, `[law.X]` and `[simulation.plant.X]`: the tables of registered
//! drivers, control laws and plants, see [`registry`](super::registry).

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::buses::Uses;
use super::error::Position;
use super::io::Io;
use super::names::Claims;
use super::own_tables::{DeviceTable, LawTable};
use super::plant_table::PlantTable;
use super::reader::{Result, Table};
use super::registry::{MakePlant, OpenDevice, Registry, StartLaw};
use super::root_tables::RootTables;
use super::signals::Signals;
use super::timing;
use crate::cycle::image::OutputChannel;
use crate::cycle::law::{Drives, MAX_LAWS};
use crate::cycle::ports::TRACE_LEN;
use crate::time::Duration;

/// Most `[device.X]` of a board file.
pub const MAX_OWN_DEVICES: usize = 64;
/// Most `[simulation.plant.X]` of a board file.
pub const MAX_PLANTS: usize = 16;

/// A `[device.X]`.
#[derive(Clone)]
pub struct OwnDevice {
    /// Its name in the board file.
    pub name: String,
    /// Its position in the file.
    pub position: Position,
    /// Read and driven in every `every`th slot, 1 to 100,000.
    pub every: u32,
    /// Whether it has outputs.
    pub drives: bool,
    /// Longest time that its outputs may keep their values without a new decision; `None`
    /// without outputs.
    pub max_hold: Option<Duration>,
    /// Step of the shutdown order in which its outputs become safe, 1 to [`MAX_SHUTDOWN`]
    /// (1 first); 0 without outputs.
    ///
    /// [`MAX_SHUTDOWN`]: super::MAX_SHUTDOWN
    pub shutdown: u8,
    /// Failed cycles in a row that the loop tolerates, 0 to 100; `None`: the control law
    /// decides.
    pub tolerated_failures: Option<u16>,
    /// Numbers of the signals that it senses, by [`Type`](super::Type).
    pub senses: [Range<usize>; 3],
    /// Opens it.
    pub driver: Arc<dyn OpenDevice>,
}

/// A control law of the board file.
#[derive(Clone)]
pub struct OwnLaw {
    /// Its name in the board file; `None` for a law with tables of its own at the root.
    pub name: Option<String>,
    /// It runs in every `every`th slot, 1 to 100,000.
    pub every: u32,
    /// The outputs that it sets.
    pub drives: Drives,
    /// Names of its trace values in the record of a cycle.
    pub trace: Vec<String>,
    /// Starts it.
    pub law: Arc<dyn StartLaw>,
}

/// A plant of the board file.
#[derive(Clone)]
pub struct OwnPlant {
    /// Its name in the board file.
    pub name: String,
    /// Makes it.
    pub plant: Arc<dyn MakePlant>,
}

/// All `[device.X]`, control laws and `[simulation.plant.X]`, and the signals between them.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The devices, in the order of the file.
    pub devices: Vec<OwnDevice>,
    /// The control laws, in the order of the file.
    pub laws: Vec<OwnLaw>,
    /// The plants, in the order of the file.
    pub plants: Vec<OwnPlant>,
    /// All signals, the board's channels among them.
    pub signals: Signals,
}

impl Machine {
    /// Whether there is no `[device.X]`, `[law.X]` or plant. Laws at the root, which use the
    /// board's channels, do not count. The loop then skips the steps for devices.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let own = self.laws.iter().any(|law| law.name.is_some());
        self.devices.is_empty() && !own && self.plants.is_empty()
    }

    /// The first law of the type `L`.
    #[must_use]
    pub fn law<L: 'static>(&self) -> Option<&L> {
        self.laws
            .iter()
            .find_map(|law| (law.law.as_ref() as &dyn Any).downcast_ref())
    }

    /// The shortest of all `max_hold` of devices; `None` without one.
    pub(super) fn max_hold(&self) -> Option<Duration> {
        self.devices
            .iter()
            .filter_map(|device| device.max_hold)
            .min()
    }

    /// Reads `[device.X]`.
    pub(super) fn read_devices(
        &mut self,
        root: &mut Table<'_>,
        registry: &Registry,
        wired: Wired<'_>,
    ) -> Result<()> {
        for (name, table) in root.tables("device", MAX_OWN_DEVICES)? {
            let position = table.source().position(table.span());
            owner(name, &table)?;
            let mut table = DeviceTable {
                table,
                name: name.to_owned(),
                signals: &mut self.signals,
                io: wired.io,
                uses: &mut *wired.uses,
                simulated: wired.simulated,
                safe: None,
            };
            let read = table.table.known("driver", &registry.drivers, "driver")?;
            let every = every(&mut table.table)?;
            let first = table.signals.sensed();
            let driver = read(&mut table)?;
            let end = table.signals.sensed();
            let drives = table.safe.is_some();
            let tolerated = table.table.integer_if("tolerated_failures", 0..=100)?;
            let (max_hold, shutdown) = if drives {
                let hold = timing::max_hold(&mut table.table, wired.period * u64::from(every))?;
                (Some(hold), timing::shutdown(&mut table.table)?)
            } else {
                let why = "the device has no outputs";
                table.table.without("max_hold_ms", why)?;
                table.table.without("shutdown", why)?;
                table.table.without("safe", why)?;
                (None, 0)
            };
            table.finish()?;
            self.devices.push(OwnDevice {
                name: name.to_owned(),
                position,
                every,
                drives,
                max_hold,
                shutdown,
                tolerated_failures: tolerated.map(|count| count as u16),
                senses: [0, 1, 2].map(|of| first[of]..end[of]),
                driver,
            });
        }
        Ok(())
    }

    /// Reads the control laws that have tables of their own at the root. They run before the
    /// others. Gives the heartbeat output that one of them names.
    pub(super) fn read_root_laws(
        &mut self,
        root: &mut Table<'_>,
        registry: &Registry,
        io: &Io,
        period: Duration,
    ) -> Result<Option<OutputChannel>> {
        let mut claims = Claims::default();
        let mut heartbeat = None;
        for kind in &registry.roots {
            let read = (kind.read)(&mut RootTables {
                root,
                io,
                signals: &mut self.signals,
                claims: &mut claims,
                heartbeat: &mut heartbeat,
                period,
            })?;
            let Some(law) = read else { continue };
            let trace = kind.trace.iter().map(|value| (*value).to_owned());
            self.laws.push(OwnLaw {
                name: None,
                every: 1,
                drives: Drives::default(),
                trace: trace.collect(),
                law,
            });
        }
        for (name, owner, line) in claims.outputs(io) {
            self.signals.taken(&name, owner, line);
        }
        Ok(heartbeat)
    }

    /// Reads `[law.X]` of a loop of `period`.
    pub(super) fn read_laws(
        &mut self,
        root: &mut Table<'_>,
        registry: &Registry,
        period: Duration,
    ) -> Result<()> {
        let taken: usize = self.laws.iter().map(|law| law.trace.len()).sum();
        let mut capacity = TRACE_LEN.saturating_sub(taken);
        for (name, table) in root.tables("law", MAX_LAWS.saturating_sub(self.laws.len()))? {
            owner(name, &table)?;
            let mut table = LawTable {
                table,
                name: name.to_owned(),
                signals: &mut self.signals,
                drives: Drives::default(),
                period,
            };
            let known = table.table.known("kind", &registry.laws, "law")?;
            let every = every(&mut table.table)?;
            table.period = period * u64::from(every);
            let law = (known.read)(&mut table)?;
            let drives = table.drives;
            table.table.finish()?;
            let trace = known.trace.iter().take(capacity);
            let trace: Vec<_> = trace.map(|value| format!("{name}.{value}")).collect();
            capacity -= trace.len();
            self.laws.push(OwnLaw {
                name: Some(name.to_owned()),
                every,
                drives,
                trace,
                law,
            });
        }
        Ok(())
    }

    /// Reads `[simulation.plant.X]`.
    pub(super) fn read_plants(
        &mut self,
        simulation: &mut Table<'_>,
        registry: &Registry,
    ) -> Result<()> {
        for (name, table) in simulation.tables("plant", MAX_PLANTS)? {
            let mut table = PlantTable {
                table,
                signals: &mut self.signals,
            };
            let read = table.table.known("kind", &registry.plants, "plant")?;
            let plant = read(&mut table)?;
            table.table.finish()?;
            self.plants.push(OwnPlant {
                name: name.to_owned(),
                plant,
            });
        }
        Ok(())
    }
}

/// The board as `[device.X]` needs it: buses and their users, and the loop's period.
pub(super) struct Wired<'w> {
    pub(super) io: &'w Io,
    pub(super) uses: &'w mut Uses,
    pub(super) simulated: bool,
    pub(super) period: Duration,
}

/// First parts of the names of the board's signals.
const CHANNELS: [&str; 6] = [
    "command",
    "input",
    "output",
    "encoder",
    "analog_input",
    "analog_output",
];

/// Refuses a name whose signals could have the name of a channel.
fn owner(name: &str, table: &Table<'_>) -> Result<()> {
    if CHANNELS.contains(&name) {
        let what = format!("\"{name}\" is reserved for the signals of [{name}.X]");
        return Err(table.error(what, "choose another name"));
    }
    Ok(())
}

fn every(table: &mut Table<'_>) -> Result<u32> {
    table
        .integer_or("every", 1..=100_000, 1)
        .map(|every| every as u32)
}

impl fmt::Debug for OwnDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for OwnLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("at the root"))
    }
}

impl fmt::Debug for OwnPlant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
