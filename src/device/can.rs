//! A CAN interface: a non-blocking raw socket for the frames of one node.
//!
//! The interface is set up by the system (`ip link`); here its state and its bit rate are
//! compared with what the board file says, once, when it is opened. The kernel passes only the
//! wanted identifiers on, so the frames of strangers cost this process nothing. Sending and
//! receiving is one system call for each frame and allocates nothing.

use crate::sys::can::{self, CanFilter, CanFrame};
use crate::sys::{Errno, Ready, clock, wait_ready};
use crate::time::Duration;
use core::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most identifiers of [`Can::want`].
pub const MAX_WANTED: usize = 64;

/// The highest 11-bit identifier.
const MAX_ID: u32 = 0x7FF;

/// A frame does not wait for longer: an older stamp is that of a clock that was set.
const OLDEST: Duration = Duration::from_secs(1);

/// An open interface.
#[derive(Debug)]
pub struct Can {
    socket: OwnedFd,
}

/// What an interface delivers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A data or remote frame with an 11-bit identifier.
    Frame {
        /// The identifier.
        id: u16,
        /// Whether it is a remote frame.
        remote: bool,
        /// Data length, 0 to 8.
        len: u8,
        /// The data.
        data: [u8; 8],
    },
    /// The controller is bus-off.
    BusOff,
    /// The controller takes part again after bus-off.
    Restarted,
    /// The controller is error passive.
    Passive,
    /// The controller lost received frames.
    Overrun,
    /// The interface was set down or removed.
    Down,
}

/// Why an interface cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanError {
    /// The kernel has no CAN sockets.
    NoSockets(Errno),
    /// There is no such interface.
    Missing,
    /// The interface is of another kind.
    NotCan,
    /// The interface is down.
    Down,
    /// The interface has another bit rate.
    BitRate {
        /// That of the interface, bit/s.
        actual: u32,
        /// That of the board file, bit/s.
        expected: u32,
    },
    /// A system call failed.
    Kernel {
        /// The call.
        call: &'static str,
        /// Its error.
        errno: Errno,
    },
}

impl CanError {
    const fn kernel(call: &'static str, errno: Errno) -> Self {
        Self::Kernel { call, errno }
    }
}

impl fmt::Display for CanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSockets(errno) => write!(
                f,
                "the kernel has no CAN sockets ({errno}); load the modules can and can-raw, or \
                 enable CONFIG_CAN and CONFIG_CAN_RAW"
            ),
            Self::Missing => f.write_str(
                "the CAN interface does not exist; load its driver, and see the names with `ip link`",
            ),
            Self::NotCan => f.write_str("the interface is not a CAN interface; see `ip -d link`"),
            Self::Down => f.write_str(
                "the CAN interface is down; set it up with `ip link set NAME up type can bitrate \
                 RATE`",
            ),
            Self::BitRate { actual, expected } => write!(
                f,
                "the CAN interface has {actual} bit/s, and the board file {expected} bit/s; set \
                 one of them, an interface while it is down"
            ),
            Self::Kernel { call, errno } => write!(f, "{call}: {errno}"),
        }
    }
}

impl std::error::Error for CanError {}

