//! A drive that keeps what it is given, and a node with it on a bus.

use super::super::{Config, Drive, Frame, Item, Loss, Node, Outbox, Pace, Refusal, Reset, Saved};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Keeps the values of its axes.
pub(super) struct Fake {
    pub(super) axes: usize,
    pub(super) values: BTreeMap<(usize, u8), f64>,
    /// Refuses to set these.
    pub(super) refused: BTreeMap<u8, Refusal>,
    pub(super) lost: Vec<(usize, Loss)>,
    pub(super) alive: Vec<usize>,
    pub(super) withdrawn: Vec<usize>,
    pub(super) paces: Vec<(usize, Pace)>,
    pub(super) stored: Vec<Saved>,
    pub(super) powered: bool,
    /// What becomes of a reset, and how often it was asked for.
    pub(super) reset: Reset,
    pub(super) resets: u32,
    /// What has become of what is stored.
    pub(super) disk: Option<Result<(), Refusal>>,
    /// Refuses to store a node id.
    pub(super) no_store: Option<Refusal>,
    /// The stored node id.
    pub(super) kept_id: Option<u8>,
    /// The machine has not taken the last controlword.
    pub(super) waits: bool,
}

impl Fake {
    /// Without values.
    pub(super) fn new(axes: usize) -> Self {
        Self {
            axes,
            values: BTreeMap::new(),
            refused: BTreeMap::new(),
            lost: Vec::new(),
            alive: Vec::new(),
            withdrawn: Vec::new(),
            paces: Vec::new(),
            stored: Vec::new(),
            powered: false,
            reset: Reset::Done,
            resets: 0,
            disk: Some(Ok(())),
            no_store: None,
            kept_id: None,
            waits: false,
        }
    }
}

impl Drive for Fake {
    fn axes(&self) -> usize {
        self.axes
    }

    fn get(&self, axis: usize, item: Item) -> Result<f64, Refusal> {
        Ok(self.values.get(&(axis, item as u8)).copied().unwrap_or(0.0))
    }

    fn set(&mut self, axis: usize, item: Item, value: f64) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused.get(&(item as u8)) {
            return Err(*refusal);
        }
        self.values.insert((axis, item as u8), value);
        Ok(())
    }

    fn is_taken(&self) -> bool {
        !self.waits
    }

    fn withdraw(&mut self, axis: usize) {
        self.withdrawn.push(axis);
    }

    fn alive(&mut self, axis: usize) {
        self.alive.push(axis);
    }

    fn pace(&mut self, axis: usize, pace: Pace) {
        self.paces.push((axis, pace));
    }

    fn lost(&mut self, axis: usize, loss: Loss) {
        self.lost.push((axis, loss));
    }

    fn store(&mut self, _: u8, next: &mut dyn FnMut() -> Option<Saved>) -> Result<(), Refusal> {
        if self.powered {
            return Err(Refusal::State);
        }
        self.stored = std::iter::from_fn(next).collect();
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Refusal> {
        self.stored.clear();
        Ok(())
    }

    fn keep_node_id(&mut self, node_id: u8) -> Result<(), Refusal> {
        if let Some(refusal) = self.no_store {
            return Err(refusal);
        }
        self.kept_id = Some(node_id);
        self.stored.clear();
        Ok(())
    }

    fn reset(&mut self) -> Reset {
        self.resets += 1;
        self.reset
    }

    fn stored(&mut self) -> Option<Result<(), Refusal>> {
        self.disk
    }

    fn saved(&self, _: u8, number: usize) -> Option<Saved> {
        self.stored.get(number).copied()
    }
}

/// A node with the id 5, its drive, and what it has sent.
pub(super) struct Bench {
    pub(super) node: Node,
    pub(super) drive: Fake,
    pub(super) now: Instant,
}

impl Bench {
    /// A pre-operational node.
    pub(super) fn new(axes: usize) -> Self {
        let mut bench = Self::switched_on(5, axes);
        assert_eq!(bench.poll(), [frame(0x705, &[0])]);
        bench
    }

