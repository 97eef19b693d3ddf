//! Computes the figures from the guest's console.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::distribution::{Distribution, Summary};
use crate::guest::{COUNTED, Ready, STARTED};
use crate::trace::{self, Calls, Counted, Hits};
use testbed::failure::Failure;

/// The programs, as the script names them, in the order of the table.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The shipped steadfast.
    Firmware,
    /// The C loop: the firmware's system calls and nothing else.
    MinimalLoop,
    /// rt-tests' cyclictest: no I/O.
    Cyclictest,
}

pub(crate) const PROGRAMS: [Program; 3] =
    [Program::Firmware, Program::MinimalLoop, Program::Cyclictest];

impl Program {
    /// Its name in the guest's script and in the JSON file.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::MinimalLoop => "minimal_loop",
            Self::Cyclictest => "cyclictest",
        }
    }

    /// Its name in table and drawing.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Firmware => "steadfast",
            Self::MinimalLoop => "C loop",
            Self::Cyclictest => "cyclictest",
        }
    }

    /// Names of its threads.
    fn threads(self) -> &'static [&'static str] {
        match self {
            Self::Firmware => &["steadfast", "reporter", "edges"],
            Self::MinimalLoop => &["minimal_loop"],
            Self::Cyclictest => &["cyclictest"],
        }
    }
}

/// The times of one run.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) lateness: Distribution,
    /// `None` for cyclictest, which executes nothing.
    pub(crate) execution: Option<Distribution>,
    /// From the planned release until the outputs have left; `None` for cyclictest.
    pub(crate) response: Option<Distribution>,
    /// Periods without a cycle; `None` for cyclictest, which does not report it.
    pub(crate) skipped: Option<u64>,
}

/// All figures of one program.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) program: Program,
    pub(crate) idle: Times,
    pub(crate) loaded: Times,
    pub(crate) calls: Calls,
    pub(crate) vm_lck_kb: u64,
    pub(crate) binary_bytes: u64,
    /// From exec to the first cycle without the warm-up cycles, us.
    pub(crate) start_us: f64,
    pub(crate) warm_up_cycles: u64,
}

#[derive(Serialize)]
pub(crate) struct TimesJson {
    release_lateness_ns: Summary,
    execution_ns: Option<Summary>,
    response_ns: Option<Summary>,
    skipped: Option<u64>,
}

impl Times {
    pub(crate) fn to_json(&self) -> TimesJson {
        TimesJson {
            release_lateness_ns: self.lateness.summary,
            execution_ns: self.execution.as_ref().map(|times| times.summary),
            response_ns: self.response.as_ref().map(|times| times.summary),
            skipped: self.skipped,
        }
    }
}

impl Figures {
    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!({
            "idle": self.idle.to_json(),
            "loaded": self.loaded.to_json(),
            "system_calls": self.calls,
            "vm_lck_kb": self.vm_lck_kb,
            "binary_bytes": self.binary_bytes,
            "exec_to_first_cycle_us": self.start_us,
            "warm_up_cycles": self.warm_up_cycles,
        })
    }
}

/// The parts of the console, by name.
pub(crate) struct Parts(BTreeMap<String, Vec<String>>);

impl Parts {
    pub(crate) fn of(lines: &[String]) -> Self {
        let mut parts = Self(BTreeMap::new());
        let mut name = String::new();
        for line in lines {
            if let Some(next) = line.strip_prefix("@@part ") {
                next.clone_into(&mut name);
            } else if !name.is_empty() && !line.is_empty() {
                parts.0.entry(name.clone()).or_default().push(line.clone());
            }
        }
        parts
    }

    pub(crate) fn get(&self, name: &str) -> Result<&[String], Failure> {
        self.0
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| Failure::new(format!("the guest printed no part '{name}'")))
    }
}

/// The figures of all programs.
///
/// # Errors
/// The guest's output is incomplete, or a run had a fault.
pub(crate) fn figures(ready: &Ready, lines: &[String]) -> Result<Vec<Figures>, Failure> {
    let parts = Parts::of(lines);
    PROGRAMS
        .iter()
        .map(|program| of(*program, &parts, ready))
        .collect()
}

fn of(program: Program, parts: &Parts, ready: &Ready) -> Result<Figures, Failure> {
    let key = program.key();
    let run = |load: &str| match program {
        Program::Firmware => firmware(&report(parts.get(&format!("firmware {load}"))?)?),
        Program::MinimalLoop => minimal(parts.get(&format!("{key} {load}"))?),
        Program::Cyclictest => cyclictest(parts.get(&format!("cyclictest_histogram {load}"))?),
    };
    let calls = calls(parts, key, program)?;
    let start = parts.get(&format!("{key} start"))?;
    let (vm_lck_kb, at_rest, binary_bytes) = match program {
        Program::Firmware => {
            let idle = report(parts.get("firmware idle")?)?;
            let at_rest = number(&report(start)?, "/cycles/rest")?;
            (
                number(&idle, "/memory/vm_lck_kb")?,
                at_rest,
                ready.firmware.len(),
            )
        }
        Program::MinimalLoop => {
            let locked = value(parts.get(&format!("{key} idle"))?, "locked")?;
            (locked, 0, ready.minimal_loop.len())
        }
        Program::Cyclictest => {
            let locked = value(parts.get("cyclictest locked")?, "VmLck:")?;
            (locked, 0, ready.cyclictest.len())
        }
    };
    let (start_us, warm_up_cycles) = trace::start_us(start, u64::from(STARTED), at_rest)?;
    Ok(Figures {
        program,
        idle: run("idle")?,
        loaded: run("loaded")?,
        calls,
        vm_lck_kb,
        binary_bytes: binary_bytes as u64,
        start_us,
        warm_up_cycles,
    })
}

