//! A macro that leaves two things of the C library out of a static firmware: the stack bounds of
//! its threads, and the resolver of host names.
//!
//! The standard library calls pthread_getattr_np(3) once in each thread, to name the thread in a
//! message about a stack overflow. The C library reads the bounds from `/proc/self/maps` by
//! sscanf(3), which adds 75 kB to a static binary that is locked into RAM. Without the bounds
//! only the name of a helper thread in that message is lost: the firmware's own handler has made
//! the outputs safe and recorded cause and address by then, and names an overflow of the
//! real-time stack itself.
//!
//! Each thread of glibc has a state of the resolver, which brings the resolver with it: 50 kB. The
//! standard library refers to it as well, until link-time optimisation has removed what is not used.
//!
//! The macro is for a firmware's `main.rs` and not for the library, because sanitizers and other
//! runtimes need the real functions, and other programs resolve names.

/// For the `main.rs` of a firmware: makes a static binary 75 kB smaller, all of which would be
/// locked into RAM. Has no effect in a dynamically linked binary.
///
/// The standard library asks the C library for a thread's stack bounds, to name the thread in a
/// message about a stack overflow. In a static binary this macro replaces pthread_getattr_np(3)
/// by a function that fails with `ENOSYS`. The firmware's own handler makes the outputs safe
/// and records the overflow in any case.
///
/// `static_binary!(no_resolver)` leaves out glibc's resolver of host names as well, in a release:
/// 50 kB more. It needs `lto = "fat"` in the profile, and a firmware that resolves no names
/// (getaddrinfo(3), `std::net::ToSocketAddrs` with a name); otherwise the linker refuses it, because
/// it finds `__res_vinit` twice.
#[macro_export]
macro_rules! static_binary {
    (no_resolver) => {
        $crate::static_binary!();

        #[cfg(all(
            target_feature = "crt-static",
            target_env = "gnu",
            not(debug_assertions)
        ))]
        const _: () = {
            /// `__res_vinit`, refused.
            ///
            /// # Safety
            /// No requirement: it accesses nothing.
            // SAFETY: the function has the name and the type of glibc's (resolv/resolv-internal.h),
            // and an error is a result that every caller must expect: without it, the name servers
            // of resolv.conf(5) cannot be read either. In a static program the program's own
            // definition is linked.
            #[unsafe(no_mangle)]
            extern "C" fn __res_vinit(
                _: *mut ::core::ffi::c_void,
                _: ::core::ffi::c_int,
            ) -> ::core::ffi::c_int {
                -1
            }

            /// `__res_iclose`: closes the sockets to the name servers, of which this program has
            /// none.
            ///
            /// # Safety
            /// No requirement: it accesses nothing.
            // SAFETY: as above; the function returns nothing.
            #[unsafe(no_mangle)]
            extern "C" fn __res_iclose(_: *mut ::core::ffi::c_void, _: bool) {}
        };
    };
    () => {
        #[cfg(target_feature = "crt-static")]
        const _: () = {
            /// pthread_getattr_np(3), refused.
            ///
            /// # Safety
            /// No requirement: it accesses nothing.
            // SAFETY: the function has the name and the type of the C library's (pthread_t is
            // an unsigned long in glibc), and an error is a result that every caller must
            // expect. In a static program the program's own definition is linked.
            #[unsafe(no_mangle)]
            extern "C" fn pthread_getattr_np(
                _: ::core::ffi::c_ulong,
                _: *mut ::core::ffi::c_void,
            ) -> ::core::ffi::c_int {
                // ENOSYS on every architecture that steadfast supports.
                38
            }
        };
    };
}
