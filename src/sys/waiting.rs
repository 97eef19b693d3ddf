//! Finds the file in which a thread of this process is blocked (proc_pid_syscall(5)). Allocates
//! nothing.

use super::stat;
use core::fmt::Write as _;
use std::os::fd::RawFd;

/// System calls that can block on a file, which is their first argument.
const CALLS: [libc::c_long; 7] = [
    libc::SYS_ioctl,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
];

/// A file in which a thread is blocked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct BlockedIn {
    fd: RawFd,
    identity: (u32, u32, u64),
}

impl BlockedIn {
    /// The file in which the thread with this id is blocked. `None` if the thread runs, if it
    /// waits for something other than a file, or if `/proc` is missing.
    #[must_use]
    pub fn of(thread: i32) -> Option<Self> {
        let mut path = heapless::String::<48>::new();
        write!(path, "/proc/self/task/{thread}/syscall\0").ok()?;
        let mut line = [0; 128];
        // SAFETY: the path is live and ends in a zero.
        let file = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if file < 0 {
            return None;
        }
        // SAFETY: the buffer is live and writable for this length.
        let length = unsafe { libc::read(file, line.as_mut_ptr().cast(), line.len()) };
        // SAFETY: it was opened here and has no other owner.
        unsafe { libc::close(file) };
        let fd = file_of(line.get(..usize::try_from(length).ok()?)?)?;
        let identity = identity(fd)?;
        Some(Self { fd, identity })
    }

    /// Whether `fd` refers to the same file by device and inode: for a bus, to the same device
    /// node.
    #[must_use]
    pub fn is(self, fd: RawFd) -> bool {
        identity(fd) == Some(self.identity)
    }

    /// The path by which it was opened (readlink(2) of `/proc/self/fd`), written to `buffer`.
    /// `None` if the path is not UTF-8 or does not fit.
    #[must_use]
    pub fn path(self, buffer: &mut [u8; 64]) -> Option<&str> {
        let mut link = heapless::String::<32>::new();
        write!(link, "/proc/self/fd/{}\0", self.fd).ok()?;
        let (from, to) = (link.as_ptr().cast(), buffer.as_mut_ptr().cast());
        // SAFETY: the link is live and ends in a zero; `buffer` is writable for its length.
        let length = unsafe { libc::readlink(from, to, buffer.len()) };
        // A path that fills the room may be cut off.
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length < buffer.len())?;
        core::str::from_utf8(&buffer[..length]).ok()
    }
}

/// The file in a line such as `29 0x5 0xc0206b00 ...`: the number of the system call and its
/// arguments. `running` and `-1` mean that the thread is in no system call.
fn file_of(line: &[u8]) -> Option<RawFd> {
    let line = core::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let call: libc::c_long = words.next()?.parse().ok()?;
    let file = words.next()?.strip_prefix("0x")?;
    let file = RawFd::from_str_radix(file, 16).ok()?;
    CALLS.contains(&call).then_some(file)
}

fn identity(fd: RawFd) -> Option<(u32, u32, u64)> {
    stat::of(fd).ok().map(|stat| stat.identity)
}

/// Whether a test can read the system calls of threads: qemu-user shows those of its own
/// threads, and some sandboxes do not have the file.
#[cfg(test)]
pub(crate) fn shows_system_calls() -> bool {
    let has_file = std::path::Path::new("/proc/thread-self/syscall").exists();
    let shows_system_calls = has_file && crate::emulation::emulator().is_none();
    if !shows_system_calls {
        crate::emulation::not_run("this machine does not show the system calls of threads");
    }
    shows_system_calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    #[test]
    fn a_file_is_reported_only_for_system_calls_that_wait_for_a_file() {
        let line = |call: libc::c_long| format!("{call} 0x1f 0x40206b00 0x0 0x0 0x0 0x0 0x1 0x2\n");
        assert_eq!(file_of(line(libc::SYS_ioctl).as_bytes()), Some(31));
        assert_eq!(file_of(line(libc::SYS_pwrite64).as_bytes()), Some(31));
        assert_eq!(file_of(line(libc::SYS_futex).as_bytes()), None);
        for line in ["running\n", "-1 0x7ffe 0x1234\n", "", "29", "29 5"] {
            assert_eq!(file_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_thread_waiting_on_a_socket_is_reported_with_it() {
        if !shows_system_calls() {
            return;
        }
        let (mut waits, mut peer) = UnixStream::pair().unwrap();
        let (same, other) = (waits.try_clone().unwrap(), peer.as_raw_fd());
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: takes no pointer.
            tell.send(unsafe { libc::gettid() }).unwrap();
            waits.read_exact(&mut [0]).unwrap();
        });
        let thread_id = told.recv().unwrap();
        let patience = Instant::now() + Duration::from_secs(10);
        let mut found = None;
        while found.is_none() && Instant::now() < patience {
            found = BlockedIn::of(thread_id);
            std::thread::yield_now();
        }
        peer.write_all(b"1").unwrap();
        thread.join().unwrap();
        let found = found.expect("a thread that waits for a file");
        assert!(found.is(same.as_raw_fd()), "another descriptor of the same");
        assert!(!found.is(other), "its peer");
    }
}
