//! Two functions of the C library, in place of its own, in a static program.
//!
//! The linker takes whole object files from `libc.a`. These two bring message catalogues, stream
//! files and wide formatted output with them, although no program that never calls setlocale(3)
//! can use any of it: without them the static firmware is 22 kB smaller, and all of it would be
//! locked into RAM. A C library that defines them together with something else that it needs is
//! refused by the linker (a symbol defined twice), never mixed at run time.

use core::ffi::{CStr, c_char, c_int, c_uint};
use core::fmt::Write;

/// `__assert_fail` (Linux Standard Base, `baselib---assert-fail-1`): a condition inside of the C
/// library does not hold, such as after memory was overwritten. Reports it on standard error and
/// aborts, so that the crash handler makes the outputs safe. Async-signal-safe, unlike the
/// original, which formats with `asprintf` and may translate.
///
/// # Safety
/// The pointers are null or strings that end in a zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn __assert_fail(
    assertion: *const c_char,
    file: *const c_char,
    line: c_uint,
    function: *const c_char,
) -> ! {
    let text = |at: *const c_char| {
        if at.is_null() {
            return "?";
        }
        // SAFETY: the caller gives a string that ends in a zero; this function never returns, so
        // it outlives the view.
        unsafe { CStr::from_ptr(at) }.to_str().unwrap_or("?")
    };
    let mut message = heapless::String::<256>::new();
    // A longer message is cut off: what is written first tells the most.
    let _ = write!(message, "steadfast: C library: {}:{line}: ", text(file));
    let _ = write!(message, "{}: ", text(function));
    let _ = writeln!(message, "`{}' does not hold", text(assertion));
    super::write_stderr(message.as_bytes());
    std::process::abort()
}

/// `__dcgettext`: the translation of `message`, which is `message` itself in the locale "C"
/// (dcgettext(3)). `strerror_r` asks for it.
#[unsafe(no_mangle)]
extern "C" fn __dcgettext(
    _domain: *const c_char,
    message: *const c_char,
    _category: c_int,
) -> *const c_char {
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn errors_keep_their_words() {
        let error = std::io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(error.to_string(), "No such file or directory (os error 2)");
    }

    #[test]
    fn an_assertion_of_the_c_library_is_reported_and_aborts() {
        const CHILD: &str = "STEADFAST_TEST_ASSERTION";
        if std::env::var_os(CHILD).is_some() {
            // SAFETY: three strings that end in a zero.
            unsafe { __assert_fail(c"size > 0".as_ptr(), c"a.c".as_ptr(), 7, c"f".as_ptr()) }
        }
        let output = crate::emulation::start(&std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("sys::static_libc::tests::an_assertion_of_the_c_library_is_reported_and_aborts")
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("steadfast: C library: a.c:7: f: `size > 0' does not hold\n"),
            "{said}"
        );
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    }
}
