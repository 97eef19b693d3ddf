//! A real board: the kernel's devices, opened as the board file says.
//!
//! When this is done every output is requested at its safe value, every SPI
//! device is configured and read back, and what drives the outputs safe, in the
//! board file's order, is where a signal handler and the stall guard find it.

use std::os::fd::AsFd;
use std::path::Path;

use super::ports::{Devices, SpiMap};
use crate::config::{
    AnalogOutput, Bias, Config, ConfigError, Io, Line, Pin, Place, SpiDevice as SpiEntry,
};
use crate::cycle::image::{DigitalInputs, InputError, OutputError};
use crate::cycle::ports::{Clock, Tick};
use crate::device::gpio::{
    self, EdgeReader, GpioError, InputLine, InputLines, KernelChip, KernelChips, KernelEvents,
    KernelLines, LineId, OutputLine, OutputLines, Wanted,
};
use crate::device::spi::{SpiConfig, Spidev, irq};
use crate::device::watchdog::Watchdog;
use crate::driver::{as5047p, mcp3208, mcp4922};
use crate::realtime::clock::Monotonic;
use crate::sys::{Errno, emergency};
use crate::time::Instant;

/// Most devices of a kind; the board file allows no more.
const MAX: usize = crate::config::MAX_DEVICES;

/// The kernel's devices of a board.
pub struct Linux {
    inputs: heapless::Vec<InputLines<KernelLines>, MAX>,
    outputs: heapless::Vec<OutputLines<KernelLines>, MAX>,
    spi: heapless::Vec<Spidev, MAX>,
    emergency: heapless::Vec<emergency::Slot, { emergency::CAPACITY }>,
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
    /// The armed watchdog, where the board file asks for one.
    pub watchdog: Option<Watchdog>,
}

