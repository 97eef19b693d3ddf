//! The parts of `realtime` that affect a whole process or end it.

use std::hint::black_box;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};

use steadfast::realtime::allocator::{self, RealtimeThread, Seal, counts};
use steadfast::realtime::faults::{self, FaultReader};
use steadfast::realtime::helper as threads;
use steadfast::realtime::memory::{LockFlags, Status, StatusReader, keep_heap, page_size};
use steadfast::realtime::scheduler::{self, Policy};
use steadfast::realtime::signals::{self, StopSignal};
use steadfast::realtime::stack::{self, Stack};
use steadfast::sys::limits::{self, Limit, Resource};
use steadfast::sys::{emergency, process};

use crate::kernel::{area_of, lock_all, locked_kb};
use crate::runner::{Helper, NotRun, Rule, Verdict, code_rule, helper, kernel_rule, run_helper};

pub(crate) const RULES: &[Rule] = &[
    code_rule("reading_the_memory_status_does_not_allocate", no_allocation),
    code_rule(
        "an_allocation_after_the_seal_aborts_with_a_message",
        seal_aborts,
    ),
    code_rule("a_counting_seal_counts_per_thread", seal_counts),
    kernel_rule(
        "the_guard_pages_are_neither_locked_nor_resident",
        guard_is_free,
    ),
    kernel_rule("a_locked_stack_takes_no_page_fault_at_any_depth", no_faults),
    kernel_rule("locking_the_stack_alone_locks_its_size", stack_alone),
    code_rule("a_stack_overrun_is_reported_as_one", overrun),
    code_rule("a_panic_on_the_stack_makes_the_outputs_safe", panic_aborts),
    code_rule("an_abort_makes_the_outputs_safe", abort_handled),
    code_rule("a_sigsegv_sent_by_kill_makes_the_outputs_safe", sent_fault),
    code_rule(
        "a_stack_overflow_of_another_thread_is_reported",
        other_overflow,
    ),
    code_rule(
        "the_first_stop_request_is_kept_and_terminal_stop_signals_are_ignored",
        requests,
    ),
    code_rule(
        "a_second_sigint_ends_the_process_with_safe_outputs",
        second_interrupt,
    ),
    kernel_rule(
        "a_runaway_real_time_thread_is_ended_with_safe_outputs",
        runaway,
    ),
];

pub(crate) const HELPERS: &[Helper] = &[
    ("allocate_after_seal", allocate_after_seal),
    ("overrun_the_stack", || {
        run_on_small_stack(overrun_the_stack)
    }),
    ("panic_on_stack", || {
        run_on_small_stack(|| panic!("as wanted"))
    }),
    ("abort", || die_with_witness(|| std::process::abort())),
    ("send_fault", || die_with_witness(|| send(libc::SIGSEGV))),
    ("overflow_elsewhere", overflow_elsewhere),
    ("interrupt_twice", interrupt_twice),
    ("run_away", run_away),
];

const STACK: usize = 64 * 1024;

fn no_allocation() -> Verdict {
    assert!(allocator::is_installed());
    let mut status = StatusReader::open().expect("/proc is mounted");
    let mut thread = FaultReader::of_thread("/", scheduler::thread_id()).expect("/proc is mounted");
    let before = counts().total;
    let all = (
        Status::now(),
        status.read(),
        thread.read(),
        faults::own(),
        FaultReader::of_thread("/", scheduler::thread_id()).is_ok(),
    );
    assert_eq!(counts().total, before);
    assert!(all.1.is_ok() && all.2.is_ok() && all.4, "{all:?}");
    Ok(())
}

fn seal_aborts() -> Verdict {
    let output = run_helper("allocate_after_seal");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("1234 bytes allocated on the real-time thread after the seal"),
        "{said}"
    );
    Ok(())
}

fn allocate_after_seal() {
    let _mark = RealtimeThread::mark();
    allocator::seal(Seal::Abort);
    drop(black_box(Vec::<u8>::with_capacity(1234)));
}

