//! Prevents deep idle states of the CPUs through `/dev/cpu_dma_latency`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The kernel's device (Documentation/power/pm_qos_interface.rst).
pub const DEVICE: &str = "/dev/cpu_dma_latency";

/// Holds the wake-up latency of every CPU at 0 us until it is dropped: the CPUs enter only the
/// shallowest idle state.
///
/// A CPU in a deep idle state wakes tens to hundreds of microseconds late. The request is valid
/// while the descriptor is open; the kernel removes it when the process ends. It costs power on
/// every CPU.
#[derive(Debug)]
pub struct DmaLatency {
    file: File,
    /// Device and inode, to detect that the descriptor was closed and its number reused.
    identity: (u64, u64),
}

impl DmaLatency {
    /// Opens `device`, usually [`DEVICE`], and requests 0 us.
    ///
    /// # Errors
    /// `EACCES`: no permission to write it (needs root, or a udev rule
    /// `KERNEL=="cpu_dma_latency", GROUP="realtime", MODE="0660"`). `ENOENT`: the kernel does
    /// not have it (`CONFIG_CPU_IDLE`).
    pub fn hold(device: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(device)?;
        file.write_all(&0_i32.to_ne_bytes())?;
        let identity = identity(&file)?;
        Ok(Self { file, identity })
    }

    /// Reads back the lowest latency that is requested on this machine, us: 0 if this request is
    /// in effect.
    ///
    /// # Errors
    /// Those of fstat(2) and pread(2); `EBADF` if the descriptor was closed, even if its number
    /// was reused.
    pub fn read_back(&self) -> io::Result<i32> {
        if identity(&self.file)? != self.identity {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(i32::from_ne_bytes(bytes))
    }
}

/// Device and inode of `file` (fstat(2)).
fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_of_0_is_requested_and_read_back() {
        let path = std::env::temp_dir().join(format!("dma-latency-{}", std::process::id()));
        std::fs::write(&path, 2_000_000_000_i32.to_ne_bytes()).unwrap();
        let held = DmaLatency::hold(&path).unwrap();
        assert_eq!(held.read_back().unwrap(), 0);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_missing_latency_device_is_an_error() {
        let missing = DmaLatency::hold(Path::new("/dev/there-is-no-such-device"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
