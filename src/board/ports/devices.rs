//! [`Devices`]: the interface between [`Ports`](super::Ports) and a real or simulated board.

use embedded_hal::spi::SpiDevice;

use crate::cycle::image::{DigitalInputs, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::ports::Tick;
use crate::time::Instant;

/// The devices of a board, as the loop uses them. No method may allocate.
pub trait Devices {
    /// An SPI device, for the drivers of stock chips.
    type Spi<'a>: SpiDevice
    where
        Self: 'a;

    /// Whether the stall guard or a crash handler has made the outputs safe. Then only safe
    /// values may be written.
    fn latched(&self) -> bool {
        false
    }

    /// Called at the start of every cycle, before all readings. Gives their time: the start of
    /// the cycle, or the plant's time in a simulation.
    fn advance(&mut self, tick: &Tick) -> Instant;

    /// The present time within the cycle of `tick`, read after a failure. The default, for
    /// devices whose transfers take no time, is the start of the cycle.
    fn now(tick: &Tick) -> Instant {
        tick.now
    }

    /// SPI device `index`, as numbered by [`SpiMap`](super::SpiMap).
    ///
    /// # Panics
    /// There is no such device.
    fn spi(&mut self, index: usize) -> Self::Spi<'_>;

    /// Reads all digital inputs, by channel.
    ///
    /// # Errors
    /// One of them could not be read.
    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError>;

    /// Writes all digital outputs, by channel.
    ///
    /// # Errors
    /// One of them could not be written; the others were.
    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError>;

    /// The same by the path of the safe plan, if it is another one: for safe values, also after the
    /// safe-state latch was set.
    ///
    /// # Errors
    /// As for [`Devices::digital_outputs`].
    fn safe_digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.digital_outputs(levels)
    }

    /// Lets the devices of `[device.X]` whose turn it is read their signals. `began` is the
    /// result of [`Devices::advance`]. Gives a device that exceeds its tolerated failures.
    fn sense_own(&mut self, tick: &Tick, inputs: &mut Inputs, began: Instant) -> Option<Lost> {
        let _ = (tick, inputs, began);
        None
    }

    /// Drives the devices of `[device.X]` whose turn it is. The second part is a device that
    /// exceeds its tolerated failures.
    ///
    /// # Errors
    /// The first device that could not be driven; the others were.
    fn drive_own(
        &mut self,
        tick: &Tick,
        outputs: &Outputs,
    ) -> (Result<(), OutputError>, Option<Lost>) {
        let _ = (tick, outputs);
        (Ok(()), None)
    }

    /// Drives all devices of `[device.X]` to `safe`, in shutdown order.
    ///
    /// # Errors
    /// The first device that could not be driven; the others were.
    fn safe_own(&mut self, tick: &Tick, safe: &Outputs) -> Result<(), OutputError> {
        let _ = (tick, safe);
        Ok(())
    }
}