fn seal_counts() -> Verdict {
    allocator::seal(Seal::Count);
    assert_eq!(allocator::sealed(), Some(Seal::Count));
    let other = black_box(Box::new(1_u8));
    let mark = RealtimeThread::mark();
    let mut own = black_box(vec![1_u8; 16]);
    own.reserve_exact(4096);
    drop(other);
    drop(mark);
    let counted = counts();
    allocator::unseal();
    drop(black_box(Box::new(1_u8)));
    assert_eq!(
        (counted.realtime, counted.others, counted.realtime_frees),
        (2, 1, 1),
        "expected an allocation and its growth, the box, and its free"
    );
    assert_eq!(
        counts().others,
        counted.others,
        "counted after the seal was opened"
    );
    assert!(counts().total > counted.total);
    Ok(())
}

fn guard_is_free() -> Verdict {
    let mut reserved = Stack::reserve(STACK).expect("the stack is free");
    let guard = stack::guard_range();
    lock_all(LockFlags::CurrentAndFuture)?;
    let with_guard = locked_kb();
    reserved.unlock_guard().expect("unlocking is not refused");
    assert_eq!(with_guard - locked_kb(), guard.length as u64 / 1024);
    let area = area_of(guard);
    assert!(!area.is_locked && area.resident_kb == 0, "{area:?}");
    assert!(area_of(stack::range()).is_locked);
    assert_eq!(
        reserved.run(|| area_of(stack::guard_range()).is_locked),
        Ok(false)
    );
    Ok(())
}

fn no_faults() -> Verdict {
    keep_heap().expect("the C library takes its options");
    lock_all(LockFlags::CurrentAndFuture)?;
    let mut reserved = Stack::reserve(256 * 1024).expect("the stack is free");
    reserved.lock().expect("locking was granted before");
    let faults = reserved.run(|| {
        let mut reader =
            FaultReader::of_thread("/", scheduler::thread_id()).expect("/proc is mounted");
        let _warm_up = (faults::own(), reader.read(), use_deep(1));
        let before = (faults::own(), reader.read());
        black_box(use_deep(12));
        let (own, read) = (faults::own(), reader.read());
        (
            own.and_then(|after| before.0.map(|before| after.since(before))),
            read.and_then(|after| before.1.map(|before| after.since(before))),
        )
    });
    let (own, read) = faults.expect("the thread runs");
    assert!(own.expect("counts").is_zero(), "{own:?}");
    assert!(read.expect("counts").is_zero(), "{read:?}");
    let deepest = stack::high_water_bytes();
    assert!((192 * 1024..256 * 1024).contains(&deepest), "{deepest}");
    Ok(())
}

/// Uses slightly more than `levels` times 16 KiB of stack.
#[inline(never)]
fn use_deep(levels: usize) -> usize {
    let block = black_box([1_u8; 16 * 1024]);
    let below = if levels <= 1 { 0 } else { use_deep(levels - 1) };
    below + usize::from(black_box(&block)[levels])
}

fn stack_alone() -> Verdict {
    let reserved = Stack::reserve(STACK).expect("the stack is free");
    reserved
        .lock()
        .map_err(|error| NotRun::because(error.to_string()))?;
    let signal_stack_kb = 32;
    assert_eq!(locked_kb(), STACK as u64 / 1024 + signal_stack_kb);
    Ok(())
}

/// Runs the helper `name` with a socket as its standard input; returns whether the emergency
/// actions changed it.
fn die(name: &str) -> (Output, bool) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let shared = theirs.try_clone().expect("a descriptor");
    let output = helper(name)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .output()
        .expect("this program starts anew");
    drop(ours);
    let path = format!("/proc/self/fdinfo/{}", shared.as_raw_fd());
    let info = std::fs::read_to_string(path).expect("fdinfo can be read");
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok())
        .expect("fdinfo has flags");
    // The value of this flag is the same on all our targets, also under an emulator.
    (output, flags & libc::O_NONBLOCK != 0)
}

/// In the helper: installs the handlers, and an action that shows that they ran to the end.
fn prepare_to_die() {
    signals::install().expect("handlers can be set");
    emergency::register_witness(std::io::stdin().as_fd()).expect("a free slot");
}

fn die_with_witness(how: fn()) {
    prepare_to_die();
    how();
}

