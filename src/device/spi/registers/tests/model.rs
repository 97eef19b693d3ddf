//! Models of both controllers at their registers, with a chip that answers each byte and a
//! clock that each access moves.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::super::{Block, Kind, bcm2835, ecspi};

/// Time of a register access, ns.
const ACCESS_NS: u64 = 100;

/// What the chip has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Selected(u32),
    Byte(u8),
    Released,
}

/// What is wrong with the controller.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    /// After this many bytes no bit is sent.
    StuckAfter(usize),
    /// Received words are lost.
    Overruns,
    /// No device answers.
    Absent,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now: u64,
    pub(super) seen: Vec<(u64, Seen)>,
    pub(super) accesses: usize,
    registers: [u32; 16],
    sent: VecDeque<u32>,
    received: VecDeque<u32>,
    burst_bits: u32,
    /// When the word that is on the wire is complete.
    word_end: Option<u64>,
    selected: bool,
    overrun: bool,
    bytes: usize,
}

type Hook = (usize, Box<dyn FnOnce() + Send>);

pub(super) struct Model {
    kind: Kind,
    bit_ns: u64,
    pub(super) defect: Defect,
    state: Mutex<State>,
    /// Runs before this access.
    hook: Mutex<Option<Hook>>,
}

/// The answer to the byte at this place.
pub(super) fn answer(sent: u8, place: usize) -> u8 {
    sent.wrapping_mul(3).wrapping_add(place as u8) ^ 0x5a
}

impl Model {
    pub(super) fn new(kind: Kind, bit_ns: u64) -> Self {
        Self {
            kind,
            bit_ns,
            defect: Defect::None,
            state: Mutex::new(State {
                now: 0,
                seen: Vec::new(),
                accesses: 0,
                registers: [0; 16],
                sent: VecDeque::new(),
                received: VecDeque::new(),
                burst_bits: 0,
                word_end: None,
                selected: false,
                overrun: false,
                bytes: 0,
            }),
            hook: Mutex::new(None),
        }
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `action` runs before the access with this number, counted from now on.
    pub(super) fn before(&self, access: usize, action: impl FnOnce() + Send + 'static) {
        let at = self.state().accesses + access;
        *self.hook.lock().unwrap() = Some((at, Box::new(action)));
    }

    fn access(&self) -> std::sync::MutexGuard<'_, State> {
        let due = {
            let mut state = self.state();
            state.accesses += 1;
            let at = state.accesses;
            let mut hook = self.hook.lock().unwrap();
            hook.take_if(|(when, _)| *when == at)
        };
        if let Some((_, action)) = due {
            action();
        }
        let mut state = self.state();
        state.now += ACCESS_NS;
        self.proceed(&mut state);
        state
    }

    fn select(state: &mut State, selected: bool, select: u32) {
        if state.selected != selected {
            state.selected = selected;
            state.bytes = 0;
            let seen = if selected {
                Seen::Selected(select)
            } else {
                Seen::Released
            };
            state.seen.push((state.now, seen));
        }
    }

    fn running(&self, state: &State) -> bool {
        match self.kind {
            Kind::Ecspi => state.registers[2] & 5 == 5,
            Kind::Bcm2835 => state.registers[0] & bcm2835::TA != 0,
        }
    }

    /// Moves the words whose time has come.
    fn proceed(&self, state: &mut State) {
        while let (true, Some(word)) = (self.running(state), state.sent.front().copied()) {
            let bits = match self.kind {
                Kind::Bcm2835 => 8,
                Kind::Ecspi => match state.burst_bits % 32 {
                    0 => 32,
                    rest => rest,
                },
            };
            if matches!(self.defect, Defect::StuckAfter(bytes) if state.bytes >= bytes) {
                return;
            }
            if self.kind == Kind::Ecspi {
                let select = state.registers[2] >> 18 & 3;
                Self::select(state, true, select);
            }
            let lead = match self.kind {
                Kind::Ecspi if state.bytes == 0 => u64::from(state.registers[7] >> 16 & 63),
                _ => 0,
            };
            let now = state.now;
            let end = *(state.word_end).get_or_insert(now + (u64::from(bits) + lead) * self.bit_ns);
            if now < end {
                return;
            }
            state.word_end = None;
            state.sent.pop_front();
            let mut received = 0;
            for byte in (0..bits / 8).rev() {
                let sent = (word >> (8 * byte)) as u8;
                received = received << 8 | u32::from(answer(sent, state.bytes));
                state.bytes += 1;
                state.seen.push((end, Seen::Byte(sent)));
            }
            state.burst_bits = state.burst_bits.wrapping_sub(bits);
            if state.received.len() == 64 || self.defect == Defect::Overruns {
                state.overrun = true;
            } else {
                state.received.push_back(received);
            }
            if self.kind == Kind::Ecspi && state.burst_bits == 0 {
                Self::select(state, false, 0);
            }
            if self.kind == Kind::Ecspi && state.sent.is_empty() {
                state.registers[2] &= !ecspi::XCH;
            }
        }
    }

    fn write_ecspi(&self, state: &mut State, offset: usize, value: u32) {
        let enabled = state.registers[2] & ecspi::EN != 0;
        match offset {
            ecspi::CONREG if value & ecspi::EN == 0 => {
                state.registers = [0; 16];
                state.sent.clear();
                state.received.clear();
                state.word_end = None;
                state.overrun = false;
                Self::select(state, false, 0);
            }
            ecspi::CONREG => {
                if !enabled {
                    state.burst_bits = (value >> 20) + 1;
                }
                state.registers[2] = value;
            }
            ecspi::TXDATA if enabled && state.sent.len() < 64 => state.sent.push_back(value),
            // The other registers take no value in a disabled block.
            _ if enabled => state.registers[offset / 4] = value,
            _ => {}
        }
    }

    fn write_bcm2835(&self, state: &mut State, offset: usize, value: u32) {
        match offset {
            bcm2835::CS => {
                if value & 0x30 != 0 {
                    state.sent.clear();
                    state.received.clear();
                    state.word_end = None;
                }
                state.registers[0] = value;
                Self::select(state, value & bcm2835::TA != 0, value & 3);
            }
            bcm2835::FIFO if self.running(state) && state.sent.len() < 64 => {
                state.sent.push_back(value);
            }
            _ => state.registers[offset / 4] = value,
        }
    }
}

impl Block for Model {
    fn read(&self, offset: usize) -> u32 {
        let mut state = self.access();
        if self.defect == Defect::Absent {
            return u32::MAX;
        }
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        let waits = !state.received.is_empty();
        let idle = state.sent.is_empty();
        match (self.kind, offset) {
            (Kind::Ecspi, ecspi::STATREG) => {
                bit(waits, ecspi::RR) | bit(state.overrun, ecspi::RO) | bit(idle, ecspi::COMPLETED)
            }
            (Kind::Ecspi, ecspi::RXDATA) | (Kind::Bcm2835, bcm2835::FIFO) => {
                state.received.pop_front().unwrap_or(0xdead_beef)
            }
            (Kind::Bcm2835, bcm2835::CS) => bit(waits, bcm2835::RXD) | bit(idle, bcm2835::DONE),
            _ => state.registers[offset / 4],
        }
    }

    fn write(&self, offset: usize, value: u32) {
        let mut state = self.access();
        match self.kind {
            Kind::Ecspi => self.write_ecspi(&mut state, offset, value),
            Kind::Bcm2835 => self.write_bcm2835(&mut state, offset, value),
        }
        self.proceed(&mut state);
    }

    fn now_ns(&self) -> u64 {
        let mut state = self.state();
        state.now += 1;
        state.now
    }
}
