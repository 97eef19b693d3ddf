//! The EDS (CiA 306-1), generated from the table while it is read.
//!
//! The text is a sequence of pieces, each a section or a line. A [`Cursor`] is a place in it: it
//! costs 10 bytes, and reading on generates one piece, so no buffer for the whole text is needed.

use super::object::{Access, Mapping, Object, Own, Part, Preset, Source, Type};
use super::pdo::{Direction, Preset as PdoPreset};
use super::table::{OBJECTS, PDOS, index_of, instances};
use core::fmt::{self, Write as _};

/// Longer than any piece.
const PIECE: usize = 320;

type Text = heapless::String<PIECE>;

/// The pieces before the list of optional objects.
const HEADS: [&str; 5] = [
    "[FileInfo]\nFileName=steadfast.eds\nFileVersion=1\nFileRevision=0\nEDSVersion=4.0\n\
     Description=steadfast: CiA 402 drive\nCreationTime=00:00AM\nCreationDate=01-01-2026\n\
     CreatedBy=steadfast\nModificationTime=00:00AM\nModificationDate=01-01-2026\n\
     ModifiedBy=steadfast\n\n",
    "[DeviceInfo]\nVendorName=steadfast\nVendorNumber=0x0\nProductName=steadfast\n\
     ProductNumber=0x5D\nRevisionNumber=0x10000\nOrderCode=\nBaudRate_10=1\nBaudRate_20=1\n\
     BaudRate_50=1\nBaudRate_125=1\nBaudRate_250=1\nBaudRate_500=1\nBaudRate_800=1\n\
     BaudRate_1000=1\nSimpleBootUpMaster=0\nSimpleBootUpSlave=1\n",
    "Granularity=8\nDynamicChannelsSupported=0\nGroupMessaging=0\nLSS_Supported=1\n",
    "[DummyUsage]\nDummy0001=0\nDummy0002=1\nDummy0003=1\nDummy0004=1\nDummy0005=1\n\
     Dummy0006=1\nDummy0007=1\n\n",
    "[MandatoryObjects]\nSupportedObjects=3\n1=0x1000\n2=0x1001\n3=0x1018\n\n\
     [ManufacturerObjects]\nSupportedObjects=1\n1=0x2001\n\n",
];
/// After this head come the values that depend on the number of axes.
const DEVICE: u8 = 2;

/// The list of optional objects.
const LIST: u8 = HEADS.len() as u8;
/// The sections of the objects.
const SECTIONS: u8 = LIST + 1;
/// Nothing more.
const END: u8 = LIST + 2;

/// A place in the text.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Number of the head, [`LIST`], [`SECTIONS`] or [`END`].
    part: u8,
    row: u8,
    instance: u8,
    /// Sub-index; before the section of an object as a whole: `None`.
    sub: Option<u8>,
    /// Number of the line in the list; 0 is its head.
    number: u16,
    /// Bytes of the piece that were read.
    offset: u16,
}

impl Cursor {
    /// The beginning.
    pub(super) const START: Self = Self {
        part: 0,
        row: 0,
        instance: 0,
        sub: None,
        number: 0,
        offset: 0,
    };

    /// Copies the text from here on into `to`, and returns the number of bytes: less than its
    /// length only at the end of the text.
    pub(super) fn read(&mut self, axes: u8, to: &mut [u8]) -> usize {
        let mut done = 0;
        while done < to.len() && self.part != END {
            let mut text = Text::new();
            let written = self.write(axes, &mut text);
            // A piece that does not fit is cut; the tests generate each piece.
            debug_assert!(written.is_ok(), "{self:?}");
            let rest = text.as_bytes().get(usize::from(self.offset)..);
            let rest = rest.unwrap_or(&[]);
            let free = &mut to[done..];
            let copied = rest.len().min(free.len());
            free[..copied].copy_from_slice(&rest[..copied]);
            done += copied;
            if copied == rest.len() {
                self.advance(axes);
            } else {
                self.offset += copied as u16;
            }
        }
        done
    }

