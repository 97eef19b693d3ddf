//! A servo on real SPI device nodes: a process in the guest that serves
//! `/dev/spidevB.C` through CUSE, with models of the chips behind them.
//!
//! It exists so that the unmodified firmware closes its loop on a real kernel,
//! with real ioctls, and so that each way in which a bus fails can be had on
//! demand.
//!
//! ```text
//! virtual_servo spidev3.0=as5047p spidev3.1=mcp4922
//! echo "spidev3.0 eio x3" >/dev/servo-control
//! ```
//!
//! `--mark FILE` and `--driven FILE`, before the nodes, name `value` files of
//! lines in `/sys/class/gpio`: pins on which the moment of a fault, and whether
//! the motor is commanded to anything but 0 V, are seen from outside.
//!
//! It prints `virtual servo: ready` once all nodes exist. A node that the
//! kernel has already wins silently over a served one of the same name: unbind
//! it first (`/sys/bus/spi/drivers/spidev/unbind`).
//!
//! Cost: about 100 us of guest time a message in instruction-counted time.
//! Nothing inherits priority through CUSE, so start it with the priority of its
//! client (`chrt -f 80`), or a busy CPU keeps the client waiting for seconds.
//! Not modelled: `delay_usecs` and clock speed; a transfer takes no bus time.

mod chip;
mod cuse;
mod lamp;
mod rig;
mod spidev;

use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use chip::{Model, Plant};
use lamp::Lamp;
use rig::{ControlNode, Lamps, Rig};
use spidev::Spidev;

const CONTROL: &str = "servo-control";

fn main() -> ExitCode {
    let mut plant = Plant::new();
    let mut chips = Vec::new();
    let mut lamps = Lamps::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let lamp = match argument.as_str() {
            "--mark" => Some(&mut lamps.mark),
            "--driven" => Some(&mut lamps.driven),
            _ => None,
        };
        if let Some(lamp) = lamp {
            let file = arguments.next().unwrap_or_default();
            match Lamp::open(file.as_ref()) {
                Ok(opened) => *lamp = Some(opened),
                Err(error) => {
                    eprintln!("virtual servo: {argument} '{file}': {error}");
                    return ExitCode::from(2);
                }
            }
            continue;
        }
        let chip = argument
            .split_once('=')
            .and_then(|(node, chip)| Some((node.to_owned(), Model::by_name(chip, &mut plant)?)));
        match chip {
            Some(chip) => chips.push(chip),
            None => {
                eprintln!("virtual servo: '{argument}' is not NODE=as5047p|mcp4922|echo|stopwatch");
                return ExitCode::from(2);
            }
        }
    }
    match serve(plant, chips, lamps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtual servo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves every chip, each on a thread of its own, until the first one ends.
fn serve(plant: Plant, chips: Vec<(String, Model)>, lamps: Lamps) -> io::Result<()> {
    let nodes: Vec<String> = chips.iter().map(|(node, _)| node.clone()).collect();
    let rig = Arc::new(Mutex::new(Rig::new(plant, chips, lamps)));
    let (ended, end) = channel::<io::Error>();
    let (ready, is_ready) = channel::<()>();
    let awaited = nodes.len() + 1;
    for (chip, node) in nodes.into_iter().enumerate() {
        let mut device = Spidev::new(Arc::clone(&rig), chip);
        let (ready, ended) = (ready.clone(), ended.clone());
        thread::spawn(move || {
            let outcome = cuse::serve(&node, &mut device, || announce(&ready));
            report(&node, outcome, &ended);
        });
    }
    thread::spawn(move || {
        let mut device = ControlNode { rig };
        let outcome = cuse::serve(CONTROL, &mut device, || announce(&ready));
        report(CONTROL, outcome, &ended);
    });
    // A thread that fails drops its `ready` without sending.
    if is_ready.iter().take(awaited).count() == awaited {
        println!("virtual servo: ready");
    }
    Err(end
        .recv()
        .unwrap_or_else(|_| io::Error::other("no device is served")))
}

/// Tells the main thread that one more node exists.
fn announce(ready: &Sender<()>) {
    // It has stopped listening only when it is about to end.
    let _ = ready.send(());
}

fn report(node: &str, outcome: io::Result<()>, ended: &Sender<io::Error>) {
    let reason = match outcome {
        Ok(()) => io::Error::other(format!("/dev/{node}: the kernel closed it")),
        Err(error) => io::Error::new(error.kind(), format!("/dev/{node}: {error}")),
    };
    // The main thread may have ended with another device's reason.
    let _ = ended.send(reason);
}
