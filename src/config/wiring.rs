//! Reads devices and channels: `[gpio.X]`, `[input.X]`, `[output.X]`,
//! `[spi.X]`, `[encoder.X]`, `[analog_output.X]`, `[analog_input.X]`; `[i2c.X]` and
//! `[pwm.X]` are read in [`buses`].
//!
//! A chip, a line, an SPI device and a channel of a converter can each be used once. Two names
//! of one chip (label, `gpiochip0`, path), or the number and the name of one line, cannot be
//! compared in the file. They are found when the devices are opened: the kernel refuses the
//! second request of a line with `EBUSY`.

use super::bias;
use super::buses::{self, Thing, Used, Uses};
use super::clocks::{Chip, Clocks};
use super::found::index_of;
use super::gpio_access;
use super::io::{
    AnalogInput, AnalogOutput, DigitalInput, DigitalOutput, Encoder, GpioChip, Io, Line,
    MAX_DEVICES, Monitor, Pin, SpiDevice,
};
use super::reader::{At, Result, Table};
use super::spi_access;
use super::timing;
use super::value::{NumberOrText, figure};
use crate::cycle::image::{MAX_ANALOG_INPUTS, MAX_ANALOG_OUTPUTS, MAX_DIGITAL, MAX_POSITIONS};
use crate::driver;
use crate::time::Duration;

/// Reads all devices and channels of the board, and records which table uses which of them.
pub(super) fn read(root: &mut Table<'_>, simulated: bool, period: Duration) -> Result<(Io, Uses)> {
    let mut reader = Reader {
        simulated,
        period,
        ..Reader::default()
    };
    if simulated {
        for key in ["gpio", "spi", "i2c", "pwm"] {
            root.without(key, SIMULATED)?;
        }
    }
    let mut io = Io::default();
    each(root, "gpio", MAX_DEVICES, &mut |name, table| {
        io.gpio.push(reader.gpio_chip(name, table)?);
        Ok(())
    })?;
    each(root, "spi", MAX_DEVICES, &mut |name, table| {
        io.spi.push(reader.spi_device(name, table)?);
        Ok(())
    })?;
    each(root, "i2c", MAX_DEVICES, &mut |name, table| {
        io.i2c.push(buses::adapter(&mut reader.uses, name, table)?);
        Ok(())
    })?;
    each(root, "pwm", MAX_DEVICES, &mut |name, table| {
        io.pwm.push(buses::channel(&mut reader.uses, name, table)?);
        Ok(())
    })?;
    each(root, "input", MAX_DIGITAL, &mut |name, table| {
        io.inputs.push(reader.input(name, table)?);
        Ok(())
    })?;
    each(root, "output", MAX_DIGITAL, &mut |name, table| {
        io.outputs.push(reader.output(name, table)?);
        Ok(())
    })?;
    each(root, "encoder", MAX_POSITIONS, &mut |name, table| {
        io.encoders.push(reader.encoder(name, table)?);
        Ok(())
    })?;
    // Before the outputs: `monitor` of an output names an input.
    each(
        root,
        "analog_input",
        MAX_ANALOG_INPUTS,
        &mut |name, table| {
            io.analog_inputs.push(reader.analog_input(name, table)?);
            Ok(())
        },
    )?;
    each(
        root,
        "analog_output",
        MAX_ANALOG_OUTPUTS,
        &mut |name, table| {
            io.analog_outputs.push(reader.analog_output(name, table)?);
            Ok(())
        },
    )?;
    reader.clocks.check(root)?;
    Ok((io, reader.uses))
}

/// Why keys that name hardware have no effect on a simulated board.
pub(super) const SIMULATED: &str = "devices = \"simulated\", there is no hardware";

