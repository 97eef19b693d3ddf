//! Digital inputs and outputs over version 2 of the kernel's GPIO interface
//! (Documentation/userspace-api/gpio/chardev in the kernel's sources).
//!
//! All inputs of a chip are one request, read by one ioctl; all outputs are another, set by
//! one ioctl. A driver with `set_multiple` (gpio-mxc) sets them at the same instant, others
//! (pinctrl-bcm2835) line by line. Promises: outputs are requested at their safe values;
//! levels are logical (the kernel inverts active-low lines); a latched input reports every
//! pulse for which the hardware raises an interrupt ([`EdgeReader`]); errors name chip, line
//! and consumer. Costs: one system call per chip and direction in each cycle; a shift and a
//! mask if the channels of the chip are consecutive, else a loop over its lines. Registers can take the
//! place of the system calls: for inputs ([`Levels`]), and for outputs of a chip that sets and clears single
//! lines ([`SetClear`]).

mod bank;
mod error;
mod find;
mod kernel;
mod latch;
mod levels;
mod lines;
mod map;
mod request;
mod set_clear;

pub use crate::sys::gpio::{ChipInfo, LineEvent, LineInfo, LineRequest, LineValues, Name, flag};
pub use bank::Bank;
pub use error::{Explained, GpioError, Requested};
pub use find::{LineId, find_chip, find_line, present_chips};
pub use kernel::{KernelChip, KernelChips, KernelEvents, KernelLines};
pub use latch::{EdgeLatch, EdgeReader, Edges};
pub use levels::Levels;
pub use lines::{InputLines, OutputLines, RequestedInputs};
pub use request::{Bias, CONSUMER, InputLine, OutputLine, check_inputs};
pub use set_clear::SetClear;

use crate::sys::Errno;

/// The GPIO chips of a machine.
pub trait Chips {
    /// An open chip.
    type Chip: Chip;

    /// The names of all chips (`gpiochip0`), in the order of their numbers.
    fn names(&self) -> Vec<String>;

    /// Opens the chip with this name, or at this path if it contains a `/`.
    ///
    /// # Errors
    /// Those of open(2).
    fn open(&self, name: &str) -> Result<Self::Chip, Errno>;
}

/// The calls made on an open GPIO chip, at start-up.
pub trait Chip {
    /// Requested lines.
    type Lines: Lines;

    /// The number of its device node (`st_rdev` of stat(2)), the same for all names of a
    /// chip. On a Raspberry Pi 5, `/dev/gpiochip4` is a symbolic link to `gpiochip0`.
    ///
    /// # Errors
    /// Those of fstat(2).
    fn device(&self) -> Result<u64, Errno>;

    /// Name, label and number of lines of the chip.
    ///
    /// # Errors
    /// Those of `GPIO_GET_CHIPINFO_IOCTL`.
    fn info(&self) -> Result<ChipInfo, Errno>;

    /// Name, consumer and flags of the line with number `offset`.
    ///
    /// # Errors
    /// Those of `GPIO_V2_GET_LINEINFO_IOCTL`.
    fn line_info(&self, offset: u32) -> Result<LineInfo, Errno>;

    /// Requests lines for this process.
    ///
    /// # Errors
    /// Those of `GPIO_V2_GET_LINE_IOCTL`.
    fn request(&self, request: &LineRequest) -> Result<Self::Lines, Errno>;
}

/// The calls made on requested lines, in the loop.
pub trait Lines {
    /// The source of their edge events.
    type Events: Events;

    /// The logical values of the lines in `mask`, one bit for each line of the request.
    ///
    /// # Errors
    /// Those of `GPIO_V2_LINE_GET_VALUES_IOCTL`.
    fn get(&self, mask: u64) -> Result<u64, Errno>;

    /// Sets the logical values of the lines in `values.mask`.
    ///
    /// # Errors
    /// Those of `GPIO_V2_LINE_SET_VALUES_IOCTL`.
    fn set(&self, values: LineValues) -> Result<(), Errno>;

    /// The source of their edge events, for another thread.
    ///
    /// # Errors
    /// Those of dup(2).
    fn events(&self) -> Result<Self::Events, Errno>;
}

/// A source of edge events.
pub trait Events {
    /// Waits up to `timeout_ms` milliseconds for events, reads at most `events.len()` of
    /// them and returns their number; 0 after the timeout.
    ///
    /// # Errors
    /// Those of poll(2) and read(2).
    fn read(&mut self, events: &mut [LineEvent], timeout_ms: u16) -> Result<usize, Errno>;
}
