//! The black box: what the last seconds before a fault were, as one file on a
//! disk.
//!
//! It is made from the [`flight`](super::flight) file by an ordinary thread: at
//! a fault, at the end of a run that ended by one, and at the next start when
//! the process before did not end in order. [`write()`](write()) makes the bytes, the
//! [`store`] puts them on the disk whole or not at all, [`parse`] reads
//! them back, as much of them as is left. The format is in docs/blackbox.md.

mod cause;
mod format;
mod read;
pub mod store;
mod write;

pub use cause::{CAUSE_BYTES, Message, describe};
pub use format::{Tag, crc32};
pub use read::{BlackBox, Damage, NotBlackBox, parse};
pub use write::{Ending, Occasion, write};

/// `[black_box]` of a board file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlackBoxConfig {
    /// Where it stands in the board file: line and column, from 1.
    pub position: (usize, usize),
    /// The folder on a disk that keeps the files.
    pub directory: String,
    /// All of them together are no longer than this, bytes.
    pub size_limit: u64,
    /// How much time before a fault is kept, s.
    pub seconds: u32,
    /// The folder in memory for the flight file.
    pub memory: String,
}

#[cfg(test)]
mod tests;
