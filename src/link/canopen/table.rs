//! The object dictionary: one table, from which access by SDO and PDO, the EDS, limits, units
//! and `docs/canopen.md` come.
//!
//! An object of a PDO stands for all PDOs, an object of CiA 402 for all axes: see [`find`].

use super::abort::Abort;
use super::drive::Item;
use super::measure::COUNT;
use super::object::Access::{Const, Ro, Rw};
use super::object::Mapping::{Event, No, Rx, Tx};
use super::object::Own::*;
use super::object::Part::{Array, Member, Record, Variable};
use super::object::Preset::{Live, NodeId, Pdo, Value};
use super::object::Source::{self, Drive, Eds, Fixed, Node, Text};
use super::object::Type::{Domain, I8, I16, I32, Text as Str, U8, U16, U32};
use super::object::Unit::{Acceleration, None as Num, Position, Time, Velocity};
use super::object::{Access, Mapping, Object, Part, Preset, Type};

/// Most axes on the bus: CiA 402 has eight logical devices.
pub const MAX_AXES: usize = 8;
/// RPDOs, and TPDOs, of one axis.
pub(super) const PDOS: usize = 4;
/// Objects in one PDO at most: eight bytes.
pub(super) const MAP: usize = 8;
/// Errors in 1003h.
pub(super) const HISTORY: usize = 8;
/// Producers whose heartbeat is consumed (1016h).
pub(super) const CONSUMERS: usize = 4;
/// Homing methods (60E3h).
pub(super) const HOMING_METHODS: [i8; 11] = [0, 17, 18, 19, 20, 21, 22, 35, 37, -3, -4];
/// Device type of one servo drive: profile 402, type 2 (servo), no mode-specific bits.
pub(super) const SERVO: u32 = 0x0002_0192;

const fn any() -> Option<(i32, i32)> {
    None
}

#[expect(clippy::too_many_arguments, reason = "the columns of the table")]
#[cfg_attr(
    not(test),
    expect(unused_variables, reason = "the note is for the documentation")
)]
const fn row(
    index: u16,
    sub: u8,
    subs: u8,
    part: Part,
    kind: Type,
    access: Access,
    mapping: Mapping,
    preset: Preset,
    range: Option<(i32, i32)>,
    source: Source,
    name: &'static str,
    note: &'static str,
) -> Object {
    Object {
        index,
        sub,
        subs,
        kind,
        access,
        mapping,
        part,
        preset,
        range,
        source,
        name,
        #[cfg(test)]
        note,
    }
}

/// Sub-index 0 of an object with `last` as its highest sub-index.
const fn head(index: u16, part: Part, last: u8, name: &'static str) -> Object {
    let preset = Value(last as u32);
    row(
        index, 0, 1, part, U8, Const, No, preset, None, Fixed, name, "",
    )
}

const VENDOR: u32 = 0;
const PRODUCT: u32 = 0x5D;
const REVISION: u32 = 0x0001_0000;

/// 1018h:1 to 4 of the node with this serial number, by which LSS finds it.
pub(super) const fn identity(serial: u32) -> [u32; 4] {
    [VENDOR, PRODUCT, REVISION, serial]
}

