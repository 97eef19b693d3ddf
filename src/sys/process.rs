//! Processes: fork(2), waitpid(2), setresuid(2), geteuid(2), kill(2).

use super::{Errno, check};

/// How a child ended (waitpid(2)).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It exited with this code.
    Exit(u8),
    /// This signal ended it.
    Signal(i32),
}

/// A child made by [`fork`] that has not been waited for.
#[derive(Debug)]
#[must_use = "a child that is not waited for stays as a zombie"]
pub struct Child(libc::pid_t);

impl Child {
    /// Its process number.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.0
    }

    /// `waitpid(self)`: waits until it has ended. Retries after `EINTR`.
    ///
    /// # Errors
    /// waitpid(2): `ECHILD` when the child was waited for elsewhere.
    pub fn wait(self) -> Result<Ended, Errno> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is live and writable.
            if unsafe { libc::waitpid(self.0, &raw mut status, 0) } == self.0 {
                break;
            }
            let errno = Errno::last();
            if errno.0 != libc::EINTR {
                return Err(errno);
            }
        }
        Ok(if libc::WIFSIGNALED(status) {
            Ended::Signal(libc::WTERMSIG(status))
        } else {
            Ended::Exit(libc::WEXITSTATUS(status) as u8)
        })
    }
}

/// `fork()`: runs `job` in a child, which exits with its result, without running destructors or
/// exit handlers of the parent (`_exit(2)`).
///
/// Only for a process with one thread: in the child, locks that another thread held would stay
/// locked for ever.
///
/// # Errors
/// `EBUSY` when this process has more than one thread or `/proc` is missing; fork(2): `EAGAIN`,
/// `ENOMEM`.
pub fn fork(job: impl FnOnce() -> u8) -> Result<Child, Errno> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return Err(Errno(libc::EBUSY));
    }
    // SAFETY: this is the only thread, so the child's copies of all locks and of the heap are
    // consistent.
    match unsafe { libc::fork() } {
        -1 => Err(Errno::last()),
        0 => {
            let code = job();
            // SAFETY: ends the child here; takes no pointer.
            unsafe { libc::_exit(i32::from(code)) }
        }
        pid => Ok(Child(pid)),
    }
}

/// `geteuid()`: the effective user; 0 is root. Cannot fail.
#[must_use]
pub fn effective_user() -> u32 {
    // SAFETY: takes no argument.
    unsafe { libc::geteuid() }
}

/// `getegid()`: the effective group. Cannot fail.
#[must_use]
pub fn effective_group() -> u32 {
    // SAFETY: takes no argument.
    unsafe { libc::getegid() }
}

/// Changes to the ordinary user and group `id` permanently: `setgroups(0)`, `setresgid`,
/// `setresuid`. All capabilities are lost (capabilities(7)).
///
/// # Errors
/// setresuid(2): `EPERM` when the process does not run as root.
pub fn become_user(id: u32) -> Result<(), Errno> {
    // SAFETY: no group is given, so the pointer is not followed.
    check(unsafe { libc::setgroups(0, core::ptr::null()) })?;
    // SAFETY: takes no pointer.
    check(unsafe { libc::setresgid(id, id, id) })?;
    // SAFETY: takes no pointer.
    check(unsafe { libc::setresuid(id, id, id) })
}

/// `kill(getpid(), signal)`: sends this process a signal.
///
/// # Errors
/// kill(2): `EINVAL` for a number that is not a signal.
pub fn signal_self(signal: i32) -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::kill(libc::getpid(), signal) })
}
