//! `linux/i2c-dev.h`: combined I2C transfers on an adapter's device node.
//!
//! See Documentation/i2c/dev-interface and drivers/i2c/i2c-dev.c in the kernel's
//! sources.

use super::Errno;
use super::ioctl::{Request, ioctl};
use core::marker::PhantomData;
use core::mem::offset_of;
use std::os::fd::BorrowedFd;

// These request numbers are older than the packing of direction and size.
const TIMEOUT: Request = 0x0702;
const FUNCS: Request = 0x0705;
const RDWR: Request = 0x0707;

/// `I2C_RDWR_IOCTL_MAX_MSGS`: most messages of one transfer.
pub const MAX_MESSAGES: usize = 42;

/// Most bytes of one message (`i2cdev_ioctl_rdwr`).
pub const MAX_BYTES: usize = 8_192;

/// `I2C_FUNC_I2C`: the adapter transfers plain I2C messages, not only SMBus commands.
pub const FUNC_I2C: u64 = 0x0000_0001;

const FLAG_READ: u16 = 0x0001;
const FLAG_TEN_BIT: u16 = 0x0010;

/// `struct i2c_msg`: the bytes between two START conditions. It borrows the buffer that it
/// points to.
#[repr(C)]
#[derive(Debug)]
pub struct Message<'a> {
    address: u16,
    flags: u16,
    len: u16,
    buffer: *mut u8,
    loan: PhantomData<&'a mut [u8]>,
}

const _: () = {
    assert!(size_of::<Message<'_>>() == 8 + size_of::<usize>());
    assert!(offset_of!(Message<'_>, len) == 4);
    assert!(offset_of!(Message<'_>, buffer) == 8);
};

/// A message of more than [`MAX_BYTES`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TooLong;

/// The address of a chip, checked for its range.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    number: u16,
    flags: u16,
}

impl Address {
    /// A seven-bit address; `None` above 0x7F.
    #[must_use]
    pub const fn seven_bit(address: u8) -> Option<Self> {
        if address > 0x7F {
            return None;
        }
        Some(Self {
            number: address as u16,
            flags: 0,
        })
    }

    /// A ten-bit address; `None` above 0x3FF.
    #[must_use]
    pub const fn ten_bit(address: u16) -> Option<Self> {
        if address > 0x3FF {
            return None;
        }
        Some(Self {
            number: address,
            flags: FLAG_TEN_BIT,
        })
    }

    /// Packs number and flags into one word.
    pub(super) const fn pack(self) -> u32 {
        (self.flags as u32) << 16 | self.number as u32
    }

    /// The inverse of [`Address::pack`].
    pub(super) const fn unpack(word: u32) -> Self {
        Self {
            number: word as u16,
            flags: (word >> 16) as u16,
        }
    }

    /// The address as a number, 0 to 0x3FF.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.number
    }
}

/// The length in the kernel's type.
const fn length(bytes: usize) -> Result<u16, TooLong> {
    if bytes > MAX_BYTES {
        return Err(TooLong);
    }
    Ok(bytes as u16)
}

impl<'a> Message<'a> {
    /// A message that writes `bytes` to the chip at `address`.
    ///
    /// # Errors
    /// [`TooLong`] above [`MAX_BYTES`].
    pub const fn write(address: Address, bytes: &'a [u8]) -> Result<Self, TooLong> {
        match length(bytes.len()) {
            Ok(len) => Ok(Self {
                address: address.number,
                flags: address.flags,
                len,
                // The kernel only reads the buffer: FLAG_READ is not set.
                buffer: bytes.as_ptr().cast_mut(),
                loan: PhantomData,
            }),
            Err(error) => Err(error),
        }
    }

    /// A message that reads `bytes` from the chip at `address`.
    ///
    /// # Errors
    /// [`TooLong`] above [`MAX_BYTES`].
    pub const fn read(address: Address, bytes: &'a mut [u8]) -> Result<Self, TooLong> {
        match length(bytes.len()) {
            Ok(len) => Ok(Self {
                address: address.number,
                flags: address.flags | FLAG_READ,
                len,
                buffer: bytes.as_mut_ptr(),
                loan: PhantomData,
            }),
            Err(error) => Err(error),
        }
    }

    /// Address of the chip as a number, 0 to 0x3FF.
    #[must_use]
    pub const fn address(&self) -> u16 {
        self.address
    }

    /// Length of the message, bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.len as usize
    }

    /// The bytes to write; `None` in a message that reads. For a simulated chip.
    #[must_use]
    pub const fn written(&self) -> Option<&[u8]> {
        if self.flags & FLAG_READ != 0 {
            return None;
        }
        // SAFETY: `write` set pointer and length from one slice that is borrowed for 'a. There
        // is no mutable view of it: `read_mut` gives none without FLAG_READ.
        Some(unsafe { core::slice::from_raw_parts(self.buffer, self.bytes()) })
    }

    /// The buffer to fill; `None` in a message that writes. For a simulated chip.
    pub const fn read_mut(&mut self) -> Option<&mut [u8]> {
        if self.flags & FLAG_READ == 0 {
            return None;
        }
        // SAFETY: `read` set pointer and length from one mutable slice that is
        // borrowed for 'a, and `self` is borrowed exclusively.
        Some(unsafe { core::slice::from_raw_parts_mut(self.buffer, self.bytes()) })
    }
}

/// `struct i2c_rdwr_ioctl_data`.
#[repr(C)]
struct ReadWrite<'m, 'a> {
    messages: *mut Message<'a>,
    count: u32,
    loan: PhantomData<&'m mut [Message<'a>]>,
}

/// ioctl(`I2C_RDWR`): runs all `messages` as one transfer, with a repeated START between them
/// and one STOP at the end. Returns the number of messages run. Blocks for the bus.
///
/// # Errors
/// `EINVAL` for no message or more than [`MAX_MESSAGES`]; otherwise those of the adapter
/// (Documentation/i2c/fault-codes): `ENXIO` and `EREMOTEIO` for a chip that does not
/// acknowledge, `EAGAIN` for lost arbitration, `ETIMEDOUT` and `EBUSY` for a bus that is held
/// low, `EIO`, `ENODEV` and `ESHUTDOWN`.
pub fn transfer(fd: BorrowedFd<'_>, messages: &mut [Message<'_>]) -> Result<usize, Errno> {
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        return Err(Errno(libc::EINVAL));
    }
    let mut data = ReadWrite {
        messages: messages.as_mut_ptr(),
        count: messages.len() as u32,
        loan: PhantomData,
    };
    // SAFETY: pointer and count are those of one slice; every buffer in it is
    // borrowed for as long as the slice lives, mutably where the kernel writes.
    unsafe { ioctl(fd, RDWR, &raw mut data) }
}

