//! Reads devices and channels: `[gpio.X]`, `[input.X]`, `[output.X]`,
//! `[spi.X]`, `[encoder.X]`, `[analog_output.X]`, `[analog_input.X]`.
//!
//! Nothing may be wired twice: not a chip, not a line, not an SPI device, not a
//! channel of a converter. What the file cannot tell is left to whoever opens
//! the devices: one chip by two of its names (label, `gpiochip0`, path), or one
//! line by its number and by its name. The kernel refuses the second request of
//! a line as busy (`EBUSY`).

use super::io::{
    AnalogInput, AnalogOutput, Bias, DigitalInput, DigitalOutput, Encoder, GpioChip, Io, Line,
    MAX_DEVICES, MAX_SHUTDOWN, Monitor, Pin, SpiDevice,
};
use super::names::index_of;
use super::reader::{At, Result, Table};
use super::value::{NumberOrText, figure};
use crate::cycle::image::{MAX_ANALOG_INPUTS, MAX_ANALOG_OUTPUTS, MAX_DIGITAL, MAX_POSITIONS};
use crate::driver::mcp4922;
use crate::time::Duration;

/// Reads everything that is wired to the board.
pub(super) fn read(root: &mut Table<'_>, simulated: bool) -> Result<Io> {
    let mut reader = Reader {
        simulated,
        ..Reader::default()
    };
    if simulated {
        for key in ["gpio", "spi"] {
            root.without(key, SIMULATED)?;
        }
    }
    Ok(Io {
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
        // Before the outputs, which may name one that watches them.
        analog_inputs: each(root, "analog_input", MAX_ANALOG_INPUTS, |name, table| {
            reader.analog_input(name, table)
        })?,
        analog_outputs: each(root, "analog_output", MAX_ANALOG_OUTPUTS, |name, table| {
            reader.analog_output(name, table)
        })?,
    })
}

/// Why a simulated board has no devices.
pub(super) const SIMULATED: &str = "devices = \"simulated\", there is no hardware";

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

/// The kinds of chips that an SPI device can be.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Chip {
    As5047p,
    Mcp4922,
    Mcp3208,
}

/// What has been read so far, for what may be named or used only once.
#[derive(Default)]
struct Reader {
    simulated: bool,
    gpio: Vec<String>,
    spi: Vec<String>,
    analog_inputs: Vec<String>,
    taken: Vec<(Thing, Used)>,
    /// What is at each SPI device.
    chips: Vec<(usize, Chip, Used)>,
    /// The last place of a digital output in the order of shutting down.
    last_digital: u8,
}

/// What can be used only once.
#[derive(PartialEq)]
enum Thing {
    GpioChip(String),
    SpiPath(String),
    /// Of the GPIO chip with this index.
    Pin(usize, Line),
    /// A channel of the chip at the SPI device with this index.
    Converter(usize, u8),
}

/// Who uses something, and in which line of the file.
struct Used {
    by: String,
    line: usize,
}

impl Used {
    fn by(table: &Table<'_>) -> Self {
        Self {
            by: table.title(),
            line: table.source().place(table.span()).line,
        }
    }
}

impl Reader {
    fn gpio_chip(&mut self, name: &str, table: &mut Table<'_>) -> Result<GpioChip> {
        table.only(&["chip"])?;
        self.gpio.push(name.to_owned());
        let chip = table.text("chip")?.value.to_owned();
        let shown = format!("GPIO chip \"{chip}\"");
        self.take(Thing::GpioChip(chip.clone()), table, "chip", &shown)?;
        Ok(GpioChip {
            name: name.to_owned(),
            chip,
            place: table.source().place(table.span()),
        })
    }

