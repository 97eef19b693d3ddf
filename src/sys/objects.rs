//! The loaded segments of the program and its libraries (dl_iterate_phdr(3), elf(5)).

use core::ffi::c_void;

use super::memory::Range;

type Visit<'v> = &'v mut dyn FnMut(Range);

/// Calls `visit` with every loaded readable segment: code, constants, data and `.bss` of the
/// program and its libraries. The vDSO is left out: its pages belong to the kernel, cannot be
/// locked and never leave memory. Allocates nothing.
pub fn segments(mut visit: impl FnMut(Range)) {
    let mut visit: Visit<'_> = &mut visit;
    // SAFETY: the callback gets this pointer to `visit`, which outlives the call, and is not
    // called after it returned.
    unsafe { libc::dl_iterate_phdr(Some(object), (&raw mut visit).cast()) };
}

/// Whether all of `range` is in one loaded segment, that is in static memory and not on a stack
/// or in a heap. True for an empty range.
#[must_use]
pub fn has(range: Range) -> bool {
    let mut found = range.length == 0;
    segments(|segment| {
        found |= segment.contains(range.address)
            && range.length <= segment.length - (range.address - segment.address);
    });
    found
}

unsafe extern "C" fn object(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    visit: *mut c_void,
) -> libc::c_int {
    // SAFETY: `segments` passes a pointer to its own `Visit`, and calls this only while it
    // lives.
    let visit = unsafe { &mut *visit.cast::<Visit<'_>>() };
    // SAFETY: the C library passes a description that is valid during the call, with as many
    // headers as it says.
    let (base, headers) = unsafe {
        let info = &*info;
        let count = usize::from(info.dlpi_phnum);
        (
            info.dlpi_addr as usize,
            core::slice::from_raw_parts(info.dlpi_phdr, count),
        )
    };
    // SAFETY: takes no pointer; 0 where there is no vDSO.
    let vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
    let loaded = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_R != 0)
        .map(|header| Range {
            address: base + header.p_vaddr as usize,
            length: header.p_memsz as usize,
        });
    if !loaded.clone().any(|range| range.contains(vdso)) {
        loaded.filter(|range| range.length > 0).for_each(visit);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_memory_is_distinguished_from_stack_and_heap() {
        static VALUES: [u64; 100] = [7; 100];
        let (stack, heap) = ([7_u64; 100], Box::new([7_u64; 100]));
        let whole = Range::of(&VALUES);
        assert!(has(whole));
        assert!(!has(Range::of(&stack)) && !has(Range::of(&*heap)));
        assert!(!has(Range {
            length: usize::MAX / 2,
            ..whole
        }));
        assert!(has(Range {
            address: 1,
            length: 0
        }));
    }

    #[test]
    fn segments_contain_code_constants_and_statics_but_not_the_vdso() {
        static VALUE: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(7);
        let constant = "a constant of the program";
        let inside = [
            segments as fn(fn(Range)) as usize,
            constant.as_ptr().addr(),
            core::ptr::from_ref(&VALUE).addr(),
            libc::getpid as *const () as usize,
        ];
        let mut found = Vec::new();
        segments(|range| found.push(range));
        for address in inside {
            assert!(
                found.iter().any(|range| range.contains(address)),
                "{address:#x} in {found:x?}"
            );
        }
        // SAFETY: takes no pointer.
        let vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
        assert!(!found.iter().any(|range| range.contains(vdso)));
    }
}
