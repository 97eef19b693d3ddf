//! Homing (mode hm): finds the zero of the position with a switch, at a hard stop, or where the
//! axis is.
//!
//! Methods of CiA 402 without an index pulse, which an absolute encoder does not have: 17 and 18
//! (limit switches), 19 to 22 (home switch), 35 and 37 (present position), 0 (none); -3 and -4
//! (hard stop in positive and in negative direction). The switch is searched at the fast
//! velocity, its edge at the slow one. After homing the home position has the position
//! `offset_rad`. While it searches, the range of positions does not count, and the switches end a
//! phase instead of being a fault; what bounds the search is `max_travel_rad`: a broken switch
//! must not let the axis go on.

use crate::axis::fault::Fault;
use crate::axis::limits::{LimitSwitch, LimitsConfig};
use crate::control::TrajectoryConfig;
use crate::control::param::{self, ParameterError, ParameterErrorKind};

/// How an axis is homed.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct HomingConfig {
    /// Homing method (6098h): 0, 17 to 22, 35, 37, -3 or -4.
    pub method: i8,
    /// Velocity of the search for the switch (6099h:1), rad/s.
    pub fast_rad_s: f64,
    /// Velocity of the search for its edge, and towards a hard stop (6099h:2), rad/s.
    pub slow_rad_s: f64,
    /// Position of the home position after homing (607Ch, home offset), rad.
    pub offset_rad: f64,
    /// The home switch of methods 19 to 22.
    pub switch: Option<LimitSwitch>,
    /// Command at which an axis that stands is at its hard stop, volts.
    pub stop_command_volts: f64,
    /// Longest travel in one direction without the switch or the hard stop, rad, greater than 0
    /// for a method that searches: beyond it homing has failed.
    pub max_travel_rad: f64,
}

impl HomingConfig {
    /// Method 0: homing does nothing.
    pub const NONE: Self = Self {
        method: 0,
        fast_rad_s: 0.0,
        slow_rad_s: 0.0,
        offset_rad: 0.0,
        switch: None,
        stop_command_volts: 0.0,
        max_travel_rad: 0.0,
    };
}

/// What a method does.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(in crate::axis) enum Method {
    /// Nothing: the position stays.
    None,
    /// The present position is the home position.
    Here,
    /// The edge of a switch.
    Switch {
        switch: LimitSwitch,
        /// The direction in which the switch lies, 1 or -1.
        towards: f64,
        /// Whether the edge is that at which it becomes active, moving towards it; otherwise
        /// that at which it becomes inactive, moving away.
        press: bool,
    },
    /// A hard stop in this direction.
    HardStop(f64),
}

/// Validated homing.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Homing {
    pub(in crate::axis) method: Method,
    /// The home switch, also of a method that does not search it.
    pub(in crate::axis) switch: Option<LimitSwitch>,
    pub(in crate::axis) fast_rad_s: f64,
    pub(in crate::axis) slow_rad_s: f64,
    pub(in crate::axis) offset_rad: f64,
    pub(in crate::axis) stop_command_volts: f64,
    pub(in crate::axis) max_travel_rad: f64,
}

/// The phases of a homing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::axis) enum Phase {
    /// It does not run.
    Idle,
    /// Moves towards the switch, fast.
    Seek,
    /// Moves off the switch, fast.
    Leave,
    /// Moves over the edge, slowly.
    Edge,
    /// Moves to the hard stop, slowly.
    Push,
    /// The home position is known; comes to rest.
    Settle,
    /// It has failed or was interrupted; comes to rest.
    Stop,
}

/// The state of homing.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct HomingState {
    pub(in crate::axis) phase: Phase,
    /// The setpoint at the begin of the phase.
    pub(in crate::axis) from_rad: f64,
    /// The home position; `None` for that of rest.
    pub(in crate::axis) home_rad: Option<f64>,
    /// Cycles at the hard stop.
    pub(in crate::axis) cycles: u32,
    pub(in crate::axis) homed: bool,
    pub(in crate::axis) failed: bool,
}