    fn spi_device(&mut self, name: &str, table: &mut Table<'_>) -> Result<SpiDevice> {
        table.only(&["device", "speed_hz", "irq_priority"])?;
        self.spi.push(name.to_owned());
        let path = table.text("device")?.value.to_owned();
        self.take(Thing::SpiPath(path.clone()), table, "device", &path)?;
        Ok(SpiDevice {
            name: name.to_owned(),
            path,
            speed_hz: table.integer_or("speed_hz", 1_000..=50_000_000, 1_000_000)? as u32,
            irq_priority: table.integer_if("irq_priority", 1..=98)?.map(|p| p as u8),
            place: table.source().place(table.span()),
        })
    }

    fn pin(&mut self, table: &mut Table<'_>) -> Result<Option<Pin>> {
        const WANTED: &str = "a line number from 0 to 511, or a line name in quotes";
        if self.simulated {
            table.without("gpio", SIMULATED)?;
            table.without("line", SIMULATED)?;
            return Ok(None);
        }
        let chip = table.text("gpio")?;
        let gpio = index_of(&strs(&self.gpio), &chip, "gpio", table)?;
        let (line, shown) = match table.integer_or_text("line", 0..=511, WANTED)? {
            NumberOrText::Number(offset) => (Line::Offset(offset as u32), offset.to_string()),
            NumberOrText::Text(At { value, .. }) => {
                (Line::Name(value.to_owned()), format!("\"{value}\""))
            }
        };
        let shown = format!("line {shown} of [gpio.{}]", chip.value);
        self.take(Thing::Pin(gpio, line.clone()), table, "line", &shown)?;
        let place = table.source().place(table.span());
        Ok(Some(Pin { gpio, line, place }))
    }

    fn input(&mut self, name: &str, table: &mut Table<'_>) -> Result<DigitalInput> {
        table.only(&["gpio", "line", "active", "bias", "latch"])?;
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
        table.only(&["gpio", "line", "active", "safe", "max_hold_ms", "shutdown"])?;
        let pin = self.pin(table)?;
        need_safe(table, "safe", "`safe = false` or `safe = true`")?;
        let shutdown = shutdown(table)?;
        self.last_digital = self.last_digital.max(shutdown);
        Ok(DigitalOutput {
            name: name.to_owned(),
            pin,
            active_low: active_low(table)?,
            safe: table.boolean("safe")?,
            max_hold: max_hold(table)?,
            shutdown,
        })
    }

    /// The SPI device of `table`, which is a `chip`: all of them, as each chip
    /// select leads to one chip.
    fn spi_of(&mut self, table: &mut Table<'_>, chip: Chip) -> Result<Option<usize>> {
        if self.simulated {
            table.without("spi", SIMULATED)?;
            return Ok(None);
        }
        let device = table.text("spi")?;
        let spi = index_of(&strs(&self.spi), &device, "spi", table)?;
        match self.chips.iter().find(|(at, ..)| *at == spi) {
            None => self.chips.push((spi, chip, Used::by(table))),
            Some((_, first, used)) if *first != chip => {
                let what = format!(
                    "[spi.{}] leads to another chip, that of {} in line {}",
                    device.value, used.by, used.line
                );
                let fix = "each chip has a chip select, and so an [spi.NAME], of its own";
                return Err(table.error_at("spi", what, fix));
            }
            Some(_) => {}
        }
        Ok(Some(spi))
    }

    /// Takes `thing` for `table`, unless somebody else has it.
    fn take(
        &mut self,
        thing: Thing,
        table: &mut Table<'_>,
        key: &'static str,
        shown: &str,
    ) -> Result<()> {
        match self.taken.iter().find(|(taken, _)| *taken == thing) {
            None => {
                self.taken.push((thing, Used::by(table)));
                Ok(())
            }
            Some((_, Used { by, line })) => {
                let what = format!("{shown} is used already, by {by} in line {line}");
                Err(table.error_at(key, what, "each can be used only once"))
            }
        }
    }

    /// Takes channel `number` of the chip at `spi` for `table`.
    fn converter(
        &mut self,
        spi: Option<usize>,
        number: u8,
        table: &mut Table<'_>,
        key: &'static str,
        shown: &str,
    ) -> Result<()> {
        match spi {
            None => Ok(()),
            Some(spi) => {
                let shown = format!("{shown} of [spi.{}]", self.spi[spi]);
                self.take(Thing::Converter(spi, number), table, key, &shown)
            }
        }
    }