impl Can {
    /// Opens `interface`, which must be up and have `bit_rate`, bit/s. No frame is received
    /// before [`Can::want`]. A virtual interface (vcan) has no bit rate.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(interface: &str, bit_rate: u32) -> Result<Self, CanError> {
        let socket = can::socket().map_err(|errno| match errno.0 {
            libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT => CanError::NoSockets(errno),
            _ => CanError::kernel("socket(AF_CAN)", errno),
        })?;
        let index = can::interface_index(interface).map_err(|errno| match errno.0 {
            libc::ENODEV => CanError::Missing,
            _ => CanError::kernel("if_nametoindex", errno),
        })?;
        let mut message = [0; 8192];
        let length = can::describe_interface(index, &mut message)
            .map_err(|errno| CanError::kernel("RTM_GETLINK", errno))?;
        check(message.get(..length).unwrap_or(&[]), bit_rate)?;
        let fd = socket.as_fd();
        can::set_filters(fd, &[])
            .map_err(|errno| CanError::kernel("setsockopt(CAN_RAW_FILTER)", errno))?;
        let errors = can::ERROR_BUS_OFF | can::ERROR_RESTARTED | can::ERROR_CONTROLLER;
        can::set_error_mask(fd, errors)
            .map_err(|errno| CanError::kernel("setsockopt(CAN_RAW_ERR_FILTER)", errno))?;
        can::bind(fd, index).map_err(|errno| CanError::kernel("bind(AF_CAN)", errno))?;
        // Frames have a stamp from now on; without one, their age is 0.
        let _ = can::stamp_ns(fd);
        Ok(Self { socket })
    }

    /// From now on receives these identifiers, as pairs of an identifier and the bits of it that
    /// are compared. Those beyond [`MAX_WANTED`] are not received.
    ///
    /// # Errors
    /// That of setsockopt(2).
    pub fn want(&self, wanted: impl Iterator<Item = (u16, u16)>) -> Result<(), Errno> {
        let mut filters = [CanFilter::default(); MAX_WANTED];
        let mut count = 0;
        for ((id, bits), filter) in wanted.zip(&mut filters) {
            *filter = CanFilter {
                id: u32::from(id),
                mask: u32::from(bits) & MAX_ID | can::EXTENDED,
            };
            count += 1;
        }
        can::set_filters(self.socket.as_fd(), &filters[..count])
    }

    /// The next frame or event; `None` when there is none. Never blocks.
    ///
    /// # Errors
    /// Those of read(2), except the end of the interface, which is [`Received::Down`].
    pub fn receive(&self) -> Result<Option<Received>, Errno> {
        loop {
            match can::receive(self.socket.as_fd()) {
                Ok(Some(frame)) => {
                    if let Some(received) = decode(&frame) {
                        return Ok(Some(received));
                    }
                }
                Ok(None) => return Ok(None),
                Err(Errno(libc::ENETDOWN | libc::ENODEV)) => return Ok(Some(Received::Down)),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// How long ago the kernel got the frame that was received last, from its stamp. Zero if
    /// the kernel gives no stamp, or the clock of the stamps was set meanwhile.
    pub fn age(&self) -> Duration {
        let stamp = can::stamp_ns(self.socket.as_fd()).unwrap_or(u64::MAX);
        let age = Duration::from_nanos(clock::realtime_ns().saturating_sub(stamp));
        if age > OLDEST { Duration::ZERO } else { age }
    }

    /// Sends a frame; `false` when the queue of the interface is full or the interface is down,
    /// so that it must be sent again. Never blocks.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn send(&self, id: u16, data: &[u8]) -> Result<bool, Errno> {
        let frame = CanFrame::new(u32::from(id) & MAX_ID, data);
        match can::send(self.socket.as_fd(), &frame) {
            Err(Errno(libc::ENETDOWN | libc::ENODEV | libc::ENXIO)) => Ok(false),
            answer => answer,
        }
    }

    /// Waits until there is something to receive, at most `timeout_ms`.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn wait(&self, timeout_ms: u16) -> Result<bool, Errno> {
        wait_ready(self.socket.as_fd(), Ready::Read, timeout_ms)
    }
}

