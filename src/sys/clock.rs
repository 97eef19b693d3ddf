//! The monotonic clock: clock_gettime(2), clock_getres(2), clock_nanosleep(2).

use super::Errno;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// `clock_gettime(CLOCK_MONOTONIC)`: nanoseconds since an arbitrary start,
/// usually boot.
///
/// Usually read by the vDSO without a system call (vdso(7)). It cannot fail: the clock exists
/// on every Linux and the pointer is valid, the only two reasons that clock_gettime(2) names.
#[inline]
#[must_use]
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a live, writable timespec.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * NANOS_PER_SECOND + now.tv_nsec as u64
}

/// `clock_gettime(CLOCK_BOOTTIME)`: as [`monotonic_ns`], including the time for which the
/// machine was suspended.
#[must_use]
pub fn boottime_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a live, writable timespec.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as u64 * NANOS_PER_SECOND + now.tv_nsec as u64
}

/// `clock_gettime(CLOCK_REALTIME)`: nanoseconds since 1970. It steps when it is set.
#[must_use]
pub fn realtime_ns() -> u64 {
    let [seconds, ns] = wall_clock();
    seconds as u64 * NANOS_PER_SECOND + ns as u64
}

#[cfg(target_pointer_width = "64")]
fn wall_clock() -> [i64; 2] {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a live, writable timespec.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    [now.tv_sec, now.tv_nsec]
}

/// By `clock_gettime64` (Linux 5.1), because the C library's time of 32 bits ends in January 2038.
#[cfg(target_pointer_width = "32")]
fn wall_clock() -> [i64; 2] {
    /// The same number on all 32-bit architectures; the libc crate does not have it.
    const SYS_CLOCK_GETTIME64: libc::c_long = 403;
    let mut now = [0; 2];
    // SAFETY: the kernel writes its timespec, of two numbers of 64 bits, to `now`.
    unsafe { libc::syscall(SYS_CLOCK_GETTIME64, libc::CLOCK_REALTIME, now.as_mut_ptr()) };
    now
}

/// `clock_getres(CLOCK_MONOTONIC)`: the resolution, ns: 1 with high resolution timers,
/// otherwise a tick (1 to 10 ms).
///
/// # Errors
/// Those of clock_getres(2); none is expected on Linux.
pub fn monotonic_resolution_ns() -> Result<u64, Errno> {
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `resolution` is a live, writable timespec.
    super::check(unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC, &raw mut resolution) })?;
    Ok(resolution.tv_sec as u64 * NANOS_PER_SECOND + resolution.tv_nsec as u64)
}

/// `clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME)`: sleeps until the clock reads `until_ns`.
/// Returns at once if that time is past.
///
/// # Errors
/// `EINTR` when a signal handler ran. clock_nanosleep(2) returns the number instead of setting
/// errno.
#[inline]
pub fn sleep_until_ns(until_ns: u64) -> Result<(), Errno> {
    let until = libc::timespec {
        // On 32-bit ARM the clock reaches the largest number 68 years after the boot.
        tv_sec: libc::time_t::try_from(until_ns / NANOS_PER_SECOND).unwrap_or(libc::time_t::MAX),
        tv_nsec: (until_ns % NANOS_PER_SECOND) as libc::c_long,
    };
    // SAFETY: `until` is a live timespec; the remaining time is not requested.
    let answer = unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &raw const until,
            core::ptr::null_mut(),
        )
    };
    if answer == 0 {
        Ok(())
    } else {
        Err(Errno(answer))
    }
}