fn run_on_small_stack(job: fn()) {
    prepare_to_die();
    let ended = stack::on_stack(STACK, job);
    println!("ended: {ended:?}");
}

fn overrun_the_stack() {
    black_box(use_deep(64));
}

fn died(name: &str, signal: i32, line: &str) -> Output {
    let (output, safe) = die(name);
    assert_eq!(output.status.signal(), Some(signal), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().filter(|said| said.contains(line)).count();
    assert_eq!(lines, 1, "{said}");
    assert!(safe, "the emergency actions were run");
    output
}

fn overrun() -> Verdict {
    let said = died("overrun_the_stack", libc::SIGSEGV, "overrun at 0x");
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.contains("real-time stack of 65536 bytes overrun"),
        "{said}"
    );
    assert!(said.contains("raise [loop] stack_kb"), "{said}");
    // A user-mode emulator prints another line.
    let own_lines = said.lines().filter(|line| !line.starts_with("qemu:"));
    assert_eq!(own_lines.count(), 1, "{said}");
    Ok(())
}

fn panic_aborts() -> Verdict {
    died(
        "panic_on_stack",
        libc::SIGABRT,
        "SIGABRT, a panic or an abort",
    );
    Ok(())
}

fn abort_handled() -> Verdict {
    died("abort", libc::SIGABRT, "SIGABRT, a panic or an abort");
    Ok(())
}

fn sent_fault() -> Verdict {
    died("send_fault", libc::SIGSEGV, "SIGSEGV");
    Ok(())
}

fn send(signal: i32) {
    process::signal_self(signal).expect("a signal can be sent");
}

fn other_overflow() -> Verdict {
    let output = died(
        "overflow_elsewhere",
        libc::SIGABRT,
        "has overflowed its stack",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("SIGSEGV") && !said.contains("real-time stack"),
        "{said}"
    );
    // The abort after it is not a second cause.
    assert!(!said.contains("SIGABRT"), "{said}");
    Ok(())
}

fn overflow_elsewhere() {
    prepare_to_die();
    let barrier = threads::Barrier::new();
    barrier.open();
    std::thread::scope(|scope| {
        let thread = threads::spawn(scope, "elsewhere", 64 * 1024, &barrier, overrun_the_stack);
        let _ = thread.expect("a thread can be started").join();
    });
}

fn requests() -> Verdict {
    signals::install().expect("handlers can be set");
    for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGPIPE] {
        send(signal);
    }
    assert_eq!(signals::stop_requested(), None);
    send(libc::SIGTERM);
    assert_eq!(signals::stop_requested(), Some(StopSignal::Terminate));
    send(libc::SIGTERM);
    send(libc::SIGHUP);
    assert_eq!(
        signals::stop_requested(),
        Some(StopSignal::Terminate),
        "the first"
    );
    signals::clear_stop();
    send(libc::SIGINT);
    assert_eq!(signals::stop_requested(), Some(StopSignal::Interrupt));
    signals::clear_stop();
    send(libc::SIGHUP);
    assert_eq!(signals::stop_requested(), Some(StopSignal::HangUp));
    Ok(())
}

fn second_interrupt() -> Verdict {
    let output = died("interrupt_twice", libc::SIGINT, "interrupted twice");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "still here\n");
    Ok(())
}

fn interrupt_twice() {
    prepare_to_die();
    send(libc::SIGINT);
    println!("still here");
    send(libc::SIGINT);
    println!("here no more");
}

fn runaway() -> Verdict {
    // On a thread that ends, so that its limit does not apply to this process.
    let granted = std::thread::spawn(|| scheduler::set_policy(Policy::Fifo { priority: 1 }));
    if let Err(error) = granted.join().expect("it ends") {
        return Err(NotRun::because(error.to_string()));
    }
    died("run_away", libc::SIGXCPU, "longer than RLIMIT_RTTIME");
    Ok(())
}

fn run_away() {
    let limit = Limit {
        soft: Some(50_000),
        hard: Some(1_000_000),
    };
    limits::set(Resource::RtTime, limit).expect("limits can be lowered");
    run_on_small_stack(|| {
        scheduler::set_policy(Policy::Fifo { priority: 1 }).expect("granted before");
        loop {
            black_box(page_size());
        }
    });
}
