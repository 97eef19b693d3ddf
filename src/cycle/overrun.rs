//! The overrun ladder: what missed deadlines lead to.
//!
//! A leaky bucket. A missed deadline and every skipped slot add to it, every
//! cycle in time drains it. So a burst of misses escalates at once, and a rare
//! miss is forgiven for ever: a lifetime total would one day stop a healthy
//! robot. The steps are
//!
//! 1. hold: the outputs stay as the last cycle left them. This is what a skipped
//!    slot is; it asks nothing of anyone;
//! 2. quick stop: the control law is asked to bring everything to rest, until the
//!    bucket is empty again;
//! 3. fault: outputs safe, the run ends.

/// How fast the bucket fills and drains, and what its levels mean.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LadderConfig {
    /// Whether levels have consequences. Without, they are only counted: for a
    /// demonstration on a machine that is not real-time.
    pub armed: bool,
    /// Added for each missed deadline and each skipped slot.
    pub fill: u32,
    /// Taken away by each cycle in time.
    pub drain: u32,
    /// Level from which a quick stop is asked for.
    pub quick_stop: u32,
    /// Level from which the run ends in a fault.
    pub fault: u32,
}

impl Default for LadderConfig {
    /// For 1 kHz: one miss in 10 cycles is drained away; 5 misses in a row stop
    /// the axes, 20 missed slots (20 ms without control) are a fault.
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

/// The step of the ladder that the loop stands on.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// In time, or late so rarely that it does not matter.
    #[default]
    Normal,
    /// Bring everything to rest.
    QuickStop,
    /// Outputs safe, end the run.
    Fault,
}

/// The bucket.
#[derive(Copy, Clone, Debug)]
pub struct Ladder {
    config: LadderConfig,
    level: u32,
    fullest: u32,
    step: Step,
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
        }
    }

    /// Takes note of one cycle: whether it missed its deadline, and how many
    /// slots were skipped after it. Returns the step the loop now stands on.
    #[inline]
    pub fn cycle(&mut self, missed: bool, skipped: u32) -> Step {
        if !missed && skipped == 0 {
            if self.level == 0 && self.step == Step::Normal {
                return self.step;
            }
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
            self.step = self.step.max(reached);
        }
        self.step
    }

    /// Takes note that outputs were held for longer than they may be without a
    /// fresh decision: a quick stop at once, however empty the bucket is.
    pub fn held_too_long(&mut self) {
        if self.config.armed {
            self.level = self.level.max(self.config.quick_stop);
            self.fullest = self.fullest.max(self.level);
            self.step = self.step.max(Step::QuickStop);
        }
    }

    /// The step the loop stands on.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// How full the bucket has ever been, in the units of [`LadderConfig`].
    #[must_use]
    pub const fn fullest(&self) -> u32 {
        self.fullest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_misses_are_forgiven_for_ever() {
        let mut ladder = Ladder::new(LadderConfig::default());
        for _ in 0..100_000 {
            assert_eq!(ladder.cycle(true, 0), Step::Normal);
            for _ in 0..10 {
                assert_eq!(ladder.cycle(false, 0), Step::Normal);
            }
        }
        assert_eq!(ladder.fullest(), 10);
    }

    #[test]
    fn a_burst_of_misses_climbs_to_the_quick_stop_and_stays_until_the_bucket_is_empty() {
        let mut ladder = Ladder::new(LadderConfig::default());
        let steps: std::vec::Vec<_> = (0..5).map(|_| ladder.cycle(true, 0)).collect();
        assert_eq!(steps[3..], [Step::Normal, Step::QuickStop]);
        for _ in 0..49 {
            assert_eq!(ladder.cycle(false, 0), Step::QuickStop);
        }
        assert_eq!(ladder.cycle(false, 0), Step::Normal);
    }

    #[test]
    fn a_long_gap_is_a_fault_at_once_and_a_fault_never_heals() {
        let mut ladder = Ladder::new(LadderConfig::default());
        assert_eq!(ladder.cycle(true, 19), Step::Fault);
        for _ in 0..10_000 {
            ladder.cycle(false, 0);
        }
        assert_eq!(ladder.step(), Step::Fault);
    }

    #[test]
    fn outputs_held_too_long_are_a_quick_stop_however_empty_the_bucket_is() {
        let mut ladder = Ladder::new(LadderConfig::default());
        ladder.cycle(true, 1);
        ladder.held_too_long();
        assert_eq!(ladder.step(), Step::QuickStop);
        assert_eq!(ladder.cycle(false, 0), Step::QuickStop);
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