impl HomingState {
    /// Not homed.
    pub const NONE: Self = Self {
        phase: Phase::Idle,
        from_rad: 0.0,
        home_rad: None,
        cycles: 0,
        homed: false,
        failed: false,
    };

    /// Whether the last homing was successful.
    pub const fn is_homed(&self) -> bool {
        self.homed
    }

    /// Whether the last homing has failed.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether it runs.
    pub const fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Ends it without a result.
    pub(in crate::axis) const fn abort(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Whether this limit is expected while it runs.
    pub(in crate::axis) const fn tolerates(&self, fault: Fault) -> bool {
        match fault {
            Fault::NegativeLimitSwitch
            | Fault::PositiveLimitSwitch
            | Fault::NegativePositionLimit
            | Fault::PositivePositionLimit => self.is_active(),
            Fault::FollowingError => matches!(self.phase, Phase::Push),
            _ => false,
        }
    }
}

impl HomingConfig {
    /// Validates homing for an axis with `limits` and `profile`.
    ///
    /// # Errors
    /// Names `method` if the axis does not have it, `switch` if it needs one that is not
    /// configured, or the first value out of range.
    pub fn build(
        &self,
        limits: &LimitsConfig,
        profile: &TrajectoryConfig,
    ) -> Result<Homing, ParameterError> {
        let missing = |name| ParameterError {
            name,
            kind: ParameterErrorKind::Missing,
        };
        let on = |switch: Option<LimitSwitch>, towards: f64, press: bool| {
            let switch = switch.ok_or(missing("switch"))?;
            Ok(Method::Switch {
                switch,
                towards,
                press,
            })
        };
        let method = match self.method {
            0 => Method::None,
            35 | 37 => Method::Here,
            17 if limits.negative_switch.is_none() => return Err(missing("negative_switch")),
            18 if limits.positive_switch.is_none() => return Err(missing("positive_switch")),
            17 => on(limits.negative_switch, -1.0, false)?,
            18 => on(limits.positive_switch, 1.0, false)?,
            19 => on(self.switch, 1.0, false)?,
            20 => on(self.switch, 1.0, true)?,
            21 => on(self.switch, -1.0, false)?,
            22 => on(self.switch, -1.0, true)?,
            -3 => Method::HardStop(1.0),
            -4 => Method::HardStop(-1.0),
            other => {
                return Err(ParameterError {
                    name: "method",
                    kind: ParameterErrorKind::OutOfRange {
                        min: -4.0,
                        max: 37.0,
                        value: f64::from(other),
                    },
                });
            }
        };
        let fastest = profile.velocity_rad_s;
        let speed = |name, value| {
            param::positive(name, value)?;
            param::in_range(name, value, 0.0, fastest)
        };
        if !matches!(method, Method::None | Method::Here) {
            param::positive("max_travel_rad", self.max_travel_rad)?;
        }
        match method {
            Method::None | Method::Here => {}
            Method::Switch { .. } => {
                speed("fast_rad_s", self.fast_rad_s)?;
                speed("slow_rad_s", self.slow_rad_s)?;
            }
            Method::HardStop(_) => {
                speed("slow_rad_s", self.slow_rad_s)?;
                param::positive("stop_command_volts", self.stop_command_volts)?;
                let most = limits.max_command_volts;
                param::in_range("stop_command_volts", self.stop_command_volts, 0.0, most)?;
            }
        }
        Ok(Homing {
            method,
            switch: self.switch,
            fast_rad_s: self.fast_rad_s,
            slow_rad_s: self.slow_rad_s,
            offset_rad: param::finite("offset_rad", self.offset_rad)?,
            stop_command_volts: self.stop_command_volts,
            max_travel_rad: self.max_travel_rad,
        })
    }
}

impl Homing {
    /// Whether it needs the digital inputs.
    pub const fn needs_digital(&self) -> bool {
        matches!(self.method, Method::Switch { .. })
    }
}
