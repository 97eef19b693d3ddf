//! CAN 2.0A data and remote frames, as CANopen uses them.

/// A frame with an 11-bit identifier and 0 to 8 bytes of data.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    id: u16,
    len: u8,
    remote: bool,
    data: [u8; 8],
}

/// The highest 11-bit identifier.
pub const MAX_ID: u16 = 0x7FF;

/// Most frames that wait to be sent.
pub const OUTBOX_FRAMES: usize = 64;

/// Frames that wait to be sent, oldest first. The owner of the socket empties it.
pub type Outbox = heapless::Deque<Frame, OUTBOX_FRAMES>;

impl Frame {
    /// A data frame; `None` for an identifier above [`MAX_ID`] or more than 8 bytes.
    #[must_use]
    pub fn new(id: u16, data: &[u8]) -> Option<Self> {
        if id > MAX_ID || data.len() > 8 {
            return None;
        }
        Some(Self::clipped(id, data))
    }

    /// A remote frame: a request for `len` bytes; `None` as for [`Frame::new`].
    #[must_use]
    pub fn remote(id: u16, len: u8) -> Option<Self> {
        if id > MAX_ID || len > 8 {
            return None;
        }
        Some(Self {
            id,
            len,
            remote: true,
            data: [0; 8],
        })
    }

    /// A data frame of the first 8 bytes of `data`, with the lower 11 bits of `id`.
    pub(super) fn clipped(id: u16, data: &[u8]) -> Self {
        let mut frame = Self {
            id: id & MAX_ID,
            len: data.len().min(8) as u8,
            ..Self::default()
        };
        for (to, from) in frame.data.iter_mut().zip(data) {
            *to = *from;
        }
        frame
    }

    /// The identifier, 0 to [`MAX_ID`].
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// The data; empty for a remote frame.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        if self.remote {
            return &[];
        }
        self.data.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Whether this is a remote frame.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        self.remote
    }

    /// The data length code: 0 to 8, in a remote frame the length asked for.
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// Whether the data length code is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_lengths_out_of_range_are_refused() {
        assert!(Frame::new(0x7FF, &[0; 8]).is_some());
        assert_eq!(Frame::new(0x800, &[]), None);
        assert_eq!(Frame::new(1, &[0; 9]), None);
        assert_eq!(Frame::remote(1, 9), None);
    }

    #[test]
    fn a_remote_frame_has_a_length_and_no_data() {
        let frame = Frame::remote(0x181, 8).unwrap();
        assert!(frame.is_remote() && frame.data().is_empty() && frame.len() == 8);
    }
}
