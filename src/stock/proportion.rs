//! `kind = "proportion"`: a relay that is on for a share of each window of cycles
//! (time-proportioned control).

use super::prelude::*;

/// The law.
#[derive(Clone, Debug)]
pub struct Proportion {
    input: Input<f64>,
    output: Output<bool>,
    window: u64,
}

/// The window that it is in.
#[derive(Copy, Clone, Debug, Default)]
pub struct Window {
    number: Option<u64>,
    /// For how many cycles the relay is on in it.
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
        // By number, not by its first cycle, which may have been skipped.
        if window.number != number {
            // A negative share is none.
            let on = (share * self.window as f64).round() as u64;
            *window = Window { number, on };
        }
        // What is not set is driven safe.
        if !io.is_stopping() {
            let is_on = slot % self.window < window.on;
            // No power at all is not a matter of the next window.
            io.set(self.output, is_on && share > 0.0);
        }
    }
}

impl LawKind for Proportion {
    const KIND: &'static str = "proportion";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        table.only(&["input", "output", "window"])?;
        Ok(Self {
            input: table.input("input", "1")?,
            output: table.output("output", "")?,
            window: table.integer("window", 2..=100_000)?,
        })
    }
}
