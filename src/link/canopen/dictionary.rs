//! The values behind the object dictionary that the node keeps itself, and access to all.

use super::abort::Abort;
use super::drive::{Drive, Item, Refusal};
use super::emergency::Emergencies;
use super::frame::MAX_ID;
use super::keeping::Keeping;
use super::measure::Measurement;
use super::object::{Access, Mapping, Own, Preset, Source, Type, Unit};
use super::pdo::{Direction, INVALID, Pdo, Preset as PdoPreset, is_restricted};
use super::period::{HALF_NS, parts, period};
use super::table::{CONSUMERS, Found, HOMING_METHODS, MAP, MAX_AXES, PDOS, SERVO};
use crate::time::Instant;

/// Most RPDOs, and most TPDOs.
pub(super) const MAX_PDOS: usize = MAX_AXES * PDOS;

/// "save" and "load" as UNSIGNED32.
const SAVE: u32 = 0x6576_6173;
const LOAD: u32 = 0x6461_6F6C;

/// What the board file says of a node.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 to 127; 255 for none: the node waits for a master that gives it one by LSS.
    pub node_id: u8,
    /// 1018h:4; 0 for none.
    pub serial: u32,
    /// SYNC messages that may be missing before the commands are no longer valid, at least 1.
    pub sync_losses: u8,
    /// SYNC messages that may be missing before the axes that follow it hold; 0: they never do.
    pub sync_hold: u8,
    /// 1010h, 1011h: parameters are stored on command; otherwise not at all.
    pub stores: bool,
}

/// A producer whose heartbeat is supervised.
#[derive(Copy, Clone, Debug)]
pub(super) struct Consumer {
    /// Node id << 16 | ms.
    pub(super) value: u32,
    /// The last heartbeat; `None` before the first and after a loss.
    pub(super) last: Option<Instant>,
    /// It did not come in time.
    pub(super) lost: bool,
}

impl Consumer {
    const fn new(value: u32) -> Self {
        Self {
            value,
            last: None,
            lost: false,
        }
    }

    /// The node id.
    pub(super) const fn node_id(&self) -> u8 {
        (self.value >> 16) as u8
    }

    /// The time-out, ms.
    pub(super) const fn timeout_ms(&self) -> u16 {
        self.value as u16
    }

    /// Whether anything is supervised.
    pub(super) const fn is_used(&self) -> bool {
        self.node_id() != 0 && self.timeout_ms() != 0
    }
}

/// Values of one axis that the machine does not keep.
#[derive(Copy, Clone, Debug)]
pub(super) struct OfAxis {
    position_offset: u32,
    velocity_offset: u32,
    period_value: u8,
    period_index: i8,
}

/// All communication parameters and their state.
#[derive(Clone, Debug)]
pub(super) struct Dictionary {
    /// From the board file.
    pub(super) config: Config,
    /// Number of axes, at most [`MAX_AXES`].
    pub(super) axes: u8,
    /// 1005h.
    pub(super) sync_id: u32,
    /// 1006h, us.
    pub(super) sync_period: u32,
    /// 1019h.
    pub(super) sync_overflow: u8,
    /// 2001h.
    pub(super) sync_measured: Measurement,
    /// 1014h.
    pub(super) emcy_id: u32,
    /// 1015h, multiples of 100 us.
    pub(super) emcy_inhibit: u16,
    /// 1016h.
    pub(super) consumers: [Consumer; CONSUMERS],
    /// 1017h, ms.
    pub(super) producer: u16,
    /// 1020h.
    pub(super) verify: [u32; 2],
    /// 1029h:1.
    pub(super) error_behaviour: u8,
    /// 1001h, 1003h.
    pub(super) errors: Emergencies,
    /// 1400h, 1600h.
    pub(super) rpdos: [Pdo; MAX_PDOS],
    /// 1800h, 1A00h.
    pub(super) tpdos: [Pdo; MAX_PDOS],
    own: [OfAxis; MAX_AXES],
    /// The next reset uses the presets.
    pub(super) restored: bool,
    /// What the disk has not taken yet.
    pub(super) keeping: Option<Keeping>,
    /// What it has taken, or not, for the master who asked for it.
    pub(super) kept: Option<(Keeping, Result<(), Refusal>)>,
}