impl AsFd for Can {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a frame of the kernel says; `None` for what is of no interest.
fn decode(frame: &CanFrame) -> Option<Received> {
    if frame.id & can::ERROR != 0 {
        if frame.id & can::ERROR_BUS_OFF != 0 {
            return Some(Received::BusOff);
        }
        if frame.id & can::ERROR_RESTARTED != 0 {
            return Some(Received::Restarted);
        }
        if frame.id & can::ERROR_CONTROLLER != 0 {
            let state = frame.data[1];
            if state & can::CONTROLLER_RX_OVERFLOW != 0 {
                return Some(Received::Overrun);
            }
            if state & can::CONTROLLER_PASSIVE != 0 {
                return Some(Received::Passive);
            }
        }
        return None;
    }
    if frame.id & can::EXTENDED != 0 || frame.len > 8 {
        return None;
    }
    Some(Received::Frame {
        id: (frame.id & MAX_ID) as u16,
        remote: frame.id & can::REMOTE != 0,
        len: frame.len,
        data: frame.data,
    })
}

/// Compares the answer to `RTM_GETLINK` with what is expected.
fn check(message: &[u8], bit_rate: u32) -> Result<(), CanError> {
    // struct nlmsghdr and struct ifinfomsg.
    const KIND: usize = 4;
    const DEVICE_TYPE: usize = 18;
    const FLAGS: usize = 24;
    const HEADER: usize = 32;
    /// `ARPHRD_CAN`.
    const CAN: u16 = 280;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_INFO_DATA: u16 = 2;
    /// `IFLA_CAN_BITTIMING`: begins with the bit rate.
    const IFLA_CAN_BITTIMING: u16 = 1;

    if half(message, KIND) != Some(libc::RTM_NEWLINK) {
        return Err(CanError::kernel("RTM_GETLINK", Errno(libc::EPROTO)));
    }
    if half(message, DEVICE_TYPE) != Some(CAN) {
        return Err(CanError::NotCan);
    }
    if word(message, FLAGS).unwrap_or(0) & libc::IFF_UP as u32 == 0 {
        return Err(CanError::Down);
    }
    let attributes = message.get(HEADER..).unwrap_or(&[]);
    let info = attribute(attributes, IFLA_LINKINFO).unwrap_or(&[]);
    let kind = attribute(info, IFLA_INFO_KIND).unwrap_or(&[]);
    if kind.starts_with(b"vcan\0") {
        return Ok(());
    }
    let data = attribute(info, IFLA_INFO_DATA).unwrap_or(&[]);
    let timing = attribute(data, IFLA_CAN_BITTIMING).unwrap_or(&[]);
    let actual = word(timing, 0).unwrap_or(0);
    if actual != bit_rate {
        return Err(CanError::BitRate {
            actual,
            expected: bit_rate,
        });
    }
    Ok(())
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// The payload of the attribute `wanted` (struct rtattr: length and type, then the payload,
/// padded to four bytes).
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    const HEADER: usize = 4;
    /// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    const FLAGS: u16 = 0xC000;
    loop {
        let length = usize::from(half(rest, 0)?);
        let kind = half(rest, 2)? & !FLAGS;
        let payload = rest.get(HEADER..length)?;
        if kind == wanted {
            return Some(payload);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((payload.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// The answer for an interface: its device type, flags, kind, and bit rate.
    fn answer(device_type: u16, flags: u32, kind: &[u8], bit_rate: u32) -> Vec<u8> {
        let mut message = vec![0; 32];
        message[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        message[18..20].copy_from_slice(&device_type.to_ne_bytes());
        message[24..28].copy_from_slice(&flags.to_ne_bytes());
        // IFLA_IFNAME, then IFLA_LINKINFO.
        message.extend(one(3, b"can0\0"));
        let mut timing = [0; 32];
        timing[..4].copy_from_slice(&bit_rate.to_ne_bytes());
        // IFLA_CAN_CLOCK before IFLA_CAN_BITTIMING.
        let data = [one(3, &[0; 4]), one(1, &timing)].concat();
        let info = [one(1, kind), one(0x8002, &data)].concat();
        message.extend(one(18, &info));
        message
    }

    const UP: u32 = 0x41;

    #[test]
    fn an_interface_that_is_up_with_the_bit_rate_is_taken() {
        assert_eq!(check(&answer(280, UP, b"can\0", 500_000), 500_000), Ok(()));
        assert_eq!(check(&answer(280, UP, b"vcan\0", 0), 500_000), Ok(()));
    }

    #[test]
    fn an_interface_that_does_not_fit_is_refused_with_the_reason() {
        let down = check(&answer(280, 0, b"can\0", 500_000), 500_000);
        assert_eq!(down, Err(CanError::Down));
        let other = check(&answer(1, UP, b"veth\0", 0), 500_000);
        assert_eq!(other, Err(CanError::NotCan));
        let rate = check(&answer(280, UP, b"can\0", 250_000), 500_000);
        let (actual, expected) = (250_000, 500_000);
        assert_eq!(rate, Err(CanError::BitRate { actual, expected }));
    }

    #[test]
    fn a_damaged_answer_is_refused() {
        let whole = answer(280, UP, b"can\0", 500_000);
        for length in 0..whole.len() {
            assert!(check(&whole[..length], 500_000).is_err(), "{length}");
        }
        let mut endless = whole.clone();
        endless[32..34].copy_from_slice(&0_u16.to_ne_bytes());
        assert!(check(&endless, 500_000).is_err());
    }

    #[test]
    fn frames_and_errors_of_the_kernel_are_told_apart() {
        let frame = decode(&CanFrame::new(0x605, &[1, 2]));
        let expected = Received::Frame {
            id: 0x605,
            remote: false,
            len: 2,
            data: [1, 2, 0, 0, 0, 0, 0, 0],
        };
        assert_eq!(frame, Some(expected));
        assert_eq!(decode(&CanFrame::new(can::EXTENDED | 0x605, &[])), None);
        let error = |class, state| decode(&CanFrame::new(can::ERROR | class, &[0, state]));
        assert_eq!(error(can::ERROR_BUS_OFF, 0), Some(Received::BusOff));
        assert_eq!(error(can::ERROR_RESTARTED, 0), Some(Received::Restarted));
        assert_eq!(error(can::ERROR_CONTROLLER, 0x20), Some(Received::Passive));
        assert_eq!(error(can::ERROR_CONTROLLER, 0x01), Some(Received::Overrun));
        assert_eq!(error(can::ERROR_CONTROLLER, 0x04), None, "a warning");
    }

    /// Without CAN in the kernel, or without the interface, one line says what to do.
    #[test]
    fn a_machine_without_the_interface_gives_one_clear_line() {
        let error = Can::open("nocan7", 500_000).unwrap_err();
        let text = error.to_string();
        match error {
            CanError::NoSockets(errno) => {
                assert_eq!(errno, Errno(libc::EAFNOSUPPORT));
                assert_eq!(
                    text,
                    "the kernel has no CAN sockets (EAFNOSUPPORT); load the modules can and \
                     can-raw, or enable CONFIG_CAN and CONFIG_CAN_RAW"
                );
            }
            error => assert_eq!(error, CanError::Missing),
        }
        assert!(!text.contains('\n'));
    }
}
