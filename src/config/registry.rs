//! What a board file can name beyond what it has always known: drivers, control laws and
//! plants of one's own.
//!
//! Each is a type with one `impl`, registered once by its name. The board file chooses
//! among them: `[device.imu] driver = "bmi160"`, `[law.balance] kind = "balance"`,
//! `[simulation.plant.robot] kind = "robot"`.

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
use crate::cycle::ports::FaultNumber;
use crate::sim::Plant;
use crate::sys::arena::{Full, Placed};
use crate::telemetry::report::Description;

/// How a kind of device is read from the board file and opened. The type itself holds
/// what the file says of one such device.
pub trait Driver: Sized + Send + Sync + 'static {
    /// What `driver = "..."` names it by.
    const NAME: &'static str;

    /// The device, opened.
    type Device: Device + 'static;

    /// Reads `[device.NAME]`: its keys, its bus, and the signals that it has. No
    /// hardware is touched.
    ///
    /// # Errors
    /// What is wrong with the table.
    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError>;

    /// Opens the device: takes its bus, and sets it up. It may wait and allocate: the
    /// loop has not begun. The safe actions of its outputs are given here.
    ///
    /// # Errors
    /// What the kernel or the device refuses.
    fn open(&self, opening: &mut Opening<'_>) -> Result<Self::Device, ConfigError>;

    /// The device on a simulated board, with a chip made of software behind its bus
    /// ([`Spi::simulated`](crate::bus::Spi::simulated)): the driver's own code runs then.
    /// `None`, which is the default, for a device that is simulated at its signals:
    /// plants give what it senses, and see what it is told.
    fn simulate(&self) -> Option<Self::Device> {
        None
    }
}

/// How a kind of control law is read from the board file. The type is the law itself.
pub trait LawKind: Law + Clone + Sync {
    /// What `kind = "..."` names it by.
    const KIND: &'static str;

    /// Reads `[law.NAME]`: its keys, and the signals that it reads and sets.
    ///
    /// # Errors
    /// What is wrong with the table.
    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError>;

    /// What a fault means, and what to do about it: `what; remedy`.
    fn explain(&self, fault: FaultNumber) -> String {
        format!("it reports fault {fault}; see its documentation")
    }

    /// What the state is like at the end of a run, for the report. Its fault is
    /// explained elsewhere.
    fn describe(&self, state: &Self::State) -> Description {
        let _ = state;
        Description::default()
    }
}

/// How a kind of plant is read from the board file. The type is the plant itself.
pub trait PlantKind: Plant + Clone + Sync + Sized + 'static {
    /// What `kind = "..."` names it by.
    const KIND: &'static str;

    /// Reads `[simulation.plant.NAME]`.
    ///
    /// # Errors
    /// What is wrong with the table.
    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError>;
}

/// What one device is opened by, whatever its driver.
pub trait OpenDevice: Send + Sync {
    /// Opens it, into static memory.
    ///
    /// # Errors
    /// Those of [`Driver::open`]; no room.
    fn open(&self, opening: &mut Opening<'_>) -> Result<Placed<dyn Device>, ConfigError>;

    /// [`Driver::simulate`], into static memory.
    ///
    /// # Errors
    /// No room.
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

/// A law that runs, and can be told about.
pub trait AnyLaw: RunLaw {
    /// What it is like.
    fn description(&self) -> Description;
    /// What `fault` means.
    fn explain(&self, fault: FaultNumber) -> String;
}

impl<L: LawKind> AnyLaw for Running<L> {
    fn description(&self) -> Description {
        self.law().describe(self.state())
    }

    fn explain(&self, fault: FaultNumber) -> String {
        self.law().explain(fault)
    }
}

/// What a law is started by, whatever law it is.
pub trait StartLaw: Any + Send + Sync {
    /// Puts it into static memory, before its first step.
    ///
    /// # Errors
    /// No room.
    fn start(&self) -> Result<Placed<dyn AnyLaw>, Full>;
}

impl<L: LawKind> StartLaw for L {
    fn start(&self) -> Result<Placed<dyn AnyLaw>, Full> {
        Placed::<dyn AnyLaw>::new(Running::new(self.clone()), |law| law)
    }
}

/// What a plant is made by, whatever plant it is.
pub trait MakePlant: Send + Sync {
    /// Puts it into static memory.
    ///
    /// # Errors
    /// No room.
    fn make(&self) -> Result<Placed<dyn Plant>, Full>;
}

impl<P: PlantKind> MakePlant for P {
    fn make(&self) -> Result<Placed<dyn Plant>, Full> {
        Placed::<dyn Plant>::new(self.clone(), |plant| plant)
    }
}

/// A control law that stands in the board file by tables of its own at the root, as
/// those that most machines have: there is at most one of it.
#[derive(Copy, Clone)]
pub struct RootLaw {
    /// The tables.
    pub tables: &'static [&'static str],
    /// Names of its values in the record of a cycle.
    pub trace: &'static [&'static str],
    /// Reads them; none where the file has no such law.
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
    /// With nothing registered.
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

    /// Registers the driver `D`; one of the same name takes its place.
    #[must_use]
    pub fn driver<D: Driver>(mut self) -> Self {
        let read: ReadDevice = |table| Ok(Arc::new(D::read(table)?));
        put(&mut self.drivers, D::NAME, read);
        self
    }

    /// Registers the control law `L`; one of the same name takes its place.
    #[must_use]
    pub fn law<L: LawKind>(mut self) -> Self {
        let read: ReadLaw = |table| Ok(Arc::new(L::read(table)?));
        let trace = L::TRACE;
        put(&mut self.laws, L::KIND, KnownLaw { read, trace });
        self
    }

    /// Registers a control law with tables of its own.
    #[must_use]
    pub fn root(mut self, law: RootLaw) -> Self {
        self.roots.push(law);
        self
    }

    /// Registers the plant `P`; one of the same name takes its place.
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
