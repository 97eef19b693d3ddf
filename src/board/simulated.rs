//! The simulated board: connects the chips and plants of [`sim`](crate::sim) as in the board
//! file. Its clock is the release of the cycle, so the same file gives the same run.

use super::own::OwnDevices;
use super::ports::{Devices, SpiMap};
use crate::config::{Io, MAX_PLANTS, Machine, SimulatedMotor, SimulationConfig};
use crate::cycle::image::{DigitalInputs, InputError, Inputs, Lost, OutputError, Outputs};
use crate::cycle::ports::Tick;
use crate::sim::{
    AxisWiring, BoardSpi, Drive, EncoderConfig, HeaterWiring, Load, OutputStage, Plant, SimBoard,
    WiringError, World,
};
use crate::sys::arena::{Full, Placed};
use crate::time::{Duration, Instant};

/// Reference of the simulated converters, V.
const REFERENCE_VOLTS: f64 = 5.0;

/// A simulated board as the loop's devices.
pub struct Simulated {
    board: SimBoard,
    /// The time of the plants and its step per cycle, for plants that wait for a late loop.
    waiting: Option<(Instant, Duration)>,
    own: OwnPlants,
    /// Devices of `[device.X]` with software models of their chips, and those that can be lost.
    models: OwnDevices,
}

/// Plants of `[simulation.plant.X]`, and the signals that they set and read.
struct OwnPlants {
    plants: heapless::Vec<Placed<dyn Plant>, MAX_PLANTS>,
    /// The signals that plants set.
    inputs: Inputs,
    /// The last commands.
    outputs: Outputs,
    /// The signals of devices without a model of their chip.
    given: Given,
    /// Time of the last step; `None` before the first.
    now: Option<Instant>,
}

impl OwnPlants {
    fn none() -> Self {
        Self {
            plants: heapless::Vec::new(),
            inputs: Inputs::NOT_READ,
            outputs: Outputs::new(0, &[]),
            given: Given::default(),
            now: None,
        }
    }

    /// Advances the plants to `now`.
    fn advance(&mut self, tick: &Tick, now: Instant) {
        let step = self.now.map_or(Duration::ZERO, |before| now.since(before));
        self.now = Some(now);
        for plant in &mut self.plants {
            let mut world = World::new(&mut self.inputs, &self.outputs, tick, now);
            plant.advance(&mut world, step);
        }
    }

    /// Copies the signals that plants set in place of devices. Signals of a device with a model of
    /// its chip keep their values until the device's next turn.
    fn give(&self, inputs: &mut Inputs) {
        let (from, given) = (&self.inputs, self.given);
        copy(&mut inputs.flags, &from.flags, given.flags.into());
        copy(&mut inputs.analogs, &from.analogs, given.numbers);
        copy(&mut inputs.positions, &from.positions, given.angles.into());
    }
}

/// Signals that plants give, one bit each.
#[derive(Copy, Clone, Default)]
struct Given {
    flags: u32,
    numbers: u128,
    angles: u32,
}

impl Given {
    /// The signals of the devices of `machine`, except those of `modelled` with chips.
    fn of(machine: &Machine, modelled: &OwnDevices) -> Self {
        let mut given = Self::default();
        for (device, number) in machine.devices.iter().zip(0..) {
            if !modelled.with_chips().any(|modelled| modelled == number) {
                let [flags, numbers, angles] = &device.senses;
                given.flags |= flags.clone().fold(0, |bits, at| bits | 1 << at);
                given.numbers |= numbers.clone().fold(0, |bits, at| bits | 1 << at);
                given.angles |= angles.clone().fold(0, |bits, at| bits | 1 << at);
            }
        }
        given
    }
}

/// Copies the elements whose bits are set.
fn copy<T: Copy>(to: &mut [T], from: &[T], mut bits: u128) {
    while bits != 0 {
        let index = bits.trailing_zeros() as usize;
        to[index] = from[index];
        bits &= bits - 1;
    }
}

impl Simulated {
    /// The board of `config`, without its devices of `[device.X]`, and the chip of each channel.
    /// It allocates.
    ///
    /// # Errors
    /// Two plants or chips contradict each other in a way that the board file's ranges permit.
    ///
    /// # Panics
    /// A channel of `io` has no plant; the reader of board files refuses that.
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
                0 => [Some(drive), None],
                _ => [None, Some(drive)],
            };
            map.analog_outputs
                .push(board.add_dac(REFERENCE_VOLTS, REFERENCE_VOLTS, drives)?);
        }
        for (channel, input) in io.analog_inputs.iter().enumerate() {
            let (_, heater) = serving(&config.heaters, &heaters, |h| h.analog_input, channel);
            let mut sensors = [None; 8];
            sensors[usize::from(input.channel)] = Some(heater);
            map.analog_inputs
                .push(board.add_adc(input.vref_volts, sensors)?);
        }
        let waiting = config.waits.then_some((Instant::from_nanos(0), period));
        let own = OwnPlants::none();
        let simulated = Self {
            board,
            waiting,
            own,
            models: OwnDevices::none(),
        };
        Ok((simulated, map))
    }

    /// Adds the plants and the simulated devices of `machine`.
    ///
    /// # Errors
    /// They do not fit into static memory.
    pub fn with(mut self, machine: &Machine) -> Result<Self, Full> {
        for plant in &machine.plants {
            // The reader limits the number of plants.
            let _ = self.own.plants.push(plant.plant.make()?);
        }
        self.models = OwnDevices::simulate(&machine.devices)?;
        let signals = &machine.signals;
        self.own.outputs = Outputs::new(0, signals.safe());
        self.own.outputs.flags = signals.safe_flags();
        self.own.given = Given::of(machine, &self.models);
        Ok(self)
    }

    /// The board, to read its plants or to inject faults.
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

/// The plant that is connected to `channel`, and its number on the board. The reader of board
/// files ensures exactly one.
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

    /// Advances to the release of the cycle, even if the cycle starts late: a late host must not
    /// change the plant's behaviour.
    fn advance(&mut self, tick: &Tick) -> Instant {
        let now = match &mut self.waiting {
            Some((now, period)) => {
                *now += *period;
                self.board.advance(*now)
            }
            None => self.board.advance(tick.release),
        };
        if !self.own.plants.is_empty() {
            self.own.advance(tick, now);
        }
        now
    }

    fn sense_own(&mut self, tick: &Tick, inputs: &mut Inputs, began: Instant) -> Option<Lost> {
        self.own.give(inputs);
        let own = &mut self.own;
        let mut world = World::new(&mut own.inputs, &own.outputs, tick, began);
        self.models.model(&mut world);
        self.models.sense(tick, inputs, began)
    }

    fn drive_own(
        &mut self,
        tick: &Tick,
        outputs: &Outputs,
    ) -> (Result<(), OutputError>, Option<Lost>) {
        self.own.outputs.take(outputs);
        self.models.drive(tick, outputs, || false)
    }

    fn safe_own(&mut self, tick: &Tick, safe: &Outputs) -> Result<(), OutputError> {
        self.own.outputs.take(safe);
        self.models.safe(tick, safe)
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
