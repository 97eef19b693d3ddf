//! Sets a CAN interface up and down through rtnetlink(7), as `ip link set NAME up type can bitrate N`.

#![expect(
    unsafe_code,
    reason = "socket(2), send(2) and recv(2) of netlink, for which there is no safe interface"
)]

use std::io::{Error, Result};

const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_CAN_BITTIMING: u16 = 1;
/// Bytes of `struct can_bittiming`, which begins with the bit rate.
const TIMING_BYTES: usize = 32;

/// An attribute: length, type, payload, padded to four bytes.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + payload.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(crate) fn up(interface: &str, rate: u32) -> Result<()> {
    let index = steadfast::sys::can::interface_index(interface)?;
    let mut timing = [0; TIMING_BYTES];
    timing[..4].copy_from_slice(&rate.to_ne_bytes());
    let timing = attribute(IFLA_CAN_BITTIMING, &timing);
    let kind = attribute(IFLA_INFO_KIND, b"can");
    let data = attribute(IFLA_INFO_DATA, &timing);
    let info = attribute(IFLA_LINKINFO, &[kind, data].concat());
    // The driver takes the bit rate only while the interface is down, and the kernel hands it over
    // before it changes the flags of the same request.
    request(index, 0, &[])?;
    request(index, 0, &info)?;
    request(index, libc::IFF_UP as u32, &[])
}

pub(crate) fn down(interface: &str) -> Result<()> {
    let index = steadfast::sys::can::interface_index(interface)?;
    request(index, 0, &[])
}

/// `RTM_NEWLINK` for an existing interface.
fn request(index: u32, flags: u32, attributes: &[u8]) -> Result<()> {
    const HEADERS: usize = 32;
    let length = (HEADERS + attributes.len()) as u32;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(libc::RTM_NEWLINK.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    // Sequence, port; family and device type.
    message.extend([0; 12]);
    message.extend(index.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend((libc::IFF_UP as u32).to_ne_bytes());
    message.extend(attributes);
    let mut answer = [0_u8; 4096];
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
    // SAFETY: the kernel reads the length of `message` from it.
    let sent = unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), 0) };
    if fd < 0 || sent < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the kernel writes at most the length of `answer` to it. The descriptor is closed
    // once, and nothing else has it.
    let read = unsafe {
        let read = libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0);
        libc::close(fd);
        read
    };
    if read < 20 {
        return Err(Error::last_os_error());
    }
    // NLMSG_ERROR: a negative errno, 0 for success.
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        errno => Err(Error::from_raw_os_error(-errno)),
    }
}
