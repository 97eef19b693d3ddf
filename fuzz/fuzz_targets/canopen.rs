//! Arbitrary frames and times for the CANopen node: no panic, no value outside of its type or
//! its limits reaches the machine, and no command reaches it while NMT has stopped the node.

#![no_main]

use std::sync::atomic::{AtomicU64, Ordering};

use libfuzzer_sys::fuzz_target;
use steadfast::link::canopen::{
    BusEvent, Config, Drive, Frame, Item, Loss, Nmt, Node, Outbox, Pace, Refusal, Reset, Saved,
};
use steadfast::time::{Duration, Instant};

const AXES: usize = 2;

/// The range of a value in SI units that its type on the bus can have.
fn range(item: Item) -> (f64, f64) {
    match item {
        Item::Controlword | Item::PositioningOption => (0.0, 65535.0),
        Item::Mode | Item::HomingMethod => (-128.0, 127.0),
        // With an offset of the same range.
        Item::TargetPosition | Item::TargetVelocity => (-4295.0, 4295.0),
        Item::HomeOffset | Item::MinPosition | Item::MaxPosition => (-2147.5, 2147.5),
        Item::QuickStopOption
        | Item::ShutdownOption
        | Item::DisableOption
        | Item::HaltOption
        | Item::FaultOption => (-32768.0, 32767.0),
        Item::InterpolationPeriod => (0.0, 255.0),
        Item::FollowingErrorTime | Item::PositionWindowTime => (0.0, 65.535),
        Item::ProfileAcceleration
        | Item::ProfileDeceleration
        | Item::QuickStopDeceleration
        | Item::HomingAcceleration => (0.0, 4_294_967.3),
        _ => (0.0, 4294.97),
    }
}

const READ_ONLY: [Item; 10] = [
    Item::ErrorCode,
    Item::Statusword,
    Item::ModeDisplay,
    Item::Setpoint,
    Item::Position,
    Item::SetpointVelocity,
    Item::Velocity,
    Item::FollowingError,
    Item::DigitalInputs,
    Item::SupportedModes,
];

/// Checks what it is given, and answers with arbitrary values.
#[derive(Default)]
struct Machine {
    /// Decides over values and refusals.
    noise: u64,
    stopped: bool,
    stored: Vec<Saved>,
    resets: Option<Reset>,
}

impl Machine {
    fn next(&self, salt: u64) -> u64 {
        (self.noise ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }
}

impl Drive for Machine {
    fn axes(&self) -> usize {
        AXES
    }

    fn get(&self, axis: usize, item: Item) -> Result<f64, Refusal> {
        assert!(axis < AXES);
        let noise = self.next(item as u64);
        Ok(match noise % 8 {
            0 => return Err(Refusal::NoData),
            1 => f64::NAN,
            2 => f64::INFINITY,
            3 => 8.0,
            4 => 9.0,
            5 => -1e300,
            _ => f64::from(noise as i32) * 1e-3,
        })
    }

    fn set(&mut self, axis: usize, item: Item, value: f64) -> Result<(), Refusal> {
        assert!(axis < AXES);
        assert!(!READ_ONLY.contains(&item), "{item:?} was written");
        assert!(!self.stopped, "{item:?} was written to a stopped node");
        let (low, high) = range(item);
        assert!((low..=high).contains(&value), "{item:?} = {value}");
        self.noise = self.next(value.to_bits());
        match self.noise % 5 {
            0 => Err(Refusal::Owner),
            _ => Ok(()),
        }
    }

    fn is_taken(&self) -> bool {
        self.noise & 0x200 == 0
    }

    fn withdraw(&mut self, axis: usize) {
        assert!(axis < AXES);
    }

    fn alive(&mut self, axis: usize) {
        assert!(axis < AXES && !self.stopped);
    }

    fn pace(&mut self, axis: usize, pace: Pace) {
        assert!(axis < AXES && (pace == Pace::Free || !self.stopped));
    }

    fn lost(&mut self, axis: usize, _loss: Loss) {
        assert!(axis < AXES);
    }