    fn encoder(&mut self, name: &str, table: &mut Table<'_>) -> Result<Encoder> {
        table.only(&["chip", "spi"])?;
        table.choice("chip", &[("as5047p", ())])?;
        let spi = self.spi_of(table, Chip::As5047p)?;
        self.converter(spi, 0, table, "spi", "the encoder")?;
        Ok(Encoder {
            name: name.to_owned(),
            spi,
        })
    }

    fn analog_output(&mut self, name: &str, table: &mut Table<'_>) -> Result<AnalogOutput> {
        table.only(&[
            "chip",
            "spi",
            "channel",
            "min_volts",
            "max_volts",
            "safe_volts",
            "max_hold_ms",
            "shutdown",
            "tolerated_failures",
            "monitor",
            "monitor_volts_at_0",
            "monitor_volts_per_volt",
            "monitor_tolerance_volts",
            "monitor_cycles",
        ])?;
        table.choice("chip", &[("mcp4922", ())])?;
        let spi = self.spi_of(table, Chip::Mcp4922)?;
        let channels = [
            ("a", (mcp4922::Channel::A, 0)),
            ("b", (mcp4922::Channel::B, 1)),
        ];
        let (channel, number) = table.choice("channel", &channels)?;
        let shown = format!("channel \"{}\"", channels[usize::from(number)].0);
        self.converter(spi, number, table, "channel", &shown)?;
        let min_volts = table.number("min_volts", ANY_VOLTS)?;
        let max_volts = table.number("max_volts", ANY_VOLTS)?;
        if max_volts <= min_volts {
            let what = format!(
                "`max_volts` is {}, not above `min_volts` = {}",
                figure(max_volts),
                figure(min_volts)
            );
            let fix = "min_volts is what code 0 gives, max_volts what code 4095 gives";
            return Err(table.error_at("max_volts", what, fix));
        }
        need_safe(table, "safe_volts", "`safe_volts = 0.0`, say")?;
        let safe_volts = table.number("safe_volts", ANY_VOLTS)?;
        if !(min_volts..=max_volts).contains(&safe_volts) {
            let what = format!(
                "`safe_volts` is {}, which this output cannot give",
                figure(safe_volts)
            );
            let fix = format!(
                "it must be from min_volts to max_volts, {} to {}",
                figure(min_volts),
                figure(max_volts)
            );
            return Err(table.error_at("safe_volts", what, fix));
        }
        let shutdown = shutdown(table)?;
        if shutdown <= self.last_digital {
            let last = self.last_digital;
            let what = format!("`shutdown` is {shutdown}, not after the digital outputs' {last}");
            let fix = "a converter that does not answer must not keep the enable from falling: \
                       give it a place after every [output.X]";
            return Err(table.error_at("shutdown", what, fix));
        }
        Ok(AnalogOutput {
            name: name.to_owned(),
            spi,
            channel,
            min_volts,
            max_volts,
            safe_volts,
            max_hold: max_hold(table)?,
            shutdown,
            tolerated_failures: tolerated_failures(table)?,
            monitor: self.monitor(table)?,
        })
    }

    /// The input that watches an output. Inputs are read before outputs.
    fn monitor(&self, table: &mut Table<'_>) -> Result<Option<Monitor>> {
        if !table.has("monitor") {
            return Ok(None);
        }
        let input = table.text("monitor")?;
        let input = index_of(&strs(&self.analog_inputs), &input, "analog_input", table)?;
        let volts_per_volt = table.number_or("monitor_volts_per_volt", -1000.0..=1000.0, 1.0)?;
        if volts_per_volt == 0.0 {
            let what = "`monitor_volts_per_volt` is 0, the input would see nothing";
            let fix = "it is what the input changes by for a volt of the output";
            return Err(table.error_at("monitor_volts_per_volt", what, fix));
        }
        Ok(Some(Monitor {
            // No board has more than 16.
            input: input as u8,
            volts_at_0: table.number_or("monitor_volts_at_0", ANY_VOLTS, 0.0)?,
            volts_per_volt,
            tolerance_volts: table.number("monitor_tolerance_volts", 0.001..=1000.0)?,
            tolerated_cycles: table.integer_or("monitor_cycles", 1..=1000, 5)? as u16,
        }))
    }

