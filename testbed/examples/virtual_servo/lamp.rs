//! A pin that shows something of the servo to whoever watches the board's pins
//! from outside, in exact order with everything else that happens on them.

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
    /// Takes over the line's `value` file; the lamp is dark.
    ///
    /// # Errors
    /// The file is not there, or the line is no output.
    pub(crate) fn open(value: &Path) -> io::Result<Self> {
        let value = OpenOptions::new().write(true).open(value)?;
        value.write_at(b"0", 0)?;
        Ok(Self { value })
    }

    /// Lights the lamp or puts it out.
    pub(crate) fn set(&self, lit: bool) {
        // It was written to before; a test that sees nothing fails.
        let _ = self.value.write_at(if lit { b"1" } else { b"0" }, 0);
    }
}
