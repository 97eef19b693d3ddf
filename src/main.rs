//! The firmware: picks the command, nothing else.

use std::process::ExitCode;

use steadfast::firmware::Firmware;
use steadfast::realtime::allocator::SealedAllocator;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

steadfast::static_binary!();

fn main() -> ExitCode {
    Firmware::stock().main()
}
