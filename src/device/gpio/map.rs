//! Converts between channels of the process image and lines of a request.

use crate::cycle::image::MAX_DIGITAL;

/// The channel of each line of a request; lines are in the order of their channels.
#[derive(Copy, Clone, Debug)]
pub(super) enum ChannelMap {
    /// The channels follow each other from `first`.
    Contiguous {
        /// Channel of the first line.
        first: u32,
        /// One bit for each line, from bit 0.
        lines: u32,
    },
    /// There are gaps between them.
    Scattered {
        /// Channel of each line.
        channels: [u8; MAX_DIGITAL],
        /// Number of lines.
        count: usize,
    },
}

impl ChannelMap {
    /// The map for lines on `channels`: ascending, each below 32, at least one.
    pub(super) fn new(channels: &[u8]) -> Self {
        let first = channels[0];
        let count = channels.len();
        if usize::from(channels[count - 1] - first) == count - 1 {
            return Self::Contiguous {
                first: u32::from(first),
                lines: u32::MAX >> (MAX_DIGITAL - count),
            };
        }
        let mut all = [0; MAX_DIGITAL];
        all[..count].copy_from_slice(channels);
        Self::Scattered {
            channels: all,
            count,
        }
    }

    /// Line values as channels of the process image.
    #[inline]
    pub(super) fn image_of(&self, bits: u64) -> u32 {
        match self {
            Self::Contiguous { first, lines } => (bits as u32 & lines) << first,
            Self::Scattered { channels, count } => channels[..*count]
                .iter()
                .enumerate()
                .fold(0, |image, (line, channel)| {
                    image | (((bits >> line) as u32 & 1) << channel)
                }),
        }
    }

    /// Channels of the process image as line values.
    #[inline]
    pub(super) fn lines_of(&self, image: u32) -> u64 {
        match self {
            Self::Contiguous { first, lines } => u64::from((image >> first) & lines),
            Self::Scattered { channels, count } => channels[..*count]
                .iter()
                .enumerate()
                .fold(0, |bits, (line, channel)| {
                    bits | (u64::from((image >> channel) & 1) << line)
                }),
        }
    }

    /// A bit for each line.
    pub(super) fn line_mask(&self) -> u64 {
        self.lines_of(u32::MAX)
    }

    /// A bit for each channel.
    pub(super) fn image_mask(&self) -> u32 {
        self.image_of(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguous_channels_are_mapped_by_a_shift() {
        let map = ChannelMap::new(&[4, 5, 6]);
        assert!(matches!(map, ChannelMap::Contiguous { first: 4, lines: 7 }));
        assert_eq!(map.image_of(0b101), 0b101_0000);
        assert_eq!(map.lines_of(0xFFFF_FFAF), 0b010);
        assert_eq!((map.line_mask(), map.image_mask()), (0b111, 0b111_0000));
    }

    #[test]
    fn channels_with_gaps_go_to_their_own_bits() {
        let map = ChannelMap::new(&[0, 3, 31]);
        assert!(matches!(map, ChannelMap::Scattered { count: 3, .. }));
        assert_eq!(map.image_of(0b110), 1 << 3 | 1 << 31);
        assert_eq!(map.lines_of(1 << 31 | 1 << 30 | 1), 0b101);
        assert_eq!(map.line_mask(), 0b111);
    }

    #[test]
    fn all_32_channels_and_a_single_channel_are_mapped() {
        let all: [u8; MAX_DIGITAL] = core::array::from_fn(|i| i as u8);
        let map = ChannelMap::new(&all);
        assert_eq!(map.image_of(0x1_8000_0001), 0x8000_0001);
        assert_eq!(map.line_mask(), u64::from(u32::MAX));
        let last = ChannelMap::new(&[31]);
        assert_eq!((last.image_of(1), last.lines_of(1 << 31)), (1 << 31, 1));
    }
}
