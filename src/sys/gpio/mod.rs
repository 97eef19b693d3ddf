//! `linux/gpio.h`: the GPIO character device, version 2 of its interface.
//!
//! See Documentation/userspace-api/gpio/chardev in the kernel's sources.

mod abi;

pub use abi::{
    ChipInfo, LineAttribute, LineConfig, LineConfigAttribute, LineEvent, LineInfo, LineRequest,
    LineValues, MAX_ATTRIBUTES, MAX_LINES, Name, flag,
};

use super::Errno;
use super::ioctl::{Request, ioctl, ior, iowr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const MAGIC: u8 = 0xB4;
const GET_CHIP_INFO: Request = ior::<ChipInfo>(MAGIC, 0x01);
const GET_LINE_INFO: Request = iowr::<LineInfo>(MAGIC, 0x05);
const GET_LINE: Request = iowr::<LineRequest>(MAGIC, 0x07);
const GET_VALUES: Request = iowr::<LineValues>(MAGIC, 0x0E);
/// `GPIO_V2_LINE_SET_VALUES_IOCTL`, for code that may make nothing but system calls
/// (signal-safety(7)). Its argument is one [`LineValues`].
pub const SET_VALUES: Request = iowr::<LineValues>(MAGIC, 0x0F);

/// ioctl(`GPIO_GET_CHIPINFO_IOCTL`).
///
/// # Errors
/// `ENOTTY` when `chip` is not a GPIO chip, `ENODEV` when it is gone.
pub fn chip_info(chip: BorrowedFd<'_>) -> Result<ChipInfo, Errno> {
    let mut info = ChipInfo::default();
    // SAFETY: the kernel writes one `gpiochip_info`, whose layout is asserted.
    unsafe { ioctl(chip, GET_CHIP_INFO, &raw mut info) }?;
    Ok(info)
}

/// ioctl(`GPIO_V2_GET_LINEINFO_IOCTL`) for the line with number `offset`.
///
/// # Errors
/// `EINVAL` when the chip has no such line.
pub fn line_info(chip: BorrowedFd<'_>, offset: u32) -> Result<LineInfo, Errno> {
    let mut info = LineInfo {
        offset,
        ..LineInfo::default()
    };
    // SAFETY: the kernel reads and writes one `gpio_v2_line_info`, whose layout
    // is asserted.
    unsafe { ioctl(chip, GET_LINE_INFO, &raw mut info) }?;
    Ok(info)
}

/// ioctl(`GPIO_V2_GET_LINE_IOCTL`): requests the lines of `request` for this process. Closing
/// the returned descriptor releases them.
///
/// # Errors
/// `EBUSY` when a line is in use, `EINVAL` for a contradictory request, `ENXIO` when edges are
/// requested of a line without an interrupt.
pub fn request_lines(chip: BorrowedFd<'_>, request: &LineRequest) -> Result<OwnedFd, Errno> {
    let mut request = LineRequest { fd: 0, ..*request };
    // SAFETY: the kernel reads and writes one `gpio_v2_line_request`, whose
    // layout is asserted.
    unsafe { ioctl(chip, GET_LINE, &raw mut request) }?;
    if request.fd <= 0 {
        return Err(Errno(libc::EBADF));
    }
    // SAFETY: the kernel has just created this descriptor for this call, so it has no other
    // owner.
    Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
}

/// ioctl(`GPIO_V2_LINE_GET_VALUES_IOCTL`): the logical values of the lines in
/// `mask`.
///
/// # Errors
/// `EINVAL` when `mask` has none of the requested lines; otherwise those of the chip's driver.
pub fn get_values(lines: BorrowedFd<'_>, mask: u64) -> Result<u64, Errno> {
    let mut values = LineValues { bits: 0, mask };
    // SAFETY: the kernel reads and writes one `gpio_v2_line_values`.
    unsafe { ioctl(lines, GET_VALUES, &raw mut values) }?;
    Ok(values.bits)
}

/// ioctl(`GPIO_V2_LINE_SET_VALUES_IOCTL`): sets the logical values of the lines in the mask.
///
/// # Errors
/// `EPERM` for an input, `EINVAL` when the mask has none of the requested lines; otherwise
/// those of the chip's driver.
pub fn set_values(lines: BorrowedFd<'_>, mut values: LineValues) -> Result<(), Errno> {
    // SAFETY: the kernel reads one `gpio_v2_line_values`.
    unsafe { ioctl(lines, SET_VALUES, &raw mut values) }?;
    Ok(())
}

/// read(2) of edge events: returns how many were read, at most as many as `events` has room
/// for. Blocks until there is one.
///
/// # Errors
/// The kernel's: `EAGAIN` on a non-blocking descriptor, `ENODEV` when the chip
/// is gone.
pub fn read_events(fd: BorrowedFd<'_>, events: &mut [LineEvent]) -> Result<usize, Errno> {
    let capacity = size_of_val(events);
    // SAFETY: `capacity` bytes may be written to `events`, and any bytes make a
    // valid `LineEvent`, which holds nothing but integers.
    let read = unsafe { libc::read(fd.as_raw_fd(), events.as_mut_ptr().cast(), capacity) };
    let bytes = usize::try_from(read).map_err(|_| Errno::last())?;
    Ok(bytes / size_of::<LineEvent>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;
    use crate::sys::{Ready, wait_ready};
    use std::os::fd::AsFd;

    #[test]
    fn request_numbers_are_those_of_the_kernel_header() {
        assert_eq!(
            [
                GET_CHIP_INFO,
                GET_LINE_INFO,
                GET_LINE,
                GET_VALUES,
                SET_VALUES
            ],
            [
                0x8044_b401,
                0xc100_b405,
                0xc250_b407,
                0xc010_b40e,
                0xc010_b40f
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_gpio_chip_gives_enotty() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = chip_info(null.as_fd()).unwrap_err();
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
        assert_eq!(line_info(null.as_fd(), 3), Err(refused));
        assert_eq!(get_values(null.as_fd(), 1), Err(refused));
        assert_eq!(
            set_values(null.as_fd(), LineValues::default()),
            Err(refused)
        );
        let request = request_lines(null.as_fd(), &LineRequest::default());
        assert_eq!(request.err(), Some(refused));
    }

    #[test]
    fn events_are_read_whole_from_a_descriptor() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut bytes = [0; 96];
        bytes[..8].copy_from_slice(&77_u64.to_ne_bytes());
        bytes[8..12].copy_from_slice(&LineEvent::FALLING.to_ne_bytes());
        bytes[48 + 12..48 + 16].copy_from_slice(&5_u32.to_ne_bytes());
        assert_eq!(wait_ready(reader.as_fd(), Ready::Read, 0), Ok(false));
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
        assert_eq!(wait_ready(reader.as_fd(), Ready::Read, 0), Ok(true));
        let mut events = [LineEvent::default(); 4];
        assert_eq!(read_events(reader.as_fd(), &mut events), Ok(2));
        assert_eq!(
            (events[0].timestamp_ns, events[0].id),
            (77, LineEvent::FALLING)
        );
        assert_eq!(events[1].offset, 5);
    }
}
