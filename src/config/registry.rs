//! Registered types that a board file can name: drivers, control laws and plants.
//!
//! Each is a type that implements [`Driver`], [`LawKind`] or [`PlantKind`], and is registered
//! by its name. The board file chooses among them: `[device.imu] driver = "bmi160"`,
//! `[law.balance] kind = "balance"`, `[simulation.plant.robot] kind = "robot"`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::error::ConfigError;
use super::opening::Opening;
use super::own_tables::{DeviceTable, LawTable};
use super::plant_table::PlantTable;
use super::root_tables::RootTables;
use crate::cycle::device::Device;
use crate::cycle::law::{Law, RunLaw, Running};
use crate::cycle::ports::{FaultNumber, TRACE_LEN};
use crate::link::parameters::{Parameters, Setting};
use crate::sim::Plant;
use crate::sys::arena::{Full, Placed};
use crate::telemetry::report::Description;

/// A driver: reads the table of a device from the board file, and opens the device. A value
/// of the type is the configuration of one device.
pub trait Driver: Sized + Send + Sync + 'static {
    /// Its name in the board file, `driver = "..."`.
    const NAME: &'static str;

    /// The opened device, which the loop reads and drives.
    type Device: Device + 'static;

    /// Reads `[device.NAME]`: keys, bus and signals. It must not access hardware: `check`
    /// calls it too.
    ///
    /// # Errors
    /// A key of the table is missing or wrong; the methods of the table give such errors.
    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError>;

    /// Opens the bus and initializes the device, and gives the safe actions of its outputs to
    /// `opening`. Called once, before the loop starts; it may wait and allocate.
    ///
    /// # Errors
    /// The kernel refuses the bus, or the device does not work as expected; see
    /// [`Opening::error`].
    fn open(&self, opening: &mut Opening<'_>) -> Result<Self::Device, ConfigError>;

    /// The device on a simulated board, over a software model of its chip
    /// ([`Spi::simulated`](crate::bus::Spi::simulated)): the driver's own code then runs.
    /// `None`, the default, simulates the device at its signals: plants set the signals that
    /// it senses, and read its commands.
    fn simulate(&self) -> Option<Self::Device> {
        None
    }
}

/// A kind of control law: reads its table from the board file. A value of the type is the
/// configured law.
pub trait LawKind: Law + Clone + Sync {
    /// Its name in the board file, `kind = "..."`.
    const KIND: &'static str;

    /// Reads `[law.NAME]`: keys, and the signals that the law reads and sets.
    ///
    /// # Errors
    /// A key of the table is missing or wrong; the methods of the table give such errors.
    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError>;

    /// What the law's fault means and what to do, for the report: `what; remedy`.
    fn explain(&self, fault: FaultNumber) -> String {
        format!("it reports fault {fault}; see its documentation")
    }

    /// Describes the state at the end of a run, for the report, without its fault: see
    /// [`LawKind::explain`].
    fn describe(&self, state: &Self::State) -> Description {
        let _ = state;
        Description::default()
    }
}

/// A kind of plant: reads its table from the board file. A value of the type is the plant.
pub trait PlantKind: Plant + Clone + Sync + Sized + 'static {
    /// Its name in the board file, `kind = "..."`.
    const KIND: &'static str;

    /// Reads `[simulation.plant.NAME]`.
    ///
    /// # Errors
    /// A key of the table is missing or wrong; the methods of the table give such errors.
    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError>;
}

/// A configured device of any [`Driver`].
pub trait OpenDevice: Send + Sync {
    /// Calls [`Driver::open`], and moves the device into static memory.
    ///
    /// # Errors
    /// Those of [`Driver::open`]; the static memory is full.
    fn open(&self, opening: &mut Opening<'_>) -> Result<Placed<dyn Device>, ConfigError>;

    /// Calls [`Driver::simulate`], and moves the device into static memory.
    ///
    /// # Errors
    /// The static memory is full.
    fn simulate(&self) -> Option<Result<Placed<dyn Device>, Full>>;
}

impl<D: Driver> OpenDevice for D {
    fn open(&self, opening: &mut Opening<'_>) -> Result<Placed<dyn Device>, ConfigError> {
        let device = Driver::open(self, opening)?;
        Placed::<dyn Device>::new(device, |device| device).map_err(|full| opening.full(full))
    }

    fn simulate(&self) -> Option<Result<Placed<dyn Device>, Full>> {
        let device = Driver::simulate(self)?;
        Some(Placed::<dyn Device>::new(device, |device| device))
    }
}

/// A running law of any [`LawKind`].
pub trait AnyLaw: RunLaw {
    /// [`LawKind::describe`] of its present state.
    fn description(&self) -> Description;
    /// [`LawKind::explain`].
    fn explain(&self, fault: FaultNumber) -> String;
}

impl<L: LawKind> AnyLaw for Running<L> {
    fn description(&self) -> Description {
        self.law().describe(self.state())
    }

    fn explain(&self, fault: FaultNumber) -> String {
        LawKind::explain(self.law(), fault)
    }
}

/// A configured law of any [`LawKind`].
pub trait StartLaw: Any + Send + Sync {
    /// Moves the law and its initial state into static memory.
    ///
    /// # Errors
    /// The static memory is full.
    fn start(&self) -> Result<Placed<dyn AnyLaw>, Full>;

