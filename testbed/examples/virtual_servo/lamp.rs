//! A pin that shows a state of the servo, in exact order with the edges of other pins.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A line exported to `/sys/class/gpio` as an output
/// (Documentation/userspace-api/gpio/sysfs.rst).
#[derive(Debug)]
pub(crate) struct Lamp {
    value: File,
}

impl Lamp {
    /// Takes over the line's `value` file; the lamp is off.
    ///
    /// # Errors
    /// The file is missing, or the line is not an output.
    pub(crate) fn open(value: &Path) -> io::Result<Self> {
        let value = OpenOptions::new().write(true).open(value)?;
        value.write_at(b"0", 0)?;
        Ok(Self { value })
    }

    /// Switches the lamp on or off.
    pub(crate) fn set(&self, lit: bool) {
        // The first write succeeded; a test without its edge fails.
        let _ = self.value.write_at(if lit { b"1" } else { b"0" }, 0);
    }
}
