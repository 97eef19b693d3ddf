//! What the tests of steadfast share.
//!
//! For the tiers that boot emulated boards (`tests/board`, `tests/faults`,
//! `tests/deploy`, `benches/board`):
//!
//! ```text
//!  arguments       the command line of a tier
//!  host, context   what is found on this machine, and what a boot is given
//!  boards          the emulated boards, and where they fall short of hardware
//!  image, cpio     kernel, device tree and root file system of a boot
//!  emulator        a boot: what is in it, and how the emulator is called
//!  machine         the running emulator: process, console, pins
//!  pins, control   the emulator's test and control sockets
//!  fixed_encoder   an encoder that stands still, for runs that are about time
//!  load            what a guest's CPU is kept busy with
//!  own             the chips of a machine of one's own
//! ```
//!
//! For these and for the tests of the other packages: [`program`], what is started as a
//! user would; [`emulation`], tests that run under qemu-user; [`axes`], the simulated
//! board with several axes; [`baseline`], figures that were accepted once.

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
pub mod work;
