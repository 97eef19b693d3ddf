use super::*;
use crate::sys::cause;
use crate::sys::i2c::Address;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The process has one table: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_blocking(socket: &UnixStream) -> bool {
    // SAFETY: takes no pointer.
    let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
    flags & libc::O_NONBLOCK == 0
}

#[test]
fn an_action_keeps_its_file_after_its_owner_closed_the_descriptor() {
    let _alone = alone();
    let (owned, _peer) = UnixStream::pair().unwrap();
    let same_file = owned.try_clone().unwrap();
    let number = owned.as_raw_fd();
    let slot = register_witness(owned.as_fd()).unwrap();
    drop(owned);
    // The lowest free number is the one that was closed, unless another test of this process
    // takes it first.
    let others = [(); 8].map(|()| UnixStream::pair().unwrap());
    let reused = others
        .iter()
        .any(|(a, b)| a.as_raw_fd() == number || b.as_raw_fd() == number);
    run();
    release_latch();
    slot.clear();
    assert!(!is_blocking(&same_file), "the action was executed");
    for (a, b) in &others {
        assert!(
            is_blocking(a) && is_blocking(b),
            "on another file; number reused: {reused}"
        );
    }
}

#[test]
fn clearing_waits_for_a_running_execution_of_the_table() {
    let _alone = alone();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let slot = register_witness(socket.as_fd()).unwrap();
    let (entered, enters) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (cleared, clears) = mpsc::channel();
    std::thread::scope(|scope| {
        let executes = scope.spawn(move || {
            let mut open = None;
            each(LINES, ALL, |entry| {
                entered.send(()).unwrap();
                // Returns when the sender is dropped, also if the test fails.
                let _ = goes_on.recv();
                // SAFETY: takes no pointer.
                open = Some(unsafe { libc::fcntl(entry.number(), libc::F_GETFD) } >= 0);
            });
            open
        });
        enters.recv().unwrap();
        scope.spawn(move || {
            slot.clear();
            cleared.send(()).unwrap();
        });
        let early = clears.recv_timeout(Duration::from_millis(50));
        drop(go_on);
        assert_eq!(
            executes.join().unwrap(),
            Some(true),
            "its descriptor was closed"
        );
        assert_eq!(early, Err(RecvTimeoutError::Timeout), "it did not wait");
        clears.recv().unwrap();
    });
    assert_eq!(run(), Outcome::default(), "nothing is registered");
    release_latch();
}

#[test]
fn actions_run_in_order_and_an_error_does_not_stop_the_others() {
    let _alone = alone();
    let (mut socket, _peer) = UnixStream::pair().unwrap();
    let refused = register_line_values(socket.as_fd(), 0b01, 0b11).unwrap();
    let witness = register_witness(socket.as_fd()).unwrap();
    let expected = Outcome {
        done: 1,
        refused: 1,
        frames_sent: false,
    };
    assert!(!latched());
    assert_eq!(run(), expected, "a socket has no lines");
    assert!(latched(), "the loop can tell");
    release_latch();
    let read = socket.read(&mut [0]);
    assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(run(), expected, "twice is as good as once");

    let frame = register_frame(socket.as_fd(), &[0x30, 0x00]).unwrap();
    let with_frame = run();
    assert_eq!((with_frame.done, with_frame.refused), (1, 2), "nor a bus");
    frame.clear();
    release_latch();

    let more: Vec<Slot> = (2..CAPACITY)
        .map(|_| register_witness(socket.as_fd()).unwrap())
        .collect();
    assert_eq!(
        register_witness(socket.as_fd()),
        Err(Errno(libc::EBUSY)),
        "the table is full"
    );
    for slot in more.into_iter().chain([refused, witness]) {
        slot.clear();
    }
    assert_eq!(run(), Outcome::default());
    release_latch();
}

