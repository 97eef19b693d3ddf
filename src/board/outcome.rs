//! Makes the report of a run: exit code, reason, counters and measurements.

use std::fmt::Write as _;

use super::recorder::Recording;
use crate::config::Config;
use crate::cycle::image::{InputError, Lost, OutputError};
use crate::cycle::ports::{Decide, FaultNumber};
use crate::cycle::run::{End, Summary};
use crate::cycle::stop::StopCause;
use crate::cycle::timing::Timing;
use crate::realtime::contract::Contract;
use crate::realtime::runner::{Outcome, Requirement, Usage};
use crate::realtime::signals;
use crate::sys::cause::{self, Kind};
use crate::telemetry::forced;
use crate::telemetry::report::{
    Cycles, Description, Exit, Memory, Pace, QuickStopReport, Report, WakeReport, WatchdogReport,
};

/// The results of a run after its devices are closed.
pub(super) struct Finished<S> {
    pub(super) outcome: Outcome,
    pub(super) state: S,
    pub(super) records_dropped: u64,
    pub(super) stopped_by: Option<signals::StopSignal>,
    pub(super) watchdog: Option<WatchdogReport>,
    pub(super) recording: Option<Recording>,
    pub(super) warnings: Vec<String>,
}

/// Whether a run ended regularly or did not start: then the watchdog is stopped. After a fault
/// it stays armed, and resets the board unless another process takes it over in time.
pub(super) fn in_order(outcome: &Outcome) -> bool {
    outcome
        .ran
        .is_none_or(|ran| matches!(ran.end, End::Finished | End::Stopped) && ran.safe.is_ok())
}

#[inline(never)]
pub(super) fn report<D: Decide>(
    config: &Config,
    law: &D::Config,
    pace: Pace,
    finished: Finished<D::State>,
    description: Description,
    timing: &Timing,
) -> Report {
    let Finished {
        outcome,
        state,
        records_dropped,
        stopped_by,
        watchdog,
        recording,
        warnings,
    } = finished;
    let law_fault = D::fault(law, &state);
    let fault = law_fault.map(|code| {
        description
            .fault
            .unwrap_or_else(|| format!("the control law reports fault {code}"))
    });
    let stopped = D::stopped(law, &state);
    let run = fault_of_run(&outcome, config);
    let only = law_fault.filter(|_| run.is_none());
    let only = only.map(|code| (D::faulted(law, &state), code));
    let exit = exit(&outcome, (run, fault), stopped, stopped_by, config);
    let cycles = outcome.ran.map_or_else(Cycles::default, |ran| Cycles {
        run: ran.run,
        skipped: ran.skipped,
        overruns: timing.overruns,
        rest: ran.rest_cycles,
        bucket_fullest: ran.bucket_fullest,
        records_dropped,
    });
    Report {
        version: env!("CARGO_PKG_VERSION"),
        board: config.name.clone(),
        pace,
        cycles,
        forces: forced::all().of_run(),
        wake: WakeReport {
            wake: config.run.wake,
            percent: config.run.wake.percent(config.run.period),
            wakes: outcome.usage.wakes,
        },
        quick_stops: quick_stops(&outcome, stopped, config),
        release_lateness_ns: timing.release_lateness.summary(),
        execution_ns: timing.execution.summary(),
        response_ns: timing.response.summary(),
        memory: memory(&outcome.usage, pace),
        contract: outcome.contract,
        sections: description.sections,
        laws: description.laws,
        watchdog,
        saved_parameters: config.parameters.as_ref().map(|saved| saved.in_force),
        black_box: recording.and_then(|recording| recording.end(&exit, only)),
        warnings,
        exit,
        timing: Box::new(timing.clone()),
    }
}

fn quick_stops(outcome: &Outcome, stopped: Option<StopCause>, config: &Config) -> QuickStopReport {
    let stops = outcome.ran.map(|ran| ran.quick_stops).unwrap_or_default();
    QuickStopReport {
        count: stops.count,
        last: stops.last.map(|stop| (stop, stop.time(config.run.period))),
        armed_again: stopped.is_none(),
    }
}

fn memory(usage: &Usage, pace: Pace) -> Memory {
    let real = pace == Pace::Real;
    Memory {
        vm_lck_kb: real.then_some(usage.vm_lck_kb),
        vm_rss_kb: real.then_some(usage.vm_rss_kb),
        minor_faults: real.then_some(usage.minor_faults),
        major_faults: real.then_some(usage.major_faults),
        allocations: usage.allocations,
        stack_bytes: real.then_some(usage.stack_bytes),
        stack_high_water_bytes: real.then_some(usage.stack_used),
    }
}