    /// A node with this id before its boot-up.
    pub(super) fn switched_on(node_id: u8, axes: usize) -> Self {
        let config = Config {
            node_id,
            serial: 77,
            sync_losses: 2,
            sync_hold: 0,
            stores: true,
        };
        Self {
            node: Node::new(config, axes),
            drive: Fake::new(axes),
            now: Instant::from_nanos(1_000_000_000),
        }
    }

    /// The same, started, with its first TPDOs taken away.
    pub(super) fn operational(axes: usize) -> Self {
        let mut bench = Self::new(axes);
        assert_eq!(bench.receive(0, &[1, 5]), []);
        bench.poll();
        bench
    }

    pub(super) fn value(&self, item: Item) -> f64 {
        self.drive.get(0, item).unwrap()
    }

    pub(super) fn set(&mut self, item: Item, value: f64) {
        self.drive.values.insert((0, item as u8), value);
    }

    /// What the node sends at once after a frame.
    pub(super) fn receive(&mut self, id: u16, data: &[u8]) -> Vec<Frame> {
        let mut out = Outbox::new();
        let frame = frame(id, data);
        self.node
            .receive(self.now, &frame, &mut self.drive, &mut out);
        out.into_iter().collect()
    }

    pub(super) fn poll(&mut self) -> Vec<Frame> {
        let mut out = Outbox::new();
        let next = self.node.poll(self.now, &mut self.drive, &mut out);
        assert!(next >= self.now, "a deadline in the past");
        out.into_iter().collect()
    }

    /// Polls each millisecond, and returns what was sent but heartbeats.
    pub(super) fn wait(&mut self, ms: u64) -> Vec<Frame> {
        let mut sent = Vec::new();
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            sent.extend(self.poll());
        }
        sent.retain(|frame| frame.id() & !0x7F != 0x700);
        sent
    }

    /// One SDO request and its answer.
    pub(super) fn sdo(&mut self, request: [u8; 8]) -> [u8; 8] {
        self.sdo_of(5, request)
    }

    fn sdo_of(&mut self, node: u16, request: [u8; 8]) -> [u8; 8] {
        let answers = self.receive(0x600 + node, &request);
        assert_eq!(answers.len(), 1, "{answers:02X?}");
        assert_eq!(answers[0].id(), 0x580 + node);
        answers[0].data().try_into().unwrap()
    }

    pub(super) fn read(&mut self, index: u16, sub: u8) -> Result<u32, u32> {
        self.read_of(5, index, sub)
    }

    /// An upload from the node with the id `node`.
    pub(super) fn read_of(&mut self, node: u16, index: u16, sub: u8) -> Result<u32, u32> {
        let [low, high] = index.to_le_bytes();
        let answer = self.sdo_of(node, [0x40, low, high, sub, 0, 0, 0, 0]);
        assert_eq!(answer[1..4], [low, high, sub]);
        let value = u32::from_le_bytes(answer[4..].try_into().unwrap());
        if answer[0] == 0x80 {
            return Err(value);
        }
        Ok(value)
    }

    /// An expedited download of `size` bytes.
    pub(super) fn write(&mut self, index: u16, sub: u8, value: u32, size: u8) -> Result<(), u32> {
        let [low, high] = index.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        let command = 0x23 | (4 - size) << 2;
        let answer = self.sdo([command, low, high, sub, a, b, c, d]);
        assert_eq!(answer[1..4], [low, high, sub]);
        if answer[0] == 0x80 {
            return Err(u32::from_le_bytes(answer[4..].try_into().unwrap()));
        }
        assert_eq!(answer[0], 0x60);
        Ok(())
    }
}

pub(super) fn frame(id: u16, data: &[u8]) -> Frame {
    Frame::new(id, data).unwrap()
}

/// No axis.
pub(super) const NONE: [usize; 0] = [];
