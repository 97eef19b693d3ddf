//! `kind = "proportion"`: time-proportioned control: a relay that is on for a share of each
//! window of cycles.

use super::prelude::*;

/// The law.
#[derive(Clone, Debug)]
pub struct Proportion {
    input: Input<f64>,
    output: Output<bool>,
    window: u64,
}

/// State of a [`Proportion`]: the present window.
#[derive(Copy, Clone, Debug, Default)]
pub struct Window {
    number: Option<u64>,
    /// Number of cycles in this window with the relay on.
    on: u64,
}

impl Law for Proportion {
    type State = Window;

    fn start(&self) -> Window {
        Window::default()
    }

    fn step(&self, window: &mut Window, io: &mut Io<'_>) {
        let slot = io.tick().slot;
        let number = Some(slot / self.window);
        let share = io.read(self.input).value.unwrap_or(0.0);
        // Compare window numbers: the first cycle of a window may have been skipped.
        if window.number != number {
            // The cast turns a negative share into 0.
            let on = (share * self.window as f64).round() as u64;
            *window = Window { number, on };
        }
        // An output that no law sets is driven safe.
        if !io.is_stopping() {
            let is_on = slot % self.window < window.on;
            // A share of 0 switches off at once, not only in the next window.
            io.set(self.output, is_on && share > 0.0);
        }
    }
}

impl LawKind for Proportion {
    const KIND: &'static str = "proportion";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            input: table.input("input", "1")?,
            output: table.output("output", "")?,
            window: table.integer("window", 2..=100_000)?,
        })
    }
}
