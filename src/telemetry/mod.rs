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

/// Writes one line to standard error. One that cannot be written is lost: a full
/// disk behind it must not end a controller (`eprintln!` panics).
pub fn say(line: core::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
