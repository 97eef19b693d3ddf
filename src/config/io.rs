//! Devices and channels: `[gpio.X]`, `[input.X]`, `[output.X]`, `[spi.X]`,
//! `[encoder.X]`, `[analog_output.X]`, `[analog_input.X]`.
//!
//! A channel's number in the process image is its place among its kind in the
//! file. On a simulated board channels name no device.

use std::collections::HashMap;
use std::ops::Range;

use super::error::{ConfigError, Place};
use super::reader::{At, Table};
use crate::cycle::image::{MAX_ANALOG_INPUTS, MAX_ANALOG_OUTPUTS, MAX_DIGITAL, MAX_POSITIONS};
use crate::driver::mcp4922;
use crate::time::Duration;

type Result<T> = std::result::Result<T, ConfigError>;

/// Most GPIO chips and most SPI devices of a board.
pub const MAX_DEVICES: usize = 16;

/// A GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioChip {
    /// Its name in the board file.
    pub name: String,
    /// Its label, kernel name (`gpiochip0`) or path.
    pub chip: String,
    /// Where it stands in the file.
    pub place: Place,
}

/// A line of a GPIO chip.
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
    pub place: Place,
}

/// The electrical bias of an input line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bias {
    /// As the device tree or the boot loader left it.
    AsIs,
    /// Pulled up.
    PullUp,
    /// Pulled down.
    PullDown,
    /// None.
    Disabled,
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
}

/// An SPI device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiDevice {
    /// Its name in the board file.
    pub name: String,
    /// The device node, `/dev/spidevB.C`.
    pub path: String,
    /// Clock, Hz.
    pub speed_hz: u32,
    /// FIFO priority to give the controller's interrupt thread.
    pub irq_priority: Option<u8>,
    /// Where it stands in the file.
    pub place: Place,
}

/// An absolute encoder: an AS5047P.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// Its name in the board file.
    pub name: String,
    /// Index into [`Io::spi`]; `None` on a simulated board.
    pub spi: Option<usize>,
}

/// An analog output: one channel of an MCP4922.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalogOutput {
    /// Its name in the board file.
    pub name: String,
    /// Index into [`Io::spi`]; `None` on a simulated board.
    pub spi: Option<usize>,
    /// The chip's channel.
    pub channel: mcp4922::Channel,
    /// Volts at code 0, after the output stage.
    pub min_volts: f64,
    /// Volts at code 4095, after the output stage.
    pub max_volts: f64,
    /// Volts in the safe state.
    pub safe_volts: f64,
    /// How long it may be held without a fresh decision.
    pub max_hold: Duration,
}

/// An analog input: one single-ended channel of an MCP3208.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalogInput {
    /// Its name in the board file.
    pub name: String,
    /// Index into [`Io::spi`]; `None` on a simulated board.
    pub spi: Option<usize>,
    /// The chip's channel, 0 to 7.
    pub channel: u8,
    /// The chip's reference, volts at code 4095.
    pub vref_volts: f64,
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
    /// Encoders, by position channel.
    pub encoders: Vec<Encoder>,
    /// Analog outputs, by channel.
    pub analog_outputs: Vec<AnalogOutput>,
    /// Analog inputs, by channel.
    pub analog_inputs: Vec<AnalogInput>,
}

impl Io {
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

    pub(super) fn read(root: &mut Table<'_>, simulated: bool) -> Result<Self> {
        let mut reader = Reader {
            simulated,
            gpio: HashMap::new(),
            spi: HashMap::new(),
            pins: HashMap::new(),
            dacs: HashMap::new(),
            encoders: HashMap::new(),
        };
        if simulated {
            for key in ["gpio", "spi"] {
                if root.has(key) {
                    let what = format!("a simulated board has no [{key}.NAME]");
                    return Err(root.error_at(key, what, "remove it, or set devices = \"linux\""));
                }
            }
        }
        let io = Self {
            gpio: each(root, "gpio", MAX_DEVICES, |name, table| {
                reader.gpio_chip(name, table)
            })?,
            spi: each(root, "spi", MAX_DEVICES, |name, table| {
                reader.spi_device(name, table)
            })?,
            inputs: each(root, "input", MAX_DIGITAL, |name, table| {
                reader.input(name, table)
            })?,
            outputs: each(root, "output", MAX_DIGITAL, |name, table| {
                reader.output(name, table)
            })?,
            encoders: each(root, "encoder", MAX_POSITIONS, |name, table| {
                reader.encoder(name, table)
            })?,
            analog_outputs: each(root, "analog_output", MAX_ANALOG_OUTPUTS, |name, table| {
                reader.analog_output(name, table)
            })?,
            analog_inputs: each(root, "analog_input", MAX_ANALOG_INPUTS, |name, table| {
                reader.analog_input(name, table)
            })?,
        };
        Ok(io)
    }
}

