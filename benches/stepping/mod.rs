//! Counts single instructions, including those of the vDSO.
//!
//! Valgrind removes the vDSO (vdso(7)), in which the firmware reads its clock. Therefore
//! this program is started again and single-stepped by ptrace(2): each stop is one
//! instruction of user space; the kernel's part of a system call is not counted.
//!
//! A step takes tens of microseconds, and the vDSO repeats its reading if the kernel has
//! updated the time meanwhile. Therefore a call is made [`CALLS`] times, and the smallest
//! count is used.
#![expect(unsafe_code, reason = "ptrace(2) and waitpid(2)")]

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// The reason for a failed count.
#[derive(Debug)]
pub(crate) enum Error {
    /// A system call was refused.
    Refused(io::Error),
    /// The program did not print the address of its count.
    Silent,
    /// The program ended before all calls were made: the status of waitpid(2).
    Ended(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(
                f,
                "this program cannot be single-stepped ({error}); ptrace(2) says who may"
            ),
            Self::Silent => f.write_str("the program that is stepped said nothing"),
            Self::Ended(status) => write!(f, "the program that is stepped ended with {status:#x}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

/// How often a call is made.
const CALLS: u64 = 200;

/// Calls made so far by the stepped program.
static DONE: AtomicU64 = AtomicU64::new(0);

/// Body of the stepped program: prints the address of its count, waits until it is stepped,
/// and makes the calls.
pub(crate) fn be_stepped(mut call: impl FnMut()) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{}", (&raw const DONE).addr())?;
    io::stdin().read_exact(&mut [0])?;
    for done in 1..=CALLS {
        call();
        DONE.store(done, Ordering::Relaxed);
    }
    Ok(())
}

/// Instructions from one call to the next of this program, started with
/// `arguments`, which make it call [`be_stepped`].
pub(crate) fn count(arguments: &[&str]) -> Result<u64, Error> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let counted = step_through(&mut child);
    // The program is no longer needed; it may have ended already.
    let _ = child.kill();
    let _ = child.wait();
    counted
}

fn step_through(child: &mut Child) -> Result<u64, Error> {
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut said)?;
    }
    let done = said.trim().parse().map_err(|_| Error::Silent)?;
    let pid = child.id() as libc::pid_t;
    trace(libc::PTRACE_ATTACH, pid, 0)?;
    wait(pid)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&[0])?;
    }
    let (mut calls, mut steps, mut least) = (0, 0, u64::MAX);
    while calls < CALLS {
        trace(libc::PTRACE_SINGLESTEP, pid, 0)?;
        let status = wait(pid)?;
        if !libc::WIFSTOPPED(status) {
            return Err(Error::Ended(status));
        }
        steps += 1;
        let now = trace(libc::PTRACE_PEEKDATA, pid, done)? as u64;
        if now != calls {
            // The instructions before the first call do not count.
            if calls > 0 {
                least = least.min(steps);
            }
            (calls, steps) = (now, 0);
        }
    }
    Ok(least)
}

/// ptrace(2) with a request without data; gives the result of a reading request.
fn trace(request: libc::c_uint, pid: libc::pid_t, address: usize) -> io::Result<libc::c_long> {
    let none = core::ptr::null_mut::<libc::c_void>();
    // SAFETY: of the requests made here only PTRACE_PEEKDATA looks at the
    // address, which is one of the other program; the data is no signal.
    match unsafe { libc::ptrace(request, pid, address, none) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

/// waitpid(2): the status of the program when it stops or ends.
fn wait(pid: libc::pid_t) -> io::Result<libc::c_int> {
    let mut status = 0;
    // SAFETY: `status` is a live, writable integer.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}
