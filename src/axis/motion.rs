//! The positions that an axis moves to: a list that repeats, or none to hold.
//!
//! This is the motion of the firmware's demonstration and soak test. An interrupted motion is
//! not repeated: after re-arming the axis moves to the next position of the list, so it can
//! leave a limit that stopped it.

use super::limits::{Limits, periods};
use crate::control::param::{self, ParameterError};
use crate::time::Duration;

/// Most positions of a motion.
pub const MAX_POSITIONS: usize = 8;

/// Positions to move to in turn, without end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Motion {
    /// The positions, rad, within the range of the axis. An empty list holds the position at
    /// which the axis was armed.
    pub positions_rad: heapless::Vec<f64, MAX_POSITIONS>,
    /// Rest at each position, s, 0 to 3600.
    pub dwell_s: f64,
}

/// A validated motion.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    positions_rad: heapless::Vec<f64, MAX_POSITIONS>,
    dwell_slots: u32,
}

/// The progress of a motion.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramState {
    next: u8,
    dwell_left: u32,
}

impl ProgramState {
    /// The state before the first position.
    pub const START: Self = Self {
        next: 0,
        dwell_left: 0,
    };
}

impl Motion {
    /// Validates the motion for cycles of `period` and positions within `limits`.
    ///
    /// # Errors
    /// Names `dwell_s` or `positions_rad`.
    pub fn build(&self, limits: &Limits, period: Duration) -> Result<Program, ParameterError> {
        let dwell_s = param::in_range("dwell_s", self.dwell_s, 0.0, 3_600.0)?;
        for &position in &self.positions_rad {
            param::finite("positions_rad", position)?;
            if let Some(range) = limits.config().position {
                param::in_range("positions_rad", position, range.min_rad, range.max_rad)?;
            }
        }
        Ok(Program {
            positions_rad: self.positions_rad.clone(),
            dwell_slots: periods(Duration::from_nanos((dwell_s * 1e9) as u64), period),
        })
    }
}

impl Program {
    /// The position to move to now, or `None` to stay. Called while the axis rests; `elapsed`
    /// is in slots.
    #[inline]
    pub fn next(&self, state: &mut ProgramState, elapsed: u32) -> Option<f64> {
        if state.dwell_left > 0 {
            state.dwell_left = state.dwell_left.saturating_sub(elapsed);
            return None;
        }
        let target = *self.positions_rad.get(usize::from(state.next))?;
        state.next += 1;
        if usize::from(state.next) == self.positions_rad.len() {
            state.next = 0;
        }
        state.dwell_left = self.dwell_slots;
        Some(target)
    }

    /// Whether there is no position to move to.
    pub fn is_empty(&self) -> bool {
        self.positions_rad.is_empty()
    }

    /// Ends a dwell that was interrupted. Called when the axis is armed again.
    pub fn resume(&self, state: &mut ProgramState) {
        state.dwell_left = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::limits::{LimitsConfig, PositionRange};

    const PERIOD: Duration = Duration::from_millis(1);

    fn limits() -> Limits {
        LimitsConfig {
            position: Some(PositionRange {
                min_rad: -1.0,
                max_rad: 1.0,
            }),
            max_velocity_rad_s: 1.0,
            max_command_volts: 1.0,
            negative_switch: None,
            positive_switch: None,
            following_error_window_rad: 1.0,
            following_error_timeout: Duration::ZERO,
        }
        .build(PERIOD)
        .unwrap()
    }

    fn motion(positions: &[f64], dwell_s: f64) -> Motion {
        Motion {
            positions_rad: heapless::Vec::from_slice(positions).unwrap(),
            dwell_s,
        }
    }

    #[test]
    fn positions_repeat_with_the_dwell_between_them() {
        let program = motion(&[0.5, -0.5], 0.003)
            .build(&limits(), PERIOD)
            .unwrap();
        let mut state = ProgramState::default();
        for expected in [0.5, -0.5, 0.5, -0.5] {
            assert_eq!(program.next(&mut state, 1), Some(expected));
            assert_eq!(program.next(&mut state, 1), None);
            assert_eq!(program.next(&mut state, 2), None);
        }
    }

    #[test]
    fn an_empty_list_of_positions_holds_the_axis() {
        let program = motion(&[], 0.0).build(&limits(), PERIOD).unwrap();
        let mut state = ProgramState::default();
        for _ in 0..10 {
            assert_eq!(program.next(&mut state, 1), None);
        }
    }

    #[test]
    fn positions_out_of_range_and_invalid_dwells_are_refused() {
        let name = |p: &[f64], d| motion(p, d).build(&limits(), PERIOD).unwrap_err().name;
        assert_eq!(name(&[0.0, 1.1], 0.0), "positions_rad");
        assert_eq!(name(&[f64::NAN], 0.0), "positions_rad");
        assert_eq!(name(&[0.0], -1.0), "dwell_s");
        assert_eq!(name(&[0.0], f64::NAN), "dwell_s");
    }
}
