//! Faults of the bus while a master moves an axis in mode csp.

use std::path::Path;

use steadfast::cycle::ports::Clock;
use steadfast::device::can::Can;
use steadfast::realtime::clock::Monotonic;
use steadfast::sys::can::{CanFrame, EXTENDED, REMOTE, send};
use steadfast::time::Instant;

use crate::master::{Download, Master, STEP, SYNC, check};
use crate::netlink;
use std::os::fd::AsFd;

/// The interface of the node.
const NODE: &str = "can0";
/// Cycles of motion before the fault, and with it.
const BEFORE: u32 = 20;
const WITH: u32 = 45;
/// The cycle in which an interface that was set down is set up again.
const UP: u32 = BEFORE + 30;
/// The axis is there so many cycles after the last step, within this distance, 10^-6 rad.
const SETTLING: u32 = 20;
const NEAR: u32 = 5000;

/// The node supervises a heartbeat of 100 ms, and RPDO 1 with 50 ms.
const SUPERVISED: [Download; 2] = [(0x1016, 1, 0x007F_0000 | 100, 4), (0x1400, 5, 50, 2)];
const HEARTBEAT: (u16, &[u8]) = (0x77F, &[5]);

/// What happens to the bus.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing but what other programs send.
    Others,
    /// The node's interface is set down, and up again.
    Down,
    /// The cable of the master is pulled.
    Cable,
    NoHeartbeat,
    NoSync,
    NoPdo,
    /// The node is stopped by NMT.
    Stop,
    /// Another node has its id.
    Twin,
    /// Frames of a wrong length, remote frames, 29-bit identifiers.
    Malformed,
}

impl Fault {
    const ALL: [(&str, Self); 9] = [
        ("others", Self::Others),
        ("down", Self::Down),
        ("cable", Self::Cable),
        ("heartbeat", Self::NoHeartbeat),
        ("sync", Self::NoSync),
        ("pdo", Self::NoPdo),
        ("stop", Self::Stop),
        ("twin", Self::Twin),
        ("malformed", Self::Malformed),
    ];

    /// Whether it is to have no effect on the axis.
    fn is_harmless(self) -> bool {
        matches!(self, Self::Others | Self::Twin | Self::Malformed)
    }

    /// What the master still sends: its PDOs, SYNC, and its heartbeat.
    fn leaves(self) -> [bool; 3] {
        match self {
            Self::Cable => [false; 3],
            Self::NoPdo => [false, true, true],
            Self::NoSync => [true, false, true],
            Self::NoHeartbeat => [true, true, false],
            _ => [true; 3],
        }
    }
}

/// Moves the axis of node 1, and disturbs the bus by the fault of this name, while the file `mark`,
/// a pin, has the level 1. Prints the EMCY messages of the node with their times since then.
pub(crate) fn run(can: &Can, rate: u32, name: &str, mark: &Path) -> Result<(), String> {
    let mut faults = Fault::ALL.into_iter();
    let (_, fault) = faults
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("'{name}' is no fault"))?;
    let level = |text| std::fs::write(mark, text).map_err(|error| error.to_string());
    let mut master = Master::new(can, 1)?;
    master.configure(&SUPERVISED)?;
    let mut target = 0;
    master.cycles(20, 0, &mut target)?;
    check(master.is_enabled(), "Operation enabled after 20 cycles")?;
    let mut next = Monotonic.now();
    let mut begin = next;
    for cycle in 0..BEFORE + WITH {
        let is_disturbed = cycle >= BEFORE;
        if cycle == BEFORE {
            master.seen.emergencies.clear();
            begin = Monotonic.now();
            level("1")?;
        }
        if is_disturbed {
            disturb(&master, can, fault, cycle, rate)?;
        }
        let [pdos, sync, heartbeat] = match is_disturbed {
            true => fault.leaves(),
            false => [true; 3],
        };
        if pdos {
            master.command(STEP, &mut target)?;
        }
        if heartbeat {
            master.send(HEARTBEAT.0, HEARTBEAT.1)?;
        }
        if sync {
            master.send(0x080, &[])?;
        }
        next += SYNC;
        master.receive(next)?;
    }
    level("0")?;
    report(&master.seen.emergencies, begin);
    if !fault.is_harmless() {
        return Ok(());
    }
    for _ in 0..SETTLING {
        master.send(HEARTBEAT.0, HEARTBEAT.1)?;
        master.cycles(1, 0, &mut target)?;
    }
    check(master.is_enabled(), "the axis goes on")?;
    let distance = master.seen.position.abs_diff(target);
    println!("@@distance {distance}");
    check(distance <= NEAR, "the last set-point is reached")?;
    // Disable voltage: without it the end of this master would be a fault.
    for _ in 0..5 {
        master.send(0x201, &[0, 0, 8])?;
        master.send(0x080, &[])?;
        master.receive(Monotonic.now() + SYNC)?;
    }
    check(!master.is_enabled(), "the axis is disabled")
}

/// The first message of each code, in ms after `begin`, rounded up.
fn report(emergencies: &[(u16, Instant)], begin: Instant) {
    for (place, (code, at)) in emergencies.iter().enumerate() {
        let is_first = !emergencies[..place].iter().any(|(other, _)| other == code);
        if is_first {
            let after = at.since(begin).as_nanos().div_ceil(1_000_000);
            println!("@@emcy {code:04X} {after}");
        }
    }
}

/// What `fault` sends in this cycle.
fn disturb(
    master: &Master<'_>,
    can: &Can,
    fault: Fault,
    cycle: u32,
    rate: u32,
) -> Result<(), String> {
    let raw = |id, data: &[u8]| {
        let sent = send(can.as_fd(), &CanFrame::new(id, data));
        sent.map(drop).map_err(|errno| errno.to_string())
    };
    match fault {
        Fault::Down if cycle == BEFORE => netlink::down(NODE).map_err(|error| error.to_string()),
        Fault::Down if cycle == UP => netlink::up(NODE, rate).map_err(|error| error.to_string()),
        Fault::Stop if cycle == BEFORE => master.send(0, &[2, 1]),
        Fault::Twin => {
            // Its boot-up message, heartbeat, EMCY, and answer to an upload of 1000h.
            raw(0x701, &[0])?;
            raw(0x701, &[5])?;
            raw(0x081, &[0, 0x10, 1, 0, 0, 0, 0, 0])?;
            raw(0x581, &[0x43, 0, 0x10, 0, 1, 2, 3, 4])
        }
        Fault::Malformed => {
            // NMT "stop" without a node, an SDO download of controlword 0 in 7 bytes, a heartbeat
            // without a state, SYNC with a counter, RPDO 1 of 1 byte.
            raw(0x000, &[2])?;
            raw(0x601, &[0x2B, 0x40, 0x60, 0, 0, 0, 0])?;
            raw(0x77F, &[])?;
            raw(0x080, &[1])?;
            raw(0x201, &[0])?;
            for id in [
                0x000, 0x080, 0x081, 0x181, 0x201, 0x301, 0x581, 0x601, 0x701,
            ] {
                raw(REMOTE | id, &[])?;
                raw(EXTENDED | id, &[0; 8])?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
