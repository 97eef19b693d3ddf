//! A stub of the kernel's GPIO interface: one chip, its lines and their events.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use steadfast::device::gpio::{
    Chip, ChipInfo, Events, InputLine, LineEvent, LineInfo, LineRequest, LineValues, Lines, Name,
};
use steadfast::sys::Errno;

/// Records the requests to the lines and holds their answers; shared by the users of a chip.
#[derive(Default)]
pub(crate) struct Wires {
    pub(crate) levels: Cell<u64>,
    pub(crate) gets: Cell<u32>,
    pub(crate) sets: RefCell<Vec<LineValues>>,
    pub(crate) requests: RefCell<Vec<LineRequest>>,
    pub(crate) events: RefCell<Vec<Result<LineEvent, Errno>>>,
    pub(crate) refuse: Cell<Option<Errno>>,
}

#[derive(Clone, Default)]
pub(crate) struct StubChip {
    /// The number of its device node.
    pub(crate) device: u64,
    pub(crate) info: ChipInfo,
    pub(crate) lines: Vec<LineInfo>,
    pub(crate) wires: Rc<Wires>,
}

pub(crate) struct StubLines(pub(crate) Rc<Wires>);

impl Chip for StubChip {
    type Lines = StubLines;

    fn device(&self) -> Result<u64, Errno> {
        Ok(self.device)
    }

    fn info(&self) -> Result<ChipInfo, Errno> {
        Ok(self.info)
    }

    fn line_info(&self, offset: u32) -> Result<LineInfo, Errno> {
        self.lines.get(offset as usize).copied().ok_or(Errno(22))
    }

    fn request(&self, request: &LineRequest) -> Result<StubLines, Errno> {
        self.wires.requests.borrow_mut().push(*request);
        match self.wires.refuse.get() {
            None => Ok(StubLines(Rc::clone(&self.wires))),
            Some(errno) => Err(errno),
        }
    }
}

impl Lines for StubLines {
    type Events = StubLines;

    fn get(&self, mask: u64) -> Result<u64, Errno> {
        self.0.gets.set(self.0.gets.get() + 1);
        match self.0.refuse.get() {
            None => Ok(self.0.levels.get() & mask),
            Some(errno) => Err(errno),
        }
    }

    fn set(&self, values: LineValues) -> Result<(), Errno> {
        self.0.sets.borrow_mut().push(values);
        match self.0.refuse.get() {
            None => Ok(()),
            Some(errno) => Err(errno),
        }
    }

    fn events(&self) -> Result<StubLines, Errno> {
        Ok(StubLines(Rc::clone(&self.0)))
    }
}

impl Events for StubLines {
    fn read(&mut self, events: &mut [LineEvent], _timeout_ms: u16) -> Result<usize, Errno> {
        let mut waiting = self.0.events.borrow_mut();
        let mut count = 0;
        while count < events.len() && !waiting.is_empty() {
            events[count] = waiting.remove(0)?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsRawFd for StubLines {
    fn as_raw_fd(&self) -> RawFd {
        42
    }
}

pub(crate) fn chip(name: &str, label: &str, line_names: &[&str]) -> StubChip {
    let lines = line_names
        .iter()
        .enumerate()
        .map(|(offset, name)| LineInfo {
            name: Name::new(name),
            offset: offset as u32,
            ..LineInfo::default()
        })
        .collect();
    let number = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    StubChip {
        device: number.parse().expect("a chip has a number"),
        info: ChipInfo {
            name: Name::new(name),
            label: Name::new(label),
            lines: line_names.len() as u32,
        },
        lines,
        wires: Rc::default(),
    }
}

pub(crate) fn input(channel: u8, offset: u32) -> InputLine {
    InputLine {
        channel,
        offset,
        ..InputLine::default()
    }
}
