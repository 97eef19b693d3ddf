//! The firmware with `wake = "spin"`, with SPI by registers, and with both; and the C loop that
//! watches the clock as well.

use serde_json::Value;

use crate::distribution::Summary;
use crate::guest::{Cycles, SPIN_US};
use crate::measure::{self, Figures, Parts, Program, Times};
use crate::trace::Calls;
use crate::verdict::{Goal, figures_of};
use testbed::baseline;
use testbed::failure::Failure;

/// Latest beginning of a cycle after its release, us: two ticks of the guest's clock.
const LATEST_US: f64 = 0.25;
/// Execution p50 by registers, law and record included, us.
const EXECUTION_US: f64 = 2.0;
/// Response p99.9 beside the load, by registers and with a watch of the clock, us.
const RESPONSE_US: f64 = 3.0;
/// The same, divided by the response p99.9 of the C loop that sleeps.
const RESPONSE_RATIO: f64 = 0.05;
/// System calls of a cycle by registers: the sleep and the output lines.
const CALLS: f64 = 2.0;

/// The calls whose cost is measured.
const COSTS: [&str; 7] = [
    "GPIO_V2_LINE_GET_VALUES",
    "GPIO_V2_LINE_SET_VALUES",
    "SPI_IOC_MESSAGE(1)",
    "SPI_IOC_RD_MODE32",
    "SPI_IOC_MESSAGE(2)",
    "two_SPI_IOC_MESSAGE(1)",
    "io_uring_two_writes",
];

/// A program and how it is run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Variant {
    /// The firmware by the kernel's drivers, with `wake = "spin"`.
    Spin,
    /// The firmware by registers, with `wake = "sleep"`.
    Registers,
    /// The firmware by registers, with `wake = "spin"`.
    Both,
    /// The C loop by the kernel's drivers, with the same watch of the clock.
    MinimalLoop,
}

const VARIANTS: [Variant; 4] = [
    Variant::Spin,
    Variant::Registers,
    Variant::Both,
    Variant::MinimalLoop,
];

impl Variant {
    /// Its name in the guest's script and in the JSON file.
    const fn key(self) -> &'static str {
        match self {
            Self::Spin => "firmware_spin",
            Self::Registers => "firmware_registers",
            Self::Both => "firmware_both",
            Self::MinimalLoop => "minimal_loop_spin",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Registers => "registers",
            Self::Both => "both",
            Self::MinimalLoop => "C loop, spin",
        }
    }
}

/// A variant idle and beside the load.
pub(crate) struct Run {
    variant: Variant,
    idle: Times,
    loaded: Times,
}

