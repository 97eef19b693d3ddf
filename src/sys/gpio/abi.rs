//! The structures of `linux/gpio.h`. Compile-time assertions check that their layout is that of
//! the kernel.

use core::fmt;
use core::mem::offset_of;

/// `GPIO_V2_LINES_MAX`: most lines of one request.
pub const MAX_LINES: usize = 64;
/// `GPIO_V2_LINE_NUM_ATTRS_MAX`: most attributes of one request.
pub const MAX_ATTRIBUTES: usize = 10;

/// Bits of [`LineInfo::flags`] and [`LineConfig::flags`]
/// (`enum gpio_v2_line_flag`).
pub mod flag {
    /// The line has a user.
    pub const USED: u64 = 1 << 0;
    /// Active means physically low.
    pub const ACTIVE_LOW: u64 = 1 << 1;
    /// Input.
    pub const INPUT: u64 = 1 << 2;
    /// Output.
    pub const OUTPUT: u64 = 1 << 3;
    /// Report edges to active.
    pub const EDGE_RISING: u64 = 1 << 4;
    /// Report edges to inactive.
    pub const EDGE_FALLING: u64 = 1 << 5;
    /// Pull-up on.
    pub const BIAS_PULL_UP: u64 = 1 << 8;
    /// Pull-down on.
    pub const BIAS_PULL_DOWN: u64 = 1 << 9;
    /// No pull.
    pub const BIAS_DISABLED: u64 = 1 << 10;
}

/// A name in the kernel's format: at most 31 bytes, padded with zeros (`GPIO_MAX_NAME_SIZE` is
/// 32).
#[repr(transparent)]
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
pub struct Name([u8; 32]);

impl Name {
    /// The first 31 bytes of `text`.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        let mut bytes = [0; 32];
        let mut i = 0;
        while i < text.len() && i < bytes.len() - 1 {
            bytes[i] = text.as_bytes()[i];
            i += 1;
        }
        Self(bytes)
    }

    /// The name in a field of 32 bytes from the kernel.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name without its padding; empty if it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let used = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(used).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `struct gpiochip_info`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ChipInfo {
    /// The kernel's name, `gpiochip0`.
    pub name: Name,
    /// The driver's label, such as `30200000.gpio`; may be empty.
    pub label: Name,
    /// Number of lines.
    pub lines: u32,
}

/// `struct gpio_v2_line_values`. Bit n belongs to the n-th requested line;
/// values are logical, 1 for active.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LineValues {
    /// The values.
    pub bits: u64,
    /// The lines that are read or set.
    pub mask: u64,
}

/// `struct gpio_v2_line_attribute`. Its union is stored as the widest member.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LineAttribute {
    id: u32,
    padding: u32,
    value: u64,
}

impl LineAttribute {
    /// `GPIO_V2_LINE_ATTR_ID_FLAGS`: these flags in place of the default ones.
    #[must_use]
    pub const fn flags(flags: u64) -> Self {
        Self {
            id: 1,
            padding: 0,
            value: flags,
        }
    }

    /// `GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES`: initial logical values, bit n for the n-th
    /// requested line.
    #[must_use]
    pub const fn output_values(values: u64) -> Self {
        Self {
            id: 2,
            padding: 0,
            value: values,
        }
    }
}

/// `struct gpio_v2_line_config_attribute`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LineConfigAttribute {
    /// The attribute.
    pub attribute: LineAttribute,
    /// The lines that it applies to, bit n for the n-th requested line.
    pub mask: u64,
}

/// `struct gpio_v2_line_config`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LineConfig {
    /// Flags of every line without an attribute for flags.
    pub flags: u64,
    /// How many of `attributes` are used.
    pub attribute_count: u32,
    /// Reserved, zero.
    pub padding: [u32; 5],
    /// Deviations from the default. If several set the same for a line, the first applies.
    pub attributes: [LineConfigAttribute; MAX_ATTRIBUTES],
}

