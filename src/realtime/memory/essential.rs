//! The memory that loop, stall guard and crash handlers use, and whether it is locked.
//!
//! `lock = "selective"` locks only these ranges. [`Essential::first_unlocked`] reads from
//! `/proc/self/smaps` whether they are locked, because neither VmLck nor the result of a call
//! shows which pages are. With `lock = "all"`, VmLck and VmRSS show the same, and smaps is read
//! only if VmLck shrinks while the loop runs.
//!
//! | range | use |
//! |---|---|
//! | code, constants, data and `.bss` of the program and its libraries | everything static: also the real-time stack, its signal stack and the table of safe actions |
//! | the heap | the configuration, whose names are printed when a run ends |
//! | controller, histograms, records | static, with devices and laws (`sys::arena`), except the records, which are in the flight file; the parameters of a `Decide` in another crate, wherever they are |
//! | the upper part of the guard's stack, its signal stack and that of the main thread | the guard, and handlers that run there |
//!
//! Not included: the program's unwind tables, which are for backtraces, and the unused part of
//! the buffer for devices and laws (both released); the inaccessible guard below the real-time
//! stack; the stacks of the other helper threads; the unused part of the main thread's stack;
//! and the vDSO, whose pages belong to the kernel.

use core::fmt::Write as _;
use std::path::Path;

use super::{LockError, Range, lock};
use crate::realtime::stack;
use crate::sys::procfs::{addresses, for_each_line};
use crate::sys::{Errno, arena, objects, signal, unwind_tables};

/// Most ranges: a program with four libraries has some thirty.
const MOST: usize = 64;

