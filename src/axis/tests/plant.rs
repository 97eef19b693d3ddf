//! The simulated machine: for each axis a double integrator with friction, a brake and an
//! encoder; a reset button and an emergency stop.

use crate::axis::*;
use crate::control::{Gains, TrajectoryConfig};
use crate::cycle::image::{
    Angle, DigitalInputs, InputChannel, InputError, Inputs, MAX_ANALOG_OUTPUTS, OutputChannel,
    Outputs, RADIANS_PER_UNIT, Sample,
};
use crate::cycle::ports::{Decide, Directive, Tick};
use crate::cycle::received::{Group, Handed, Received};
use crate::time::{Duration, Instant};

pub(super) const PERIOD: Duration = Duration::from_millis(1);
pub(super) const ESTOP: u8 = 0;
pub(super) const RESET: u8 = 1;
pub(super) const NEGATIVE: u8 = 2;
pub(super) const POSITIVE: u8 = 3;
pub(super) const LAMP: u8 = 31;

pub(super) fn input(number: u8) -> InputChannel {
    InputChannel::new(number).unwrap()
}

pub(super) fn output(number: u8) -> OutputChannel {
    OutputChannel::new(number).unwrap()
}

/// Outputs that no axis drives keep their safe values, which are not zero: one digital output,
/// and the last analog output.
pub(super) const SAFE_VOLTS: f64 = 2.5;
pub(super) const SAFE: Outputs = Outputs::new(1 << 30, &[SAFE_VOLTS; MAX_ANALOG_OUTPUTS]);
const FREE: usize = MAX_ANALOG_OUTPUTS - 1;

/// Axis `n` has its enable on output 2n and its brake on 2n + 1.
pub(super) fn axis_config(number: u8) -> AxisConfig {
    let switch = |channel| {
        (number == 0).then_some(LimitSwitch {
            channel: input(channel),
            normally_closed: true,
        })
    };
    AxisConfig {
        feedback: FeedbackConfig {
            encoder_channel: number,
            gear_ratio: 1.0,
            encoder_inverted: false,
            offset_rad: 0.0,
            plausible_velocity_rad_s: 100.0,
            velocity_cutoff_hz: 200.0,
            tolerated_failures: 2,
            frozen: Some(Frozen {
                frozen_cycles: 50,
                frozen_command_volts: 3.0,
            }),
        },
        command_channel: number,
        command_inverted: false,
        enable_channel: output(2 * number),
        brake_channel: Some(output(2 * number + 1)),
        gains: Gains {
            kp: 40.0,
            ki: 200.0,
            kd: 1.2,
            derivative_cutoff_hz: 400.0,
            tracking_time_s: 0.05,
        },
        velocity_feed_forward_v_s_rad: 0.02,
        acceleration_feed_forward_v_s2_rad: 0.01,
        profile: TrajectoryConfig {
            velocity_rad_s: 20.0,
            acceleration_rad_s2: 200.0,
            jerk_rad_s3: 10_000.0,
            stop_deceleration_rad_s2: 400.0,
            stop_jerk_rad_s3: 40_000.0,
        },
        limits: LimitsConfig {
            position: Some(PositionRange {
                min_rad: -50.0,
                max_rad: 50.0,
            }),
            max_velocity_rad_s: 40.0,
            max_command_volts: 10.0,
            negative_switch: switch(NEGATIVE),
            positive_switch: switch(POSITIVE),
            following_error_window_rad: 0.5,
            following_error_timeout: Duration::from_millis(10),
        },
        timing: Timing {
            start_timeout: Duration::from_millis(20),
            brake_release: Duration::from_millis(30),
            brake_engage: Duration::from_millis(25),
            standstill_timeout: Duration::from_millis(200),
            standstill_velocity_rad_s: 0.05,
        },
        motion: Motion {
            positions_rad: heapless::Vec::from_slice(&[10.0, -10.0]).unwrap(),
            dwell_s: 0.05,
        },
        command: None,
        command_config: CommandConfig::default(),
    }
}

