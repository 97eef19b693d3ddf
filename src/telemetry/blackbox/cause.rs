//! The cause of death that a dead process wrote, as text.

use core::fmt::Write as _;

use crate::realtime::audit::Promises;
use crate::sys::cause::{DEVICE, Kind, NOT_FINITE, NOTE_BYTES};
use crate::telemetry::flight::number;

/// Length of a cause in a flight file, bytes: time of the last cycle (8), kind (4), detail (4),
/// address (8), time (8), note (128), as in [`Cell`](crate::sys::cause::Cell).
pub const CAUSE_BYTES: usize = 32 + NOTE_BYTES;

/// The text of one cause.
pub type Message = heapless::String<320>;

/// The text of the cause in `bytes`. Any bytes give a text; missing bytes count as zero.
/// Allocates nothing.
#[must_use]
pub fn describe(bytes: &[u8]) -> Message {
    let mut all = [0; CAUSE_BYTES];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = *from;
    }
    let what = number(&all, 8);
    let (kind, detail) = (what as u32, (what >> 32) as u32);
    let address = number(&all, 16);
    let mut message = Message::new();
    // What exceeds the capacity is cut off.
    let _ = match Kind::from_number(kind) {
        None if kind == 0 => {
            message.write_str("no cause written: the process was killed, or memory ran out")
        }
        None if kind == u32::MAX => {
            message.write_str("no complete cause written: the process died while it wrote one")
        }
        None => write!(
            message,
            "a cause of a newer version, number {kind}, detail {detail}"
        ),
        Some(kind) => write_message(&mut message, kind, detail, address),
    };
    let note = &all[32..];
    let end = note.iter().position(|byte| *byte == 0);
    let note = note[..end.unwrap_or(note.len())].utf8_chunks();
    for (index, chunk) in note.enumerate() {
        let _ = message.write_str(if index == 0 { ": " } else { "?" });
        let _ = message.write_str(chunk.valid());
    }
    message
}

fn write_message(
    message: &mut Message,
    kind: Kind,
    detail: u32,
    address: u64,
) -> core::fmt::Result {
    match kind {
        Kind::Finished => message.write_str("finished, but killed before the process had ended"),
        Kind::Stopped => write!(
            message,
            "stopped by signal {detail}, but killed before the process had ended"
        ),
        Kind::Refused => message.write_str("contract refused"),
        Kind::LawFault => write!(message, "the control law reports fault {detail}"),
        Kind::Overrun => write!(message, "too many missed deadlines (bucket at {detail})"),
        Kind::OutputFailed if detail & NOT_FINITE != 0 => write!(
            message,
            "the control law's command {} was not finite",
            detail & 0xFF
        ),
        Kind::OutputFailed | Kind::NotSafe if detail & DEVICE != 0 => {
            write!(message, "device {} could not be driven", detail & 0xFF)
        }
        Kind::OutputFailed => write!(message, "outputs could not be written ({detail})"),
        Kind::Allocated => message.write_str("memory was allocated on the real-time thread"),
        Kind::NotAtRest => message.write_str("not at rest in the time allowed"),
        Kind::NotSafe => write!(message, "the outputs could not be made safe ({detail})"),
        Kind::Stalled => write!(message, "the loop finished no cycle for {detail} us"),
        Kind::Signal => write!(message, "signal {detail} at {address:#x}"),
        Kind::StackOverrun => write!(message, "real-time stack of {detail} bytes overrun"),
        Kind::Panic => message.write_str("panic"),
        Kind::Interrupted => message.write_str("interrupted twice"),
        Kind::PromiseBroken => {
            let broken = Promises::from_bits(detail as u16);
            write!(message, "contract broken while running: {broken}")
        }
        Kind::DeviceLost => {
            let what = match detail >> 8 {
                1 => "analog input",
                2 => "analog output",
                4 | 5 => "device",
                _ => "monitored analog output",
            };
            write!(message, "{what} {} was lost", detail & 0xFF)
        }
    }
}
