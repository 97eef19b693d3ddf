//! Observations of a case: its pins, and what it printed.

use serde_json::Value;

use crate::guest;
use testbed::pins::Edge;

/// Lines of GPIO1: those of the board, and some of the campaign alone.
pub(crate) mod line {
    pub(crate) const ENABLE: u8 = 6;
    pub(crate) const BRAKE_RELEASE: u8 = 8;
    pub(crate) const HEARTBEAT: u8 = 9;
    pub(crate) const FAULT_LAMP: u8 = 10;
    /// One edge every [`super::TICK_US`] of guest time.
    pub(crate) const METRONOME: u8 = 20;
    /// High from the injection to the end of the observation.
    pub(crate) const MARK: u8 = 21;
    /// High while the DAC output is not 0 V.
    pub(crate) const DRIVEN: u8 = 22;
    /// High while the duty of the served PWM channel is not the safe one.
    pub(crate) const DUTY: u8 = 23;
    /// High unless the last frame of the served windings was complete, had a valid checksum
    /// and held their safe torque.
    pub(crate) const TORQUE: u8 = 24;
}

/// Guest time between two edges of the metronome.
pub(crate) const TICK_US: u32 = 250;
const TICKS_IN_PERIOD: u32 = 1000 / TICK_US;

/// Lines that are safe when low and energise something when high: those of the axis, then
/// those of the own machine. They are referred to by their index here.
pub(crate) const ENERGISING: [u8; 5] = [
    line::ENABLE,
    line::BRAKE_RELEASE,
    line::DRIVEN,
    line::DUTY,
    line::TORQUE,
];

/// Indices in [`ENERGISING`].
pub(crate) mod energising {
    pub(crate) const ENABLE: usize = 0;
    pub(crate) const BRAKE_RELEASE: usize = 1;
    pub(crate) const DAC: usize = 2;
    pub(crate) const DUTY: usize = 3;
    pub(crate) const TORQUE: usize = 4;
    /// Names in messages.
    pub(crate) const NAMES: [&str; 5] = ["enable", "brake release", "DAC", "duty", "torque"];
}

/// Guest time from the injection, in periods of the loop, rounded up.
pub(crate) type Periods = u32;

/// The pins in one case, from the injection on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Levels of [`ENERGISING`] at the injection.
    pub(crate) before: [bool; 5],
    pub(crate) lamp_before: bool,
    /// When the fault lamp was lit.
    pub(crate) lamp: Option<Periods>,
    /// Whether it was lit at the end of the observation.
    pub(crate) lamp_after: bool,
    /// When each of [`ENERGISING`] fell for the last time; `None`: it did not stay low.
    pub(crate) low: [Option<Periods>; 5],
    /// Whether one of them rose after all of them had been low.
    pub(crate) energised_again: bool,
    /// Edges of the heartbeat, and the time of the last one.
    pub(crate) beats: u32,
    pub(crate) last_beat: Option<Periods>,
    /// Duration of the observation.
    pub(crate) watched: Periods,
    /// Levels of [`ENERGISING`] at the end of the case.
    pub(crate) after: [bool; 5],
}

impl Observed {
    /// When all energising lines but `lost` stayed low.
    pub(crate) fn safe(&self, lost: Option<usize>) -> Option<Periods> {
        let places = (0..self.low.len()).filter(|place| Some(*place) != lost);
        let mut lows = places.map(|place| self.low[place]);
        lows.try_fold(0, |latest, low| Some(latest.max(low?)))
    }
}

