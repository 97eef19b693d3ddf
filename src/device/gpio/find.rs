//! Finds GPIO chips and lines by name. Allocates: for start-up only.

use super::{Chip, ChipInfo, Chips, GpioError};
use crate::sys::Errno;

/// How a board file names a line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LineId<'a> {
    /// By its number on the chip, from 0.
    Offset(u32),
    /// By its name in the device tree (`gpio-line-names`).
    Name(&'a str),
}

/// All chips that can be opened, in the order of their numbers. A chip with several names
/// is listed once.
#[must_use]
pub fn present_chips(chips: &impl Chips) -> Vec<ChipInfo> {
    let (present, _) = each_chip(chips, &chips.names());
    present.into_iter().map(|(_, info)| info).collect()
}

/// Each chip of `names` that can be opened, once, and why another could not be opened, if there
/// was one.
fn each_chip<C: Chips>(chips: &C, names: &[String]) -> (Vec<(C::Chip, ChipInfo)>, Option<Errno>) {
    let (mut present, mut devices, mut unreadable) = (Vec::new(), Vec::new(), None);
    for name in names {
        let opened =
            open_with_info(chips, name).and_then(|(chip, info)| Ok((chip.device()?, (chip, info))));
        match opened {
            Ok((device, _)) if devices.contains(&device) => {}
            Ok((device, chip)) => {
                devices.push(device);
                present.push(chip);
            }
            Err(errno) => unreadable = Some(errno),
        }
    }
    (present, unreadable)
}

/// Opens the chip with the path, name (`gpiochip0`) or label (`30200000.gpio`) `requested`.
/// Labels are the same at each boot; names may change.
///
/// # Errors
/// [`GpioError::NoChip`], [`GpioError::AmbiguousChip`], [`GpioError::Open`].
pub fn find_chip<C: Chips>(chips: &C, requested: &str) -> Result<(C::Chip, ChipInfo), GpioError> {
    let names = chips.names();
    if requested.contains('/') || names.iter().any(|name| name == requested) {
        let chip = chips.open(requested).map_err(GpioError::Open)?;
        let info = chip.info().map_err(GpioError::Open)?;
        return Ok((chip, info));
    }
    let (chips, unreadable) = each_chip(chips, &names);
    let present = chips.len() as u32;
    let labelled = |(_, info): &(_, ChipInfo)| info.label.as_str() == requested;
    let mut found: Vec<_> = chips.into_iter().filter(labelled).collect();
    match (found.pop(), found.len()) {
        (Some(chip), 0) => Ok(chip),
        (Some(_), others) => Err(GpioError::AmbiguousChip {
            matches: others as u32 + 1,
        }),
        (None, _) => Err(GpioError::NoChip {
            present,
            unreadable,
        }),
    }
}

/// The number of `line` on `chip`; `info` is that of the chip. A name costs one ioctl for
/// each line of the chip.
///
/// # Errors
/// [`GpioError::OffsetOutOfRange`], [`GpioError::NoLine`],
/// [`GpioError::AmbiguousLine`], [`GpioError::Get`] if the name of a line cannot be read.
pub fn find_line(chip: &impl Chip, info: &ChipInfo, line: LineId<'_>) -> Result<u32, GpioError> {
    let lines = info.lines;
    match line {
        LineId::Offset(offset) if offset < lines => Ok(offset),
        LineId::Offset(offset) => Err(GpioError::OffsetOutOfRange { offset, lines }),
        LineId::Name(name) => {
            let (mut found, mut matches) = (None, 0);
            for offset in 0..lines {
                let info = chip.line_info(offset).map_err(GpioError::Get)?;
                if info.name.as_str() == name {
                    found = Some(offset);
                    matches += 1;
                }
            }
            match found {
                None => Err(GpioError::NoLine { lines }),
                Some(offset) if matches == 1 => Ok(offset),
                // The kernel allows several lines with one name.
                Some(_) => Err(GpioError::AmbiguousLine { matches }),
            }
        }
    }
}

fn open_with_info<C: Chips>(chips: &C, name: &str) -> Result<(C::Chip, ChipInfo), Errno> {
    let chip = chips.open(name)?;
    let info = chip.info()?;
    Ok((chip, info))
}
