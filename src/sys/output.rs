//! Output that never blocks the writer: if a terminal under flow control, a full pipe or a
//! reader that does not read accepts no bytes, writing fails with `EAGAIN`.
//!
//! `O_NONBLOCK` belongs to the open file, which standard error shares with the shell and with
//! other writers: setting it would make their writes fail. So a terminal or pipe is opened a
//! second time by its link in `/proc/self/fd` (proc_pid_fd(5)), and a socket is written with
//! `MSG_DONTWAIT`. If the link cannot be opened (another user's terminal, no `/proc`), poll(2)
//! precedes each short write; a write can then block only if another writer fills the room
//! between the two calls.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Errno, Ready, stat, wait_ready};

/// Longest wait for standard error before the process ends, ms. A serial line at 115,200 baud
/// sends 115 bytes in this time.
const STDERR_MS: u16 = 10;

/// Whether standard error accepts a line without blocking. A pipe that is not read would block
/// the end of the process for ever. Async-signal-safe.
pub(crate) fn stderr_has_room() -> bool {
    // SAFETY: this program never closes descriptor 2. If it was closed outside, poll(2) reports
    // that writing to it does not block.
    let stderr = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };
    wait_ready(stderr, Ready::Write, STDERR_MS).unwrap_or(false)
}

/// Writes `text` to standard error; gives up on an error, or after 10 ms without room.
/// Async-signal-safe.
pub(crate) fn write_stderr(text: &[u8]) {
    let _ = stderr().write_all(text, STDERR_MS);
}

/// Most bytes in one write when only poll(2) tells whether there is room: a terminal that is
/// reported as writable has room for so many (`n_tty_poll`).
const PIECE: usize = 256;

/// A destination that is written without blocking.
#[derive(Debug)]
pub struct Output {
    fd: RawFd,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Opened a second time, with `O_NONBLOCK`.
    Own(OwnedFd),
    Socket,
    /// A file on a disk, which has no reader that could block it.
    File,
    /// The shared descriptor: poll(2) precedes each write.
    Shared,
}

impl Output {
    /// The output behind `fd`, which must stay open as long as this is used. A closed
    /// descriptor is reported by the first write. Allocates.
    #[must_use]
    pub fn of(fd: BorrowedFd<'_>) -> Self {
        let raw = fd.as_raw_fd();
        let kind = match stat::of(raw).map(|stat| stat.kind) {
            Err(_) => Kind::Shared,
            Ok(libc::S_IFSOCK) => Kind::Socket,
            Ok(libc::S_IFREG | libc::S_IFBLK) => Kind::File,
            Ok(_) => reopen(raw).map_or(Kind::Shared, Kind::Own),
        };
        Self { fd: raw, kind }
    }