pub(super) fn config(axes: u8, arm: Arm) -> ServoConfig {
    ServoConfig {
        axes: (0..axes).map(axis_config).collect(),
        emergency_stop: Some(input(ESTOP)),
        reset: Some(input(RESET)),
        fault_lamp: Some(output(LAMP)),
        arm,
        rearm: Rearm::OnReset,
    }
}

#[derive(Copy, Clone, Default)]
pub(super) struct Body {
    pub(super) position: f64,
    pub(super) velocity: f64,
    /// Whether the shaft is blocked.
    pub(super) blocked: bool,
    /// Moved at this velocity by a force stronger than the motor, rad/s.
    pub(super) carried: f64,
    pub(super) reading: Option<InputError>,
    /// The encoder repeats this angle.
    pub(super) stuck: Option<Angle>,
}

/// The controller and its plant.
pub(super) struct Bench {
    pub(super) servo: Servo,
    pub(super) state: ServoState,
    pub(super) bodies: [Body; 8],
    pub(super) levels: u32,
    pub(super) pulse: u32,
    pub(super) dip: u32,
    pub(super) digital: Option<InputError>,
    pub(super) directive: Directive,
    pub(super) outputs: Outputs,
    /// Commands from outside to the first axis, refreshed in each cycle.
    pub(super) orders: [f64; 4],
    pub(super) ordered: Result<(), InputError>,
    handed: &'static Handed,
    slot: u64,
    before: u32,
}

impl Bench {
    pub(super) fn new(config: &ServoConfig) -> Self {
        let servo = config.build(PERIOD).unwrap();
        let levels = 1 << NEGATIVE | 1 << POSITIVE;
        Self {
            state: servo.initial(),
            servo,
            bodies: [Body::default(); 8],
            levels,
            pulse: 0,
            dip: 0,
            digital: None,
            directive: Directive::Run,
            outputs: SAFE,
            orders: [0.0; 4],
            ordered: Err(InputError::NotRead),
            handed: Box::leak(Box::new(Handed::new())),
            slot: 0,
            before: levels,
        }
    }

    /// A bench with one axis in Operation enabled.
    pub(super) fn operating() -> Self {
        let mut bench = Self::new(&config(1, Arm::AtStart));
        bench.run_until(100, |b| b.axis().state() == State::OperationEnabled);
        bench
    }

    pub(super) fn axis(&self) -> &AxisState {
        &self.state.axes()[0]
    }

    pub(super) fn set(&mut self, channel: u8, active: bool) {
        self.levels = self.levels & !(1 << channel) | u32::from(active) << channel;
    }

    /// Sets the input active before the first cycle, so that it never rises.
    pub(super) fn stuck_from_the_start(&mut self, channel: u8) {
        self.set(channel, true);
        self.before |= 1 << channel;
    }

    /// Presses the reset button for one cycle.
    pub(super) fn press_reset(&mut self) {
        self.set(RESET, true);
        self.cycle();
        self.set(RESET, false);
        self.cycle();
    }

    pub(super) fn cycle(&mut self) {
        self.cycle_after(1);
    }

    /// One cycle, `elapsed` slots after the last. In between the plant moves with the last
    /// outputs.
    pub(super) fn cycle_after(&mut self, elapsed: u32) {
        for _ in 0..elapsed {
            self.move_plant();
        }
        self.slot += u64::from(elapsed);
        let mut inputs = Inputs::NOT_READ;
        inputs.digital = match self.digital {
            Some(error) => Err(error),
            None => Ok(DigitalInputs {
                levels: self.levels,
                rose: self.levels & !self.before | self.pulse | self.dip,
                fell: self.before & !self.levels | self.pulse | self.dip,
            }),
        };
        (self.pulse, self.dip) = (0, 0);
        self.before = self.levels;
        for (body, channel) in self.bodies.iter().zip(&mut inputs.positions) {
            let units = (body.position / RADIANS_PER_UNIT) as i64 as u32;
            // A 14-bit encoder.
            let angle = body.stuck.unwrap_or(Angle(units & !0x3_FFFF));
            *channel = Sample {
                value: body.reading.map_or(Ok(angle), Err),
                at: Instant::from_nanos(0) + PERIOD * self.slot,
            };
        }
        let group = Group {
            at: Instant::from_nanos(0) + PERIOD * self.slot,
            valid: self.ordered,
        };
        self.handed.write(&self.orders, &[group], &[PERIOD]);
        inputs.received = Received::of(self.handed);
        let tick = Tick {
            slot: self.slot,
            elapsed_slots: elapsed,
            directive: self.directive,
            ..Tick::default()
        };
        self.outputs = SAFE;
        Servo::decide(
            &self.servo,
            &mut self.state,
            &inputs,
            &tick,
            &mut self.outputs,
        );
        self.check_outputs();
    }

