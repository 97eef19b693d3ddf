//! `linux/can.h` and `linux/can/raw.h`: raw CAN sockets; `linux/rtnetlink.h`: an interface's
//! description.
//!
//! See Documentation/networking/can.rst in the kernel's sources, socket(7), netlink(7) and
//! rtnetlink(7).

use super::ioctl::{Request, ioctl, ior};
use super::{Errno, check};
use core::mem::offset_of;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `CAN_EFF_FLAG`: a 29-bit identifier.
pub const EXTENDED: u32 = 0x8000_0000;
/// `CAN_RTR_FLAG`: a remote frame.
pub const REMOTE: u32 = 0x4000_0000;
/// `CAN_ERR_FLAG`: a message of the driver about an error, not a frame of the bus.
pub const ERROR: u32 = 0x2000_0000;
/// `CAN_ERR_CRTL`: the state of the controller, in byte 1.
pub const ERROR_CONTROLLER: u32 = 0x0000_0004;
/// `CAN_ERR_BUSOFF`.
pub const ERROR_BUS_OFF: u32 = 0x0000_0040;
/// `CAN_ERR_RESTARTED`: after bus-off.
pub const ERROR_RESTARTED: u32 = 0x0000_0100;
/// `CAN_ERR_CRTL_RX_OVERFLOW`, in byte 1.
pub const CONTROLLER_RX_OVERFLOW: u8 = 0x01;
/// `CAN_ERR_CRTL_RX_PASSIVE | CAN_ERR_CRTL_TX_PASSIVE`, in byte 1.
pub const CONTROLLER_PASSIVE: u8 = 0x30;

/// `CAN_RAW` and options of `SOL_CAN_RAW`.
const CAN_RAW: libc::c_int = 1;
const SOL_CAN_RAW: libc::c_int = 101;
const OPTION_FILTER: libc::c_int = 1;
const OPTION_ERROR_MASK: libc::c_int = 2;

/// Most filters of one socket (`CAN_RAW_FILTER_MAX`).
pub const MAX_FILTERS: usize = 512;

/// `struct can_frame`.
#[repr(C, align(8))]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct CanFrame {
    /// Identifier and the flags [`EXTENDED`], [`REMOTE`], [`ERROR`].
    pub id: u32,
    /// Data length, 0 to 8.
    pub len: u8,
    reserved: [u8; 3],
    /// The data.
    pub data: [u8; 8],
}

const _: () = {
    assert!(size_of::<CanFrame>() == 16);
    assert!(offset_of!(CanFrame, data) == 8);
};

impl CanFrame {
    /// A frame of the first 8 bytes of `data`.
    #[must_use]
    pub fn new(id: u32, data: &[u8]) -> Self {
        let mut frame = Self {
            id,
            len: data.len().min(8) as u8,
            ..Self::default()
        };
        for (to, from) in frame.data.iter_mut().zip(data) {
            *to = *from;
        }
        frame
    }
}

/// `struct can_filter`: a frame passes if `(frame & mask) == (id & mask)`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct CanFilter {
    /// Identifier and flags.
    pub id: u32,
    /// The bits that are compared.
    pub mask: u32,
}

fn owned(answer: libc::c_int) -> Result<OwnedFd, Errno> {
    if answer < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel has just created this descriptor for this call, so it has no other
    // owner.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// socket(`AF_CAN`, `SOCK_RAW`, `CAN_RAW`): a non-blocking socket that is closed by exec.
///
/// # Errors
/// `EAFNOSUPPORT` when the kernel has no CAN, `EPROTONOSUPPORT` when it has no raw sockets.
pub fn socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    owned(unsafe { libc::socket(libc::AF_CAN, kind, CAN_RAW) })
}

/// if_nametoindex(3).
///
/// # Errors
/// `ENODEV` when there is no such interface, `EINVAL` for a name with a zero byte.
pub fn interface_index(name: &str) -> Result<u32, Errno> {
    let name = CString::new(name).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: `name` is a live string that ends in a zero.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Errno::last()),
        index => Ok(index),
    }
}

/// bind(2) of a CAN socket to an interface.
///
/// # Errors
/// `ENODEV` when the interface is gone or is not a CAN interface.
pub fn bind(fd: BorrowedFd<'_>, interface: u32) -> Result<(), Errno> {
    /// `struct sockaddr_can`.
    #[repr(C)]
    struct Address {
        family: libc::sa_family_t,
        interface: libc::c_int,
        unused: [u64; 2],
    }
    let address = Address {
        family: libc::AF_CAN as libc::sa_family_t,
        interface: interface as libc::c_int,
        unused: [0; 2],
    };
    let len = size_of::<Address>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of `address`.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })
}

