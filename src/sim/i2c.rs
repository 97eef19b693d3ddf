//! I2C chips, simulated at register level.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// A simulated I2C chip. It receives everything between the START with its address and the
/// STOP.
pub trait I2cChip {
    /// Executes all `operations` in order, joined by repeated STARTs.
    ///
    /// # Errors
    /// The error of the controller, such as a missing acknowledge.
    fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind>;
}

/// The error of a bus without a chip at the address.
pub const NO_ACKNOWLEDGE: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

/// One chip on a bus of its own, with faults on demand.
#[derive(Clone, Debug)]
pub struct SimI2c<C> {
    /// The chip.
    pub chip: C,
    /// Its seven-bit address.
    pub address: u8,
    /// Number of transfers that will fail next; the chip does not receive them.
    pub failing: u32,
    /// Their error.
    pub error: ErrorKind,
    /// Number of transfers so far, including failed ones.
    pub transfers: u64,
}

impl<C: I2cChip> SimI2c<C> {
    /// A bus with `chip` at the seven-bit `address`, and no faults.
    pub const fn new(address: u8, chip: C) -> Self {
        Self {
            chip,
            address,
            failing: 0,
            error: NO_ACKNOWLEDGE,
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
            return Err(NO_ACKNOWLEDGE);
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
    fn failing_transfers_do_not_reach_the_chip() {
        let mut bus = SimI2c::new(0x48, Register(7));
        bus.fail_next(2, ErrorKind::Bus);
        assert_eq!(bus.write(0x48, &[1]), Err(ErrorKind::Bus));
        assert_eq!(bus.write(0x48, &[2]), Err(ErrorKind::Bus));
        let mut read = [0];
        assert_eq!(bus.read(0x48, &mut read), Ok(()));
        assert_eq!((read, bus.transfers), ([7], 3));
        assert_eq!(bus.read(0x49, &mut read), Err(NO_ACKNOWLEDGE));
    }
}