    fn object(&self) -> Option<&'static Object> {
        OBJECTS.get(usize::from(self.row))
    }

    /// Moves to the next piece.
    fn advance(&mut self, axes: u8) {
        self.offset = 0;
        match self.part {
            LIST => {
                let Some(object) = self.object() else {
                    *self = Self::in_sections();
                    return;
                };
                // The first line follows the head of the list.
                if self.number > 0 && self.instance + 1 < instances(object.index, axes) {
                    self.instance += 1;
                } else {
                    let after = if self.number == 0 { 0 } else { self.row + 1 };
                    self.instance = 0;
                    self.row = optional_row(after);
                }
                self.number += 1;
                if self.object().is_none() {
                    *self = Self::in_sections();
                }
            }
            SECTIONS => self.advance_section(axes),
            END => {}
            _ => self.part += 1,
        }
    }

    fn in_sections() -> Self {
        Self {
            part: SECTIONS,
            ..Self::START
        }
    }

    fn advance_section(&mut self, axes: u8) {
        let Some(object) = self.object() else {
            self.part = END;
            return;
        };
        match self.sub {
            None if object.part != Part::Variable => self.sub = Some(object.sub),
            Some(sub) if sub + 1 < object.sub + object.subs => self.sub = Some(sub + 1),
            _ => {
                let index = object.index;
                self.row += 1;
                let next = self.object();
                if let Some(next) = next.filter(|next| next.index == index) {
                    self.sub = Some(next.sub);
                    return;
                }
                self.sub = None;
                if self.instance + 1 < instances(index, axes) {
                    self.instance += 1;
                    self.row = first_row(index);
                } else {
                    self.instance = 0;
                    if next.is_none() {
                        self.part = END;
                    }
                }
            }
        }
    }

    /// Writes the piece.
    fn write(&self, axes: u8, text: &mut Text) -> fmt::Result {
        if let Some(head) = HEADS.get(usize::from(self.part)) {
            text.write_str(head)?;
            if self.part == DEVICE {
                let pdos = u16::from(axes) * PDOS as u16;
                write!(text, "NrOfRXPDO={pdos}\nNrOfTXPDO={pdos}\n\n")?;
            }
            return Ok(());
        }
        let Some(object) = self.object() else {
            return Ok(());
        };
        let index = index_of(object.index, self.instance);
        if self.part == LIST {
            if self.number == 0 {
                let count = count_optional(axes);
                return write!(text, "[OptionalObjects]\nSupportedObjects={count}\n");
            }
            return writeln!(text, "{}=0x{index:04X}", self.number);
        }
        match (self.sub, object.part) {
            (None, Part::Variable) => {
                let domain = object.kind == Type::Domain;
                let kind = if domain { 2 } else { 7 };
                write!(text, "\n[{index:04X}]\nParameterName={}\n", object.name)?;
                writeln!(text, "ObjectType=0x{kind}")?;
                self.write_value(object, 0, text)
            }
            (None, part) => {
                let kind = if part == Part::Array { 8 } else { 9 };
                let subs = subs_of(object.index);
                write!(text, "\n[{index:04X}]\nParameterName={}\n", object.name)?;
                write!(text, "ObjectType=0x{kind}\nSubNumber={subs}\n")
            }
            (Some(sub), _) => {
                write!(text, "\n[{index:04X}sub{sub:X}]\nParameterName=")?;
                if sub == 0 {
                    text.write_str("Highest sub-index supported")?;
                } else {
                    text.write_str(object.name)?;
                    if object.subs > 1 {
                        write!(text, " {sub}")?;
                    }
                }
                text.write_str("\nObjectType=0x7\n")?;
                self.write_value(object, sub, text)
            }
        }
    }

    /// Data type, access, default, limits and mapping.
    fn write_value(&self, object: &Object, sub: u8, text: &mut Text) -> fmt::Result {
        let access = match (object.access, object.mapping) {
            (Access::Const, _) => "const",
            (Access::Ro, _) => "ro",
            (Access::Rw, Mapping::Rx) => "rww",
            (Access::Rw, _) => "rw",
        };
        let kind = object.kind as u8;
        write!(text, "DataType=0x{kind:04X}\nAccessType={access}\n")?;
        if let Source::Text(value) = object.source {
            writeln!(text, "DefaultValue={value}")?;
        }
        let (node_id, value) = match object.preset {
            Preset::Live => (false, None),
            Preset::Value(value) => (false, Some(value)),
            Preset::NodeId(value) => (true, Some(value)),
            Preset::Pdo => self.pdo_preset(object, sub),
        };
        if let Some(value) = value {
            text.write_str("DefaultValue=")?;
            if node_id {
                text.write_str("$NODEID+")?;
            }
            match object.kind.value(value) {
                negative @ ..0 => writeln!(text, "{negative}")?,
                positive => writeln!(text, "0x{positive:X}")?,
            }
        }
        if let Some((low, high)) = object.range {
            write!(text, "LowLimit={low}\nHighLimit={high}\n")?;
        }
        let mapping = u8::from(object.mapping != Mapping::No);
        writeln!(text, "PDOMapping={mapping}")
    }

    /// Whether the node id is added, and the default, of a parameter of a PDO.
    fn pdo_preset(&self, object: &Object, sub: u8) -> (bool, Option<u32>) {
        let direction = if object.index & 0x0800 != 0 {
            Direction::Transmit
        } else {
            Direction::Receive
        };
        let preset = PdoPreset::of(direction, self.instance);
        match object.source {
            Source::Node(Own::PdoId) => (preset.needs_node_id(), Some(preset.id)),
            Source::Node(Own::PdoType) => (false, Some(u32::from(preset.kind))),
            Source::Node(Own::PdoEvent) => (false, Some(u32::from(preset.event))),
            Source::Node(Own::MapCount) => (false, Some(u32::from(preset.count()))),
            _ => {
                let entry = preset.map.get(usize::from(sub.wrapping_sub(1)));
                (false, Some(entry.copied().unwrap_or(0)))
            }
        }
    }
}

/// Whether an object is in the list of optional objects.
const fn is_optional(object: &Object) -> bool {
    object.sub == 0 && !matches!(object.index, 0x1000 | 0x1001 | 0x1018 | 0x2000..=0x5FFF)
}

/// The first optional object from `row` on; the number of rows if there is none.
fn optional_row(row: u8) -> u8 {
    let mut rows = OBJECTS.iter().skip(usize::from(row));
    let found = rows.position(is_optional);
    found.map_or(OBJECTS.len() as u8, |further| row + further as u8)
}

fn count_optional(axes: u8) -> u16 {
    let optional = OBJECTS.iter().filter(|object| is_optional(object));
    optional
        .map(|object| u16::from(instances(object.index, axes)))
        .sum()
}

fn first_row(index: u16) -> u8 {
    OBJECTS.partition_point(|object| object.index < index) as u8
}

/// Number of sub-indices of an array or record.
fn subs_of(index: u16) -> u8 {
    let rows = OBJECTS.iter().filter(|object| object.index == index);
    rows.map(|object| object.subs).sum()
}
