//! The CAN buses of an emulated board.
//!
//! `can_bus up INTERFACE BITS_PER_S` sets an interface up, which needs a tool that busybox does
//! not have. `can_bus bridge INTERFACE BITS_PER_S TTY` carries all frames between the interface
//! and a terminal, in the text protocol of serial CAN adapters (slcan), so that a master outside
//! of the board takes part. `can_bus master INTERFACE BITS_PER_S CYCLES WINDOW [parameters]`
//! commands the axis of a CANopen node on the same bus for so many SYNC cycles; at the end it must
//! be within WINDOW, 10^-6 rad, of its target. `can_bus pair INTERFACE BITS_PER_S CYCLES` moves the
//! axes of nodes 1 and 2 by the same SYNC messages. `can_bus flood INTERFACE BITS_PER_S ID PERCENT MS`
//! takes a part of the bus. `can_bus disturb INTERFACE BITS_PER_S FAULT MARK` moves the axis of node 1
//! on can0 while the bus has a fault; the file MARK, a pin, is 1 meanwhile.

mod disturb;
mod flood;
mod master;
mod netlink;

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use steadfast::device::can::{Can, Received};

const USAGE: &str = "up INTERFACE BITS_PER_S | bridge INTERFACE BITS_PER_S TTY | master INTERFACE \
                     BITS_PER_S CYCLES WINDOW [parameters] | pair INTERFACE BITS_PER_S CYCLES | flood INTERFACE BITS_PER_S ID PERCENT MS | \
                     disturb INTERFACE BITS_PER_S FAULT MARK";
const PAUSE: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["up", interface, rate] => rate
            .parse()
            .map_err(|_| "not a bit rate".to_owned())
            .and_then(|rate| netlink::up(interface, rate).map_err(|error| error.to_string())),
        ["bridge", interface, rate, tty] => rate
            .parse()
            .map_err(|_| "not a bit rate".to_owned())
            .and_then(|rate| bridge(interface, rate, tty)),
        ["master", interface, rate, cycles, window] => {
            command(interface, [rate, cycles, window], false)
        }
        ["master", interface, rate, cycles, window, "parameters"] => {
            command(interface, [rate, cycles, window], true)
        }
        ["pair", interface, rate, cycles] => pair(interface, [rate, cycles]),
        ["flood", interface, rate, id, percent, ms] => load(interface, [rate, id, percent, ms]),
        ["disturb", interface, rate, fault, mark] => {
            let rate = rate.parse().map_err(|_| "not a bit rate".to_owned());
            rate.and_then(|rate| disturb(interface, rate, fault, mark))
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("can_bus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(interface: &str, numbers: [&str; 3], parameters: bool) -> Result<(), String> {
    let [rate, cycles, window] = numbers.map(str::parse);
    let (Ok(rate), Ok(cycles), Ok(window)) = (rate, cycles, window) else {
        return Err(USAGE.to_owned());
    };
    let can = Can::open(interface, rate).map_err(|error| error.to_string())?;
    let expected = master::Expected {
        parameters,
        cycles,
        window,
    };
    master::run(&can, &expected)
}

fn pair(interface: &str, numbers: [&str; 2]) -> Result<(), String> {
    let [Ok(rate), Ok(cycles)] = numbers.map(str::parse) else {
        return Err(USAGE.to_owned());
    };
    let open = || Can::open(interface, rate).map_err(|error| error.to_string());
    master::run_pair([&open()?, &open()?], cycles)
}

fn load(interface: &str, numbers: [&str; 4]) -> Result<(), String> {
    let [Ok(rate), Ok(id), Ok(percent), Ok(ms)] = numbers.map(str::parse::<u32>) else {
        return Err(USAGE.to_owned());
    };
    let can = Can::open(interface, rate).map_err(|error| error.to_string())?;
    let time = Duration::from_millis(ms.into());
    let sent = flood::run(&can, rate, id as u16, percent, time);
    println!(
        "@@flood {id}: {} frames",
        sent.map_err(|error| error.to_string())?
    );
    Ok(())
}

fn disturb(interface: &str, rate: u32, fault: &str, mark: &str) -> Result<(), String> {
    let can = Can::open(interface, rate).map_err(|error| error.to_string())?;
    disturb::run(&can, rate, fault, mark.as_ref())
}

/// Runs until it is killed.
fn bridge(interface: &str, rate: u32, tty: &str) -> Result<(), String> {
    let can = Can::open(interface, rate).map_err(|error| format!("{interface}: {error}"))?;
    can.want([(0, 0)].into_iter())
        .map_err(|error| error.to_string())?;
    let terminal = OpenOptions::new().read(true).write(true).open(tty);
    let terminal = terminal.map_err(|error| format!("{tty}: {error}"))?;
    let reader = terminal.try_clone().map_err(|error| error.to_string())?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Err(error) = to_bus(reader, &can);
            eprintln!("can_bus: {error}");
            std::process::exit(1);
        });
        let Err(error) = from_bus(&can, terminal);
        Err(error.to_string())
    })
}

fn to_bus(mut terminal: File, can: &Can) -> std::io::Result<Infallible> {
    let mut line = Vec::new();
    let mut bytes = [0; 256];
    loop {
        let read = terminal.read(&mut bytes)?;
        // Nobody is connected to a virtio port.
        if read == 0 {
            std::thread::sleep(PAUSE);
        }
        for byte in &bytes[..read] {
            if *byte != b'\r' {
                line.push(*byte);
                continue;
            }
            if let Some((id, data)) = parse(&line) {
                while !can.send(id, &data)? {
                    std::thread::sleep(PAUSE);
                }
            }
            line.clear();
        }
    }
}

/// A data frame, `tIIILDD...`; other commands set up the adapter.
fn parse(line: &[u8]) -> Option<(u16, Vec<u8>)> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix('t')?;
    let id = u16::from_str_radix(text.get(..3)?, 16).ok()?;
    let len: usize = text.get(3..4)?.parse().ok()?;
    let digits = (0..len).map(|number| text.get(4 + 2 * number..6 + 2 * number));
    let data = digits.map(|digits| u8::from_str_radix(digits?, 16).ok());
    Some((id, data.collect::<Option<_>>()?))
}

fn from_bus(can: &Can, mut terminal: File) -> std::io::Result<Infallible> {
    loop {
        can.wait(1000)?;
        let mut text = String::new();
        while let Some(received) = can.receive()? {
            if let Received::Frame { id, len, data, .. } = received {
                text += &format!("t{id:03X}{len}");
                for byte in &data[..usize::from(len)] {
                    text += &format!("{byte:02X}");
                }
                text.push('\r');
            }
        }
        terminal.write_all(text.as_bytes())?;
    }
}