#[test]
fn an_argument_that_is_too_long_is_refused() {
    let _alone = alone();
    let (socket, _peer) = UnixStream::pair().unwrap();
    // SAFETY: it is refused before anything is registered.
    let slot = unsafe { register(socket.as_fd(), 0, &[0; ARGUMENT_MAX + 1]) };
    assert_eq!(slot, Err(Errno(libc::EMSGSIZE)));
    let frame = register_frame(socket.as_fd(), &[0; FRAME_MAX + 1]);
    assert_eq!(frame, Err(Errno(libc::EMSGSIZE)));
}

/// Set for the child process of a test: it must hang.
const CHILD: &str = "STEADFAST_TEST_HUNG_FRAMES";

#[test]
fn a_panic_whose_safe_frames_hang_is_printed_by_the_alarm_that_ends_it() {
    if std::env::var_os(CHILD).is_some() {
        cause::cell().record(cause::Kind::Panic, 0, 0, b"law.rs:12: words");
        PANIC_PENDING.store(true, Ordering::SeqCst);
        end_within(1_000, End::Signal(libc::SIGABRT)).unwrap();
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let test = "sys::emergency::tests::a_panic_whose_safe_frames_hang_is_printed_by_the_alarm_that_ends_it";
    let output = crate::emulation::start(&std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "steadfast: panic: law.rs:12: words\nsteadfast: SIGABRT, a panic or an abort\n";
    assert!(said.contains(expected), "{said}");
}

/// The registered actions of `kind`, in the order of execution.
fn registered(kind: u8) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    each(kind, ALL, |entry| {
        all.push(entry.bytes().to_vec());
    });
    all
}

#[test]
fn a_frame_of_66_words_is_registered_whole() {
    let _alone = alone();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let long: Vec<u8> = (0..132).collect();
    let longest = [7; FRAME_MAX];
    let chip = Address::seven_bit(0x48).unwrap();
    let slots = [
        register_frame(socket.as_fd(), &long).unwrap(),
        register_i2c(socket.as_fd(), chip, &[1, 2, 3]).unwrap(),
        register_frame(socket.as_fd(), &longest).unwrap(),
    ];
    let seen = registered(FRAME);
    for slot in slots {
        slot.clear();
    }
    assert_eq!(seen, [&long[..], &[1, 2, 3], &longest]);
}

#[test]
fn the_pool_is_bounded_and_reuses_freed_space() {
    let _alone = alone();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let fill = || register_frame(socket.as_fd(), &[1; FRAME_MAX]);
    let mut slots: Vec<Slot> = (0..POOL_BYTES / FRAME_MAX)
        .map(|_| fill().unwrap())
        .collect();
    let full = fill();
    slots.remove(1).clear();
    let part = register_frame(socket.as_fd(), &[2; FRAME_MAX / 2]).unwrap();
    let rest = register_frame(socket.as_fd(), &[3; FRAME_MAX / 2]).unwrap();
    let none = register_frame(socket.as_fd(), &[4]);
    let seen = registered(FRAME);
    for slot in slots.into_iter().chain([part, rest]) {
        slot.clear();
    }
    assert_eq!(full, Err(Errno(libc::ENOSPC)));
    assert_eq!(none, Err(Errno(libc::ENOSPC)));
    // Registered last, executed last, wherever its bytes are in the pool.
    let first: Vec<u8> = seen.iter().map(|bytes| bytes[0]).collect();
    assert_eq!(first, [1, 1, 1, 2, 3]);
    assert!(seen.iter().all(|b| b.iter().all(|byte| *byte == b[0])));
}

#[test]
fn a_cleared_slot_does_not_change_the_order_of_later_actions() {
    let _alone = alone();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let frame = |byte: u8| register_frame(socket.as_fd(), &[byte]).unwrap();
    let (first, second) = (frame(1), frame(2));
    first.clear();
    let third = frame(3);
    let seen = registered(FRAME);
    second.clear();
    third.clear();
    assert_eq!(seen, [[2], [3]]);
}

/// A temporary file, written like an attribute of sysfs.
fn file(name: &str) -> (std::path::PathBuf, std::fs::File) {
    let path = std::env::temp_dir().join(format!("steadfast-{}-{name}", std::process::id()));
    std::fs::write(&path, "900\n").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    (path, file)
}

#[test]
fn a_file_is_written_from_its_start_at_each_execution() {
    use std::io::Write as _;
    let _alone = alone();
    let (path, mut duty) = file("duty");
    duty.write_all(b"12").unwrap();
    let slot = register_write(duty.as_fd(), b"500", When::MayBlock).unwrap();
    let by_handler = run();
    release_latch();
    let first = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "900\n").unwrap();
    let by_loop = slot.execute();
    let second = std::fs::read_to_string(&path).unwrap();
    slot.clear();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((by_handler.done, by_handler.refused), (1, 0));
    assert_eq!((first.as_str(), by_loop), ("500\n", Ok(())));
    assert_eq!(second, "500\n");
    assert!(!latched(), "the loop keeps its outputs");
}