impl Dictionary {
    /// The presets.
    pub(super) fn new(config: Config, axes: usize) -> Self {
        let id = config.node_id;
        let axes = axes.min(MAX_AXES) as u8;
        let mut dictionary = Self {
            config,
            axes,
            sync_id: 0x80,
            sync_period: 0,
            sync_overflow: 0,
            sync_measured: Measurement::default(),
            emcy_id: 0x80 + u32::from(id),
            emcy_inhibit: 0,
            consumers: [Consumer::new(0); CONSUMERS],
            producer: 1000,
            verify: [0; 2],
            error_behaviour: 0,
            errors: Emergencies::NONE,
            rpdos: [Pdo::NONE; MAX_PDOS],
            tpdos: [Pdo::NONE; MAX_PDOS],
            own: [OfAxis {
                position_offset: 0,
                velocity_offset: 0,
                period_value: 10,
                period_index: -3,
            }; MAX_AXES],
            restored: false,
            keeping: None,
            kept: None,
        };
        for number in 0..axes * PDOS as u8 {
            let at = usize::from(number);
            dictionary.rpdos[at] = Pdo::preset(Direction::Receive, number, id);
            dictionary.tpdos[at] = Pdo::preset(Direction::Transmit, number, id);
        }
        dictionary
    }

    /// The direction of the PDO that `found` belongs to.
    pub(super) fn direction(found: &Found) -> Direction {
        if found.object.index & 0x0800 != 0 {
            Direction::Transmit
        } else {
            Direction::Receive
        }
    }

    fn pdo(&self, found: &Found) -> &Pdo {
        let all = match Self::direction(found) {
            Direction::Receive => &self.rpdos,
            Direction::Transmit => &self.tpdos,
        };
        &all[usize::from(found.pdo) % MAX_PDOS]
    }

    pub(super) fn pdo_mut(&mut self, found: &Found) -> &mut Pdo {
        let all = match Self::direction(found) {
            Direction::Receive => &mut self.rpdos,
            Direction::Transmit => &mut self.tpdos,
        };
        &mut all[usize::from(found.pdo) % MAX_PDOS]
    }

    fn own(&self, axis: u8) -> &OfAxis {
        &self.own[usize::from(axis) % MAX_AXES]
    }

    /// The value at start, in the lower bytes; `None` if it comes from the machine.
    pub(super) fn preset(&self, found: &Found) -> Option<u32> {
        match found.object.preset {
            Preset::Live => None,
            Preset::Value(value) => Some(value),
            Preset::NodeId(value) => Some(value + u32::from(self.config.node_id)),
            Preset::Pdo => {
                let direction = Self::direction(found);
                let preset = PdoPreset::of(direction, found.pdo);
                let entry = preset.map.get(usize::from(found.sub.wrapping_sub(1)));
                Some(match found.object.source {
                    Source::Node(Own::PdoId) if preset.needs_node_id() => {
                        preset.id + u32::from(self.config.node_id)
                    }
                    Source::Node(Own::PdoId) => preset.id,
                    Source::Node(Own::PdoType) => u32::from(preset.kind),
                    Source::Node(Own::PdoEvent) => u32::from(preset.event),
                    Source::Node(Own::MapCount) => u32::from(preset.count()),
                    _ => entry.copied().unwrap_or(0),
                })
            }
        }
    }

    /// The value of an object of at most 4 bytes, in the lower bytes.
    ///
    /// # Errors
    /// Why there is no value.
    pub(super) fn read(&self, found: &Found, drive: &impl Drive) -> Result<u32, Abort> {
        let object = found.object;
        match object.source {
            Source::Fixed => Ok(self.preset(found).unwrap_or(0)),
            Source::Text(_) | Source::Eds => Err(Abort::ACCESS),
            Source::Drive(item, unit) => {
                let value = drive.get(usize::from(found.axis), item)?;
                let offset = self.offset(found.axis, item, drive);
                Ok(unit.to_raw(value - offset, object.kind))
            }
            Source::Node(Own::InterpolationValue) => {
                Ok(u32::from(self.period_parts(found.axis, drive).0))
            }
            Source::Node(Own::InterpolationIndex) => {
                Ok(self.period_parts(found.axis, drive).1 as u32)
            }
            Source::Node(own) => self.read_own(found, own),
        }
    }