/// The rows, by index and sub-index.
#[rustfmt::skip]
pub(super) static OBJECTS: [Object; 115] = [
    row(0x1000, 0, 1, Variable, U32, Const, No, Live, any(), Node(DeviceType), "Device type", "0x00020192; with several axes 0xFFFF0192"),
    row(0x1001, 0, 1, Variable, U8, Ro, Event, Live, any(), Node(ErrorRegister), "Error register", "bit 0 any error, bit 4 communication, bit 5 axis"),
    row(0x1003, 0, 1, Array, U8, Rw, No, Value(0), Some((0, 0)), Node(HistoryCount), "Pre-defined error field", "number of errors; writing 0 clears them"),
    row(0x1003, 1, HISTORY as u8, Member, U32, Ro, No, Live, any(), Node(History), "Standard error field", "newest first: code, and the axis from bit 16 on"),
    row(0x1005, 0, 1, Variable, U32, Rw, No, Value(0x80), any(), Node(SyncId), "COB-ID SYNC message", "SYNC is consumed only"),
    row(0x1006, 0, 1, Variable, U32, Rw, No, Value(0), any(), Node(SyncPeriod), "Communication cycle period", "us; supervises SYNC; with 0, 60C2h of the first axis with a synchronous RPDO does"),
    row(0x1008, 0, 1, Variable, Str, Const, No, Live, any(), Text("steadfast"), "Manufacturer device name", ""),
    row(0x1009, 0, 1, Variable, Str, Const, No, Live, any(), Text("Linux"), "Manufacturer hardware version", ""),
    row(0x100A, 0, 1, Variable, Str, Const, No, Live, any(), Text(env!("CARGO_PKG_VERSION")), "Manufacturer software version", ""),
    head(0x1010, Array, 1, "Store parameters"),
    row(0x1010, 1, 1, Member, U32, Rw, No, Live, any(), Node(Store), "Save all parameters", "write 0x65766173 (save), without power only"),
    head(0x1011, Array, 1, "Restore default parameters"),
    row(0x1011, 1, 1, Member, U32, Rw, No, Live, any(), Node(Restore), "Restore all default parameters", "write 0x64616F6C (load); valid after a reset"),
    row(0x1014, 0, 1, Variable, U32, Rw, No, NodeId(0x80), any(), Node(EmcyId), "COB-ID EMCY", ""),
    row(0x1015, 0, 1, Variable, U16, Rw, No, Value(0), any(), Node(EmcyInhibit), "Inhibit time EMCY", "multiples of 100 us"),
    head(0x1016, Array, CONSUMERS as u8, "Consumer heartbeat time"),
    row(0x1016, 1, CONSUMERS as u8, Member, U32, Rw, No, Value(0), any(), Node(Consumer), "Consumer heartbeat time", "bits 16 to 23 node id, bits 0 to 15 ms; supervised from the first heartbeat on"),
    row(0x1017, 0, 1, Variable, U16, Rw, No, Value(1000), any(), Node(Producer), "Producer heartbeat time", "ms; 0: no heartbeat"),
    head(0x1018, Record, 4, "Identity object"),
    row(0x1018, 1, 1, Member, U32, Const, No, Value(VENDOR), any(), Fixed, "Vendor-ID", "0: none is assigned"),
    row(0x1018, 2, 1, Member, U32, Const, No, Value(PRODUCT), any(), Fixed, "Product code", ""),
    row(0x1018, 3, 1, Member, U32, Const, No, Value(REVISION), any(), Fixed, "Revision number", "of this dictionary"),
    row(0x1018, 4, 1, Member, U32, Ro, No, Live, any(), Node(Serial), "Serial number", "from the board file"),
    row(0x1019, 0, 1, Variable, U8, Rw, No, Value(0), Some((0, 240)), Node(SyncOverflow), "Synchronous counter overflow value", "0, or 2 to 240"),
    head(0x1020, Array, 2, "Verify configuration"),
    row(0x1020, 1, 1, Member, U32, Rw, No, Value(0), any(), Node(Verify), "Configuration date", "becomes 0 when another parameter is written"),
    row(0x1020, 2, 1, Member, U32, Rw, No, Value(0), any(), Node(Verify), "Configuration time", ""),
    row(0x1021, 0, 1, Variable, Domain, Ro, No, Live, any(), Eds, "Store EDS", "the EDS of this node, generated while it is read"),
    row(0x1022, 0, 1, Variable, U8, Ro, No, Value(0), any(), Fixed, "Store format", "0: plain ASCII"),
    head(0x1029, Array, 1, "Error behaviour"),
    row(0x1029, 1, 1, Member, U8, Rw, No, Value(0), Some((0, 2)), Node(ErrorBehaviour), "Communication error", "0 pre-operational, 1 no change, 2 stopped"),
    head(0x1200, Record, 2, "SDO server parameter"),
    row(0x1200, 1, 1, Member, U32, Ro, No, NodeId(0x600), any(), Fixed, "COB-ID client to server", ""),
    row(0x1200, 2, 1, Member, U32, Ro, No, NodeId(0x580), any(), Fixed, "COB-ID server to client", ""),
    head(0x1400, Record, 5, "RPDO communication parameter"),
    row(0x1400, 1, 1, Member, U32, Rw, No, Pdo, any(), Node(PdoId), "COB-ID used by RPDO", ""),
    row(0x1400, 2, 1, Member, U8, Rw, No, Pdo, any(), Node(PdoType), "Transmission type", "0 to 240: with the next SYNC; 254, 255: at once"),
    row(0x1400, 5, 1, Member, U16, Rw, No, Value(0), any(), Node(PdoEvent), "Event timer", "ms; time-out of reception from the first PDO on"),
    row(0x1600, 0, 1, Record, U8, Rw, No, Pdo, Some((0, MAP as i32)), Node(MapCount), "RPDO mapping parameter", ""),
    row(0x1600, 1, MAP as u8, Member, U32, Rw, No, Pdo, any(), Node(MapEntry), "Application object", "bits 16 to 31 index, 8 to 15 sub-index, 0 to 7 length in bits"),
    head(0x1800, Record, 6, "TPDO communication parameter"),
    row(0x1800, 1, 1, Member, U32, Rw, No, Pdo, any(), Node(PdoId), "COB-ID used by TPDO", ""),
    row(0x1800, 2, 1, Member, U8, Rw, No, Pdo, any(), Node(PdoType), "Transmission type", "0: after an event with SYNC; 1 to 240: every n-th SYNC; 254, 255: after an event"),
    row(0x1800, 3, 1, Member, U16, Rw, No, Value(0), any(), Node(PdoInhibit), "Inhibit time", "multiples of 100 us; types 254, 255"),
    row(0x1800, 5, 1, Member, U16, Rw, No, Pdo, any(), Node(PdoEvent), "Event timer", "ms; types 254, 255"),
    row(0x1800, 6, 1, Member, U8, Rw, No, Value(0), Some((0, 240)), Node(PdoStart), "SYNC start value", ""),
    row(0x1A00, 0, 1, Record, U8, Rw, No, Pdo, Some((0, MAP as i32)), Node(MapCount), "TPDO mapping parameter", ""),
    row(0x1A00, 1, MAP as u8, Member, U32, Rw, No, Pdo, any(), Node(MapEntry), "Application object", "bits 16 to 31 index, 8 to 15 sub-index, 0 to 7 length in bits"),
    head(0x2001, Record, 9, "SYNC measurement"),
    row(0x2001, 1, 1, Member, U32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Period", "us, of the last SYNC"),
    row(0x2001, 2, 1, Member, U32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Largest deviation of the period", "us, since the last reset: the larger one of 6 and 7"),
    row(0x2001, 3, 1, Member, U32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Missed SYNC messages", "since the last reset"),
    row(0x2001, COUNT, 1, Member, U32, Rw, Tx, Value(0), Some((0, 0)), Node(SyncMeasured), "Number of SYNC messages", "writing 0 resets all of 2001h"),
    row(0x2001, 5, 1, Member, U32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Mean period", "ns, since the last reset; missing messages are counted as periods"),
    row(0x2001, 6, 1, Member, I32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Jitter, earliest", "us, 0 or less: the shortest period minus 1006h or 60C2h"),
    row(0x2001, 7, 1, Member, I32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Jitter, latest", "us, 0 or more: the longest period minus 1006h or 60C2h"),
    row(0x2001, 8, 1, Member, I32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Jitter, last", "us: the last period minus 1006h or 60C2h"),
    row(0x2001, 9, 1, Member, U32, Ro, Tx, Value(0), any(), Node(SyncMeasured), "Holds", "how often the axes held because SYNC was missing (sync_hold)"),
    row(0x6007, 0, 1, Variable, I16, Rw, No, Live, any(), Drive(Item::AbortOption, Num), "Abort connection option code", "on_loss of the axis: 1 fault, -1 ramp of the profile, then hold"),
    row(0x603F, 0, 1, Variable, U16, Ro, Event, Live, any(), Drive(Item::ErrorCode, Num), "Error code", "fault of the axis, see docs/canopen.md"),
    row(0x6040, 0, 1, Variable, U16, Rw, Rx, Value(0), any(), Drive(Item::Controlword, Num), "Controlword", ""),
    row(0x6041, 0, 1, Variable, U16, Ro, Event, Live, any(), Drive(Item::Statusword, Num), "Statusword", ""),
    row(0x605A, 0, 1, Variable, I16, Rw, No, Live, any(), Drive(Item::QuickStopOption, Num), "Quick stop option code", ""),
    row(0x605B, 0, 1, Variable, I16, Rw, No, Live, any(), Drive(Item::ShutdownOption, Num), "Shutdown option code", ""),
    row(0x605C, 0, 1, Variable, I16, Rw, No, Live, any(), Drive(Item::DisableOption, Num), "Disable operation option code", ""),
    row(0x605D, 0, 1, Variable, I16, Rw, No, Live, any(), Drive(Item::HaltOption, Num), "Halt option code", ""),
    row(0x605E, 0, 1, Variable, I16, Rw, No, Live, any(), Drive(Item::FaultOption, Num), "Fault reaction option code", ""),
    row(0x6060, 0, 1, Variable, I8, Rw, Rx, Value(0), any(), Drive(Item::Mode, Num), "Modes of operation", "0, 1 pp, 3 pv, 6 hm, 8 csp, 9 csv"),
    row(0x6061, 0, 1, Variable, I8, Ro, Event, Live, any(), Drive(Item::ModeDisplay, Num), "Modes of operation display", ""),
    row(0x6062, 0, 1, Variable, I32, Ro, Tx, Live, any(), Drive(Item::Setpoint, Position), "Position demand value", "setpoint of the position control"),
    row(0x6064, 0, 1, Variable, I32, Ro, Tx, Live, any(), Drive(Item::Position, Position), "Position actual value", ""),
    row(0x6065, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::FollowingErrorWindow, Position), "Following error window", ""),
    row(0x6066, 0, 1, Variable, U16, Rw, Rx, Live, any(), Drive(Item::FollowingErrorTime, Time), "Following error time out", ""),
    row(0x6067, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::PositionWindow, Position), "Position window", "target reached"),
    row(0x6068, 0, 1, Variable, U16, Rw, Rx, Live, any(), Drive(Item::PositionWindowTime, Time), "Position window time", ""),
    row(0x606B, 0, 1, Variable, I32, Ro, Tx, Live, any(), Drive(Item::SetpointVelocity, Velocity), "Velocity demand value", ""),
    row(0x606C, 0, 1, Variable, I32, Ro, Tx, Live, any(), Drive(Item::Velocity, Velocity), "Velocity actual value", ""),
    row(0x607A, 0, 1, Variable, I32, Rw, Rx, Value(0), any(), Drive(Item::TargetPosition, Position), "Target position", ""),
    row(0x607C, 0, 1, Variable, I32, Rw, Rx, Live, any(), Drive(Item::HomeOffset, Position), "Home offset", ""),
    head(0x607D, Array, 2, "Software position limit"),
    row(0x607D, 1, 1, Member, I32, Rw, Rx, Live, any(), Drive(Item::MinPosition, Position), "Min position limit", ""),
    row(0x607D, 2, 1, Member, I32, Rw, Rx, Live, any(), Drive(Item::MaxPosition, Position), "Max position limit", ""),
    row(0x607F, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::MaxProfileVelocity, Velocity), "Max profile velocity", ""),
    row(0x6081, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::ProfileVelocity, Velocity), "Profile velocity", ""),
    row(0x6083, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::ProfileAcceleration, Acceleration), "Profile acceleration", ""),
    row(0x6084, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::ProfileDeceleration, Acceleration), "Profile deceleration", ""),
    row(0x6085, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::QuickStopDeceleration, Acceleration), "Quick stop deceleration", ""),
    row(0x6086, 0, 1, Variable, I16, Ro, No, Value(0), any(), Fixed, "Motion profile type", "0: trapezoidal"),
    head(0x6091, Array, 2, "Gear ratio"),
    row(0x6091, 1, 1, Member, U32, Ro, No, Value(1), any(), Fixed, "Motor revolutions", ""),
    row(0x6091, 2, 1, Member, U32, Ro, No, Value(1), any(), Fixed, "Shaft revolutions", ""),
    head(0x6092, Array, 2, "Feed constant"),
    row(0x6092, 1, 1, Member, U32, Ro, No, Value(6_283_185), any(), Fixed, "Feed", "10^-6 rad"),
    row(0x6092, 2, 1, Member, U32, Ro, No, Value(1), any(), Fixed, "Shaft revolutions", ""),
    row(0x6098, 0, 1, Variable, I8, Rw, Rx, Live, any(), Drive(Item::HomingMethod, Num), "Homing method", "0: none"),
    head(0x6099, Array, 2, "Homing speeds"),
    row(0x6099, 1, 1, Member, U32, Rw, Rx, Live, any(), Drive(Item::HomingSwitchSpeed, Velocity), "Speed during search for switch", ""),
    row(0x6099, 2, 1, Member, U32, Rw, Rx, Live, any(), Drive(Item::HomingZeroSpeed, Velocity), "Speed during search for zero", ""),
    row(0x609A, 0, 1, Variable, U32, Rw, Rx, Live, any(), Drive(Item::HomingAcceleration, Acceleration), "Homing acceleration", ""),
    row(0x60A8, 0, 1, Variable, U32, Ro, No, Value(0xFA10_0000), any(), Fixed, "SI unit position", "10^-6 rad"),
    row(0x60A9, 0, 1, Variable, U32, Ro, No, Value(0xFA10_0300), any(), Fixed, "SI unit velocity", "10^-6 rad/s"),
    row(0x60AA, 0, 1, Variable, U32, Ro, No, Value(0xFD10_5700), any(), Fixed, "SI unit acceleration", "10^-3 rad/s²"),
    row(0x60B0, 0, 1, Variable, I32, Rw, Rx, Value(0), any(), Node(PositionOffset), "Position offset", "added to 607Ah in csp"),
    row(0x60B1, 0, 1, Variable, I32, Rw, Rx, Value(0), any(), Node(VelocityOffset), "Velocity offset", "added to 60FFh in csv"),
    head(0x60C2, Record, 2, "Interpolation time period"),
    row(0x60C2, 1, 1, Member, U8, Rw, No, Live, Some((1, 255)), Node(InterpolationValue), "Interpolation time period value", "time between two setpoints in csp and csv"),
    row(0x60C2, 2, 1, Member, I8, Rw, No, Live, Some((-6, 0)), Node(InterpolationIndex), "Interpolation time index", "power of ten, s"),
    head(0x60E3, Array, HOMING_METHODS.len() as u8, "Supported homing methods"),
    row(0x60E3, 1, HOMING_METHODS.len() as u8, Member, I8, Ro, No, Live, any(), Node(HomingMethods), "Supported homing method", ""),
    row(0x60F2, 0, 1, Variable, U16, Rw, Rx, Live, any(), Drive(Item::PositioningOption, Num), "Positioning option code", ""),
    row(0x60F4, 0, 1, Variable, I32, Ro, Tx, Live, any(), Drive(Item::FollowingError, Position), "Following error actual value", ""),
    row(0x60FD, 0, 1, Variable, U32, Ro, Event, Live, any(), Drive(Item::DigitalInputs, Num), "Digital inputs", "bit 0 negative limit, 1 positive limit, 2 home switch"),
    row(0x60FF, 0, 1, Variable, I32, Rw, Rx, Value(0), any(), Drive(Item::TargetVelocity, Velocity), "Target velocity", ""),
    row(0x6502, 0, 1, Variable, U32, Ro, No, Live, any(), Drive(Item::SupportedModes, Num), "Supported drive modes", ""),
    row(0x67FF, 0, 1, Variable, U32, Const, No, Value(SERVO), any(), Fixed, "Single device type", ""),
];

