//! The link thread: waits for all links, and hands their commands to the loop.
//!
//! An ordinary thread, below the loop: what a client sends, however much, takes time from other
//! ordinary threads only. It allocates nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::local::{Local, MAX_CLIENTS, Note};
use super::owner::Owners;
use crate::cycle::ports::Clock;
use crate::realtime::clock::Monotonic;
use crate::sys::local_socket::wait_any;
use crate::telemetry::say;

/// How often the thread looks whether the run has ended, ms.
const LOOK_MS: u16 = 100;

/// Serves the links until `done` is set. `watched` is the number of clients that read signals.
pub fn run(mut local: Local<'_>, mut owners: Owners<'_>, done: &AtomicBool, watched: &AtomicU32) {
    let mut entries = heapless::Vec::new();
    while !done.load(Ordering::Acquire) {
        local.wait_for(&mut entries);
        if let Err(errno) = wait_any(&mut entries, LOOK_MS) {
            say(format_args!(
                "steadfast: the links are closed: poll failed ({errno}); restart the controller"
            ));
            break;
        }
        local.serve(&entries, &mut owners, Monotonic.now(), log);
        owners.send();
        watched.store(local.clients() as u32, Ordering::Relaxed);
    }
    watched.store(0, Ordering::Relaxed);
}

fn log(note: Note) {
    match note {
        Note::Lost(client, groups) => say(format_args!(
            "steadfast: client {} is gone while it commanded {groups} groups; they stop",
            client.0
        )),
        Note::Deaf(client) => say(format_args!(
            "steadfast: client {} did not read its answers and was disconnected",
            client.0
        )),
        Note::Full => say(format_args!(
            "steadfast: a client was refused: there are {MAX_CLIENTS} already"
        )),
    }
}
