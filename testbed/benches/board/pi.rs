//! The same on the emulated Raspberry Pi 4, whose output lines can be set by registers: the firmware by
//! registers with a watch of the clock, beside the C loop of the kernel's drivers.
//!
//! The machine has four CPUs, which the emulator runs in turns; guest time is the sum of their instructions. So the
//! load runs on the CPU of the loop, the others idle, and no CPU is isolated: the kernel would hand the
//! work of an isolated one to the others, and their turns delayed the loop by up to 1 ms.

use serde_json::Value;

use crate::guest::{COUNT, Cycles, FIRMWARE, Ready, spinning};
use crate::host::Prepared;
use crate::measure::{self, Parts, Program, Times};
use crate::trace::Calls;
use crate::verdict::Goal;
use testbed::baseline;
use testbed::boards::{RASPBERRYPI4_64, healthy};
use testbed::context::Context;
use testbed::emulator::Boot;
use testbed::failure::{Failure, require};
use testbed::fixed_encoder::{
    RASPBERRYPI4_CHANGES, SHARED, raspberrypi4, raspberrypi4_by_registers, raspberrypi4_unbind,
    write_frames,
};

/// Execution p50, law and record included, us.
const EXECUTION_US: f64 = 2.0;
/// Response p99.9, us.
const RESPONSE_US: f64 = 3.0;
/// Response p99.9 divided by that of the C loop.
const RESPONSE_RATIO: f64 = 0.05;
/// System calls of a cycle: the sleep.
const CALLS: f64 = 1.0;

/// Lines and chips of the C loop, those of the shipped board file.
const MACROS: [(&str, &str); 4] = [
    ("INPUTS", "17,27,22,23"),
    ("OUTPUTS", "5,6,13,26"),
    ("ENCODER", "\"/dev/spidev0.0\""),
    ("DAC", "\"/dev/spidev0.1\""),
];

/// The figures of one load.
pub(crate) struct Load {
    name: &'static str,
    firmware: Times,
    reference: Times,
}

/// All figures.
pub(crate) struct Pi {
    loads: Vec<Load>,
    calls: Calls,
}

/// Boots, runs all programs, and gives the guest's console.
///
/// # Errors
/// The board does not boot, or a program in it failed.
pub(crate) fn measure(
    host: &Prepared,
    context: &Context<'_>,
    ready: &Ready,
    cycles: Cycles,
) -> Result<Vec<String>, Failure> {
    let board = raspberrypi4(&write_frames(&host.output)?);
    let shipped = host.host.read_source("board/raspberrypi4-64/board.toml")?;
    let mut text = RASPBERRYPI4_64.for_emulator(&String::from_utf8_lossy(&shipped))?;
    let cpu = ("cpu = \"isolated\"", "cpu = 3");
    for (from, to) in RASPBERRYPI4_CHANGES.into_iter().chain([cpu]) {
        require(text.matches(from).count() == 1, || {
            format!("board/raspberrypi4-64/board.toml does not contain '{from}' exactly once")
        })?;
        text = text.replace(from, to);
    }
    let both = spinning(&raspberrypi4_by_registers(&text)?);
    let boot = Boot::new(context, board)
        .without_isolation()
        .parameters(SHARED)
        .file("/steadfast", 0o755, &ready.firmware)
        .file(
            "/minimal_loop",
            0o755,
            &host.compile("minimal_loop", &MACROS)?,
        )
        .file("/both.toml", 0o644, both.as_bytes());
    let finished = ready
        .put_load(boot)
        .start(&healthy(board), &script(cycles)?)?
        .finish(crate::guest::LIMIT)?;
    Ok(finished.lines)
}

fn script(Cycles { idle, loaded }: Cycles) -> Result<String, Failure> {
    let unbind = raspberrypi4_unbind()?;
    Ok(format!(
        r#"{FIRMWARE}
load() {{
    taskset -c 3 /hackbench -g 1 -l 100000000 >/dev/null 2>&1 &
    load=$!
    sleep 0.2
}}
unload() {{
    kill -INT $load
    wait $load || :
}}
# reference LOAD CYCLES
reference() {{
    part raspberrypi4_minimal_loop $1
    taskset -c 3 /minimal_loop $2
}}
both() {{
    part raspberrypi4_both $1
    firmware $2 both
}}
# READ DATA from address 0 on.
printf '\003\000\000\000' >/dev/spidev0.0
head -c 1 /dev/random >/dev/null
sleep 30
reference idle {idle}
load
reference loaded {loaded}
unload
{unbind}
both idle {idle}
load
both loaded {loaded}
unload
{COUNT}
count raspberrypi4_both firmware both
part end
"#
    ))
}

