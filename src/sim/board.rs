//! A simulated board: motors, heaters, chips and lines, wired to each other.
//!
//! In each cycle, call [`SimBoard::advance`] with the time of the release, then send frames
//! to the chips through [`SimBoard::device`] and access the lines through
//! [`SimBoard::gpio_mut`]. Time advances only in `advance`; written values act from the
//! next `advance` on.
//!
//! A device borrows the board during the call of a driver, so chips need no interior
//! mutability. A driver with a state keeps it with
//! [`As5047p::suspend`](crate::driver::as5047p::As5047p::suspend).

use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};
use heapless::Vec;

use super::as5047p::As5047pChip;
use super::fault::FaultPlan;
use super::gpio::SimGpio;
use super::mcp3208::Mcp3208Chip;
use super::mcp4922::Mcp4922Chip;
use super::motor::{Motor, MotorConfig};
use super::plant::{Axis, Heater, Plant};
use super::random::Random;
use super::spi::{exchange, transact};
use super::thermal::{Thermal, ThermalConfig};
use super::wiring::{
    AxisWiring, Drive, EncoderConfig, HeaterWiring, Load, MAX_CHIPS, WiringError, check_finite,
    check_lines, check_positive,
};
use crate::time::{Duration, Instant};

enum Chip {
    Encoder {
        chip: As5047pChip,
        axis: u8,
        config: EncoderConfig,
        random: Random,
    },
    Dac {
        chip: Mcp4922Chip,
        drives: [Option<Drive>; 2],
    },
    Adc {
        chip: Mcp3208Chip,
        heaters: [Option<u8>; 8],
    },
}

struct Slot {
    chip: Chip,
    faults: FaultPlan,
    disturbed: bool,
}

/// A simulated board. It starts empty; its parts are added one by one.
pub struct SimBoard {
    plant: Plant,
    chips: Vec<Slot, MAX_CHIPS>,
    random: Random,
    step: Duration,
    origin: Option<Instant>,
}

impl SimBoard {
    /// An empty board. `seed` is for all noise. Plants are integrated in steps of `step`, for
    /// example 250 us for a period of 1 ms; adding a motor or heater fails if it is zero.
    #[must_use]
    pub const fn new(seed: u64, step: Duration) -> Self {
        Self {
            plant: Plant {
                axes: Vec::new(),
                heaters: Vec::new(),
                gpio: SimGpio::new(),
                steps: 0,
            },
            chips: Vec::new(),
            random: Random::new(seed),
            step,
            origin: None,
        }
    }

    /// Adds an axis and returns its number, from 0.
    ///
    /// # Errors
    /// `Full`, `Motor`, `NoLine`, `Volts` for a switch position that is not
    /// finite.
    pub fn add_axis(&mut self, config: MotorConfig, wiring: AxisWiring) -> Result<u8, WiringError> {
        let switches = [wiring.lower_switch, wiring.upper_switch];
        let inputs = switches.map(|switch| switch.map(|switch| switch.input));
        check_lines(&[wiring.enable, wiring.brake_release, inputs[0], inputs[1]])?;
        let number = self.plant.axes.len();
        let seed = self.random.fork(number as u64).bits();
        let motor = Motor::new(config, self.step, seed).map_err(WiringError::Motor)?;
        let axis = Axis {
            motor,
            wiring,
            command_volts: 0.0,
        };
        self.plant.axes.push(axis).map_err(|_| WiringError::Full)?;
        self.plant.report_switches();
        Ok(number as u8)
    }

    /// Adds a heater and returns its number, from 0.
    ///
    /// # Errors
    /// `Full`, `Thermal`, `NoLine`.
    pub fn add_heater(
        &mut self,
        config: ThermalConfig,
        wiring: HeaterWiring,
    ) -> Result<u8, WiringError> {
        check_lines(&[wiring.switch])?;
        let number = self.plant.heaters.len();
        let thermal = Thermal::new(config, self.step).map_err(WiringError::Thermal)?;
        let heater = Heater {
            thermal,
            wiring,
            command_volts: 0.0,
        };
        self.plant
            .heaters
            .push(heater)
            .map_err(|_| WiringError::Full)?;
        Ok(number as u8)
    }