/// ioctl(`I2C_FUNCS`): the functions of the adapter, in bits such as [`FUNC_I2C`].
///
/// # Errors
/// The kernel's: `ENOTTY` when `fd` is not an I2C adapter.
pub fn functions(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut bits: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long.
    unsafe { ioctl(fd, FUNCS, &raw mut bits) }?;
    // On 32-bit machines the type is narrower.
    #[allow(clippy::useless_conversion, reason = "c_ulong is u32 on 32-bit ARM")]
    Ok(u64::from(bits))
}

/// ioctl(`I2C_TIMEOUT`): sets the time-out of a transfer, in units of 10 ms. It is a setting of
/// the adapter and applies to all its users.
///
/// # Errors
/// The kernel's: `EINVAL` above `INT_MAX`.
pub fn set_timeout(fd: BorrowedFd<'_>, tens_of_ms: u32) -> Result<(), Errno> {
    let value = core::ptr::without_provenance_mut::<u8>(tens_of_ms as usize);
    // SAFETY: this request takes a number in place of a pointer.
    unsafe { ioctl(fd, TIMEOUT, value) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;
    use std::os::fd::AsFd;

    const CHIP: Address = Address::seven_bit(0x48).unwrap();

    #[test]
    fn addresses_beyond_7_or_10_bits_are_refused() {
        assert_eq!(Address::seven_bit(0x7F).map(Address::number), Some(0x7F));
        assert_eq!(Address::seven_bit(0x80), None);
        assert_eq!(Address::ten_bit(0x3FF).map(Address::number), Some(0x3FF));
        assert_eq!(Address::ten_bit(0x400), None);
    }

    #[test]
    fn a_message_has_the_flags_and_the_length_of_the_kernel_header() {
        let mut bytes = [0; 3];
        let read = Message::read(CHIP, &mut bytes).unwrap();
        assert_eq!((read.address, read.flags, read.len), (0x48, 0x0001, 3));
        let ten = Address::ten_bit(0x148).unwrap();
        let write = Message::write(ten, &[1, 2]).unwrap();
        assert_eq!((write.address, write.flags, write.len), (0x148, 0x0010, 2));
        assert_eq!(write.written(), Some(&[1, 2][..]));
    }

    #[test]
    fn a_message_longer_than_the_kernel_takes_is_refused() {
        let bytes = [0; MAX_BYTES + 1];
        assert!(Message::write(CHIP, &bytes[1..]).is_ok());
        assert_eq!(Message::write(CHIP, &bytes).err(), Some(TooLong));
    }

    #[test]
    fn zero_and_too_many_messages_are_refused_without_a_system_call() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = Err(Errno(libc::EINVAL));
        assert_eq!(transfer(null.as_fd(), &mut []), refused);
        let mut many: Vec<_> = (0..=MAX_MESSAGES)
            .map(|_| Message::write(CHIP, &[0]).unwrap())
            .collect();
        assert_eq!(transfer(null.as_fd(), &mut many), refused);
    }

    #[test]
    fn a_file_that_is_no_i2c_adapter_gives_enotty() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = functions(null.as_fd()).unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
        let mut one = [Message::write(CHIP, &[0]).unwrap()];
        let refused = transfer(null.as_fd(), &mut one).unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
    }
}
