//! A macro that leaves three things out of a static firmware: the stack bounds of its threads, the
//! resolver of host names, and backtraces.
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
//! The message of a panic has a backtrace on request (`RUST_BACKTRACE`). That brings a reader of ELF
//! and DWARF, a decompressor, two demanglers and the unwinder with it: 185 kB, of no use without
//! symbols and unwind tables. Link-time optimisation removes all of it when `_Unwind_Backtrace`, which
//! it must see, reports an empty stack.
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
///
/// `static_binary!(no_resolver, no_backtrace)` also leaves out backtraces and the unwinder, in a
/// release for arm64 or x86-64 that aborts on a panic: 185 kB more. `RUST_BACKTRACE` then has no
/// effect; message and place of a panic are still printed. The firmware must not end a thread by
/// pthread_exit(3) or pthread_cancel(3), which abort it. The linker refuses a C library that needs
/// another function of the unwinder, because it finds `_Unwind_Backtrace` twice.
#[macro_export]
macro_rules! static_binary {
    (no_resolver, no_backtrace) => {
        $crate::static_binary!(no_resolver);

        #[cfg(all(
            target_feature = "crt-static",
            target_env = "gnu",
            any(target_arch = "aarch64", target_arch = "arm", target_arch = "x86_64"),
            panic = "abort",
            not(debug_assertions)
        ))]
        const _: () = {
            use ::core::ffi::{c_int, c_void};

            // The functions of the unwinder to which the standard library and the C library refer
            // (Itanium C++ ABI: Exception Handling, section 1.5). Nothing unwinds in a program that
            // aborts on a panic, so only the first two can be called at all.

            /// `_Unwind_Backtrace`: the stack has no frames.
            ///
            /// # Safety
            /// No requirement: it accesses nothing.
            // SAFETY: name and type are those of the ABI, and every caller must expect the end of
            // the stack (`_URC_END_OF_STACK`). In a static program its own definition is linked.
            #[unsafe(no_mangle)]
            extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
                5
            }

            /// `_Unwind_ForcedUnwind`, refused: pthread_exit(3) then aborts.
            ///
            /// # Safety
            /// No requirement: it accesses nothing.
            // SAFETY: as above; the result is an error (`_URC_FATAL_PHASE2_ERROR`, which 32-bit ARM does
            // not have: there `_URC_FAILURE`).
            #[unsafe(no_mangle)]
            extern "C" fn _Unwind_ForcedUnwind(
                _: *mut c_void,
                _: *const c_void,
                _: *mut c_void,
            ) -> c_int {
                if cfg!(target_arch = "arm") { 9 } else { 2 }
            }

            // Of 32-bit ARM (Exception Handling ABI for the Arm Architecture, sections 8 and 9).
            #[cfg(target_arch = "arm")]
            $crate::static_binary!(
                @never __aeabi_unwind_cpp_pr0 __aeabi_unwind_cpp_pr1 __aeabi_unwind_cpp_pr2
                __gnu_unwind_frame _Unwind_VRS_Get _Unwind_VRS_Set _Unwind_RaiseException
                _Unwind_DeleteException _Unwind_Complete
            );

            $crate::static_binary!(
                @never _Unwind_Resume _Unwind_GetCFA _Unwind_GetIP _Unwind_GetIPInfo
                _Unwind_GetLanguageSpecificData _Unwind_GetRegionStart _Unwind_GetTextRelBase
                _Unwind_GetDataRelBase _Unwind_SetGR _Unwind_SetIP __gcc_personality_v0
            );
        };
    };
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
    (@never $($name:ident)*) => {$(
        /// A function of the unwinder that nothing calls: it is passed a frame, or an exception.
        ///
        /// # Safety
        /// No requirement: it accesses nothing and does not return.
        // SAFETY: the function has a name of the ABI; without frames and exceptions no caller has
        // the arguments for it, and its type does not matter to an abort.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            ::std::process::abort()
        }
    )*};
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
