//! Commands to the devices of `[device.X]`, clamped to their ranges before they are driven.

use heapless::Vec;

use super::{Devices, Ports, graver};
use crate::config::Signals;
use crate::cycle::image::{MAX_COMMANDS, OutputError, Outputs};
use crate::cycle::ports::Tick;

/// Ranges and safe values of the commands.
pub(super) struct Own {
    /// The range of each command, the board's analog outputs first.
    ranges: Vec<(f64, f64), MAX_COMMANDS>,
    pub(super) safe: Outputs,
}

impl Own {
    /// `outputs` with each command from `first` on clamped to its range. A non-finite command
    /// gets its safe value, and is the error.
    #[cold]
    fn within(&self, outputs: &Outputs, first: usize) -> (Outputs, Result<(), OutputError>) {
        let mut within = *outputs;
        let mut refused = Ok(());
        let ranges = self.ranges.iter().zip(&self.safe.analogs);
        let commands = within.analogs.iter_mut().zip(ranges).enumerate();
        for (index, (value, ((least, most), safe))) in commands.skip(first) {
            if !value.is_finite() {
                *value = *safe;
                refused = refused.and(Err(OutputError::NotFinite(index as u8)));
            }
            *value = value.clamp(*least, *most);
        }
        (within, refused)
    }
}

impl<D: Devices> Ports<D> {
    /// Adds the signals of `[device.X]` and `[law.X]`.
    #[must_use]
    pub fn with_signals(mut self, signals: &Signals) -> Self {
        let mut safe = Outputs::new(self.safe_levels, signals.safe());
        safe.flags = signals.safe_flags();
        self.own = Some(Own {
            ranges: signals.ranges().iter().copied().collect(),
            safe,
        });
        self
    }

    /// Drives the devices of `[device.X]`.
    #[inline(never)]
    pub(super) fn drive_own(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        let first = self.analog_outputs.len();
        let commands = outputs
            .analogs
            .iter()
            .zip(&own.ranges)
            .enumerate()
            .skip(first);
        // False for NaN as well.
        let is_right = |value: f64, (least, most): (f64, f64)| least <= value && value <= most;
        let mut wrong = commands.filter(|(_, (value, range))| !is_right(**value, **range));
        let mut refused = Ok(());
        let mut mended = None;
        if wrong.next().is_some() {
            let (within, error) = own.within(outputs, first);
            mended = Some(within);
            refused = error;
        }
        let outputs = mended.as_ref().unwrap_or(outputs);
        let (driven, lost) = self.devices.drive_own(tick, outputs);
        if let Some(lost) = lost {
            self.lose(lost);
        }
        graver(driven, refused)
    }
}
