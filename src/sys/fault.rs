//! The handlers of fatal signals. They make the outputs safe, report the cause, and let the
//! process die by the signal.
//!
//! They run on the alternate stack and make async-signal-safe calls only (signal-safety(7)):
//! they set the lines, record the [`cause`], write one line to standard error, run the
//! [`emergency`] actions, and let the signal take effect, so that exit status and core dump are
//! those of the fault. The build aborts on panic, so a panic arrives here as `SIGABRT`.

use core::fmt::Write;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::cause::{self, Kind};
use super::crash_message::{HANDLED, signal_message};
use super::{Errno, check, disposition, emergency, stack};

/// The previous handler of each signal: address and flags.
static BEFORE: [(AtomicUsize, AtomicI32); HANDLED.len()] =
    [const { (AtomicUsize::new(libc::SIG_DFL), AtomicI32::new(0)) }; HANDLED.len()];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs the handlers (sigaction(2)). A second call changes nothing.
///
/// # Errors
/// Those of sigaction(2); none is expected.
pub fn install() -> Result<(), Errno> {
    let ours = on_fault as Handler as usize;
    for ((signal, _), before) in HANDLED.into_iter().zip(&BEFORE) {
        // SAFETY: sigaction consists of numbers and addresses, for which all zeros is a valid
        // value.
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
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo that is valid while the handler runs,
    // and has an address for the signals of a fault.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    let is_fault = faults_again(signal, code);
    let overrun = (is_fault && signal == libc::SIGSEGV)
        .then(|| stack::guarded_size(address))
        .flatten();

    // Outputs first, before anything that takes time.
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
            "steadfast: real-time stack of {bytes} bytes overrun at {address:#x}; raise [loop] \
             stack_kb in the board file, now {}",
            bytes / 1024
        ),
        None => {
            let what = signal_message(signal);
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
        // What the previous handler does is most often an abort. Everything for it is done, and
        // the alternate stack of a thread of the standard library (8 KiB) has no room for a
        // second signal frame with AVX-512 registers (`AT_MINSIGSTKSZ`, getauxval(3)).
        let _ = disposition::set(libc::SIGABRT, libc::SIG_DFL);
        chain(signal);
    } else {
        disposition::end_by(signal);
    }
}

/// Whether the same fault occurs again, at the reported address, when the handler of `signal`
/// with this `si_code` returns. A positive code comes from the kernel (sigaction(2)). Of those,
/// SIGXCPU, SIGXFSZ and SIGQUIT are sent, SIGTRAP comes after its instruction, and the system
/// call of a seccomp filter's SIGSYS is over (seccomp(2), `SECCOMP_RET_TRAP`).
const fn faults_again(signal: libc::c_int, code: libc::c_int) -> bool {
    code > 0
        && matches!(
            signal,
            libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE
        )
}

/// Restores the previous handler of `signal`, which runs when the faulting instruction is
/// executed again: the handler of the standard library names the thread whose stack overflowed.
fn chain(signal: libc::c_int) {
    for ((number, _), before) in HANDLED.into_iter().zip(&BEFORE) {
        if number == signal {
            // SAFETY: sigaction consists of numbers and addresses, for which all zeros is a
            // valid value.
            let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
            action.sa_sigaction = before.0.load(Ordering::Relaxed);
            action.sa_flags = before.1.load(Ordering::Relaxed);
            if action.sa_sigaction == libc::SIG_IGN {
                action.sa_sigaction = libc::SIG_DFL;
            }
            // SAFETY: `action` is live, and its handler was installed before with these flags.
            let _ = unsafe { libc::sigaction(number, &raw const action, core::ptr::null_mut()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    /// Set for the child process of this test.
    const CHILD: &str = "STEADFAST_TEST_SIGSYS";
    const SURVIVED: i32 = 17;
    const NOT_RUN: i32 = 18;

    #[test]
    fn a_system_call_forbidden_by_a_filter_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            install().unwrap();
            if !forbid_getpriority() {
                std::process::exit(NOT_RUN);
            }
            // SAFETY: takes no pointer.
            unsafe { libc::getpriority(libc::PRIO_PROCESS as _, 0) };
            std::process::exit(SURVIVED);
        }
        let test = "sys::fault::tests::a_system_call_forbidden_by_a_filter_ends_the_process";
        let output = crate::emulation::start(&std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        if output.status.code() == Some(NOT_RUN) {
            crate::emulation::not_run("there are no seccomp filters here");
            return;
        }
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("SIGSYS, a system call that a filter forbids\n"),
            "{said}"
        );
    }

    /// Makes getpriority(2) on this thread raise SIGSYS (seccomp(2)). Returns whether the
    /// kernel supports it.
    fn forbid_getpriority() -> bool {
        let step = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let call = libc::SYS_getpriority as u32;
        let mut filter = [
            // The number of the call is the first word of `struct seccomp_data`.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_TRAP),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: takes numbers only.
        let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let mode = libc::SECCOMP_MODE_FILTER;
        // SAFETY: `program` and its steps are live; the kernel copies them.
        let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
        privileges == 0 && filtered == 0
    }

    #[test]
    fn only_faults_of_an_instruction_repeat_after_return() {
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
            assert!(faults_again(signal, 1));
            assert!(!faults_again(signal, libc::SI_USER), "sent by kill(2)");
        }
        for (signal, _) in HANDLED.into_iter().skip(4) {
            assert!(!faults_again(signal, 1), "{signal}");
        }
    }
}
