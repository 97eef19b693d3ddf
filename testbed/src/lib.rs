//! Shared code of the tests of steadfast.
//!
//! For the tiers that boot emulated boards (`tests/board`, `tests/faults`,
//! `tests/deploy`, `benches/board`):
//!
//! ```text
//!  arguments       the command line of a tier
//!  host, context   kernels, tools and programs of this machine; state of a boot
//!  boards          the emulated boards, and their differences from the hardware
//!  tree            the device tree of a board, changed for the emulator
//!  image, cpio     kernel, device tree and root file system of a boot
//!  emulator        a boot: its content, and the call of the emulator
//!  machine         the running emulator: process, console, pins
//!  pins, control   the emulator's test and control sockets
//!  fixed_encoder   an encoder with a constant position, for measurements of time
//!  load            the load of a guest's CPU
//!  own             the chips of the own machine of the fault campaign
//! ```
//!
//! For all tests: [`program`] starts programs as a user does; [`emulation`] detects
//! qemu-user; [`axes`] makes the simulated board with several axes; [`baseline`] compares
//! figures with accepted ones.

pub mod arguments;
pub mod axes;
pub mod baseline;
pub mod boards;
pub mod context;
pub mod control;
pub mod cpio;
pub mod emulation;
pub mod emulator;
pub mod failure;
pub mod fixed_encoder;
pub mod host;
pub mod image;
pub mod load;
pub mod machine;
pub mod own;
pub mod pins;
pub mod program;
pub mod tree;
pub mod work;
