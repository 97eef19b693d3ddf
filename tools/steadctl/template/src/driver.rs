//! The MAX31855 thermocouple converter: `[device.NAME] driver = "max31855"`.
//!
//! A driver has two types: [`Thermometer`] has the settings of the board file, [`Open`] is the
//! device that the loop reads. [`Max31855`] is the driver of the chip, independent of
//! steadfast; a published embedded-hal driver crate can replace it.

use std::sync::{Arc, Mutex, PoisonError};

use embedded_hal::spi::{ErrorKind, MODE_0, SpiDevice};
use steadfast::bus::{Spi, SpiChip};
use steadfast::config::{ConfigError, DeviceTable, Driver, Opening, SpiClaim};
use steadfast::cycle::device::{Device, World};
use steadfast::cycle::image::InputError;
use steadfast::cycle::signal::{Input, Readings};

/// Serial clock frequency, datasheet "Serial-Interface Timing Characteristics".
const MAX_CLOCK_HZ: u32 = 5_000_000;

/// The chip, on any SPI device.
pub struct Max31855<S>(S);

impl<S: SpiDevice> Max31855<S> {
    /// The temperature of the thermocouple, degC, from -270 to 1800 in steps of 0.25.
    ///
    /// # Errors
    /// The transfer failed, no chip answers, or the thermocouple is open or shorted.
    pub fn celsius(&mut self) -> Result<f64, InputError> {
        let mut frame = [0; 4];
        self.0.read(&mut frame).map_err(|_| InputError::Bus)?;
        let frame = u32::from_be_bytes(frame);
        if frame == 0 {
            // 0.00 degC at both junctions: most likely the data line is not connected.
            return Err(InputError::NotReady);
        }
        // D16 is set for each fault of the thermocouple; D17 and D3 are always 0.
        if frame & (1 << 16 | 1 << 17 | 1 << 3) != 0 {
            return Err(InputError::OutOfRange);
        }
        Ok(f64::from((frame as i32) >> 18) * 0.25)
    }
}

/// The settings of `[device.NAME]`.
pub struct Thermometer {
    spi: SpiClaim,
    temperature: Input<f64>,
}

impl Driver for Thermometer {
    const NAME: &'static str = "max31855";
    type Device = Open;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            spi: table.spi(MODE_0, MAX_CLOCK_HZ)?,
            temperature: table.publish("temperature", "degC")?,
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<Open, ConfigError> {
        Ok(Open {
            chip: Max31855(opening.spi(self.spi)?),
            temperature: self.temperature,
            simulated: None,
        })
    }

    fn simulate(&self) -> Option<Open> {
        let chip = SimulatedChip::default();
        Some(Open {
            chip: Max31855(Spi::simulated(chip.clone())),
            temperature: self.temperature,
            simulated: Some(chip),
        })
    }
}

/// The open device. It owns its bus handle.
pub struct Open {
    chip: Max31855<Spi>,
    temperature: Input<f64>,
    simulated: Option<SimulatedChip>,
}

impl Device for Open {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        readings.put(self.temperature, self.chip.celsius());
    }

    fn model(&mut self, world: &mut World<'_>) {
        if let (Some(chip), Ok(celsius)) = (&self.simulated, world.given(self.temperature).value) {
            chip.set(celsius);
        }
    }
}

/// A register model of the chip, with which simulation and tests run the driver above.
#[derive(Clone, Default)]
struct SimulatedChip(Arc<Mutex<u32>>);

impl SimulatedChip {
    fn set(&self, celsius: f64) {
        let quarters = (celsius * 4.0).round().clamp(-1080.0, 7200.0) as i32;
        // The cold junction is at 25.0 degC, in steps of 1/16.
        self.put((quarters as u32) << 18 | (25 * 16) << 4);
    }

    fn put(&self, frame: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = frame;
    }
}

impl SpiChip for SimulatedChip {
    fn exchange(&mut self, _: &[u8], received: &mut [u8]) -> Result<(), ErrorKind> {
        let frame = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (to, from) in received.iter_mut().zip(frame.to_be_bytes()) {
            *to = from;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_in_the_datasheet() {
        let chip = SimulatedChip::default();
        let mut driver = Max31855(Spi::simulated(chip.clone()));
        assert_eq!(driver.celsius(), Err(InputError::NotReady));
        for celsius in [1600.0, 100.75, -0.25, -250.0] {
            chip.set(celsius);
            assert_eq!(driver.celsius(), Ok(celsius));
        }
        // D0 to D2: open, short to ground, short to supply.
        for frame in [1 << 16 | 1, 1 << 16 | 2, 1 << 16 | 4, u32::MAX] {
            chip.put(frame);
            assert_eq!(driver.celsius(), Err(InputError::OutOfRange));
        }
    }
}
