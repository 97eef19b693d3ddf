//! One row of the object dictionary.

use super::drive::Item;

/// Data types, with their numbers in CiA 301.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Type {
    /// INTEGER8
    I8 = 2,
    /// INTEGER16
    I16 = 3,
    /// INTEGER32
    I32 = 4,
    /// UNSIGNED8
    U8 = 5,
    /// UNSIGNED16
    U16 = 6,
    /// UNSIGNED32
    U32 = 7,
    /// VISIBLE_STRING
    Text = 9,
    /// DOMAIN
    Domain = 15,
}

/// Who may do what by SDO.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Access {
    /// Read; never changes.
    Const,
    /// Read.
    Ro,
    /// Read and write.
    Rw,
}

/// Whether an object can be mapped to a PDO.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mapping {
    /// No.
    No,
    /// To a TPDO.
    Tx,
    /// To a TPDO; a change of the value is an event that sends the PDO.
    Event,
    /// To an RPDO.
    Rx,
}

/// Place of a row in its object.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The only row: a variable.
    Variable,
    /// Sub-index 0 of an array; the name is that of the array.
    Array,
    /// Sub-index 0 of a record; the name is that of the record.
    Record,
    /// A further sub-index.
    Member,
}

/// The value at start.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Preset {
    /// Comes from the machine; the EDS has no default.
    Live,
    /// Fixed; of a signed type its two's complement.
    Value(u32),
    /// The number plus the node id.
    NodeId(u32),
    /// Differs between the PDOs: [`pdo::PRESETS`](super::pdo::PRESETS).
    Pdo,
}

/// The unit on the bus.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    /// A number.
    None,
    /// 10^-6 rad (60A8h).
    Position,
    /// 10^-6 rad/s (60A9h).
    Velocity,
    /// 10^-3 rad/s² (60AAh).
    Acceleration,
    /// ms.
    Time,
}

/// Where the value lives.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The preset.
    Fixed,
    /// A text.
    Text(&'static str),
    /// The EDS, generated while it is read.
    Eds,
    /// The node.
    Node(Own),
    /// The machine, in this unit on the bus.
    Drive(Item, Unit),
}

/// Values that the node keeps itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Own {
    DeviceType,
    ErrorRegister,
    HistoryCount,
    History,
    SyncId,
    SyncPeriod,
    SyncOverflow,
    SyncMeasured,
    Store,
    Restore,
    EmcyId,
    EmcyInhibit,
    Consumer,
    Producer,
    Serial,
    Verify,
    ErrorBehaviour,
    PdoId,
    PdoType,
    PdoInhibit,
    PdoEvent,
    PdoStart,
    MapCount,
    MapEntry,
    PositionOffset,
    VelocityOffset,
    InterpolationValue,
    InterpolationIndex,
    HomingMethods,
}

/// One row: a sub-index, or several equal ones.
#[derive(Copy, Clone, Debug)]
pub(super) struct Object {
    /// Index; of a PDO that of the first one, of an axis that of the first one.
    pub(super) index: u16,
    /// First sub-index.
    pub(super) sub: u8,
    /// Number of sub-indices with these properties.
    pub(super) subs: u8,
    /// Data type.
    pub(super) kind: Type,
    /// Access by SDO.
    pub(super) access: Access,
    /// Mapping to PDOs.
    pub(super) mapping: Mapping,
    /// Variable, or which part of an array or record.
    pub(super) part: Part,
    /// Value at start.
    pub(super) preset: Preset,
    /// Limits of a value that is written; `None` for those of the type.
    pub(super) range: Option<(i32, i32)>,
    /// Where the value lives.
    pub(super) source: Source,
    /// The name in the EDS.
    pub(super) name: &'static str,
    /// What it is in the machine, for docs/canopen.md.
    #[cfg(test)]
    pub(super) note: &'static str,
}

impl Type {
    /// Bytes of a value; 0 for text and domain.
    pub(super) const fn size(self) -> u8 {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::Text | Self::Domain => 0,
        }
    }

    /// The value of the lower bytes of `raw`, with the sign of the type.
    pub(super) const fn value(self, raw: u32) -> i64 {
        match self {
            Self::I8 => raw as i8 as i64,
            Self::I16 => raw as i16 as i64,
            Self::I32 => raw as i32 as i64,
            Self::U8 => raw as u8 as i64,
            Self::U16 => raw as u16 as i64,
            Self::U32 | Self::Text | Self::Domain => raw as i64,
        }
    }

    /// The limits of the type.
    pub(super) const fn limits(self) -> (i64, i64) {
        match self {
            Self::I8 => (i8::MIN as i64, i8::MAX as i64),
            Self::I16 => (i16::MIN as i64, i16::MAX as i64),
            Self::I32 => (i32::MIN as i64, i32::MAX as i64),
            Self::U8 => (0, u8::MAX as i64),
            Self::U16 => (0, u16::MAX as i64),
            Self::U32 | Self::Text | Self::Domain => (0, u32::MAX as i64),
        }
    }
}

impl Unit {
    /// Bus units in one SI unit.
    pub(super) const fn per_si(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Position | Self::Velocity => 1e6,
            Self::Acceleration | Self::Time => 1e3,
        }
    }

    /// The value on the bus of `si`, rounded to the nearest and limited to the type; not a
    /// number gives 0.
    pub(super) fn to_raw(self, si: f64, kind: Type) -> u32 {
        let (low, high) = kind.limits();
        let scaled = si * self.per_si();
        // The cast saturates and cuts towards zero; not a number becomes 0.
        let rounded = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i64;
        rounded.clamp(low, high) as u32
    }

    /// The value in SI units of `raw`.
    pub(super) fn to_si(self, raw: u32, kind: Type) -> f64 {
        kind.value(raw) as f64 / self.per_si()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_to_the_bus_and_back() {
        for raw in [0, 1, 314_159, -314_159, i32::MAX, i32::MIN] {
            let si = Unit::Position.to_si(raw as u32, Type::I32);
            assert_eq!(Unit::Position.to_raw(si, Type::I32), raw as u32);
        }
    }

    #[test]
    fn values_beyond_the_type_are_limited_and_nan_is_zero() {
        assert_eq!(Unit::Position.to_raw(1e9, Type::I32), i32::MAX as u32);
        assert_eq!(Unit::Position.to_raw(-1e9, Type::U32), 0);
        assert_eq!(Unit::None.to_raw(f64::NAN, Type::U16), 0);
        assert_eq!(Unit::None.to_raw(-3.0, Type::I8) as u8, 0xFD);
    }
}
