//! A real board: the kernel's devices, opened as the board file says.
//!
//! When this is done every output is requested at its safe value, every SPI
//! device is configured and read back, and what drives the outputs safe, in the
//! board file's order, is where a signal handler and the stall guard find it.

use std::os::fd::AsFd;
use std::path::Path;

use super::own::OwnDevices;
use super::ports::{Devices, SpiMap, channel_of};
use super::probe::{self, Machine};
use crate::config::{
    self, AnalogOutput, Config, ConfigError, Details, Io, Line, Pin, Position, WatchdogConfig,
};
use crate::cycle::image::{DigitalInputs, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::ports::{Clock, Tick};
use crate::device::gpio::{
    self, EdgeReader, GpioError, InputLines, KernelChip, KernelChips, KernelEvents, KernelLines,
    LineId, OutputLine, OutputLines,
};
use crate::device::spi::Spidev;
use crate::device::watchdog::{self, Standing, Watchdog, WatchdogError};
use crate::driver::{as5047p, mcp3208, mcp4922};
use crate::realtime::clock::Monotonic;
use crate::sys::{self, Errno, emergency};
use crate::time::Instant;

/// Most devices of a kind; the board file allows no more.
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

/// Edges of chips that were read well in a cycle in which another one failed: for
/// the next cycle in which all are read, or a pulse would be lost with somebody
/// else's error.
#[derive(Default)]
struct KeptEdges {
    rose: u32,
    fell: u32,
}

impl KeptEdges {
    /// What all chips together give. All of them are read, whatever one says.
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

/// The devices, which of them serve which channels, and the readers of latched
/// edges, each for a thread of its own.
pub struct Opened {
    /// The devices.
    pub devices: Linux,
    /// Which SPI devices serve which channels.
    pub map: SpiMap,
    /// To be run by helper threads.
    pub edge_readers: Vec<EdgeReader<KernelEvents>>,
    /// The watchdog, where the board file asks for one.
    pub watchdog: Option<FoundWatchdog>,
}

/// A watchdog as it was found.
pub struct FoundWatchdog {
    /// Taken over, where it runs already or cannot be asked without opening it. From
    /// then on somebody has to feed it.
    pub running: Option<Watchdog>,
    /// The board's last reset was its doing; `None` where the driver cannot tell.
    pub caused_last_reset: Option<bool>,
}

impl Linux {
    /// Opens and configures everything that `config` names.
    ///
    /// # Errors
    /// The first device that is missing, busy or refuses, with the position in the
    /// board file that names it.
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
        // Outputs first: from here on they are at their safe values, whatever
        // else is refused.
        for chip in 0..io.gpio.len() {
            linux.open_outputs(config, chip)?;
        }
        // What no single device refuses: two entries of the file that are one device.
        if let Some(error) = probe::doubles(config, &Machine::default())
            .into_iter()
            .next()
        {
            return Err(error);
        }
        for chip in 0..io.gpio.len() {
            edge_readers.extend(linux.open_inputs(config, chip)?);
        }
        // Those with a stock chip; the rest belongs to devices that open it themselves.
        let used: Vec<usize> = (0..io.spi.len()).filter(|at| is_used(io, *at)).collect();
        let index = |spi: Option<usize>| {
            used.iter()
                .position(|at| Some(*at) == spi)
                .expect("checked: a real board's channels name a device")
        };
        for at in &used {
            let spi = config::open::spidev(config.buses(), *at, spi_mode(io, *at))?;
            // The board file has at most as many.
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

    fn open_outputs(&mut self, config: &Config, chip: usize) -> Result<(), ConfigError> {
        let mine = config.io.outputs.iter().zip(0_u8..);
        let mine: Vec<_> = mine
            .filter_map(|(output, channel)| Some((output, on(&output.pin, chip)?, channel)))
            .collect();
        let Some((_, first, _)) = mine.first() else {
            return Ok(());
        };
        let opened = Chip::find(config, chip, first)?;
        let mut lines = Vec::new();
        for (output, pin, channel) in &mine {
            lines.push(OutputLine {
                channel: *channel,
                offset: opened.offset(pin)?,
                active_low: output.active_low,
                safe: output.safe,
            });
        }
        let requested = OutputLines::request(&opened.chip, &lines).map_err(|error| {
            opened.refused(
                error,
                lines.iter().map(|l| l.offset).zip(mine.iter().map(|m| m.1)),
            )
        })?;
        let _ = self.outputs.push(requested);
        Ok(())
    }

    /// Puts down what a crash still does, in the order of shutting down.
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
                what: format!("too many outputs to be made safe in a crash ({errno})"),
                fix: "use fewer GPIO chips for outputs, or fewer places in `shutdown`".to_owned(),
            })
        };
        for channels in io.shutdown_steps() {
            for lines in &self.outputs {
                if let Some(slot) = lines.register_emergency(channels).map_err(full)? {
                    // As many as there can be registered.
                    let _ = self.emergency.push(slot);
                }
            }
        }
        for channel in io.analog_shutdown() {
            let output = &io.analog_outputs[channel];
            let frame = safe_frame(output);
            let spi = self.spi[index(output.spi)].calls().as_fd();
            let slot = emergency::register_frame(spi, &frame).map_err(full)?;
            let _ = self.emergency.push(slot);
        }
        Ok(())
    }

    fn open_inputs(
        &mut self,
        config: &Config,
        chip: usize,
    ) -> Result<Option<EdgeReader<KernelEvents>>, ConfigError> {
        let mine = config.io.inputs.iter().zip(0_u8..);
        let mine: Vec<_> = mine
            .filter_map(|(input, channel)| Some((input, on(&input.pin, chip)?, channel)))
            .collect();
        let Some((_, first, _)) = mine.first() else {
            return Ok(None);
        };
        let opened = Chip::find(config, chip, first)?;
        let mut lines = Vec::new();
        for (input, pin, channel) in &mine {
            if let Some(what) = config::bias::ignored(opened.info.label.as_str(), input.bias) {
                return Err(config.device_error(pin.position, &what));
            }
            lines.push(probe::input_line(input, *channel, opened.offset(pin)?));
        }
        let (requested, reader) = InputLines::request(&opened.chip, &lines).map_err(|error| {
            opened.refused(
                error,
                lines.iter().map(|l| l.offset).zip(mine.iter().map(|m| m.1)),
            )
        })?;
        let _ = self.inputs.push(requested);
        Ok(reader)
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        // The lines go with their requests; a handler must not reach for them.
        for slot in core::mem::take(&mut self.emergency) {
            slot.clear();
        }
    }
}