/// Exit code and reason: 0 done, 1 failed, 3 contract refused, 4 fault, 5 stopped and not armed
/// again.
/// The fault of the run, without that of a control law.
fn fault_of_run(outcome: &Outcome, config: &Config) -> Option<String> {
    let ran = outcome.ran.as_ref()?;
    fault_of(ran, &outcome.contract, config).or_else(|| {
        // The end was regular, but the run was not real-time as required.
        let required = config.requirement == Requirement::Required;
        let broken = !outcome.contract.broken_while_running().is_empty();
        (required && broken).then(|| broken_while_running(&outcome.contract))
    })
}

/// `run` is the fault of the run, `fault` that of a control law.
fn exit(
    outcome: &Outcome,
    (run, fault): (Option<String>, Option<String>),
    stopped: Option<StopCause>,
    stopped_by: Option<signals::StopSignal>,
    config: &Config,
) -> Exit {
    let Some(ran) = &outcome.ran else {
        return Exit {
            code: 3,
            reason: format!(
                "contract refused: {}; see the fix of each row",
                broken_names(&outcome.contract)
            ),
        };
    };
    let (code, reason) = match (run, fault) {
        (Some(reason), Some(law)) => (4, format!("{reason}; {law}")),
        (Some(reason), None) | (None, Some(reason)) => (4, reason),
        (None, None) if stopped.is_some() => (5, left_stopped(ran, stopped, config)),
        (None, None) if outcome.usage.vm_lck_after_kb > 0 => (
            1,
            format!(
                "{} kB stayed locked after munlockall; look for mlock(2) calls in drivers and libraries",
                outcome.usage.vm_lck_after_kb
            ),
        ),
        (None, None) => match (ran.end, stopped_by) {
            (End::Stopped, Some(signal)) => (0, format!("stopped by {signal}")),
            _ => (0, "done".to_owned()),
        },
    };
    Exit { code, reason }
}

/// The reason of exit code 5: a quick stop, after which the axes were not armed again.
fn left_stopped(ran: &Summary, stopped: Option<StopCause>, config: &Config) -> String {
    // The caller found a stopped law, so a cause exists.
    let cause = stopped.unwrap_or(StopCause::Overrun);
    let when = ran.quick_stops.last.map_or_else(String::new, |stop| {
        let at = stop.time(config.run.period).as_secs_f64();
        let missed = stop.missed;
        format!(" at {at:.3} s ({missed} deadlines missed or slots skipped)")
    });
    format!(
        "quick stop{when}, not armed again: {cause}; see lateness and execution in the report, then arm by the reset input, or set [safety] rearm"
    )
}

/// Writes the cause of the end into the flight file. A cause that is there already, such as
/// that of a crash, stays.
pub(super) fn record_cause(
    outcome: &Outcome,
    law: Option<FaultNumber>,
    stopped_by: Option<signals::StopSignal>,
) {
    let lost = |lost: Lost| match lost {
        Lost::AnalogInput(channel, _) => 0x100 | u32::from(channel),
        Lost::AnalogOutput(channel) => 0x200 | u32::from(channel),
        Lost::Monitored(channel) => 0x300 | u32::from(channel),
        Lost::Sensor(device) => 0x400 | u32::from(device),
        Lost::Actuator(device) => 0x500 | u32::from(device),
    };
    let channel = |error: OutputError| match error {
        OutputError::Digital => 0,
        OutputError::Analog(channel) => u32::from(channel) + 1,
        OutputError::Device(device) => cause::DEVICE | u32::from(device),
        OutputError::NotFinite(channel) => cause::NOT_FINITE | u32::from(channel),
        OutputError::Lost(device) => lost(device),
    };
    let (kind, detail) = match (&outcome.ran, law) {
        (None, _) => (Kind::Refused, 0),
        (
            Some(Summary {
                safe: Err(error), ..
            }),
            _,
        ) => (Kind::NotSafe, channel(*error)),
        (Some(ran), law) => match (ran.end, law) {
            (End::Overrun, _) => (Kind::Overrun, ran.bucket_fullest),
            (End::OutputFailed(error), _) => (Kind::OutputFailed, channel(error)),
            (End::DeviceLost(device), _) => (Kind::DeviceLost, lost(device)),
            (End::Allocated, _) => (Kind::Allocated, 0),
            (End::PromiseBroken, _) => (
                Kind::PromiseBroken,
                u32::from(outcome.contract.broken_while_running().bits()),
            ),
            (_, Some(number)) => (Kind::LawFault, u32::from(number.get())),
            (End::NotAtRest, None) => (Kind::NotAtRest, 0),
            (End::Finished, None) => (Kind::Finished, 0),
            (End::Stopped, None) => {
                let signal = stopped_by.map_or(0, signals::StopSignal::number);
                (Kind::Stopped, signal as u32)
            }
        },
    };
    cause::record(kind, detail, 0);
}

