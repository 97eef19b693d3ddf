//! The simulated board: the chips and plants of [`sim`](crate::sim) wired as
//! the board file says.

use super::ports::{Devices, SpiMap};
use crate::config::{Io, SimulatedMotor, SimulationConfig};
use crate::cycle::image::{DigitalInputs, InputError, OutputError};
use crate::driver::mcp4922;
use crate::sim::{
    AnalogSource, AxisWiring, BoardSpi, Drive, EncoderConfig, HeaterWiring, Load, OutputStage,
    SimBoard, WiringError,
};
use crate::time::{Duration, Instant};

/// Reference of the simulated converters, V.
const REFERENCE_VOLTS: f64 = 5.0;

/// A simulated board as the loop's devices.
pub struct Simulated {
    board: SimBoard,
    /// The plant's own time, and how much of it each cycle is, where it waits
    /// for a late loop.
    waiting: Option<(Instant, Duration)>,
}

impl Simulated {
    /// The board of `config`, and which of its chips serve which channels.
    ///
    /// # Errors
    /// What cannot be wired; the board file's ranges leave little of that.
    pub fn build(
        config: &SimulationConfig,
        io: &Io,
        period: Duration,
    ) -> Result<(Self, SpiMap), WiringError> {
        let mut board = SimBoard::new(config.seed, config.step);
        let mut map = SpiMap::default();
        let mut axes = Vec::new();
        for motor in &config.motors {
            axes.push(board.add_axis(motor.motor, wiring(motor))?);
        }
        let mut heaters = Vec::new();
        for heater in &config.heaters {
            let switch = Some(heater.switch);
            heaters.push(board.add_heater(heater.thermal, HeaterWiring { switch })?);
        }
        for channel in 0..io.encoders.len() {
            let (motor, axis) = serving(&config.motors, &axes, |m| m.encoder, channel);
            let encoder = EncoderConfig {
                noise_counts: motor.noise_counts,
                power_on: Duration::ZERO,
            };
            map.encoders.push(board.add_encoder(axis, encoder)?);
        }
        for (channel, output) in io.analog_outputs.iter().enumerate() {
            let (_, axis) = serving(&config.motors, &axes, |m| m.analog_output, channel);
            let drive = Drive {
                load: Load::Axis(axis),
                stage: OutputStage::spanning(output.min_volts, output.max_volts, REFERENCE_VOLTS),
            };
            let drives = match output.channel {
                mcp4922::Channel::A => [Some(drive), None],
                mcp4922::Channel::B => [None, Some(drive)],
            };
            map.analog_outputs
                .push(board.add_dac(REFERENCE_VOLTS, REFERENCE_VOLTS, drives)?);
        }
        for (channel, input) in io.analog_inputs.iter().enumerate() {
            let (_, heater) = serving(&config.heaters, &heaters, |h| h.analog_input, channel);
            let mut sources = [AnalogSource::Volts(0.0); 8];
            sources[usize::from(input.channel)] = AnalogSource::Heater(heater);
            map.analog_inputs
                .push(board.add_adc(input.vref_volts, sources)?);
        }
        let waiting = config.waits.then_some((Instant::from_nanos(0), period));
        Ok((Self { board, waiting }, map))
    }

    /// The board, to look at its plants or to disturb them.
    pub fn board_mut(&mut self) -> &mut SimBoard {
        &mut self.board
    }
}

fn wiring(motor: &SimulatedMotor) -> AxisWiring {
    AxisWiring {
        enable: motor.enable,
        brake_release: motor.brake_release,
        lower_switch: motor.lower_switch,
        upper_switch: motor.upper_switch,
    }
}

/// The plant that serves `channel`, and its number on the board. The board file
/// was checked to have exactly one.
fn serving<'p, P>(
    plants: &'p [P],
    numbers: &[u8],
    channel_of: impl Fn(&P) -> u8,
    channel: usize,
) -> (&'p P, u8) {
    plants
        .iter()
        .zip(numbers)
        .find(|(plant, _)| usize::from(channel_of(plant)) == channel)
        .map(|(plant, number)| (plant, *number))
        .expect("every channel of a simulated board is served")
}

impl Devices for Simulated {
    type Spi<'a> = BoardSpi<'a>;

    fn advance(&mut self, release: Instant) {
        match &mut self.waiting {
            Some((now, period)) => {
                *now += *period;
                self.board.advance(*now);
            }
            None => self.board.advance(release),
        }
    }

    fn spi(&mut self, index: usize) -> BoardSpi<'_> {
        self.board
            .device(index)
            .expect("the chips were numbered by the board")
    }

    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        Ok(self.board.gpio_mut().sample())
    }

    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.board.gpio_mut().set_outputs(levels);
        Ok(())
    }
}
