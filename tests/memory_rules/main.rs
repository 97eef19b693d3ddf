//! The rules of memory locking, and the parts that rest on them, tested against
//! the running kernel.
//!
//! Each rule runs in a process of its own, because a lock, a limit and a
//! dropped privilege are the whole process's: this program starts itself anew
//! for each ([`runner`]). It runs as root and as an ordinary user, in a sandbox
//! and on a board with nothing but `/proc`. What cannot be judged where it runs
//! is reported as not run, by name and with the reason, and never counts as
//! passed. Exit code 0 when nothing failed, 1 otherwise.
//!
//! ```text
//! memory_rules [--user ID] [FILTER]... [--list]
//! ```
//!
//! With `--user`, root becomes this user first: for a board that has no other
//! way to do so.

mod fork;
mod kernel;
mod limits;
mod locks;
mod parts;
mod runner;

use steadfast::realtime::allocator::SealedAllocator;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

fn main() -> std::process::ExitCode {
    let rules = [locks::RULES, fork::RULES, limits::RULES, parts::RULES];
    let helpers = [fork::HELPERS, limits::HELPERS, parts::HELPERS];
    runner::main(&rules.concat(), &helpers.concat())
}
