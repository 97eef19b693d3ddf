//! What else a board may have to run beside the firmware:
//!
//! - `trouble spin MILLISECONDS` keeps a CPU busy for so long, at the priority
//!   that it is started with (`chrt -f 95`).
//! - `trouble eat` takes memory until the kernel ends it.

use std::hint::black_box;
use std::process::ExitCode;

use steadfast::cycle::ports::Clock;
use steadfast::realtime::clock::Monotonic;
use steadfast::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["spin", milliseconds] => match milliseconds.parse() {
            Ok(milliseconds) => spin(Duration::from_millis(milliseconds)),
            Err(_) => ExitCode::from(2),
        },
        ["eat"] => eat(),
        _ => {
            eprintln!("trouble spin MILLISECONDS | eat");
            ExitCode::from(2)
        }
    }
}

fn spin(span: Duration) -> ExitCode {
    let clock = Monotonic;
    let end = clock.now() + span;
    while clock.now() < end {}
    ExitCode::SUCCESS
}

/// A page of each: what is never written to is never there.
fn eat() -> ExitCode {
    const CHUNK: usize = 16 << 20;
    let mut eaten = Vec::new();
    loop {
        let mut chunk: Vec<u8> = Vec::with_capacity(CHUNK);
        chunk.resize(CHUNK, 1);
        eaten.push(black_box(chunk));
    }
}
