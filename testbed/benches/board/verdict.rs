//! The ratios, the goals, and their check against the baseline.

use serde::Serialize;

use crate::distribution::Summary;
use crate::measure::{Figures, PROGRAMS, Program, Times};
use testbed::baseline;
use testbed::failure::Failure;

/// Allowed system calls per cycle: the sleep and four I/O calls.
const ALLOWED_CALLS: f64 = 5.0;

/// A figure and its maximum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    pub(crate) name: String,
    pub(crate) found: f64,
    pub(crate) at_most: f64,
    pub(crate) met: bool,
    /// Whether `--check` fails when it is missed. Not for a maximum, which is a single event and
    /// changes with any change of the image, and not for a goal that was never reached.
    pub(crate) is_checked: bool,
}

impl Goal {
    pub(crate) fn new(name: impl Into<String>, found: f64, at_most: f64) -> Self {
        Self {
            name: name.into(),
            found,
            at_most,
            met: found <= at_most,
            is_checked: true,
        }
    }

    /// Shown, but not checked.
    pub(crate) fn unchecked(self) -> Self {
        Self {
            is_checked: false,
            ..self
        }
    }
}

/// The compared figures, and the maxima of their ratios.
const RATIOS: [(&str, Program, Pick, f64); 5] = [
    (
        "execution p50",
        Program::MinimalLoop,
        Pick::ExecutionP50,
        1.05,
    ),
    (
        "execution max",
        Program::MinimalLoop,
        Pick::ExecutionMax,
        1.05,
    ),
    (
        "release lateness p50",
        Program::Cyclictest,
        Pick::LatenessP50,
        1.10,
    ),
    (
        "release lateness max",
        Program::MinimalLoop,
        Pick::LatenessMax,
        1.05,
    ),
    (
        "release lateness max",
        Program::Cyclictest,
        Pick::LatenessMax,
        1.00,
    ),
];

#[derive(Copy, Clone, Debug)]
enum Pick {
    ExecutionP50,
    ExecutionMax,
    LatenessP50,
    LatenessMax,
}

impl Pick {
    /// Whether the figure is of many cycles, not of one.
    fn is_of_many(self) -> bool {
        match self {
            Self::ExecutionP50 | Self::LatenessP50 => true,
            Self::ExecutionMax | Self::LatenessMax => false,
        }
    }

    fn of(self, times: &Times) -> Option<f64> {
        let execution = times.execution.as_ref().map(|times| times.summary);
        let ns = match self {
            Self::ExecutionP50 => execution.map(|Summary { p50, .. }| p50),
            Self::ExecutionMax => execution.map(|Summary { max, .. }| max),
            Self::LatenessP50 => Some(times.lateness.summary.p50),
            Self::LatenessMax => Some(times.lateness.summary.max),
        };
        ns.map(f64::from)
    }
}

pub(crate) fn figures_of(all: &[Figures], program: Program) -> Result<&Figures, Failure> {
    all.iter()
        .find(|figures| figures.program == program)
        .ok_or_else(|| Failure::new(format!("no figures of {}", program.title())))
}