    /// Adds an AS5047P on the shaft of `axis` and returns the number of the chip.
    ///
    /// # Errors
    /// `Full`, `NoAxis`.
    pub fn add_encoder(&mut self, axis: u8, config: EncoderConfig) -> Result<usize, WiringError> {
        self.check_load(Load::Axis(axis))?;
        let mut chip = As5047pChip::new();
        chip.set_settled(config.power_on == Duration::ZERO);
        let random = self.random.fork(!(self.chips.len() as u64));
        self.add_chip(Chip::Encoder {
            chip,
            axis,
            config,
            random,
        })
    }

    /// Adds an MCP4922 whose channels A and B drive `drives`, and returns the number of the
    /// chip. Voltages in V.
    ///
    /// # Errors
    /// `Full`, `NoAxis`, `NoHeater`, `Volts`.
    pub fn add_dac(
        &mut self,
        reference_volts: f64,
        supply_volts: f64,
        drives: [Option<Drive>; 2],
    ) -> Result<usize, WiringError> {
        check_positive(reference_volts)?;
        check_positive(supply_volts)?;
        for drive in drives.iter().flatten() {
            self.check_load(drive.load)?;
            check_finite(drive.stage.offset_volts)?;
            check_finite(drive.stage.gain)?;
            check_finite(drive.stage.open_volts)?;
        }
        let chip = Mcp4922Chip::new(reference_volts, supply_volts);
        self.plant.drive(&chip, &drives);
        self.add_chip(Chip::Dac { chip, drives })
    }

    /// Adds an MCP3208 with the sensors of `heaters`, or 0 V, at its inputs, and returns the
    /// number of the chip. Voltages in V.
    ///
    /// # Errors
    /// `Full`, `NoHeater`, `Volts`.
    pub fn add_adc(
        &mut self,
        reference_volts: f64,
        heaters: [Option<u8>; 8],
    ) -> Result<usize, WiringError> {
        check_positive(reference_volts)?;
        for heater in heaters.into_iter().flatten() {
            self.check_load(Load::Heater(heater))?;
        }
        self.add_chip(Chip::Adc {
            chip: Mcp3208Chip::new(reference_volts),
            heaters,
        })
    }

    /// Advances the plant to `now`, in whole steps since the first call, which sets the
    /// origin. An earlier `now` has no effect.
    ///
    /// Returns the time of the plant: the time of all values read from the chips until the
    /// next call. It equals `now` if the period is a multiple of the step.
    #[inline]
    pub fn advance(&mut self, now: Instant) -> Instant {
        let origin = *self.origin.get_or_insert(now);
        let elapsed = now.since(origin);
        let steps = elapsed
            .as_nanos()
            .checked_div(self.step.as_nanos())
            .unwrap_or(0);
        let due = steps.saturating_sub(self.plant.steps);
        self.plant.steps += due;
        self.plant.run(due);
        for slot in &mut self.chips {
            if let Chip::Encoder { chip, config, .. } = &mut slot.chip {
                chip.set_settled(elapsed >= config.power_on);
            }
        }
        origin + self.step * self.plant.steps
    }