/// The ranges, each with its name for messages.
#[derive(Clone, Debug, Default)]
pub struct Essential(heapless::Vec<(Range, &'static str), MOST>);

impl Essential {
    /// The ranges of this process, and the signal stack of the calling thread. Call it when the
    /// heap has its final size and the real-time stack is reserved. Does not allocate.
    ///
    /// # Errors
    /// Those of open(2) and read(2) for `/proc/self/maps`; `ENOSPC`: too many ranges.
    pub fn of_process() -> Result<Self, Errno> {
        let mut essential = Self::default();
        let mut full = Ok(());
        let tables = unwind_tables::of_program();
        let guard = Some(stack::guard_range());
        let unused = arena::unused();
        objects::segments(|segment| {
            for part in without(segment, tables).into_iter().flatten() {
                for part in without(part, guard).into_iter().flatten() {
                    for part in without(part, unused).into_iter().flatten() {
                        let added = essential.add("code or static data", part);
                        full = full.and(added);
                    }
                }
            }
        });
        full?;
        if let Some(heap) = heap()? {
            essential.add("the heap", heap)?;
        }
        if let Some(stack) = signal::alternate_stack() {
            essential.add("the main thread's signal stack", stack)?;
        }
        Ok(essential)
    }

    /// Adds `range` with the name `what`. An empty range, of a law without parameters, is
    /// ignored.
    ///
    /// # Errors
    /// `ENOSPC`: too many ranges.
    pub fn add(&mut self, what: &'static str, range: Range) -> Result<(), Errno> {
        if range.length == 0 {
            return Ok(());
        }
        self.0.push((range, what)).map_err(|_| Errno(libc::ENOSPC))
    }

    /// Locks all ranges.
    ///
    /// # Errors
    /// The [`LockError`] of the first range that was refused.
    pub fn lock(&self) -> Result<(), LockError> {
        self.0.iter().try_for_each(|(range, _)| lock(*range))
    }

    /// The name of the first range that is not completely locked; `None` if all are. `root` is
    /// the folder of `proc`, with a slash at its end. Does not allocate; takes some hundred
    /// microseconds.
    ///
    /// # Errors
    /// Those of open(2) and read(2): `ENOENT` for a kernel without `CONFIG_PROC_PAGE_MONITOR`.
    pub fn first_unlocked(&self, root: &str) -> Result<Option<&'static str>, Errno> {
        let mut path = heapless::String::<192>::new();
        write!(path, "{root}proc/self/smaps").map_err(|_| Errno(libc::ENAMETOOLONG))?;
        // The end of the locked part of each range. Areas are in the order of their addresses.
        let mut reached: heapless::Vec<usize, MOST> =
            self.0.iter().map(|(range, _)| range.address).collect();
        let mut area = None;
        for_each_line(Path::new(path.as_str()), &mut |line| {
            if let Some(range) = addresses(line) {
                area = Some(range);
            } else if let Some(flags) = line.strip_prefix(b"VmFlags:")
                && let Some((from, to)) = area
                && flags.split(|byte| *byte == b' ').any(|flag| flag == b"lo")
            {
                for reached in &mut reached {
                    if (from..to).contains(reached) {
                        *reached = to;
                    }
                }
            }
        })
        .map_err(Errno::from)?;
        let mut all = self.0.iter().zip(&reached);
        let unlocked = all.find(|((range, _), reached)| **reached < range.address + range.length);
        Ok(unlocked.map(|((_, what), _)| *what))
    }
}

/// The parts of `range` before and after `hole`.
fn without(range: Range, hole: Option<Range>) -> [Option<Range>; 2] {
    let Some(hole) = hole else {
        return [Some(range), None];
    };
    let (from, to) = (range.address, range.address + range.length);
    let part = |from: usize, to: usize| {
        (from < to).then(|| Range {
            address: from,
            length: to - from,
        })
    };
    [
        part(from, to.min(hole.address)),
        part(from.max(hole.address + hole.length), to),
    ]
}

/// The C library's heap (proc_pid_maps(5)); `None` without one.
fn heap() -> Result<Option<Range>, Errno> {
    area_where(&|_, line| line.ends_with(b"[heap]"))
}

/// The part of the calling thread's stack from `below` bytes below this call to its end, which
/// contains the thread's descriptor and thread-local storage. Does not allocate.
///
/// # Errors
/// Those of open(2) and read(2); `ENOENT`: `/proc/self/maps` does not list it.
#[inline(never)]
pub fn own_stack(below: usize) -> Result<Range, Errno> {
    let here = 0_u8;
    let here = core::hint::black_box(&raw const here).addr();
    let area = area_where(&|range, _| range.contains(here))?.ok_or(Errno(libc::ENOENT))?;
    let from = here.saturating_sub(below).max(area.address);
    Ok(Range {
        address: from,
        length: area.address + area.length - from,
    })
}

/// The first area of `/proc/self/maps` for which `is` gives true.
fn area_where(is: &dyn Fn(Range, &[u8]) -> bool) -> Result<Option<Range>, Errno> {
    let mut found = None;
    for_each_line(Path::new("/proc/self/maps"), &mut |line| {
        if found.is_none()
            && let Some((from, to)) = addresses(line)
        {
            let range = Range {
                address: from,
                length: to - from,
            };
            if is(range, line) {
                found = Some(range);
            }
        }
    })
    .map_err(Errno::from)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_range_is_not_locked() {
        let mut essential = Essential::default();
        let nothing = Range {
            address: 1,
            length: 0,
        };
        essential.add("the law's configuration", nothing).unwrap();
        assert!(essential.0.is_empty());
        assert!(essential.lock().is_ok());
    }

    const SMAPS: &str = "\
1000-3000 r-xp 00000000 00:00 0    /steadfast
Size:                  8 kB
Locked:                8 kB
VmFlags: rd ex mr mw me lo
3000-5000 rw-p 00002000 00:00 0    /steadfast
Size:                  8 kB
VmFlags: rd wr mr mw me lo ac
5000-6000 rw-p 00000000 00:00 0    [heap]
Size:                  4 kB
Locked:                0 kB
VmFlags: rd wr mr mw me ac
7ffd000-7fff000 rw-p 00000000 00:00 0    [stack]
VmFlags: rd wr mr mw me gd lo
";

    fn unlocked(ranges: &[(usize, usize, &'static str)]) -> Option<&'static str> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("smaps-{}-{number}", std::process::id()));
        std::fs::create_dir_all(root.join("proc/self")).unwrap();
        std::fs::write(root.join("proc/self/smaps"), SMAPS).unwrap();
        let mut essential = Essential::default();
        for (from, to, what) in ranges {
            let range = Range {
                address: *from,
                length: to - from,
            };
            essential.add(what, range).unwrap();
        }
        let found = essential.first_unlocked(&format!("{}/", root.display()));
        std::fs::remove_dir_all(&root).unwrap();
        found.unwrap()
    }

    #[test]
    fn a_range_is_locked_only_if_locked_areas_cover_it() {
        assert_eq!(unlocked(&[(0x1800, 0x4100, "code")]), None);
        assert_eq!(unlocked(&[(0x1000, 0x5000, "code")]), None);
        assert_eq!(unlocked(&[(0x1000, 0x5001, "code")]), Some("code"));
        assert_eq!(unlocked(&[(0x5000, 0x6000, "heap")]), Some("heap"));
        let two = [(0x7ffd000, 0x7ffe000, "stack"), (0x5800, 0x5900, "heap")];
        assert_eq!(unlocked(&two), Some("heap"));
        assert_eq!(unlocked(&[(0x6000, 0x6001, "nothing")]), Some("nothing"));
    }

    #[test]
    fn a_hole_splits_a_range() {
        let range = |address: usize, to: usize| Range {
            address,
            length: to - address,
        };
        let cut = |hole| without(range(10, 20), Some(hole));
        assert_eq!(without(range(10, 20), None), [Some(range(10, 20)), None]);
        let middle = [Some(range(10, 12)), Some(range(15, 20))];
        assert_eq!(cut(range(12, 15)), middle);
        assert_eq!(cut(range(5, 15)), [None, Some(range(15, 20))]);
        assert_eq!(cut(range(15, 30)), [Some(range(10, 15)), None]);
        assert_eq!(cut(range(5, 30)), [None, None]);
        assert_eq!(cut(range(30, 40))[0], Some(range(10, 20)));
        assert_eq!(cut(range(2, 4))[1], Some(range(10, 20)));
    }

    #[test]
    fn the_essential_ranges_contain_code_and_stack_and_start_unlocked() {
        let essential = Essential::of_process().unwrap();
        let here = 0_u8;
        let stack = own_stack(4096).unwrap();
        assert!(stack.contains((&raw const here).addr()));
        let code = essential.0.iter().any(|(range, _)| {
            range.contains(
                the_essential_ranges_contain_code_and_stack_and_start_unlocked as fn() as usize,
            )
        });
        assert!(code, "{essential:x?}");
        if crate::emulation::emulator().is_none() {
            assert_eq!(
                essential.first_unlocked("/"),
                Ok(Some("code or static data"))
            );
        }
    }
}
