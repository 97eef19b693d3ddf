//! Maps the registers of a device: where they are, and why they cannot be mapped. Allocates and reads
//! files: for start-up only.

use core::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use super::node;
use crate::sys::Errno;
use crate::sys::registers::Registers;

/// Where the registers of a device are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// `/dev/uioN`, or `/dev/mem`.
    pub path: &'a Path,
    /// The physical address of the block in `/dev/mem`; `None` for a UIO device, whose first
    /// map is the block.
    pub address: Option<u64>,
}

/// Why the registers of a device cannot be used.
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
                "give the device's node compatible = \"generic-uio\", and boot with \
                 uio_pdrv_genirq.of_id=generic-uio",
            ),
            RegistersError::NotUio => write!(
                f,
                "{path}: not a UIO device with a map; name one such as /dev/uio0"
            ),
            RegistersError::TooSmall { bytes, least } => write!(
                f,
                "{path}: its first map has {bytes} bytes, the device has {least}; name the UIO device \
                 of these registers"
            ),
            RegistersError::Map { errno, address } => {
                write!(f, "{path}: the kernel does not map ")?;
                match address {
                    Some(address) => write!(f, "address {address:#x}")?,
                    None => f.write_str("the registers")?,
                }
                write!(
                    f,
                    " ({errno}); use a UIO device, or disable the node of the controller in the device \
                     tree, so that no driver claims it"
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

impl Place<'_> {
    /// Maps the first `least` bytes of the block, with nodes and sysfs below `root` (`/` on a
    /// running system). No register is accessed.
    ///
    /// # Errors
    /// [`RegistersError`].
    pub fn map(self, root: &Path, least: usize) -> Result<Registers, RegistersError> {
        let path = node::under(root, self.path);
        let open = File::options().read(true).write(true).open(path);
        let file = open.map_err(|error| RegistersError::Open(error.into()))?;
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
