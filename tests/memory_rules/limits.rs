//! Limits and privileges: refused requests, their errno, and that a refusal is an error and
//! not a crash.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;

use steadfast::realtime::helper;
use steadfast::realtime::memory::{
    self, LockError, LockFlags, Mapping, Range, Sharing, lock, raise_locked_memory, unlock_all,
};
use steadfast::realtime::stack;
use steadfast::sys::limits::{self, Resource};

use crate::kernel::{drop_privilege, limit_locked_kb, lock_all, locked_kb, need_root, status};
use crate::runner::{Helper, NotRun, Rule, Verdict, kernel_rule, run_helper};

pub(crate) const RULES: &[Rule] = &[
    kernel_rule("a_later_mmap_over_the_limit_fails_with_eagain", later_mmap),
    kernel_rule(
        "a_later_allocation_over_the_limit_fails_without_a_crash",
        later_allocation,
    ),
    kernel_rule("a_later_thread_over_the_limit_is_refused", later_thread),
    kernel_rule("stack_growth_over_the_limit_raises_sigsegv", stack_growth),
    kernel_rule(
        "mlockall_over_the_limit_reports_vmsize_as_needed",
        all_over_limit,
    ),
    kernel_rule(
        "mcl_future_alone_is_granted_under_any_non_zero_limit",
        future_under_limit,
    ),
    kernel_rule(
        "mlock_over_the_limit_reports_locked_memory_plus_range_as_needed",
        range_over_limit,
    ),
    kernel_rule("with_a_limit_of_0_locking_is_not_permitted", limit_of_0),
    kernel_rule("cap_ipc_lock_is_not_bound_by_the_limit", privileged),
    kernel_rule(
        "locking_an_unmapped_range_is_not_reported_as_the_limit",
        not_mapped,
    ),
    kernel_rule("munlockall_needs_no_privilege", unprivileged_unlock),
    kernel_rule(
        "raising_sets_soft_to_hard_and_reports_why_hard_stays",
        raising,
    ),
];

pub(crate) const HELPERS: &[Helper] = &[("grow_the_stack", grow_the_stack)];

const MORE: usize = 1 << 20;
const MORE_KB: u64 = MORE as u64 / 1024;

/// Becomes an unprivileged user with all memory locked, and room for `room_kb` more.
fn locked_with_room(room_kb: u64) -> Result<u64, NotRun> {
    drop_privilege()?;
    let limit_kb = status().vm_size_kb + room_kb;
    limit_locked_kb(limit_kb)?;
    memory::lock_all(LockFlags::CurrentAndFuture).expect("the limit is large enough");
    Ok(limit_kb)
}

fn later_mmap() -> Verdict {
    let limit_kb = locked_with_room(512)?;
    let before = locked_kb();
    let small = Mapping::anonymous(64 * 1024, Sharing::Private);
    assert!(small.is_ok(), "what fits is granted: {small:?}");
    drop(small);
    let errno = Mapping::anonymous(MORE, Sharing::Private).expect_err("over the limit");
    assert_eq!(errno.name(), Some("EAGAIN"));
    assert_eq!(
        LockError::of_mapping(errno, MORE),
        LockError::LimitTooSmall {
            needed_kb: before + MORE_KB,
            limit_kb
        }
    );
    assert_eq!(locked_kb(), before);
    Ok(())
}

fn later_allocation() -> Verdict {
    locked_with_room(512)?;
    let mut block: Vec<u8> = Vec::new();
    assert!(block.try_reserve_exact(64 * MORE).is_err());
    assert!(
        block.try_reserve_exact(16 * 1024).is_ok(),
        "what fits is granted"
    );
    Ok(())
}

fn later_thread() -> Verdict {
    locked_with_room(512)?;
    let refused = std::thread::Builder::new()
        .stack_size(8 * MORE)
        .spawn(|| ());
    let error = refused.map(|_| ()).expect_err("8 MiB of stack do not fit");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
    let barrier = helper::Barrier::new();
    barrier.open();
    let answer = std::thread::scope(|scope| {
        let granted = helper::spawn(scope, "small", 64 * 1024, &barrier, || 5);
        granted.expect("a small one fits").join().expect("it ends")
    });
    assert_eq!(answer, 5);
    Ok(())
}

fn stack_growth() -> Verdict {
    drop_privilege()?;
    limit_locked_kb(status().vm_size_kb + 2 * MORE_KB)?;
    let output = run_helper("grow_the_stack");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("locked"), "{output:?}");
    assert!(!said.contains("grown"), "{output:?}");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    Ok(())
}

