//! How the binaries are linked.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}"));
    if target("ARCH").as_deref() != Ok("aarch64") || target("OS").as_deref() != Ok("linux") {
        return;
    }
    // For arm64 the linker expects pages of 64 kB. It aligns the end of what is read-only
    // after relocation to them, and so pads the file by up to 64 kB. The kernels of the
    // boards have pages of 4 kB, or of 16 kB (Raspberry Pi 5). One with pages of 64 kB
    // refuses to start a program that is linked so.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,max-page-size=16384");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if is("PROFILE", "release") && is("DEBUG", "false") {
        leave_out_unwind_tables();
    }
}

/// A release without debug information is linked without unwind tables, a ninth of the
/// file. It aborts on a panic, so only debuggers and backtraces read them, and neither
/// can name a function of it. What ended a run is in the black box: signal, place, and
/// the words of a panic. A build with debug information
/// (`CARGO_PROFILE_RELEASE_DEBUG=line-tables-only`) keeps its tables.
///
/// Most of them come with the standard library and the C library, which are compiled
/// already: no option of the compiler reaches them, but a linker script does. The files
/// that begin and end the section refer to it and stay, or nothing would be linked.
fn leave_out_unwind_tables() {
    const SCRIPT: &str = "SECTIONS
{
  /DISCARD/ :
  {
    *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame)
    *(.gcc_except_table .gcc_except_table.*)
  }
}
INSERT BEFORE .rodata;
";
    let folder = std::env::var_os("OUT_DIR").expect("cargo gives build scripts a folder");
    let script = Path::new(&folder).join("no_unwind_tables.ld");
    std::fs::write(&script, SCRIPT).expect("the folder can be written to");
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
}
