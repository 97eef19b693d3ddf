//! All inputs and all outputs of one chip, each as one request.

use super::map::ChannelMap;
use super::request::{self, Line};
use super::{
    Chip, EdgeLatch, EdgeReader, GpioError, InputLine, Levels, LineValues, Lines, OutputLine,
    SetClear, flag,
};
use crate::cycle::image::DigitalInputs;
use crate::sys::{Errno, emergency};
use std::os::fd::AsFd;
use std::sync::Arc;

/// All inputs of one chip: one request, read by one ioctl or by registers.
#[derive(Debug)]
pub struct InputLines<L> {
    lines: L,
    /// `None`: read through the kernel.
    levels: Option<Levels>,
    map: ChannelMap,
    line_mask: u64,
    /// Channels whose edges come from the latch.
    latched: u32,
    latch: Arc<EdgeLatch>,
    /// The levels of the last reading.
    previous: Option<u32>,
}

/// Inputs, and the reader of their edges if some are latched.
pub type RequestedInputs<L> = (InputLines<L>, Option<EdgeReader<<L as Lines>::Events>>);

impl<L: Lines> InputLines<L> {
    /// Requests `inputs` from `chip`. Allocates: for start-up only.
    ///
    /// If some inputs are latched, run the second result in a thread of its own
    /// ([`EdgeReader::run`]). If it is dropped, these inputs are read as if they were not
    /// latched.
    ///
    /// # Errors
    /// [`GpioError`].
    pub fn request<C: Chip<Lines = L>>(
        chip: &C,
        inputs: &[InputLine],
    ) -> Result<RequestedInputs<L>, GpioError> {
        let (ordered, lines, map) = take(chip, inputs.iter().map(Line::from).collect())?;
        let line_mask = map.line_mask();
        let latched = map.image_of(request::mask_of(&ordered, Line::is_latched));
        let latch = Arc::new(EdgeLatch::default());
        let reader = if latched == 0 {
            None
        } else {
            let events = lines.events().map_err(GpioError::Request)?;
            let levels = map.image_of(lines.get(line_mask).map_err(GpioError::Get)?);
            let latched_lines = ordered
                .iter()
                .filter(|line| line.is_latched())
                .map(|line| (line.channel, line.offset));
            Some(EdgeReader::new(
                events,
                Arc::clone(&latch),
                latched_lines,
                levels,
            ))
        };
        let this = Self {
            lines,
            levels: None,
            map,
            line_mask,
            latched,
            latch,
            previous: None,
        };
        Ok((this, reader))
    }

    /// Reads the levels by registers from now on. They are compared with those of the kernel
    /// once, which finds registers of another chip if any line differs.
    ///
    /// # Errors
    /// [`GpioError::OtherLevels`], [`GpioError::Get`].
    pub fn by_registers(&mut self, levels: Levels) -> Result<(), GpioError> {
        same_levels(&self.lines, self.line_mask, &levels)?;
        self.levels = Some(levels);
        Ok(())
    }

    /// Reads all inputs: one ioctl, or one read of a register; no allocation. Channels of other chips are 0, so the
    /// readings of several chips can be combined with `|`.
    ///
    /// The edges of a latched input come from the latch only, each once, possibly one
    /// cycle later than the level. The edges of other inputs are the difference to the last
    /// reading. The first reading has no edges.
    ///
    /// # Errors
    /// [`GpioError::Get`]; the edges then stay for the next reading.
    pub fn read(&mut self) -> Result<DigitalInputs, GpioError> {
        let bits = match &self.levels {
            Some(levels) => levels.read(),
            None => self.lines.get(self.line_mask).map_err(GpioError::Get)?,
        };
        let levels = self.map.image_of(bits);
        let latched_edges = self.latch.take();
        let Some(previous) = self.previous.replace(levels) else {
            return Ok(DigitalInputs {
                levels,
                ..DigitalInputs::default()
            });
        };
        let by_level = if self.latch.is_abandoned() {
            u32::MAX
        } else {
            !self.latched
        };
        Ok(DigitalInputs {
            levels,
            rose: (levels & !previous & by_level) | latched_edges.rose,
            fell: (previous & !levels & by_level) | latched_edges.fell,
        })
    }

    /// The channels of these inputs, one bit each.
    pub fn channels(&self) -> u32 {
        self.map.image_mask()
    }

    /// The latched channels; 0 after their reader has been dropped.
    pub fn latched(&self) -> u32 {
        if self.latch.is_abandoned() {
            0
        } else {
            self.latched
        }
    }
}

/// Compares the levels of the lines in `mask` by the registers with those of the kernel.
fn same_levels<L: Lines>(lines: &L, mask: u64, levels: &Levels) -> Result<(), GpioError> {
    let kernel = || lines.get(mask).map_err(GpioError::Get);
    let before = kernel()?;
    let found = levels.read();
    // A line that changed meanwhile tells nothing.
    let steady = !(before ^ kernel()?);
    if (found ^ before) & steady & mask != 0 {
        return Err(GpioError::OtherLevels);
    }
    Ok(())
}

