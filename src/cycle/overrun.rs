//! The overrun ladder: the reaction to missed deadlines.
//!
//! It is a leaky bucket: each missed deadline and each skipped slot fills it, each cycle in time
//! drains it. A burst of misses escalates at once, and rare misses never add up; a lifetime
//! total would stop a healthy machine one day. A skipped slot holds the outputs of the last
//! cycle; the next steps are those of [`Step`]. The ladder keeps the cause of a quick stop and
//! the misses that led to it. The loop asks it only while it is not empty, or after a miss.

use super::stop::StopCause;

/// The rates and levels of the bucket, in units of its own.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LadderConfig {
    /// Whether levels have consequences. If not, they are only counted: for a demonstration on
    /// a machine without real time.
    pub armed: bool,
    /// Added for each missed deadline and each skipped slot.
    pub fill: u32,
    /// Removed by each cycle in time.
    pub drain: u32,
    /// Level at which a quick stop is requested.
    pub quick_stop: u32,
    /// Level at which the run ends with a fault.
    pub fault: u32,
}

impl Default for LadderConfig {
    /// For 1 kHz: one miss in 10 cycles drains away; 5 misses in a row are a quick stop, 20
    /// missed slots (20 ms without control) a fault.
    fn default() -> Self {
        Self {
            armed: true,
            fill: 10,
            drain: 1,
            quick_stop: 50,
            fault: 200,
        }
    }
}

/// A step of the ladder.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// In time, or rarely late.
    #[default]
    Normal = 0,
    /// Quick stop: the control law must bring everything to rest, until the bucket is empty.
    QuickStop,
    /// Fault: outputs safe, the run ends.
    Fault,
}

/// The bucket.
#[derive(Copy, Clone, Debug)]
pub struct Ladder {
    config: LadderConfig,
    level: u32,
    fullest: u32,
    step: Step,
    cause: StopCause,
    missed: u64,
    quick_stops: u64,
}

impl Ladder {
    /// An empty bucket.
    #[must_use]
    pub const fn new(config: LadderConfig) -> Self {
        Self {
            config,
            level: 0,
            fullest: 0,
            step: Step::Normal,
            cause: StopCause::Overrun,
            missed: 0,
            quick_stops: 0,
        }
    }

    /// Adds one cycle: whether it missed its deadline, and how many slots were skipped after
    /// it. Returns the current step.
    #[inline]
    pub fn cycle(&mut self, missed: bool, skipped: u32) -> Step {
        if !missed && skipped == 0 {
            self.level = self.level.saturating_sub(self.config.drain);
            if self.level == 0 && self.step == Step::QuickStop {
                self.step = Step::Normal;
            }
            return self.step;
        }
        self.miss(u32::from(missed).saturating_add(skipped))
    }

    #[cold]
    fn miss(&mut self, misses: u32) -> Step {
        if self.level == 0 {
            self.missed = 0;
        }
        self.missed += u64::from(misses);
        self.level = self
            .level
            .saturating_add(misses.saturating_mul(self.config.fill));
        self.fullest = self.fullest.max(self.level);
        if self.config.armed {
            let reached = match self.level {
                level if level >= self.config.fault => Step::Fault,
                level if level >= self.config.quick_stop => Step::QuickStop,
                _ => Step::Normal,
            };
            self.climb(reached, StopCause::Overrun);
        }
        self.step
    }

    /// Requests a quick stop because outputs were held for longer than allowed without a fresh
    /// decision, whatever the level is.
    pub fn held_too_long(&mut self) {
        if self.config.armed {
            self.level = self.level.max(self.config.quick_stop);
            self.fullest = self.fullest.max(self.level);
            self.climb(Step::QuickStop, StopCause::Held);
        }
    }

    fn climb(&mut self, reached: Step, cause: StopCause) {
        if self.step < Step::QuickStop && reached == Step::QuickStop {
            self.cause = cause;
            self.quick_stops += 1;
        }
        self.step = self.step.max(reached);
    }

    /// How many quick stops were requested.
    #[must_use]
    pub const fn quick_stops(&self) -> u64 {
        self.quick_stops
    }

    /// Whether there is nothing to drain and no step to leave.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.level == 0 && matches!(self.step, Step::Normal)
    }

    /// The current step.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// The cause of the current quick stop.
    #[must_use]
    pub const fn cause(&self) -> StopCause {
        self.cause
    }

    /// Deadlines missed and slots skipped since the bucket was last empty.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The highest level so far, in the units of [`LadderConfig`].
    #[must_use]
    pub const fn fullest(&self) -> u32 {
        self.fullest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_misses_never_climb() {
        let mut ladder = Ladder::new(LadderConfig::default());
        assert_eq!((ladder.fullest(), ladder.missed()), (0, 0));
        for _ in 0..100_000 {
            assert_eq!(ladder.cycle(true, 0), Step::Normal);
            for _ in 0..10 {
                assert_eq!(ladder.cycle(false, 0), Step::Normal);
            }
        }
        assert_eq!(ladder.fullest(), 10);
    }

    #[test]
    fn a_burst_of_misses_leads_to_a_quick_stop_until_the_bucket_is_empty() {
        let mut ladder = Ladder::new(LadderConfig::default());
        let steps: std::vec::Vec<_> = (0..5).map(|_| ladder.cycle(true, 0)).collect();
        assert_eq!(steps[3..], [Step::Normal, Step::QuickStop]);
        for _ in 0..49 {
            assert_eq!(ladder.cycle(false, 0), Step::QuickStop);
        }
        assert_eq!(ladder.cycle(false, 0), Step::Normal);
    }

    #[test]
    fn a_long_gap_is_an_immediate_fault_and_a_fault_is_latched() {
        let mut ladder = Ladder::new(LadderConfig::default());
        assert_eq!(ladder.cycle(true, 19), Step::Fault);
        for _ in 0..10_000 {
            ladder.cycle(false, 0);
        }
        assert_eq!(ladder.step(), Step::Fault);
    }

    #[test]
    fn outputs_held_too_long_lead_to_a_quick_stop_at_any_bucket_level() {
        let mut ladder = Ladder::new(LadderConfig::default());
        ladder.cycle(true, 1);
        ladder.held_too_long();
        assert_eq!(ladder.step(), Step::QuickStop);
        assert_eq!((ladder.cause(), ladder.missed()), (StopCause::Held, 2));
        assert_eq!(ladder.fullest(), LadderConfig::default().quick_stop);
        let in_time = (0..100).take_while(|_| ladder.cycle(false, 0) == Step::QuickStop);
        assert_eq!(in_time.count(), 49, "until the bucket is empty");
    }

    #[test]
    fn a_stop_reports_the_misses_since_the_bucket_was_empty() {
        let mut ladder = Ladder::new(LadderConfig::default());
        ladder.cycle(true, 0);
        for _ in 0..10 {
            ladder.cycle(false, 0);
        }
        ladder.cycle(true, 1);
        ladder.cycle(false, 0);
        assert_eq!(ladder.cycle(true, 3), Step::QuickStop);
        assert_eq!((ladder.cause(), ladder.missed()), (StopCause::Overrun, 6));
        // When outputs are also held too long, the first cause is kept.
        ladder.held_too_long();
        assert_eq!(ladder.cause(), StopCause::Overrun);
    }

    #[test]
    fn an_unarmed_ladder_only_counts() {
        let mut ladder = Ladder::new(LadderConfig {
            armed: false,
            ..LadderConfig::default()
        });
        assert_eq!(ladder.cycle(true, u32::MAX), Step::Normal);
        assert_eq!(ladder.fullest(), u32::MAX);
    }
}
