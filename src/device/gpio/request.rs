//! Builds one kernel request from the lines of a board file.

use super::{GpioError, LineRequest, Name, flag};
use crate::cycle::image::MAX_DIGITAL;
use crate::sys::gpio::{LineAttribute, LineConfigAttribute, MAX_ATTRIBUTES};
use crate::sys::sort::sort_by_key;

/// The consumer label of our lines, which the kernel shows to other processes.
pub const CONSUMER: Name = Name::new("steadfast");

/// Size of the kernel's event buffer for a request with latched inputs: the largest it
/// allows (`GPIO_V2_LINES_MAX * 16` in gpiolib-cdev.c).
const EVENT_BUFFER_SIZE: u32 = 1_024;

/// The pull of a line.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// Unchanged from the device tree or the boot loader.
    #[default]
    AsIs,
    /// No pull.
    Disabled,
    /// Pull-up.
    PullUp,
    /// Pull-down.
    PullDown,
}

/// A digital input.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct InputLine {
    /// Its bit in the process image, 0 to 31.
    pub channel: u8,
    /// Its number on the chip, from 0.
    pub offset: u32,
    /// Active means physically low.
    pub active_low: bool,
    /// Its pull.
    pub bias: Bias,
    /// Latch edges, so that pulses shorter than a period are not missed.
    pub latch: bool,
}

/// A digital output.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputLine {
    /// Its bit in the process image, 0 to 31.
    pub channel: u8,
    /// Its number on the chip, from 0.
    pub offset: u32,
    /// Active means physically low.
    pub active_low: bool,
    /// Its safe value, logical.
    pub safe: bool,
}

/// An input or output in the terms of the kernel.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) channel: u8,
    pub(super) offset: u32,
    flags: u64,
    initial: bool,
}

const fn bias_flags(bias: Bias) -> u64 {
    match bias {
        Bias::AsIs => 0,
        Bias::Disabled => flag::BIAS_DISABLED,
        Bias::PullUp => flag::BIAS_PULL_UP,
        Bias::PullDown => flag::BIAS_PULL_DOWN,
    }
}

const fn when(condition: bool, flags: u64) -> u64 {
    if condition { flags } else { 0 }
}

impl From<&InputLine> for Line {
    fn from(line: &InputLine) -> Self {
        Self {
            channel: line.channel,
            offset: line.offset,
            flags: flag::INPUT
                | when(line.active_low, flag::ACTIVE_LOW)
                | bias_flags(line.bias)
                | when(line.latch, flag::EDGE_RISING | flag::EDGE_FALLING),
            initial: false,
        }
    }
}

impl From<&OutputLine> for Line {
    fn from(line: &OutputLine) -> Self {
        Self {
            channel: line.channel,
            offset: line.offset,
            flags: flag::OUTPUT | when(line.active_low, flag::ACTIVE_LOW),
            initial: line.safe,
        }
    }
}

impl Line {
    /// Whether it is active when its level is low.
    pub(super) const fn is_active_low(&self) -> bool {
        self.flags & flag::ACTIVE_LOW != 0
    }

    /// Whether its edges are reported.
    pub(super) const fn is_latched(&self) -> bool {
        self.flags & flag::EDGE_RISING != 0
    }
}

/// `lines` in the order of their channels.
///
/// # Errors
/// No lines; a channel out of range; a channel or a line used twice.
pub(super) fn in_channel_order(mut lines: Vec<Line>) -> Result<Vec<Line>, GpioError> {
    sort_by_key(&mut lines, |line| line.channel);
    let last = lines.last().ok_or(GpioError::NoLines)?.channel;
    if usize::from(last) >= MAX_DIGITAL {
        return Err(GpioError::ChannelOutOfRange { channel: last });
    }
    for (i, line) in lines.iter().enumerate() {
        for other in &lines[..i] {
            if other.channel == line.channel {
                let channel = line.channel;
                return Err(GpioError::DuplicateChannel { channel });
            }
            if other.offset == line.offset {
                let offset = line.offset;
                return Err(GpioError::DuplicateLine { offset });
            }
        }
    }
    Ok(lines)
}

/// Checks, without a chip, that `inputs` of one chip can be requested together.
///
/// # Errors
/// [`GpioError::TooManyKinds`], [`GpioError::ChannelOutOfRange`],
/// [`GpioError::DuplicateChannel`], [`GpioError::DuplicateLine`].
pub fn check_inputs(inputs: &[InputLine]) -> Result<(), GpioError> {
    if inputs.is_empty() {
        return Ok(());
    }
    in_channel_order(inputs.iter().map(Line::from).collect()).and_then(|lines| build(&lines))?;
    Ok(())
}

/// The request for `lines`, in their order; outputs start at their initial values.
///
/// The flags of the first line are the default. Each other combination of flags takes one
/// of the request's 10 attributes, as do the output values.
///
/// # Errors
/// [`GpioError::TooManyKinds`].
pub(super) fn build(lines: &[Line]) -> Result<LineRequest, GpioError> {
    let mut request = LineRequest {
        consumer: CONSUMER,
        line_count: lines.len() as u32,
        ..LineRequest::default()
    };
    for (offset, line) in request.offsets.iter_mut().zip(lines) {
        *offset = line.offset;
    }
    if lines.iter().any(Line::is_latched) {
        request.event_buffer_size = EVENT_BUFFER_SIZE;
    }
    let default = lines.first().ok_or(GpioError::NoLines)?.flags;
    request.config.flags = default;
    let mut attributes = Vec::new();
    if default & flag::OUTPUT != 0 {
        attributes.push(LineConfigAttribute {
            attribute: LineAttribute::output_values(mask_of(lines, |line| line.initial)),
            mask: mask_of(lines, |_| true),
        });
    }
    for flags in distinct(lines, |line| line.flags, default) {
        attributes.push(LineConfigAttribute {
            attribute: LineAttribute::flags(flags),
            mask: mask_of(lines, |line| line.flags == flags),
        });
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(GpioError::TooManyKinds);
    }
    request.config.attributes[..attributes.len()].copy_from_slice(&attributes);
    request.config.attribute_count = attributes.len() as u32;
    Ok(request)
}

/// The mask of the lines for which `is` holds.
pub(super) fn mask_of(lines: &[Line], is: impl Fn(&Line) -> bool) -> u64 {
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is(line))
        .fold(0, |mask, (i, _)| mask | 1 << i)
}

/// The distinct values of `of` over `lines`, without `default`.
fn distinct<T: PartialEq>(lines: &[Line], of: impl Fn(&Line) -> T, default: T) -> Vec<T> {
    let mut found = Vec::new();
    for value in lines.iter().map(of) {
        if value != default && !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