fn grow_the_stack() {
    #[inline(never)]
    fn deeper(levels: usize) -> usize {
        let block = black_box([1_u8; 16 * 1024]);
        let below = if levels == 0 { 0 } else { deeper(levels - 1) };
        below + usize::from(black_box(&block)[levels])
    }
    assert!(locked_with_room(256).is_ok());
    println!("locked");
    println!("grown by {} blocks", deeper(4 * MORE / (16 * 1024)));
}

fn all_over_limit() -> Verdict {
    drop_privilege()?;
    limit_locked_kb(64)?;
    let needed = status().vm_size_kb;
    let refused = memory::lock_all(LockFlags::CurrentAndFuture);
    match refused {
        Err(LockError::LimitTooSmall {
            needed_kb,
            limit_kb: 64,
        }) => assert!(needed_kb.abs_diff(needed) <= 256, "{needed_kb} of {needed}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(locked_kb(), 0, "memory was locked partially");
    Ok(())
}

fn future_under_limit() -> Verdict {
    drop_privilege()?;
    limit_locked_kb(64)?;
    assert_eq!(memory::lock_all(LockFlags::Future), Ok(()));
    assert!(Mapping::anonymous(MORE, Sharing::Private).is_err());
    Ok(())
}

fn range_over_limit() -> Verdict {
    drop_privilege()?;
    limit_locked_kb(1024)?;
    let map = |bytes| Mapping::anonymous(bytes, Sharing::Private).expect("memory can be mapped");
    let (first, second) = (map(512 * 1024), map(MORE));
    assert_eq!(lock(first.range()), Ok(()));
    assert_eq!(
        lock(second.range()),
        Err(LockError::LimitTooSmall {
            needed_kb: 512 + MORE_KB,
            limit_kb: 1024
        })
    );
    assert_eq!(locked_kb(), 512);
    Ok(())
}

fn limit_of_0() -> Verdict {
    drop_privilege()?;
    limit_locked_kb(0)?;
    let needed = status().vm_size_kb;
    match memory::lock_all(LockFlags::Current) {
        Err(LockError::NotPermitted { needed_kb }) => {
            assert!(needed_kb.abs_diff(needed) <= 256, "{needed_kb} of {needed}");
        }
        other => panic!("{other:?}"),
    }
    let value = [0_u8; 4096];
    let refused = lock(Range::of(&value));
    assert_eq!(refused, Err(LockError::NotPermitted { needed_kb: 4 }));
    Ok(())
}

fn privileged() -> Verdict {
    need_root()?;
    limit_locked_kb(0)?;
    match memory::lock_all(LockFlags::CurrentAndFuture) {
        Err(LockError::NotPermitted { .. }) => {
            return Err(NotRun::because("this root has no CAP_IPC_LOCK"));
        }
        other => assert_eq!(other, Ok(())),
    }
    assert!(Mapping::anonymous(MORE, Sharing::Private).is_ok());
    Ok(())
}

fn not_mapped() -> Verdict {
    let mapped = Mapping::anonymous(64 * 1024, Sharing::Private).expect("memory can be mapped");
    let range = mapped.range();
    drop(mapped);
    assert_eq!(lock(range), Err(LockError::NotMapped { range }));
    assert_eq!(
        memory::unlock(range),
        Err(LockError::NotMapped { range }),
        "as for unlocking"
    );
    let reserved = stack::Stack::reserve(64 * 1024).expect("the stack is free");
    let guard = Range {
        length: 4096,
        ..stack::guard_range()
    };
    let refused = lock(guard);
    assert_eq!(
        refused,
        Err(LockError::NotMapped { range: guard }),
        "a guard"
    );
    drop(reserved);
    Ok(())
}

fn unprivileged_unlock() -> Verdict {
    lock_all(LockFlags::CurrentAndFuture)?;
    let locked = locked_kb();
    drop_privilege()?;
    assert!(locked > 0 && locked_kb() > 0, "the locks were lost");
    assert_eq!(unlock_all(), Ok(()));
    assert_eq!(locked_kb(), 0);
    assert_eq!(unlock_all(), Ok(()), "without locked memory");
    Ok(())
}

fn raising() -> Verdict {
    drop_privilege()?;
    let hard = limits::get(Resource::MemLock)
        .expect("limits can be read")
        .hard;
    limit_locked_kb(0)?;
    let raised = raise_locked_memory().expect("limits can be read");
    assert_eq!(raised.before.soft, Some(0));
    assert_eq!((raised.after.soft, raised.after.hard), (hard, hard));
    let why = raised.hard_refused.and_then(steadfast::sys::Errno::name);
    assert_eq!(why, hard.map(|_| "EPERM"));
    Ok(())
}
