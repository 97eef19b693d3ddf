//! Judges each case: whether pins, messages and black box match the expected outcome.

use crate::catalogue::{Outcome, REACTION};
use crate::guest::Case;
use crate::state::State;
use crate::watch::energising::{BRAKE_RELEASE, DAC, ENABLE, NAMES};
use crate::watch::{BlackBox, Observed, Periods, Reported, has};

/// A case with its observations.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) observed: Observed,
    pub(crate) reported: Reported,
    /// What was not as it must be.
    pub(crate) wrong: Vec<String>,
}

impl Row {
    pub(crate) fn new(case: Case, observed: Observed, reported: Reported) -> Self {
        let wrong = findings(&case, &observed, &reported);
        Self {
            case,
            observed,
            reported,
            wrong,
        }
    }
}

/// The watchdog's timeout in the board file, in periods, plus a few from the injection
/// to the end of the process: the kernel feeds the watchdog once more when the process
/// that held it is gone (`watchdog_release`, watchdog_dev.c).
const RESET: Periods = 2_000 + 5;

/// Cause that the start after a reset records.
const RESET_WORDS: &str = "the board was reset";

/// All deviations from the expected outcome.
fn findings(case: &Case, observed: &Observed, reported: &Reported) -> Vec<String> {
    let Case { fault, state, .. } = case;
    let mut judge = Judge {
        case,
        observed,
        reported,
        wrong: Vec::new(),
    };
    judge.started_in(*state, (fault.outcome)(*state));
    let words = (fault.words)(*state);
    if !fault.is_mute && !words.is_empty() && !reported.mentions(words) {
        judge.wrong.push(format!("no message contains '{words}'"));
    }
    if reported.hung {
        judge.wrong.push("it did not end on request".to_owned());
    }
    for note in &reported.notes {
        if note.starts_with("refused") {
            judge.wrong.push(note.clone());
        }
    }
    judge.recorded();
    match (fault.outcome)(*state) {
        Outcome::PowerOff { detected } => {
            judge.lit_within(detected + REACTION);
            judge.safe_within(detected + REACTION);
            judge.ended(4);
        }
        Outcome::Ramp { detected } => {
            judge.lit_within(detected + REACTION);
            judge.in_order();
            judge.ended(4);
        }
        Outcome::Stops { code } => {
            judge.in_order();
            judge.ended(code);
        }
        Outcome::QuickStop { detected } => {
            judge.lit_within(detected + REACTION);
            judge.in_order();
            judge.counted(false);
            judge.ended(5);
        }
        Outcome::ComesBack { detected } => {
            judge.lit_within(detected + REACTION);
            judge.came_back();
            judge.counted(true);
            judge.ended(0);
        }
        Outcome::Ends { code, detected } => {
            judge.safe_within(detected + REACTION);
            judge.silent_within(detected + REACTION);
            judge.ended(code);
        }
        Outcome::Dies { signal, after } => {
            judge.safe_within(after + REACTION);
            judge.silent_within(after + REACTION);
            judge.ended(128 + signal);
        }
        Outcome::Reported { code } => {
            judge.went_on();
            judge.ended(code);
        }
        Outcome::GoesOn => {
            judge.went_on();
            judge.ended(if state.is_faulted() { 4 } else { 0 });
        }
        Outcome::Reset { after } => {
            if reported.status.is_some() || observed.watched > after + RESET {
                let periods = observed.watched;
                let words = format!("the board was not reset {periods} periods later");
                judge.wrong.push(words);
            }
        }
        // Judged by the files on the disk.
        Outcome::PowerCut => {}
        Outcome::Refused { code } => {
            if observed.beats > 0 {
                judge.wrong.push("the heartbeat toggled".to_owned());
            }
            judge.safe_within(0);
            judge.ended(code);
        }
    }
    judge.wrong
}

struct Judge<'a> {
    case: &'a Case,
    observed: &'a Observed,
    reported: &'a Reported,
    wrong: Vec<String>,
}

