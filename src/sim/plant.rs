//! The plant that the chips of a simulated board share: shafts, heaters and lines.

use heapless::Vec;

use super::gpio::SimGpio;
use super::mcp4922::Mcp4922Chip;
use super::motor::Motor;
use super::thermal::Thermal;
use super::wiring::{AxisWiring, Drive, HeaterWiring, Load, MAX_HEATERS, MAX_MOTORS};

pub(super) struct Axis {
    pub(super) motor: Motor,
    pub(super) wiring: AxisWiring,
    pub(super) command_volts: f64,
}

pub(super) struct Heater {
    pub(super) thermal: Thermal,
    pub(super) wiring: HeaterWiring,
    pub(super) command_volts: f64,
}

/// The plant. Numbers of axes and heaters are checked when parts are wired; an unknown number
/// has no effect.
pub(super) struct Plant {
    pub(super) axes: Vec<Axis, MAX_MOTORS>,
    pub(super) heaters: Vec<Heater, MAX_HEATERS>,
    pub(super) gpio: SimGpio,
    /// Steps since the origin.
    pub(super) steps: u64,
}

impl Plant {
    /// Runs `steps` steps with the present commands.
    #[inline]
    pub(super) fn run(&mut self, steps: u64) {
        let outputs = &self.gpio;
        for axis in &mut self.axes {
            if !wired_active(outputs, axis.wiring.brake_release) {
                axis.motor.block();
                continue;
            }
            let enabled = wired_active(outputs, axis.wiring.enable);
            let volts = if enabled { axis.command_volts } else { 0.0 };
            axis.motor.advance(steps, volts);
        }
        for heater in &mut self.heaters {
            let switched = heater
                .wiring
                .switch
                .is_some_and(|line| outputs.output(line));
            let power = if switched {
                1.0
            } else {
                heater.thermal.power_at(heater.command_volts)
            };
            heater.thermal.advance(steps, power);
        }
        self.report_switches();
    }

    /// Sets the inputs of all limit switches.
    #[inline]
    pub(super) fn report_switches(&mut self) {
        for axis in &self.axes {
            let position = axis.motor.position_rad();
            if let Some(switch) = axis.wiring.lower_switch {
                self.gpio.set_input(switch.input, position <= switch.at_rad);
            }
            if let Some(switch) = axis.wiring.upper_switch {
                self.gpio.set_input(switch.input, position >= switch.at_rad);
            }
        }
    }

    /// The shaft's angle in counts of 16384 in a turn, rounded down.
    #[inline]
    pub(super) fn shaft_counts(&self, axis: u8) -> u16 {
        const COUNTS_PER_RAD: f64 = 16_384.0 / core::f64::consts::TAU;
        let Some(axis) = self.axes.get(usize::from(axis)) else {
            return 0;
        };
        let counts = axis.motor.position_rad() * COUNTS_PER_RAD;
        let toward_zero = counts as i64;
        let below = i64::from(counts < toward_zero as f64);
        // 16384 divides 2^16, so the cast drops whole turns only.
        (toward_zero - below) as u16
    }

    /// Applies the outputs of the converter to its loads.
    #[inline]
    pub(super) fn drive(&mut self, chip: &Mcp4922Chip, drives: &[Option<Drive>; 2]) {
        for (channel, drive) in drives.iter().enumerate() {
            let Some(Drive { load, stage }) = drive else {
                continue;
            };
            let volts = match chip.volts(channel) {
                Some(pin) => stage.offset_volts + stage.gain * pin,
                None => stage.open_volts,
            };
            let command = match *load {
                Load::Axis(axis) => self
                    .axes
                    .get_mut(usize::from(axis))
                    .map(|axis| &mut axis.command_volts),
                Load::Heater(heater) => self
                    .heaters
                    .get_mut(usize::from(heater))
                    .map(|heater| &mut heater.command_volts),
            };
            if let Some(command) = command {
                *command = volts;
            }
        }
    }

    /// The voltage of the sensor of `heater`.
    #[inline]
    pub(super) fn sensor_volts(&self, heater: u8) -> f64 {
        self.heaters
            .get(usize::from(heater))
            .map_or(0.0, |heater| heater.thermal.sensor_volts())
    }
}

/// Whether an output is active; an output that is not wired counts as active.
#[inline]
fn wired_active(gpio: &SimGpio, line: Option<u8>) -> bool {
    line.is_none_or(|line| gpio.output(line))
}
