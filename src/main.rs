//! The firmware: picks the command, nothing else.

use std::process::ExitCode;

use steadfast::realtime::allocator::SealedAllocator;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

fn main() -> ExitCode {
    steadfast::command::main(std::env::args_os().skip(1))
}
