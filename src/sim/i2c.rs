//! I2C chips, simulated at their registers.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// A chip as its bus sees it: everything between the START with its address and the
/// STOP.
pub trait I2cChip {
    /// Answers all `operations`, in their order, joined by repeated STARTs.
    ///
    /// # Errors
    /// What the controller would see, such as a byte without acknowledge.
    fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind>;
}

/// Answer of a bus on which nobody has the address.
pub const NOBODY: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

/// One chip on a bus of its own, with faults on demand.
#[derive(Clone, Debug)]
pub struct SimI2c<C> {
    /// The chip, to set what it measures and to look at what it drives.
    pub chip: C,
    /// Its address.
    pub address: u8,
    /// How many of the next transfers fail: the chip sees nothing of them.
    pub failing: u32,
    /// With which error they do.
    pub error: ErrorKind,
    /// Transfers so far, failed ones included.
    pub transfers: u64,
}

impl<C: I2cChip> SimI2c<C> {
    /// A bus with `chip` at the seven-bit `address`, and no faults.
    pub const fn new(address: u8, chip: C) -> Self {
        Self {
            chip,
            address,
            failing: 0,
            error: NOBODY,
            transfers: 0,
        }
    }

    /// Fails the next `count` transfers with `error`.
    pub const fn fail_next(&mut self, count: u32, error: ErrorKind) {
        self.failing = count;
        self.error = error;
    }
}

impl<C: I2cChip> I2cChip for SimI2c<C> {
    fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        self.transfers += 1;
        if self.failing > 0 {
            self.failing -= 1;
            return Err(self.error);
        }
        self.chip.transaction(operations)
    }
}

impl<C> ErrorType for SimI2c<C> {
    type Error = ErrorKind;
}

impl<C: I2cChip> I2c for SimI2c<C> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        if address != self.address {
            return Err(NOBODY);
        }
        I2cChip::transaction(self, operations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One register of 8 bits.
    struct Register(u8);

    impl I2cChip for Register {
        fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => self.0 = bytes.last().copied().unwrap_or(self.0),
                    Operation::Read(bytes) => bytes.fill(self.0),
                }
            }
            Ok(())
        }
    }

    #[test]
    fn faults_fail_the_next_transfers_and_the_chip_sees_nothing_of_them() {
        let mut bus = SimI2c::new(0x48, Register(7));
        bus.fail_next(2, ErrorKind::Bus);
        assert_eq!(bus.write(0x48, &[1]), Err(ErrorKind::Bus));
        assert_eq!(bus.write(0x48, &[2]), Err(ErrorKind::Bus));
        let mut read = [0];
        assert_eq!(bus.read(0x48, &mut read), Ok(()));
        assert_eq!((read, bus.transfers), ([7], 3));
        assert_eq!(bus.read(0x49, &mut read), Err(NOBODY));
    }
}