/// All variants, and the system calls of a cycle by registers.
pub(crate) struct Fast {
    runs: Vec<Run>,
    calls: Calls,
    /// Mean time of each of [`COSTS`] that is made many times in a row, ns.
    costs: Vec<(&'static str, u64)>,
}

/// The figures of all variants.
///
/// # Errors
/// The guest's output is incomplete, or a run had a fault.
pub(crate) fn figures(lines: &[String]) -> Result<Fast, Failure> {
    let parts = Parts::of(lines);
    let times = |variant: Variant, load: &str| {
        let part = parts.get(&format!("{} {load}", variant.key()))?;
        match variant {
            Variant::MinimalLoop => measure::minimal(part),
            _ => measure::firmware(&measure::report(part)?),
        }
    };
    let runs = VARIANTS.into_iter().map(|variant| {
        Ok(Run {
            variant,
            idle: times(variant, "idle")?,
            loaded: times(variant, "loaded")?,
        })
    });
    let costs = parts.get("costs")?;
    let costs = COSTS
        .into_iter()
        .map(|name| Ok((name, measure::value(costs, name)?)));
    Ok(Fast {
        costs: costs.collect::<Result<_, Failure>>()?,
        runs: runs.collect::<Result<_, Failure>>()?,
        calls: measure::calls(&parts, Variant::Registers.key(), Program::Firmware)?,
    })
}

impl Run {
    fn loads(&self) -> [(&'static str, &Times); 2] {
        [("idle", &self.idle), ("loaded", &self.loaded)]
    }
}

fn execution(times: &Times) -> Option<Summary> {
    times.execution.as_ref().map(|times| times.summary)
}

fn response(times: &Times) -> Option<Summary> {
    times.response.as_ref().map(|times| times.summary)
}

fn us(ns: u32) -> f64 {
    f64::from(ns) / 1e3
}

/// The goals, and the ratios to the C loop that are checked against the baseline.
///
/// # Errors
/// The C loop has no figures.
pub(crate) fn judge(
    fast: &Fast,
    all: &[Figures],
) -> Result<(Vec<Goal>, baseline::Figures), Failure> {
    let reference = figures_of(all, Program::MinimalLoop)?;
    let mut goals = Vec::new();
    let mut ratios = baseline::Figures::new();
    for run in &fast.runs {
        let (variant, title) = (run.variant, run.variant.title());
        for (load, times) in run.loads() {
            let theirs = match load {
                "idle" => &reference.idle,
                _ => &reference.loaded,
            };
            if matches!(variant, Variant::Spin | Variant::Both) {
                let name = format!("release lateness max, {load}, {title}, us");
                let late = us(times.lateness.summary.max);
                goals.push(Goal::new(name, late, LATEST_US).unchecked());
            }
            if matches!(variant, Variant::Registers | Variant::Both)
                && let (Some(ours), Some(theirs)) = (execution(times), execution(theirs))
            {
                let name = format!("execution p50, {load}, {title}");
                // Not reached: benches/BOARD.md, "Beyond the sleep".
                let goal = Goal::new(format!("{name}, us"), us(ours.p50), EXECUTION_US);
                goals.push(goal.unchecked());
                ratios.insert(
                    format!("{name} / C loop"),
                    f64::from(ours.p50) / f64::from(theirs.p50),
                );
            }
        }
        if variant == Variant::Both
            && let (Some(ours), Some(theirs)) = (response(&run.loaded), response(&reference.loaded))
        {
            let ratio = f64::from(ours.p999) / f64::from(theirs.p999);
            let name = format!("response p99.9, loaded, {title}");
            // Not reached either.
            let goal = Goal::new(format!("{name}, us"), us(ours.p999), RESPONSE_US);
            goals.push(goal.unchecked());
            let goal = Goal::new(format!("{name} / C loop"), ratio, RESPONSE_RATIO);
            goals.push(goal.unchecked());
        }
    }
    let calls = (fast.calls.per_cycle * 1e6).round() / 1e6;
    goals.push(Goal::new("system calls per cycle, registers", calls, CALLS).unchecked());
    Ok((goals, ratios))
}

/// The figures as JSON.
pub(crate) fn json(fast: &Fast) -> Value {
    let runs = fast.runs.iter().map(|run| {
        let both = serde_json::json!({
            "idle": run.idle.to_json(),
            "loaded": run.loaded.to_json(),
        });
        (run.variant.key().to_owned(), both)
    });
    let mut all: serde_json::Map<_, _> = runs.collect();
    let costs: serde_json::Map<_, _> = (fast.costs.iter())
        .map(|(name, ns)| ((*name).to_owned(), Value::from(*ns)))
        .collect();
    all.insert("costs_ns".to_owned(), Value::Object(costs));
    all.insert("calls_registers".to_owned(), serde_json::json!(fast.calls));
    Value::Object(all)
}

/// The table.
pub(crate) fn table(fast: &Fast, cycles: Cycles) -> String {
    let mut text = format!(
        "SPI by registers at 10 MHz, spin_us = {SPIN_US}: {} cycles idle, {} beside hackbench\n{:<40}",
        cycles.idle, cycles.loaded, ""
    );
    for run in &fast.runs {
        text += &format!("{:>26}", run.variant.title());
    }
    text.push('\n');
    type Of = fn(&Times) -> Option<Summary>;
    let rows: [(&str, Of); 3] = [
        ("release lateness", |times| Some(times.lateness.summary)),
        ("execution", execution),
        ("response", response),
    ];
    for at in [0, 1] {
        for (name, of) in rows {
            let load = ["idle", "loaded"][at];
            text += &format!("{:<40}", format!("{name} p50 / p99.9 / max, {load}, us"));
            for run in &fast.runs {
                let shown = of(run.loads()[at].1).map_or("-".to_owned(), |found| {
                    let Summary { p50, p999, max, .. } = found;
                    format!("{:.3} / {:.3} / {:.3}", us(p50), us(p999), us(max))
                });
                text += &format!("{shown:>26}");
            }
            text.push('\n');
        }
    }
    text += &format!(
        "system calls per cycle, registers: {:.3}",
        fast.calls.per_cycle
    );
    for (name, count) in &fast.calls.by_name {
        text += &format!(", {name} {count:.3}");
    }
    text += "\none call, of 1,000 in a row:";
    for (name, ns) in &fast.costs {
        text += &format!(" {name} {:.3} us", *ns as f64 / 1e3);
    }
    text.push('\n');
    text
}
