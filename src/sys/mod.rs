//! The only folder with unsafe code: typed wrappers of the system calls and ioctls that this
//! crate needs.
//!
//! A function makes one call: its arguments are types, its result is a `Result`, its
//! documentation names the man page. Which calls are made when, and what a refusal means, is
//! decided in `realtime` and `device`.
//!
//! Code that needs `unsafe` for another reason is here too: the static stack ([`stack`]),
//! static memory ([`arena`]), the queue ([`spsc`]), the counting allocator ([`alloc`]) and the
//! signal handlers ([`fault`], [`signal`]). [`sort`] is here because all layers above use it.
#![expect(
    unsafe_code,
    reason = "system calls, signal handlers, the static stack and the global allocator; all of it is in this folder"
)]

pub mod alloc;
pub mod arena;
pub mod attention;
pub mod can;
pub mod cause;
pub mod clock;
mod crash_message;
mod disposition;
pub mod emergency;
mod errno;
pub mod fault;
pub mod futex;
pub mod gpio;
pub mod i2c;
mod ioctl;
pub mod limits;
pub mod local_socket;
pub mod memory;
pub mod objects;
pub mod output;
pub mod process;
pub(crate) mod procfs;
pub mod registers;
pub mod sched;
pub mod shared;
pub mod signal;
pub mod sort;
pub mod spi;
pub mod spsc;
pub mod stack;
mod stat;
mod static_binary;
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod static_libc;
pub mod unused_stack;
pub mod unwind_tables;
pub mod waiting;
pub mod watchdog;

pub use errno::Errno;
pub(crate) use output::{stderr_has_room, write_stderr};

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `Ok` if a call returned 0, otherwise its error number.
pub(crate) fn check(answer: libc::c_int) -> Result<(), Errno> {
    if answer == 0 {
        Ok(())
    } else {
        Err(Errno::last())
    }
}

/// access(2): whether this process may write to `path`.
#[must_use]
pub fn may_write(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: `path` is a live string that ends in a zero.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

/// The event that poll(2) waits for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// There are bytes to read.
    Read,
    /// There is room to write: in a pipe for `PIPE_BUF` bytes (pipe(7)).
    Write,
}

/// poll(2): whether `fd` becomes ready within `timeout_ms`; a descriptor in an error state
/// counts as ready. Async-signal-safe.
///
/// # Errors
/// Those of poll(2): `EINTR` when a signal came first.
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
