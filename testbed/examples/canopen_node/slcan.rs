//! The text protocol of serial CAN adapters.

use std::io::Write;
use std::net::TcpStream;

use steadfast::link::canopen::{Frame, Outbox};

/// Sends and empties `out`.
pub(crate) fn send(stream: &mut TcpStream, out: &mut Outbox) -> std::io::Result<()> {
    let mut text = String::new();
    while let Some(frame) = out.pop_front() {
        text += &format!("t{:03X}{}", frame.id(), frame.len());
        for byte in frame.data() {
            text += &format!("{byte:02X}");
        }
        text.push('\r');
    }
    stream.write_all(text.as_bytes())
}

/// A frame: `tIIILDD...` with data, `rIIIL` without; other commands set up the adapter.
pub(crate) fn parse(line: &[u8]) -> Option<Frame> {
    let text = std::str::from_utf8(line).ok()?;
    let id = u16::from_str_radix(text.get(1..4)?, 16).ok()?;
    let len: u8 = text.get(4..5)?.parse().ok()?;
    match text.get(..1)? {
        "t" => {
            let byte = |at: usize| text.get(at..at + 2);
            let digits = (0..usize::from(len)).map(|number| byte(5 + 2 * number));
            let data: Option<Vec<u8>> = digits
                .map(|digits| u8::from_str_radix(digits?, 16).ok())
                .collect();
            Frame::new(id, &data?)
        }
        "r" => Frame::remote(id, len),
        _ => None,
    }
}
