//! Digital inputs and outputs over version 2 of the kernel's GPIO interface.
//!
//! Why: the usual way is one request, and so one system call, for each pin.
//! Here all inputs of a chip are one request and are read by one ioctl, so that
//! they belong to the same moment; all outputs of a chip are one request and
//! are set by one ioctl, so that none of them waits for another system call. Whether
//! they change at the same instant is up to the driver: one that has `set_multiple`
//! (gpio-mxc) writes a register once, others (pinctrl-bcm2835) write line by line.
//!
//! Promises:
//! - Outputs are requested at their safe value: there is no moment at which
//!   they are ours and something else.
//! - Levels are logical. Active-low lines are inverted by the kernel, in the
//!   safe values and everywhere else.
//! - A pulse on a latched input is seen however short it is, as long as the
//!   hardware raises an interrupt for it: see [`EdgeReader`].
//! - What cannot be had is told apart: which chip, which line, who has it.
//!
//! Costs: one system call for each chip and direction in each cycle, and a
//! shift and a mask when the channels of a chip follow each other without a
//! gap, a loop over its lines else.
//!
//! See Documentation/userspace-api/gpio/chardev in the kernel's sources.

mod error;
mod find;
mod kernel;
mod latch;
mod lines;
mod map;
mod request;

pub use crate::sys::gpio::{ChipInfo, LineEvent, LineInfo, LineRequest, LineValues, Name, flag};
pub use error::{Explained, GpioError, Requested};
pub use find::{LineId, find_chip, find_line, find_named_line, present_chips};
pub use kernel::{KernelChip, KernelChips, KernelEvents, KernelLines};
pub use latch::{EdgeLatch, EdgeReader, Edges};
pub use lines::{InputLines, OutputLines, RequestedInputs};
pub use request::{Bias, CONSUMER, Drive, InputLine, OutputLine, check_inputs};

use crate::sys::Errno;

/// The GPIO chips of a machine.
pub trait Chips {
    /// One of them, open.
    type Chip: Chip;

    /// Their names (`gpiochip0`), in the order of their numbers.
    fn names(&self) -> Vec<String>;

    /// Opens the chip with this name, or at this path when there is a `/` in
    /// it.
    ///
    /// # Errors
    /// As open(2) gives them.
    fn open(&self, name: &str) -> Result<Self::Chip, Errno>;
}

/// The calls made on an open GPIO chip, at start-up.
pub trait Chip {
    /// Requested lines.
    type Lines: Lines;

    /// The number of its device node (`st_rdev` of stat(2)): a chip can have several
    /// names. On a Raspberry Pi 5, `/dev/gpiochip4` is a symbolic link to `gpiochip0`.
    ///
    /// # Errors
    /// As fstat(2) gives them.
    fn device(&self) -> Result<u64, Errno>;

    /// What the chip is.
    ///
    /// # Errors
    /// As `GPIO_GET_CHIPINFO_IOCTL` gives them.
    fn info(&self) -> Result<ChipInfo, Errno>;

    /// What the line with number `offset` is.
    ///
    /// # Errors
    /// As `GPIO_V2_GET_LINEINFO_IOCTL` gives them.
    fn line_info(&self, offset: u32) -> Result<LineInfo, Errno>;

    /// Takes lines for this process.
    ///
    /// # Errors
    /// As `GPIO_V2_GET_LINE_IOCTL` gives them.
    fn request(&self, request: &LineRequest) -> Result<Self::Lines, Errno>;
}

/// The calls made on requested lines, in the loop.
pub trait Lines {
    /// Their edge events.
    type Events: Events;

    /// The logical values of the lines in `mask`.
    ///
    /// # Errors
    /// As `GPIO_V2_LINE_GET_VALUES_IOCTL` gives them.
    fn get(&self, mask: u64) -> Result<u64, Errno>;

    /// Sets the logical values of the lines in `values.mask`.
    ///
    /// # Errors
    /// As `GPIO_V2_LINE_SET_VALUES_IOCTL` gives them.
    fn set(&self, values: LineValues) -> Result<(), Errno>;

    /// The source of their edge events, for another thread.
    ///
    /// # Errors
    /// As dup(2) gives them.
    fn events(&self) -> Result<Self::Events, Errno>;
}

/// Where edge events come from.
pub trait Events {
    /// Waits up to `timeout_ms` milliseconds for events, and reads as many as
    /// there are and `events` has room for; 0 when none came.
    ///
    /// # Errors
    /// As poll(2) and read(2) give them.
    fn read(&mut self, events: &mut [LineEvent], timeout_ms: u16) -> Result<usize, Errno>;
}