    fn analog_input(&mut self, name: &str, table: &mut Table<'_>) -> Result<AnalogInput> {
        table.only(&[
            "chip",
            "spi",
            "channel",
            "vref_volts",
            "min_volts",
            "max_volts",
            "tolerated_failures",
        ])?;
        self.analog_inputs.push(name.to_owned());
        table.choice("chip", &[("mcp3208", ())])?;
        let spi = self.spi_of(table, Chip::Mcp3208)?;
        let channel = table.integer("channel", 0..=7)? as u8;
        self.converter(
            spi,
            channel,
            table,
            "channel",
            &format!("channel {channel}"),
        )?;
        let vref_volts = table.number("vref_volts", 0.1..=1000.0)?;
        let min_volts = table.number_or("min_volts", 0.0..=vref_volts, 0.0)?;
        let max_volts = table.number_or("max_volts", 0.0..=vref_volts, vref_volts)?;
        if max_volts <= min_volts {
            let what = format!(
                "`max_volts` is {}, not above `min_volts` = {}",
                figure(max_volts),
                figure(min_volts)
            );
            // Either of them may be the default.
            let key = if table.has("max_volts") {
                "max_volts"
            } else {
                "min_volts"
            };
            let fix = "what the sensor gives when all is well lies between them";
            return Err(table.error_at(key, what, fix));
        }
        Ok(AnalogInput {
            name: name.to_owned(),
            spi,
            channel,
            vref_volts,
            min_volts,
            max_volts,
            tolerated_failures: tolerated_failures(table)?,
        })
    }
}

/// What no output stage exceeds.
const ANY_VOLTS: std::ops::RangeInclusive<f64> = -1000.0..=1000.0;

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn active_low(table: &mut Table<'_>) -> Result<bool> {
    table.choice_or("active", &[("low", true), ("high", false)], false)
}

fn tolerated_failures(table: &mut Table<'_>) -> Result<Option<u16>> {
    let tolerated = table.integer_if("tolerated_failures", 0..=100)?;
    Ok(tolerated.map(|count| count as u16))
}

fn max_hold(table: &mut Table<'_>) -> Result<Duration> {
    if !table.has("max_hold_ms") {
        let what = "an output without a longest hold, `max_hold_ms`";
        let fix = "add how long it may stay as it is when the loop stops deciding: \
                   `max_hold_ms = 20`, say";
        return Err(table.error(what, fix));
    }
    table
        .integer("max_hold_ms", 1..=60_000)
        .map(Duration::from_millis)
}

/// The place in the order of shutting down.
fn shutdown(table: &mut Table<'_>) -> Result<u8> {
    if !table.has("shutdown") {
        let what = "an output without a place in the order of shutting down, `shutdown`";
        let fix = "add when it goes to its safe value: `shutdown = 1` goes first, outputs of \
                   one place together";
        return Err(table.error(what, fix));
    }
    let place = table.integer("shutdown", 1..=u64::from(MAX_SHUTDOWN))?;
    Ok(place as u8)
}

/// A missing safe value has its own words, as have a missing hold and a missing
/// place: these are never filled in by guessing.
fn need_safe(table: &mut Table<'_>, key: &'static str, example: &str) -> Result<()> {
    if table.has(key) {
        return Ok(());
    }
    let what = format!("an output without a safe value, `{key}`");
    let fix = format!("add what it must be when the controller is not in control: {example}");
    Err(table.error(what, fix))
}
