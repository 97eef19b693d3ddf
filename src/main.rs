//! The stock firmware. [`Firmware::main`] reads the command line and runs the command.

use std::process::ExitCode;

use steadfast::firmware::Firmware;
use steadfast::realtime::allocator::SealedAllocator;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

steadfast::static_binary!(no_resolver, no_backtrace);

fn main() -> ExitCode {
    Firmware::stock().main()
}
