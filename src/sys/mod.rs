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

use std::os::fd::{AsRawFd, BorrowedFd};

/// `Ok` for a call that answers 0, the error number for one that answers -1.
pub(crate) fn check(answer: libc::c_int) -> Result<(), Errno> {
    if answer == 0 {
        Ok(())
    } else {
        Err(Errno::last())
    }
}

/// What a descriptor is waited for to take or to give, by poll(2).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Something to read.
    Read,
    /// Room to write: in a pipe for `PIPE_BUF` bytes (pipe(7)).
    Write,
}

/// poll(2): whether `fd` is ready within `timeout_ms`, for `ready` or to say that it
/// never will be. Async-signal-safe.
///
/// # Errors
/// The kernel's: `EINTR` when a signal came first.
pub fn wait_ready(fd: BorrowedFd<'_>, ready: Ready, timeout_ms: u16) -> Result<bool, Errno> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: match ready {
            Ready::Read => libc::POLLIN,
            Ready::Write => libc::POLLOUT,
        },
        revents: 0,
    };
    // SAFETY: one `pollfd`, and a count of one.
    match unsafe { libc::poll(&raw mut poll, 1, i32::from(timeout_ms)) } {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::last()),
    }
}

/// How long standard error may keep those waiting who are about to end the process,
/// ms: a serial line at 115,200 baud moves 115 bytes meanwhile.
const STDERR_MS: u16 = 10;

/// Whether standard error takes a line without blocking: a pipe whose reader stands
/// still would hold up the end of the process for ever. Async-signal-safe.
pub(crate) fn stderr_has_room() -> bool {
    // SAFETY: nobody closes descriptor 2, and if somebody did, poll(2) says that
    // writing to it does not block.
    let stderr = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };
    wait_ready(stderr, Ready::Write, STDERR_MS).unwrap_or(false)
}

/// Writes `text` to standard error in one write(2), and gives up on an error or
/// where it would block: for signal handlers, where nothing else may be called
/// (signal-safety(7)).
pub(crate) fn write_stderr(text: &[u8]) {
    if stderr_has_room() {
        // SAFETY: the pointer and the length are those of one live slice.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
}