impl Item {
    /// Its index and sub-index, of the first axis.
    #[must_use]
    pub fn object(self) -> (u16, u8) {
        let is_its = |object: &&Object| match object.source {
            Drive(item, _) => item == self,
            Node(own) => own == InterpolationValue && self == Self::InterpolationPeriod,
            _ => false,
        };
        let object = OBJECTS.iter().find(is_its);
        object.map_or((0, 0), |object| (object.index, object.sub))
    }
}

/// An entry of the dictionary.
#[derive(Copy, Clone, Debug)]
pub(super) struct Found {
    /// Its row.
    pub(super) object: &'static Object,
    /// Sub-index.
    pub(super) sub: u8,
    /// Axis, from 0.
    pub(super) axis: u8,
    /// PDO, from 0: 4 for each axis.
    pub(super) pdo: u8,
}

/// Number of objects with the index of a row: axes, PDOs or one.
pub(super) const fn instances(index: u16, axes: u8) -> u8 {
    match index {
        0x1400..=0x1BFF => axes * PDOS as u8,
        0x6000.. => axes,
        _ => 1,
    }
}

/// The index of instance `number` of the object at `index`.
pub(super) const fn index_of(index: u16, number: u8) -> u16 {
    let number = number as u16;
    match index {
        0x1400..=0x1BFF => index + 64 * (number / PDOS as u16) + number % PDOS as u16,
        0x6000.. => index + 0x800 * number,
        _ => index,
    }
}

