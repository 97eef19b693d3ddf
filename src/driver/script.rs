//! A test bus with a list of expected frames and their replies.

use embedded_hal::spi::{ErrorKind, ErrorType, Operation, SpiDevice};

/// One chip-select assertion: the expected frame and its reply.
pub(crate) type Step = (&'static [u8], Result<&'static [u8], ErrorKind>);

/// Plays its steps in order and fails the test at the first frame that differs.
pub(crate) struct Script<'a> {
    steps: &'a [Step],
    done: usize,
}

impl<'a> Script<'a> {
    pub(crate) fn new(steps: &'a [Step]) -> Self {
        Self { steps, done: 0 }
    }

    /// Fails the test if expected frames are missing.
    pub(crate) fn finish(&self) {
        assert_eq!(self.done, self.steps.len(), "frames left out");
    }
}

impl ErrorType for Script<'_> {
    type Error = ErrorKind;
}

impl SpiDevice for Script<'_> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        let (sent, reply) = *self
            .steps
            .get(self.done)
            .expect("a frame beyond the script");
        self.done += 1;
        let [operation] = operations else {
            panic!("a frame must be one operation");
        };
        match operation {
            Operation::TransferInPlace(bytes) => {
                assert_eq!(*bytes, sent, "frame {}", self.done);
                bytes.copy_from_slice(reply?);
            }
            Operation::Write(bytes) => {
                assert_eq!(*bytes, sent, "frame {}", self.done);
                reply?;
            }
            other => panic!("unexpected operation {other:?}"),
        }
        Ok(())
    }
}
