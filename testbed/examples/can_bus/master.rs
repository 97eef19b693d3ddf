//! A master as a frame script: what Lely's master and the Cia402Driver of ros2_canopen send to an
//! axis, in their order (tests/canopen/bus.yml is the configuration), then a move in mode csp of
//! one axis, or of two.

use std::time::Duration as Pause;

use steadfast::cycle::ports::Clock;
use steadfast::device::can::{Can, Received};
use steadfast::realtime::clock::Monotonic;
use steadfast::time::{Duration, Instant};

pub(crate) const SYNC: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_millis(1000);
const INVALID: u32 = 0x8000_0000;

/// An index, a sub-index, a value and its size.
pub(crate) type Download = (u16, u8, u32, u8);

/// The downloads before the node is started: communication, with the COB-IDs of node 1.
const COMMUNICATION: [Download; 31] = [
    (0x1016, 1, 0x007F_0000 | 1000, 4),
    (0x1400, 1, INVALID | 0x201, 4),
    (0x1400, 2, 1, 1),
    (0x1600, 0, 0, 1),
    (0x1600, 1, 0x6040_0010, 4),
    (0x1600, 2, 0x6060_0008, 4),
    (0x1600, 0, 2, 1),
    (0x1400, 1, 0x201, 4),
    (0x1401, 1, INVALID | 0x301, 4),
    (0x1401, 2, 1, 1),
    (0x1601, 0, 0, 1),
    (0x1601, 1, 0x607A_0020, 4),
    (0x1601, 2, 0x60FF_0020, 4),
    (0x1601, 0, 2, 1),
    (0x1401, 1, 0x301, 4),
    (0x1800, 1, INVALID | 0x181, 4),
    (0x1800, 2, 1, 1),
    (0x1A00, 0, 0, 1),
    (0x1A00, 1, 0x6041_0010, 4),
    (0x1A00, 2, 0x6061_0008, 4),
    (0x1A00, 0, 2, 1),
    (0x1800, 1, 0x181, 4),
    (0x1801, 1, INVALID | 0x281, 4),
    (0x1801, 2, 1, 1),
    (0x1A01, 0, 0, 1),
    (0x1A01, 1, 0x6064_0020, 4),
    (0x1A01, 2, 0x606C_0020, 4),
    (0x1A01, 0, 2, 1),
    (0x1801, 1, 0x281, 4),
    (0x1006, 0, 10_000, 4),
    (0x1017, 0, 500, 2),
];

/// The parameters of the axis, for a node that takes them.
const PARAMETERS: [Download; 5] = [
    (0x60C2, 1, 10, 1),
    (0x60C2, 2, 0xFD, 1),
    (0x6081, 0, 2_000_000, 4),
    (0x6083, 0, 10_000, 4),
    (0x6098, 0, 0, 1),
];

/// TPDO 2 has the position demand value instead of position and velocity.
const DEMAND: [Download; 5] = [
    (0x1801, 1, INVALID | 0x281, 4),
    (0x1A01, 0, 0, 1),
    (0x1A01, 1, 0x6062_0020, 4),
    (0x1A01, 0, 1, 1),
    (0x1801, 1, 0x281, 4),
];

/// What is expected of the axis.
pub(crate) struct Expected {
    /// It takes parameters.
    pub(crate) parameters: bool,
    /// SYNC cycles of the move.
    pub(crate) cycles: u32,
    /// Largest distance of its position from the target at rest, 10^-6 rad.
    pub(crate) window: u32,
}

/// The target moves by so much in a cycle, 10^-6 rad.
pub(crate) const STEP: i32 = 5000;
/// The position is there so many cycles after the last step.
const SETTLING: u32 = 20;

/// What the node has sent last.
#[derive(Default)]
pub(crate) struct Seen {
    statusword: u16,
    mode: i8,
    pub(crate) position: i32,
    nmt: u8,
    /// The codes, and when they came.
    pub(crate) emergencies: Vec<(u16, Instant)>,
    /// The answer to a request with this index and sub-index.
    asked: [u8; 3],
    answer: Option<[u8; 8]>,
}

/// The master of one node, on a socket of its own.
pub(crate) struct Master<'c> {
    can: &'c Can,
    node: u16,
    pub(crate) seen: Seen,
}