/// Reads all tables `[key.NAME]` with `read`, and refuses keys that `read` did not ask for.
/// Not generic: each copy would add to the locked memory.
fn each(
    root: &mut Table<'_>,
    key: &'static str,
    most: usize,
    read: &mut dyn FnMut(&str, &mut Table<'_>) -> Result<()>,
) -> Result<()> {
    for (name, mut table) in root.tables(key, most)? {
        read(name, &mut table)?;
        table.finish()?;
    }
    Ok(())
}

/// What has been read so far: names to resolve, and users to detect double use.
#[derive(Default)]
struct Reader {
    simulated: bool,
    /// The loop's period.
    period: Duration,
    gpio: Vec<String>,
    /// The value of `chip` of each `[gpio.NAME]`.
    gpio_chips: Vec<String>,
    spi: Vec<String>,
    analog_inputs: Vec<String>,
    uses: Uses,
    clocks: Clocks,
    /// The index of each SPI device in use, its chip, and the first table that uses it.
    chips: Vec<(usize, &'static str, Used)>,
    /// The last shutdown step of a digital output.
    last_digital: u8,
}

impl Reader {
    fn gpio_chip(&mut self, name: &str, table: &mut Table<'_>) -> Result<GpioChip> {
        self.gpio.push(name.to_owned());
        let chip = table.text("chip")?.value.to_owned();
        let shown = format!("GPIO chip \"{chip}\"");
        self.uses
            .take(Thing::GpioChip(chip.clone()), table, "chip", &shown)?;
        self.gpio_chips.push(chip.clone());
        Ok(GpioChip {
            name: name.to_owned(),
            chip,
            registers: gpio_access::read(table)?,
            position: table.source().position(table.span()),
        })
    }

    fn spi_device(&mut self, name: &str, table: &mut Table<'_>) -> Result<SpiDevice> {
        self.spi.push(name.to_owned());
        let path = table.text("device")?.value.to_owned();
        let speed_hz = table.integer_or("speed_hz", 1_000..=50_000_000, 1_000_000)? as u32;
        self.clocks.add(name, speed_hz, table);
        let registers = spi_access::read(&mut self.uses, table, &path, speed_hz)?;
        Ok(SpiDevice {
            name: name.to_owned(),
            path,
            speed_hz,
            registers,
            irq_priority: table.integer_if("irq_priority", 1..=98)?.map(|p| p as u8),
            position: table.source().position(table.span()),
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
        let (line, shown) = match table.integer_or_text("line", 0..=511, WANTED, None)? {
            NumberOrText::Number(offset) => (Line::Offset(offset as u32), offset.to_string()),
            NumberOrText::Text(At { value, .. }) => {
                (Line::Name(value.to_owned()), format!("\"{value}\""))
            }
        };
        let shown = format!("line {shown} of [gpio.{}]", chip.value);
        self.uses
            .take(Thing::Pin(gpio, line.clone()), table, "line", &shown)?;
        let position = table.source().position(table.span());
        Ok(Some(Pin {
            gpio,
            line,
            position,
        }))
    }

    fn input(&mut self, name: &str, table: &mut Table<'_>) -> Result<DigitalInput> {
        let pin = self.pin(table)?;
        let chip = pin.as_ref().and_then(|pin| self.gpio_chips.get(pin.gpio));
        let bias = bias::read(table, chip)?;
        Ok(DigitalInput {
            name: name.to_owned(),
            pin,
            active_low: active_low(table)?,
            bias,
            latch: table.boolean_or("latch", false)?,
        })
    }

    fn output(&mut self, name: &str, table: &mut Table<'_>) -> Result<DigitalOutput> {
        let pin = self.pin(table)?;
        need_safe(table, "safe", "`safe = false` or `safe = true`")?;
        let shutdown = timing::shutdown(table)?;
        self.last_digital = self.last_digital.max(shutdown);
        Ok(DigitalOutput {
            name: name.to_owned(),
            pin,
            active_low: active_low(table)?,
            safe: table.boolean("safe")?,
            max_hold: timing::max_hold(table, self.period)?,
            shutdown,
        })
    }

    /// As [`Reader::spi_led_to`], and notes the highest clock of the chip.
    fn spi_of(&mut self, table: &mut Table<'_>, chip: Chip) -> Result<Option<usize>> {
        let spi = self.spi_led_to(table, chip.name)?;
        self.clocks.limit(spi, chip, table);
        Ok(spi)
    }

    /// The SPI device of `table`, which has to be a `chip` in every table that names it: each
    /// chip select leads to one chip.
    fn spi_led_to(&mut self, table: &mut Table<'_>, chip: &'static str) -> Result<Option<usize>> {
        if self.simulated {
            table.without("spi", SIMULATED)?;
            return Ok(None);
        }
        let device = table.text("spi")?;
        let spi = index_of(&strs(&self.spi), &device, "spi", table)?;
        match self.chips.iter().find(|(at, ..)| *at == spi) {
            None => {
                let shown = format!("[spi.{}]", device.value);
                self.uses.take(Thing::Spi(spi), table, "spi", &shown)?;
                self.chips.push((spi, chip, Used::by(table)));
            }
            Some((_, first, used)) if *first != chip => {
                let what = format!(
                    "[spi.{}] is already the device of another chip, {} in line {}",
                    device.value, used.by, used.line
                );
                let fix = "add another [spi.NAME] for this chip: each chip has its own chip select";
                return Err(table.error_at("spi", what, fix));
            }
            Some(_) => {}
        }
        Ok(Some(spi))
    }

    /// Records that `table` uses channel `number` of the chip at `spi`.
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
                self.uses
                    .take(Thing::Converter(spi, number), table, key, &shown)
            }
        }
    }

    fn encoder(&mut self, name: &str, table: &mut Table<'_>) -> Result<Encoder> {
        let kind = chosen(table, driver::ENCODERS, |kind| kind.key)?;
        let chip = Chip {
            name: kind.name,
            max_hz: kind.max_clock_hz,
            faster: None,
        };
        let spi = self.spi_of(table, chip)?;
        self.converter(spi, 0, table, "spi", "the encoder")?;
        Ok(Encoder {
            name: name.to_owned(),
            spi,
        })
    }

    fn analog_output(&mut self, name: &str, table: &mut Table<'_>) -> Result<AnalogOutput> {
        let kind = chosen(table, driver::OUTPUTS, |kind| kind.key)?;
        let chip = Chip {
            name: kind.name,
            max_hz: kind.max_clock_hz,
            faster: None,
        };
        let spi = self.spi_of(table, chip)?;
        let channels: Vec<(&str, u8)> = kind.channels.iter().copied().zip(0..).collect();
        let channel = table.choice("channel", &channels)?;
        let shown = format!("channel \"{}\"", kind.channels[usize::from(channel)]);
        self.converter(spi, channel, table, "channel", &shown)?;
        let min_volts = table.number("min_volts", ANY_VOLTS)?;
        let max_volts = table.number("max_volts", ANY_VOLTS)?;
        if max_volts <= min_volts {
            let what = format!(
                "`max_volts` is {}, not above `min_volts` = {}",
                figure(max_volts),
                figure(min_volts)
            );
            let fix =
                "set `min_volts` to the output at code 0, `max_volts` to the output at code 4095";
            return Err(table.error_at("max_volts", what, fix));
        }
        need_safe(table, "safe_volts", "`safe_volts = 0.0` or another value")?;
        let safe_volts = table.number("safe_volts", ANY_VOLTS)?;
        if !(min_volts..=max_volts).contains(&safe_volts) {
            let what = format!(
                "`safe_volts` is {}, outside the range of this output",
                figure(safe_volts)
            );
            let fix = format!(
                "it must be from `min_volts` to `max_volts`, {} to {}",
                figure(min_volts),
                figure(max_volts)
            );
            return Err(table.error_at("safe_volts", what, fix));
        }
        let shutdown = timing::shutdown(table)?;
        if shutdown <= self.last_digital {
            let last = self.last_digital;
            let what = format!(
                "`shutdown` is {shutdown}, not above {last}, the last of the digital outputs"
            );
            let fix = "put it after every [output.X]: digital outputs must not wait for a \
                       converter that does not answer";
            return Err(table.error_at("shutdown", what, fix));
        }
        Ok(AnalogOutput {
            name: name.to_owned(),
            spi,
            channel,
            min_volts,
            max_volts,
            safe_volts,
            max_hold: timing::max_hold(table, self.period)?,
            shutdown,
            tolerated_failures: tolerated_failures(table)?,
            monitor: self.monitor(table)?,
        })
    }

    /// The analog input that monitors an output.
    fn monitor(&self, table: &mut Table<'_>) -> Result<Option<Monitor>> {
        if !table.has("monitor") {
            let of_monitor = [
                "monitor_volts_at_0",
                "monitor_volts_per_volt",
                "monitor_tolerance_volts",
                "monitor_cycles",
            ];
            for key in of_monitor {
                table.without(key, "it needs `monitor`")?;
            }
            return Ok(None);
        }
        let input = table.text("monitor")?;
        let input = index_of(&strs(&self.analog_inputs), &input, "analog_input", table)?;
        let volts_per_volt = table.number_or("monitor_volts_per_volt", -1000.0..=1000.0, 1.0)?;
        if volts_per_volt == 0.0 {
            let what = "`monitor_volts_per_volt` is 0";
            let fix = "set it to the change of the input for one volt of the output";
            return Err(table.error_at("monitor_volts_per_volt", what, fix));
        }
        Ok(Some(Monitor {
            // At most MAX_ANALOG_INPUTS.
            input: input as u8,
            volts_at_0: table.number_or("monitor_volts_at_0", ANY_VOLTS, 0.0)?,
            volts_per_volt,
            tolerance_volts: table.number("monitor_tolerance_volts", 0.001..=1000.0)?,
            tolerated_cycles: table.integer_or("monitor_cycles", 1..=1000, 5)? as u16,
        }))
    }

    fn analog_input(&mut self, name: &str, table: &mut Table<'_>) -> Result<AnalogInput> {
        self.analog_inputs.push(name.to_owned());
        let kind = chosen(table, driver::INPUTS, |kind| kind.key)?;
        let spi = self.spi_led_to(table, kind.name)?;
        let last = u64::from(kind.channels - 1);
        let channel = table.integer("channel", 0..=last)? as u8;
        self.converter(
            spi,
            channel,
            table,
            "channel",
            &format!("channel {channel}"),
        )?;
        let vref_volts = table.number("vref_volts", 0.1..=1000.0)?;
        // The reference does not give the supply: a divider at the input scales `vref_volts`.
        if self.simulated {
            table.without("supply_volts", SIMULATED)?;
        }
        let (least, highest) = (*kind.supply_volts.start(), *kind.supply_volts.end());
        let volts = table.number_or("supply_volts", least..=highest, least)?;
        let most = (kind.max_clock_hz)(volts);
        let chip = Chip {
            name: kind.name,
            max_hz: most,
            faster: (most < (kind.max_clock_hz)(highest))
                .then_some("lower it, or set `supply_volts` to the chip's supply"),
        };
        self.clocks.limit(spi, chip, table);
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
            let fix = "set them to the limits of the sensor's valid range";
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

/// A range that no output stage exceeds, V.
const ANY_VOLTS: std::ops::RangeInclusive<f64> = -1000.0..=1000.0;

/// The entry of `kinds` that the key `chip` names.
fn chosen<T>(
    table: &mut Table<'_>,
    kinds: &'static [T],
    key: fn(&'static T) -> &'static str,
) -> Result<&'static T> {
    let choices: Vec<(&str, &T)> = kinds.iter().map(|kind| (key(kind), kind)).collect();
    table.choice("chip", &choices)
}

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

/// Refuses a table without `key`. Safe value, longest hold and shutdown step have no
/// default, and errors of their own: a guess could be dangerous.
fn need_safe(table: &mut Table<'_>, key: &'static str, example: &str) -> Result<()> {
    if table.has(key) {
        return Ok(());
    }
    let what = format!("the output has no safe value, `{key}`");
    let fix = format!("add {example}: its value while the controller is not in control");
    Err(table.error(what, fix))
}