/// `struct gpio_v2_line_request`.
#[repr(C)]
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LineRequest {
    /// The numbers of the lines on the chip, in the order of the bits in [`LineValues`].
    pub offsets: [u32; MAX_LINES],
    /// The name of the consumer, which is shown to others who request the lines.
    pub consumer: Name,
    /// Their configuration.
    pub config: LineConfig,
    /// How many of `offsets` are used.
    pub line_count: u32,
    /// How many edge events the kernel buffers: 0 means 16 for each line; at most 1,024.
    pub event_buffer_size: u32,
    /// Reserved, zero.
    pub padding: [u32; 5],
    /// The descriptor, set by the kernel; see [`request_lines`](super::request_lines).
    pub fd: i32,
}

impl Default for LineRequest {
    fn default() -> Self {
        Self {
            offsets: [0; MAX_LINES],
            consumer: Name::default(),
            config: LineConfig::default(),
            line_count: 0,
            event_buffer_size: 0,
            padding: [0; 5],
            fd: 0,
        }
    }
}

/// `struct gpio_v2_line_info`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LineInfo {
    /// The line's name from the device tree (`gpio-line-names`); may be empty.
    pub name: Name,
    /// The name of its consumer; may be empty although the line is in use.
    pub consumer: Name,
    /// The line's number on its chip.
    pub offset: u32,
    /// How many of `attributes` are used.
    pub attribute_count: u32,
    /// Its configuration: bits of [`flag`].
    pub flags: u64,
    /// The part of its configuration that flags cannot express.
    pub attributes: [LineAttribute; MAX_ATTRIBUTES],
    /// Reserved, zero.
    pub padding: [u32; 4],
}

/// `struct gpio_v2_line_event`: one edge.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct LineEvent {
    /// The time of the edge on `CLOCK_MONOTONIC`, ns.
    pub timestamp_ns: u64,
    /// [`LineEvent::RISING`] or [`LineEvent::FALLING`], in logical levels.
    pub id: u32,
    /// The line's number on its chip.
    pub offset: u32,
    /// Number of the event in its request, from 1. A gap means that events were lost.
    pub seqno: u32,
    /// Number of the event on its line, from 1.
    pub line_seqno: u32,
    /// Reserved, zero.
    pub padding: [u32; 6],
}

impl LineEvent {
    /// `GPIO_V2_LINE_EVENT_RISING_EDGE`: became active.
    pub const RISING: u32 = 1;
    /// `GPIO_V2_LINE_EVENT_FALLING_EDGE`: became inactive.
    pub const FALLING: u32 = 2;
}

const _: () = {
    assert!(size_of::<ChipInfo>() == 68);
    assert!(offset_of!(ChipInfo, lines) == 64);
    assert!(size_of::<LineValues>() == 16);
    assert!(size_of::<LineAttribute>() == 16);
    assert!(size_of::<LineConfigAttribute>() == 24);
    assert!(size_of::<LineConfig>() == 272);
    assert!(offset_of!(LineConfig, attributes) == 32);
    assert!(size_of::<LineRequest>() == 592);
    assert!(offset_of!(LineRequest, consumer) == 256);
    assert!(offset_of!(LineRequest, config) == 288);
    assert!(offset_of!(LineRequest, line_count) == 560);
    assert!(offset_of!(LineRequest, fd) == 588);
    assert!(size_of::<LineInfo>() == 256);
    assert!(offset_of!(LineInfo, flags) == 72);
    assert!(offset_of!(LineInfo, attributes) == 80);
    assert!(size_of::<LineEvent>() == 48);
    assert!(offset_of!(LineEvent, padding) == 24);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_its_first_nul_byte_and_the_last_byte_stays_nul() {
        assert_eq!(Name::new("enable").as_str(), "enable");
        assert_eq!(Name::new(&"x".repeat(40)).as_str().len(), 31);
        assert_eq!(Name::default().as_str(), "");
    }
}
