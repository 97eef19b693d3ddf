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
    let (present, _) = each_chip(chips);
    present.into_iter().map(|(_, info)| info).collect()
}

/// Each chip that can be opened, once, and why another could not be opened, if there was
/// one.
fn each_chip<C: Chips>(chips: &C) -> (Vec<(C::Chip, ChipInfo)>, Option<Errno>) {
    let (mut present, mut devices, mut unreadable) = (Vec::new(), Vec::new(), None);
    for name in chips.names() {
        let opened = open_with_info(chips, &name)
            .and_then(|(chip, info)| Ok((chip.device()?, (chip, info))));
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
    let (chips, unreadable) = each_chip(chips);
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
            let named = lines_named(chip, lines, name).map_err(GpioError::Get)?;
            the_only(named, lines)
        }
    }
}

/// The chip and number of the only line of the machine that is named `name`.
///
/// # Errors
/// [`GpioError::NoLine`], [`GpioError::AmbiguousLine`]; chips that cannot be
/// opened are passed over.
pub fn find_named_line<C: Chips>(
    chips: &C,
    name: &str,
) -> Result<(C::Chip, ChipInfo, u32), GpioError> {
    let (present, _) = each_chip(chips);
    let (mut found, mut lines) = (Vec::new(), 0);
    for (at, (chip, info)) in present.iter().enumerate() {
        lines += info.lines;
        let named = lines_named(chip, info.lines, name).map_err(GpioError::Get)?;
        found.extend(named.into_iter().map(|offset| (at, offset)));
    }
    let (at, offset) = the_only(found, lines)?;
    let (chip, info) = present
        .into_iter()
        .nth(at)
        .expect("it was found at this place");
    Ok((chip, info, offset))
}

fn open_with_info<C: Chips>(chips: &C, name: &str) -> Result<(C::Chip, ChipInfo), Errno> {
    let chip = chips.open(name)?;
    let info = chip.info()?;
    Ok((chip, info))
}

/// The numbers of all lines with this name: the kernel allows several.
fn lines_named(chip: &impl Chip, lines: u32, name: &str) -> Result<Vec<u32>, Errno> {
    let mut found = Vec::new();
    for offset in 0..lines {
        if chip.line_info(offset)?.name.as_str() == name {
            found.push(offset);
        }
    }
    Ok(found)
}

/// The only element of `found`; `lines` is the number of lines searched.
fn the_only<T>(mut found: Vec<T>, lines: u32) -> Result<T, GpioError> {
    match (found.pop(), found.len()) {
        (None, _) => Err(GpioError::NoLine { lines }),
        (Some(one), 0) => Ok(one),
        (Some(_), others) => Err(GpioError::AmbiguousLine {
            matches: others as u32 + 1,
        }),
    }
}
