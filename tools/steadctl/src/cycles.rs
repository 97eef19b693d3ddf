//! Cycles and events as tables, text and comma-separated values.

use std::fmt::{self, Write};

use steadfast::axis::PARAMETERS;
use steadfast::cycle::force::Ended;
use steadfast::cycle::record::{CycleRecord, flags};
use steadfast::cycle::stop::StopCause;
use steadfast::realtime::audit::Promise;
use steadfast::telemetry::blackbox::BlackBox;
use steadfast::telemetry::changes::Lost;
use steadfast::telemetry::escaped;
use steadfast::telemetry::journal::{Event, EventRecord};
use steadfast::time::Duration;

const FLAGS: [(u16, &str); 9] = [
    (flags::OVERRUN, "overrun"),
    (flags::INPUT_FAILED, "input-failed"),
    (flags::OUTPUT_FAILED, "output-failed"),
    (flags::HELD, "held"),
    (flags::QUICK_STOP, "quick-stop"),
    (flags::SAFE, "safe"),
    (flags::ALLOCATED, "allocated"),
    (flags::STOPPED, "stopped"),
    (flags::FORCED, "forced"),
];

/// The names of `bits`, joined by `+`; bits without a name as one hexadecimal number.
pub fn flag_names(bits: u16) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut rest = bits;
    for (bit, name) in FLAGS {
        if bits & bit != 0 {
            names.push(name.to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names.join("+")
}

/// The names of the trace values, at most 8.
pub fn trace_names(list: &str) -> Vec<String> {
    let named = list.split(", ").filter(|name| !name.is_empty());
    named.take(8).map(steadfast::telemetry::escaped).collect()
}

/// Writes all `cycles` as comma-separated values, after a line with the names.
pub fn csv(out: &mut String, cycles: &[CycleRecord], trace: &[String]) -> fmt::Result {
    write!(out, "slot,lateness_ns,execution_ns,skipped,fault,flags")?;
    for index in 0..8 {
        match trace.get(index) {
            Some(name) => write!(out, ",{}", name.replace([',', '"'], "_"))?,
            None => write!(out, ",trace_{index}")?,
        }
    }
    writeln!(out)?;
    for cycle in cycles {
        write!(
            out,
            "{},{},{},{},{},{}",
            cycle.slot,
            cycle.lateness_ns,
            cycle.execution_ns,
            cycle.skipped,
            cycle.fault,
            flag_names(cycle.flags)
        )?;
        for value in cycle.trace {
            write!(out, ",{value}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Writes `cycles` as a table.
pub fn table(out: &mut String, cycles: &[CycleRecord], trace: &[String]) -> fmt::Result {
    write!(
        out,
        "{:>12} {:>10} {:>10} {:>7} {:>5}",
        "slot", "late", "execution", "skipped", "fault"
    )?;
    for name in trace {
        write!(out, " {name:>12}")?;
    }
    writeln!(out, "  flags")?;
    for cycle in cycles {
        write!(
            out,
            "{:>12} {:>10} {:>10} {:>7} {:>5}",
            cycle.slot,
            ns(cycle.lateness_ns),
            ns(cycle.execution_ns),
            cycle.skipped,
            cycle.fault
        )?;
        for (value, name) in cycle.trace.iter().zip(trace) {
            let width = name.chars().count().max(12);
            write!(out, " {value:>width$.5}")?;
        }
        let flags = flag_names(cycle.flags);
        writeln!(out, "  {}", if flags.is_empty() { "-" } else { &flags })?;
    }
    Ok(())
}

/// The names of what events number.
#[derive(Debug, Default)]
pub struct Names<'f> {
    axes: Vec<&'f str>,
    groups: Vec<&'f str>,
    /// With their numbers.
    places: Vec<&'f str>,
}

impl<'f> Names<'f> {
    /// The names in the facts of a black box. Those of an earlier version are not there, and the
    /// last ones of a large machine may have had no room.
    pub fn of(facts: &'f str) -> Self {
        let whole = facts.rfind(['\n', ',']).map_or("", |end| &facts[..end]);
        let list = |key| {
            let names = BlackBox::value(whole, key).map(|names| names.split(", "));
            names.into_iter().flatten().collect()
        };
        Self {
            axes: list("parameters_of"),
            groups: list("groups"),
            places: list("places"),
        }
    }

    fn axis(&self, number: usize) -> String {
        let name = self.axes.get(number).map(|name| escaped(name));
        name.unwrap_or_else(|| format!("axis {number} (from 0)"))
    }

    fn group(&self, number: usize) -> String {
        let name = self.groups.get(number).map(|name| escaped(name));
        name.unwrap_or_else(|| format!("group {number} (from 0)"))
    }

    /// The name of a place of the process image, or its kind and number.
    fn place(&self, packed: u16) -> String {
        let named = self.places.iter().find_map(|place| {
            let (number, name) = place.split_once(' ')?;
            (number.parse() == Ok(packed)).then(|| escaped(name))
        });
        named.unwrap_or_else(|| place(packed))
    }
}

/// One event as a line of text.
pub fn event(record: &EventRecord, names: &Names<'_>) -> String {
    let place = |packed| names.place(packed);
    let what = match record.event {
        Event::Started => "the first cycle".to_owned(),
        Event::Fault(0) => "the fault was reset".to_owned(),
        Event::Fault(code) => format!("the control law reports fault {code}"),
        Event::Flags(bits) => flag_names(bits),
        Event::Skipped(slots) => format!("{slots} slots skipped"),
        Event::Dropped(records) => format!("{records} records dropped so far"),
        Event::Suspended(ms) => format!("the machine was suspended for {ms} ms"),
        Event::QuickStop(cause, missed) => match StopCause::from_number(cause) {
            Some(cause) => format!("quick stop: {cause}, {missed} missed or skipped"),
            None => format!("quick stop: cause {cause} of a newer version"),
        },
        Event::ArmedAgain => "armed again".to_owned(),
        Event::Broken(number) => match Promise::from_number(number) {
            Some(promise) => format!("contract broken while running: {promise}"),
            None => format!("contract broken while running: promise {number} of a newer version"),
        },
        Event::ParameterFrom(number, bits) => {
            let number = usize::from(number);
            let (axis, place) = (number / PARAMETERS.len(), number % PARAMETERS.len());
            let (key, unit) = (PARAMETERS[place].key, PARAMETERS[place].unit());
            let before = f32::from_bits(bits);
            let axis = names.axis(axis);
            format!("parameter {key} of {axis} was {before} {unit}")
        }
        Event::ParameterTo(number, bits) => {
            format!("  {} set it to {}", client(number), f32::from_bits(bits))
        }
        Event::ForcedTo(at, bits) => {
            format!("{} was forced to {}", place(at), f32::from_bits(bits))
        }
        Event::ForcedBy(client, ms) => format!("  by client {client} for {ms} ms"),
        Event::ForceEnded(at, why) => match Ended::from_number(why as u8) {
            Some(why) => format!("{} is not forced any more: {why}", place(at)),
            None => format!("{} is not forced any more: reason {why}", place(at)),
        },
        Event::Saved(number, 0) => format!("{} removed the saved parameters", client(number)),
        Event::Saved(number, count) => {
            let client = client(number);
            format!("{client} saved {count} parameters for the next start")
        }
        Event::CommandsLost(number, what) => {
            let why = Lost::from_number(what as u8);
            let why = why.map_or("reason of a newer version".to_owned(), |why| {
                why.to_string()
            });
            let client = client(number);
            let group = names.group(what as usize >> 8);
            format!("{client} no longer commands {group}: {why}")
        }
        Event::Other(kind, value) => format!("event {kind} of a newer version, value {value}"),
    };
    format!("{:>12}  {what}", record.slot)
}

/// The words for a client, by the lower 16 bits of its number.
fn client(number: u16) -> String {
    match number {
        // Those of `Client::CAN`.
        u16::MAX => "the CAN master".to_owned(),
        number => format!("client {number}"),
    }
}

/// The words for a place of the process image: the kind and the number in the order of the board
/// file.
fn place(packed: u16) -> String {
    let kinds = [
        "digital input",
        "flag of a device",
        "reading",
        "angle",
        "digital output",
        "flag for a device",
        "command",
    ];
    let kind = kinds.get(usize::from(packed & 0xff)).unwrap_or(&"signal");
    format!("{kind} {} (from 0)", packed >> 8)
}

/// A time with its unit.
pub fn ns(ns: u32) -> String {
    Duration::from_nanos(u64::from(ns)).to_string()
}
