//! The devices and channels of a board, as read from its file by [`wiring`](super::wiring).
//!
//! The number of a channel in the process image is its index among the tables of its kind, in
//! the order of the file. On a simulated board channels have no device.

use super::error::Position;
use crate::device::gpio::Bank;
pub use crate::device::gpio::Bias;
use crate::device::pwm::Polarity;
use crate::device::registers::Place;
use crate::device::spi::registers::{Divider, Kind};
use crate::time::Duration;
use std::path::Path;

/// Most GPIO chips of a board; also most SPI devices, I2C adapters and PWM channels.
pub const MAX_DEVICES: usize = 16;

/// A GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioChip {
    /// Its name in the board file.
    pub name: String,
    /// Its label, kernel name (`gpiochip0`) or path.
    pub chip: String,
    /// How its lines are reached by registers; `None`: through the kernel.
    pub registers: Option<GpioRegisters>,
    /// Its position in the file.
    pub position: Position,
}

/// The registers of a GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioRegisters {
    /// The kind of chip.
    pub bank: Bank,
    /// Whether its inputs are read by them.
    pub inputs: bool,
    /// Whether its outputs are set by them.
    pub outputs: bool,
    /// `/dev/mem`, `/dev/uioN`, or `uio`: the UIO device of the address.
    pub path: String,
    /// Their physical address.
    pub address: u64,
}

impl GpioRegisters {
    /// Where they are.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place {
            path: Path::new(&self.path),
            address: self.address,
        }
    }
}

/// A line of a GPIO chip.
///
/// The same line by its number and by its name is not found as a double use in the file: the
/// kernel refuses the second request with `EBUSY`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// By its offset on the chip.
    Offset(u32),
    /// By its name in the device tree (`gpio-line-names`).
    Name(String),
}

/// The GPIO line of a digital channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Index into [`Io::gpio`].
    pub gpio: usize,
    /// The line on that chip.
    pub line: Line,
    /// Its position in the file.
    pub position: Position,
}

/// A digital input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitalInput {
    /// Its name in the board file.
    pub name: String,
    /// Its line; `None` on a simulated board.
    pub pin: Option<Pin>,
    /// Active when the line is low.
    pub active_low: bool,
    /// The line's bias.
    pub bias: Bias,
    /// Whether pulses that are shorter than a period are reported in the next cycle.
    pub latch: bool,
}

/// A digital output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitalOutput {
    /// Its name in the board file.
    pub name: String,
    /// Its line; `None` on a simulated board.
    pub pin: Option<Pin>,
    /// Active when the line is low.
    pub active_low: bool,
    /// Whether it is active in the safe state.
    pub safe: bool,
    /// Longest time that it may keep its value without a new decision.
    pub max_hold: Duration,
    /// Step of the shutdown order in which it becomes safe, 1 (first) to [`MAX_SHUTDOWN`].
    pub shutdown: u8,
}

/// An SPI device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiDevice {
    /// Its name in the board file.
    pub name: String,
    /// The device node, `/dev/spidevB.C`; by registers, `/dev/uioN` or `/dev/mem`.
    pub path: String,
    /// Clock, Hz, 1 kHz to 50 MHz, within the limit of its chip. If that limit depends on the
    /// supply, it is taken at `supply_volts` of the chip's inputs, or at the lowest supply
    /// without that key.
    pub speed_hz: u32,
    /// How it is driven by registers; `None`: through spidev.
    pub registers: Option<SpiRegisters>,
    /// `SCHED_FIFO` priority to set for the controller's interrupt thread, 1 to 98.
    pub irq_priority: Option<u8>,
    /// Its position in the file.
    pub position: Position,
}

/// A chip of an SPI controller that this process drives by registers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpiRegisters {
    /// The kind of controller.
    pub kind: Kind,
    /// Physical address of its registers.
    pub address: u64,
    /// Chip select of the controller, 0 to [`Kind::last_select`].
    pub chip_select: u8,
    /// The clock.
    pub divider: Divider,
    /// Least time from the chip select to the first edge of the clock, ns: 0 to 100,000.
    pub setup_ns: u32,
}

impl SpiDevice {
    /// Where the registers of its controller are, if it is driven by registers.
    #[must_use]
    pub fn place(&self) -> Option<(SpiRegisters, Place<'_>)> {
        let registers = self.registers?;
        let path = Path::new(&self.path);
        let address = registers.address;
        Some((registers, Place { path, address }))
    }
}

/// An I2C adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct I2cAdapter {
    /// Its name in the board file.
    pub name: String,
    /// The device node, `/dev/i2c-N`.
    pub path: String,
    /// Timeout of a transfer, ms: 10 to 1,000, a multiple of 10.
    pub timeout_ms: u32,
    /// Its position in the file.
    pub position: Position,
}

/// A PWM channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PwmChannel {
    /// Its name in the board file.
    pub name: String,
    /// Its chip: the name of its device (`30660000.pwm`), its kernel name (`pwmchip0`) or its
    /// folder in sysfs. See
    /// [`find_chip`](crate::device::pwm::find_chip).
    pub chip: String,
    /// Channel of its chip, from 0.
    pub channel: u32,
    /// Period, ns, at least 1.
    pub period_ns: u32,
    /// Level during the duty time.
    pub polarity: Polarity,
    /// Its position in the file.
    pub position: Position,
}

