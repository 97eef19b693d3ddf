//! The effect of each flag, and of unlocking.

use std::hint::black_box;
use std::sync::atomic::AtomicU32;

use steadfast::realtime::memory::{
    LockError, LockFlags, Mapping, Range, Sharing, lock, page_size, unlock, unlock_all,
};

use crate::kernel::{area_of, lock_all, locked_kb, status};
use crate::runner::{NotRun, Rule, Verdict, kernel_rule};

pub(crate) const RULES: &[Rule] = &[
    kernel_rule(
        "mcl_current_locks_every_kind_of_existing_memory",
        current_kinds,
    ),
    kernel_rule("mcl_current_does_not_lock_later_mappings", current_only),
    kernel_rule("mcl_future_locks_only_later_mappings", future_only),
    kernel_rule("both_flags_lock_existing_and_later_mappings", both),
    kernel_rule("vmlck_covers_resident_memory_and_returns_to_0", covers),
    kernel_rule("munlockall_cancels_mcl_future", unlock_cancels),
    kernel_rule("munmap_removes_the_locks_of_its_range", unmap_unlocks),
    kernel_rule(
        "mlock_locks_only_its_pages_and_makes_them_resident",
        selective,
    ),
    kernel_rule(
        "locks_do_not_nest_one_munlock_removes_two_mlocks",
        no_stacking,
    ),
];

const BYTES: usize = 256 * 1024;
const KB: u64 = BYTES as u64 / 1024;

/// Never written, but in the writable, initialised part of the program.
static DATA: AtomicU32 = AtomicU32::new(7);

fn mapping() -> Mapping {
    Mapping::anonymous(BYTES, Sharing::Private).expect("memory can be mapped")
}

/// As [`mapping`], once `MCL_FUTURE` makes it count against the limit.
fn later_mapping() -> Result<Mapping, NotRun> {
    Mapping::anonymous(BYTES, Sharing::Private)
        .map_err(|errno| NotRun::because(LockError::of_mapping(errno, BYTES).to_string()))
}

