//! A real board: opens and configures the kernel's devices of the board file.
//!
//! After [`Linux::open`], every output line is requested at its safe value, every SPI device is
//! configured and verified, and the safe actions of all outputs are registered, in shutdown
//! order, for the stall guard and the crash handlers. Opening allocates and may wait; reading
//! and writing in the loop do not allocate.

use std::path::Path;

use super::gpio_chip::Chip;
use super::own::OwnDevices;
use super::ports::{Devices, SpiMap, channel_of};
use super::probe::{self, Machine};
use crate::config::{self, AnalogOutput, Config, ConfigError, Details, Io, Pin, WatchdogConfig};
use crate::cycle::image::{DigitalInputs, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::ports::{Clock, Tick};
use crate::device::gpio::{
    EdgeReader, GpioError, InputLines, KernelChips, KernelEvents, KernelLines, Levels, OutputLine,
    OutputLines, SetClear,
};
use crate::device::spi::Spidev;
use crate::device::watchdog::{self, Standing, Watchdog, WatchdogError};
use crate::driver::{as5047p, mcp3208, mcp4922};
use crate::realtime::clock::Monotonic;
use crate::sys::{self, Errno, emergency};
use crate::time::Instant;

/// Most devices of a kind, as limited by the board file's reader.
const MAX: usize = crate::config::MAX_DEVICES;

/// The kernel's devices of a board.
pub struct Linux {
    inputs: heapless::Vec<InputLines<KernelLines>, MAX>,
    outputs: heapless::Vec<OutputLines<KernelLines>, MAX>,
    spi: heapless::Vec<Spidev, MAX>,
    emergency: heapless::Vec<emergency::Slot, { emergency::CAPACITY }>,
    edges: KeptEdges,
    own: OwnDevices,
}

/// Edges of the GPIO chips that were read in a cycle in which another chip failed. They are
/// reported in the next cycle in which all chips are read, so no pulse is lost.
#[derive(Default)]
struct KeptEdges {
    rose: u32,
    fell: u32,
}

impl KeptEdges {
    /// Combines the readings of all chips. All chips are read, even after one has failed.
    fn gather(
        &mut self,
        parts: impl Iterator<Item = Result<DigitalInputs, InputError>>,
    ) -> Result<DigitalInputs, InputError> {
        let mut all = DigitalInputs {
            levels: 0,
            rose: self.rose,
            fell: self.fell,
        };
        let mut failed = None;
        for part in parts {
            match part {
                Ok(part) => {
                    all.levels |= part.levels;
                    all.rose |= part.rose;
                    all.fell |= part.fell;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        *self = match failed {
            Some(_) => Self {
                rose: all.rose,
                fell: all.fell,
            },
            None => Self::default(),
        };
        failed.map_or(Ok(all), Err)
    }
}

/// The opened devices of a board.
pub struct Opened {
    /// The devices.
    pub devices: Linux,
    /// The SPI device of each channel.
    pub map: SpiMap,
    /// Readers of latched edges, each to be run by a helper thread.
    pub edge_readers: Vec<EdgeReader<KernelEvents>>,
    /// The watchdog; `None` without `[watchdog]`.
    pub watchdog: Option<FoundWatchdog>,
}

/// The watchdog at start-up.
pub struct FoundWatchdog {
    /// The watchdog if it was running, or if its state is known only by opening it. It has to
    /// be fed from now on. `None`: it is stopped, and opened later.
    pub running: Option<Watchdog>,
    /// Whether it caused the board's last reset; `None` if the driver does not report that.
    pub caused_last_reset: Option<bool>,
}

impl Linux {
    /// Opens and configures all devices of `config`, outputs first.
    ///
    /// # Errors
    /// The first device that is missing, busy or refuses its settings, with its position in the
    /// board file.
    pub fn open(config: &Config) -> Result<Opened, ConfigError> {
        let io = &config.io;
        let mut linux = Self {
            inputs: heapless::Vec::new(),
            outputs: heapless::Vec::new(),
            spi: heapless::Vec::new(),
            emergency: heapless::Vec::new(),
            edges: KeptEdges::default(),
            own: OwnDevices::none(),
        };
        let mut edge_readers = Vec::new();
        let machine = Machine::default();
        // Outputs first, so that they are safe even if another device is refused.
        for chip in 0..io.gpio.len() {
            linux.open_outputs(config, &machine.chips, chip)?;
        }
        // Two entries of the file may be one device, which no single device can detect.
        if let Some(error) = probe::doubles(config, &machine).into_iter().next() {
            return Err(error);
        }
        for chip in 0..io.gpio.len() {
            edge_readers.extend(linux.open_inputs(config, &machine.chips, chip)?);
        }
        // SPI devices with a stock chip. The others are opened by the drivers of [device.X].
        let used: Vec<usize> = (0..io.spi.len()).filter(|at| is_used(io, *at)).collect();
        let index = |spi: Option<usize>| {
            used.iter()
                .position(|at| Some(*at) == spi)
                .expect("checked: a real board's channels name a device")
        };
        for at in &used {
            let spi = config::open::spidev(config.buses(), *at, spi_mode(io, *at))?;
            // The reader limits the number of SPI devices.
            let _ = linux.spi.push(spi);
        }
        linux.register_emergency(config, &index)?;
        linux.own = OwnDevices::open(config)?;
        let watchdog = config.watchdog.as_ref().map(|requested| {
            find_watchdog(requested).map_err(|error| {
                let what = error.explain(Path::new(&requested.device)).to_string();
                config.device_error(requested.position, &what)
            })
        });
        let watchdog = watchdog.transpose()?;
        let map = SpiMap {
            encoders: io.encoders.iter().map(|e| index(e.spi)).collect(),
            analog_outputs: io.analog_outputs.iter().map(|o| index(o.spi)).collect(),
            analog_inputs: io.analog_inputs.iter().map(|i| index(i.spi)).collect(),
        };
        Ok(Opened {
            devices: linux,
            map,
            edge_readers,
            watchdog,
        })
    }

    fn open_outputs(
        &mut self,
        config: &Config,
        chips: &KernelChips,
        chip: usize,
    ) -> Result<(), ConfigError> {
        let mine = config.io.outputs.iter().zip(0_u8..);
        let mine: Vec<_> = mine
            .filter_map(|(output, channel)| Some((output, on(&output.pin, chip)?, channel)))
            .collect();
        let Some((_, first, _)) = mine.first() else {
            return Ok(());
        };
        let opened = Chip::find(config, chips, chip, first)?;
        let mut lines = Vec::new();
        for (output, pin, channel) in &mine {
            lines.push(OutputLine {
                channel: *channel,
                offset: opened.offset(pin)?,
                active_low: output.active_low,
                safe: output.safe,
            });
        }
        let refused = |error| {
            let offsets = lines.iter().map(|line| line.offset);
            opened.refused(error, offsets.zip(mine.iter().map(|m| m.1)))
        };
        let mut requested = OutputLines::request(&opened.chip, &lines).map_err(&refused)?;
        if let Some((bank, registers)) = opened.registers(|by| by.outputs)? {
            SetClear::new(bank, registers, &lines)
                .and_then(|registers| requested.by_registers(registers))
                .map_err(&refused)?;
        }
        let _ = self.outputs.push(requested);
        Ok(())
    }

    /// Registers the safe actions of lines and converters in shutdown order.
    fn register_emergency(
        &mut self,
        config: &Config,
        index: &impl Fn(Option<usize>) -> usize,
    ) -> Result<(), ConfigError> {
        let io = &config.io;
        let full = |errno: Errno| {
            ConfigError::from(Details {
                file: config.file.clone(),
                position: None,
                what: format!("no capacity left for the safe actions of all outputs ({errno})"),
                fix: "use fewer GPIO chips for outputs, or fewer different values of `shutdown`"
                    .to_owned(),
            })
        };
        for channels in io.shutdown_steps() {
            for lines in &self.outputs {
                if let Some(slot) = lines.register_emergency(channels).map_err(full)? {
                    // Its capacity is that of the table of safe actions.
                    let _ = self.emergency.push(slot);
                }
            }
        }
        for channel in io.analog_shutdown() {
            let output = &io.analog_outputs[channel];
            let frame = safe_frame(output);
            let spi = &self.spi[index(output.spi)];
            let slot = spi.safe_action(&frame).map_err(full)?;
            let _ = self.emergency.push(slot);
        }
        Ok(())
    }

    /// Writes the outputs of all chips, even after one has failed.
    #[inline]
    fn each_output(
        &mut self,
        mut write: impl FnMut(&mut OutputLines<KernelLines>) -> Result<(), GpioError>,
    ) -> Result<(), OutputError> {
        let mut result = Ok(());
        for lines in &mut self.outputs {
            if write(lines).is_err() {
                result = Err(OutputError::Digital);
            }
        }
        result
    }

    fn open_inputs(
        &mut self,
        config: &Config,
        chips: &KernelChips,
        chip: usize,
    ) -> Result<Option<EdgeReader<KernelEvents>>, ConfigError> {
        let mine = config.io.inputs.iter().zip(0_u8..);
        let mine: Vec<_> = mine
            .filter_map(|(input, channel)| Some((input, on(&input.pin, chip)?, channel)))
            .collect();
        let Some((_, first, _)) = mine.first() else {
            return Ok(None);
        };
        let opened = Chip::find(config, chips, chip, first)?;
        let mut lines = Vec::new();
        for (input, pin, channel) in &mine {
            if let Some(what) = config::bias::ignored(opened.info.label.as_str(), input.bias) {
                return Err(config.device_error(pin.position, &what));
            }
            lines.push(probe::input_line(input, *channel, opened.offset(pin)?));
        }
        let refused = |error| {
            let offsets = lines.iter().map(|line| line.offset);
            opened.refused(error, offsets.zip(mine.iter().map(|m| m.1)))
        };
        let (mut requested, reader) =
            InputLines::request(&opened.chip, &lines).map_err(&refused)?;
        if let Some((bank, registers)) = opened.registers(|by| by.inputs)? {
            Levels::new(bank, registers, &lines)
                .and_then(|levels| requested.by_registers(levels))
                .map_err(&refused)?;
        }
        let _ = self.inputs.push(requested);
        Ok(reader)
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        // The requests of the lines end here, so a handler must not use them.
        for slot in core::mem::take(&mut self.emergency) {
            slot.clear();
        }
    }
}

/// Checks the watchdog, and takes it over if it is running, or if its state is known only by
/// opening it. A stopped watchdog that this process may open is armed later.
fn find_watchdog(requested: &WatchdogConfig) -> Result<FoundWatchdog, WatchdogError> {
    let path = Path::new(&requested.device);
    let standing = Standing::read(Path::new("/"), path);
    // A refusal that is known without arming it, before any output is driven.
    if let Some(refusal) = watchdog::refusal(Path::new("/"), path, requested.timeout_s) {
        return Err(refusal);
    }
    if standing.running == Some(false) && sys::may_write(path) {
        return Ok(FoundWatchdog {
            running: None,
            caused_last_reset: standing.caused_last_reset,
        });
    }
    let watchdog = Watchdog::open(path, requested.timeout_s)?;
    let caused_last_reset = watchdog.properties().caused_last_reset;
    Ok(FoundWatchdog {
        running: Some(watchdog),
        caused_last_reset,
    })
}

/// The frame that sets `output` to its safe value, as the loop's driver sends it.
fn safe_frame(output: &AnalogOutput) -> [u8; 2] {
    let scale = mcp4922::Scale::new(output.min_volts, output.max_volts);
    let code = scale.ok().and_then(|s| s.code(output.safe_volts).ok());
    mcp4922::command(
        channel_of(output),
        mcp4922::Reference::default(),
        mcp4922::Gain::default(),
        true,
        code.expect("checked to be in range").code,
    )
}

/// `pin` if it is on the GPIO chip with this index.
fn on(pin: &Option<Pin>, chip: usize) -> Option<&Pin> {
    pin.as_ref().filter(|pin| pin.gpio == chip)
}

/// Whether a stock chip is on this SPI device.
fn is_used(io: &Io, index: usize) -> bool {
    let encoders = io.encoders.iter().map(|e| e.spi);
    let inputs = io.analog_inputs.iter().map(|i| i.spi);
    let mut all = encoders
        .chain(inputs)
        .chain(io.analog_outputs.iter().map(|o| o.spi));
    all.any(|spi| spi == Some(index))
}

/// SPI mode of the stock chip at this SPI device.
fn spi_mode(io: &Io, index: usize) -> embedded_hal::spi::Mode {
    let here = |spi: Option<usize>| spi == Some(index);
    if io.encoders.iter().any(|e| here(e.spi)) {
        as5047p::SPI_MODE
    } else if io.analog_inputs.iter().any(|i| here(i.spi)) {
        mcp3208::SPI_MODE
    } else {
        mcp4922::SPI_MODE
    }
}

impl Devices for Linux {
    type Spi<'a> = &'a mut Spidev;

    #[inline]
    fn latched(&self) -> bool {
        emergency::latched()
    }

    #[inline]
    fn advance(&mut self, tick: &Tick) -> Instant {
        tick.now
    }

    fn now(_: &Tick) -> Instant {
        Monotonic.now()
    }

    #[inline]
    fn spi(&mut self, index: usize) -> &mut Spidev {
        &mut self.spi[index]
    }

    #[inline]
    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        let chips = self.inputs.iter_mut();
        let parts = chips.map(|lines| lines.read().map_err(|_| InputError::Bus));
        self.edges.gather(parts)
    }

    fn sense_own(&mut self, tick: &Tick, inputs: &mut Inputs, began: Instant) -> Option<Lost> {
        self.own.sense(tick, inputs, began)
    }

    fn drive_own(
        &mut self,
        tick: &Tick,
        outputs: &Outputs,
    ) -> (Result<(), OutputError>, Option<Lost>) {
        self.own.drive(tick, outputs, emergency::latched)
    }

    fn safe_own(&mut self, tick: &Tick, safe: &Outputs) -> Result<(), OutputError> {
        self.own.safe(tick, safe)
    }

    #[inline]
    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.each_output(|lines| lines.write(levels))
    }

    fn safe_digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.each_output(|lines| lines.write_by_kernel(levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(levels: u32, rose: u32, fell: u32) -> Result<DigitalInputs, InputError> {
        Ok(DigitalInputs { levels, rose, fell })
    }

    #[test]
    fn edges_of_one_chip_are_kept_while_another_fails_and_are_reported_once() {
        let failed = Err(InputError::Bus);
        let mut kept = KeptEdges::default();
        let mut gather = |parts: [_; 2]| kept.gather(parts.into_iter());
        assert_eq!(
            gather([edges(1, 1, 0), edges(4, 0, 8)]),
            edges(5, 1, 8),
            "nothing fails"
        );
        assert_eq!(gather([edges(0, 2, 1), failed]), failed);
        assert_eq!(gather([failed, edges(4, 4, 0)]), failed);
        assert_eq!(
            gather([edges(0, 0, 0), edges(4, 0, 0)]),
            edges(4, 6, 1),
            "both failures"
        );
        assert_eq!(gather([edges(0, 0, 0), edges(4, 0, 0)]), edges(4, 0, 0));
    }
}
