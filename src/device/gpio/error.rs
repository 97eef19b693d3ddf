//! Why a GPIO line is not to be had, or does not do as told.

use super::{ChipInfo, Name};
use crate::sys::Errno;
use core::fmt;

/// Why a GPIO line is not to be had, or does not do as told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum GpioError {
    /// No chip has this name or label.
    NoChip {
        /// Chips that could be looked at.
        present: u32,
        /// Why another could not be looked at, if there was one.
        unreadable: Option<Errno>,
    },
    /// Several chips have this label.
    AmbiguousChip {
        /// How many.
        matches: u32,
    },
    /// The chip could not be opened, or is none (`ENOTTY`).
    Open(Errno),
    /// No line of the chip, or of any chip, has this name.
    NoLine {
        /// Lines looked at.
        lines: u32,
    },
    /// Several lines have this name.
    AmbiguousLine {
        /// How many.
        matches: u32,
    },
    /// The chip has fewer lines.
    OffsetOutOfRange {
        /// The line asked for.
        offset: u32,
        /// Lines of the chip; the last is one less.
        lines: u32,
    },
    /// The line has a user.
    Busy {
        /// The line.
        offset: u32,
        /// Who uses it, as it calls itself; may be empty.
        consumer: Name,
    },
    /// The line cannot raise interrupts, so it cannot be latched.
    NoInterrupt,
    /// A request without lines.
    NoLines,
    /// A channel beyond the process image.
    ChannelOutOfRange {
        /// The channel.
        channel: u8,
    },
    /// A channel that stands for two lines.
    DuplicateChannel {
        /// The channel.
        channel: u8,
    },
    /// A line that stands for two channels.
    DuplicateLine {
        /// The line.
        offset: u32,
    },
    /// The lines of one request differ in more ways than the kernel takes (10
    /// attributes: bias, polarity, drive, debounce times).
    TooManyKinds,
    /// The kernel refused the request: `EINVAL` or `EOPNOTSUPP` for a bias,
    /// drive or debounce the chip cannot do.
    Request(Errno),
    /// The values could not be read.
    Get(Errno),
    /// The values could not be set.
    Set(Errno),
}

/// What was looked for, to say it.
#[derive(Copy, Clone, Debug)]
pub struct Requested<'a> {
    /// The chip, as it stands in the board file.
    pub chip: &'a str,
    /// The line, as it stands in the board file; empty where no single one was
    /// meant.
    pub line: &'a str,
    /// The chips there are, see [`present_chips`](super::present_chips).
    pub present: &'a [ChipInfo],
}

impl GpioError {
    /// The error in words, with what to do about it.
    #[must_use]
    pub const fn explain(self, requested: Requested<'_>) -> Explained<'_> {
        Explained {
            error: self,
            requested,
        }
    }
}

/// A [`GpioError`] in words.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: GpioError,
    requested: Requested<'a>,
}

impl Explained<'_> {
    /// `; this machine has gpiochip0 (30200000.gpio, 32 lines), ...`
    fn write_present(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requested.present.is_empty() {
            return f.write_str("; this machine has none that can be opened");
        }
        f.write_str("; this machine has ")?;
        for (i, chip) in self.requested.present.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let (name, label, lines) = (chip.name, chip.label, chip.lines);
            write!(f, "{comma}{name} ({label}, {lines} lines)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requested { chip, line, .. } = self.requested;
        match self.error {
            GpioError::NoChip { unreadable, .. } => {
                write!(f, "no GPIO chip has the name or label \"{chip}\"")?;
                self.write_present(f)?;
                match unreadable {
                    Some(errno) => write!(
                        f,
                        "; another cannot be opened ({errno}); run as root or join its group"
                    ),
                    None => Ok(()),
                }
            }
            GpioError::AmbiguousChip { matches } => {
                write!(
                    f,
                    "{matches} GPIO chips have the label \"{chip}\", name one"
                )?;
                self.write_present(f)
            }
            GpioError::Open(Errno(libc::EACCES)) => write!(
                f,
                "GPIO chip \"{chip}\": not allowed; run as root or as a member of the group \
                 that owns it"
            ),
            GpioError::Open(errno) => {
                write!(f, "GPIO chip \"{chip}\" cannot be opened ({errno})")?;
                self.write_present(f)
            }
            GpioError::NoLine { lines } => write!(
                f,
                "GPIO chip \"{chip}\": none of {lines} lines is named \"{line}\"; use its \
                 number, or name it with gpio-line-names in the device tree"
            ),
            GpioError::AmbiguousLine { matches } => write!(
                f,
                "GPIO chip \"{chip}\": {matches} lines are named \"{line}\"; use its number"
            ),
            GpioError::OffsetOutOfRange { offset, lines } => write!(
                f,
                "GPIO chip \"{chip}\" has {lines} lines, from 0: there is no line {offset}"
            ),
            GpioError::Busy { offset, consumer } => {
                let who = match consumer.as_str() {
                    "" => "an unnamed consumer",
                    name => name,
                };
                write!(
                    f,
                    "GPIO chip \"{chip}\": line {offset} is in use by {who}; end that \
                     consumer, or release the line in the device tree"
                )
            }
            GpioError::NoInterrupt => write!(
                f,
                "GPIO chip \"{chip}\" cannot raise interrupts for the latched lines; set \
                 latch = false"
            ),
            GpioError::NoLines => write!(f, "GPIO chip \"{chip}\": no lines were asked for"),
            GpioError::ChannelOutOfRange { channel } => {
                write!(f, "channel {channel} is beyond the 32 of the process image")
            }
            GpioError::DuplicateChannel { channel } => {
                write!(f, "GPIO chip \"{chip}\": channel {channel} has two lines")
            }
            GpioError::DuplicateLine { offset } => {
                write!(f, "GPIO chip \"{chip}\": line {offset} is used twice")
            }
            GpioError::TooManyKinds => write!(
                f,
                "GPIO chip \"{chip}\": its lines differ in more than 9 ways; use fewer \
                 combinations of bias, polarity, drive and debounce"
            ),
            GpioError::Request(errno) => write!(
                f,
                "GPIO chip \"{chip}\" refuses the lines ({errno}); it may not support the bias, \
                 drive or debounce asked for"
            ),
            GpioError::Get(errno) => write!(f, "GPIO chip \"{chip}\" cannot be read ({errno})"),
            GpioError::Set(errno) => write!(f, "GPIO chip \"{chip}\" cannot be set ({errno})"),
        }
    }
}
