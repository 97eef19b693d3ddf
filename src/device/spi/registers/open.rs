//! Maps the registers of a controller. Allocates and reads files: for start-up only.

use core::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::owner::{Chip, Controller};
use super::{Block, Kind, Wire};
use crate::device::node;
use crate::sys::Errno;
use crate::sys::registers::Registers;

/// Where the registers of a controller are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// `/dev/uioN`, or `/dev/mem`.
    pub path: &'a Path,
    /// The physical address of the block in `/dev/mem`; `None` for a UIO device, whose first
    /// map is the block.
    pub address: Option<u64>,
}

/// Why the registers of a controller cannot be used.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RegistersError {
    /// The device node could not be opened.
    Open(Errno),
    /// It is not a UIO device with a map.
    NotUio,
    /// Its map is smaller than the block.
    TooSmall {
        /// Size of the map, bytes.
        bytes: usize,
        /// Size of the block, bytes.
        least: usize,
    },
    /// The map could not be made.
    Map {
        /// The kernel's error.
        errno: Errno,
        /// The physical address, for `/dev/mem`.
        address: Option<u64>,
    },
}

impl RegistersError {
    /// The error as a message with its remedy, for the device at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// A [`RegistersError`] as a message with its remedy.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: RegistersError,
    path: &'a Path,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.error {
            RegistersError::Open(errno) if errno.0 == libc::EPERM => write!(
                f,
                "{path}: this process lacks CAP_SYS_RAWIO; use a UIO device, or run as root"
            ),
            RegistersError::Open(errno) => node::write_not_opened(
                f,
                self.path,
                errno,
                "give the controller's node compatible = \"generic-uio\", and boot with \
                 uio_pdrv_genirq.of_id=generic-uio",
            ),
            RegistersError::NotUio => write!(
                f,
                "{path}: not a UIO device with a map; name one such as /dev/uio0"
            ),
            RegistersError::TooSmall { bytes, least } => write!(
                f,
                "{path}: its first map has {bytes} bytes, the controller has {least}; name the \
                 UIO device of this controller"
            ),
            RegistersError::Map { errno, address } => {
                write!(f, "{path}: the kernel does not map ")?;
                match address {
                    Some(address) => write!(f, "address {address:#x}")?,
                    None => f.write_str("the registers")?,
                }
                write!(
                    f,
                    " ({errno}); disable the controller's node in the device tree, so that no \
                     driver claims it, or use a UIO device"
                )
            }
        }
    }
}

/// A number in a file of sysfs, such as `0x1000`.
fn hex(path: &Path) -> Option<usize> {
    let text = fs::read_to_string(path).ok()?;
    usize::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

/// What identifies a mapped controller: its kind, the device number and the address.
type Identity = (Kind, u64, Option<u64>);

/// The controllers that are mapped.
static OPEN: Mutex<Vec<(Identity, &'static Controller<Registers>)>> = Mutex::new(Vec::new());

impl Place<'_> {
    /// Maps the registers of a controller of this `kind`, with nodes and sysfs below `root`
    /// (`/` on a running system). No register is accessed.
    ///
    /// # Errors
    /// [`RegistersError`].
    pub fn map(self, root: &Path, kind: Kind) -> Result<Registers, RegistersError> {
        let path = node::under(root, self.path);
        let open = File::options().read(true).write(true).open(path);
        let file = open.map_err(|error| RegistersError::Open(error.into()))?;
        let least = kind.block_bytes();
        let offset = match self.address {
            Some(address) => address,
            None => {
                let number = node::number(root, self.path).ok().flatten();
                let number = number.ok_or(RegistersError::NotUio)?;
                let (major, minor) = (libc::major(number), libc::minor(number));
                let map = root.join(format!("sys/dev/char/{major}:{minor}/maps/map0"));
                let size = hex(&map.join("size")).ok_or(RegistersError::NotUio)?;
                let offset = hex(&map.join("offset")).ok_or(RegistersError::NotUio)?;
                let bytes = size.saturating_sub(offset);
                if bytes < least {
                    return Err(RegistersError::TooSmall { bytes, least });
                }
                offset as u64
            }
        };
        let address = self.address;
        Registers::map(file.as_fd(), offset, least)
            .map_err(|errno| RegistersError::Map { errno, address })
    }
}

impl Chip {
    /// Maps the controller at `place`, unless another chip has done so, disables it, and gives
    /// a chip of it. Both stay for the life of the process.
    ///
    /// # Errors
    /// [`RegistersError`].
    pub fn open(kind: Kind, place: Place<'_>, wire: Wire) -> Result<&'static Self, RegistersError> {
        let root = Path::new("/");
        let number = node::number(root, place.path).ok().flatten().unwrap_or(0);
        let identity = (kind, number, place.address);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().find(|(known, _)| *known == identity);
        let controller = match known {
            Some((_, controller)) => *controller,
            None => {
                let block = place.map(root, kind)?;
                kind.reset(&block);
                let controller: &'static _ = Box::leak(Box::new(Controller::new(kind, block)));
                open.push((identity, controller));
                controller
            }
        };
        Ok(Box::leak(Box::new(Self { controller, wire })))
    }
}

impl Kind {
    /// Takes a controller over from a boot loader: disabled, without interrupts and DMA.
    fn reset<B: Block>(self, block: &B) {
        match self {
            Self::Ecspi => super::ecspi::reset(block),
            Self::Bcm2835 => super::bcm2835::reset(block),
        }
    }
}
