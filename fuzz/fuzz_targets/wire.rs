//! A bus whose replies are the fuzzer's bytes.

use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};

/// The bus: a byte selects whether the next transfer fails, the following bytes are its
/// reply. At the end of the bytes every transfer fails.
pub struct Wire<'b> {
    bytes: &'b [u8],
    /// Frames so far.
    pub frames: u32,
}

impl<'b> Wire<'b> {
    /// A bus that replies with `bytes`.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, frames: 0 }
    }

    /// The next byte, for decisions of the fuzz target.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }
}

impl ErrorType for Wire<'_> {
    type Error = ErrorKind;
}

impl SpiDevice for Wire<'_> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        self.frames += 1;
        for operation in operations {
            let reply = match operation {
                Operation::Read(reply)
                | Operation::Transfer(reply, _)
                | Operation::TransferInPlace(reply) => reply,
                Operation::Write(_) | Operation::DelayNs(_) => continue,
            };
            if self.byte().is_none_or(|control| control >= 0xF0) {
                return Err(ErrorKind::Other);
            }
            let (got, rest) = self
                .bytes
                .split_at_checked(reply.len())
                .ok_or(ErrorKind::Other)?;
            reply.copy_from_slice(got);
            self.bytes = rest;
        }
        Ok(())
    }
}