/// All goals with their figures, and the ratios that are checked against the baseline.
///
/// # Errors
/// A program has no figures.
pub(crate) fn judge(all: &[Figures]) -> Result<(Vec<Goal>, baseline::Figures), Failure> {
    let firmware = figures_of(all, Program::Firmware)?;
    let mut goals = Vec::new();
    let mut ratios = baseline::Figures::new();
    for (what, other, pick, at_most) in RATIOS {
        let other = figures_of(all, other)?;
        for (load, ours, theirs) in [
            ("idle", &firmware.idle, &other.idle),
            ("loaded", &firmware.loaded, &other.loaded),
        ] {
            let (Some(ours), Some(theirs)) = (pick.of(ours), pick.of(theirs)) else {
                continue;
            };
            let name = format!("{what}, {load}, steadfast / {}", other.program.title());
            let goal = Goal::new(name.clone(), ours / theirs, at_most);
            if pick.is_of_many() {
                ratios.insert(name, ours / theirs);
                goals.push(goal);
            } else {
                goals.push(goal.unchecked());
            }
        }
    }
    let beyond = firmware.calls.per_cycle - ALLOWED_CALLS;
    // Rounds off the error of the division.
    let beyond = (beyond * 1e6).round() / 1e6;
    goals.extend([
        Goal::new(
            "system calls per cycle beyond the sleep and four",
            beyond,
            0.0,
        ),
        Goal::new("VmLck, kB", firmware.vm_lck_kb as f64, 2_048.0),
        Goal::new(
            "binary, kB of 1000 bytes",
            firmware.binary_bytes as f64 / 1e3,
            1_500.0,
        ),
        Goal::new(
            "exec to first cycle without warm-up, ms",
            firmware.start_us / 1e3,
            10.0,
        ),
    ]);
    Ok((goals, ratios))
}

/// The table, with a column per program.
pub(crate) fn table(all: &[Figures]) -> String {
    let mut text = format!("{:<34}", "");
    for program in PROGRAMS {
        text += &format!("{:>20}", program.title());
    }
    text.push('\n');
    let mut row = |name: &str, value: &dyn Fn(&Figures) -> String| {
        text += &format!("{name:<34}");
        for figures in all {
            text += &format!("{:>20}", value(figures));
        }
        text.push('\n');
    };
    let us = |ns: u32| format!("{:.3}", f64::from(ns) / 1e3);
    type Choose = fn(&Figures) -> &Times;
    type Point = fn(&Summary) -> u32;
    let loads: [(&str, Choose); 2] = [("idle", |f| &f.idle), ("loaded", |f| &f.loaded)];
    for (load, times) in loads {
        let points: [(&str, Point); 4] = [
            ("min", |s| s.min),
            ("p50", |s| s.p50),
            ("p99", |s| s.p99),
            ("max", |s| s.max),
        ];
        for (point, of) in points {
            row(&format!("release lateness {point}, {load}, us"), &|f| {
                us(of(&times(f).lateness.summary))
            });
        }
        for (point, of) in [points[1], points[3]] {
            row(&format!("execution {point}, {load}, us"), &|f| {
                let execution = times(f).execution.as_ref();
                execution.map_or("-".to_owned(), |times| us(of(&times.summary)))
            });
        }
        row(&format!("slots skipped, {load}"), &|f| {
            times(f)
                .skipped
                .map_or("-".to_owned(), |count| count.to_string())
        });
    }
    row("system calls per cycle", &|f| {
        format!("{:.3}", f.calls.per_cycle)
    });
    for name in [
        "clock_nanosleep",
        "GPIO_V2_LINE_GET_VALUES",
        "SPI_IOC_MESSAGE(1)",
        "GPIO_V2_LINE_SET_VALUES",
    ] {
        row(&format!("  {name}"), &|f| {
            format!("{:.3}", f.calls.by_name.get(name).copied().unwrap_or(0.0))
        });
    }
    row("  of other threads, per cycle", &|f| {
        format!("{:.3}", f.calls.others_per_cycle)
    });
    row("VmLck, kB", &|f| f.vm_lck_kb.to_string());
    row("binary, bytes", &|f| f.binary_bytes.to_string());
    row("exec to first cycle, ms", &|f| {
        format!("{:.3}", f.start_us / 1e3)
    });
    row("  warm-up cycles not counted in it", &|f| {
        f.warm_up_cycles.to_string()
    });
    text
}

/// The goals, one per line.
pub(crate) fn goals_text(goals: &[Goal]) -> String {
    let mut text = String::new();
    for Goal {
        name,
        found,
        at_most,
        met,
        is_checked: _,
    } in goals
    {
        let verdict = if *met { "met" } else { "MISSED" };
        text += &format!("{verdict:<7}{found:>10.4}  at most {at_most:<8} {name}\n");
    }
    text
}
