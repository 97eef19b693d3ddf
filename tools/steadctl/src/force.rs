//! `steadctl force`, `unforce` and `forces`: overrides signals of a running controller for a
//! limited time, to commission a machine.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use steadfast::link::force::{ALL, MAX_SECONDS};
use steadfast::link::protocol::Kind;

use crate::client::{Client, Signal};
use crate::{BAD_INPUT, Failure, print, units};

/// How often `force` looks whether the signal is still forced.
const INTERVAL: Duration = Duration::from_millis(100);

/// The value that `text` names for `signal`.
fn value(signal: &Signal, text: &str) -> Result<f64, Failure> {
    if !signal.is_flag {
        return units::value(text, &signal.unit);
    }
    match text {
        "on" | "1" | "true" => Ok(1.0),
        "off" | "0" | "false" => Ok(0.0),
        _ => {
            let what = format!("\"{}\" is a flag; force it to on or off", signal.name);
            Err(Failure(BAD_INPUT, what))
        }
    }
}

fn shown(signal: Option<&Signal>, value: f64) -> String {
    match signal {
        Some(signal) if signal.is_flag => if value == 0.0 { "off" } else { "on" }.to_owned(),
        Some(signal) => format!("{value} {}", signal.unit).trim_end().to_owned(),
        None => value.to_string(),
    }
}

/// Forces the signal `name`, and waits until it is not forced any more.
pub(crate) fn force(
    socket: Option<&Path>,
    name: &str,
    text: &str,
    time: &str,
) -> Result<u8, Failure> {
    let time = units::time(time)?;
    if time.is_zero() || time.as_secs_f64() > MAX_SECONDS {
        let what = "a force needs a time of more than 0 and at most 1 h";
        return Err(Failure(BAD_INPUT, what.to_owned()));
    }
    let mut client = Client::connect(socket)?;
    let number = client.signal_number(name)?;
    let signal = client.signals[number].clone();
    let value = value(&signal, text)?;
    let seconds = time.as_secs_f64();
    client.ask(Kind::Force, number as u32, &[value, seconds])?;
    print(&format!(
        "{name} = {} for {seconds} s\n",
        shown(Some(&signal), value)
    ))?;
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::sleep(INTERVAL.min(time.saturating_sub(began.elapsed())));
        let own = client.own;
        let is_there = |force: &crate::client::Force| {
            force.client == own && force.signal == number && force.left > 0.0
        };
        if began.elapsed() + INTERVAL < time && !client.forces()?.iter().any(is_there) {
            return Err(client.failed(format!(
                "{name} is not forced any more; the controller's log says why"
            )));
        }
    }
    Ok(0)
}

/// Ends the force of the signal `name`, or all.
pub(crate) fn unforce(socket: Option<&Path>, name: Option<&str>) -> Result<u8, Failure> {
    let mut client = Client::connect(socket)?;
    let target = match name {
        Some(name) => client.signal_number(name)? as u32,
        None => ALL,
    };
    match (client.ask(Kind::Unforce, target, &[])?, name) {
        (0, Some(name)) => Err(client.failed(format!("{name} is not forced"))),
        (ended, _) => print(&format!("{ended} ended\n")).map(|()| 0),
    }
}

/// Lists the forced signals.
pub(crate) fn forces(socket: Option<&Path>) -> Result<u8, Failure> {
    let mut client = Client::connect(socket)?;
    let mut text = String::new();
    for force in client.forces()? {
        let value = shown(client.signals.get(force.signal), force.value);
        let (name, left, by) = (force.name, force.left, force.client);
        let _ = writeln!(text, "{name} = {value}, {left:.1} s left, client {by}");
    }
    if text.is_empty() {
        text = "nothing is forced\n".to_owned();
    }
    print(&text).map(|()| 0)
}
