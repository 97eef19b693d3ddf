//! The clocks of SPI devices, compared with what their chips take.

use super::reader::{At, Result, Table};

/// What a chip at an SPI device is called, and the clock that it takes.
#[derive(Copy, Clone)]
pub(super) struct Chip {
    pub(super) name: &'static str,
    /// At most, Hz.
    pub(super) max_hz: u32,
    /// What makes it take a faster one, if anything does.
    pub(super) faster: Option<&'static str>,
}

/// What has been read of clocks and of their limits.
#[derive(Default)]
pub(super) struct Clocks {
    /// The name and the clock, in Hz, of each SPI device.
    devices: Vec<(String, At<u32>)>,
    limits: Vec<Limit>,
}

/// What a chip takes at most.
struct Limit {
    /// The SPI device that it is at.
    spi: usize,
    chip: Chip,
    /// The table that names it.
    by: String,
}

impl Clocks {
    /// The next SPI device is that of `table`, clocked at `hz`.
    pub(super) fn add(&mut self, name: &str, hz: u32, table: &mut Table<'_>) {
        let span = table.find("speed_hz").map(|(_, value)| value.span());
        let at = At {
            value: hz,
            span: span.unwrap_or_else(|| table.span().clone()),
        };
        self.devices.push((name.to_owned(), at));
    }

    /// At the SPI device with this index is the `chip` of `table`.
    pub(super) fn limit(&mut self, spi: Option<usize>, chip: Chip, table: &Table<'_>) {
        if let Some(spi) = spi {
            let by = table.title();
            self.limits.push(Limit { spi, chip, by });
        }
    }

    /// Refuses a clock that is too fast for its chip.
    pub(super) fn check(&self, root: &Table<'_>) -> Result<()> {
        for (spi, (name, clock)) in self.devices.iter().enumerate() {
            // The first of those that take the least.
            let limits = self.limits.iter().filter(|limit| limit.spi == spi);
            let Some(limit) = limits.min_by_key(|limit| limit.chip.max_hz) else {
                continue;
            };
            if clock.value <= limit.chip.max_hz {
                continue;
            }
            let fix = limit.chip.faster.unwrap_or("lower it");
            let what = format!(
                "`speed_hz` of [spi.{name}] is {}, the {} of {} takes at most {}",
                clock.value, limit.chip.name, limit.by, limit.chip.max_hz
            );
            return Err(root.source().error(&clock.span, what, fix));
        }
        Ok(())
    }
}
