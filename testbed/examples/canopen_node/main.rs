//! `canopen_node [AXES] [INTERFACE]`: a CANopen node over simulated drives, on a CAN interface of
//! 1 Mbit/s, or without one behind the text protocol of serial CAN adapters (slcan) on a TCP port
//! of this machine.
//!
//! It prints the port, serves one connection after the other and runs until it is killed or its
//! standard input ends. So real masters can be tried on a machine without CAN.

mod drive;
mod slcan;

use std::convert::Infallible;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration as Pause;

use drive::Simulated;
use slcan::{parse, send};
use steadfast::cycle::ports::Clock;
use steadfast::device::can::{Can, Received};
use steadfast::link::canopen::{Config, Frame, Node, OUTBOX_FRAMES, Outbox};
use steadfast::realtime::clock::Monotonic;

/// The node's id on the bus.
const NODE_ID: u8 = 1;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let axes = arguments.next();
    let axes = axes.map_or(Some(1), |axes| axes.parse().ok());
    let Some(axes) = axes.filter(|axes| (1..=8).contains(axes)) else {
        eprintln!("canopen_node [AXES] [INTERFACE]: 1 to 8 axes");
        return ExitCode::from(2);
    };
    if let Some(interface) = arguments.next() {
        let Err(error) = on_interface(axes, &interface);
        eprintln!("canopen_node: {interface}: {error}");
        return ExitCode::FAILURE;
    }
    // Whoever started this program holds the other end.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    match serve(axes) {
        Ok(never) => never,
        Err(error) => {
            eprintln!("canopen_node: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(axes: usize) -> std::io::Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Pause::from_millis(1)))?;
        if let Err(error) = talk(stream, axes) {
            eprintln!("canopen_node: {error}");
        }
    }
}

const CONFIG: Config = Config {
    node_id: NODE_ID,
    serial: 4711,
    sync_losses: 3,
    sync_hold: 0,
    stores: true,
};

/// Runs a node on a CAN interface.
fn on_interface(axes: usize, interface: &str) -> Result<Infallible, Box<dyn std::error::Error>> {
    let can = Can::open(interface, 1_000_000)?;
    can.want([(0, 0)].into_iter())?;
    let mut node = Node::new(CONFIG, axes);
    let mut drive = Simulated::new(axes);
    let mut out = Outbox::new();
    println!("{interface}");
    loop {
        let now = Monotonic.now();
        drive.advance(now);
        node.poll(now, &mut drive, &mut out);
        while let Some(frame) = out.front()
            && can.send(frame.id(), frame.data())?
        {
            let _ = out.pop_front();
        }
        can.wait(1)?;
        while out.len() < OUTBOX_FRAMES / 2
            && let Some(received) = can.receive()?
        {
            if let Received::Frame { id, len, data, .. } = received
                && let Some(frame) = Frame::new(id, &data[..usize::from(len)])
            {
                node.receive(Monotonic.now(), &frame, &mut drive, &mut out);
            }
        }
    }
}

/// Runs a node until the connection ends.
fn talk(mut stream: TcpStream, axes: usize) -> std::io::Result<()> {
    let mut node = Node::new(CONFIG, axes);
    let mut drive = Simulated::new(axes);
    let mut out = Outbox::new();
    let mut line = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        drive.advance(Monotonic.now());
        node.poll(Monotonic.now(), &mut drive, &mut out);
        send(&mut stream, &mut out)?;
        let read = match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(error) => return Err(error),
        };
        for byte in &bytes[..read] {
            if *byte != b'\r' {
                line.push(*byte);
                continue;
            }
            if let Some(frame) = parse(&line) {
                node.receive(Monotonic.now(), &frame, &mut drive, &mut out);
                send(&mut stream, &mut out)?;
            }
            line.clear();
        }
    }
}
