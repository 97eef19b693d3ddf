//! An axis with a plant and a master that writes controlword, mode and targets.

use crate::axis::tests::plant::*;
use crate::axis::*;
use crate::cycle::image::InputError;
use crate::cycle::signal::Input;
use crate::cycle::word::{Word, number};

/// Controlwords.
pub(super) const SHUTDOWN: u16 = 0x06;
pub(super) const SWITCH_ON: u16 = 0x07;
pub(super) const ENABLE: u16 = 0x0F;
pub(super) const QUICK_STOP: u16 = 0x02;
pub(super) const DISABLE_VOLTAGE: u16 = 0x00;
pub(super) const FAULT_RESET: u16 = 0x80;
pub(super) const HALT: u16 = 1 << 8;
pub(super) const PACE: u16 = 1 << 14;
pub(super) const PACED: u16 = 1 << 15;
/// Bit 4: new set-point, or start of homing.
pub(super) const START: u16 = 1 << 4;
pub(super) const IMMEDIATELY: u16 = 1 << 5;
pub(super) const RELATIVE: u16 = 1 << 6;

/// Bits of the statusword.
pub(super) const REMOTE: u16 = 1 << 9;
pub(super) const REACHED: u16 = 1 << 10;
pub(super) const LIMITED: u16 = 1 << 11;
pub(super) const BIT_12: u16 = 1 << 12;
pub(super) const BIT_13: u16 = 1 << 13;

/// Velocity of standstill, rad/s.
pub(super) const STANDSTILL: f64 = 0.4;

/// Modes.
pub(super) const PP: i8 = 1;
pub(super) const PV: i8 = 3;
pub(super) const HM: i8 = 6;
pub(super) const CSP: i8 = 8;
pub(super) const CSV: i8 = 9;

/// The states by the masks of CiA 402-2.
pub(super) fn decoded(statusword: u16) -> State {
    for (mask, value, state) in [
        (0x4F, 0x00, State::NotReadyToSwitchOn),
        (0x4F, 0x40, State::SwitchOnDisabled),
        (0x6F, 0x21, State::ReadyToSwitchOn),
        (0x6F, 0x23, State::SwitchedOn),
        (0x6F, 0x27, State::OperationEnabled),
        (0x6F, 0x07, State::QuickStopActive),
        (0x4F, 0x0F, State::FaultReactionActive),
        (0x4F, 0x08, State::Fault),
    ] {
        if statusword & mask == value {
            return state;
        }
    }
    panic!("statusword {statusword:#06x} has no state");
}

pub(super) fn signals(axis: u8) -> CommandSignals {
    let signal = |number| Input::received(4 * axis + number, axis).unwrap();
    CommandSignals {
        controlword: signal(0),
        mode: signal(1),
        target_position: signal(2),
        target_velocity: signal(3),
    }
}

pub(super) struct Drive {
    pub(super) bench: Bench,
}

impl Drive {
    /// One axis, armed at the start, without a list of positions.
    pub(super) fn new(change: impl FnOnce(&mut ServoConfig)) -> Self {
        let mut config = config(1, Arm::AtStart);
        config.axes[0].motion = Motion::default();
        config.axes[0].command = Some(signals(0));
        // Above the resolution of the encoder, 0.38 rad/s in a period, filtered.
        config.axes[0].timing.standstill_velocity_rad_s = STANDSTILL;
        change(&mut config);
        Self {
            bench: Bench::new(&config),
        }
    }

    /// The same in Operation enabled, in `mode`.
    pub(super) fn enabled(mode: i8, change: impl FnOnce(&mut ServoConfig)) -> Self {
        let mut drive = Self::new(change);
        drive.mode(mode);
        drive.enable();
        drive
    }

    /// By the sequence that masters use.
    pub(super) fn enable(&mut self) {
        self.until(SHUTDOWN, State::ReadyToSwitchOn, 100);
        self.until(SWITCH_ON, State::SwitchedOn, 10);
        // Brake release, and a margin.
        self.until(ENABLE, State::OperationEnabled, 40);
    }

    /// Writes `word` and waits for `state`.
    pub(super) fn until(&mut self, word: u16, state: State, bound: u32) {
        self.write(word);
        self.bench.run_until(bound, |b| b.axis().state() == state);
        assert_eq!(decoded(self.status()), state);
    }

    pub(super) fn write(&mut self, controlword: u16) {
        self.bench.orders[0] = f64::from(controlword);
        self.bench.ordered = Ok(());
    }

    pub(super) fn mode(&mut self, mode: i8) {
        self.bench.orders[1] = f64::from(mode);
    }

    pub(super) fn target(&mut self, position_rad: f64) {
        self.bench.orders[2] = position_rad;
    }

    pub(super) fn velocity(&mut self, velocity_rad_s: f64) {
        self.bench.orders[3] = velocity_rad_s;
    }

    pub(super) fn fail(&mut self, error: InputError) {
        self.bench.ordered = Err(error);
    }

    /// Writes `word` and runs for `cycles`.
    pub(super) fn run(&mut self, word: u16, cycles: u32) {
        self.write(word);
        self.bench.run(cycles);
    }

    /// A set-point of mode pp with more bits of the controlword.
    pub(super) fn set_point(&mut self, target_rad: f64, bits: u16) {
        self.target(target_rad);
        self.run(ENABLE | bits, 1);
        self.run(ENABLE | START | bits, 1);
    }

    /// Runs until all bits of `mask` in the statusword are those of `value`.
    pub(super) fn await_bits(&mut self, mask: u16, value: u16, bound: u32) -> u32 {
        for cycle in 0..=bound {
            if self.status() & mask == value {
                return cycle;
            }
            self.bench.cycle();
        }
        panic!(
            "statusword {:#06x}, not {value:#06x} of {mask:#06x}",
            self.status()
        );
    }

    /// All status values.
    pub(super) fn values(&self) -> [f64; STATUS.len()] {
        let words = [const { Word::new(0) }; STATUS.len()];
        self.bench.servo.axes()[0].status(self.axis(), &words);
        words.each_ref().map(number)
    }

    pub(super) fn status(&self) -> u16 {
        self.bench.servo.axes()[0].statusword(self.axis())
    }

    pub(super) fn has(&self, bit: u16) -> bool {
        self.status() & bit != 0
    }

    pub(super) fn axis(&self) -> &AxisState {
        self.bench.axis()
    }

    pub(super) fn state(&self) -> State {
        self.axis().state()
    }

    pub(super) fn position(&self) -> f64 {
        self.axis().position_rad()
    }
}
