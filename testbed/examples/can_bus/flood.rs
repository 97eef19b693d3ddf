//! A talkative stranger on the bus.

use std::time::{Duration, Instant};

use steadfast::device::can::Can;

/// Bits of a frame with 8 bytes of data, without stuff bits.
const FRAME_BITS: u64 = 111;

/// Sends frames with this identifier for `time`, which take `percent` of the bus, and gives their
/// number. The data is an SDO request: upload 6064h. An emulated bus takes no time for a frame:
/// the pace is that of a real one.
pub(crate) fn run(
    can: &Can,
    rate: u32,
    id: u16,
    percent: u32,
    time: Duration,
) -> std::io::Result<u32> {
    let frame = Duration::from_nanos(FRAME_BITS * 1_000_000_000 / u64::from(rate));
    let period = frame * 100 / percent.max(1);
    let start = Instant::now();
    let mut sent = 0;
    let mut next = start;
    while next < start + time {
        sent += u32::from(can.send(id, &[0x40, 0x64, 0x60, 0, 0, 0, 0, 0])?);
        next += period;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(sent)
}