/// setsockopt(`SOL_CAN_RAW`, `CAN_RAW_FILTER`): only these frames are received from now on.
///
/// # Errors
/// `EINVAL` for more than [`MAX_FILTERS`], `ENOMEM`.
pub fn set_filters(fd: BorrowedFd<'_>, filters: &[CanFilter]) -> Result<(), Errno> {
    let len = size_of_val(filters) as libc::socklen_t;
    let pointer = filters.as_ptr().cast();
    // SAFETY: the kernel reads `len` bytes of the slice.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), SOL_CAN_RAW, OPTION_FILTER, pointer, len) })
}

/// setsockopt(`SOL_CAN_RAW`, `CAN_RAW_ERR_FILTER`): which errors are reported as frames with
/// [`ERROR`].
///
/// # Errors
/// `ENODEV` when the interface is gone.
pub fn set_error_mask(fd: BorrowedFd<'_>, mask: u32) -> Result<(), Errno> {
    let len = size_of::<u32>() as libc::socklen_t;
    let pointer = (&raw const mask).cast();
    // SAFETY: the kernel reads four bytes of `mask`.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), SOL_CAN_RAW, OPTION_ERROR_MASK, pointer, len) })
}

/// read(2) of one frame; `None` when none is waiting. Never blocks.
///
/// # Errors
/// `ENETDOWN` once when the interface went down, `ENODEV` when it is gone.
pub fn receive(fd: BorrowedFd<'_>) -> Result<Option<CanFrame>, Errno> {
    let mut frame = CanFrame::default();
    let len = size_of::<CanFrame>();
    // SAFETY: the kernel writes at most `len` bytes to `frame`, and any bytes make a valid
    // frame, which holds nothing but integers.
    let read = unsafe { libc::read(fd.as_raw_fd(), (&raw mut frame).cast(), len) };
    match usize::try_from(read) {
        Ok(read) if read == len => Ok(Some(frame)),
        Ok(_) => Err(Errno(libc::EPROTO)),
        Err(_) => match Errno::last() {
            Errno(libc::EAGAIN | libc::EINTR) => Ok(None),
            error => Err(error),
        },
    }
}

/// ioctl(`SIOCGSTAMPNS`): the time of `CLOCK_REALTIME`, ns, at which the kernel got the frame that
/// was read last; before the first frame, the present time. The kernel stamps frames from the
/// first call on.
///
/// # Errors
/// `ENOENT` for a frame without a stamp, `ENOTTY` before Linux 5.1 and of another socket.
pub fn stamp_ns(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    /// `SIOCGSTAMPNS_NEW` of linux/sockios.h: seconds and nanoseconds, 64 bits each on every
    /// target.
    const GET_STAMP: Request = ior::<[i64; 2]>(0x89, 7);
    let mut stamp = [0_i64; 2];
    // SAFETY: the kernel writes the two numbers to `stamp`.
    unsafe { ioctl(fd, GET_STAMP, &raw mut stamp) }?;
    let [seconds, ns] = stamp.map(|part| part as u64);
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(ns))
}

