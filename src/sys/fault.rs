//! The handlers of fatal signals: say what happened, make the outputs safe,
//! die by the signal.
//!
//! They run on the alternate stack, make async-signal-safe calls only
//! (signal-safety(7)), put the [`cause`] on record, write one line to standard
//! error, run the [`emergency`] actions, and let the signal take its course, so
//! that the exit status and a core dump are those of the fault. The build aborts on panic, so
//! a panic passes here as `SIGABRT`.

use core::fmt::Write;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::cause::{self, Kind};
use super::{Errno, check, emergency, signal, stack};

/// The signals handled, and what is said of each.
const HANDLED: [(libc::c_int, &str); 10] = [
    (
        libc::SIGSEGV,
        "SIGSEGV, an access to memory that is not there",
    ),
    (libc::SIGBUS, "SIGBUS, an access that the hardware refused"),
    (libc::SIGILL, "SIGILL, an instruction that does not exist"),
    (libc::SIGFPE, "SIGFPE, an arithmetic fault"),
    (libc::SIGABRT, "SIGABRT, a panic or an abort"),
    (
        libc::SIGXCPU,
        "SIGXCPU, a real-time thread ran without a blocking call for longer than RLIMIT_RTTIME",
    ),
    (libc::SIGQUIT, "SIGQUIT, asked to end at once"),
    (libc::SIGTRAP, "SIGTRAP, a breakpoint without a debugger"),
    (
        libc::SIGSYS,
        "SIGSYS, a system call that is not allowed here",
    ),
    (libc::SIGXFSZ, "SIGXFSZ, a file longer than RLIMIT_FSIZE"),
];

/// What handled each signal before: the handler's address and its flags.
static BEFORE: [(AtomicUsize, AtomicI32); HANDLED.len()] =
    [const { (AtomicUsize::new(libc::SIG_DFL), AtomicI32::new(0)) }; HANDLED.len()];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs the handlers (sigaction(2)). Done again, it changes nothing.
///
/// # Errors
/// Those of sigaction(2); none is expected.
pub fn install() -> Result<(), Errno> {
    let ours = on_fault as Handler as usize;
    for ((signal, _), before) in HANDLED.into_iter().zip(&BEFORE) {
        // SAFETY: sigaction is plain numbers and addresses, zero is a value of
        // each.
        let (mut action, mut old): (libc::sigaction, libc::sigaction) =
            unsafe { (core::mem::zeroed(), core::mem::zeroed()) };
        action.sa_sigaction = ours;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the mask is live and writable.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        // SAFETY: both structures are live, and the handler makes
        // async-signal-safe calls only.
        check(unsafe { libc::sigaction(signal, &raw const action, &raw mut old) })?;
        if old.sa_sigaction != ours {
            before.0.store(old.sa_sigaction, Ordering::Relaxed);
            before.1.store(old.sa_flags, Ordering::Relaxed);
        }
    }
    Ok(())
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    // SAFETY: with SA_SIGINFO the kernel hands over a siginfo that lives as
    // long as the handler runs, with an address for the signals of a fault.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // A positive code is the kernel's own (sigaction(2)). Only then does
    // returning run into the same fault again; SIGXCPU and SIGABRT are sent.
    let is_fault = code > 0
        && !matches!(
            signal,
            libc::SIGABRT | libc::SIGXCPU | libc::SIGQUIT | libc::SIGXFSZ | libc::SIGTRAP
        );
    let overrun = (is_fault && signal == libc::SIGSEGV)
        .then(|| stack::guarded_size(address))
        .flatten();

    // Before anything that takes time.
    emergency::lines();
    let address_of_fault = if is_fault { address as u64 } else { 0 };
    match overrun {
        Some(bytes) => cause::record(Kind::StackOverrun, bytes as u32, address_of_fault),
        None => cause::record(Kind::Signal, signal as u32, address_of_fault),
    };

    let mut line = heapless::String::<224>::new();
    let _ = match overrun {
        Some(bytes) => writeln!(
            line,
            "steadfast: real-time stack of {bytes} bytes overrun at {address:#x}: raise [loop] \
             stack_kb in the board file, now {}",
            bytes / 1024
        ),
        None => {
            let what = HANDLED
                .iter()
                .find(|(number, _)| *number == signal)
                .map_or("an unknown signal", |(_, what)| what);
            if is_fault {
                writeln!(line, "steadfast: {what}, at {address:#x}")
            } else {
                writeln!(line, "steadfast: {what}")
            }
        }
    };
    super::write_stderr(line.as_bytes());
    emergency::before_signal(signal);

    if is_fault && overrun.is_none() {
        chain(signal);
    } else {
        signal::end_by(signal);
    }
}

/// Puts back what handled `signal` before, which gets it when the faulting
/// instruction runs again: the standard library's handler names an overflow of
/// another thread's stack.
fn chain(signal: libc::c_int) {
    for ((number, _), before) in HANDLED.into_iter().zip(&BEFORE) {
        if number == signal {
            // SAFETY: sigaction is plain numbers and addresses, zero is a value
            // of each.
            let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
            action.sa_sigaction = before.0.load(Ordering::Relaxed);
            action.sa_flags = before.1.load(Ordering::Relaxed);
            if action.sa_sigaction == libc::SIG_IGN {
                action.sa_sigaction = libc::SIG_DFL;
            }
            // SAFETY: `action` is live, and its handler was installed before
            // with these flags.
            let _ = unsafe { libc::sigaction(number, &raw const action, core::ptr::null_mut()) };
        }
    }
}
