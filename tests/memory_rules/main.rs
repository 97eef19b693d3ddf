//! The rules of memory locking, and the modules that rely on them, tested on the running
//! kernel.
//!
//! Each rule runs in its own process ([`runner`]), because locks, limits and privileges
//! belong to the process. The program runs as root or as an unprivileged user, and needs
//! only `/proc`. A rule that cannot be judged is reported as not run, by name and reason.
//! Exit code 0 if no rule failed, else 1.
//!
//! ```text
//! memory_rules [--user ID] [FILTER]... [--list]
//! ```
//!
//! With `--user`, root becomes this user first, for boards without su(1).

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
