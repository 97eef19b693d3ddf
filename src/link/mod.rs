//! Links: commands from outside, and signals for others to read.
//!
//! A link turns what comes from outside into command signals
//! ([`received`](crate::cycle::received)), and signals into status. All links run on one helper
//! thread below the loop's priority ([`server`]); the loop never waits for it:
//!
//! - [`mailbox`] hands commands to the loop, which looks once in a cycle, without a wait and
//!   without a retry.
//! - [`frames`] has the signals of the last cycles in memory that other processes read.
//! - [`owner`] decides who may command: each group of commands has one owner at a time.
//! - [`parameters`] are the values of control laws that clients may change; [`saved`] keeps them
//!   for the next start.
//! - [`force`] hands values to the loop that override signals for a limited time.
//! - [`local`] is the link for programs on the same machine, over a Unix socket.
//! - [`can`] is the link for a master on a CAN bus: the CANopen node [`canopen`] with a CiA 402
//!   drive for each axis.
//!
//! Nothing here allocates while the loop runs.

pub mod can;
pub mod canopen;
pub mod force;
pub mod frames;
pub mod local;
pub mod mailbox;
pub mod owner;
pub mod parameters;
pub mod protocol;
pub mod saved;
pub mod server;
