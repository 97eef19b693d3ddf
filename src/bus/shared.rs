//! Simulated devices shared between a handle and a plant or a test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sim::{I2cChip, PwmLoad, SpiChip};

/// Locks `shared`, also after a test has panicked while it held the lock.
pub(super) fn locked<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: SpiChip + ?Sized> SpiChip for Arc<Mutex<C>> {
    fn exchange(
        &mut self,
        sent: &[u8],
        received: &mut [u8],
    ) -> Result<(), embedded_hal::spi::ErrorKind> {
        locked(self).exchange(sent, received)
    }
}

impl<C: I2cChip + ?Sized> I2cChip for Arc<Mutex<C>> {
    fn transaction(
        &mut self,
        operations: &mut [embedded_hal::i2c::Operation<'_>],
    ) -> Result<(), embedded_hal::i2c::ErrorKind> {
        locked(self).transaction(operations)
    }
}

impl<C: PwmLoad + ?Sized> PwmLoad for Arc<Mutex<C>> {
    fn set_duty_ns(&mut self, duty_ns: u32) -> Result<(), embedded_hal::pwm::ErrorKind> {
        locked(self).set_duty_ns(duty_ns)
    }
}
