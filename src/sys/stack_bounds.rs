//! A thread's stack bounds, as a static firmware answers for them: not known.
//!
//! The standard library asks pthread_getattr_np(3) for them once in each thread,
//! to say in a message about a stack overflow which thread it was. By then the
//! firmware's own handler has made the outputs safe, put the cause on record and
//! said the address; an overflow of the real-time stack it names itself. What is
//! lost is the name of a helper thread, and a range that is not known is a case the
//! standard library provides for. The C library's answer, though, is read from
//! `/proc/self/maps` by sscanf(3), and that brings 75 kB of conversions with it,
//! long double among them, into a static binary that is locked into RAM.
//!
//! In the binary alone, not in the library: sanitizers and other people's runtimes
//! rely on the real one. So it is a macro, for a firmware's `main.rs`.

/// For the `main.rs` of a firmware: makes a static binary 75 kB smaller, all of which
/// would be locked into RAM. It does nothing in a dynamically linked one.
///
/// The standard library asks the C library for a thread's stack bounds, to name the
/// thread in a message about a stack overflow. In a static binary this macro answers that
/// they are not known: pthread_getattr_np(3) fails with `ENOSYS`. The firmware's own
/// handler makes the outputs safe and records the overflow all the same.
#[macro_export]
macro_rules! static_binary {
    () => {
        #[cfg(target_feature = "crt-static")]
        const _: () = {
            /// pthread_getattr_np(3), refused.
            ///
            /// # Safety
            /// None needed: it touches nothing.
            // SAFETY: the name is the C library's, its type is kept (pthread_t is an
            // unsigned long in glibc), and an error is an answer that every caller has to
            // expect. In a static program the definition of the program's own is the one
            // that is linked.
            #[unsafe(no_mangle)]
            extern "C" fn pthread_getattr_np(
                _: ::core::ffi::c_ulong,
                _: *mut ::core::ffi::c_void,
            ) -> ::core::ffi::c_int {
                // ENOSYS, on each machine that steadfast runs on.
                38
            }
        };
    };
}
