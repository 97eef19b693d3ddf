//! The only unsafe code: each system call and each ioctl once, typed.
//!
//! Nothing here decides anything. A function is a call with its arguments made
//! into types, its result made into a `Result`, and its man page named. Which
//! calls are made, when, and what a refusal means stands in `realtime` and
//! `device`.
//!
//! What needs `unsafe` for another reason than a call stands here too: the
//! static stack ([`stack`]), the counting allocator ([`alloc`]) and the signal
//! handlers ([`fault`], [`signal`]).
#![expect(
    unsafe_code,
    reason = "system calls, signal handlers, the static stack and the global allocator; all of it is in this folder"
)]

pub mod alloc;
pub mod cause;
pub mod clock;
pub mod emergency;
mod errno;
pub mod fault;
pub mod gpio;
mod ioctl;
pub mod lane;
pub mod limits;
pub mod memory;
pub mod process;
pub mod sched;
pub mod shared;
pub mod signal;
pub mod spi;
pub mod stack;
pub mod unused_stack;
pub mod unwind_tables;
pub mod watchdog;

pub use errno::Errno;

/// `Ok` for a call that answers 0, the error number for one that answers -1.
pub(crate) fn check(answer: libc::c_int) -> Result<(), Errno> {
    if answer == 0 {
        Ok(())
    } else {
        Err(Errno::last())
    }
}

/// Writes `text` to standard error in one write(2), and gives up on an error:
/// for signal handlers, where nothing else may be called (signal-safety(7)).
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: the pointer and the length are those of one live slice.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}
