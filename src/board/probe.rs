//! Checks the devices of a board file on this machine without using them.
//!
//! It lists all missing devices at once, and works while a controller is running. So it requests
//! no line, and does not open a device whose state opening would change: a watchdog would
//! start.
//!
//! Devices are compared by their numbers: two paths, one of them a symbolic link, can be one
//! device. All of it allocates.

use std::path::{Path, PathBuf};

use crate::config::{self, Config, ConfigError, DigitalInput, Line, Pin, Position};
use crate::device::gpio::{
    self, Chip, ChipInfo, Chips, GpioError, InputLine, KernelChips, LineId, Requested, flag,
};
use crate::device::i2c;
use crate::device::pwm::{self, PwmError};
use crate::device::spi;
use crate::device::spi::irq::{self, IrqError};
use crate::device::{node, watchdog};
use crate::sys::sort::sort_by_key;
use crate::sys::{self, Errno};

/// The machine to check.
#[derive(Copy, Clone, Debug)]
pub struct Machine<'m, C = KernelChips> {
    /// Its GPIO chips.
    pub chips: C,
    /// Its root directory, `/` on a running system.
    pub root: &'m Path,
}

impl Default for Machine<'_> {
    /// This machine.
    fn default() -> Self {
        Self {
            chips: KernelChips::default(),
            root: Path::new("/"),
        }
    }
}

/// All devices of `config` that `machine` does not have or would refuse, in the order of the
/// file. Empty if the machine has all of them. A line that a running steadfast controller uses is not listed.
pub fn missing<C: Chips>(config: &Config, machine: &Machine<'_, C>) -> Vec<ConfigError> {
    let mut probe = Probe::new(config, machine);
    probe.gpio(Depth::Everything);
    probe.spi(Depth::Everything);
    probe.i2c(Depth::Everything);
    probe.pwm(Depth::Everything);
    probe.watchdog();
    probe.in_order()
}

/// Devices and lines that `config` has twice under different names.
pub(super) fn doubles<C: Chips>(config: &Config, machine: &Machine<'_, C>) -> Vec<ConfigError> {
    let mut probe = Probe::new(config, machine);
    probe.gpio(Depth::Doubles);
    probe.spi(Depth::Doubles);
    probe.i2c(Depth::Doubles);
    probe.pwm(Depth::Doubles);
    probe.in_order()
}

/// Warnings about `machine` before `config` runs on it, each one line, `what; remedy`.
pub fn warnings<C>(config: &Config, machine: &Machine<'_, C>) -> Vec<String> {
    let watchdog = config.watchdog.iter().filter_map(|requested| {
        watchdog::no_way_out_warning(
            machine.root,
            Path::new(&requested.device),
            requested.timeout_s,
        )
    });
    let hidden = config.io.spi.iter().filter_map(|entry| {
        entry.irq_priority?;
        let error = irq::find(machine.root, Path::new(&entry.path)).err()?;
        (error == IrqError::Hidden).then(|| format!("{}: {error}", entry.path))
    });
    watchdog.chain(hidden).collect()
}

/// What to check.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Depth {
    /// Double use only. Other errors are found when the device is opened.
    Doubles,
    /// Everything that opening would refuse.
    Everything,
}

/// A kind of bus and the texts for its errors.
struct Bus {
    /// Header of its tables.
    header: &'static str,
    /// Prefix of the kernel's names of its nodes.
    kernel_name: &'static str,
    /// The message for a refusal.
    refusal: fn(Refused, &Path) -> String,
    /// The remedy for a node that is used twice.
    fix: &'static str,
}

/// Why a device node cannot be used.
#[derive(Copy, Clone)]
enum Refused {
    /// It cannot be opened.
    Open(Errno),
    /// It is a device of another kind.
    Query(Errno),
}

/// A line of the file and the channel that uses it.
struct Wired<'c> {
    /// Header of the channel's table.
    title: String,
    pin: &'c Pin,
    input: Option<(&'c DigitalInput, u8)>,
}

struct Probe<'l, 'm, C> {
    config: &'l Config,
    machine: &'l Machine<'m, C>,
    errors: Vec<ConfigError>,
}

