//! The process image over the board's devices: channels to chips and back.
//!
//! One implementation for the simulated board and for the kernel's devices:
//! they differ in what stands behind [`Devices`], and the drivers do not know.

use embedded_hal::spi::SpiDevice;
use heapless::Vec;

use crate::config::{Io, MAX_SHUTDOWN};
use crate::cycle::image::{
    DigitalInputs, InputError, Inputs, MAX_ANALOG_INPUTS, MAX_ANALOG_OUTPUTS, MAX_POSITIONS,
    OutputError, Outputs,
};
use crate::cycle::ports::{Act, Sense, Tick};
use crate::driver::{as5047p, mcp3208, mcp4922};
use crate::time::Instant;

/// What a board's devices must offer the loop.
pub trait Devices {
    /// An SPI device as the drivers see it.
    type Spi<'a>: SpiDevice
    where
        Self: 'a;

    /// Whether somebody else has made the outputs safe, for good: a crash of
    /// another thread, or the stall guard. Nothing may be driven then.
    fn withheld(&self) -> bool {
        false
    }

    /// Called at the beginning of every cycle, before anything is read.
    fn advance(&mut self, release: Instant);

    /// SPI device `index`.
    fn spi(&mut self, index: usize) -> Self::Spi<'_>;

    /// All digital inputs, by channel.
    ///
    /// # Errors
    /// When any of them could not be read.
    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError>;

    /// Drives all digital outputs, by channel.
    ///
    /// # Errors
    /// When any of them could not be driven; the others were.
    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError>;
}

struct Encoder {
    spi: usize,
    driver: as5047p::State,
}

struct AnalogOutput {
    spi: usize,
    channel: mcp4922::Channel,
    scale: mcp4922::Scale,
    safe_volts: f64,
}

struct AnalogInput {
    spi: usize,
    input: mcp3208::Input,
    vref_volts: f64,
}

/// The devices of a board as the ports of the loop.
pub struct Ports<D> {
    /// The devices.
    pub devices: D,
    encoders: Vec<Encoder, MAX_POSITIONS>,
    analog_inputs: Vec<AnalogInput, MAX_ANALOG_INPUTS>,
    analog_outputs: Vec<AnalogOutput, MAX_ANALOG_OUTPUTS>,
    safe_levels: u32,
    /// What the digital outputs were last told.
    levels: u32,
    /// The digital outputs that go safe together, first those that go first.
    steps: Vec<u32, { MAX_SHUTDOWN as usize }>,
    /// The analog outputs in the order of shutting down.
    analog_shutdown: Vec<usize, MAX_ANALOG_OUTPUTS>,
}

/// Which SPI devices serve the channels of each kind, in channel order.
#[derive(Clone, Debug, Default)]
pub struct SpiMap {
    /// Of the encoders.
    pub encoders: std::vec::Vec<usize>,
    /// Of the analog outputs.
    pub analog_outputs: std::vec::Vec<usize>,
    /// Of the analog inputs.
    pub analog_inputs: std::vec::Vec<usize>,
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
    /// The channels of `io` over `devices`. Allocates nothing that lasts.
    ///
    /// # Panics
    /// When `map` has fewer entries than `io` has channels, or `io` more than a
    /// process image: board files are checked for that.
    #[must_use]
    pub fn new(devices: D, io: &Io, map: &SpiMap) -> Self {
        let encoders = map.encoders.iter().map(|&spi| Encoder {
            spi,
            driver: as5047p::State::new(as5047p::DIAGNOSIS_EVERY),
        });
        let analog_inputs = io
            .analog_inputs
            .iter()
            .zip(&map.analog_inputs)
            .map(|(input, &spi)| AnalogInput {
                spi,
                input: mcp3208::Input::single(input.channel).expect("checked to be 0 to 7"),
                vref_volts: input.vref_volts,
            });
        let analog_outputs =
            io.analog_outputs
                .iter()
                .zip(&map.analog_outputs)
                .map(|(output, &spi)| AnalogOutput {
                    spi,
                    channel: output.channel,
                    scale: mcp4922::Scale::new(output.min_volts, output.max_volts)
                        .expect("checked to be a range"),
                    safe_volts: output.safe_volts,
                });
        Self {
            devices,
            encoders: encoders.collect(),
            analog_inputs: analog_inputs.collect(),
            analog_outputs: analog_outputs.collect(),
            safe_levels: safe_levels(io),
            levels: safe_levels(io),
            steps: io.shutdown_steps().collect(),
            analog_shutdown: io.analog_shutdown().collect(),
        }
    }

    fn write_analog(&mut self, channel: usize, volts: f64) -> Result<(), OutputError> {
        let output = &self.analog_outputs[channel];
        let written = output.scale.code(volts).and_then(|converted| {
            let mut dac = mcp4922::Mcp4922::new(self.devices.spi(output.spi));
            dac.write(output.channel, converted.code)
        });
        written.map_err(|_| OutputError::Analog(channel as u8))
    }
}

impl<D: Devices> Sense for Ports<D> {
    #[inline]
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs) {
        self.devices.advance(tick.release);
        inputs.digital = self.devices.digital_inputs();
        for (encoder, position) in self.encoders.iter_mut().zip(&mut inputs.positions) {
            let spi = self.devices.spi(encoder.spi);
            let mut driver = as5047p::As5047p::resume(spi, encoder.driver);
            *position = driver.angle_pipelined().map_err(InputError::from);
            encoder.driver = driver.suspend();
        }
        for (input, volts) in self.analog_inputs.iter().zip(&mut inputs.analogs) {
            let read = mcp3208::Mcp3208::new(self.devices.spi(input.spi), input.vref_volts)
                .ok_or(InputError::OutOfRange)
                .and_then(|mut adc| adc.read_volts(input.input).map_err(InputError::from));
            *volts = read;
        }
    }
}

impl<D: Devices> Act for Ports<D> {
    /// Digital outputs first: a converter that does not answer must not keep
    /// the enable from falling.
    #[inline]
    fn act(&mut self, _: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        if self.devices.withheld() {
            return Err(OutputError::Digital);
        }
        self.levels = outputs.digital;
        let mut result = self.devices.digital_outputs(outputs.digital);
        for channel in 0..self.analog_outputs.len() {
            let written = self.write_analog(channel, outputs.analogs[channel]);
            result = result.and(written);
        }
        result
    }

    /// In the order of shutting down, which a crash keeps too: the emergency
    /// actions are registered in the same one.
    fn safe(&mut self, _: &Tick) -> Result<(), OutputError> {
        if self.devices.withheld() {
            // They are safe already, and stay so.
            return Ok(());
        }
        let mut result = Ok(());
        for step in 0..self.steps.len() {
            let mask = self.steps[step];
            self.levels = self.levels & !mask | self.safe_levels & mask;
            result = result.and(self.devices.digital_outputs(self.levels));
        }
        for at in 0..self.analog_shutdown.len() {
            let channel = self.analog_shutdown[at];
            let written = self.write_analog(channel, self.analog_outputs[channel].safe_volts);
            result = result.and(written);
        }
        result
    }
}
