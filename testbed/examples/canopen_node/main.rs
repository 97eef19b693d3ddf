//! `canopen_node [AXES]`: a CANopen node over simulated drives, behind the text protocol of
//! serial CAN adapters (slcan) on a TCP port of this machine.
//!
//! It prints the port, serves one connection after the other and runs until it is killed or its
//! standard input ends. So real masters can be tried on a machine without CAN.

mod drive;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration as Pause;

use drive::Simulated;
use steadfast::cycle::ports::Clock;
use steadfast::link::canopen::{Config, Frame, Node, Outbox};
use steadfast::realtime::clock::Monotonic;

/// The node's id on the bus.
const NODE_ID: u8 = 1;

fn main() -> ExitCode {
    let axes = std::env::args().nth(1);
    let axes = axes.map_or(Some(1), |axes| axes.parse().ok());
    let Some(axes) = axes.filter(|axes| (1..=8).contains(axes)) else {
        eprintln!("canopen_node [AXES]: 1 to 8 axes");
        return ExitCode::from(2);
    };
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

/// Runs a node until the connection ends.
fn talk(mut stream: TcpStream, axes: usize) -> std::io::Result<()> {
    let config = Config {
        node_id: NODE_ID,
        serial: 4711,
        sync_losses: 3,
    };
    let mut node = Node::new(config, axes);
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

fn send(stream: &mut TcpStream, out: &mut Outbox) -> std::io::Result<()> {
    let mut text = String::new();
    while let Some(frame) = out.pop_front() {
        text += &format!("t{:03X}{}", frame.id(), frame.len());
        for byte in frame.data() {
            text += &format!("{byte:02X}");
        }
        text.push('\r');
    }
    stream.write_all(text.as_bytes())
}

/// A frame: `tIIILDD...` with data, `rIIIL` without; other commands set up the adapter.
fn parse(line: &[u8]) -> Option<Frame> {
    let text = std::str::from_utf8(line).ok()?;
    let id = u16::from_str_radix(text.get(1..4)?, 16).ok()?;
    let len: u8 = text.get(4..5)?.parse().ok()?;
    match text.get(..1)? {
        "t" => {
            let byte = |at: usize| text.get(at..at + 2);
            let digits = (0..usize::from(len)).map(|number| byte(5 + 2 * number));
            let data: Option<Vec<u8>> = digits
                .map(|digits| u8::from_str_radix(digits?, 16).ok())
                .collect();
            Frame::new(id, &data?)
        }
        "r" => Frame::remote(id, len),
        _ => None,
    }
}
