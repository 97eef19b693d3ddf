//! Identity of device nodes.
//!
//! One device can have several paths: symbolic links of udev, the link `/dev/gpiochip4`
//! of a Raspberry Pi 5, a path with `..` in it. Two paths in a board file can therefore
//! mean the same device. A node is identified by its device number (`st_rdev` of
//! stat(2)); `/sys/dev/char` has the kernel's name for each number.
//!
//! Each path is taken below a root directory, `/` on a running system. All functions
//! allocate and read files: call them at start-up only.

use crate::sys::Errno;
use core::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The descriptor of an open device node, on which [`i2c`](super::i2c) and
/// [`spi`](super::spi) make their calls.
#[derive(Debug)]
pub struct Kernel(OwnedFd);

impl From<OwnedFd> for Kernel {
    /// Wraps the descriptor of an open device, unchecked; `I2cdev::open` and `Spidev::open`
    /// check and configure it.
    fn from(device: OwnedFd) -> Self {
        Self(device)
    }
}

impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The device number of the character device at `path`; symbolic links are followed.
/// `None` if `path` is not a character device.
///
/// # Errors
/// Those of stat(2).
pub fn number(root: &Path, path: &Path) -> io::Result<Option<u64>> {
    let found = fs::metadata(under(root, path))?;
    Ok(found.file_type().is_char_device().then(|| found.rdev()))
}

/// The kernel's name for the device at `path`, such as `spidev0.0`; it does not depend on
/// the name of the node. If sysfs has no entry for it, the file name of the node after
/// following symbolic links.
#[must_use]
pub fn kernel_name(root: &Path, path: &Path) -> Option<String> {
    let from_sysfs = || {
        let number = number(root, path).ok()??;
        let (major, minor) = (libc::major(number), libc::minor(number));
        fs::read_link(root.join(format!("sys/dev/char/{major}:{minor}"))).ok()
    };
    let node = || {
        let path = under(root, path);
        fs::canonicalize(&path).unwrap_or(path)
    };
    let named = from_sysfs().unwrap_or_else(node);
    Some(named.file_name()?.to_str()?.to_owned())
}

/// Writes why open(2) of the device at `path` failed with `errno`, and the remedy.
/// `missing` is the remedy for a device that does not exist.
pub(super) fn write_not_opened(
    f: &mut fmt::Formatter<'_>,
    path: &Path,
    errno: Errno,
    missing: &str,
) -> fmt::Result {
    let path = path.display();
    match errno.0 {
        libc::ENOENT => write!(f, "{path}: no such device; {missing}"),
        libc::EACCES => write!(
            f,
            "{path}: permission denied; run as root or as a member of the group that owns it \
             (ls -l {path})"
        ),
        _ => write!(
            f,
            "{path}: cannot be opened ({errno}); see the kernel log (dmesg)"
        ),
    }
}

/// `path` under `root`.
#[must_use]
pub fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_has_the_number_and_the_kernel_name_of_its_target() {
        let root = std::env::temp_dir().join(format!("steadfast-{}-node", std::process::id()));
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::create_dir_all(root.join("sys/dev/char")).unwrap();
        // Devices that every machine has stand in for real ones.
        for (link, to) in [
            ("dev/spidev2.0", "/dev/null"),
            ("dev/shaft", "spidev2.0"),
            ("dev/zero", "/dev/zero"),
            ("sys/dev/char/1:3", "../../devices/soc/spi2/spidev2.0"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        fs::write(root.join("dev/file"), "").unwrap();
        let number_of = |path: &str| number(&root, Path::new(path));
        let shaft = number_of("/dev/shaft").unwrap();
        assert!(shaft.is_some());
        assert_eq!(shaft, number_of("/dev/spidev2.0").unwrap());
        assert_ne!(shaft, number_of("/dev/zero").unwrap());
        assert_eq!(number_of("/dev/file").unwrap(), None);
        assert!(number_of("/dev/none").is_err());
        let names = ["/dev/shaft", "/dev/zero", "/dev/file", "/dev/none"]
            .map(|path| kernel_name(&root, Path::new(path)).unwrap());
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(names, ["spidev2.0", "zero", "file", "none"]);
    }
}