/// The fault of the run itself, without that of the control law; `None` after a regular end.
fn fault_of(ran: &Summary, contract: &Contract, config: &Config) -> Option<String> {
    if let Err(error) = ran.safe {
        let output = written(error, config);
        return Some(format!(
            "the outputs could not be made safe: {output} could not be written; check its bus, cable and supply"
        ));
    }
    match ran.end {
        End::Finished | End::Stopped => None,
        End::NotAtRest => Some(format!(
            "not at rest within {} of the stop request, outputs made safe; see [loop] stop_ms and the control law",
            config.run.stop_time
        )),
        End::Overrun => Some("too many missed deadlines (overrun ladder); see execution and lateness in the report, and steadfast doctor".to_owned()),
        End::OutputFailed(OutputError::NotFinite(channel)) => Some(format!(
            "the control law's command for {} was not finite; check its inputs and parameters",
            output_name(channel, config)
        )),
        End::OutputFailed(error) => Some(format!(
            "{} could not be written in {} cycles in a row; check its bus, cable and supply",
            written(error, config),
            config.run.output_failures
        )),
        End::DeviceLost(lost) => Some(lost_device(lost, config)),
        End::Allocated => Some("memory was allocated on the real-time thread; allocate nothing in drivers and control laws".to_owned()),
        End::PromiseBroken => Some(broken_while_running(contract)),
    }
}

/// The output that could not be written, by its name in the board file.
fn written(error: OutputError, config: &Config) -> String {
    match error {
        OutputError::Digital => "a digital output".to_owned(),
        OutputError::Analog(channel)
        | OutputError::NotFinite(channel)
        | OutputError::Lost(Lost::AnalogOutput(channel) | Lost::Monitored(channel)) => {
            output_name(channel, config)
        }
        OutputError::Lost(Lost::AnalogInput(channel, _)) => input_name(channel, config),
        OutputError::Device(device)
        | OutputError::Lost(Lost::Sensor(device) | Lost::Actuator(device)) => {
            device_name(device, config)
        }
    }
}

fn device_name(number: u8, config: &Config) -> String {
    let device = config.machine.devices.get(usize::from(number));
    format!("[device.{}]", device.map_or("?", |device| &device.name))
}

fn output_name(channel: u8, config: &Config) -> String {
    let Some(output) = config.io.analog_outputs.get(usize::from(channel)) else {
        return config.machine.signals.command_name(channel).to_owned();
    };
    let device = config.io.device_name(output.spi);
    format!("[analog_output.{}]{device}", output.name)
}

fn input_name(channel: u8, config: &Config) -> String {
    let input = &config.io.analog_inputs[usize::from(channel)];
    let device = config.io.device_name(input.spi);
    format!("[analog_input.{}]{device}", input.name)
}

fn lost_device(lost: Lost, config: &Config) -> String {
    match lost {
        Lost::AnalogInput(channel, InputError::OutOfRange) => format!(
            "{} is outside of `min_volts` to `max_volts`; check for a broken wire or a short circuit",
            input_name(channel, config)
        ),
        Lost::AnalogInput(channel, _) => format!(
            "{} could not be read too often in a row; check cable, chip select and supply",
            input_name(channel, config)
        ),
        Lost::AnalogOutput(channel) => format!(
            "{} could not be written too often in a row; check its bus, cable and supply",
            output_name(channel, config)
        ),
        Lost::Sensor(device) => format!(
            "{} could not be read too often in a row; check its bus, cable and supply",
            device_name(device, config)
        ),
        Lost::Actuator(device) => format!(
            "{} could not be driven too often in a row; check its bus, cable and supply",
            device_name(device, config)
        ),
        Lost::Monitored(channel) => format!(
            "{} deviates from its commanded value; check the converter, its output stage and the wire to its monitor",
            output_name(channel, config)
        ),
    }
}

fn broken_while_running(contract: &Contract) -> String {
    let mut reason = "contract broken while running: ".to_owned();
    for (index, breach) in contract.breaches().iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(reason, "{separator}{breach}");
    }
    if let Some(first) = contract.breaches().first() {
        let _ = write!(reason, "; see steadctl explain \"{}\"", first.promise);
    }
    reason
}

fn broken_names(contract: &Contract) -> String {
    let names: Vec<_> = contract.broken().map(|row| row.name).collect();
    names.join(", ")
}
