//! What leaves the loop, and what people and programs see of it.
//!
//! The one way out of the loop is the [`ring`]; the [`reporter`] thread empties
//! it. Ring, live status and the last seconds stand in a file in memory, the
//! [`flight`] file, which outlives the process; a [`blackbox`] is made of it
//! when something went wrong. The [`report`] is what a run leaves behind, for
//! programs as JSON, for people as [`text`]. The service manager is told by
//! [`notify`].

mod atomic;
pub mod blackbox;
pub mod flight;
pub mod journal;
mod json;
pub mod notify;
pub mod report;
pub mod reporter;
pub mod ring;
pub mod seqlock;
pub mod text;

use core::fmt::Write;

use crate::sys::output;

/// `text` with everything escaped that would end the line or steer a terminal:
/// arguments, file names and files can hold anything.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// How long a line waits for a terminal or a pipe that takes nothing, ms.
const LINE_MS: u16 = 250;

/// Writes one line to standard error. One that cannot be written is lost: a full
/// disk behind it must not end a controller (`eprintln!` panics), nor may a terminal
/// under flow control or a pipe whose reader stands still hold one up. Allocates
/// nothing.
pub fn say(line: core::fmt::Arguments<'_>) {
    let mut gathered = Gathered(heapless::Vec::new());
    let _ = writeln!(gathered, "{line}");
    gathered.flush();
}

/// Gathers what is formatted piece by piece into as few writes as possible, so that
/// lines of several threads do not mix.
struct Gathered(heapless::Vec<u8, 512>);

impl Gathered {
    fn flush(&mut self) {
        let _ = output::stderr().write_all(&self.0, LINE_MS);
        self.0.clear();
    }
}

impl Write for Gathered {
    fn write_str(&mut self, piece: &str) -> core::fmt::Result {
        for bytes in piece.as_bytes().chunks(self.0.capacity()) {
            if self.0.extend_from_slice(bytes).is_err() {
                self.flush();
                // There is room now for any of these.
                let _ = self.0.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}
