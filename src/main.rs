//! The firmware: picks the command, nothing else.

use std::process::ExitCode;

use steadfast::realtime::allocator::SealedAllocator;

// A static binary alone: see there.
#[cfg(target_feature = "crt-static")]
#[expect(unsafe_code, reason = "a function under a name of the C library's")]
#[path = "sys/stack_bounds.rs"]
mod stack_bounds;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

fn main() -> ExitCode {
    steadfast::command::main(std::env::args_os().skip(1))
}