impl<'c> Master<'c> {
    pub(crate) fn new(can: &'c Can, node: u16) -> Result<Self, String> {
        let wanted = [(0, 0)].into_iter();
        can.want(wanted).map_err(|error| error.to_string())?;
        Ok(Self {
            can,
            node,
            seen: Seen::default(),
        })
    }

    pub(crate) fn send(&self, id: u16, data: &[u8]) -> Result<(), String> {
        while !self.can.send(id, data).map_err(|error| error.to_string())? {
            std::thread::sleep(Pause::from_millis(1));
        }
        Ok(())
    }

    /// Receives until `end`, or until there is an answer to an SDO request; after `end`, what is
    /// there.
    pub(crate) fn receive(&mut self, end: Instant) -> Result<(), String> {
        loop {
            let left = end.since(Monotonic.now()).as_nanos() / 1_000_000;
            let ready = self.can.wait(left.min(1000) as u16);
            ready.map_err(|error| error.to_string())?;
            while let Some(received) = self.can.receive().map_err(|error| error.to_string())? {
                let Received::Frame { id, data, .. } = received else {
                    return Err(format!("{received:?}"));
                };
                let [a, b, c, d, ..] = data;
                match id.wrapping_sub(self.node) {
                    0x080 => {
                        let code = u16::from_le_bytes([a, b]);
                        self.seen.emergencies.push((code, Monotonic.now()));
                    }
                    0x180 => {
                        self.seen.statusword = u16::from_le_bytes([a, b]);
                        self.seen.mode = c as i8;
                    }
                    0x280 => self.seen.position = i32::from_le_bytes([a, b, c, d]),
                    0x580 if [b, c, d] == self.seen.asked => self.seen.answer = Some(data),
                    0x700 => self.seen.nmt = a,
                    _ => {}
                }
            }
            if Monotonic.now() >= end || self.seen.answer.is_some() {
                return Ok(());
            }
        }
    }

    fn request(&mut self, request: [u8; 8]) -> Result<[u8; 8], String> {
        let [_, low, high, sub, ..] = request;
        self.seen.asked = [low, high, sub];
        self.send(0x600 + self.node, &request)?;
        self.receive(Monotonic.now() + ANSWER)?;
        let answer = self.seen.answer.take();
        let answer = answer.ok_or_else(|| format!("no answer to {request:02X?}"))?;
        match answer[0] {
            0x80 => Err(format!("{request:02X?} was aborted: {answer:02X?}")),
            _ => Ok(answer),
        }
    }

    fn download(&mut self, (index, sub, value, size): Download) -> Result<(), String> {
        let is_cob_id = sub == 1 && matches!(index, 0x1400..=0x15FF | 0x1800..=0x19FF);
        let value = match is_cob_id {
            true => value + u32::from(self.node - 1),
            false => value,
        };
        let [low, high] = index.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        let command = 0x23 | (4 - size) << 2;
        self.request([command, low, high, sub, a, b, c, d])?;
        Ok(())
    }

    fn upload(&mut self, index: u16, sub: u8) -> Result<u32, String> {
        let [low, high] = index.to_le_bytes();
        let answer = self.request([0x40, low, high, sub, 0, 0, 0, 0])?;
        let [_, _, _, _, a, b, c, d] = answer;
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    /// Sends the PDOs of a cycle, with the commands of CiA 402 by the state, as the Cia402Driver
    /// gives them. The target moves by `step` while the axis is enabled.
    pub(crate) fn command(&self, step: i32, target: &mut i32) -> Result<(), String> {
        let word: u16 = match self.seen.statusword & 0x6F {
            0x21 => 0x07,
            0x23 | 0x27 => 0x0F,
            _ => 0x06,
        };
        if self.is_enabled() {
            *target += step;
        }
        let [low, high] = word.to_le_bytes();
        let [a, b, c, d] = target.to_le_bytes();
        self.send(0x200 + self.node, &[low, high, 8])?;
        self.send(0x300 + self.node, &[a, b, c, d, 0, 0, 0, 0])
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.seen.statusword & 0x6F == 0x27
    }

    /// `cycles` SYNC messages, each after the PDOs; the target moves by `step` after each, while
    /// the axis is enabled.
    pub(crate) fn cycles(
        &mut self,
        cycles: u32,
        step: i32,
        target: &mut i32,
    ) -> Result<(), String> {
        let mut next = Monotonic.now();
        for _ in 0..cycles {
            self.command(step, target)?;
            self.send(0x080, &[])?;
            next += SYNC;
            self.receive(next)?;
        }
        Ok(())
    }

    /// Configures the node and starts it.
    pub(crate) fn configure(&mut self, more: &[Download]) -> Result<(), String> {
        // The node may be about to start.
        let first = (0..10).find_map(|_| self.upload(0x1000, 0).ok());
        let device_type = first.ok_or("the node does not answer")?;
        check(device_type == 0x0002_0192, "the device type")?;
        check(self.upload(0x1018, 2)? == 0x5D, "the product code")?;
        for download in COMMUNICATION.iter().chain(more) {
            self.download(*download)?;
        }
        self.send(0, &[1, self.node as u8])
    }
}

pub(crate) fn check(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| what.to_owned())
}