    /// Chip `chip` as a device for its driver; `None` if it does not exist.
    #[inline]
    pub fn device(&mut self, chip: usize) -> Option<BoardSpi<'_>> {
        Some(BoardSpi {
            slot: self.chips.get_mut(chip)?,
            plant: &mut self.plant,
        })
    }

    /// One chip-select assertion of chip `chip` in raw bytes, with its faults: for a program
    /// that receives the frames from a real bus.
    ///
    /// # Errors
    /// `ErrorKind::ChipSelectFault` if the chip does not exist, `Overrun` for a frame above
    /// [`MAX_EXCHANGE`](super::MAX_EXCHANGE) bytes or of unequal lengths, `Other` for a
    /// planned failure.
    pub fn exchange(&mut self, chip: usize, tx: &[u8], rx: &mut [u8]) -> Result<(), ErrorKind> {
        self.device(chip)
            .ok_or(ErrorKind::ChipSelectFault)?
            .exchange(tx, rx)
    }

    /// The faults of chip `chip`, mutable.
    pub fn faults_mut(&mut self, chip: usize) -> Option<&mut FaultPlan> {
        Some(&mut self.chips.get_mut(chip)?.faults)
    }

    /// The digital lines.
    #[inline]
    #[must_use]
    pub const fn gpio(&self) -> &SimGpio {
        &self.plant.gpio
    }

    /// The digital lines, mutable.
    #[inline]
    pub const fn gpio_mut(&mut self) -> &mut SimGpio {
        &mut self.plant.gpio
    }

    /// The motor of `axis`.
    #[must_use]
    pub fn motor(&self, axis: u8) -> Option<&Motor> {
        Some(&self.plant.axes.get(usize::from(axis))?.motor)
    }

    /// The motor of `axis`, mutable: to move its shaft or change its load.
    pub fn motor_mut(&mut self, axis: u8) -> Option<&mut Motor> {
        Some(&mut self.plant.axes.get_mut(usize::from(axis))?.motor)
    }

    /// The command of the amplifier of `axis`, V, whether enabled or not.
    #[must_use]
    pub fn command_volts(&self, axis: u8) -> Option<f64> {
        Some(self.plant.axes.get(usize::from(axis))?.command_volts)
    }

    /// The thermal mass of heater `heater`.
    #[must_use]
    pub fn thermal(&self, heater: u8) -> Option<&Thermal> {
        Some(&self.plant.heaters.get(usize::from(heater))?.thermal)
    }

    fn add_chip(&mut self, chip: Chip) -> Result<usize, WiringError> {
        let number = self.chips.len();
        let slot = Slot {
            chip,
            faults: FaultPlan::new(),
            disturbed: false,
        };
        self.chips.push(slot).map_err(|_| WiringError::Full)?;
        Ok(number)
    }

    fn check_load(&self, load: Load) -> Result<(), WiringError> {
        match load {
            Load::Axis(axis) if usize::from(axis) >= self.plant.axes.len() => {
                Err(WiringError::NoAxis(axis))
            }
            Load::Heater(heater) if usize::from(heater) >= self.plant.heaters.len() => {
                Err(WiringError::NoHeater(heater))
            }
            Load::Axis(_) | Load::Heater(_) => Ok(()),
        }
    }
}

/// The noise of one reading: triangular distribution, rounded to whole counts.
#[inline]
fn read_noise(largest: u16, random: &mut Random) -> i16 {
    if largest == 0 {
        return 0;
    }
    let spread = f64::from(largest) * 0.5;
    let noise = (random.symmetric() + random.symmetric()) * spread;
    libm::round(noise) as i16
}

/// A chip of a [`SimBoard`] as an SPI device. Delays take no time.
pub struct BoardSpi<'a> {
    slot: &'a mut Slot,
    plant: &'a mut Plant,
}

impl BoardSpi<'_> {
    #[inline]
    fn exchange(&mut self, tx: &[u8], rx: &mut [u8]) -> Result<(), ErrorKind> {
        let Slot {
            chip,
            faults,
            disturbed,
        } = &mut *self.slot;
        match chip {
            Chip::Encoder {
                chip,
                axis,
                config,
                random,
            } => {
                let noise = read_noise(config.noise_counts, random);
                chip.set_shaft(self.plant.shaft_counts(*axis).wrapping_add_signed(noise));
                exchange(chip, faults, disturbed, tx, rx)
            }
            Chip::Dac { chip, drives } => {
                let result = exchange(chip, faults, disturbed, tx, rx);
                self.plant.drive(chip, drives);
                result
            }
            Chip::Adc { chip, heaters } => {
                for (volts, heater) in chip.volts.iter_mut().zip(heaters) {
                    *volts = heater.map_or(0.0, |heater| self.plant.sensor_volts(heater));
                }
                exchange(chip, faults, disturbed, tx, rx)
            }
        }
    }
}

impl ErrorType for BoardSpi<'_> {
    type Error = ErrorKind;
}

impl SpiDevice for BoardSpi<'_> {
    #[inline]
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        transact(operations, |tx, rx| self.exchange(tx, rx))
    }
}
