//! [`Ports`]: reads all inputs of the board into the process image, and writes its outputs.
//!
//! One implementation for the simulated board and for the kernel's devices, which differ only
//! in [`Devices`]. A failed transfer is retried if the cycle has time, and a device that fails
//! too often in a row is lost: see [`failing`], which costs nothing in a cycle without a
//! failure. The time of a sample is described in [`encoder`]. Nothing here allocates after
//! [`Ports::new`].
//!
//! # The safe-state latch
//!
//! The stall guard and the crash handlers make the outputs safe from another thread,
//! permanently. This thread checks that before each write (all lines together, each frame, each
//! retry), and from then on writes only safe values. A write of this thread that was in the
//! kernel, or preempted between check and call, can still follow the safe values. So the check
//! is repeated after the last write, and safe values are then written again at once. If this
//! thread no longer runs, such a write cannot be recalled: a frame that waits for the bus while
//! another thread crashes is sent after the safe frame.

mod devices;
mod encoder;
pub(super) mod failing;
mod own;
#[cfg(test)]
mod tests;

use heapless::Vec;

use super::links::LoopLinks;
use crate::config::{self, Io, MAX_SHUTDOWN};
use crate::cycle::force::Forces;
use crate::cycle::image::{
    InputError, Inputs, Lost, MAX_ANALOG_INPUTS, MAX_ANALOG_OUTPUTS, MAX_POSITIONS, OutputError,
    Outputs, Sample,
};
use crate::cycle::ports::{Act, Sense, Tick};
use crate::cycle::word::Word;
use crate::driver::{mcp3208, mcp4922};
use crate::sys::arena::Placed;
use crate::time::{Duration, Instant};
pub use devices::Devices;
use encoder::{Encoder, later};
use failing::{Budget, DebounceCounter};
use own::Own;

struct AnalogOutput {
    spi: usize,
    channel: mcp4922::Channel,
    scale: mcp4922::Scale,
    safe_volts: f64,
    failures: DebounceCounter,
}

struct AnalogInput {
    spi: usize,
    input: mcp3208::Input,
    vref_volts: f64,
    min_volts: f64,
    max_volts: f64,
    failures: DebounceCounter,
}

/// An analog output that an analog input monitors.
struct Monitor {
    output: usize,
    config: config::Monitor,
    /// Expected input in this cycle, V; `None` before the first write.
    expected: Option<f64>,
    deviations: DebounceCounter,
}

/// The devices of a board as the ports of the loop.
pub struct Ports<D> {
    /// The devices.
    pub devices: D,
    encoders: Vec<Encoder, MAX_POSITIONS>,
    analog_inputs: Vec<AnalogInput, MAX_ANALOG_INPUTS>,
    analog_outputs: Vec<AnalogOutput, MAX_ANALOG_OUTPUTS>,
    monitors: Vec<Monitor, MAX_ANALOG_OUTPUTS>,
    safe_levels: u32,
    /// The last written levels of the digital outputs.
    levels: u32,
    /// The digital outputs of each shutdown step, in shutdown order.
    steps: Vec<u32, { MAX_SHUTDOWN as usize }>,
    /// The analog outputs in shutdown order.
    analog_shutdown: Vec<usize, MAX_ANALOG_OUTPUTS>,
    /// Commands of `[device.X]`.
    own: Option<Own>,
    budget: Budget,
    /// The first device that exceeded its tolerated failures.
    lost: Option<Lost>,
    links: Option<Placed<LoopLinks>>,
}

/// The index of the SPI device of each channel, by kind and in channel order: the argument of
/// [`Devices::spi`].
#[derive(Clone, Debug, Default)]
pub struct SpiMap {
    /// SPI devices of the encoders.
    pub encoders: std::vec::Vec<usize>,
    /// SPI devices of the analog outputs.
    pub analog_outputs: std::vec::Vec<usize>,
    /// SPI devices of the analog inputs.
    pub analog_inputs: std::vec::Vec<usize>,
}

/// The converter channel of `output`.
pub(super) fn channel_of(output: &config::AnalogOutput) -> mcp4922::Channel {
    mcp4922::Channel::numbered(output.channel).expect("checked to be one of the chip's")
}