/// Reads all tables `[key.NAME]` with `read`, and refuses what it did not ask for.
fn each<T>(
    root: &mut Table<'_>,
    key: &'static str,
    most: usize,
    mut read: impl FnMut(&str, &mut Table<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    for (name, mut table) in root.tables(key, most)? {
        items.push(read(name, &mut table)?);
        table.finish()?;
    }
    Ok(items)
}

/// What has been read so far, for what may be named or used only once.
struct Reader {
    simulated: bool,
    gpio: HashMap<String, usize>,
    spi: HashMap<String, usize>,
    pins: HashMap<(usize, Line), Used>,
    dacs: HashMap<(usize, mcp4922::Channel), Used>,
    encoders: HashMap<usize, Used>,
}

/// Who uses something, and in which line of the file.
struct Used {
    by: String,
    line: usize,
}

impl Reader {
    fn gpio_chip(&mut self, name: &str, table: &mut Table<'_>) -> Result<GpioChip> {
        self.gpio.insert(name.to_owned(), self.gpio.len());
        Ok(GpioChip {
            name: name.to_owned(),
            chip: table.text("chip")?.value.to_owned(),
            place: place(table),
        })
    }

    fn spi_device(&mut self, name: &str, table: &mut Table<'_>) -> Result<SpiDevice> {
        self.spi.insert(name.to_owned(), self.spi.len());
        Ok(SpiDevice {
            name: name.to_owned(),
            path: table.text("device")?.value.to_owned(),
            speed_hz: table.integer_or("speed_hz", 1_000..=50_000_000, 1_000_000)? as u32,
            irq_priority: table.integer_if("irq_priority", 1..=98)?.map(|p| p as u8),
            place: place(table),
        })
    }

    fn pin(&mut self, table: &mut Table<'_>) -> Result<Option<Pin>> {
        if self.simulated {
            return Ok(None);
        }
        let chip = table.text("gpio")?;
        let gpio = named(&self.gpio, &chip, "gpio", table)?;
        let line = if table.is_integer("line") {
            Line::Offset(table.integer("line", 0..=511)? as u32)
        } else {
            Line::Name(table.text("line")?.value.to_owned())
        };
        let shown = match &line {
            Line::Offset(offset) => format!("line {offset} of [gpio.{}]", chip.value),
            Line::Name(name) => format!("line \"{name}\" of [gpio.{}]", chip.value),
        };
        only_once(&mut self.pins, (gpio, line.clone()), table, "line", &shown)?;
        let place = place(table);
        Ok(Some(Pin { gpio, line, place }))
    }

    fn input(&mut self, name: &str, table: &mut Table<'_>) -> Result<DigitalInput> {
        let pin = self.pin(table)?;
        let biases = [
            ("as-is", Bias::AsIs),
            ("pull-up", Bias::PullUp),
            ("pull-down", Bias::PullDown),
            ("disabled", Bias::Disabled),
        ];
        Ok(DigitalInput {
            name: name.to_owned(),
            pin,
            active_low: active_low(table)?,
            bias: table.choice_or("bias", &biases, Bias::AsIs)?,
            latch: table.boolean_or("latch", false)?,
        })
    }

    fn output(&mut self, name: &str, table: &mut Table<'_>) -> Result<DigitalOutput> {
        let pin = self.pin(table)?;
        Ok(DigitalOutput {
            name: name.to_owned(),
            pin,
            active_low: active_low(table)?,
            safe: {
                need_safe(table, "safe")?;
                table.boolean("safe")?
            },
            max_hold: max_hold(table)?,
        })
    }

    fn spi_of(&self, table: &mut Table<'_>) -> Result<Option<usize>> {
        if self.simulated {
            return Ok(None);
        }
        let device = table.text("spi")?;
        named(&self.spi, &device, "spi", table).map(Some)
    }

    fn encoder(&mut self, name: &str, table: &mut Table<'_>) -> Result<Encoder> {
        table.choice("chip", &[("as5047p", ())])?;
        let spi = self.spi_of(table)?;
        if let Some(spi) = spi {
            only_once(&mut self.encoders, spi, table, "spi", "this SPI device")?;
        }
        Ok(Encoder {
            name: name.to_owned(),
            spi,
        })
    }

    fn analog_output(&mut self, name: &str, table: &mut Table<'_>) -> Result<AnalogOutput> {
        table.choice("chip", &[("mcp4922", ())])?;
        let spi = self.spi_of(table)?;
        let channels = [("a", mcp4922::Channel::A), ("b", mcp4922::Channel::B)];
        let channel = table.choice("channel", &channels)?;
        if let Some(spi) = spi {
            only_once(
                &mut self.dacs,
                (spi, channel),
                table,
                "channel",
                "this DAC channel",
            )?;
        }
        let min_volts = table.number("min_volts", -1000.0..=1000.0)?;
        let max_volts = table.number("max_volts", -1000.0..=1000.0)?;
        if max_volts <= min_volts {
            let what = format!("`max_volts` is {max_volts}, not above `min_volts` = {min_volts}");
            return Err(table.error_at(
                "max_volts",
                what,
                "code 0 gives min_volts, code 4095 max_volts",
            ));
        }
        need_safe(table, "safe_volts")?;
        Ok(AnalogOutput {
            name: name.to_owned(),
            spi,
            channel,
            min_volts,
            max_volts,
            safe_volts: table.number("safe_volts", min_volts..=max_volts)?,
            max_hold: max_hold(table)?,
        })
    }

    fn analog_input(&mut self, name: &str, table: &mut Table<'_>) -> Result<AnalogInput> {
        table.choice("chip", &[("mcp3208", ())])?;
        Ok(AnalogInput {
            name: name.to_owned(),
            spi: self.spi_of(table)?,
            channel: table.integer("channel", 0..=7)? as u8,
            vref_volts: table.number("vref_volts", 0.1..=1000.0)?,
        })
    }
}

fn place(table: &Table<'_>) -> Place {
    table.source().place(table.span())
}

fn active_low(table: &mut Table<'_>) -> Result<bool> {
    table.choice_or("active", &[("low", true), ("high", false)], false)
}

fn max_hold(table: &mut Table<'_>) -> Result<Duration> {
    table
        .integer_or("max_hold_ms", 1..=60_000, 20)
        .map(Duration::from_millis)
}

/// A missing safe value has its own words: it is the one key that must never be
/// filled in by guessing.
fn need_safe(table: &mut Table<'_>, key: &'static str) -> Result<()> {
    if table.has(key) {
        return Ok(());
    }
    let what = format!("output without a safe value (`{key}`)");
    Err(table.error(
        what,
        "say what it must be when the controller is not in control",
    ))
}

/// The index of what `at` names among `known`.
fn named(
    known: &HashMap<String, usize>,
    at: &At<&str>,
    kind: &str,
    table: &Table<'_>,
) -> Result<usize> {
    known.get(at.value).copied().ok_or_else(|| {
        let mut names: Vec<_> = known.keys().map(String::as_str).collect();
        names.sort_unstable();
        let fix = match names.as_slice() {
            [] => format!("add a table [{kind}.{}]", at.value),
            names => format!("there is: {}", names.join(", ")),
        };
        table
            .source()
            .error(&at.span, format!("there is no [{kind}.{}]", at.value), fix)
    })
}

/// Takes `thing` for `table`, unless somebody else has it.
fn only_once<K: std::hash::Hash + Eq>(
    taken: &mut HashMap<K, Used>,
    thing: K,
    table: &mut Table<'_>,
    key: &'static str,
    shown: &str,
) -> Result<()> {
    let span: Range<usize> = table.span().clone();
    let used = Used {
        by: table.title(),
        line: table.source().place(&span).line,
    };
    if let Some(first) = taken.insert(thing, used) {
        let what = format!(
            "{shown} is already used by {} in line {}",
            first.by, first.line
        );
        return Err(table.error_at(key, what, "use each only once"));
    }
    Ok(())
}