/// write(2) of one frame; `false` when the queue of the interface is full. Never blocks.
///
/// # Errors
/// `ENETDOWN` while the interface is down, `ENXIO` and `ENODEV` when it is gone.
pub fn send(fd: BorrowedFd<'_>, frame: &CanFrame) -> Result<bool, Errno> {
    let len = size_of::<CanFrame>();
    // SAFETY: the kernel reads `len` bytes of `frame`, which has no padding.
    let written = unsafe { libc::write(fd.as_raw_fd(), (&raw const *frame).cast(), len) };
    if written >= 0 {
        return Ok(true);
    }
    match Errno::last() {
        Errno(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => Ok(false),
        error => Err(error),
    }
}

/// rtnetlink(7): copies the kernel's answer to `RTM_GETLINK` for an interface to `answer`, and
/// returns its length.
///
/// # Errors
/// `EMSGSIZE` when it is longer than `answer`; those of socket(2), send(2) and recv(2).
pub fn describe_interface(interface: u32, answer: &mut [u8]) -> Result<usize, Errno> {
    /// `struct nlmsghdr` and `struct ifinfomsg`.
    #[repr(C)]
    struct Request {
        length: u32,
        kind: u16,
        flags: u16,
        sequence: u32,
        port: u32,
        family: u8,
        padding: u8,
        device_type: u16,
        index: u32,
        interface_flags: u32,
        change: u32,
    }
    const LENGTH: usize = size_of::<Request>();
    const _: () = assert!(LENGTH == 32);
    let request = Request {
        length: LENGTH as u32,
        kind: libc::RTM_GETLINK,
        flags: libc::NLM_F_REQUEST as u16,
        sequence: 1,
        port: 0,
        family: libc::AF_UNSPEC as u8,
        padding: 0,
        device_type: 0,
        index: interface,
        interface_flags: 0,
        change: 0,
    };
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = owned(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
    // SAFETY: the kernel reads `LENGTH` bytes of `request`, which has no padding.
    let sent = unsafe { libc::send(fd.as_raw_fd(), (&raw const request).cast(), LENGTH, 0) };
    if sent < 0 {
        return Err(Errno::last());
    }
    // MSG_TRUNC: the result is the length of the message even if it is longer than the buffer.
    // SAFETY: the kernel writes at most `answer.len()` bytes to the slice.
    let read = unsafe {
        libc::recv(
            fd.as_raw_fd(),
            answer.as_mut_ptr().cast(),
            answer.len(),
            libc::MSG_TRUNC,
        )
    };
    let read = usize::try_from(read).map_err(|_| Errno::last())?;
    if read > answer.len() {
        return Err(Errno(libc::EMSGSIZE));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn frames_and_filters_have_the_layout_of_the_kernel_header() {
        assert_eq!(size_of::<CanFilter>(), 8);
        let frame = CanFrame::new(0x181, &[1, 2]);
        assert_eq!((frame.id, frame.len, frame.data[1]), (0x181, 2, 2));
    }

    #[test]
    fn a_frame_is_read_whole_from_a_descriptor_and_a_part_is_an_error() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut bytes = [0; 18];
        bytes[..4].copy_from_slice(&0x601_u32.to_ne_bytes());
        bytes[4] = 1;
        bytes[8] = 0x40;
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
        let frame = receive(reader.as_fd()).unwrap().unwrap();
        assert_eq!(frame, CanFrame::new(0x601, &[0x40]));
        assert_eq!(receive(reader.as_fd()), Err(Errno(libc::EPROTO)));
    }

    #[test]
    fn a_frame_is_written_whole() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let frame = CanFrame::new(0x181, &[7]);
        assert_eq!(send(writer.as_fd(), &frame), Ok(true));
        let mut bytes = [0xFF; 16];
        std::io::Read::read_exact(&mut reader, &mut bytes).unwrap();
        assert_eq!(bytes[..4], 0x181_u32.to_ne_bytes());
        assert_eq!(bytes[4..], [1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_interface_is_found_and_described_and_a_missing_one_is_not() {
        assert_eq!(interface_index("no such"), Err(Errno(libc::ENODEV)));
        assert_eq!(interface_index("a\0b"), Err(Errno(libc::EINVAL)));
        let index = interface_index("lo").unwrap();
        let mut answer = [0; 8192];
        let length = describe_interface(index, &mut answer).unwrap();
        let kind = u16::from_ne_bytes([answer[4], answer[5]]);
        assert!(length > 32 && kind == libc::RTM_NEWLINK);
        assert_eq!(
            describe_interface(index, &mut [0; 16]),
            Err(Errno(libc::EMSGSIZE))
        );
    }

    /// On a kernel without CAN the error of socket(2) is the one that messages explain; with
    /// CAN, a socket can be filtered and bound to no other interface.
    #[test]
    fn a_kernel_without_can_refuses_the_socket_with_eafnosupport() {
        let socket = match socket() {
            Err(error) => {
                assert_eq!(error, Errno(libc::EAFNOSUPPORT));
                return;
            }
            Ok(socket) => socket,
        };
        let filters = [CanFilter { id: 0, mask: 0x7FF }];
        assert_eq!(set_filters(socket.as_fd(), &filters), Ok(()));
        assert_eq!(set_error_mask(socket.as_fd(), ERROR_BUS_OFF), Ok(()));
        let index = interface_index("lo").unwrap();
        assert_eq!(bind(socket.as_fd(), index), Err(Errno(libc::ENODEV)));
    }
}