    pub(super) fn read_own(&self, found: &Found, own: Own) -> Result<u32, Abort> {
        let number = usize::from(found.sub.wrapping_sub(1));
        Ok(match own {
            Own::DeviceType if self.axes == 1 => SERVO,
            Own::DeviceType => SERVO | 0xFFFF_0000,
            Own::ErrorRegister => u32::from(self.errors.register()),
            Own::HistoryCount => u32::from(self.errors.count()),
            Own::History => self.errors.entry(number as u8).ok_or(Abort::NO_DATA)?,
            Own::SyncId => self.sync_id,
            Own::SyncPeriod => self.sync_period,
            Own::SyncOverflow => u32::from(self.sync_overflow),
            Own::SyncMeasured => self.sync_measured.read(found.sub),
            Own::Store | Own::Restore => u32::from(self.config.stores),
            Own::EmcyId => self.emcy_id,
            Own::EmcyInhibit => u32::from(self.emcy_inhibit),
            Own::Consumer => self.consumers[number % CONSUMERS].value,
            Own::Producer => u32::from(self.producer),
            Own::Serial => self.config.serial,
            Own::Verify => self.verify[number % 2],
            Own::ErrorBehaviour => u32::from(self.error_behaviour),
            Own::PdoId => self.pdo(found).id,
            Own::PdoType => u32::from(self.pdo(found).kind),
            Own::PdoInhibit => u32::from(self.pdo(found).inhibit),
            Own::PdoEvent => u32::from(self.pdo(found).event),
            Own::PdoStart => u32::from(self.pdo(found).start),
            Own::MapCount => u32::from(self.pdo(found).count),
            Own::MapEntry => self.pdo(found).map[number % MAP],
            Own::PositionOffset => self.own(found.axis).position_offset,
            Own::VelocityOffset => self.own(found.axis).velocity_offset,
            Own::InterpolationValue => u32::from(self.own(found.axis).period_value),
            Own::InterpolationIndex => self.own(found.axis).period_index as u32,
            Own::HomingMethods => HOMING_METHODS[number % HOMING_METHODS.len()] as u32,
        })
    }

    /// Writes an object of at most 4 bytes.
    ///
    /// # Errors
    /// Why it was not written; nothing has changed.
    pub(super) fn write(
        &mut self,
        found: &Found,
        raw: u32,
        drive: &mut impl Drive,
    ) -> Result<(), Abort> {
        let object = found.object;
        if object.access != Access::Rw {
            return Err(Abort::READ_ONLY);
        }
        let value = object.kind.value(raw);
        if let Some((low, high)) = object.range {
            if value > i64::from(high) {
                return Err(Abort::TOO_HIGH);
            }
            if value < i64::from(low) {
                return Err(Abort::TOO_LOW);
            }
        }
        match object.source {
            Source::Fixed | Source::Text(_) | Source::Eds => return Err(Abort::READ_ONLY),
            Source::Drive(item, unit) => {
                let offset = self.offset(found.axis, item, drive);
                let value = unit.to_si(raw, object.kind) + offset;
                match drive.set(usize::from(found.axis), item, value) {
                    // A configuration that agrees with a fixed value is granted.
                    Err(Refusal::ReadOnly) if self.has(found, raw, drive) => {}
                    result => result?,
                }
            }
            Source::Node(own) => self.write_own(found, own, raw, drive)?,
        }
        let is_configuration = object.mapping == Mapping::No
            && !matches!(
                object.source,
                Source::Node(Own::Verify | Own::Store | Own::HistoryCount)
            );
        if is_configuration {
            self.verify = [0; 2];
        }
        Ok(())
    }

    /// Whether an object has the value `raw`.
    fn has(&self, found: &Found, raw: u32, drive: &impl Drive) -> bool {
        let kind = found.object.kind;
        let present = self.read(found, drive);
        present.is_ok_and(|present| kind.value(present) == kind.value(raw))
    }