    /// The parameters that clients of links may change while the law of the next
    /// [`StartLaw::start`] runs. Allocates. The default has none.
    fn parameters(&self) -> Option<Box<dyn Parameters>> {
        None
    }

    /// The law with these values of its parameters in force from the start on, or why they are
    /// refused. Allocates. The default, `None`, has no parameters.
    fn with_saved(&self, settings: &[Setting]) -> Option<Result<Arc<dyn StartLaw>, String>> {
        let _ = settings;
        None
    }

    /// What the fault with this code means, for a black box that is saved while the loop runs: as
    /// [`AnyLaw::explain`], as far as the code alone tells it. Allocates.
    fn explain(&self, fault: FaultNumber) -> String;

    /// The faults whose words a black box of this law needs. The default has the numbers from 1 to
    /// 24; further ones are told by their number.
    fn faults(&self) -> Vec<FaultNumber> {
        (1..=24).filter_map(FaultNumber::new).collect()
    }

    /// Names and units of the values that the law shows to others
    /// ([`RunLaw::status`]).
    fn statuses(&self) -> Vec<(String, &'static str)>;
}

impl<L: LawKind> StartLaw for L {
    fn explain(&self, fault: FaultNumber) -> String {
        LawKind::explain(self, fault)
    }

    fn statuses(&self) -> Vec<(String, &'static str)> {
        let names = L::TRACE.iter().take(TRACE_LEN);
        names.map(|name| ((*name).to_owned(), "")).collect()
    }

    fn start(&self) -> Result<Placed<dyn AnyLaw>, Full> {
        Placed::<dyn AnyLaw>::new(Running::new(self.clone()), |law| law)
    }
}

/// A configured plant of any [`PlantKind`].
pub trait MakePlant: Send + Sync {
    /// Moves a copy of the plant into static memory.
    ///
    /// # Errors
    /// The static memory is full.
    fn make(&self) -> Result<Placed<dyn Plant>, Full>;
}

impl<P: PlantKind> MakePlant for P {
    fn make(&self) -> Result<Placed<dyn Plant>, Full> {
        Placed::<dyn Plant>::new(self.clone(), |plant| plant)
    }
}

/// A control law with tables of its own at the root of the board file, such as the axes. A
/// board file has at most one of each.
#[derive(Copy, Clone)]
pub struct RootLaw {
    /// Names of its trace values in the record of a cycle.
    pub trace: &'static [&'static str],
    /// Reads its tables; gives `None` for a file without them.
    pub read: ReadRoot,
}

/// Reads the tables of a [`RootLaw`].
pub type ReadRoot = fn(&mut RootTables<'_, '_>) -> Result<Option<Arc<dyn StartLaw>>, ConfigError>;

type ReadDevice = fn(&mut DeviceTable<'_, '_>) -> Result<Arc<dyn OpenDevice>, ConfigError>;
type ReadLaw = fn(&mut LawTable<'_, '_>) -> Result<Arc<dyn StartLaw>, ConfigError>;
type ReadPlant = fn(&mut PlantTable<'_, '_>) -> Result<Arc<dyn MakePlant>, ConfigError>;

/// A registered law.
#[derive(Copy, Clone)]
pub(super) struct KnownLaw {
    pub(super) read: ReadLaw,
    pub(super) trace: &'static [&'static str],
}

/// The drivers, laws and plants that a board file can name.
#[derive(Clone, Default)]
pub struct Registry {
    pub(super) drivers: Vec<(&'static str, ReadDevice)>,
    pub(super) laws: Vec<(&'static str, KnownLaw)>,
    pub(super) plants: Vec<(&'static str, ReadPlant)>,
    pub(super) roots: Vec<RootLaw>,
}

impl Registry {
    /// A registry without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            drivers: Vec::new(),
            laws: Vec::new(),
            plants: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// The names of drivers, control laws and plants.
    pub(crate) fn names(&self) -> [Vec<&'static str>; 3] {
        fn first<T>(known: &[(&'static str, T)]) -> Vec<&'static str> {
            known.iter().map(|(name, _)| *name).collect()
        }
        [first(&self.drivers), first(&self.laws), first(&self.plants)]
    }

    /// Registers the driver `D`. It replaces a driver of the same name.
    #[must_use]
    pub fn driver<D: Driver>(mut self) -> Self {
        let read: ReadDevice = |table| Ok(Arc::new(D::read(table)?));
        put(&mut self.drivers, D::NAME, read);
        self
    }

    /// Registers the control law `L`. It replaces a law of the same name.
    #[must_use]
    pub fn law<L: LawKind>(mut self) -> Self {
        let read: ReadLaw = |table| Ok(Arc::new(L::read(table)?));
        let trace = L::TRACE;
        put(&mut self.laws, L::KIND, KnownLaw { read, trace });
        self
    }

    /// Registers a control law with tables of its own at the root.
    #[must_use]
    pub fn root(mut self, law: RootLaw) -> Self {
        self.roots.push(law);
        self
    }

    /// Registers the plant `P`. It replaces a plant of the same name.
    #[must_use]
    pub fn plant<P: PlantKind>(mut self) -> Self {
        let read: ReadPlant = |table| Ok(Arc::new(P::read(table)?));
        put(&mut self.plants, P::KIND, read);
        self
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

fn put<T>(known: &mut Vec<(&'static str, T)>, name: &'static str, entry: T) {
    known.retain(|(there, _)| *there != name);
    known.push((name, entry));
}
