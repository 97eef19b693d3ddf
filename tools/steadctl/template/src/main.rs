//! The firmware of my-robot: `run`, `check`, `doctor` and `setup`.

use std::process::ExitCode;

use steadfast::realtime::allocator::SealedAllocator;

// Aborts if the loop allocates. Without it the contract is broken.
#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

steadfast::static_binary!();

fn main() -> ExitCode {
    my_robot::firmware().main()
}
