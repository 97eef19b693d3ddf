//! `steadfast setup`: what a run without privileges cannot do for itself.

use std::path::Path;

use super::failure::{FAILED, Failure, print};
use super::known::Known;
use crate::device::spi::irq;

/// Gives the interrupt threads of the SPI controllers the priorities of the board file,
/// and reads them back.
// Kept apart, for the stack of `run` to be small: it is locked.
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