    fn store(
        &mut self,
        node_id: u8,
        next: &mut dyn FnMut() -> Option<Saved>,
    ) -> Result<(), Refusal> {
        assert!(matches!(node_id, 1..=127), "node {node_id} stores");
        self.stored = std::iter::from_fn(next).collect();
        assert!(self.stored.len() < 1000, "storing does not end");
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Refusal> {
        Err(Refusal::Failed)
    }

    fn keep_node_id(&mut self, node_id: u8) -> Result<(), Refusal> {
        assert!(matches!(node_id, 1..=127 | 255), "node id {node_id}");
        match self.noise & 0x400 {
            0 => Ok(()),
            _ => Err(Refusal::State),
        }
    }

    fn reset(&mut self) -> Reset {
        let reset = match self.noise >> 13 & 3 {
            0 => Reset::Refused,
            1 => Reset::Waits,
            _ => Reset::Done,
        };
        // Some time it has an end.
        self.noise = self.next(13);
        self.resets = Some(reset);
        reset
    }

    fn stored(&mut self) -> Option<Result<(), Refusal>> {
        match self.noise >> 11 & 3 {
            0 => None,
            1 => Some(Err(Refusal::Failed)),
            _ => Some(Ok(())),
        }
    }

    fn saved(&self, _: u8, number: usize) -> Option<Saved> {
        let saved = self.stored.get(number).copied()?;
        // Sometimes damaged.
        let damage = if self.noise & 0x100 != 0 {
            self.noise as u32
        } else {
            0
        };
        Some(Saved {
            value: saved.value ^ damage,
            ..saved
        })
    }
}

/// Bytes of the fuzzer for each frame.
const STEP: usize = 12;

/// Frames so far. Each million is in the log.
static FRAMES: AtomicU64 = AtomicU64::new(0);

fn count(frames: u64) {
    const LINE: u64 = 1_000_000;
    let before = FRAMES.fetch_add(frames, Ordering::Relaxed);
    let millions = (before + frames) / LINE;
    if millions > before / LINE {
        eprintln!("frames: {millions} million");
    }
}

fuzz_target!(|bytes: &[u8]| {
    // Some begin without a node id, which only LSS gives them.
    let config = Config {
        node_id: if bytes.first().is_some_and(|byte| byte & 1 != 0) {
            255
        } else {
            5
        },
        serial: 1,
        sync_losses: 2,
        sync_hold: 1,
        stores: true,
    };
    let mut node = Node::new(config, AXES);
    let mut machine = Machine::default();
    let mut out = Outbox::new();
    let mut now = Instant::from_nanos(1_000_000_000);
    node.poll(now, &mut machine, &mut out);
    count((bytes.len() / STEP) as u64);
    for step in bytes.chunks_exact(STEP) {
        let [what, time, id, len, data @ ..] = step else {
            return;
        };
        let len = usize::from(len % 9);
        // Mostly identifiers of this node.
        let own = u16::from(node.node_id() & 0x7F);
        let id = match what & 7 {
            0 => 0x000,
            1 => 0x080,
            2 | 3 => 0x600 + own,
            4 => 0x200 + own + (u16::from(*id & 3) << 8),
            5 => 0x700 + u16::from(*id & 0x7F),
            6 => 0x7E5,
            _ => u16::from(*what) << 3 & 0x700 | u16::from(*id),
        };
        let data = data.get(..len).unwrap_or(data);
        let frame = if what & 0xF8 == 0xF8 {
            Frame::remote(id, data.len() as u8)
        } else {
            Frame::new(id, data)
        };
        now += Duration::from_micros(u64::from(*time).pow(3));
        machine.stopped = node.nmt() == Nmt::Stopped;
        // A reset loads what was stored.
        machine.stopped &= id != 0;
        if let Some(frame) = frame {
            node.receive(now, &frame, &mut machine, &mut out);
        }
        match what >> 3 {
            1 => node.bus(BusEvent::Off, &mut machine),
            2 => node.bus(BusEvent::Recovered, &mut machine),
            3 => node.bus(BusEvent::Overrun, &mut machine),
            _ => {}
        }
        machine.stopped = node.nmt() == Nmt::Stopped;
        if what & 0x80 == 0 {
            let next = node.poll(now, &mut machine, &mut out);
            assert!(next >= now && next.since(now) <= Duration::from_secs(1));
            let boots = node.nmt() == Nmt::Initialising;
            let waits = machine.resets == Some(Reset::Waits);
            assert!(!boots || out.is_full() || node.is_unconfigured() || waits);
            assert!(matches!(node.node_id(), 1..=127 | 255));
        }
        if what & 0x40 == 0 {
            while let Some(frame) = out.pop_front() {
                assert!(!frame.is_remote() && frame.id() >= 0x80);
            }
        }
    }
});
