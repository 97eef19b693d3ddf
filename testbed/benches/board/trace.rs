//! Figures from the kernel's tracing: the system calls of a program, counted at their
//! entry, and the time from exec to its first cycle.
//!
//! Sources: Linux `Documentation/trace/histogram.rst` (`hist` triggers) and
//! `Documentation/trace/events.rst`; numbers of arm64's system calls are those
//! of `include/uapi/asm-generic/unistd.h`.

use std::collections::BTreeMap;

use testbed::failure::{Failure, require};

/// `__NR_clock_nanosleep`.
const CLOCK_NANOSLEEP: &str = "115";

/// The requests of the four I/O calls and their names
/// (`linux/gpio.h`, `linux/spi/spidev.h`).
const REQUESTS: [(&str, &str); 3] = [
    ("c010b40e", "GPIO_V2_LINE_GET_VALUES"),
    ("c010b40f", "GPIO_V2_LINE_SET_VALUES"),
    ("40206b00", "SPI_IOC_MESSAGE(1)"),
];

/// Hits of one run, by thread and then by key.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Hits(BTreeMap<u32, BTreeMap<String, u64>>);

impl Hits {
    /// Parses lines like `{ common_pid: NAME [ 244], id: 115 } hitcount: 610`, for threads
    /// with one of `names`.
    pub(crate) fn parse(lines: &[String], names: &[&str]) -> Self {
        let mut hits = Self::default();
        for line in lines {
            if let Some((name, thread, key, count)) = hit(line)
                && names.contains(&name)
            {
                let keys = hits.0.entry(thread).or_default();
                *keys.entry(key.to_owned()).or_default() += count;
            }
        }
        hits
    }

    /// The thread with the most calls of clock_nanosleep: the loop.
    fn looping_thread(&self) -> Option<u32> {
        let sleeps = |keys: &BTreeMap<String, u64>| keys.get(CLOCK_NANOSLEEP).copied();
        self.0
            .iter()
            .max_by_key(|(_, keys)| sleeps(keys))
            .filter(|(_, keys)| sleeps(keys).is_some())
            .map(|(thread, _)| *thread)
    }
}

fn hit(line: &str) -> Option<(&str, u32, &str, u64)> {
    let (name, rest) = line.split_once("common_pid:")?.1.split_once('[')?;
    let (thread, rest) = rest.split_once(']')?;
    let (key, rest) = rest.split_once(':')?.1.split_once('}')?;
    let count = rest.split_once("hitcount:")?.1;
    Some((
        name.trim(),
        thread.trim().parse().ok()?,
        key.trim(),
        count.trim().parse().ok()?,
    ))
}

/// The calls of one cycle.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Calls {
    /// System calls of the loop's thread in one cycle, including the sleep.
    pub(crate) per_cycle: f64,
    /// System calls of the program's other threads, per cycle of the loop.
    pub(crate) others_per_cycle: f64,
    /// The sleep, and the requests of the I/O calls by name.
    pub(crate) by_name: BTreeMap<String, f64>,
}

/// One run with both counts.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) calls: Hits,
    pub(crate) requests: Hits,
}

/// The calls of a cycle from two runs with different numbers of cycles: start and end of
/// the program are the same in both and cancel out.
///
/// # Errors
/// A run has no looping thread, or the longer run has fewer calls.
pub(crate) fn calls(short: &Counted, long: &Counted) -> Result<Calls, Failure> {
    let none = || Failure::new("the kernel's trace shows no thread that calls clock_nanosleep");
    let threads = [short, long].map(|run| run.calls.looping_thread());
    let [Some(short_loop), Some(long_loop)] = threads else {
        return Err(none());
    };
    let of_loop = |hits: &Hits, thread| hits.0.get(&thread).cloned().unwrap_or_default();
    let total = |hits: &Hits| -> u64 { hits.0.values().flat_map(BTreeMap::values).sum() };
    let sum = |keys: &BTreeMap<String, u64>| -> u64 { keys.values().sum() };
    let (short_calls, long_calls) = (
        of_loop(&short.calls, short_loop),
        of_loop(&long.calls, long_loop),
    );
    let count = |keys: &BTreeMap<String, u64>, key: &str| keys.get(key).copied().unwrap_or(0);
    // A program may run more cycles than requested, for its stop, and not always the same
    // number; each has one sleep.
    let sleeps = [&short_calls, &long_calls].map(|keys| count(keys, CLOCK_NANOSLEEP));
    require(sleeps[1] > sleeps[0], || {
        format!("expected more sleeps in the second run, got {sleeps:?}")
    })?;
    let cycles = (sleeps[1] - sleeps[0]) as f64;
    let difference = |long: u64, short: u64| {
        require(long >= short, || {
            format!("{long} calls in the longer run, {short} in the shorter")
        })
        .map(|()| (long - short) as f64 / cycles)
    };
    let per_cycle = difference(sum(&long_calls), sum(&short_calls))?;
    let all = difference(total(&long.calls), total(&short.calls))?;
    let mut by_name = BTreeMap::new();
    by_name.insert(
        "clock_nanosleep".to_owned(),
        difference(
            count(&long_calls, CLOCK_NANOSLEEP),
            count(&short_calls, CLOCK_NANOSLEEP),
        )?,
    );
    let (short_requests, long_requests) = (
        of_loop(&short.requests, short_loop),
        of_loop(&long.requests, long_loop),
    );
    for (number, name) in REQUESTS {
        let each = difference(
            count(&long_requests, number),
            count(&short_requests, number),
        )?;
        by_name.insert(name.to_owned(), each);
    }
    Ok(Calls {
        per_cycle,
        others_per_cycle: all - per_cycle,
        by_name,
    })
}

/// Time from the entry of execve to the release of the first cycle, us, minus one period
/// per warm-up cycle; and the number of warm-up cycles. `cycles` is the number of cycles of
/// the run, `at_rest` that of its stop.
///
/// # Errors
/// The trace does not show them.
pub(crate) fn start_us(lines: &[String], cycles: u64, at_rest: u64) -> Result<(f64, u64), Failure> {
    let events: Vec<(u32, f64, &str)> = lines.iter().filter_map(|line| event(line)).collect();
    let missing = |what: &str| Failure::new(format!("the kernel's trace shows no {what}"));
    let (_, began, _) = events
        .iter()
        .find(|(_, _, what)| what.starts_with("sys_execve("))
        .ok_or_else(|| missing("execve"))?;
    let mut sleeps: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (thread, at, what) in &events {
        if what.starts_with("sys_clock_nanosleep ->") {
            sleeps.entry(*thread).or_default().push(*at);
        }
    }
    let looping = sleeps
        .values()
        .max_by_key(|times| times.len())
        .ok_or_else(|| missing("clock_nanosleep"))?;
    let warm_up = (looping.len() as u64)
        .checked_sub(cycles + at_rest)
        .ok_or_else(|| missing("cycle for each that was run"))?;
    let first = looping
        .get(warm_up as usize)
        .ok_or_else(|| missing("first cycle"))?;
    let us = ((first - began) * 1e6).round() - warm_up as f64 * 1_000.0;
    Ok((us, warm_up))
}

/// `      NAME-PID     [000] ...1.    22.121005: EVENT`, time in s.
fn event(line: &str) -> Option<(u32, f64, &str)> {
    let (task, rest) = line.split_once(" [")?;
    let thread = task.trim().rsplit_once('-')?.1.parse().ok()?;
    let (head, what) = rest.split_once(": ")?;
    let at = head.split_whitespace().next_back()?.parse().ok()?;
    Some((thread, at, what))
}
