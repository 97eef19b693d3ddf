//! Maps the registers of a device: where they are, and why they cannot be mapped. Allocates and reads
//! files: for start-up only.

use core::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::node;
use crate::sys::Errno;
use crate::sys::registers::Registers;

/// Where the registers of a device are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// `/dev/mem`; a UIO device, whose first map is the block; or [`ANY_UIO`].
    pub path: &'a Path,
    /// The physical address of the block. The number of a UIO device depends on the order of
    /// probing, so its map is compared with it.
    pub address: u64,
}

/// The file that maps all of the physical address space.
const MEMORY: &str = "/dev/mem";

/// In place of a path: the UIO device whose first map has the address of the block.
pub const ANY_UIO: &str = "uio";

/// Why the registers of a device cannot be used.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RegistersError {
    /// The device node could not be opened.
    Open(Errno),
    /// It is not a UIO device with a map.
    NotUio,
    /// No UIO device has a map at this address.
    NoUio {
        /// The physical address.
        address: u64,
    },
    /// Its map is at another address.
    OtherAddress {
        /// The address of its map.
        found: u64,
        /// The address of the block.
        address: u64,
    },
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
        /// The physical address.
        address: u64,
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
            RegistersError::NoUio { address } => write!(
                f,
                "no UIO device has registers at {address:#x}; give the device's node compatible = \
                 \"generic-uio\", and boot with uio_pdrv_genirq.of_id=generic-uio"
            ),
            RegistersError::OtherAddress { found, address } => write!(
                f,
                "{path}: its registers are at {found:#x}, and `address` is {address:#x}; set device = \
                 \"uio\", which finds the device by its address"
            ),
            RegistersError::TooSmall { bytes, least } => write!(
                f,
                "{path}: its first map has {bytes} bytes, the device has {least}; name the UIO device \
                 of these registers"
            ),
            RegistersError::Map { errno, address } => {
                write!(
                    f,
                    "{path}: the kernel does not map address {address:#x} ({errno}); use a UIO device, or disable the node of the controller in the device \
                     tree, so that no driver claims it"
                )
            }
        }
    }
}

/// A number in a file of sysfs, such as `0x1000`.
fn hex(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

/// The first map of a UIO device.
struct Map {
    /// Physical address of the block, which need not begin a page.
    address: u64,
    /// Its offset in the mapped pages.
    offset: u64,
    /// From the block to the end of the pages.
    bytes: usize,
}

impl Map {
    /// `None`: `device`, a folder of sysfs, has no map.
    fn of(device: &Path) -> Option<Self> {
        let map = device.join("maps/map0");
        let offset = hex(&map.join("offset"))?;
        let size = hex(&map.join("size"))?;
        Some(Self {
            address: hex(&map.join("addr"))? + offset,
            offset,
            bytes: size.saturating_sub(offset).try_into().ok()?,
        })
    }
}

/// The UIO device whose registers are at `address`.
fn found_by_address(root: &Path, address: u64) -> Result<PathBuf, RegistersError> {
    let devices = fs::read_dir(root.join("sys/class/uio"));
    let mut devices = devices.into_iter().flatten().flatten();
    let device =
        devices.find(|device| Map::of(&device.path()).is_some_and(|map| map.address == address));
    let device = device.ok_or(RegistersError::NoUio { address })?;
    Ok(Path::new("/dev").join(device.file_name()))
}

impl Place<'_> {
    /// Maps the first `least` bytes of the block, with nodes and sysfs below `root` (`/` on a
    /// running system). No register is accessed.
    ///
    /// # Errors
    /// [`RegistersError`].
    pub fn map(self, root: &Path, least: usize) -> Result<Registers, RegistersError> {
        let path = match self.path == Path::new(ANY_UIO) {
            true => found_by_address(root, self.address)?,
            false => self.path.to_owned(),
        };
        let open = File::options()
            .read(true)
            .write(true)
            .open(node::under(root, &path));
        let file = open.map_err(|error| RegistersError::Open(error.into()))?;
        let offset = match self.path == Path::new(MEMORY) {
            true => self.address,
            false => self.offset_in_uio(root, &path, least)?,
        };
        let address = self.address;
        Registers::map(file.as_fd(), offset, least)
            .map_err(|errno| RegistersError::Map { errno, address })
    }

    /// The offset of the block in the first map of the UIO device at `path`.
    fn offset_in_uio(self, root: &Path, path: &Path, least: usize) -> Result<u64, RegistersError> {
        let number = node::number(root, path).ok().flatten();
        let number = number.ok_or(RegistersError::NotUio)?;
        let (major, minor) = (libc::major(number), libc::minor(number));
        let device = root.join(format!("sys/dev/char/{major}:{minor}"));
        let map = Map::of(&device).ok_or(RegistersError::NotUio)?;
        let (found, address) = (map.address, self.address);
        if found != address {
            return Err(RegistersError::OtherAddress { found, address });
        }
        if map.bytes < least {
            let bytes = map.bytes;
            return Err(RegistersError::TooSmall { bytes, least });
        }
        Ok(map.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine whose `uio1` is at 0x30830000; `/dev/null` stands in for the node.
    fn machine(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        for (device, address) in [("uio0", "0x30200000"), ("uio1", "0x30830000")] {
            let map = root.join(format!("sys/class/uio/{device}/maps/map0"));
            fs::create_dir_all(&map).unwrap();
            fs::write(map.join("addr"), format!("{address}\n")).unwrap();
            fs::write(map.join("offset"), "0x0\n").unwrap();
            fs::write(map.join("size"), "0x1000\n").unwrap();
        }
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::create_dir_all(root.join("sys/dev/char")).unwrap();
        symlink("/dev/null", root.join("dev/uio1")).unwrap();
        symlink("../../class/uio/uio1", root.join("sys/dev/char/1:3")).unwrap();
        root
    }

    fn at(path: &str, address: u64) -> Place<'_> {
        let path = Path::new(path);
        Place { path, address }
    }

    #[test]
    fn a_uio_device_is_found_by_the_address_of_its_map() {
        let root = machine("uio-found");
        let found = found_by_address(&root, 0x3083_0000);
        let absent = at(ANY_UIO, 0x3084_0000).map(&root, 0x20);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Ok(PathBuf::from("/dev/uio1")));
        let address = 0x3084_0000;
        assert_eq!(absent, Err(RegistersError::NoUio { address }));
    }

    #[test]
    fn a_uio_device_with_another_address_is_refused_whatever_its_number() {
        let root = machine("uio-other");
        let map = |address, least| at("/dev/uio1", address).map(&root, least);
        let (other, small) = (map(0x3084_0000, 0x20), map(0x3083_0000, 0x2000));
        let offset = at("/dev/uio1", 0x3083_0000).offset_in_uio(&root, Path::new("/dev/uio1"), 32);
        fs::remove_dir_all(&root).unwrap();
        let (found, address) = (0x3083_0000, 0x3084_0000);
        assert_eq!(other, Err(RegistersError::OtherAddress { found, address }));
        let (bytes, least) = (0x1000, 0x2000);
        assert_eq!(small, Err(RegistersError::TooSmall { bytes, least }));
        assert_eq!(offset, Ok(0));
    }
}
