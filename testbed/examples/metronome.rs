//! `metronome FILE MICROSECONDS`: toggles a pin periodically, so that guest time can be
//! counted from outside the board, independent of the firmware.
//!
//! `FILE` is the `value` of an output in `/sys/class/gpio`. Edges follow an absolute
//! schedule; a missed edge is made up at once, so that the count of edges is the time.
//! Start it at a priority above everything measured (`chrt -f 99`). It runs until it is
//! killed.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use steadfast::cycle::ports::Clock;
use steadfast::realtime::clock::Monotonic;
use steadfast::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_default();
    let period = arguments.next().and_then(|us| us.parse().ok());
    let Some(period) = period.filter(|us| *us > 0).map(Duration::from_micros) else {
        eprintln!("metronome FILE MICROSECONDS");
        return ExitCode::from(2);
    };
    let pin = match OpenOptions::new().write(true).open(&file) {
        Ok(pin) => pin,
        Err(error) => {
            eprintln!("metronome: '{file}': {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut clock = Monotonic;
    let mut next = clock.now();
    for value in [b"1", b"0"].into_iter().cycle() {
        next += period;
        clock.wait_until(next);
        if let Err(error) = pin.write_at(value, 0) {
            eprintln!("metronome: '{file}': {error}");
            break;
        }
    }
    ExitCode::FAILURE
}
