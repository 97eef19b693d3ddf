//! futex(2): a thread sleeps until another thread wakes it, or until a point in time.

use core::sync::atomic::AtomicU32;

use super::Errno;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The system call whose time has 64 bits.
#[cfg(target_pointer_width = "64")]
const FUTEX: libc::c_long = libc::SYS_futex;
/// `SYS_futex_time64` (Linux 5.1), the same on all 32-bit architectures: a kernel without
/// `CONFIG_COMPAT_32BIT_TIME` does not have the other one. The libc crate does not have it.
#[cfg(target_pointer_width = "32")]
const FUTEX: libc::c_long = 422;

/// How a wait ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The time was reached.
    Time,
    /// By [`wake`] or a signal, or the word already had another value.
    Called,
}

/// `futex(FUTEX_WAIT_BITSET)`: sleeps while `word` is `expected`, until `CLOCK_MONOTONIC` reads
/// `until_ns`. Allocates nothing.
///
/// # Errors
/// futex(2): `ENOSYS` or `EPERM` where a sandbox forbids it.
pub fn wait_until(word: &AtomicU32, expected: u32, until_ns: u64) -> Result<Woken, Errno> {
    // The kernel's own timespec.
    let until = [
        (until_ns / NANOS_PER_SECOND) as i64,
        (until_ns % NANOS_PER_SECOND) as i64,
    ];
    // SAFETY: word and time are live; this operation does not use the second address.
    let answer = unsafe {
        libc::syscall(
            FUTEX,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            until.as_ptr(),
            core::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if answer == 0 {
        return Ok(Woken::Called);
    }
    match Errno::last() {
        Errno(libc::ETIMEDOUT) => Ok(Woken::Time),
        Errno(libc::EAGAIN | libc::EINTR) => Ok(Woken::Called),
        errno => Err(errno),
    }
}

/// `futex(FUTEX_WAKE)`: wakes all threads that wait for `word`. Call it after the word was
/// changed.
pub fn wake(word: &AtomicU32) {
    // SAFETY: the word is live. It is not an error if no thread waits.
    unsafe {
        libc::syscall(
            FUTEX,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            i32::MAX,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::monotonic_ns;
    use core::sync::atomic::Ordering;

    /// Far longer than any test takes.
    const NEVER_NS: u64 = 600 * NANOS_PER_SECOND;

    #[test]
    fn wait_until_does_not_return_before_its_time() {
        let word = AtomicU32::new(7);
        let until = monotonic_ns() + 2_000_000;
        assert_eq!(wait_until(&word, 7, until), Ok(Woken::Time));
        assert!(monotonic_ns() >= until);
        assert_eq!(
            wait_until(&word, 8, until),
            Ok(Woken::Called),
            "another word"
        );
    }

    #[test]
    fn wake_wakes_a_waiting_thread() {
        let word = AtomicU32::new(0);
        let until = monotonic_ns() + NEVER_NS;
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                while word.load(Ordering::Acquire) == 0 {
                    assert_eq!(wait_until(&word, 0, until), Ok(Woken::Called));
                }
            });
            word.store(1, Ordering::Release);
            wake(&word);
            waits.join().unwrap();
        });
    }
}