/// The safe levels of all digital outputs, by channel.
fn safe_levels(io: &Io) -> u32 {
    io.outputs
        .iter()
        .enumerate()
        .fold(0, |levels, (channel, output)| {
            levels | u32::from(output.safe) << channel
        })
}

impl<D: Devices> Ports<D> {
    /// The channels of `io` on `devices`.
    ///
    /// # Panics
    /// If `map` has fewer entries than `io` has channels, or if `io` has more channels than the
    /// process image or values that the reader of board files refuses.
    #[must_use]
    pub fn new(devices: D, io: &Io, map: &SpiMap) -> Self {
        let encoders = map.encoders.iter().map(|&spi| Encoder::new(spi));
        let analog_inputs = io
            .analog_inputs
            .iter()
            .zip(&map.analog_inputs)
            .map(|(input, &spi)| AnalogInput {
                spi,
                input: mcp3208::Input::single(input.channel).expect("checked to be 0 to 7"),
                vref_volts: input.vref_volts,
                min_volts: input.min_volts,
                max_volts: input.max_volts,
                failures: DebounceCounter::tolerating(input.tolerated_failures),
            });
        let analog_outputs =
            io.analog_outputs
                .iter()
                .zip(&map.analog_outputs)
                .map(|(output, &spi)| AnalogOutput {
                    spi,
                    channel: channel_of(output),
                    scale: mcp4922::Scale::new(output.min_volts, output.max_volts)
                        .expect("checked to be a range"),
                    safe_volts: output.safe_volts,
                    failures: DebounceCounter::tolerating(output.tolerated_failures),
                });
        let monitors = io.analog_outputs.iter().enumerate();
        let monitors = monitors.filter_map(|(output, config)| {
            config.monitor.map(|config| Monitor {
                output,
                config,
                expected: None,
                deviations: DebounceCounter::tolerating(Some(config.tolerated_cycles)),
            })
        });
        let calls = 2 + encoders.len() + analog_inputs.len() + analog_outputs.len();
        Self {
            devices,
            encoders: encoders.collect(),
            analog_inputs: analog_inputs.collect(),
            analog_outputs: analog_outputs.collect(),
            monitors: monitors.collect(),
            safe_levels: safe_levels(io),
            levels: safe_levels(io),
            steps: io.shutdown_steps().collect(),
            analog_shutdown: io.analog_shutdown().collect(),
            own: None,
            budget: Budget::none(calls),
            lost: None,
            links: None,
        }
    }

    /// Adds the commands of links, and shows them the cycles.
    #[must_use]
    pub(super) fn with_links(mut self, links: Option<Placed<LoopLinks>>) -> Self {
        self.links = links;
        self
    }

    /// Enables retries of failed transfers that fit before the cycle's deadline, `deadline`
    /// after its release.
    #[must_use]
    pub fn retrying_until(mut self, deadline: Duration) -> Self {
        self.budget.deadline = deadline;
        self
    }

    fn write_analog(&mut self, channel: usize, volts: f64) -> Result<(), mcp4922::Error> {
        let output = &self.analog_outputs[channel];
        let converted = output.scale.code(volts)?;
        let mut dac = mcp4922::Mcp4922::new(self.devices.spi(output.spi));
        dac.write(output.channel, converted.code)
    }

    /// Handles a failed write of an analog output: safe value, retry, or loss of the device.
    #[cold]
    fn write_failed(&mut self, channel: usize, volts: f64, tick: &Tick) -> Result<(), OutputError> {
        if !volts.is_finite() {
            // Otherwise the converter would hold the last command. If this fails too, the end
            // of the run writes it again.
            let _ = self.write_analog(channel, self.analog_outputs[channel].safe_volts);
            return Err(OutputError::NotFinite(channel as u8));
        }
        let done = 3 + self.encoders.len() + self.analog_inputs.len() + channel;
        if self.budget.allows(D::now(tick), tick, done)
            && !self.devices.latched()
            && self.write_analog(channel, volts).is_ok()
        {
            return Ok(());
        }
        if self.analog_outputs[channel].failures.exceeded(tick) {
            self.lose(Lost::AnalogOutput(channel as u8));
        }
        Err(OutputError::Analog(channel as u8))
    }