    /// write(2) of as many of `bytes` as there is room for; returns how many. Allocates
    /// nothing; async-signal-safe.
    ///
    /// # Errors
    /// `EAGAIN` when there is no room; the kernel's, such as `EPIPE`.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let write = |fd: RawFd, bytes: &[u8]| {
            // SAFETY: the pointer and the length are those of one live slice.
            unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }
        };
        let written = match &self.kind {
            Kind::Own(fd) => write(fd.as_raw_fd(), bytes),
            Kind::File => write(self.fd, bytes),
            Kind::Socket => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: the pointer and the length are those of one live slice.
                unsafe { libc::send(self.fd, bytes.as_ptr().cast(), bytes.len(), flags) }
            }
            Kind::Shared => match self.wait(0)? {
                true => write(self.fd, &bytes[..bytes.len().min(PIECE)]),
                false => return Err(Errno(libc::EAGAIN)),
            },
        };
        usize::try_from(written).map_err(|_| Errno::last())
    }

    /// Writes all of `bytes`, and waits for room at most `patience_ms` in all. Allocates
    /// nothing; async-signal-safe.
    ///
    /// # Errors
    /// `EAGAIN` when there was no room in that time; the kernel's. A part may have been
    /// written.
    pub fn write_all(&self, mut bytes: &[u8], patience_ms: u16) -> Result<(), Errno> {
        let end = Instant::now() + Duration::from_millis(u64::from(patience_ms));
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(0) => return Err(Errno(libc::EIO)),
                Ok(written) => bytes = &bytes[written..],
                Err(Errno(libc::EINTR)) => {}
                Err(Errno(libc::EAGAIN)) => {
                    let left = end.saturating_duration_since(Instant::now()).as_millis();
                    if left == 0 {
                        return Err(Errno(libc::EAGAIN));
                    }
                    match self.wait(u16::try_from(left).unwrap_or(u16::MAX)) {
                        // Another writer holds the terminal, or has filled the room.
                        Ok(true) => std::thread::sleep(Duration::from_millis(1)),
                        Ok(false) | Err(Errno(libc::EINTR)) => {}
                        Err(errno) => return Err(errno),
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn wait(&self, timeout_ms: u16) -> Result<bool, Errno> {
        // SAFETY: the creator of the output keeps the descriptor open. If it is closed in spite
        // of that, poll(2) returns at once.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        wait_ready(fd, Ready::Write, timeout_ms)
    }
}

/// `open("/proc/self/fd/N", O_WRONLY | O_NONBLOCK)`.
fn reopen(fd: RawFd) -> Option<OwnedFd> {
    let link = CString::new(std::format!("/proc/self/fd/{fd}")).ok()?;
    let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: `link` is a live string that ends in a zero.
    let opened = unsafe { libc::open(link.as_ptr(), flags) };
    // SAFETY: just opened, so it has no other owner.
    (opened >= 0).then(|| unsafe { OwnedFd::from_raw_fd(opened) })
}

static STDERR: OnceLock<Output> = OnceLock::new();

/// Opens standard error as an [`Output`], once in a process. Before that [`stderr`] uses
/// poll(2). Allocates.
pub fn open_stderr() {
    STDERR.get_or_init(|| Output::of(std::io::stderr().as_fd()));
}

/// Standard error. Async-signal-safe.
pub fn stderr() -> &'static Output {
    static SHARED: Output = Output {
        fd: libc::STDERR_FILENO,
        kind: Kind::Shared,
    };
    STDERR.get().unwrap_or(&SHARED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    /// More than a pipe or a socket buffers by default (pipe(7), socket(7)).
    const MUCH: usize = 1 << 20;

    fn is_blocking(fd: &impl AsRawFd) -> bool {
        // SAFETY: takes no pointer.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        flags & libc::O_NONBLOCK == 0
    }

    /// Runs `work` on a thread of its own, so that the test fails if it blocks.
    fn unblocked<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, done) = mpsc::channel();
        std::thread::spawn(move || send.send(work()));
        done.recv_timeout(Duration::from_secs(60))
            .expect("it blocks")
    }

    /// Fills `writer`, whose `reader` does not read.
    fn assert_never_blocks(
        writer: impl AsFd + Send + 'static,
        reader: &mut dyn Read,
        shared: bool,
    ) {
        unblocked(move || {
            let mut output = Output::of(writer.as_fd());
            if shared {
                output.kind = Kind::Shared;
            }
            let refused = output.write_all(&[b'x'; MUCH], 20);
            assert_eq!(refused, Err(Errno(libc::EAGAIN)));
            assert_eq!(output.write(b"y"), Err(Errno(libc::EAGAIN)));
            let fd = writer.as_fd();
            assert!(is_blocking(&fd), "the shared open file is unchanged");
        });
        assert!(reader.read(&mut [0; 8192]).unwrap() > 0);
    }

    #[test]
    fn a_reader_that_does_not_read_does_not_block_the_writer() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        assert_never_blocks(writer, &mut reader, false);
        let (mut reader, writer) = UnixStream::pair().unwrap();
        assert_never_blocks(writer, &mut reader, false);
        // If it cannot be opened a second time.
        let (mut reader, writer) = std::io::pipe().unwrap();
        assert_never_blocks(writer, &mut reader, true);
    }

    #[test]
    fn written_bytes_arrive_and_a_closed_reader_gives_epipe() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let output = Output::of(writer.as_fd());
        assert_eq!(output.write_all(b"all of it", 20), Ok(()));
        let mut read = [0; 9];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"all of it");
        drop(reader);
        assert_eq!(output.write_all(b"x", 20), Err(Errno(libc::EPIPE)));
    }

    #[test]
    fn a_file_is_written_from_its_current_position() {
        let path =
            std::env::temp_dir().join(std::format!("steadfast-{}-output", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .unwrap();
        file.write_all(b"first ").unwrap();
        assert_eq!(Output::of(file.as_fd()).write_all(b"second", 20), Ok(()));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "first second");
    }

    #[test]
    fn a_full_device_gives_enospc() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let refused = Output::of(full.as_fd()).write_all(b"x", 20);
        assert_eq!(refused, Err(Errno(libc::ENOSPC)));
    }
}