#[test]
fn immediate_actions_run_first_in_every_execution() {
    let _alone = alone();
    let (path, duty) = file("order");
    // The last action executed is the one that can be seen.
    let write = |text, when| register_write(duty.as_fd(), text, when).unwrap();
    let slots = [
        write(b"111", When::MayBlock),
        write(b"222", When::Immediate),
        write(b"333", When::MayBlock),
    ];
    let now = || std::fs::read_to_string(&path).unwrap();
    lines();
    let after_lines = now();
    frames();
    let after_frames = now();
    let all = run();
    let at_last = now();
    release_latch();
    for slot in slots {
        slot.clear();
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(after_lines, "222\n");
    assert_eq!(after_frames, "333\n");
    assert_eq!((all.done, at_last.as_str()), (3, "222\n"));
}

#[test]
fn frames_for_a_hanging_file_are_sent_last() {
    if !crate::sys::waiting::shows_system_calls() {
        return;
    }
    let _alone = alone();
    let (hangs, mut peer) = UnixStream::pair().unwrap();
    let (other, _other_peer) = UnixStream::pair().unwrap();
    let slots = [
        register_frame(hangs.as_fd(), &[1]).unwrap(),
        register_frame(other.as_fd(), &[2]).unwrap(),
        register_frame(hangs.as_fd(), &[3]).unwrap(),
        register_frame(other.as_fd(), &[4]).unwrap(),
    ];
    let order = || {
        let mut order = Vec::new();
        each_frame(|entry| order.extend_from_slice(entry.bytes()));
        order
    };
    let before = order();
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // SAFETY: takes no pointer.
        tell.send(unsafe { libc::gettid() }).unwrap();
        (&hangs).read_exact(&mut [0]).unwrap();
    });
    let thread_id = told.recv().unwrap();
    let file = (0..1_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        BlockedIn::of(thread_id)
    });
    if let Some(file) = file {
        send_last(file);
    }
    let after = order();
    release_latch();
    let again = order();
    std::io::Write::write_all(&mut peer, b"1").unwrap();
    thread.join().unwrap();
    for slot in slots {
        slot.clear();
    }
    assert_eq!(before, [1, 2, 3, 4]);
    assert_eq!(after, [2, 4, 1, 3]);
    assert_eq!(again, before);
}

#[test]
fn an_action_that_the_kernel_refuses_returns_its_error_to_the_loop() {
    let _alone = alone();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let chip = Address::ten_bit(0x148).unwrap();
    let slots = [
        register_frame(socket.as_fd(), &[1]).unwrap(),
        register_i2c(socket.as_fd(), chip, &[1]).unwrap(),
    ];
    let answers = [0, 1].map(|at: usize| slots[at].execute());
    let pipe = register_write(socket.as_fd(), b"0", When::Immediate).unwrap();
    let no_place = pipe.execute();
    for slot in slots.into_iter().chain([pipe]) {
        slot.clear();
    }
    for answer in answers {
        let Errno(number) = answer.unwrap_err();
        assert_eq!(number, crate::emulation::enotty(number));
    }
    assert_eq!(no_place, Err(Errno(libc::ESPIPE)));
    assert_eq!(Address::unpack(chip.pack()), chip);
    let nothing = register_frame(socket.as_fd(), &[]);
    assert_eq!(
        nothing,
        Err(Errno(libc::EINVAL)),
        "it would make nothing safe"
    );
}
