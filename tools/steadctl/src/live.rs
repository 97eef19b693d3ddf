//! `steadctl signals`, `get`, `watch` and `set`: reads and sets signals of a running controller.
//! `get` and `set` also take parameters.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use steadfast::link::protocol::Kind;

use crate::client::{Client, Frame, Signal};
use crate::{BAD_INPUT, Failure, parameters, print, units};

/// How often `watch` prints.
const INTERVAL: Duration = Duration::from_millis(200);

/// The value of `signal` as text.
fn shown(frame: &Frame, signal: &Signal) -> String {
    match frame.value(signal) {
        None => "no value".to_owned(),
        Some(value) if signal.is_flag => if value == 0.0 { "off" } else { "on" }.to_owned(),
        Some(value) if signal.unit.is_empty() => format!("{value}"),
        Some(value) => format!("{value:.6} {}", signal.unit),
    }
}

/// Lists all signals with their present values.
pub(crate) fn signals(socket: Option<&Path>) -> Result<u8, Failure> {
    let client = Client::connect(socket)?;
    let frame = client.frame()?;
    let mut text = String::new();
    let most = client.signals.iter().map(|signal| signal.name.len()).max();
    for signal in &client.signals {
        let commanded = match (signal.group, signal.range) {
            (Some(_), (min, max)) => format!("   may be set, {min} to {max}"),
            (None, _) => String::new(),
        };
        let (name, value) = (&signal.name, shown(&frame, signal));
        let width = most.unwrap_or(0);
        let line = format!("{name:width$}  {value}{commanded}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    print(&text).map(|()| 0)
}

/// Prints the present value of each of `names`.
pub(crate) fn get(socket: Option<&Path>, names: &[String]) -> Result<u8, Failure> {
    let mut client = Client::connect(socket)?;
    let known = parameters::if_named(&mut client, names)?;
    let frame = client.frame()?;
    let lines = names.iter().map(|name| {
        let parameter = known.iter().find(|parameter| parameter.name == *name);
        match parameter {
            Some(parameter) => Ok(parameters::shown(parameter.value, parameter)),
            None => client.signal(name).map(|signal| shown(&frame, signal)),
        }
    });
    for line in lines.collect::<Result<Vec<_>, _>>()? {
        print(&format!("{line}\n"))?;
    }
    Ok(0)
}

/// Prints the values of `names`, or of the laws, five times a second, for `time` or until the
/// controller ends.
pub(crate) fn watch(
    socket: Option<&Path>,
    names: &[String],
    time: Option<&str>,
) -> Result<u8, Failure> {
    let end = time.map(units::time).transpose()?;
    let client = Client::connect(socket)?;
    let began = Instant::now();
    let signals: Vec<&Signal> = match names {
        [] => {
            let channels = ["input.", "output.", "encoder.", "analog_", "command."];
            let of_laws = |signal: &&Signal| !channels.iter().any(|c| signal.name.starts_with(c));
            client.signals.iter().filter(of_laws).collect()
        }
        names => {
            let found = names.iter().map(|name| client.signal(name));
            found.collect::<Result<_, _>>()?
        }
    };
    while end.is_none_or(|end| began.elapsed() < end) {
        let frame = match client.frame() {
            Err(_) if !client.is_running() => break,
            frame => frame?,
        };
        let seconds = client.period().as_secs_f64() * frame.slot() as f64;
        let mut line = format!("{seconds:9.3} s");
        for signal in &signals {
            let _ = write!(line, "  {} {}", signal.name, shown(&frame, signal));
        }
        print(&format!("{line}\n"))?;
        std::thread::sleep(INTERVAL);
    }
    Ok(0)
}

/// Sets the parameters of `words`, names and values. Or sets one command, and keeps it for `time`
/// or until the program is ended.
pub(crate) fn set(
    socket: Option<&Path>,
    words: &[String],
    time: Option<&str>,
) -> Result<u8, Failure> {
    let end = time.map(units::time).transpose()?;
    let mut client = Client::connect(socket)?;
    let (pairs, rest) = words.as_chunks::<2>();
    let names: Vec<String> = pairs.iter().map(|[name, _]| name.clone()).collect();
    let known = parameters::if_named(&mut client, &names)?;
    if let [without, ..] = rest {
        let what = format!("\"{without}\" has no value; write names and values in turn");
        return Err(Failure(BAD_INPUT, what));
    }
    if !known.is_empty() && time.is_none() {
        return parameters::set(&mut client, &known, pairs);
    }
    let [[name, value]] = pairs else {
        let what = "several values are set together only for parameters".to_owned();
        return Err(Failure(BAD_INPUT, what));
    };
    if !known.is_empty() {
        let what = format!("\"{name}\" is a parameter, which stays as it is set; leave --for out");
        return Err(Failure(BAD_INPUT, what));
    }
    let signal = client.signal(name)?;
    let Some(group) = signal.group else {
        let what = format!("\"{name}\" cannot be set; `steadctl signals` lists what may be set");
        return Err(Failure(BAD_INPUT, what));
    };
    let about = client.groups.get(group as usize);
    let Some(about) = about.filter(|about| about.count == 1) else {
        let what =
            format!("\"{name}\" is set with the other commands of its axis; use `move` or `jog`");
        return Err(Failure(BAD_INPUT, what));
    };
    let (value, timeout) = (units::value(value, &signal.unit)?, about.timeout);
    let (min, max) = signal.range;
    if !(min..=max).contains(&value) {
        let what = format!(
            "\"{name}\" would be {value}; it must be from {min} to {max} {}",
            signal.unit
        );
        return Err(Failure(BAD_INPUT, what.trim_end().to_owned()));
    }
    client.ask(Kind::Claim, group, &[])?;
    client.ask(Kind::Write, group, &[value])?;
    let began = Instant::now();
    while end.is_none_or(|end| began.elapsed() < end) {
        let left = end.map_or(timeout, |end| end.saturating_sub(began.elapsed()));
        std::thread::sleep((timeout / 4).min(left));
        client.send(Kind::Refresh, 0, &[])?;
    }
    client.ask(Kind::Release, group, &[]).map(|_| 0)
}