impl Judge<'_> {
    /// Index and name of the energising outputs that can be reached.
    fn reachable(&self) -> impl Iterator<Item = (usize, &'static str)> + use<> {
        let lost = self.case.fault.loses;
        let all = NAMES.into_iter().enumerate();
        all.filter(move |(place, _)| Some(*place) != lost)
    }

    fn require(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(words());
        }
    }

    /// A case that did not begin in its state is not valid.
    fn started_in(&mut self, state: State, outcome: Outcome) {
        if matches!(outcome, Outcome::Refused { .. } | Outcome::PowerCut) {
            return;
        }
        let before = self.observed.before;
        let mut levels = before.into_iter().zip(state.levels());
        let begun =
            levels.all(|(level, expected)| expected.is_none_or(|expected| expected == level));
        self.require(begun, || format!("it began with {NAMES:?} = {before:?}"));
        let lit = self.observed.lamp_before;
        self.require(lit == state.is_faulted(), || {
            format!("it began with the fault lamp {lit}")
        });
        self.require(self.observed.watched > 0, || {
            "there was no injection".to_owned()
        });
    }

    fn ended(&mut self, expected: i64) {
        let found = self.reported.status;
        self.require(found == Some(expected), || match found {
            Some(found) => format!("exit status {found}, not {expected}"),
            None => "the board was reset".to_owned(),
        });
        for (place, name) in self.reachable() {
            let left = self.observed.after[place];
            self.require(!left, || format!("left energised: {name}"));
        }
    }

    /// Within `periods` of the injection, and within [`REACTION`] of the lamp. The second
    /// bound does not apply where the overrun ladder ends the run: it lights the lamp at
    /// the quick stop and removes the power in its next step.
    fn safe_within(&mut self, periods: Periods) {
        let Case { fault, state, .. } = self.case;
        let periods = match self.observed.lamp {
            Some(noticed) if (fault.words)(*state) != "overrun ladder" => {
                periods.min(noticed + REACTION)
            }
            _ => periods,
        };
        for (place, name) in self.reachable() {
            let low = self.observed.low[place];
            self.require(low.is_some_and(|low| low <= periods), || match low {
                Some(low) => format!("{name} was safe after {low} periods, not {periods}"),
                None => format!("{name} did not become safe"),
            });
        }
        let again = self.observed.energised_again;
        self.require(!again, || "energised again after being safe".to_owned());
    }

    fn lit_within(&mut self, periods: Periods) {
        let lamp = self.observed.lamp;
        let lit = self.observed.lamp_before || lamp.is_some_and(|lamp| lamp <= periods);
        self.require(lit, || match lamp {
            Some(lamp) => format!("the fault lamp was lit after {lamp} periods, not {periods}"),
            None => "the fault lamp was not lit".to_owned(),
        });
    }

    fn silent_within(&mut self, periods: Periods) {
        let last = self.observed.last_beat.unwrap_or(0);
        self.require(last <= periods, || {
            format!("the heartbeat went on for {last} periods, not {periods}")
        });
    }

    /// Every end by a fault leaves a black box with its cause; no other end does.
    fn recorded(&mut self) {
        let Case { fault, state, .. } = self.case;
        let whole = |found: &BlackBox| found.status == Some(0);
        for found in self
            .reported
            .black_boxes
            .iter()
            .filter(|found| !whole(found))
        {
            if !fault.damages_box {
                let words = format!(
                    "{} is not a complete black box: {:?}",
                    found.name, found.status
                );
                self.wrong.push(words);
            }
        }
        let outcome = (fault.outcome)(*state);
        let expected = match outcome {
            Outcome::Reset { .. } | Outcome::PowerCut | Outcome::ComesBack { .. } => true,
            Outcome::Refused { .. } => false,
            _ => self.reported.status != Some(0),
        };
        let last = self.reported.black_boxes.iter().rfind(|found| whole(found));
        match last {
            None => self.require(!expected, || "there is no black box".to_owned()),
            Some(last) => {
                let cause = last.value("cause").unwrap_or("nothing");
                self.require(expected, || format!("a black box without a fault: {cause}"));
                let words = match outcome {
                    Outcome::Reset { .. } => RESET_WORDS,
                    _ => (fault.words)(*state),
                };
                self.require(has(cause, words), || {
                    format!("the black box has the cause '{cause}', not '{words}'")
                });
                // A reset erases the flight file in memory.
                let reset = matches!(outcome, Outcome::Reset { .. } | Outcome::PowerCut);
                let cycles = last.cycles() > 0 || reset;
                self.require(cycles, || "the black box has no cycles".to_owned());
            }
        }
    }

    /// The brake engages before power goes.
    fn in_order(&mut self) {
        let low = self.observed.low;
        let all = self.observed.safe(self.case.fault.loses).is_some();
        self.require(all && low[BRAKE_RELEASE] <= low[ENABLE], || {
            format!("not stopped in order: {NAMES:?} low after {low:?}")
        });
        let again = self.observed.energised_again;
        self.require(!again, || "energised again after being safe".to_owned());
    }

    /// The axis was off, is on again, and the lamp is dark.
    fn came_back(&mut self) {
        let observed = self.observed;
        self.require(observed.energised_again, || {
            "the axis was not energised again".to_owned()
        });
        let off = (observed.low[ENABLE], observed.low[BRAKE_RELEASE]);
        self.require(off == (None, None), || {
            format!("enable and brake release stayed low: {off:?}")
        });
        self.require(!observed.lamp_after, || {
            "the fault lamp stayed lit".to_owned()
        });
    }

    /// The report has the quick stop, and whether the axis was armed again.
    fn counted(&mut self, armed_again: bool) {
        let stops = self
            .reported
            .report
            .as_ref()
            .map(|report| &report["quick_stops"]);
        let stop = stops.is_some_and(|stops| {
            stops["last"]["cause"] == "overrun" && stops["armed_again"] == armed_again
        });
        self.require(stop, || format!("quick stops in the report: {stops:?}"));
    }

    /// Nothing but the DAC has changed, and the heartbeat went on.
    fn went_on(&mut self) {
        let observed = self.observed;
        for (place, name) in self.reachable().filter(|(place, _)| *place != DAC) {
            let (before, low) = (observed.before[place], observed.low[place]);
            self.require(before == low.is_none(), || {
                format!("{name} changed: {before} before, low after {low:?}")
            });
        }
        let lamp = observed.lamp;
        self.require(lamp.is_none(), || {
            format!("the fault lamp was lit after {lamp:?} periods")
        });
        let (last, watched) = (observed.last_beat.unwrap_or(0), observed.watched);
        self.require(watched <= last + 2, || {
            format!("the last heartbeat came after {last} of {watched} periods")
        });
    }
}
