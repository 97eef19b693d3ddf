//! `steadfast setup`: settings that need root, for a later run without privileges.

use std::path::Path;

use super::failure::{FAILED, Failure, print};
use super::known::Known;
use crate::device::spi::irq;

/// Sets the priorities of the SPI controllers' interrupt threads from the board file and reads
/// them back.
// Not inlined, so that `run`, whose stack is locked, has a small stack frame.
#[inline(never)]
pub(super) fn main(known: &Known, file: &Path) -> Result<u8, Failure> {
    let config = known.load(file)?;
    let mut done = String::new();
    for entry in &config.io.spi {
        let Some(requested) = entry.irq_priority else {
            continue;
        };
        let path = Path::new(&entry.path);
        let thread = irq::set_priority(Path::new("/"), path, requested)
            .and_then(|thread| thread.at_least(requested))
            .map_err(|error| {
                let error = config.device_error(entry.position, &error.to_string());
                Failure::in_file(FAILED, &error)
            })?;
        done += &format!(
            "[spi.{}] {}: interrupt {} at FIFO {requested}\n",
            entry.name, entry.path, thread.irq
        );
    }
    print(&done)
}
