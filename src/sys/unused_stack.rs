//! Returns the unused part of a thread's stack to the kernel.
//!
//! mlockall(2) makes the whole stack mapping of every thread resident: 132 kB or more of the
//! main thread, 128 kB of each helper thread on arm64. Only the real-time thread needs that;
//! the others return the pages below their frames.

use std::path::Path;

use super::memory::{Range, unlock};
use super::{Errno, check, procfs};

/// Bytes below the caller's frame that are kept: the frames of the calls made here and the red
/// zone below them. Two pages of 4 KiB.
const MARGIN: usize = 8 * 1024;

/// Unlocks the pages of the calling thread's stack from its lowest address to 8 KiB below this
/// call, and returns them to the kernel (madvise(2), `MADV_DONTNEED`). They fault in again,
/// unlocked, when the thread gets that deep. Also unlocks the guard below the stack: it is
/// never resident but would count as locked. Allocates nothing.
///
/// Returns the number of bytes returned to the kernel.
///
/// # Errors
/// Those of open(2), read(2), munlock(2) and madvise(2); `ENOENT` when
/// `/proc/self/maps` does not list the stack.
#[inline(never)]
pub fn release() -> Result<usize, Errno> {
    let here = 0_u8;
    let here = core::hint::black_box(&raw const here).addr();
    let (guard, lowest) = stack_of(here)?;
    if let Some(guard) = guard {
        unlock(guard)?;
    }
    let page = super::memory::page_size();
    let end = here.saturating_sub(MARGIN) & !(page - 1);
    let Some(length) = end.checked_sub(lowest).filter(|length| *length > 0) else {
        return Ok(0);
    };
    unlock(Range {
        address: lowest,
        length,
    })?;
    let address = core::ptr::without_provenance_mut(lowest);
    // SAFETY: the range is in the mapping of this frame, which is the thread's own stack, below
    // this thread's frames. No other mapping is merged with a stack from below, because its
    // guard page, or the gap of a growing stack, is there. Nothing below the frames of a
    // running thread is live, and no other thread may access it.
    check(unsafe { libc::madvise(address, length, libc::MADV_DONTNEED) })?;
    Ok(length)
}

/// The guard below the mapping that contains `address`, if there is one, and the first address
/// of that mapping (proc_pid_maps(5)).
fn stack_of(address: usize) -> Result<(Option<Range>, usize), Errno> {
    let (mut found, mut guard) = (None, None);
    procfs::for_each_line(Path::new("/proc/self/maps"), &mut |line| {
        let Some((from, to)) = procfs::addresses(line) else {
            return;
        };
        if (from..to).contains(&address) {
            let adjacent = |guard: &Range| guard.address + guard.length == from;
            found = Some((guard.filter(adjacent), from));
        }
        let inaccessible = line.split(|byte| *byte == b' ').nth(1) == Some(b"---p");
        guard = inaccessible.then_some(Range {
            address: from,
            length: to - from,
        });
    })?;
    found.ok_or(Errno(libc::ENOENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn use_deep() -> usize {
        let block = core::hint::black_box([7_u8; 100_000]);
        core::hint::black_box(&block)
            .iter()
            .map(|byte| usize::from(*byte))
            .sum()
    }

    #[test]
    fn a_thread_runs_on_after_releasing_its_unused_stack() {
        let thread = std::thread::Builder::new()
            .stack_size(512 * 1024)
            .spawn(|| {
                let kept: Vec<u64> = (0..100).collect();
                let before = use_deep();
                let released = release().unwrap();
                (released, before == use_deep(), kept.iter().sum::<u64>())
            });
        let (released, same, sum) = thread.unwrap().join().unwrap();
        assert!(released > 300 * 1024, "{released}");
        assert!(same && sum == 4950);
    }
}
