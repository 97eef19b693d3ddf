//! The load of a guest's CPU.

use crate::emulator::Boot;
use crate::failure::Failure;
use crate::host::Host;

/// hackbench, which sends small messages between 40 threads, for longer than any run.
/// Threads instead of processes: the emulator flushes its TLB at every change of the
/// address space and takes twice as long with processes. The latency of the loop is the
/// same, because the emulated clock counts instructions.
const SCRIPT: &str = "#!/bin/sh\nexec /hackbench -T -g 1 -l 100000000 >/dev/null 2>&1\n";

/// hackbench and its library in Debian's packages.
const TOOLS: [(&str, &str); 2] = [
    ("/hackbench", "usr/bin/hackbench"),
    (
        "/lib/libnuma.so.1",
        "usr/lib/aarch64-linux-gnu/libnuma.so.1",
    ),
];

/// Adds `/load` to the guest, to be started in the background.
///
/// # Errors
/// The packages have not been fetched.
pub fn put<'c>(boot: Boot<'c>, host: &Host) -> Result<Boot<'c>, Failure> {
    let mut boot = boot.file("/load", 0o755, SCRIPT.as_bytes());
    for (path, tool) in TOOLS {
        boot = boot.file(path, 0o755, &host.read_tool(tool)?);
    }
    Ok(boot)
}
