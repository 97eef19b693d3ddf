//! GPIO request and I/O errors.

use super::{ChipInfo, Name};
use crate::sys::Errno;
use core::fmt;

/// Why a GPIO request or access failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum GpioError {
    /// No chip has this name or label.
    NoChip {
        /// Number of chips that could be opened.
        present: u32,
        /// Why another chip could not be opened, if there was one.
        unreadable: Option<Errno>,
    },
    /// Several chips have this label.
    AmbiguousChip {
        /// Number of such chips.
        matches: u32,
    },
    /// The chip could not be opened, or the file is not a GPIO chip (`ENOTTY`).
    Open(Errno),
    /// No line of the chip has this name.
    NoLine {
        /// Number of lines searched.
        lines: u32,
    },
    /// Several lines have this name.
    AmbiguousLine {
        /// Number of such lines.
        matches: u32,
    },
    /// The chip has no line with this number.
    OffsetOutOfRange {
        /// The requested line.
        offset: u32,
        /// Number of lines of the chip, numbered from 0.
        lines: u32,
    },
    /// The line is in use.
    Busy {
        /// The line.
        offset: u32,
        /// Label of its consumer; may be empty.
        consumer: Name,
    },
    /// The line cannot raise interrupts, so it cannot be latched.
    NoInterrupt,
    /// The request has no lines.
    NoLines,
    /// The process image has no channel with this number.
    ChannelOutOfRange {
        /// The channel.
        channel: u8,
    },
    /// Two lines have the same channel.
    DuplicateChannel {
        /// The channel.
        channel: u8,
    },
    /// Two channels have the same line.
    DuplicateLine {
        /// The line.
        offset: u32,
    },
    /// The lines of one request need more than 10 attributes, the kernel's limit. Each
    /// further combination of polarity, bias and latch takes one.
    TooManyKinds,
    /// The kernel refused the request: `EINVAL` or `EOPNOTSUPP` if the chip does not
    /// support the bias.
    Request(Errno),
    /// The values could not be read.
    Get(Errno),
    /// The values could not be set.
    Set(Errno),
    /// The registers do not show the levels that the kernel reads.
    OtherLevels,
    /// The registers do not show a requested output as one.
    NotAnOutput {
        /// The line.
        offset: u32,
    },
    /// The chip has no registers that set and clear single lines.
    NoSetClear,
}

/// The requested chip and line, for a message.
#[derive(Copy, Clone, Debug)]
pub struct Requested<'a> {
    /// The chip as named in the board file.
    pub chip: &'a str,
    /// The line as named in the board file; empty if the error concerns several lines.
    pub line: &'a str,
    /// The chips of this machine, see [`present_chips`](super::present_chips).
    pub present: &'a [ChipInfo],
}

impl GpioError {
    /// The error as a message with its remedy.
    #[must_use]
    pub const fn explain(self, requested: Requested<'_>) -> Explained<'_> {
        Explained {
            error: self,
            requested,
        }
    }
}

/// A [`GpioError`] as a message with its remedy.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: GpioError,
    requested: Requested<'a>,
}

impl Explained<'_> {
    /// `; this machine has gpiochip0 (30200000.gpio, 32 lines), ...`
    fn write_present(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requested.present.is_empty() {
            return f.write_str("; no GPIO chip of this machine can be opened");
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
                        "; another chip cannot be opened ({errno}); run as root or as a member \
                         of the group that owns it"
                    ),
                    None => Ok(()),
                }
            }
            GpioError::AmbiguousChip { matches } => {
                write!(
                    f,
                    "{matches} GPIO chips have the label \"{chip}\"; use the name of one instead"
                )?;
                self.write_present(f)
            }
            GpioError::Open(Errno(libc::EACCES)) => write!(
                f,
                "GPIO chip \"{chip}\": permission denied; run as root or as a member of the \
                 group that owns it"
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
                "GPIO chip \"{chip}\": there is no line {offset}; use a line below {lines}"
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
            GpioError::NoLines => write!(
                f,
                "GPIO chip \"{chip}\": the request has no lines; give it at least one"
            ),
            GpioError::ChannelOutOfRange { channel } => write!(
                f,
                "channel {channel} is out of range; use a channel from 0 to 31"
            ),
            GpioError::DuplicateChannel { channel } => write!(
                f,
                "GPIO chip \"{chip}\": channel {channel} has two lines; give each line its own \
                 channel"
            ),
            GpioError::DuplicateLine { offset } => write!(
                f,
                "GPIO chip \"{chip}\": line {offset} is used twice; give each channel its own line"
            ),
            GpioError::TooManyKinds => write!(
                f,
                "GPIO chip \"{chip}\": its lines have too many different settings; use fewer \
                 combinations of bias, polarity and latch"
            ),
            GpioError::Request(errno) => write!(
                f,
                "GPIO chip \"{chip}\" refuses the lines ({errno}); leave out a bias that the \
                 chip does not support"
            ),
            GpioError::Get(errno) => write!(
                f,
                "GPIO chip \"{chip}\": reading failed ({errno}); see the kernel log (dmesg)"
            ),
            GpioError::Set(errno) => write!(
                f,
                "GPIO chip \"{chip}\": writing failed ({errno}); see the kernel log (dmesg)"
            ),
            GpioError::OtherLevels => write!(
                f,
                "GPIO chip \"{chip}\": the registers show other levels than the kernel; name the \
                 registers of this chip"
            ),
            GpioError::NotAnOutput { offset } => write!(
                f,
                "GPIO chip \"{chip}\": the registers do not show line {offset} as an output, which it \
                 is; name the registers of this chip"
            ),
            GpioError::NoSetClear => write!(
                f,
                "GPIO chip \"{chip}\" has no registers that set and clear single lines; remove \
                 outputs = \"registers\""
            ),
        }
    }
}
