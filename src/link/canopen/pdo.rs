//! Communication and mapping parameters of a PDO (CiA 301, 1400h to 1BFFh).

use super::abort::Abort;
use super::frame::MAX_ID;
use super::object::Mapping;
use super::table::{MAP, PDOS, find};
use crate::time::{Duration, Instant};

/// Bit of a COB-ID: the PDO, or EMCY, does not exist.
pub(super) const INVALID: u32 = 1 << 31;
/// Bit of a COB-ID: no remote frame is allowed.
const NO_REMOTE: u32 = 1 << 30;

/// Direction of a PDO, seen from the node.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// RPDO.
    Receive,
    /// TPDO.
    Transmit,
}

/// Values of one PDO at start.
#[derive(Copy, Clone, Debug)]
pub(super) struct Preset {
    /// COB-ID of the first axis without the node id. Those of other axes do not exist.
    pub(super) id: u32,
    /// Transmission type.
    pub(super) kind: u8,
    /// Event timer, ms.
    pub(super) event: u16,
    /// Mapped objects of the first axis; the rest is 0.
    pub(super) map: [u32; 2],
}

/// RPDO 1 to 4 and TPDO 1 to 4 of each axis. Type 255 and the event timer of the status are what
/// a master expects that is not configured: python-canopen waits 0.2 s for it.
pub(super) const PRESETS: [[Preset; PDOS]; 2] = [
    [
        receive(0x200, [0x6040_0010, 0x6060_0008]),
        receive(0x300, [0x607A_0020, 0]),
        receive(0x400, [0x60FF_0020, 0]),
        receive(INVALID | 0x500, [0, 0]),
    ],
    [
        transmit(0x180, 100, [0x6041_0010, 0x6061_0008]),
        transmit(0x280, 100, [0x6064_0020, 0x606C_0020]),
        transmit(INVALID | 0x380, 0, [0, 0]),
        transmit(INVALID | 0x480, 0, [0, 0]),
    ],
];

const fn receive(id: u32, map: [u32; 2]) -> Preset {
    Preset {
        id,
        kind: 255,
        event: 0,
        map,
    }
}

const fn transmit(id: u32, event: u16, map: [u32; 2]) -> Preset {
    Preset {
        id: id | NO_REMOTE,
        kind: 255,
        event,
        map,
    }
}

impl Preset {
    /// The preset of PDO `number`, which counts over all axes.
    pub(super) fn of(direction: Direction, number: u8) -> Self {
        let (axis, pdo) = (number / PDOS as u8, number % PDOS as u8);
        let mut preset = PRESETS[direction as usize][usize::from(pdo)];
        if axis > 0 {
            preset.id = INVALID | preset.id & NO_REMOTE;
            for entry in preset.map.iter_mut().filter(|entry| **entry != 0) {
                *entry += u32::from(axis) * 0x0800_0000;
            }
        }
        preset
    }

    /// Number of mapped objects.
    pub(super) fn count(&self) -> u8 {
        self.map.iter().filter(|entry| **entry != 0).count() as u8
    }

    /// The COB-ID, and whether the node id is added.
    pub(super) const fn needs_node_id(&self) -> bool {
        self.id & MAX_ID as u32 != 0
    }
}

/// A PDO: parameters and state.
#[derive(Copy, Clone, Debug)]
pub(super) struct Pdo {
    /// Sub-index 1.
    pub(super) id: u32,
    /// Sub-index 2.
    pub(super) kind: u8,
    /// Sub-index 3, multiples of 100 us.
    pub(super) inhibit: u16,
    /// Sub-index 5, ms.
    pub(super) event: u16,
    /// Sub-index 6.
    pub(super) start: u8,
    /// Sub-index 0 of the mapping.
    pub(super) count: u8,
    /// Sub-indices 1 to 8 of the mapping.
    pub(super) map: [u32; MAP],
    /// RPDO: received, for the next SYNC. TPDO: the values last sent whose change is an event.
    pub(super) data: [u8; 8],
    /// Length of `data`.
    pub(super) len: u8,
    /// RPDO: `data` waits for SYNC. TPDO of the types 0, 254 and 255: must be sent; of the types
    /// 1 to 240: the SYNC start value has come.
    pub(super) pending: bool,
    /// RPDO: the last value was refused, which was reported.
    pub(super) refused: bool,
    /// RPDO: the last length was wrong, which was reported.
    pub(super) wrong_length: bool,
    /// SYNC messages since the last transmission.
    pub(super) syncs: u8,
    /// Time of the last PDO; `None` before the first, and after a time-out.
    pub(super) last: Option<Instant>,
}

impl Pdo {
    /// A PDO that does not exist.
    pub(super) const NONE: Self = Self {
        id: INVALID,
        kind: 255,
        inhibit: 0,
        event: 0,
        start: 0,
        count: 0,
        map: [0; MAP],
        data: [0; 8],
        len: 0,
        pending: false,
        refused: false,
        wrong_length: false,
        syncs: 0,
        last: None,
    };

    /// PDO `number` with its presets.
    pub(super) fn preset(direction: Direction, number: u8, node_id: u8) -> Self {
        let preset = Preset::of(direction, number);
        let mut pdo = Self {
            id: preset.id,
            kind: preset.kind,
            event: preset.event,
            count: preset.count(),
            ..Self::NONE
        };
        if preset.needs_node_id() {
            pdo.id += u32::from(node_id);
        }
        for (to, from) in pdo.map.iter_mut().zip(preset.map) {
            *to = from;
        }
        pdo
    }

    /// Whether the PDO exists.
    pub(super) const fn is_valid(&self) -> bool {
        self.id & INVALID == 0
    }