    /// Writes safe values again after the safe-state latch was set, and gives the error that
    /// ends the loop.
    #[cold]
    fn repeat_safe(&mut self, tick: &Tick) -> Result<(), OutputError> {
        let _ = self.safe(tick);
        Err(OutputError::Digital)
    }

    #[cold]
    fn lose(&mut self, lost: Lost) {
        // The first loss is kept, but one that ends the loop at once replaces one that does not.
        if self
            .lost
            .is_none_or(|before| before.can_stop() && !lost.can_stop())
        {
            self.lost = Some(lost);
        }
    }

    /// Handles an analog input that was not read or is out of its limits: retry, or loss of the
    /// device.
    #[cold]
    fn read_failed(
        &mut self,
        channel: usize,
        error: InputError,
        tick: &Tick,
        began: Instant,
    ) -> Sample<f64> {
        let before = self.encoders.len() + channel;
        let mut read = Sample {
            value: Err(error),
            at: began,
        };
        // A value out of its limits was read correctly, so it is not read again.
        if error != InputError::OutOfRange {
            let now = D::now(tick);
            if self.budget.allows(now, tick, before + 2) {
                read = Sample {
                    value: self.read_analog(channel),
                    at: began + later(now.since(tick.now), before, before + 2),
                };
            }
        }
        if let Err(error) = read.value
            && self.analog_inputs[channel].failures.exceeded(tick)
        {
            self.lose(Lost::AnalogInput(channel as u8, error));
        }
        read
    }

    #[inline]
    fn read_analog(&mut self, channel: usize) -> Result<f64, InputError> {
        let input = &self.analog_inputs[channel];
        let mut adc = mcp3208::Mcp3208::new(self.devices.spi(input.spi), input.vref_volts)
            .ok_or(InputError::OutOfRange)?;
        let volts = adc.read_volts(input.input)?;
        if volts < input.min_volts || volts > input.max_volts {
            return Err(InputError::OutOfRange);
        }
        Ok(volts)
    }

    /// Compares monitored outputs with their commands. An input that could not be read is
    /// counted for the input, not for the output.
    fn watch(&mut self, tick: &Tick, inputs: &Inputs) {
        let mut lost = None;
        for monitor in &mut self.monitors {
            let (Some(expected), Ok(seen)) = (
                monitor.expected,
                inputs.analogs[usize::from(monitor.config.input)].value,
            ) else {
                continue;
            };
            let off = (seen - expected).abs() > monitor.config.tolerance_volts;
            if off && monitor.deviations.exceeded(tick) {
                lost = Some(Lost::Monitored(monitor.output as u8));
            }
        }
        if let Some(lost) = lost {
            self.lose(lost);
        }
    }

    /// Computes the expected inputs from the written commands, for [`Ports::watch`] in the next
    /// cycle.
    fn expect(&mut self, volts: impl Fn(usize) -> f64) {
        for monitor in &mut self.monitors {
            let scale = &self.analog_outputs[monitor.output].scale;
            let volts = volts(monitor.output).clamp(scale.min_volts(), scale.max_volts());
            let config = &monitor.config;
            monitor.expected = Some(config.volts_at_0 + config.volts_per_volt * volts);
        }
    }
}

/// The result that decides, of two in one cycle: a non-finite command, which ends the run at
/// once; otherwise the first error.
#[cold]
fn graver(
    first: Result<(), OutputError>,
    second: Result<(), OutputError>,
) -> Result<(), OutputError> {
    match (first, second) {
        (Err(OutputError::NotFinite(_)), _) => first,
        (_, Err(OutputError::NotFinite(_))) => second,
        _ => first.and(second),
    }
}

