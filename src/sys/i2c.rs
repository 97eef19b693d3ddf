//! `linux/i2c-dev.h`: combined I2C transfers on an adapter's device node.
//!
//! See Documentation/i2c/dev-interface and drivers/i2c/i2c-dev.c in the kernel's
//! sources.

use super::Errno;
use super::ioctl::{Request, ioctl};
use core::marker::PhantomData;
use core::mem::offset_of;
use std::os::fd::BorrowedFd;

// These requests are older than the packing of direction and size.
const TIMEOUT: Request = 0x0702;
const FUNCS: Request = 0x0705;
const RDWR: Request = 0x0707;

/// `I2C_RDWR_IOCTL_MAX_MSGS`: most messages of one transfer.
pub const MAX_MESSAGES: usize = 42;

/// Most bytes of one message (`i2cdev_ioctl_rdwr`).
pub const MAX_BYTES: usize = 8_192;

/// `I2C_FUNC_I2C`: the adapter transfers plain messages, not SMBus commands alone.
pub const FUNC_I2C: u64 = 0x0000_0001;
/// `I2C_FUNC_10BIT_ADDR`: the adapter can address chips by ten bits.
pub const FUNC_10BIT_ADDR: u64 = 0x0000_0002;

const FLAG_READ: u16 = 0x0001;
const FLAG_TEN_BIT: u16 = 0x0010;

/// `struct i2c_msg`: the bytes from one START to the next, together with the loan of
/// the buffer that it points to.
#[repr(C)]
#[derive(Debug)]
pub struct Message<'a> {
    address: u16,
    flags: u16,
    len: u16,
    buffer: *mut u8,
    loan: PhantomData<&'a mut [u8]>,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Message<'_>>() == 16);
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

    /// Number and flags in one word.
    pub(super) const fn pack(self) -> u32 {
        (self.flags as u32) << 16 | self.number as u32
    }

    /// What [`Address::pack`] made.
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

/// The length as the kernel takes it.
const fn length(bytes: usize) -> Result<u16, TooLong> {
    if bytes > MAX_BYTES {
        return Err(TooLong);
    }
    Ok(bytes as u16)
}

impl<'a> Message<'a> {
    /// Writes `bytes` to the chip at `address`.
    ///
    /// # Errors
    /// [`TooLong`] above [`MAX_BYTES`].
    pub const fn write(address: Address, bytes: &'a [u8]) -> Result<Self, TooLong> {
        match length(bytes.len()) {
            Ok(len) => Ok(Self {
                address: address.number,
                flags: address.flags,
                len,
                // The kernel only reads it: FLAG_READ is not set.
                buffer: bytes.as_ptr().cast_mut(),
                loan: PhantomData,
            }),
            Err(error) => Err(error),
        }
    }

    /// Fills `bytes` from the chip at `address`.
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

    /// Bytes of this message.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.len as usize
    }

    /// What is written; `None` in a message that reads. For a simulated chip.
    #[must_use]
    pub const fn written(&self) -> Option<&[u8]> {
        if self.flags & FLAG_READ != 0 {
            return None;
        }
        // SAFETY: `write` set pointer and length from one slice that is borrowed for
        // 'a. No mutable view of it exists: `read_mut` gives none without FLAG_READ.
        Some(unsafe { core::slice::from_raw_parts(self.buffer, self.bytes()) })
    }

    /// Where to put what is read; `None` in a message that writes. For a simulated
    /// chip.
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

/// ioctl(`I2C_RDWR`): runs all `messages` as one transfer, with a repeated START
/// between them and one STOP at the end. Returns how many were run.
///
/// # Errors
/// `EINVAL` for no message or more than [`MAX_MESSAGES`]; else the adapter's
/// (Documentation/i2c/fault-codes): `ENXIO` and `EREMOTEIO` for a chip that does not
/// acknowledge, `EAGAIN` for lost arbitration, `ETIMEDOUT` and `EBUSY` for a bus that
/// is held, `EIO`, `ENODEV` and `ESHUTDOWN`.
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

/// ioctl(`I2C_FUNCS`): what the adapter can do, in bits such as [`FUNC_I2C`].
///
/// # Errors
/// The kernel's: `ENOTTY` when this is no I2C adapter.
pub fn functions(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut bits: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long.
    unsafe { ioctl(fd, FUNCS, &raw mut bits) }?;
    // On 32-bit machines the type is narrower.
    #[allow(clippy::useless_conversion, reason = "c_ulong is u32 on 32-bit ARM")]
    Ok(u64::from(bits))
}

/// ioctl(`I2C_TIMEOUT`): how long a transfer may take, in units of 10 ms. The setting
/// is the adapter's: it holds for everybody who uses it.
///
/// # Errors
/// The kernel's: `EINVAL` above `INT_MAX`.
pub fn set_timeout(fd: BorrowedFd<'_>, tens_of_ms: u32) -> Result<(), Errno> {
    let value = core::ptr::without_provenance_mut::<u8>(tens_of_ms as usize);
    // SAFETY: this request takes a number in the place of a pointer.
    unsafe { ioctl(fd, TIMEOUT, value) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;
    use std::os::fd::AsFd;

    const CHIP: Address = Address::seven_bit(0x48).unwrap();

    #[test]
    fn addresses_beyond_their_bits_are_refused() {
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
    fn no_message_and_too_many_are_refused_without_a_call() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = Err(Errno(libc::EINVAL));
        assert_eq!(transfer(null.as_fd(), &mut []), refused);
        let mut many: Vec<_> = (0..=MAX_MESSAGES)
            .map(|_| Message::write(CHIP, &[0]).unwrap())
            .collect();
        assert_eq!(transfer(null.as_fd(), &mut many), refused);
    }

    #[test]
    fn a_file_that_is_no_adapter_answers_enotty() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = functions(null.as_fd()).unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
        let mut one = [Message::write(CHIP, &[0]).unwrap()];
        let refused = transfer(null.as_fd(), &mut one).unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
    }
}
