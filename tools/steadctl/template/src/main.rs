//! The firmware of my-robot: `run`, `check`, `doctor` and `setup`.

use std::process::ExitCode;

use steadfast::realtime::allocator::SealedAllocator;

// Aborts if the loop allocates; the contract names a firmware that lacks it.
#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

steadfast::static_binary!();

fn main() -> ExitCode {
    my_robot::firmware().main()
}