impl<D: Devices> Sense for Ports<D> {
    #[inline]
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs) {
        let began = self.devices.advance(tick);
        inputs.digital = self.devices.digital_inputs();
        for (before, (encoder, position)) in
            (self.encoders.iter_mut().zip(&mut inputs.positions)).enumerate()
        {
            *position = encoder.read(&mut self.devices, &self.budget, tick, began, before);
        }
        for channel in 0..self.analog_inputs.len() {
            inputs.analogs[channel] = match self.read_analog(channel) {
                Ok(volts) => Sample {
                    value: Ok(volts),
                    at: began,
                },
                Err(error) => self.read_failed(channel, error, tick, began),
            };
        }
        if self.own.is_some()
            && let Some(lost) = self.devices.sense_own(tick, inputs, began)
        {
            self.lose(lost);
        }
        if !self.monitors.is_empty() {
            self.watch(tick, inputs);
        }
        if let Some(links) = &mut self.links {
            links.receive(tick, inputs, self.levels);
        }
    }

    #[inline]
    fn changed(&self) -> bool {
        self.links.is_some() && LoopLinks::changed()
    }

    #[inline]
    fn forces(&mut self) -> Option<&mut Forces> {
        self.links.as_mut()?.forces()
    }
}

impl<D: Devices> Act for Ports<D> {
    fn safe_image(&self) -> Outputs {
        if let Some(own) = &self.own {
            return own.safe;
        }
        let volts: Vec<f64, MAX_ANALOG_OUTPUTS> =
            (self.analog_outputs.iter().map(|output| output.safe_volts)).collect();
        Outputs::new(self.safe_levels, &volts)
    }

    /// Digital outputs first, so that a converter that does not answer cannot delay the enable.
    #[inline]
    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        if self.devices.latched() {
            return self.repeat_safe(tick);
        }
        self.levels = outputs.digital;
        let mut result = self.devices.digital_outputs(outputs.digital);
        for channel in 0..self.analog_outputs.len() {
            if self.devices.latched() {
                return self.repeat_safe(tick);
            }
            let volts = outputs.analogs[channel];
            if self.write_analog(channel, volts).is_err() {
                let written = self.write_failed(channel, volts, tick);
                result = graver(result, written);
            }
        }
        if self.own.is_some() {
            result = graver(result, self.drive_own(tick, outputs));
        }
        if self.devices.latched() {
            return self.repeat_safe(tick);
        }
        if !self.monitors.is_empty() {
            self.expect(|output| outputs.analogs[output]);
        }
        match (self.lost, result) {
            // After a lost sensor the law still brings the machine to rest, but not with
            // non-finite commands or failing outputs: these results come first.
            (None, _) | (Some(_), Err(OutputError::NotFinite(_))) => result,
            (Some(lost), Err(_)) if lost.can_stop() => result,
            (Some(lost), _) => Err(OutputError::Lost(lost)),
        }
    }

    #[inline]
    fn publish(
        &mut self,
        tick: &Tick,
        inputs: &Inputs,
        outputs: &Outputs,
        status: impl FnOnce(&[Word]),
    ) {
        if let Some(links) = &mut self.links {
            links.publish(tick, inputs, outputs, status);
        }
    }

    /// In shutdown order, as the safe actions of a crash. A failed write is retried once,
    /// without regard to the deadline: a safe output is more important. Outputs that the guard
    /// or a crash handler has made safe are written again, because its frames may have failed.
    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError> {
        let mut result = Ok(());
        for step in 0..self.steps.len() {
            let mask = self.steps[step];
            if self.devices.latched() {
                // All lines are safe already, so the later steps must not be driven again.
                self.levels = self.safe_levels;
            }
            self.levels = self.levels & !mask | self.safe_levels & mask;
            result = result.and(self.devices.safe_digital_outputs(self.levels));
        }
        for at in 0..self.analog_shutdown.len() {
            let channel = self.analog_shutdown[at];
            let volts = self.analog_outputs[channel].safe_volts;
            let written = self
                .write_analog(channel, volts)
                .or_else(|_| self.write_analog(channel, volts))
                .map_err(|_| OutputError::Analog(channel as u8));
            result = result.and(written);
        }
        if let Some(own) = &self.own {
            result = result.and(self.devices.safe_own(tick, &own.safe));
        }
        for monitor in &mut self.monitors {
            monitor.expected = None;
        }
        // A loss in the rehearsal is forgotten: if the device still fails in the run, it is lost
        // then.
        self.lost = None;
        result
    }
}
