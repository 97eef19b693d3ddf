//! `driver = "counter"`: a quadrature encoder that the kernel counts
//! (Documentation/ABI/testing/sysfs-bus-counter). On a simulated board a plant gives its
//! angle, and what it is within a turn.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::prelude::*;

/// What the board file says of it.
#[derive(Debug)]
pub struct Counter {
    count: Option<String>,
    rad_per_count: f64,
    signals: Angles,
}

/// An angle, and what it is within a turn: what an axis takes.
type Angles = (Input<f64>, Input<Angle>);

/// The counter, opened.
#[derive(Debug)]
pub struct OpenCounter {
    count: File,
    rad_per_count: f64,
    signals: Angles,
}

impl OpenCounter {
    /// Over the open file `count`; a count is `rad_per_count` of the first of `signals`, of
    /// which the other one is the part within a turn.
    #[must_use]
    pub const fn new(count: File, rad_per_count: f64, signals: (Input<f64>, Input<Angle>)) -> Self {
        Self {
            count,
            rad_per_count,
            signals,
        }
    }
}

impl Driver for Counter {
    const NAME: &'static str = "counter";
    type Device = OpenCounter;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&["count", "counts_per_turn"])?;
        let counts_per_turn = table.number("counts_per_turn", 1.0..=1e6)?;
        let count = if table.is_simulated() {
            table.without("count", "the board is simulated")?;
            None
        } else {
            Some(table.string("count")?.to_owned())
        };
        Ok(Self {
            count,
            rad_per_count: std::f64::consts::TAU / counts_per_turn,
            signals: (table.publish("angle", "rad")?, table.publish("turn", "")?),
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenCounter, ConfigError> {
        let path = self.count.as_deref().unwrap_or_default();
        let count = File::open(path).map_err(|error| {
            opening.error(
                format_args!("{path}: {error}"),
                "load the counter's kernel driver, and give the path of its `count`",
            )
        })?;
        Ok(OpenCounter::new(count, self.rad_per_count, self.signals))
    }
}

impl Device for OpenCounter {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let mut text = [0; 24];
        let read = self.count.read_at(&mut text, 0).ok();
        let count = read
            .and_then(|length| std::str::from_utf8(&text[..length]).ok())
            .and_then(|text| text.trim().parse::<i64>().ok())
            .ok_or(InputError::Bus);
        let angle = count.map(|count| count as f64 * self.rad_per_count);
        let (whole, within) = self.signals;
        readings.put(whole, angle);
        readings.put(within, angle.map(Angle::from_radians));
    }
}