/// Moves the axis in mode csp, then falls silent.
pub(crate) fn run(can: &Can, expected: &Expected) -> Result<(), String> {
    let mut master = Master::new(can, 1)?;
    let parameters: &[Download] = match expected.parameters {
        true => &PARAMETERS,
        false => &[],
    };
    master.configure(parameters)?;
    let mut target = 0;
    master.cycles(20, 0, &mut target)?;
    let enabled = master.is_enabled() && master.seen.mode == 8;
    check(enabled, "Operation enabled in mode csp after 20 cycles")?;
    master.cycles(expected.cycles, STEP, &mut target)?;
    master.cycles(SETTLING, 0, &mut target)?;
    let (position, cycles) = (master.seen.position, expected.cycles);
    println!("@@moved to {position} of {target} in {cycles} cycles");
    let reached = position.abs_diff(target) <= expected.window;
    check(reached, "the last setpoint is reached")?;
    let (missed, deviation) = (master.upload(0x2001, 3)?, master.upload(0x2001, 2)?);
    println!("@@SYNC missed {missed}, deviation {deviation} us");
    check(missed == 0, "no SYNC is missed")?;
    check(master.seen.emergencies.is_empty(), "no EMCY with SYNC")?;
    // SYNC ends: three are missing after 35 ms.
    master.receive(Monotonic.now() + Duration::from_millis(100))?;
    let first = master.seen.emergencies.first();
    check(
        first.is_some_and(|(code, _)| *code == 0x8700),
        "EMCY 8700 without SYNC",
    )?;
    master.receive(Monotonic.now() + Duration::from_millis(600))?;
    check(master.seen.nmt == 127, "pre-operational without SYNC")?;
    let statusword = master.upload(0x6041, 0)?;
    check(statusword & 0x6F != 0x27, "the axis has stopped")?;
    println!("@@stopped after the loss of SYNC");
    Ok(())
}

/// Moves the axes of two nodes by the same SYNC messages and the same steps, and prints how far
/// apart their set-points were, as both nodes show them after each SYNC.
pub(crate) fn run_pair(cans: [&Can; 2], cycles: u32) -> Result<(), String> {
    let [first, second] = cans;
    let mut masters = [Master::new(first, 1)?, Master::new(second, 2)?];
    let mut targets = [0; 2];
    for (master, target) in masters.iter_mut().zip(&mut targets) {
        master.configure(&DEMAND)?;
        *target = master.upload(0x6064, 0)? as i32;
    }
    let begun = targets;
    let mut apart = 0;
    let mut next = Monotonic.now();
    for cycle in 0..20 + cycles + SETTLING {
        let moves = (20..20 + cycles).contains(&cycle);
        for (master, target) in masters.iter().zip(&mut targets) {
            master.command(if moves { STEP } else { 0 }, target)?;
        }
        masters[0].send(0x080, &[])?;
        next += SYNC;
        for master in &mut masters {
            master.receive(next)?;
        }
        if cycle >= 20 {
            let [one, other] = [0, 1].map(|at| masters[at].seen.position - begun[at]);
            apart = apart.max(one.abs_diff(other));
            let off = masters.iter().find(|master| !master.is_enabled());
            if let Some(Master { node, seen, .. }) = off {
                return Err(format!(
                    "node {node} is not enabled in cycle {cycle}: statusword {:04X}, EMCY {:04X?}",
                    seen.statusword, seen.emergencies
                ));
            }
        }
    }
    println!("@@set-points at most {apart} apart");
    for (master, target) in masters.iter().zip(targets) {
        check(
            master.seen.position == target,
            "the last set-point is reached",
        )?;
        check(master.seen.emergencies.is_empty(), "no EMCY with SYNC")?;
    }
    Ok(())
}