impl<'l, 'm, C: Chips> Probe<'l, 'm, C> {
    fn new(config: &'l Config, machine: &'l Machine<'m, C>) -> Self {
        Self {
            config,
            machine,
            errors: Vec::new(),
        }
    }

    fn in_order(mut self) -> Vec<ConfigError> {
        let key = |error: &ConfigError| {
            error
                .position
                .map(|position| (position.line, position.column))
        };
        sort_by_key(&mut self.errors, key);
        self.errors
    }

    fn say(&mut self, position: Position, what: &str) {
        self.errors.push(self.config.device_error(position, what));
    }

    /// All lines on the GPIO chip with this index.
    fn wired(&self, chip: usize) -> Vec<Wired<'l>> {
        let io = &self.config.io;
        let inputs = io.inputs.iter().zip(0_u8..).map(|(input, channel)| {
            let title = format!("[input.{}]", input.name);
            (title, &input.pin, Some((input, channel)))
        });
        let outputs = io
            .outputs
            .iter()
            .map(|output| (format!("[output.{}]", output.name), &output.pin, None));
        inputs
            .chain(outputs)
            .filter_map(|(title, pin, input)| {
                let pin = pin.as_ref().filter(|pin| pin.gpio == chip)?;
                Some(Wired { title, pin, input })
            })
            .collect()
    }

    fn gpio(&mut self, depth: Depth) {
        let mut chips: Vec<(u64, usize)> = Vec::new();
        for (index, entry) in self.config.io.gpio.iter().enumerate() {
            let wired = self.wired(index);
            // A chip without lines in the file is never opened.
            let Some(first) = wired.first() else { continue };
            let found = gpio::find_chip(&self.machine.chips, &entry.chip).and_then(|found| {
                let device = found.0.device().map_err(GpioError::Open)?;
                Ok((found, device))
            });
            let ((chip, info), device) = match found {
                Ok(found) => found,
                Err(error) => {
                    self.gpio_error(depth, index, entry.position, first.pin, error);
                    continue;
                }
            };
            match chips.iter().find(|(other, _)| *other == device) {
                Some((_, other)) => {
                    let other = &self.config.io.gpio[*other];
                    let what = format!(
                        "[gpio.{}] is the same chip as [gpio.{}] in line {}, {}; remove one, and use the other for all its lines",
                        entry.name, other.name, other.position.line, info.name
                    );
                    self.say(entry.position, &what);
                    continue;
                }
                None => chips.push((device, index)),
            }
            self.lines(depth, index, (&chip, &info), &wired);
            // Mapping accesses no register.
            if depth == Depth::Everything
                && let Some(by) = &entry.registers
                && (wired.iter()).any(|wired| match wired.input {
                    Some(_) => by.inputs,
                    None => by.outputs,
                })
                && let Err(error) = by.place().map(self.machine.root, by.bank.block_bytes())
            {
                self.say(entry.position, &error.explain(by.place().path).to_string());
            }
        }
    }

    fn lines<L: Chip>(
        &mut self,
        depth: Depth,
        index: usize,
        (chip, info): (&L, &ChipInfo),
        wired: &[Wired<'_>],
    ) {
        let mut used: Vec<(u32, &Wired<'_>)> = Vec::new();
        let mut inputs = Vec::new();
        for at in wired {
            let line = match &at.pin.line {
                Line::Offset(offset) => LineId::Offset(*offset),
                Line::Name(name) => LineId::Name(name),
            };
            let offset = match gpio::find_line(chip, info, line) {
                Ok(offset) => offset,
                Err(error) => {
                    self.gpio_error(depth, index, at.pin.position, at.pin, error);
                    continue;
                }
            };
            if let Some((_, other)) = used.iter().find(|(taken, _)| *taken == offset) {
                let what = format!(
                    "{} uses line {offset} of [gpio.{}], as does {} in line {}; give each its own line",
                    at.title, self.config.io.gpio[index].name, other.title, other.pin.position.line
                );
                self.say(at.pin.position, &what);
                continue;
            }
            used.push((offset, at));
            if let Some((input, channel)) = at.input {
                inputs.push(input_line(input, channel, offset));
                if let Some(what) = config::bias::ignored(info.label.as_str(), input.bias) {
                    self.say(at.pin.position, &what);
                }
            }
            match chip.line_info(offset) {
                Ok(line) if line.flags & flag::USED != 0 && line.consumer != gpio::CONSUMER => {
                    let consumer = line.consumer;
                    let error = GpioError::Busy { offset, consumer };
                    self.gpio_error(depth, index, at.pin.position, at.pin, error);
                }
                Ok(_) => {}
                Err(errno) => {
                    let error = GpioError::Get(errno);
                    self.gpio_error(depth, index, at.pin.position, at.pin, error);
                }
            }
        }
        if let (Some(first), Err(error)) = (wired.first(), gpio::check_inputs(&inputs)) {
            let position = self.config.io.gpio[index].position;
            self.gpio_error(depth, index, position, first.pin, error);
        }
    }

    fn gpio_error(
        &mut self,
        depth: Depth,
        index: usize,
        position: Position,
        pin: &Pin,
        error: GpioError,
    ) {
        if depth == Depth::Everything {
            let error = gpio_error(
                self.config,
                &self.machine.chips,
                index,
                position,
                pin,
                error,
            );
            self.errors.push(error);
        }
    }

    fn spi(&mut self, depth: Depth) {
        let config = self.config;
        let bus = Bus {
            header: "spi",
            kernel_name: "",
            refusal: |refused, path| {
                let error = match refused {
                    Refused::Open(errno) => spi::OpenError::Open(errno),
                    Refused::Query(errno) => spi::OpenError::Query(errno),
                };
                error.explain(path).to_string()
            },
            fix: "use one device for each chip, as each has its own chip select",
        };
        if depth == Depth::Everything {
            for entry in &config.io.spi {
                // Mapping accesses no register.
                if let Some((_, place)) = entry.place()
                    && let Err(error) =
                        place.map(self.machine.root, spi::registers::Kind::BLOCK_BYTES)
                {
                    self.say(entry.position, &error.explain(place.path).to_string());
                }
            }
        }
        let nodes: Vec<_> = (config.io.spi.iter())
            .filter(|entry| entry.registers.is_none())
            .collect();
        let entries = nodes.iter();
        let entries = entries.map(|entry| (&*entry.name, &*entry.path, entry.position));
        for index in self.nodes(depth, &bus, &entries.collect::<Vec<_>>()) {
            let entry = nodes[index];
            if depth == Depth::Everything
                && entry.irq_priority.is_some()
                && let Err(error) = irq::find(self.machine.root, Path::new(&entry.path))
                // Reported by `warnings`.
                && error != IrqError::Hidden
            {
                self.say(entry.position, &error.to_string());
            }
        }
    }

    fn i2c(&mut self, depth: Depth) {
        let config = self.config;
        let bus = Bus {
            header: "i2c",
            kernel_name: "i2c-",
            refusal: |refused, path| {
                let error = match refused {
                    Refused::Open(errno) => i2c::OpenError::Open(errno),
                    Refused::Query(errno) => i2c::OpenError::Query(errno),
                };
                error.explain(path).to_string()
            },
            fix: "remove one of them, chips of one adapter differ by address",
        };
        let entries = config.io.i2c.iter();
        let entries = entries.map(|entry| (&*entry.name, &*entry.path, entry.position));
        for index in self.nodes(depth, &bus, &entries.collect::<Vec<_>>()) {
            let entry = &config.io.i2c[index];
            let path = Path::new(&entry.path);
            if !sys::may_write(&node::under(self.machine.root, path)) {
                let refused = Refused::Open(Errno(libc::EACCES));
                self.refused(depth, &bus, entry.position, refused, path);
            }
        }
    }

    /// Checks the device nodes `entries` of `bus` (name, path and position). Gives the indices of
    /// those that exist and are used once.
    fn nodes(&mut self, depth: Depth, bus: &Bus, entries: &[(&str, &str, Position)]) -> Vec<usize> {
        let mut numbers: Vec<(u64, usize)> = Vec::new();
        let root = self.machine.root;
        for (index, (name, path, position)) in entries.iter().enumerate() {
            let node = Path::new(path);
            let number = match node::number(root, node) {
                Ok(number) => number.filter(|_| {
                    bus.kernel_name.is_empty()
                        || node::kernel_name(root, node)
                            .is_some_and(|kernel| kernel.starts_with(bus.kernel_name))
                }),
                Err(error) => {
                    self.refused(depth, bus, *position, Refused::Open(error.into()), node);
                    continue;
                }
            };
            let Some(number) = number else {
                let refused = Refused::Query(Errno(libc::ENOTTY));
                self.refused(depth, bus, *position, refused, node);
                continue;
            };
            if let Some((_, other)) = numbers.iter().find(|(taken, _)| *taken == number) {
                let (header, fix) = (bus.header, bus.fix);
                let (other, other_path, other_place) = entries[*other];
                let what = format!(
                    "[{header}.{name}] {path} is the same device as [{header}.{other}] in line {}, {other_path}; {fix}",
                    other_place.line
                );
                self.say(*position, &what);
                continue;
            }
            numbers.push((number, index));
        }
        numbers.into_iter().map(|(_, index)| index).collect()
    }

    fn refused(
        &mut self,
        depth: Depth,
        bus: &Bus,
        position: Position,
        refused: Refused,
        path: &Path,
    ) {
        if depth == Depth::Everything {
            self.say(position, &(bus.refusal)(refused, path));
        }
    }

    fn pwm(&mut self, depth: Depth) {
        let config = self.config;
        let mut channels: Vec<(PathBuf, usize)> = Vec::new();
        for (index, entry) in config.io.pwm.iter().enumerate() {
            let found = pwm::find_chip(self.machine.root, &entry.chip);
            let found = found.ok_or(PwmError::NoChip(Errno(libc::ENOENT)));
            let answer = found.and_then(|chip| pwm::check(&chip, entry.channel).map(|()| chip));
            let chip = match answer {
                Ok(chip) => chip.canonicalize().unwrap_or(chip),
                Err(error) => {
                    if depth == Depth::Everything {
                        let chip = Path::new(&entry.chip);
                        self.say(entry.position, &error.explain(chip).to_string());
                    }
                    continue;
                }
            };
            let same = |(other, at): &&(PathBuf, usize)| {
                *other == chip && config.io.pwm[*at].channel == entry.channel
            };
            if let Some((_, other)) = channels.iter().find(same) {
                let other = &config.io.pwm[*other];
                let what = format!(
                    "[pwm.{}] is the same channel as [pwm.{}] in line {}, {} of {}; give each its own channel",
                    entry.name, other.name, other.position.line, other.channel, other.chip
                );
                self.say(entry.position, &what);
                continue;
            }
            channels.push((chip, index));
        }
    }

    fn watchdog(&mut self) {
        let Some(requested) = &self.config.watchdog else {
            return;
        };
        let path = Path::new(&requested.device);
        let error = match node::number(self.machine.root, path) {
            Ok(Some(_)) => watchdog::refusal(self.machine.root, path, requested.timeout_s),
            Ok(None) => Some(watchdog::WatchdogError::Support(Errno(libc::ENOTTY))),
            Err(error) => Some(watchdog::WatchdogError::Open(error.into())),
        };
        if let Some(error) = error {
            self.say(requested.position, &error.explain(path).to_string());
        }
    }
}

/// The request for `input`.
pub(super) fn input_line(input: &DigitalInput, channel: u8, offset: u32) -> InputLine {
    InputLine {
        channel,
        offset,
        active_low: input.active_low,
        bias: input.bias,
        latch: input.latch,
    }
}

/// `error` of the GPIO chip with this index, as an error at `position`.
pub(super) fn gpio_error(
    config: &Config,
    chips: &impl Chips,
    chip: usize,
    position: Position,
    pin: &Pin,
    error: GpioError,
) -> ConfigError {
    let present = gpio::present_chips(chips);
    let line = match &pin.line {
        Line::Offset(offset) => offset.to_string(),
        Line::Name(name) => name.clone(),
    };
    let requested = Requested {
        chip: &config.io.gpio[chip].chip,
        line: &line,
        present: &present,
    };
    config.device_error(position, &error.explain(requested).to_string())
}
