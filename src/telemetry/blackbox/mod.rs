//! The black box: one file on a disk with the last seconds before a fault.
//!
//! An ordinary thread makes it from the [`flight`](super::flight) file: at a fault, at the end
//! of a run that ended by a fault, and at the next start when the last process did not end in
//! order. [`write()`](write()) produces the bytes, the [`store`] puts them on the disk,
//! complete or not at all, and [`parse`] reads back what is undamaged. Writing allocates
//! nothing. The format is in docs/blackbox-format.md.

mod cause;
mod format;
mod read;
pub mod store;
mod write;

pub use cause::{CAUSE_BYTES, Message, describe};
pub use format::crc32;
pub use read::{BlackBox, NotBlackBox, parse};
pub use write::{Ending, Occasion, write};

/// The table `[black_box]` of a board file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlackBoxConfig {
    /// Its place in the board file: line and column, from 1.
    pub position: (usize, usize),
    /// The folder on a disk for the files.
    pub directory: String,
    /// Limit for all files together, bytes.
    pub size_limit: u64,
    /// How much time before a fault is kept, s.
    pub seconds: u32,
    /// The folder on tmpfs for the flight file.
    pub memory: String,
}

#[cfg(test)]
mod tests;
