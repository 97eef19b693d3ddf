//! SDO abort codes (CiA 301, "Abort SDO transfer protocol").

use super::drive::Refusal;

/// The reason why a transfer ended, as sent to the client.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Abort(pub u32);

impl Abort {
    /// Toggle bit not alternated.
    pub const TOGGLE: Self = Self(0x0503_0000);
    /// SDO protocol timed out.
    pub const TIMEOUT: Self = Self(0x0504_0000);
    /// Client/server command specifier not valid or unknown.
    pub const COMMAND: Self = Self(0x0504_0001);
    /// Invalid block size.
    pub const BLOCK_SIZE: Self = Self(0x0504_0002);
    /// Invalid sequence number.
    pub const SEQUENCE: Self = Self(0x0504_0003);
    /// Unsupported access to an object.
    pub const ACCESS: Self = Self(0x0601_0000);
    /// Attempt to write a read-only object.
    pub const READ_ONLY: Self = Self(0x0601_0002);
    /// Object does not exist in the object dictionary.
    pub const NO_OBJECT: Self = Self(0x0602_0000);
    /// Object cannot be mapped to the PDO.
    pub const NOT_MAPPABLE: Self = Self(0x0604_0041);
    /// The number and length of the objects to be mapped exceed the PDO length.
    pub const PDO_LENGTH: Self = Self(0x0604_0042);
    /// General parameter incompatibility.
    pub const INCOMPATIBLE: Self = Self(0x0604_0043);
    /// Access failed due to a hardware error.
    pub const HARDWARE: Self = Self(0x0606_0000);
    /// Data type does not match, length of service parameter too high.
    pub const TOO_LONG: Self = Self(0x0607_0012);
    /// Data type does not match, length of service parameter too low.
    pub const TOO_SHORT: Self = Self(0x0607_0013);
    /// Sub-index does not exist.
    pub const NO_SUB: Self = Self(0x0609_0011);
    /// Invalid value for parameter.
    pub const VALUE: Self = Self(0x0609_0030);
    /// Value of parameter written too high.
    pub const TOO_HIGH: Self = Self(0x0609_0031);
    /// Value of parameter written too low.
    pub const TOO_LOW: Self = Self(0x0609_0032);
    /// Data cannot be transferred or stored to the application.
    pub const APPLICATION: Self = Self(0x0800_0020);
    /// The same because of local control.
    pub const LOCAL_CONTROL: Self = Self(0x0800_0021);
    /// The same because of the present device state.
    pub const DEVICE_STATE: Self = Self(0x0800_0022);
    /// No data available.
    pub const NO_DATA: Self = Self(0x0800_0024);
}

impl From<Refusal> for Abort {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Owner => Self::LOCAL_CONTROL,
            Refusal::State => Self::DEVICE_STATE,
            Refusal::TooHigh => Self::TOO_HIGH,
            Refusal::TooLow => Self::TOO_LOW,
            Refusal::Value => Self::VALUE,
            Refusal::Conflict => Self::INCOMPATIBLE,
            Refusal::ReadOnly => Self::READ_ONLY,
            Refusal::NoData => Self::NO_DATA,
            Refusal::Failed => Self::HARDWARE,
            Refusal::NotStored => Self::APPLICATION,
        }
    }
}
