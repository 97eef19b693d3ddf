//! Locks across processes: fork, exec, shared pages.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;

use steadfast::realtime::memory::{LockFlags, Mapping, Sharing, lock, unlock};
use steadfast::sys::process::{self, Ended};

use crate::kernel::{area_of, lock_all, locked_kb, page_is_locked, system_locked_kb};
use crate::runner::{Helper, NotRun, Rule, Verdict, helper, kernel_rule, run_helper};

pub(crate) const RULES: &[Rule] = &[
    kernel_rule("fork_does_not_inherit_locks_or_mcl_future", forked),
    kernel_rule(
        "munlockall_in_a_child_keeps_the_locks_of_the_parent",
        child_unlocks,
    ),
    kernel_rule("exec_does_not_keep_locks_or_mcl_future", executed),
    kernel_rule(
        "a_shared_page_stays_locked_while_one_process_locks_it",
        shared,
    ),
];

pub(crate) const HELPERS: &[Helper] = &[
    ("lock_and_exec", lock_and_exec),
    ("report_locked", report_locked),
];

const BYTES: usize = 256 * 1024;

fn forked() -> Verdict {
    lock_all(LockFlags::CurrentAndFuture)?;
    let mapped = Mapping::anonymous(BYTES, Sharing::Private).expect("memory can be mapped");
    let before = locked_kb();
    assert!(before > 0 && area_of(mapped.range()).is_locked);
    let child = process::fork(|| {
        let inherited = locked_kb() != 0 || area_of(mapped.range()).is_locked;
        let later = Mapping::anonymous(BYTES, Sharing::Private).expect("memory can be mapped");
        let future = area_of(later.range()).is_locked || locked_kb() != 0;
        u8::from(inherited) | u8::from(future) << 1
    });
    let ended = child.expect("fork").wait();
    assert_eq!(
        ended,
        Ok(Ended::Exit(0)),
        "bit 0: a lock, bit 1: MCL_FUTURE was inherited"
    );
    assert_eq!(locked_kb(), before, "the locks of the parent changed");
    Ok(())
}

fn child_unlocks() -> Verdict {
    lock_all(LockFlags::CurrentAndFuture)?;
    let before = locked_kb();
    let child = process::fork(|| u8::from(steadfast::realtime::memory::unlock_all().is_err()));
    assert_eq!(child.expect("fork").wait(), Ok(Ended::Exit(0)));
    assert_eq!(locked_kb(), before);
    Ok(())
}

fn executed() -> Verdict {
    // Not run where locking is refused.
    lock_all(LockFlags::Current)?;
    let output = run_helper("lock_and_exec");
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = said.lines().filter_map(|line| line.parse().ok()).collect();
    match numbers[..] {
        [before, after, later] => {
            assert!(before > 0, "locked before exec");
            assert_eq!(
                (after, later),
                (0, 0),
                "kB locked after exec, and after a later mmap"
            );
        }
        _ => panic!("expected three numbers, got {output:?}"),
    }
    Ok(())
}

fn lock_and_exec() {
    assert!(lock_all(LockFlags::CurrentAndFuture).is_ok());
    println!("{}", locked_kb());
    let error = helper("report_locked").exec();
    panic!("exec returned: {error}");
}

fn report_locked() {
    println!("{}", locked_kb());
    let later = Mapping::anonymous(BYTES, Sharing::Private).expect("memory can be mapped");
    println!("{}", locked_kb());
    drop(later);
}

/// `VmLck` and smaps show the lock of each process, not that of the page. The page's lock is
/// `MLOCKED` in `/proc/kpageflags`, for root; otherwise it is judged by the system's count
/// of locked pages, `Mlocked` in `/proc/meminfo`, with a mapping large compared with other
/// changes.
fn shared() -> Verdict {
    const LARGE: usize = 4 << 20;
    const LARGE_KB: u64 = LARGE as u64 / 1024;
    let refused =
        |error: steadfast::realtime::memory::LockError| NotRun::because(error.to_string());

    let outside_kb = system_locked_kb();
    let mut mapped = Mapping::anonymous(LARGE, Sharing::Shared).expect("memory can be mapped");
    mapped.touch();
    let range = mapped.range();
    lock(range).map_err(refused)?;
    let is_locked = || match (page_is_locked(range), outside_kb, system_locked_kb()) {
        (Some(locked), _, _) => Ok(locked),
        (None, Some(before), Some(now)) => Ok(now > before + LARGE_KB / 2),
        (None, _, _) => Err(NotRun::because(
            "neither /proc/kpageflags nor Mlocked in /proc/meminfo can be read",
        )),
    };
    assert!(is_locked()?, "not locked by the first process");

    let (mut ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    let child = process::fork(|| {
        let locked = lock(range).is_ok();
        let told = theirs.write_all(&[u8::from(locked)]).is_ok();
        // Holds the lock until the parent writes.
        let mut word = [0];
        u8::from(!(told && theirs.read_exact(&mut word).is_ok()))
    })
    .expect("fork");
    let mut answer = [0];
    ours.read_exact(&mut answer).expect("the child answers");
    assert_eq!(answer, [1], "the second process could not lock it");

    unlock(range).expect("unlocking is never refused");
    assert_eq!(locked_kb(), 0, "this process still holds a lock");
    assert!(is_locked()?, "not locked by the second process alone");

    ours.write_all(&[0]).expect("the child listens");
    assert_eq!(child.wait(), Ok(Ended::Exit(0)));
    assert!(!is_locked()?, "still locked without a holder");
    Ok(())
}
