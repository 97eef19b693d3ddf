//! Disturbances beside the firmware:
//!
//! - `stress spin MILLISECONDS` keeps a CPU busy at the priority of its start
//!   (`chrt -f 95`).
//! - `stress eat` allocates memory until the kernel kills it.
//! - `stress await FOLDER ENDING BYTES COUNT` waits until the folder has `COUNT` files of
//!   at least `BYTES` bytes whose names end with `ENDING`.

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::thread;

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
        ["await", folder, ending, bytes, count] => match (bytes.parse(), count.parse()) {
            (Ok(bytes), Ok(count)) => {
                while files(folder, ending, bytes) < count {
                    // Polls often, but leaves the CPU to the writer of the file.
                    thread::sleep(std::time::Duration::from_micros(20));
                }
                ExitCode::SUCCESS
            }
            _ => ExitCode::from(2),
        },
        _ => {
            eprintln!("stress spin MILLISECONDS | eat | await FOLDER ENDING BYTES COUNT");
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

fn files(folder: &str, ending: &str, bytes: u64) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let is_meant = |entry: &fs::DirEntry| {
        let named = entry.file_name().to_string_lossy().ends_with(ending);
        named && entry.metadata().is_ok_and(|data| data.len() >= bytes)
    };
    entries.flatten().filter(is_meant).count()
}

/// Step of the writes: a page that is never written is not allocated.
fn eat() -> ExitCode {
    const CHUNK: usize = 16 << 20;
    let mut eaten = Vec::new();
    loop {
        let mut chunk: Vec<u8> = Vec::with_capacity(CHUNK);
        chunk.resize(CHUNK, 1);
        eaten.push(black_box(chunk));
    }
}
