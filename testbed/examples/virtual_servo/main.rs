//! A simulated servo on SPI device nodes: a process in the guest that serves
//! `/dev/spidevB.C` through CUSE, with models of the chips.
//!
//! With it the unmodified firmware closes its loop on a real kernel with its ioctls, and
//! each failure of a bus can be injected.
//!
//! ```text
//! virtual_servo spidev3.0=as5047p spidev3.1=mcp4922
//! echo "spidev3.0 eio x3" >/dev/servo-control
//! ```
//!
//! `CHIP:FILE` with the `value` file of a line in `/sys/class/gpio`
//! (`spidev3.1=mcp4922:/pin-driven`) sets that pin while the chip's output is not the safe
//! one. `--mark FILE`, before the nodes, names the pin of the command `mark`.
//!
//! `--cam SET CLEAR LINE FROM TO`, before the nodes, adds a switch on the first motor's shaft: see
//! [`Cam::new`]. Reading `/dev/servo-control` gives the position of that shaft, rad.
//!
//! `--registers ADDRESS NODE`, after the nodes, makes the memory at this physical address the
//! registers of an SPI controller, whose frames go to the chip at `NODE` as well: see [`registers`].
//!
//! `NODE=duty` serves the attribute `duty_cycle` of a PWM channel as `/dev/NODE`, for a link
//! in a folder with the other attributes. No emulated board has a PWM controller.
//!
//! It prints `virtual servo: ready` once all nodes exist. A kernel node of the same name
//! takes precedence silently: unbind it first (`/sys/bus/spi/drivers/spidev/unbind`).
//!
//! Cost: about 100 us of guest time per message. CUSE passes no priority on, so start it
//! with the priority of its client (`chrt -f 80`), or a busy CPU delays the client for
//! seconds. Not modelled: `delay_usecs` and clock speed; a transfer takes no bus time.

mod cam;
mod chip;
mod cuse;
mod lamp;
mod registers;
mod rig;
mod spidev;

use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use cam::Cam;
use chip::{Model, Plant};
use lamp::Lamp;
use registers::Controller;
use rig::{Asked, ControlNode, DutyNode, Rig};
use spidev::Spidev;

const CONTROL: &str = "servo-control";

fn main() -> ExitCode {
    let mut plant = Plant::new();
    let mut chips = Vec::new();
    let mut mark = None;
    let (mut cams, mut controller) = (Vec::new(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let asked = if argument == "--mark" {
            let file = arguments.next().unwrap_or_default();
            lamp(&file).map(|opened| mark = Some(opened))
        } else if argument == "--cam" {
            let words = std::array::from_fn(|_| arguments.next().unwrap_or_default());
            let cam = Cam::new(words.each_ref().map(String::as_str));
            cam.map(|cam| cams.push(cam))
                .map_err(|error| error.to_string())
        } else if argument == "--registers" {
            let [address, node] = std::array::from_fn(|_| arguments.next().unwrap_or_default());
            by_registers(&address, &node, &chips).map(|made| controller = Some(made))
        } else {
            chip(&argument, &mut plant).map(|chip| chips.push(chip))
        };
        if let Err(error) = asked {
            eprintln!("virtual servo: {argument}: {error}");
            return ExitCode::from(2);
        }
    }
    match serve(Rig::new(plant, mark, cams, controller), chips) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtual servo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn lamp(file: &str) -> Result<Lamp, String> {
    Lamp::open(file.as_ref()).map_err(|error| format!("'{file}': {error}"))
}

fn by_registers(address: &str, node: &str, chips: &[Asked]) -> Result<Controller, String> {
    let chip = chips.iter().position(|(name, ..)| name == node);
    let chip = chip.ok_or_else(|| format!("no chip at '{node}' yet"))?;
    Controller::new(address, chip).map_err(|error| error.to_string())
}

/// `NODE=CHIP` or `NODE=CHIP:FILE`.
fn chip(argument: &str, plant: &mut Plant) -> Result<Asked, String> {
    const WANTED: &str = "wanted is NODE=CHIP or NODE=CHIP:FILE";
    let (node, chip) = argument.split_once('=').ok_or(WANTED)?;
    let (chip, file) = match chip.split_once(':') {
        Some((chip, file)) => (chip, Some(file)),
        None => (chip, None),
    };
    let model = Model::by_name(chip, plant).ok_or_else(|| {
        format!("'{chip}' is not as5047p|mcp4922|echo|stopwatch|windings|duty, or one too many")
    })?;
    Ok((node.to_owned(), model, file.map(lamp).transpose()?))
}

/// Serves every chip, each on its own thread, until the first one ends.
fn serve(mut rig: Rig, chips: Vec<Asked>) -> io::Result<()> {
    let nodes: Vec<(String, bool)> = (chips.iter())
        .map(|(node, model, _)| (node.clone(), matches!(model, Model::Duty(_))))
        .collect();
    rig.add(chips);
    let rig = Arc::new(Mutex::new(rig));
    let (ended, end) = channel::<io::Error>();
    let (ready, is_ready) = channel::<()>();
    let awaited = nodes.len() + 1;
    for (chip, (node, is_duty)) in nodes.into_iter().enumerate() {
        let rig = Arc::clone(&rig);
        let (ready, ended) = (ready.clone(), ended.clone());
        thread::spawn(move || {
            let ready = || announce(&ready);
            let outcome = match is_duty {
                true => cuse::serve(&node, &mut DutyNode::new(rig, chip), ready),
                false => cuse::serve(&node, &mut Spidev::new(rig, chip), ready),
            };
            report(&node, outcome, &ended);
        });
    }
    thread::spawn(move || {
        let mut device = ControlNode::new(rig);
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

/// Reports to the main thread that one more node exists.
fn announce(ready: &Sender<()>) {
    // The main thread stops listening only when it ends.
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
