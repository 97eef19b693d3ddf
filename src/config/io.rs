//! The devices and channels of a board, as its file names them.
//!
//! A channel's number in the process image is its place among its kind in the
//! file. On a simulated board channels name no device. They are read in
//! [`wiring`](super::wiring).

use super::error::Position;
pub use crate::device::gpio::Bias;
use crate::device::pwm::Polarity;
use crate::time::Duration;

/// Most GPIO chips, SPI devices, I2C adapters and PWM channels of a board, of each.
pub const MAX_DEVICES: usize = 16;

/// A GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioChip {
    /// Its name in the board file.
    pub name: String,
    /// Its label, kernel name (`gpiochip0`) or path.
    pub chip: String,
    /// Where it stands in the file.
    pub position: Position,
}

/// A line of a GPIO chip.
///
/// That one line is used twice, once by its number and once by its name, cannot
/// be known from the file; the kernel refuses it when the lines are requested.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// By its offset on the chip.
    Offset(u32),
    /// By its name in the device tree (`gpio-line-names`).
    Name(String),
}

/// Where a digital channel is on the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Index into [`Io::gpio`].
    pub gpio: usize,
    /// The line on that chip.
    pub line: Line,
    /// Where it stands in the file.
    pub position: Position,
}

/// A digital input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitalInput {
    /// Its name in the board file.
    pub name: String,
    /// Where it is; `None` on a simulated board.
    pub pin: Option<Pin>,
    /// Active when the line is low.
    pub active_low: bool,
    /// The line's bias.
    pub bias: Bias,
    /// Whether pulses shorter than a period are caught.
    pub latch: bool,
}

/// A digital output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitalOutput {
    /// Its name in the board file.
    pub name: String,
    /// Where it is; `None` on a simulated board.
    pub pin: Option<Pin>,
    /// Active when the line is low.
    pub active_low: bool,
    /// Whether it is active in the safe state.
    pub safe: bool,
    /// How long it may be held without a fresh decision.
    pub max_hold: Duration,
    /// Its place in the order of shutting down, from 1.
    pub shutdown: u8,
}

/// An SPI device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiDevice {
    /// Its name in the board file.
    pub name: String,
    /// The device node, `/dev/spidevB.C`.
    pub path: String,
    /// Clock, Hz; not above what its chip takes. For a converter whose clock depends on
    /// its supply, that is `supply_volts` of its inputs, or the lowest supply where the
    /// file does not say it.
    pub speed_hz: u32,
    /// FIFO priority to give the controller's interrupt thread.
    pub irq_priority: Option<u8>,
    /// Where it stands in the file.
    pub position: Position,
}

/// An I2C adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct I2cAdapter {
    /// Its name in the board file.
    pub name: String,
    /// The device node, `/dev/i2c-N`.
    pub path: String,
    /// Longest time of a transfer, ms: 10 to 1,000, a multiple of 10.
    pub timeout_ms: u32,
    /// Where it stands in the file.
    pub position: Position,
}

/// A PWM channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PwmChannel {
    /// Its name in the board file.
    pub name: String,
    /// Its chip: the device that it belongs to (`30660000.pwm`), its kernel name
    /// (`pwmchip0`) or its folder in sysfs. See
    /// [`find_chip`](crate::device::pwm::find_chip).
    pub chip: String,
    /// Channel of its chip, from 0.
    pub channel: u32,
    /// Period, ns, at least 1.
    pub period_ns: u32,
    /// Which level the duty is.
    pub polarity: Polarity,
    /// Where it stands in the file.
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
    /// Volts in the safe state.
    pub safe_volts: f64,
    /// How long it may be held without a fresh decision.
    pub max_hold: Duration,
    /// Its place in the order of shutting down, after every digital output.
    pub shutdown: u8,
    /// Failed writes in a row that are tolerated of it; `None` where only the
    /// loop's count of all outputs is kept.
    pub tolerated_failures: Option<u16>,
    /// What watches it.
    pub monitor: Option<Monitor>,
}

/// An analog input that watches an analog output: the only way to read back a
/// converter without a data output. It sees `volts_at_0 + volts_per_volt *
/// output`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The input's number.
    pub input: u8,
    /// Volts at the input while the output gives 0 V.
    pub volts_at_0: f64,
    /// Volts at the input for a volt of the output.
    pub volts_per_volt: f64,
    /// How far the input may be from that, volts.
    pub tolerance_volts: f64,
    /// Cycles in a row that it may be further away.
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
    /// The chip's reference, volts at the highest code.
    pub vref_volts: f64,
    /// The least that its sensor gives when all is well.
    pub min_volts: f64,
    /// The most that its sensor gives when all is well.
    pub max_volts: f64,
    /// Failed readings in a row that are tolerated; `None` where it is left to
    /// the control law what a failed reading means.
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

/// Most places in the order of shutting down.
pub const MAX_SHUTDOWN: u8 = 8;

impl Io {
    /// The digital outputs of each place in the order of shutting down that has
    /// some, first those that go first: one bit for each channel.
    pub fn shutdown_steps(&self) -> impl Iterator<Item = u32> {
        let at = |place: u8| {
            let mine = self.outputs.iter().zip(0_u32..);
            mine.filter(|(output, _)| output.shutdown == place)
                .fold(0, |mask, (_, channel)| mask | 1 << channel)
        };
        (1..=MAX_SHUTDOWN).map(at).filter(|mask| *mask != 0)
    }

    /// The analog outputs' channels in the order of shutting down.
    pub fn analog_shutdown(&self) -> impl Iterator<Item = usize> {
        (1..=MAX_SHUTDOWN).flat_map(|place| {
            let mine = self.analog_outputs.iter().enumerate();
            mine.filter(move |(_, output)| output.shutdown == place)
                .map(|(channel, _)| channel)
        })
    }

    /// The SPI device with this index as a person finds it, to be put behind the
    /// name of what is connected there; nothing on a simulated board.
    #[must_use]
    pub(crate) fn device_name(&self, spi: Option<usize>) -> String {
        spi.map_or_else(String::new, |spi| {
            let SpiDevice { name, path, .. } = &self.spi[spi];
            format!(" ([spi.{name}], {path})")
        })
    }

    /// The shortest time that any output may be held without a fresh decision;
    /// a board without outputs has no limit.
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