/// One address of each kind: text, initialised data, heap, main stack, mapping.
fn kinds(heap: &[u8], stack: &u8, mapped: &Mapping) -> [(&'static str, Range); 5] {
    let text = Range {
        address: page_size as fn() -> usize as usize,
        length: 1,
    };
    [
        ("text", text),
        ("data", Range::of(&DATA)),
        ("heap", Range::of(heap)),
        ("stack", Range::of(stack)),
        ("mapping", mapped.range()),
    ]
}

fn current_kinds() -> Verdict {
    let (heap, stack, mapped) = (vec![1_u8; 4096], black_box(7_u8), mapping());
    for (kind, range) in kinds(&heap, &stack, &mapped) {
        assert!(!area_of(range).is_locked, "{kind} is not locked before");
    }
    lock_all(LockFlags::Current)?;
    for (kind, range) in kinds(&heap, &stack, &mapped) {
        assert!(area_of(range).is_locked, "{kind} is locked");
    }
    let area = area_of(mapped.range());
    assert!(
        area.resident_kb >= KB,
        "resident though never touched: {area:?}"
    );
    Ok(())
}

fn current_only() -> Verdict {
    lock_all(LockFlags::Current)?;
    let before = locked_kb();
    assert!(before > 0);
    let later = mapping();
    let area = area_of(later.range());
    assert!(!area.is_locked && area.resident_kb < KB, "{area:?}");
    assert!(locked_kb() < before + KB, "{} from {before}", locked_kb());
    Ok(())
}

fn future_only() -> Verdict {
    let (heap, stack, earlier) = (vec![1_u8; 4096], black_box(7_u8), mapping());
    lock_all(LockFlags::Future)?;
    assert_eq!(locked_kb(), 0, "nothing is locked yet");
    let later = later_mapping()?;
    assert_eq!(locked_kb(), KB);
    let area = area_of(later.range());
    assert!(area.is_locked && area.resident_kb >= KB, "{area:?}");
    for (kind, range) in kinds(&heap, &stack, &earlier) {
        assert!(!area_of(range).is_locked, "{kind} was there before");
    }
    Ok(())
}

fn both() -> Verdict {
    let earlier = mapping();
    lock_all(LockFlags::CurrentAndFuture)?;
    let before = locked_kb();
    let later = mapping();
    let heap = vec![0_u8; BYTES];
    for range in [earlier.range(), later.range(), Range::of(&heap[..])] {
        let area = area_of(range);
        assert!(area.is_locked && area.resident_kb >= KB, "{area:?}");
    }
    assert!(
        locked_kb() >= before + 2 * KB,
        "{} from {before}",
        locked_kb()
    );
    Ok(())
}

fn covers() -> Verdict {
    assert_eq!(locked_kb(), 0);
    lock_all(LockFlags::CurrentAndFuture)?;
    let locked = status();
    // The kernel's pages in every process (vdso, vvar) are never locked, and VmRSS is
    // approximate: 64 pages per CPU.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let slack_kb = (8 + 64 * cpus) * page_size() / 1024;
    assert!(
        locked.vm_lck_kb + slack_kb as u64 >= locked.vm_rss_kb,
        "{locked:?}"
    );
    assert!(locked.vm_lck_kb <= locked.vm_size_kb, "{locked:?}");
    unlock_all().expect("unlocking is never refused");
    assert_eq!(locked_kb(), 0);
    Ok(())
}

fn unlock_cancels() -> Verdict {
    lock_all(LockFlags::CurrentAndFuture)?;
    let earlier = mapping();
    assert!(area_of(earlier.range()).is_locked);
    unlock_all().expect("unlocking is never refused");
    assert!(!area_of(earlier.range()).is_locked);
    // A shared mapping: a private one would be merged with its neighbour.
    let later = Mapping::anonymous(BYTES, Sharing::Shared).expect("memory can be mapped");
    let area = area_of(later.range());
    assert!(!area.is_locked && area.resident_kb == 0, "{area:?}");
    assert_eq!(locked_kb(), 0);
    Ok(())
}

fn unmap_unlocks() -> Verdict {
    let mapped = mapping();
    lock(mapped.range()).map_err(|error| NotRun::because(error.to_string()))?;
    assert_eq!(locked_kb(), KB);
    drop(mapped);
    assert_eq!(locked_kb(), 0, "after mlock");

    lock_all(LockFlags::CurrentAndFuture)?;
    let mapped = mapping();
    let before = locked_kb();
    drop(mapped);
    assert_eq!(locked_kb(), before - KB, "after mlockall");
    Ok(())
}

fn selective() -> Verdict {
    let mapped = mapping();
    let page = page_size();
    let middle = Range {
        address: mapped.range().address + 3 * page + 1,
        length: page,
    };
    lock(middle).map_err(|error| NotRun::because(error.to_string()))?;
    let two_pages_kb = 2 * page as u64 / 1024;
    assert_eq!(
        locked_kb(),
        two_pages_kb,
        "both pages that the range touches"
    );
    let area = area_of(middle);
    assert!(area.is_locked, "{area:?}");
    assert_eq!(
        (area.size_kb, area.resident_kb),
        (two_pages_kb, two_pages_kb)
    );
    assert!(!area_of(mapped.range()).is_locked);
    unlock(middle).expect("unlocking is never refused");
    assert_eq!(locked_kb(), 0);
    Ok(())
}

fn no_stacking() -> Verdict {
    let mapped = mapping();
    for _ in 0..2 {
        lock(mapped.range()).map_err(|error| NotRun::because(error.to_string()))?;
        assert_eq!(locked_kb(), KB);
    }
    unlock(mapped.range()).expect("unlocking is never refused");
    assert_eq!(locked_kb(), 0);
    Ok(())
}
