//! An open GPIO chip of the board file: its lines and its registers, and errors at their place in the file.

use std::path::Path;

use super::probe;
use crate::config::{Config, ConfigError, GpioRegisters, Line, Pin, Position};
use crate::device::gpio::{self, Bank, ChipInfo, GpioError, KernelChip, KernelChips, LineId};
use crate::sys::registers::Registers;

/// An open GPIO chip, with the context for its errors.
pub(super) struct Chip<'c> {
    config: &'c Config,
    chips: &'c KernelChips,
    index: usize,
    pub(super) chip: KernelChip,
    pub(super) info: ChipInfo,
}

impl<'c> Chip<'c> {
    pub(super) fn find(
        config: &'c Config,
        chips: &'c KernelChips,
        index: usize,
        first: &Pin,
    ) -> Result<Self, ConfigError> {
        let entry = &config.io.gpio[index];
        let (chip, info) = gpio::find_chip(chips, &entry.chip).map_err(|error| {
            probe::gpio_error(config, chips, index, entry.position, first, error)
        })?;
        Ok(Self {
            config,
            chips,
            index,
            chip,
            info,
        })
    }

    pub(super) fn offset(&self, pin: &Pin) -> Result<u32, ConfigError> {
        let line = match &pin.line {
            Line::Offset(offset) => LineId::Offset(*offset),
            Line::Name(name) => LineId::Name(name),
        };
        gpio::find_line(&self.chip, &self.info, line)
            .map_err(|error| self.error(pin.position, pin, error))
    }

    /// The registers by which its inputs or its outputs are reached, where `wanted` says so.
    pub(super) fn registers(
        &self,
        wanted: impl Fn(&GpioRegisters) -> bool,
    ) -> Result<Option<(Bank, Registers)>, ConfigError> {
        let entry = &self.config.io.gpio[self.index];
        let Some(by) = entry.registers.as_ref().filter(|by| wanted(by)) else {
            return Ok(None);
        };
        let place = by.place();
        let mapped = place.map(Path::new("/"), by.bank.block_bytes());
        let mapped = mapped.map_err(|error| {
            (self.config).device_error(entry.position, &error.explain(place.path).to_string())
        })?;
        Ok(Some((by.bank, mapped)))
    }

    /// The kernel's refusal of a request, as an error at the line that caused it.
    pub(super) fn refused<'p>(
        &self,
        error: GpioError,
        lines: impl Iterator<Item = (u32, &'p Pin)>,
    ) -> ConfigError {
        let mut lines = lines.collect::<Vec<_>>().into_iter();
        let all = lines.as_slice().first().map(|(_, pin)| *pin);
        let one = match error {
            GpioError::Busy { offset, .. } | GpioError::DuplicateLine { offset } => {
                lines.find(|(line, _)| *line == offset).map(|(_, pin)| pin)
            }
            _ => None,
        };
        let position = one.map_or(self.config.io.gpio[self.index].position, |pin| pin.position);
        let pin = one.or(all).expect("a request has at least one line");
        self.error(position, pin, error)
    }

    fn error(&self, position: Position, pin: &Pin, error: GpioError) -> ConfigError {
        probe::gpio_error(self.config, self.chips, self.index, position, pin, error)
    }
}
