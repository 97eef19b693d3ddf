//! A board's pins, seen from outside through the emulator's test socket.
//!
//! The protocol is that of QEMU's qtest (`system/qtest.c`): lines of text, one
//! answer (`OK` or `FAIL`) to each command, and `IRQ raise N` / `IRQ lower N`
//! in between whenever an intercepted output changes.
//!
//! The order is exact: inputs and outputs change under the same lock of the emulator, and
//! both are written to this socket before it is released. An edge before the `OK` of a
//! press happened before the press, an edge after it happened after it.
//!
//! The protocol has no guest time. Guest time between two events is counted in periods of
//! the loop: the heartbeat line has one edge in each.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::boards::Drive;
use crate::failure::Failure;

/// A change of an output.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Number of the line on its chip.
    pub line: u8,
    /// The level after the change.
    pub level: bool,
}

/// A position in the sequence of edges.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

enum Message {
    Done,
    Refused(String),
    Edge(Edge),
}

/// The limit for an answer of the emulator.
const ANSWER: Duration = Duration::from_secs(20);

/// The pins of one GPIO chip.
pub struct Pins {
    socket: UnixStream,
    messages: Receiver<Message>,
    chip: String,
    drive: Drive,
    edges: Vec<Edge>,
}

impl Pins {
    /// Takes over the connected test socket and records the outputs of `chip`, a path in
    /// the emulator's object tree.
    ///
    /// # Errors
    /// The emulator has no such chip.
    pub fn new(socket: UnixStream, chip: &str, drive: Drive) -> Result<Self, Failure> {
        let reader = BufReader::new(socket.try_clone()?);
        let (sender, messages) = channel();
        thread::spawn(move || {
            for line in reader.lines() {
                let Ok(line) = line else { return };
                if sender.send(parse(&line)).is_err() {
                    return;
                }
            }
        });
        let mut pins = Self {
            socket,
            messages,
            chip: chip.to_owned(),
            drive,
            edges: Vec::new(),
        };
        pins.command(&format!("irq_intercept_out {chip}"))?;
        Ok(pins)
    }

    /// Drives input `line` from outside. Every edge up to the returned mark
    /// happened before it.
    ///
    /// # Errors
    /// The emulator has no such line, or does not answer any more.
    pub fn drive(&mut self, line: u8, level: bool) -> Result<Mark, Failure> {
        let command = match self.drive {
            Drive::Lines => {
                let (chip, level) = (&self.chip, u8::from(level));
                format!("set_irq_in {chip} unnamed-gpio-in {line} {level}")
            }
            Drive::Registers { set, clear } => {
                let register = if level { set } else { clear };
                let bit = 1_u32.checked_shl(u32::from(line)).ok_or_else(|| {
                    Failure::new(format!("line {line} is beyond the register's 32 bits"))
                })?;
                format!("writel {register:#x} {bit:#x}")
            }
        };
        self.command(&command)?;
        Ok(self.mark())
    }

    /// The position after all edges received so far.
    pub fn mark(&self) -> Mark {
        Mark(self.edges.len())
    }

    /// Writes to a register of the board from outside.
    ///
    /// # Errors
    /// The emulator no longer answers.
    pub fn write_register(&mut self, address: u64, value: u32) -> Result<(), Failure> {
        self.command(&format!("writel {address:#x} {value:#x}"))
    }

    /// Waits for the first edge of `line` to `level` after `from`, and gives the position
    /// right after it.
    ///
    /// # Errors
    /// None came within `limit`, or the emulator ended.
    pub fn wait_for(
        &mut self,
        from: Mark,
        line: u8,
        level: bool,
        limit: Duration,
    ) -> Result<Mark, Failure> {
        let expected = Edge { line, level };
        let deadline = Instant::now() + limit;
        let mut next = from.0;
        loop {
            while let Some(edge) = self.edges.get(next) {
                next += 1;
                if *edge == expected {
                    return Ok(Mark(next));
                }
            }
            self.take_edge(
                deadline,
                &format!("line {line} to become {}", u8::from(level)),
            )?;
        }
    }

    /// Waits until `line` has had `count` edges after `from`.
    ///
    /// # Errors
    /// They did not come within `limit`, or the emulator ended.
    pub fn wait_for_edges(
        &mut self,
        from: Mark,
        line: u8,
        count: usize,
        limit: Duration,
    ) -> Result<Mark, Failure> {
        let deadline = Instant::now() + limit;
        let (mut next, mut seen) = (from.0, 0);
        while seen < count {
            match self.edges.get(next) {
                Some(edge) => {
                    next += 1;
                    seen += usize::from(edge.line == line);
                }
                None => self.take_edge(deadline, &format!("{count} edges of line {line}"))?,
            }
        }
        Ok(Mark(next))
    }

    /// The edges between two positions.
    pub fn between(&self, from: Mark, to: Mark) -> &[Edge] {
        &self.edges[from.0..to.0]
    }

    /// The number of edges of `line` between two positions.
    pub fn count(&self, line: u8, from: Mark, to: Mark) -> usize {
        self.between(from, to)
            .iter()
            .filter(|edge| edge.line == line)
            .count()
    }

    /// The position after all edges until now: the emulator answers a neutral query after
    /// them.
    ///
    /// # Errors
    /// The emulator no longer answers.
    pub fn all(&mut self) -> Result<Mark, Failure> {
        self.command("endianness")?;
        Ok(self.mark())
    }

    /// Receives the remaining edges after the emulator has ended.
    pub fn drain(&mut self) {
        while let Ok(message) = self.messages.recv_timeout(ANSWER) {
            if let Message::Edge(edge) = message {
                self.edges.push(edge);
            }
        }
    }

    fn take_edge(&mut self, deadline: Instant, expected: &str) -> Result<(), Failure> {
        match self
            .messages
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(Message::Edge(edge)) => self.edges.push(edge),
            Ok(Message::Done | Message::Refused(_)) => {
                return Err(Failure::new("the test socket sent an unexpected answer"));
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure::new(format!("waited too long for {expected}")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(format!(
                    "the emulator ended before {expected}"
                )));
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<(), Failure> {
        self.socket.write_all(format!("{command}\n").as_bytes())?;
        let deadline = Instant::now() + ANSWER;
        loop {
            match self
                .messages
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(Message::Done) => return Ok(()),
                Ok(Message::Edge(edge)) => self.edges.push(edge),
                Ok(Message::Refused(reason)) => {
                    return Err(Failure::new(format!("'{command}' was refused: {reason}")));
                }
                Err(error) => {
                    return Err(Failure::new(format!("no answer to '{command}': {error}")));
                }
            }
        }
    }
}

fn parse(line: &str) -> Message {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("IRQ"), Some(direction), Some(number)) => match number.parse() {
            Ok(line) => Message::Edge(Edge {
                line,
                level: direction == "raise",
            }),
            Err(_) => Message::Refused(line.to_owned()),
        },
        (Some("OK"), _, _) => Message::Done,
        _ => Message::Refused(line.to_owned()),
    }
}
