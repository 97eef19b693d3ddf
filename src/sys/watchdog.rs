//! `linux/watchdog.h`: the ioctls of a watchdog device.
//!
//! See Documentation/watchdog/watchdog-api in the kernel's sources.

use super::Errno;
use super::ioctl::{Request, ioctl, ior, iowr};
use core::ffi::c_int;
use core::mem::offset_of;
use std::os::fd::BorrowedFd;

/// `WATCHDOG_IOCTL_BASE`.
const BASE: u8 = b'W';
const GET_SUPPORT: Request = ior::<Info>(BASE, 0);
const GET_BOOT_STATUS: Request = ior::<c_int>(BASE, 2);
const KEEP_ALIVE: Request = ior::<c_int>(BASE, 5);
const SET_TIMEOUT: Request = iowr::<c_int>(BASE, 6);

/// `WDIOF_CARDRESET`: the watchdog caused the last reset.
pub const CARD_RESET: u32 = 0x0020;
/// `WDIOF_MAGICCLOSE`: it stops only if a 'V' is written before it is closed.
pub const MAGIC_CLOSE: u32 = 0x0100;
/// `WDIOF_ALARMONLY`: it raises an alarm and does not reset the board.
pub const ALARM_ONLY: u32 = 0x0400;

/// `struct watchdog_info`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// What the driver supports: bits such as [`MAGIC_CLOSE`].
    pub options: u32,
    /// Version of the firmware, as numbered by the driver.
    pub firmware_version: u32,
    /// Name of the watchdog, padded with zeros.
    pub identity: [u8; 32],
}

const _: () = {
    assert!(size_of::<Info>() == 40);
    assert!(offset_of!(Info, identity) == 8);
};

/// ioctl(`WDIOC_GETSUPPORT`): identity and options of the watchdog.
///
/// # Errors
/// The kernel's: `ENOTTY` when `fd` is not a watchdog.
pub fn support(fd: BorrowedFd<'_>) -> Result<Info, Errno> {
    let mut info = Info::default();
    // SAFETY: the kernel writes one `watchdog_info`, whose layout is asserted.
    unsafe { ioctl(fd, GET_SUPPORT, &raw mut info) }?;
    Ok(info)
}

/// ioctl(`WDIOC_GETBOOTSTATUS`): the cause of the last reset, in the bits of [`Info::options`].
///
/// # Errors
/// The kernel's.
pub fn boot_status(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut status: c_int = 0;
    // SAFETY: the kernel writes one int.
    unsafe { ioctl(fd, GET_BOOT_STATUS, &raw mut status) }?;
    Ok(status.cast_unsigned())
}

/// ioctl(`WDIOC_SETTIMEOUT`): requests a timeout, s, and returns the granted one, which the
/// hardware may have rounded.
///
/// # Errors
/// `EINVAL` outside of the driver's range, `EOPNOTSUPP` when the timeout cannot be set.
pub fn set_timeout(fd: BorrowedFd<'_>, seconds: u32) -> Result<u32, Errno> {
    let mut timeout = c_int::try_from(seconds).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: the kernel reads one int and writes it back.
    unsafe { ioctl(fd, SET_TIMEOUT, &raw mut timeout) }?;
    Ok(timeout.cast_unsigned())
}

/// ioctl(`WDIOC_KEEPALIVE`): restarts the timeout.
///
/// # Errors
/// The kernel's: `ENODEV` when the watchdog is gone.
pub fn keep_alive(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut unused: c_int = 0;
    // SAFETY: the kernel ignores the argument (`watchdog_ioctl`); the int that the request
    // number encodes is passed in any case.
    unsafe { ioctl(fd, KEEP_ALIVE, &raw mut unused) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;
    use std::os::fd::AsFd;

    #[test]
    fn request_numbers_are_those_of_the_kernel_header() {
        assert_eq!(
            [GET_SUPPORT, GET_BOOT_STATUS, KEEP_ALIVE, SET_TIMEOUT],
            [0x8028_5700, 0x8004_5702, 0x8004_5705, 0xc004_5706]
        );
    }

    #[test]
    fn a_file_that_is_no_watchdog_gives_enotty() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = support(null.as_fd()).unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
        assert_eq!(keep_alive(null.as_fd()), Err(refused));
        assert_eq!(set_timeout(null.as_fd(), 2), Err(refused));
    }
}