impl Linux {
    /// Opens and configures everything that `config` names.
    ///
    /// # Errors
    /// The first device that is missing, busy or refuses, with the place in the
    /// board file that names it.
    pub fn open(config: &Config) -> Result<Opened, ConfigError> {
        let io = &config.io;
        let mut linux = Self {
            inputs: heapless::Vec::new(),
            outputs: heapless::Vec::new(),
            spi: heapless::Vec::new(),
            emergency: heapless::Vec::new(),
        };
        let mut edge_readers = Vec::new();
        // Outputs first: from here on they are at their safe values, whatever
        // else is refused.
        for chip in 0..io.gpio.len() {
            linux.open_outputs(config, chip)?;
        }
        for chip in 0..io.gpio.len() {
            edge_readers.extend(linux.open_inputs(config, chip)?);
        }
        let index =
            |spi: Option<usize>| spi.expect("checked: a real board's channels name a device");
        for entry in &io.spi {
            let spi = open_spi(config, entry)?;
            // The board file has at most as many.
            let _ = linux.spi.push(spi);
        }
        linux.register_emergency(config, &index)?;
        // Last: from here on somebody has to feed it.
        let watchdog = config.watchdog.as_ref().map(|wanted| {
            let path = Path::new(&wanted.device);
            Watchdog::open(path, wanted.timeout_s).map_err(|error| {
                config.device_error(wanted.place, &error.explain(path).to_string())
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

    /// Looks whether everything that `config` names is there, without taking
    /// any of it: a controller that runs is not disturbed.
    ///
    /// # Errors
    /// The first device that is missing.
    pub fn probe(config: &Config) -> Result<(), ConfigError> {
        let inputs = config
            .io
            .inputs
            .iter()
            .filter_map(|input| input.pin.as_ref());
        let outputs = config
            .io
            .outputs
            .iter()
            .filter_map(|output| output.pin.as_ref());
        for pin in inputs.chain(outputs) {
            Chip::find(config, pin.gpio, pin)?.offset(pin)?;
        }
        let spi = config.io.spi.iter().map(|entry| (&entry.path, entry.place));
        let watchdog = config
            .watchdog
            .iter()
            .map(|watchdog| (&watchdog.device, watchdog.place));
        for (path, place) in spi.chain(watchdog) {
            if let Err(error) = std::fs::metadata(path) {
                let fix = "load its driver, enable it in the device tree, or name another";
                return Err(config.device_error(place, &format!("{path}: {error}; {fix}")));
            }
        }
        Ok(())
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
                ..OutputLine::default()
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
        let full = |errno: Errno| ConfigError {
            file: config.file.clone(),
            place: None,
            what: format!("too many outputs to be made safe in a crash ({errno})"),
            fix: "use fewer GPIO chips for outputs, or fewer places in `shutdown`".to_owned(),
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
            lines.push(InputLine {
                channel: *channel,
                offset: opened.offset(pin)?,
                active_low: input.active_low,
                bias: match input.bias {
                    Bias::AsIs => gpio::Bias::AsIs,
                    Bias::PullUp => gpio::Bias::PullUp,
                    Bias::PullDown => gpio::Bias::PullDown,
                    Bias::Disabled => gpio::Bias::Disabled,
                },
                debounce_us: 0,
                latch: input.latch,
            });
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

/// What makes `output` safe, as the loop's driver would send it.
fn safe_frame(output: &AnalogOutput) -> [u8; 2] {
    let scale = mcp4922::Scale::new(output.min_volts, output.max_volts);
    let code = scale.ok().and_then(|s| s.code(output.safe_volts).ok());
    mcp4922::command(
        output.channel,
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
        let (chip, info) = gpio::find_chip(&chips, &entry.chip)
            .map_err(|error| gpio_error(config, index, entry.place, first, error))?;
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
            .map_err(|error| gpio_error(self.config, self.index, pin.place, pin, error))
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
        let place = one.map_or(self.config.io.gpio[self.index].place, |pin| pin.place);
        let pin = one.or(all).expect("a request has at least one line");
        gpio_error(self.config, self.index, place, pin, error)
    }
}

fn gpio_error(
    config: &Config,
    chip: usize,
    place: Place,
    pin: &Pin,
    error: GpioError,
) -> ConfigError {
    let present = gpio::present_chips(&KernelChips::default());
    let line = match &pin.line {
        Line::Offset(offset) => offset.to_string(),
        Line::Name(name) => name.clone(),
    };
    let wanted = Wanted {
        chip: &config.io.gpio[chip].chip,
        line: &line,
        present: &present,
    };
    config.device_error(place, &error.explain(wanted).to_string())
}

/// Mode and fastest clock of whatever chips are on this SPI device.
fn spi_needs(io: &Io, index: usize) -> (embedded_hal::spi::Mode, u32) {
    let here = |spi: Option<usize>| spi == Some(index);
    if io.encoders.iter().any(|e| here(e.spi)) {
        (as5047p::SPI_MODE, as5047p::MAX_CLOCK_HZ)
    } else if io.analog_inputs.iter().any(|i| here(i.spi)) {
        (mcp3208::SPI_MODE, mcp3208::MAX_CLOCK_HZ_AT_5_V)
    } else {
        (mcp4922::SPI_MODE, mcp4922::MAX_CLOCK_HZ)
    }
}

fn open_spi(config: &Config, entry: &SpiEntry) -> Result<Spidev, ConfigError> {
    let index = config
        .io
        .spi
        .iter()
        .position(|other| other.name == entry.name);
    let (mode, fastest_hz) = spi_needs(&config.io, index.unwrap_or(0));
    if entry.speed_hz > fastest_hz {
        let what = format!(
            "[spi.{}] is clocked at {} Hz, its chip takes {fastest_hz} Hz at most; lower speed_hz",
            entry.name, entry.speed_hz
        );
        return Err(config.device_error(entry.place, &what));
    }
    let path = Path::new(&entry.path);
    let asked = SpiConfig {
        mode,
        max_speed_hz: entry.speed_hz,
    };
    let spi = Spidev::open(path, &asked)
        .map_err(|error| config.device_error(entry.place, &error.explain(path).to_string()))?;
    if let Some(priority) = entry.irq_priority {
        irq::set_priority(Path::new("/"), path, priority)
            .map_err(|error| config.device_error(entry.place, &error.to_string()))?;
    }
    Ok(spi)
}

impl Devices for Linux {
    type Spi<'a> = &'a mut Spidev;

    #[inline]
    fn withheld(&self) -> bool {
        emergency::taken()
    }

    #[inline]
    fn advance(&mut self, _: Instant) {}

    fn now(_: &Tick) -> Instant {
        Monotonic.now()
    }

    #[inline]
    fn spi(&mut self, index: usize) -> &mut Spidev {
        &mut self.spi[index]
    }

    #[inline]
    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        let mut all = DigitalInputs::default();
        for lines in &mut self.inputs {
            let part = lines.read().map_err(|_| InputError::Bus)?;
            all.levels |= part.levels;
            all.rose |= part.rose;
            all.fell |= part.fell;
        }
        Ok(all)
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
