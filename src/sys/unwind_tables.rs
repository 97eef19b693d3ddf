//! Returns the program's unwind tables to the kernel.
//!
//! mlockall(2) makes them resident with everything else: about 150 kB of a static binary. A
//! release for arm64 without debug information is linked without them (`build.rs`). They are
//! read only by a debugger, which has the file, and by the backtrace of a process that is
//! dying. They are at the end of the program's read-only segment, after `.eh_frame_hdr`, which
//! the program header `PT_GNU_EH_FRAME` locates (Linux Standard Base Core, section 10.6;
//! elf(5)).

use core::ffi::c_void;

use super::memory::{Range, page_size, unlock};
use super::{Errno, check};

/// Unlocks the whole pages from the program's `.eh_frame_hdr` to the end of its segment and
/// returns them to the kernel (madvise(2), `MADV_DONTNEED`). If other data is there, it faults
/// in again from the file when it is used, which the contract's row "page faults" reports.
/// Allocates nothing.
///
/// Returns the number of bytes returned to the kernel; 0 for a program without such tables.
///
/// # Errors
/// Those of munlock(2) and madvise(2); none is expected.
pub fn release() -> Result<usize, Errno> {
    let Some(tables) = of_program() else {
        return Ok(0);
    };
    unlock(tables)?;
    let start = core::ptr::without_provenance_mut(tables.address);
    // SAFETY: whole pages of a read-only segment of the program's file, which cannot have been
    // changed: a later read gets the same bytes from the file.
    check(unsafe { libc::madvise(start, tables.length, libc::MADV_DONTNEED) })?;
    Ok(tables.length)
}

/// The whole pages of the program's own tables; `None` for a program without such tables.
#[must_use]
pub fn of_program() -> Option<Range> {
    let mut found = None;
    // SAFETY: the callback gets this pointer to `found`, which outlives the call, and is not
    // called after it returned.
    unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut found).cast()) };
    found
}

/// Visits only the first object, which is the program (dl_iterate_phdr(3)).
unsafe extern "C" fn first_object(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    found: *mut c_void,
) -> libc::c_int {
    // SAFETY: `of_program` passes a pointer to its own Option<Range>.
    let found = unsafe { &mut *found.cast::<Option<Range>>() };
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
    *found = tables_in(headers).map(|(start, end)| {
        let page = page_size();
        let address = (base + start).next_multiple_of(page);
        Range {
            address,
            length: ((base + end) & !(page - 1)).saturating_sub(address),
        }
    });
    *found = found.filter(|range| range.length > 0);
    1
}

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Phdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Phdr;

/// The part from `.eh_frame_hdr` to the end of its segment, by the addresses of the file.
/// `None` if that segment is writable.
fn tables_in(headers: &[Header]) -> Option<(usize, usize)> {
    let tables = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_EH_FRAME)?
        .p_vaddr;
    let segment = headers.iter().find(|header| {
        let end = header.p_vaddr + header.p_filesz;
        header.p_type == libc::PT_LOAD && (header.p_vaddr..end).contains(&tables)
    })?;
    (segment.p_flags & libc::PF_W == 0).then_some((
        tables as usize,
        (segment.p_vaddr + segment.p_filesz) as usize,
    ))
}

// Programs for 32-bit ARM have no such tables.
#[cfg(all(test, not(target_arch = "arm")))]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(panic = "abort", ignore = "unwinds, and this build aborts instead")]
    fn released_unwind_tables_are_paged_in_when_needed() {
        let tables = of_program().unwrap();
        assert!(tables.length > 16 * 1024, "{tables:?}");
        assert_eq!(release(), Ok(tables.length));
        let caught = std::panic::catch_unwind(|| {
            // Not printed, but unwound through the tables.
            std::panic::resume_unwind(Box::new(7_u8));
        });
        assert_eq!(*caught.unwrap_err().downcast::<u8>().unwrap(), 7);
    }
}