/// The system calls in a cycle of `program`, counted in the parts that begin with `key`.
pub(crate) fn calls(parts: &Parts, key: &str, program: Program) -> Result<Calls, Failure> {
    let counted = |cycles: u32| {
        let hits = |what: &str| -> Result<Hits, Failure> {
            let lines = parts.get(&format!("{key} {what} {cycles}"));
            // cyclictest makes no ioctl.
            Ok(Hits::parse(lines.unwrap_or(&[]), program.threads()))
        };
        Ok::<_, Failure>(Counted {
            calls: hits("calls")?,
            requests: hits("requests")?,
        })
    };
    trace::calls(&counted(COUNTED[0])?, &counted(COUNTED[1])?)
}

/// The firmware's report from a part that also has other lines.
pub(crate) fn report(lines: &[String]) -> Result<Value, Failure> {
    let json: String = lines
        .iter()
        .skip_while(|line| *line != "{")
        .take_while(|line| !line.contains("sys_"))
        .map(|line| format!("{line}\n"))
        .collect();
    serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("the firmware's report is not JSON: {error}")))
}

pub(crate) fn number(report: &Value, path: &str) -> Result<u64, Failure> {
    report
        .pointer(path)
        .and_then(Value::as_u64)
        .ok_or_else(|| Failure::new(format!("the firmware's report has no number {path}")))
}

pub(crate) fn firmware(report: &Value) -> Result<Times, Failure> {
    let exit = &report["exit"];
    // Page faults, unlocked memory or another end would make the figures incomparable.
    let well = report["contract"]["kept"] == true
        && exit["code"] == 0
        && ["minor_faults", "major_faults", "allocations"]
            .iter()
            .all(|name| report["memory"][name] == 0);
    if !well {
        return Err(Failure::new(format!(
            "the firmware's run had a fault: exit {exit}, memory {}",
            report["memory"]
        )));
    }
    let summary = |name: &str| -> Result<Distribution, Failure> {
        let point = |point: &str| {
            let ns = number(report, &format!("/{name}/{point}"))?;
            u32::try_from(ns).map_err(|_| Failure::new(format!("{name} of {ns} ns")))
        };
        Ok(Distribution::of_summary(Summary {
            min: point("min")?,
            p50: point("p50")?,
            p99: point("p99")?,
            p999: point("p999")?,
            max: point("max")?,
        }))
    };
    Ok(Times {
        lateness: summary("release_lateness_ns")?,
        execution: Some(summary("execution_ns")?),
        response: Some(summary("response_ns")?),
        skipped: Some(number(report, "/cycles/skipped")?),
    })
}

/// The number after `name` on a line of its own.
pub(crate) fn value(lines: &[String], name: &str) -> Result<u64, Failure> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix(name))
        .find_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new(format!("the guest printed no '{name}'")))
}

pub(crate) fn minimal(lines: &[String]) -> Result<Times, Failure> {
    let samples = |name: &str| {
        let found = lines
            .iter()
            .filter_map(|line| pair(line.strip_prefix(name)?.strip_prefix(' ')?));
        Distribution::exact(found.collect())
            .ok_or_else(|| Failure::new(format!("the C loop printed no {name}")))
    };
    Ok(Times {
        lateness: samples("lateness")?,
        execution: Some(samples("execution")?),
        response: Some(samples("response")?),
        skipped: Some(value(lines, "skipped")?),
    })
}

fn cyclictest(lines: &[String]) -> Result<Times, Failure> {
    let overflows = value(lines, "# Histogram Overflows:")?;
    if overflows > 0 {
        return Err(Failure::new(format!(
            "{overflows} cycles of cyclictest were beyond the range of its histogram"
        )));
    }
    let samples = lines.iter().filter_map(|line| pair(line)).collect();
    let lateness = Distribution::exact(samples)
        .ok_or_else(|| Failure::new("cyclictest printed no histogram"))?;
    Ok(Times {
        lateness,
        execution: None,
        response: None,
        skipped: None,
    })
}

/// A line `NS COUNT`.
fn pair(line: &str) -> Option<(u32, u64)> {
    let mut words = line.split_whitespace();
    let pair = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(pair)
}