/// An absolute encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// Its name in the board file.
    pub name: String,
    /// Index into [`Io::spi`]; `None` on a simulated board.
    pub spi: Option<usize>,
}

/// An analog output: one channel of a converter.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalogOutput {
    /// Its name in the board file.
    pub name: String,
    /// Index into [`Io::spi`]; `None` on a simulated board.
    pub spi: Option<usize>,
    /// The chip's channel, from 0.
    pub channel: u8,
    /// Volts at code 0, after the output stage.
    pub min_volts: f64,
    /// Volts at the highest code, after the output stage.
    pub max_volts: f64,
    /// Volts in the safe state, between the two.
    pub safe_volts: f64,
    /// Longest time that it may keep its value without a new decision.
    pub max_hold: Duration,
    /// Step of the shutdown order in which it becomes safe, after every digital output.
    pub shutdown: u8,
    /// Failed writes in a row of this output that the loop tolerates, 0 to 100. `None`: only
    /// `[loop] output_failures` counts, for all outputs together.
    pub tolerated_failures: Option<u16>,
    /// The input that monitors it.
    pub monitor: Option<Monitor>,
}

/// An analog input that monitors an analog output: the only way to read back a converter
/// without a data output. Expected at the input: `volts_at_0 + volts_per_volt * output`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Monitor {
    /// Number of the analog input.
    pub input: u8,
    /// Expected input at 0 V of the output, V.
    pub volts_at_0: f64,
    /// Expected change of the input per volt of the output, V/V; not 0.
    pub volts_per_volt: f64,
    /// Largest permitted deviation of the input, V: 0.001 to 1,000.
    pub tolerance_volts: f64,
    /// Cycles in a row that a larger deviation is tolerated, 1 to 1,000.
    pub tolerated_cycles: u16,
}

/// An analog input: one single-ended channel of a converter.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalogInput {
    /// Its name in the board file.
    pub name: String,
    /// Index into [`Io::spi`]; `None` on a simulated board.
    pub spi: Option<usize>,
    /// The chip's channel, from 0.
    pub channel: u8,
    /// Volts at full scale: the chip's reference, scaled by a divider at the input.
    pub vref_volts: f64,
    /// Lower end of the sensor's valid range, V.
    pub min_volts: f64,
    /// Upper end of the sensor's valid range, V.
    pub max_volts: f64,
    /// Failed readings in a row that the loop tolerates, 0 to 100; `None`: the control law
    /// decides.
    pub tolerated_failures: Option<u16>,
}

/// All devices and channels of a board.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Io {
    /// GPIO chips.
    pub gpio: Vec<GpioChip>,
    /// Digital inputs, by channel.
    pub inputs: Vec<DigitalInput>,
    /// Digital outputs, by channel.
    pub outputs: Vec<DigitalOutput>,
    /// SPI device nodes.
    pub spi: Vec<SpiDevice>,
    /// I2C adapters.
    pub i2c: Vec<I2cAdapter>,
    /// PWM channels.
    pub pwm: Vec<PwmChannel>,
    /// Encoders, by position channel.
    pub encoders: Vec<Encoder>,
    /// Analog outputs, by channel.
    pub analog_outputs: Vec<AnalogOutput>,
    /// Analog inputs, by channel.
    pub analog_inputs: Vec<AnalogInput>,
}

/// Most steps of the shutdown order: `shutdown` is 1 to this.
pub const MAX_SHUTDOWN: u8 = 8;

impl Io {
    /// The digital outputs of each step of the shutdown order, one bit for each channel. Steps
    /// without digital outputs are left out.
    pub fn shutdown_steps(&self) -> impl Iterator<Item = u32> {
        let at = |place: u8| {
            let mine = self.outputs.iter().zip(0_u32..);
            mine.filter(|(output, _)| output.shutdown == place)
                .fold(0, |mask, (_, channel)| mask | 1 << channel)
        };
        (1..=MAX_SHUTDOWN).map(at).filter(|mask| *mask != 0)
    }

    /// The channels of the analog outputs in the shutdown order.
    pub fn analog_shutdown(&self) -> impl Iterator<Item = usize> {
        (1..=MAX_SHUTDOWN).flat_map(|place| {
            let mine = self.analog_outputs.iter().enumerate();
            mine.filter(move |(_, output)| output.shutdown == place)
                .map(|(channel, _)| channel)
        })
    }

    /// Name and path of the SPI device with this index, in parentheses, to follow the name of
    /// a channel in a message; empty for `None`.
    #[must_use]
    pub(crate) fn device_name(&self, spi: Option<usize>) -> String {
        spi.map_or_else(String::new, |spi| {
            let SpiDevice { name, path, .. } = &self.spi[spi];
            format!(" ([spi.{name}], {path})")
        })
    }

    /// The shortest `max_hold` of all outputs; the longest [`Duration`] without outputs.
    #[must_use]
    pub fn max_hold(&self) -> Duration {
        let digital = self.outputs.iter().map(|output| output.max_hold);
        let analog = self.analog_outputs.iter().map(|output| output.max_hold);
        digital
            .chain(analog)
            .min()
            .unwrap_or(Duration::from_nanos(u64::MAX))
    }
}
