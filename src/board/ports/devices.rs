//! What [`Ports`](super::Ports) are made over.

use embedded_hal::spi::SpiDevice;

use crate::cycle::image::{DigitalInputs, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::ports::Tick;
use crate::time::Instant;

/// What a board's devices must offer the loop.
pub trait Devices {
    /// An SPI device as the drivers see it.
    type Spi<'a>: SpiDevice
    where
        Self: 'a;

    /// Whether somebody else has made the outputs safe, for good: a crash of
    /// another thread, or the stall guard. Nothing may be driven then.
    fn latched(&self) -> bool {
        false
    }

    /// Called at the beginning of every cycle, before anything is read. Gives the
    /// time of what is measured in it: the beginning of the cycle; of a simulation,
    /// the instant at which its plant stands.
    fn advance(&mut self, tick: &Tick) -> Instant;

    /// The time within the cycle of `tick`, asked for when something has failed.
    /// Where transfers take no time it is when the cycle began.
    fn now(tick: &Tick) -> Instant {
        tick.now
    }

    /// SPI device `index`.
    fn spi(&mut self, index: usize) -> Self::Spi<'_>;

    /// All digital inputs, by channel.
    ///
    /// # Errors
    /// When any of them could not be read.
    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError>;

    /// Drives all digital outputs, by channel.
    ///
    /// # Errors
    /// When any of them could not be driven; the others were.
    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError>;

    /// Lets the devices of drivers of one's own read their signals. `began` is what
    /// [`Devices::advance`] gave. One of them that is lost, if any is.
    fn sense_own(&mut self, tick: &Tick, inputs: &mut Inputs, began: Instant) -> Option<Lost> {
        let _ = (tick, inputs, began);
        None
    }

    /// Drives the devices of drivers of one's own whose turn it is. One that is lost, if
    /// any is.
    ///
    /// # Errors
    /// The first that could not be driven; the others were.
    fn drive_own(
        &mut self,
        tick: &Tick,
        outputs: &Outputs,
    ) -> (Result<(), OutputError>, Option<Lost>) {
        let _ = (tick, outputs);
        (Ok(()), None)
    }

    /// Drives all of them to `safe`, in the order of shutting down.
    ///
    /// # Errors
    /// The first that could not be driven; the others were.
    fn safe_own(&mut self, tick: &Tick, safe: &Outputs) -> Result<(), OutputError> {
        let _ = (tick, safe);
        Ok(())
    }
}