/// The entry at `index` and `sub`: PDO n of axis a is number 64 a + n, and the objects of axis a
/// are at +800h a (CiA 402-3).
///
/// # Errors
/// [`Abort::NO_OBJECT`] or [`Abort::NO_SUB`].
pub(super) fn find(index: u16, sub: u8, axes: u8) -> Result<Found, Abort> {
    let (first, axis, pdo) = match index {
        0x1400..=0x1BFF => {
            let number = index & 0x1FF;
            let (axis, pdo) = (number / 64, number % 64);
            if pdo >= PDOS as u16 {
                return Err(Abort::NO_OBJECT);
            }
            (index & !0x1FF, axis, pdo + axis * PDOS as u16)
        }
        0x6000..=0x9FFF => {
            let offset = index - 0x6000;
            (0x6000 + offset % 0x800, offset / 0x800, 0)
        }
        _ => (index, 0, 0),
    };
    if axis >= u16::from(axes) {
        return Err(Abort::NO_OBJECT);
    }
    let start = OBJECTS.partition_point(|object| object.index < first);
    let mut error = Abort::NO_OBJECT;
    for object in OBJECTS.iter().skip(start) {
        if object.index != first {
            break;
        }
        error = Abort::NO_SUB;
        if sub.wrapping_sub(object.sub) < object.subs {
            return Ok(Found {
                object,
                sub,
                axis: axis as u8,
                pdo: pdo as u8,
            });
        }
    }
    Err(error)
}
