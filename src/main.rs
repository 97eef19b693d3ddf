//! The firmware.
fn main() {}