    /// The identifier of its frames.
    pub(super) const fn can_id(&self) -> u16 {
        self.id as u16 & MAX_ID
    }

    /// Whether SYNC triggers it.
    pub(super) const fn is_synchronous(&self) -> bool {
        self.kind <= 240
    }

    /// The mapped objects.
    pub(super) fn entries(&self) -> impl Iterator<Item = u32> + use<> {
        self.map.into_iter().take(usize::from(self.count))
    }

    /// The end of the event timer.
    pub(super) fn due(&self) -> Option<Instant> {
        match (self.last, self.event) {
            (None, _) | (_, 0) => None,
            (Some(last), event) => Some(last + Duration::from_millis(u64::from(event))),
        }
    }

    /// The end of the inhibit time.
    pub(super) fn inhibited_until(&self) -> Option<Instant> {
        self.last
            .map(|last| last + Duration::from_micros(100 * u64::from(self.inhibit)))
    }

    /// Forgets what was received or sent.
    pub(super) const fn restart(&mut self) {
        self.pending = false;
        self.refused = false;
        self.wrong_length = false;
        self.syncs = 0;
        self.len = 0;
        self.last = None;
    }

    /// Writes sub-index 1.
    ///
    /// # Errors
    /// [`Abort::VALUE`] for a 29-bit or reserved identifier, and for another one while the PDO
    /// exists.
    pub(super) const fn set_id(&mut self, id: u32) -> Result<(), Abort> {
        let other = (id ^ self.id) & MAX_ID as u32 != 0;
        let valid = id & INVALID == 0;
        if id & !(INVALID | NO_REMOTE | MAX_ID as u32) != 0
            || valid && is_restricted(id as u16 & MAX_ID)
            || valid && self.is_valid() && other
        {
            return Err(Abort::VALUE);
        }
        if valid && !self.is_valid() {
            self.restart();
        }
        self.id = id;
        Ok(())
    }

    /// Writes sub-index 2.
    ///
    /// # Errors
    /// [`Abort::VALUE`] for a reserved type; 252 and 253 need remote frames.
    pub(super) const fn set_kind(&mut self, kind: u8) -> Result<(), Abort> {
        if kind > 240 && kind < 254 {
            return Err(Abort::VALUE);
        }
        self.kind = kind;
        self.restart();
        Ok(())
    }

    /// Writes sub-index 3 or 6, which must not change while the PDO exists.
    ///
    /// # Errors
    /// [`Abort::VALUE`] while it exists.
    pub(super) const fn check_unused(&self) -> Result<(), Abort> {
        if self.is_valid() {
            return Err(Abort::VALUE);
        }
        Ok(())
    }

    /// Writes entry `number`, from 0, of the mapping.
    ///
    /// # Errors
    /// [`Abort::ACCESS`] while the PDO exists or its mapping is active, and those of
    /// [`mapped_bits`].
    pub(super) fn set_entry(
        &mut self,
        direction: Direction,
        axes: u8,
        number: u8,
        entry: u32,
    ) -> Result<(), Abort> {
        if self.is_valid() || self.count != 0 {
            return Err(Abort::ACCESS);
        }
        if entry != 0 {
            mapped_bits(direction, axes, entry)?;
        }
        if let Some(to) = self.map.get_mut(usize::from(number)) {
            *to = entry;
        }
        Ok(())
    }

    /// Writes the number of mapped objects, which makes the mapping active.
    ///
    /// # Errors
    /// [`Abort::ACCESS`] while the PDO exists, [`Abort::PDO_LENGTH`] above 64 bits, and those of
    /// [`mapped_bits`].
    pub(super) fn set_count(
        &mut self,
        direction: Direction,
        axes: u8,
        count: u8,
    ) -> Result<(), Abort> {
        if self.is_valid() {
            return Err(Abort::ACCESS);
        }
        let mut bits = 0;
        for entry in self.map.iter().take(usize::from(count)) {
            bits += mapped_bits(direction, axes, *entry)?;
        }
        if bits > 64 {
            return Err(Abort::PDO_LENGTH);
        }
        self.count = count;
        Ok(())
    }
}

/// The length of a mapping entry, bits: 8, 16 or 32. An RPDO may have gaps: a type of CiA 301 as
/// the index.
///
/// # Errors
/// [`Abort::NO_OBJECT`], [`Abort::NO_SUB`], or [`Abort::NOT_MAPPABLE`].
pub(super) fn mapped_bits(direction: Direction, axes: u8, entry: u32) -> Result<u8, Abort> {
    let [bits, sub, low, high] = entry.to_le_bytes();
    let index = u16::from_le_bytes([low, high]);
    let expected = match (index, sub, direction) {
        // BOOLEAN is one bit, which is not supported.
        (2 | 5, 0, Direction::Receive) => 8,
        (3 | 6, 0, Direction::Receive) => 16,
        (4 | 7, 0, Direction::Receive) => 32,
        _ => {
            let object = find(index, sub, axes)?.object;
            let fits = match direction {
                Direction::Receive => object.mapping == Mapping::Rx,
                Direction::Transmit => matches!(object.mapping, Mapping::Tx | Mapping::Event),
            };
            if !fits {
                return Err(Abort::NOT_MAPPABLE);
            }
            object.kind.size() * 8
        }
    };
    if bits != expected {
        return Err(Abort::NOT_MAPPABLE);
    }
    Ok(bits)
}

/// Identifiers that a PDO, SYNC or EMCY may not use (CiA 301, "Restricted CAN-IDs").
pub(super) const fn is_restricted(id: u16) -> bool {
    matches!(
        id,
        0..=0x7F | 0x101..=0x180 | 0x581..=0x5FF | 0x601..=0x67F | 0x6E0..=0x6FF | 0x701..
    )
}
