//! What leaves the loop, and how people and programs read it.
//!
//! Records leave the loop through the [`ring`] alone; the [`reporter`] thread empties it. Ring,
//! live status and the last seconds are kept in the [`flight`] file, a file in memory that
//! outlives the process. After a fault a [`blackbox`] is made of it. A [`report`] is written at
//! the end of a run, as JSON for programs and as [`text`] for people. [`notify`] reports to the
//! service manager.

mod atomic;
pub mod blackbox;
pub mod changes;
pub mod flight;
pub mod forced;
pub mod journal;
mod json;
pub mod notify;
pub mod report;
pub mod reporter;
pub mod ring;
mod section;
pub mod seqlock;
pub mod text;
mod wake;
pub mod whole;

use core::fmt::Write;

use crate::sys::output;

/// `text` with its control characters escaped, so that an argument or a file name cannot end
/// the line or steer the terminal. Allocates.
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

/// How long a line waits for a terminal or pipe that does not accept output, ms.
const LINE_MS: u16 = 250;

/// Writes one line to standard error. Waits at most 250 ms for each 512 bytes and allocates
/// nothing.
///
/// A line that cannot be written is lost: a full disk behind standard error must not end a
/// controller (`eprintln!` panics), and a terminal under flow control or a pipe that is not
/// read must not block it.
pub fn say(line: core::fmt::Arguments<'_>) {
    let mut gathered = Gathered(heapless::Vec::new());
    let _ = writeln!(gathered, "{line}");
    gathered.flush();
}

/// Collects formatted pieces into as few writes as possible, so that lines of several threads
/// do not mix.
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
                // Each piece is at most as long as the empty buffer.
                let _ = self.0.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}