    fn write_own(
        &mut self,
        found: &Found,
        own: Own,
        raw: u32,
        drive: &mut impl Drive,
    ) -> Result<(), Abort> {
        let number = usize::from(found.sub.wrapping_sub(1));
        let (direction, axes) = (Self::direction(found), self.axes);
        let axis = usize::from(found.axis) % MAX_AXES;
        match own {
            Own::HistoryCount => self.errors.forget(),
            Own::SyncMeasured => self.sync_measured = Measurement::default(),
            Own::SyncId => {
                if raw & !u32::from(MAX_ID) != 0 || is_restricted(raw as u16) {
                    return Err(Abort::VALUE);
                }
                self.sync_id = raw;
            }
            Own::SyncPeriod => self.sync_period = raw,
            Own::SyncOverflow => {
                if raw == 1 {
                    return Err(Abort::VALUE);
                }
                // It would change the length of SYNC under way (CiA 301).
                if self.sync_period != 0 {
                    return Err(Abort::DEVICE_STATE);
                }
                self.sync_overflow = raw as u8;
            }
            Own::Store => {
                if raw != SAVE {
                    return Err(Abort::APPLICATION);
                }
                let mut at = 0;
                let this = &*self;
                let mut next = || this.changed(&mut at);
                drive.store(this.config.node_id, &mut next)?;
                self.keeping = Some(Keeping::Store);
            }
            Own::Restore => {
                if raw != LOAD {
                    return Err(Abort::APPLICATION);
                }
                drive.restore()?;
                self.keeping = Some(Keeping::Restore);
            }
            Own::EmcyId => {
                let valid = raw & INVALID == 0;
                let other = (raw ^ self.emcy_id) & u32::from(MAX_ID) != 0;
                if raw & !(INVALID | u32::from(MAX_ID)) != 0
                    || valid && is_restricted(raw as u16 & MAX_ID)
                    || valid && self.emcy_id & INVALID == 0 && other
                {
                    return Err(Abort::VALUE);
                }
                self.emcy_id = raw;
            }
            Own::EmcyInhibit => self.emcy_inhibit = raw as u16,
            Own::Consumer => {
                let new = Consumer::new(raw);
                if raw >> 24 != 0 || new.node_id() > 127 {
                    return Err(Abort::VALUE);
                }
                let same = |(at, other): (usize, &Consumer)| {
                    at != number && other.is_used() && other.node_id() == new.node_id()
                };
                if new.is_used() && self.consumers.iter().enumerate().any(same) {
                    return Err(Abort::INCOMPATIBLE);
                }
                self.consumers[number % CONSUMERS] = new;
            }
            Own::Producer => self.producer = raw as u16,
            Own::Verify => self.verify[number % 2] = raw,
            Own::ErrorBehaviour => self.error_behaviour = raw as u8,
            Own::PdoId => self.pdo_mut(found).set_id(raw)?,
            Own::PdoType => self.pdo_mut(found).set_kind(raw as u8)?,
            Own::PdoInhibit => {
                self.pdo(found).check_unused()?;
                self.pdo_mut(found).inhibit = raw as u16;
            }
            Own::PdoEvent => self.pdo_mut(found).event = raw as u16,
            Own::PdoStart => {
                self.pdo(found).check_unused()?;
                self.pdo_mut(found).start = raw as u8;
            }
            Own::MapCount => {
                self.pdo_mut(found).set_count(direction, axes, raw as u8)?;
            }
            Own::MapEntry => {
                let pdo = self.pdo_mut(found);
                pdo.set_entry(direction, axes, number as u8, raw)?;
            }
            Own::PositionOffset => self.own[axis].position_offset = raw,
            Own::VelocityOffset => self.own[axis].velocity_offset = raw,
            Own::InterpolationValue => {
                let (_, index) = self.period_parts(found.axis, drive);
                drive.set(axis, Item::InterpolationPeriod, period(raw as u8, index))?;
                self.own[axis].period_value = raw as u8;
                self.own[axis].period_index = index;
            }
            Own::InterpolationIndex => {
                let (value, _) = self.period_parts(found.axis, drive);
                drive.set(axis, Item::InterpolationPeriod, period(value, raw as i8))?;
                if value != 0 {
                    self.own[axis].period_value = value;
                }
                self.own[axis].period_index = raw as i8;
            }
            // Their rows are read-only.
            Own::DeviceType
            | Own::ErrorRegister
            | Own::History
            | Own::Serial
            | Own::HomingMethods => return Err(Abort::READ_ONLY),
        }
        Ok(())
    }

    /// What is added to a target in the present mode, SI: 60B0h in csp, 60B1h in csv.
    fn offset(&self, axis: u8, item: Item, drive: &impl Drive) -> f64 {
        let own = self.own(axis);
        let (mode, raw) = match item {
            Item::TargetPosition => (8.0, own.position_offset),
            Item::TargetVelocity => (9.0, own.velocity_offset),
            _ => return 0.0,
        };
        if raw == 0 || drive.get(usize::from(axis), Item::ModeDisplay) != Ok(mode) {
            return 0.0;
        }
        Unit::Position.to_si(raw, Type::I32)
    }

    /// Value and index of the interpolation period of an axis (60C2h): as they were written, if
    /// that is the period that the axis has; otherwise those that come next to it.
    fn period_parts(&self, axis: u8, drive: &impl Drive) -> (u8, i8) {
        let own = self.own(axis);
        let written = (own.period_value, own.period_index);
        match drive.get(usize::from(axis), Item::InterpolationPeriod) {
            Ok(s) if (s - period(written.0, written.1)).abs() > HALF_NS => parts(s, written.1),
            _ => written,
        }
    }

    /// The interpolation period of an axis, ns; the written one while the axis has none.
    pub(super) fn interpolation_ns(&self, axis: u8, drive: &impl Drive) -> u64 {
        let (value, index) = match self.period_parts(axis, drive) {
            (0, _) => (self.own(axis).period_value, self.own(axis).period_index),
            parts => parts,
        };
        (period(value, index) * 1e9) as u64
    }
}
