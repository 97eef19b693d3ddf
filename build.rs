//! Linker options of the binaries.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}"));
    if target("ARCH").as_deref() != Ok("aarch64") || target("OS").as_deref() != Ok("linux") {
        return;
    }
    // For arm64 the linker assumes pages of 64 kB and pads the file by up to 64 kB to align the
    // end of the section that is read-only after relocation. The kernels of the boards have
    // pages of 4 kB or 16 kB (Raspberry Pi 5). A kernel with pages of 64 kB refuses to start a
    // program linked with this option.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,max-page-size=16384");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if is("PROFILE", "release") && is("DEBUG", "false") {
        leave_out_unwind_tables();
    }
}

/// Links a release without debug information without its unwind tables, a ninth of the file.
/// It aborts on a panic, so only debuggers and backtraces would use them, and without debug
/// information these name no functions. The black box has the cause of an end: signal, place
/// and panic message. A build with debug information
/// (`CARGO_PROFILE_RELEASE_DEBUG=line-tables-only`) keeps its tables.
///
/// Most tables come from the compiled standard library and C library, so a compiler option
/// cannot omit them, but a linker script can. The tables of crtbegin and crtend must stay,
/// because other code refers to them.
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