/// All outputs of one chip: one request, set by one ioctl or by registers.
#[derive(Debug)]
pub struct OutputLines<L> {
    lines: L,
    /// `None`: set through the kernel. In the heap: few chips have them, and the start moves this
    /// value, for as many chips as there can be, through the stack, which is locked.
    registers: Option<Box<SetClear>>,
    map: ChannelMap,
    safe: LineValues,
}

impl<L: Lines> OutputLines<L> {
    /// Requests `outputs` from `chip` at their safe values. Allocates: for start-up only.
    ///
    /// # Errors
    /// [`GpioError`].
    pub fn request<C: Chip<Lines = L>>(
        chip: &C,
        outputs: &[OutputLine],
    ) -> Result<Self, GpioError> {
        let (_, lines, map) = take(chip, outputs.iter().map(Line::from).collect())?;
        let safe_channels = outputs
            .iter()
            .filter(|line| line.safe)
            .fold(0, |image, line| image | 1 << line.channel);
        let safe = LineValues {
            bits: map.lines_of(safe_channels),
            mask: map.line_mask(),
        };
        Ok(Self {
            lines,
            registers: None,
            map,
            safe,
        })
    }

    /// Drives the outputs by registers from now on. Allocates. The registers must show the lines as outputs, at
    /// the levels that the kernel reads.
    ///
    /// # Errors
    /// [`GpioError::NotAnOutput`], [`GpioError::OtherLevels`], [`GpioError::Get`].
    pub fn by_registers(&mut self, registers: SetClear) -> Result<(), GpioError> {
        if let Some(offset) = registers.not_an_output() {
            return Err(GpioError::NotAnOutput { offset });
        }
        same_levels(&self.lines, self.safe.mask, registers.levels())?;
        registers.touch();
        self.registers = Some(Box::new(registers));
        Ok(())
    }

    /// Sets all outputs to their channels in `image`: one ioctl or a few register accesses, no
    /// allocation. Other channels are ignored.
    ///
    /// # Errors
    /// [`GpioError::Set`]; by registers with `ECANCELED` when the safe plan has been taken.
    #[inline]
    pub fn write(&mut self, image: u32) -> Result<(), GpioError> {
        match &self.registers {
            Some(registers) => registers.write(self.map.lines_of(image)),
            None => self.write_by_kernel(image),
        }
    }

    /// As [`OutputLines::write`], always by the kernel, which reports a failure. It is the path of
    /// safe values, also after the safe plan has been taken.
    ///
    /// # Errors
    /// [`GpioError::Set`].
    #[inline]
    pub fn write_by_kernel(&mut self, image: u32) -> Result<(), GpioError> {
        let values = LineValues {
            bits: self.map.lines_of(image),
            mask: self.safe.mask,
        };
        self.lines.set(values).map_err(GpioError::Set)
    }

    /// The channels of these outputs, one bit each.
    pub fn channels(&self) -> u32 {
        self.map.image_mask()
    }
}

impl<L: AsFd> OutputLines<L> {
    /// Registers the safe values of the outputs in `channels` with the safe plan; `None`
    /// if this chip has none of them. Drop the result before these lines are released.
    ///
    /// # Errors
    /// `EBUSY` if the safe plan is full, see [`emergency::CAPACITY`].
    pub fn register_emergency(&self, channels: u32) -> Result<Option<emergency::Slot>, Errno> {
        let mask = self.map.lines_of(channels) & self.safe.mask;
        if mask == 0 {
            return Ok(None);
        }
        let bits = self.safe.bits & mask;
        emergency::register_line_values(self.lines.as_fd(), bits, mask).map(Some)
    }
}

/// Requests `lines` from `chip` as one request.
fn take<C: Chip>(
    chip: &C,
    lines: Vec<Line>,
) -> Result<(Vec<Line>, C::Lines, ChannelMap), GpioError> {
    let lines = request::in_channel_order(lines)?;
    let request = request::build(&lines)?;
    let channels: Vec<u8> = lines.iter().map(|line| line.channel).collect();
    match chip.request(&request) {
        Ok(requested) => Ok((lines, requested, ChannelMap::new(&channels))),
        Err(errno) => Err(why_refused(chip, &lines, errno)),
    }
}

/// The reason for which the kernel refused a request for `lines` with `errno`.
fn why_refused(chip: &impl Chip, lines: &[Line], errno: Errno) -> GpioError {
    let used = |line: &Line| {
        let info = chip.line_info(line.offset).ok()?;
        (info.flags & flag::USED != 0).then_some(GpioError::Busy {
            offset: line.offset,
            consumer: info.consumer,
        })
    };
    match errno.0 {
        libc::EBUSY => lines.iter().find_map(used),
        libc::ENXIO if lines.iter().any(Line::is_latched) => Some(GpioError::NoInterrupt),
        _ => None,
    }
    .unwrap_or(GpioError::Request(errno))
}
