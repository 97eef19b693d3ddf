//! Compares the clocks of SPI devices with the limits of their chips.

use super::reader::{At, Result, Table};

/// A chip at an SPI device, and its highest clock.
#[derive(Copy, Clone)]
pub(super) struct Chip {
    pub(super) name: &'static str,
    /// Highest clock, Hz, from the datasheet.
    pub(super) max_hz: u32,
    /// The remedy if a key can raise that limit.
    pub(super) faster: Option<&'static str>,
}

/// The clocks and limits of all tables read so far.
#[derive(Default)]
pub(super) struct Clocks {
    /// The name and the clock, in Hz, of each SPI device.
    devices: Vec<(String, At<u32>)>,
    limits: Vec<Limit>,
}

/// The limit of one chip.
struct Limit {
    /// Index of its SPI device.
    spi: usize,
    chip: Chip,
    /// The table that names it.
    by: String,
}

impl Clocks {
    /// Adds the next SPI device, that of `table`, with its clock in Hz.
    pub(super) fn add(&mut self, name: &str, hz: u32, table: &mut Table<'_>) {
        let span = table.find("speed_hz").map(|(_, value)| value.span());
        let at = At {
            value: hz,
            span: span.unwrap_or_else(|| table.span().clone()),
        };
        self.devices.push((name.to_owned(), at));
    }

    /// Adds the limit of the `chip` of `table`, at the SPI device with this index.
    pub(super) fn limit(&mut self, spi: Option<usize>, chip: Chip, table: &Table<'_>) {
        if let Some(spi) = spi {
            let by = table.title();
            self.limits.push(Limit { spi, chip, by });
        }
    }

    /// Refuses a clock that is too fast for its chip.
    pub(super) fn check(&self, root: &Table<'_>) -> Result<()> {
        for (spi, (name, clock)) in self.devices.iter().enumerate() {
            // Of equal limits, that of the first table.
            let limits = self.limits.iter().filter(|limit| limit.spi == spi);
            let Some(limit) = limits.min_by_key(|limit| limit.chip.max_hz) else {
                continue;
            };
            if clock.value <= limit.chip.max_hz {
                continue;
            }
            let fix = limit.chip.faster.unwrap_or("lower it");
            let what = format!(
                "`speed_hz` of [spi.{name}] is {}, but the {} of {} supports at most {}",
                clock.value, limit.chip.name, limit.by, limit.chip.max_hz
            );
            return Err(root.source().error(&clock.span, what, fix));
        }
        Ok(())
    }
}