    pub(super) fn run(&mut self, cycles: u32) {
        for _ in 0..cycles {
            self.cycle();
        }
    }

    /// Runs until `done`, at most `bound` cycles; returns the number of cycles.
    pub(super) fn run_until(&mut self, bound: u32, done: impl Fn(&Self) -> bool) -> u32 {
        for cycle in 0..=bound {
            if done(self) {
                return cycle;
            }
            self.cycle();
        }
        panic!(
            "not within {bound} cycles: {:?}, {:?}",
            self.axis().state(),
            self.axis().fault()
        );
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.outputs.is_active(output(0))
    }

    pub(super) fn is_brake_released(&self) -> bool {
        self.outputs.is_active(output(1))
    }

    /// Whether all outputs of axis 0 have their safe values.
    pub(super) fn is_safe(&self) -> bool {
        !self.is_enabled() && !self.is_brake_released() && self.outputs.analogs[0] == SAFE_VOLTS
    }

    /// Invariants of every cycle in every scenario.
    fn check_outputs(&self) {
        let pump = self.outputs.digital & SAFE.digital;
        assert_eq!(pump, SAFE.digital, "an output of no axis");
        if self.state.axes().len() <= FREE {
            let volts = self.outputs.analogs[FREE];
            assert_eq!(volts, SAFE_VOLTS, "an output of no axis");
        }
        for (axis, number) in self.state.axes().iter().zip(0_u8..) {
            let volts = self.outputs.analogs[usize::from(number)];
            let enable = self.outputs.is_active(output(2 * number));
            let released = self.outputs.is_active(output(2 * number + 1));
            assert!(volts.abs() <= 10.0);
            assert!(
                enable || (!released && volts == SAFE_VOLTS),
                "a command without power"
            );
            let may_be_on = match axis.state() {
                State::NotReadyToSwitchOn
                | State::SwitchOnDisabled
                | State::ReadyToSwitchOn
                | State::Fault => false,
                State::SwitchedOn
                | State::OperationEnabled
                | State::QuickStopActive
                | State::FaultReactionActive => true,
            };
            assert!(!enable || may_be_on, "power in {:?}", axis.state());
            assert_eq!(axis.fault().is_some(), {
                matches!(axis.state(), State::FaultReactionActive | State::Fault)
            });
        }
        let lit = self.state.fault().is_some() || self.state.stopped().is_some();
        assert_eq!(self.outputs.is_active(output(LAMP)), lit);
    }

    fn move_plant(&mut self) {
        for (at, body) in self.bodies.iter_mut().enumerate() {
            let (enable, release) = (1 << (2 * at), 2 << (2 * at));
            if body.carried != 0.0 {
                body.velocity = body.carried;
                body.position += 1e-3 * body.velocity;
                continue;
            }
            if body.blocked || self.outputs.digital & release == 0 {
                body.velocity = 0.0;
                continue;
            }
            let powered = self.outputs.digital & enable != 0;
            let volts = if powered {
                self.outputs.analogs[at]
            } else {
                0.0
            };
            body.velocity += 1e-3 * (100.0 * volts - 2.0 * body.velocity);
            body.position += 1e-3 * body.velocity;
        }
    }
}
