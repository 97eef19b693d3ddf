//! `driver = "counter"`: a quadrature encoder on a kernel counter
//! (Documentation/ABI/testing/sysfs-bus-counter). On a simulated board a plant sets its
//! signals. Cost: one read(2) of at most 24 bytes per cycle.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::prelude::*;

/// Settings of a counter from the board file.
#[derive(Debug)]
pub struct Counter {
    count: Option<String>,
    rad_per_count: f64,
    signals: Angles,
}

/// The angle over all turns, rad, and the angle within a turn, which an axis uses.
type Angles = (Input<f64>, Input<Angle>);

/// The counter, opened.
#[derive(Debug)]
pub struct OpenCounter {
    count: File,
    rad_per_count: f64,
    signals: Angles,
}

impl OpenCounter {
    /// A counter that reads the open file `count`. `rad_per_count` is the angle of one count,
    /// rad. `signals` are the angle over all turns and the angle within a turn.
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
                format_args!("{path} cannot be opened: {error}"),
                "load the kernel driver of the counter, and set `count` to the path of its file",
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