/// The figures from the guest's console.
///
/// # Errors
/// The guest's output is incomplete, or a run had a fault.
pub(crate) fn figures(lines: &[String]) -> Result<Pi, Failure> {
    let parts = Parts::of(lines);
    let loads = ["idle", "loaded"].into_iter().map(|name| {
        let part = |program: &str| parts.get(&format!("raspberrypi4_{program} {name}"));
        Ok(Load {
            name,
            firmware: measure::firmware(&measure::report(part("both")?)?)?,
            reference: measure::minimal(part("minimal_loop")?)?,
        })
    });
    Ok(Pi {
        loads: loads.collect::<Result<_, Failure>>()?,
        calls: measure::calls(&parts, "raspberrypi4_both", Program::Firmware)?,
    })
}

fn us(ns: u32) -> f64 {
    f64::from(ns) / 1e3
}

/// The goals, and the ratios to the C loop that are checked against the baseline.
///
/// # Errors
/// A figure is missing.
pub(crate) fn judge(pi: &Pi) -> Result<(Vec<Goal>, baseline::Figures), Failure> {
    let mut goals = Vec::new();
    let mut ratios = baseline::Figures::new();
    for load in &pi.loads {
        let missing = || Failure::new("a program of the Raspberry Pi has no times of execution");
        let of = |times: &Times| {
            let both = (times.execution.as_ref()).zip(times.response.as_ref());
            both.map(|(execution, response)| (execution.summary, response.summary))
        };
        let (execution, response) = of(&load.firmware).ok_or_else(missing)?;
        let (their_execution, their_response) = of(&load.reference).ok_or_else(missing)?;
        let name = format!("execution p50, {}, Raspberry Pi 4, both", load.name);
        goals.push(Goal::new(
            format!("{name}, us"),
            us(execution.p50),
            EXECUTION_US,
        ));
        ratios.insert(
            format!("{name} / C loop"),
            f64::from(execution.p50) / f64::from(their_execution.p50),
        );
        let name = format!("response p99.9, {}, Raspberry Pi 4, both", load.name);
        let found = us(response.p999);
        // The longest of few cycles.
        goals.push(Goal::new(format!("{name}, us"), found, RESPONSE_US).unchecked());
        let ratio = f64::from(response.p999) / f64::from(their_response.p999);
        let goal = Goal::new(format!("{name} / C loop"), ratio, RESPONSE_RATIO);
        goals.push(goal.unchecked());
    }
    let calls = (pi.calls.per_cycle * 1e6).round() / 1e6;
    let name = "system calls per cycle, Raspberry Pi 4, both";
    goals.push(Goal::new(name, calls, CALLS));
    Ok((goals, ratios))
}

/// The figures as JSON.
pub(crate) fn json(pi: &Pi) -> Value {
    let loads = pi.loads.iter().map(|load| {
        let both = serde_json::json!({
            "firmware_both": load.firmware.to_json(),
            "minimal_loop": load.reference.to_json(),
        });
        (load.name.to_owned(), both)
    });
    let mut all: serde_json::Map<_, _> = loads.collect();
    all.insert("calls_both".to_owned(), serde_json::json!(pi.calls));
    Value::Object(all)
}

/// The table.
pub(crate) fn table(pi: &Pi) -> String {
    let mut text = format!(
        "Raspberry Pi 4, SPI, inputs and outputs by registers with spin\n{:<40}{:>26}{:>26}\n",
        "", "C loop, kernel", "both"
    );
    for load in &pi.loads {
        let shown = |of: fn(&Times) -> Option<crate::distribution::Summary>| {
            [&load.reference, &load.firmware].map(|times| {
                of(times).map_or("-".to_owned(), |found| {
                    let [p50, p999, max] = [found.p50, found.p999, found.max].map(us);
                    format!("{p50:.3} / {p999:.3} / {max:.3}")
                })
            })
        };
        let rows = [
            (
                "release lateness",
                shown(|times| Some(times.lateness.summary)),
            ),
            (
                "execution",
                shown(|times| times.execution.as_ref().map(|found| found.summary)),
            ),
            (
                "response",
                shown(|times| times.response.as_ref().map(|found| found.summary)),
            ),
        ];
        for (name, [reference, firmware]) in rows {
            let name = format!("{name} p50 / p99.9 / max, {}, us", load.name);
            text += &format!("{name:<40}{reference:>26}{firmware:>26}\n");
        }
    }
    text += &format!("system calls per cycle: {:.3}", pi.calls.per_cycle);
    for (name, count) in &pi.calls.by_name {
        text += &format!(", {name} {count:.3}");
    }
    text + "\n"
}