/// Takes the watchdog over if it runs, or if only opening it tells whether it can be had:
/// one that is at rest and that this process may open is armed when there is something
/// to watch.
fn find_watchdog(requested: &WatchdogConfig) -> Result<FoundWatchdog, WatchdogError> {
    let path = Path::new(&requested.device);
    let standing = Standing::read(Path::new("/"), path);
    // Known before it is armed, and so before anything is energised.
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

/// What makes `output` safe, as the loop's driver would send it.
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

/// The pin, if it is on the chip with this index.
fn on(pin: &Option<Pin>, chip: usize) -> Option<&Pin> {
    pin.as_ref().filter(|pin| pin.gpio == chip)
}

/// An open GPIO chip, with what is needed to say what is wrong with it.
struct Chip<'c> {
    config: &'c Config,
    index: usize,
    chip: KernelChip,
    info: gpio::ChipInfo,
}

impl<'c> Chip<'c> {
    fn find(config: &'c Config, index: usize, first: &Pin) -> Result<Self, ConfigError> {
        let entry = &config.io.gpio[index];
        let chips = KernelChips::default();
        let (chip, info) = gpio::find_chip(&chips, &entry.chip).map_err(|error| {
            probe::gpio_error(config, &chips, index, entry.position, first, error)
        })?;
        Ok(Self {
            config,
            index,
            chip,
            info,
        })
    }

    fn offset(&self, pin: &Pin) -> Result<u32, ConfigError> {
        let line = match &pin.line {
            Line::Offset(offset) => LineId::Offset(*offset),
            Line::Name(name) => LineId::Name(name),
        };
        gpio::find_line(&self.chip, &self.info, line)
            .map_err(|error| self.error(pin.position, pin, error))
    }

    /// The kernel's refusal of a request, at the line that it is about.
    fn refused<'p>(
        &self,
        error: GpioError,
        lines: impl Iterator<Item = (u32, &'p Pin)>,
    ) -> ConfigError {
        let mut lines = lines.collect::<Vec<_>>().into_iter();
        let all = lines.as_slice().first().map(|(_, pin)| *pin);
        let one = match error {
            GpioError::Busy { offset, .. } | GpioError::DuplicateLine { offset } => {
                lines.find(|(line, _)| *line == offset).map(|(_, pin)| pin)
            }
            _ => None,
        };
        let position = one.map_or(self.config.io.gpio[self.index].position, |pin| pin.position);
        let pin = one.or(all).expect("a request has at least one line");
        self.error(position, pin, error)
    }

    fn error(&self, position: Position, pin: &Pin, error: GpioError) -> ConfigError {
        let chips = KernelChips::default();
        probe::gpio_error(self.config, &chips, self.index, position, pin, error)
    }
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

/// Mode of whatever chips are on this SPI device.
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
        let mut result = Ok(());
        for lines in &mut self.outputs {
            if lines.write(levels).is_err() {
                result = Err(OutputError::Digital);
            }
        }
        result
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
