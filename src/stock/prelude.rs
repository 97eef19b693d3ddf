//! All of `firmware::prelude` except `Firmware` itself, which is in a layer above.

pub use crate::bus::{I2c, I2cChip, Pwm, Spi, SpiChip};
pub use crate::config::{
    ANY_UNIT, ConfigError, DeviceTable, Driver, I2cClaim, LawKind, LawTable, Opening, PlantKind,
    PlantTable, PwmClaim, SpiClaim,
};
pub use crate::cycle::device::{Device, NotDriven};
pub use crate::cycle::image::{Angle, InputError};
pub use crate::cycle::law::Law;
pub use crate::cycle::ports::FaultNumber;
pub use crate::cycle::signal::{Commands, Input, Io, Output, Readings};
pub use crate::realtime::allocator::SealedAllocator;
pub use crate::sim::{Plant, World};
pub use crate::time::{Duration, Instant};