/// Divides the edges of a boot into its cases, by the mark: high from the injection to the
/// end of the observation, and a second pulse at the end of the case. A reset of the board
/// may cut off the last case.
pub(crate) fn cases(edges: &[Edge]) -> Vec<Observed> {
    let mut levels = [false; 32];
    let mut cases = Vec::new();
    let mut open: Option<(Observed, u32)> = None;
    let mut is_over = true;
    for edge in edges {
        let Some(level) = levels.get_mut(usize::from(edge.line)) else {
            continue;
        };
        *level = edge.level;
        let energised = ENERGISING.map(|line| levels[usize::from(line)]);
        if edge.line == line::MARK && edge.level {
            is_over = !is_over;
            if is_over {
                if let Some(last) = cases.last_mut() {
                    let last: &mut Observed = last;
                    last.after = energised;
                }
                continue;
            }
            let observed = Observed {
                before: energised,
                lamp_before: levels[usize::from(line::FAULT_LAMP)],
                low: energised.map(|high| if high { None } else { Some(0) }),
                ..Observed::default()
            };
            open = Some((observed, 0));
            continue;
        }
        let Some((observed, ticks)) = &mut open else {
            continue;
        };
        let now = ticks.div_ceil(TICKS_IN_PERIOD);
        observed.watched = now;
        match edge.line {
            line::METRONOME => *ticks += 1,
            line::HEARTBEAT => {
                observed.beats += 1;
                observed.last_beat = Some(now);
            }
            line::FAULT_LAMP if edge.level && observed.lamp.is_none() => observed.lamp = Some(now),
            line::MARK => {
                observed.lamp_after = levels[usize::from(line::FAULT_LAMP)];
                cases.extend(open.take().map(|(observed, _)| observed));
            }
            other => {
                if let Some(index) = ENERGISING.iter().position(|line| *line == other) {
                    if edge.level {
                        observed.energised_again |= observed.low.iter().all(Option::is_some);
                        observed.low[index] = None;
                    } else {
                        // 0 means before the injection; an edge within the first tick
                        // is after it.
                        observed.low[index] = Some(now.max(1));
                    }
                }
            }
        }
    }
    cases.extend(open.take().map(|(observed, _)| observed));
    cases
}

/// A black box, as `steadctl` prints it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlackBox {
    /// The exit code of `steadctl`: 0 for a complete file.
    pub(crate) status: Option<i64>,
    pub(crate) name: String,
    lines: Vec<String>,
}

impl BlackBox {
    /// The value of `key`.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
    }

    /// Number of recorded cycles before the end.
    pub(crate) fn cycles(&self) -> u64 {
        let count = self.value("cycles").and_then(|text| text.split(',').next());
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// Whether `text` contains one of `words`, which are separated by `|`.
pub(crate) fn has(text: &str, words: &str) -> bool {
    words.split('|').any(|words| text.contains(words))
}

/// What a case printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported {
    /// The shell's exit status of the program; 128 plus the number of a signal.
    pub(crate) status: Option<i64>,
    /// The program did not end on request and was killed.
    pub(crate) hung: bool,
    /// Its standard error.
    pub(crate) stderr: Vec<String>,
    /// Its JSON report.
    pub(crate) report: Option<Value>,
    /// Lines of the script itself, without `@@note `.
    pub(crate) notes: Vec<String>,
    /// The black boxes at the end of the case, oldest first.
    pub(crate) black_boxes: Vec<BlackBox>,
}

impl Reported {
    /// The reason of the end in the report.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.report.as_ref()?.pointer("/exit/reason")?.as_str()
    }

    /// Whether reason, standard error or notes contain one of `words`, separated by `|`.
    pub(crate) fn mentions(&self, words: &str) -> bool {
        let lines = self.stderr.iter().chain(&self.notes).map(String::as_str);
        let mut lines = lines.chain(self.reason());
        lines.any(|line| has(line, words))
    }
}

/// Divides the console of a boot into the output of its cases, by their numbers.
pub(crate) fn reports(console: &[String]) -> Vec<(usize, Reported)> {
    let mut all: Vec<(usize, Reported)> = Vec::new();
    let mut json: Option<String> = None;
    for line in console {
        if let Some(number) = line.strip_prefix("@@case ") {
            if let Ok(number) = number.parse() {
                all.push((number, Reported::default()));
            }
            continue;
        }
        let Some((_, reported)) = all.last_mut() else {
            continue;
        };
        if let Some(text) = &mut json {
            if line == "@@json end" {
                reported.report = serde_json::from_str(text).ok();
                json = None;
            } else {
                text.push_str(line);
                text.push('\n');
            }
        } else if line == "@@json" {
            json = Some(String::new());
        } else if line == "@@hung" {
            reported.hung = true;
        } else if let Some(status) = line.strip_prefix("@@exit ") {
            reported.status = status.parse().ok();
        } else if let Some(words) = line.strip_prefix("@@stderr ") {
            reported.stderr.push(words.to_owned());
        } else if let Some(note) = line.strip_prefix("@@note ") {
            reported.notes.push(note.to_owned());
        } else if let Some(found) = line.strip_prefix(guest::BOX) {
            let (status, name) = found.split_once(' ').unwrap_or((found, ""));
            reported.black_boxes.push(BlackBox {
                status: status.parse().ok(),
                name: name.to_owned(),
                lines: Vec::new(),
            });
        } else if let Some(line) = line.strip_prefix(guest::BOX_LINE)
            && let Some(last) = reported.black_boxes.last_mut()
        {
            last.lines.push(line.to_owned());
        }
    }
    all
}
