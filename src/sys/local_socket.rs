//! Unix sockets of packets (unix(7), `SOCK_SEQPACKET`), and poll(2) over several descriptors.
//!
//! Nothing here allocates or blocks, but [`Listener::bind`], which allocates, and [`wait_any`], which
//! waits.

use core::ffi::CStr;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, check};

/// The longest path of a socket, bytes: unix(7), `sun_path` without its zero, and without the `~` of
/// the name that it has first.
pub const MAX_PATH: usize = 106;

/// A connected socket.
#[derive(Debug)]
pub struct Connection(OwnedFd);

/// A listening socket.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// Who is at the other end, as of the time when it connected (`SO_PEERCRED`).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

fn address(path: &CStr) -> Result<(libc::sockaddr_un, libc::socklen_t), Errno> {
    // SAFETY: sockaddr_un consists of numbers, for which all zeros is a valid value.
    let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.to_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let length = size_of::<libc::sa_family_t>() + bytes.len() + 1;
    Ok((address, length as libc::socklen_t))
}

/// The name of a socket of which no process is told yet.
fn early(path: &CStr) -> CString {
    let mut bytes = path.to_bytes().to_vec();
    bytes.push(b'~');
    // The path has no zero byte.
    CString::new(bytes).unwrap_or_default()
}

fn socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointer.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the descriptor is new, so it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket that is bound to `path`.
fn bound(path: &CStr) -> Result<OwnedFd, Errno> {
    let fd = socket()?;
    let (address, length) = address(path)?;
    // SAFETY: the address is live, and `length` is within it.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(fd)
}

fn unlink(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a live string that ends in a zero.
    check(unsafe { libc::unlink(path.as_ptr()) })
}

/// `renameat2(from, to, RENAME_NOREPLACE)`: `EEXIST` when `to` exists.
fn rename_to_new(from: &CStr, to: &CStr) -> Result<(), Errno> {
    let (here, flags) = (libc::AT_FDCWD, libc::RENAME_NOREPLACE);
    let (from, to) = (from.as_ptr(), to.as_ptr());
    // SAFETY: both paths are live strings that end in a zero. By its number, because not every C
    // library has it.
    let done = unsafe { libc::syscall(libc::SYS_renameat2, here, from, here, to, flags) };
    check(done as libc::c_int)
}

impl Listener {
    /// `socket`, `bind`, `chmod(mode)`, `listen(backlog)`, and `renameat2` to `path` with
    /// `RENAME_NOREPLACE`. A socket that is bound but does not listen refuses a client, which could not
    /// tell it from one of a dead process: so it has its name only when it listens, with its mode.
    ///
    /// # Errors
    /// Those of the calls: `EADDRINUSE` when the path exists, `EACCES`, `ENOENT`, `EROFS`;
    /// `ENAMETOOLONG` above [`MAX_PATH`]; `EINVAL` on a file system without `RENAME_NOREPLACE`, which tmpfs has.
    pub fn bind(path: &CStr, mode: u32, backlog: i32) -> Result<Self, Errno> {
        if path.count_bytes() > MAX_PATH {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        let early = early(path);
        let fd = match bound(&early) {
            // A process that died before it listened has left it.
            Err(Errno(libc::EADDRINUSE))
                if Connection::connect(&early).err() == Some(Errno(libc::ECONNREFUSED)) =>
            {
                unlink(&early)?;
                bound(&early)?
            }
            other => other?,
        };
        let listens = || {
            // SAFETY: the path is a live string that ends in a zero.
            check(unsafe { libc::chmod(early.as_ptr(), mode) })?;
            // SAFETY: takes no pointer.
            check(unsafe { libc::listen(fd.as_raw_fd(), backlog) })?;
            rename_to_new(&early, path)
        };
        if let Err(errno) = listens() {
            // Nothing depends on it: the next call replaces it.
            let _ = unlink(&early);
            return Err(match errno {
                Errno(libc::EEXIST) => Errno(libc::EADDRINUSE),
                other => other,
            });
        }
        Ok(Self(fd))
    }

    /// `accept4(SOCK_CLOEXEC | SOCK_NONBLOCK)`; `None` if no client waits.
    ///
    /// # Errors
    /// Those of accept(2): `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn accept(&self) -> Result<Option<Connection>, Errno> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let none = core::ptr::null_mut();
        // SAFETY: without an address, the pointers may be null.
        let fd = unsafe { libc::accept4(self.0.as_raw_fd(), none, core::ptr::null_mut(), flags) };
        if fd < 0 {
            return match Errno::last() {
                Errno(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED) => Ok(None),
                error => Err(error),
            };
        }
        // SAFETY: the descriptor is new, so it has no other owner.
        Ok(Some(Connection(unsafe { OwnedFd::from_raw_fd(fd) })))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Connection {
    /// Connects to `path`.
    ///
    /// # Errors
    /// connect(2): `ECONNREFUSED` when no process listens, `ENOENT`, `EACCES`, `EAGAIN` when the
    /// queue is full.
    pub fn connect(path: &CStr) -> Result<Self, Errno> {
        let fd = socket()?;
        let (address, length) = address(path)?;
        // SAFETY: the address is live, and `length` is within it.
        check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(Self(fd))
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn peer(&self) -> Result<Peer, Errno> {
        // SAFETY: ucred consists of numbers, for which all zeros is a valid value.
        let mut peer: libc::ucred = unsafe { core::mem::zeroed() };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: both pointers are live and writable, and `length` is the size of the first.
        check(unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        })?;
        Ok(Peer {
            pid: peer.pid,
            uid: peer.uid,
            gid: peer.gid,
        })
    }

    /// Receives a packet into `buffer`: its length, 0 when the other end is closed, `None` if
    /// there is no packet. A longer packet is cut.
    ///
    /// # Errors
    /// Those of recv(2): `ECONNRESET`.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        // SAFETY: the buffer is live and writable for this length.
        let answer = unsafe {
            libc::recv(
                self.0.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
            )
        };
        match usize::try_from(answer) {
            Ok(length) => Ok(Some(length)),
            Err(_) => match Errno::last() {
                Errno(libc::EAGAIN | libc::EINTR) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Sends a packet, with a descriptor for the other process if `file` is given.
    ///
    /// # Errors
    /// Those of sendmsg(2): `EAGAIN` when the other end does not read, `EPIPE`, `ECONNRESET`.
    pub fn send(&self, packet: &[u8], file: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let mut part = libc::iovec {
            iov_base: packet.as_ptr().cast_mut().cast(),
            iov_len: packet.len(),
        };
        // Aligned as a cmsghdr; room for one descriptor on every target.
        let mut control = [0_u64; 8];
        // SAFETY: msghdr consists of numbers and pointers, for which all zeros is a valid value.
        let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if let Some(file) = file {
            let fd = file.as_raw_fd();
            let size = size_of::<libc::c_int>() as libc::c_uint;
            message.msg_control = control.as_mut_ptr().cast();
            // SAFETY: computes sizes only.
            message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
            // SAFETY: the control buffer is live, aligned and larger than `msg_controllen`, so
            // the first header and its data are within it.
            unsafe {
                let header = libc::CMSG_FIRSTHDR(&raw const message);
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_RIGHTS;
                (*header).cmsg_len = libc::CMSG_LEN(size) as _;
                libc::CMSG_DATA(header)
                    .cast::<libc::c_int>()
                    .write_unaligned(fd);
            }
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the message, its part and its control data are live; sendmsg(2) writes to none
        // of them.
        let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, flags) };
        if sent < 0 { Err(Errno::last()) } else { Ok(()) }
    }

    /// Receives a packet and the descriptor that came with it: for clients.
    ///
    /// # Errors
    /// Those of recvmsg(2): `EAGAIN` when there is no packet.
    pub fn receive_with_file(&self, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut control = [0_u64; 8];
        // SAFETY: msghdr consists of numbers and pointers, for which all zeros is a valid value.
        let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the message, its part and its control buffer are live and writable.
        let got =
            unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        let length = usize::try_from(got).map_err(|_| Errno::last())?;
        // SAFETY: the kernel has filled the control buffer up to `msg_controllen`.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        if header.is_null() {
            return Ok((length, None));
        }
        // SAFETY: not null, so it is a header within the control buffer.
        let is_file = unsafe {
            (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS
        };
        if !is_file {
            return Ok((length, None));
        }
        // SAFETY: such a header has at least one descriptor as its data.
        let fd = unsafe {
            libc::CMSG_DATA(header)
                .cast::<libc::c_int>()
                .read_unaligned()
        };
        // SAFETY: the descriptor is new in this process, so it has no other owner.
        Ok((length, Some(unsafe { OwnedFd::from_raw_fd(fd) })))
    }
}

/// A descriptor to wait for, and whether it was ready.
#[derive(Copy, Clone, Debug)]
#[repr(transparent)]
pub struct Waited(libc::pollfd);

impl Waited {
    /// An entry that is never ready: poll(2) ignores negative descriptors.
    pub const NONE: Self = Self(libc::pollfd {
        fd: -1,
        events: 0,
        revents: 0,
    });

    /// Whether [`wait_any`] found it readable, closed or in error.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits for readability of `fd`, as an entry of [`wait_any`].
#[must_use]
pub fn readable(fd: BorrowedFd<'_>) -> Waited {
    Waited(libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    })
}

/// `poll(entries, timeout_ms)`: waits until one of them is readable, closed or in error, or the
/// timeout is over. Gives whether one is.
///
/// # Errors
/// Those of poll(2); an interruption by a signal is none.
pub fn wait_any(entries: &mut [Waited], timeout_ms: u16) -> Result<bool, Errno> {
    // SAFETY: the entries are live and writable, their number is given, and a `Waited` is a
    // pollfd in memory (`repr(transparent)`).
    let answer = unsafe {
        libc::poll(
            entries.as_mut_ptr().cast(),
            entries.len() as libc::nfds_t,
            timeout_ms.into(),
        )
    };
    match answer {
        0 => Ok(false),
        1.. => Ok(true),
        _ => match Errno::last() {
            Errno(libc::EINTR) => Ok(false),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    fn path(name: &str) -> CString {
        let path = std::env::temp_dir().join(format!("steadfast-{}-{name}", std::process::id()));
        CString::new(path.as_os_str().as_bytes()).unwrap()
    }

    #[test]
    fn packets_keep_their_borders_and_carry_a_descriptor() {
        let path = path("packets");
        let listener = Listener::bind(&path, 0o600, 2).unwrap();
        assert!(listener.accept().unwrap().is_none());
        let client = Connection::connect(&path).unwrap();
        let server = listener.accept().unwrap().unwrap();
        assert_eq!(server.peer().unwrap().pid, std::process::id() as i32);
        let mut buffer = [0; 64];
        assert_eq!(server.receive(&mut buffer), Ok(None));
        client.send(b"one", None).unwrap();
        client.send(b"second", None).unwrap();
        let mut waited = [readable(server.as_fd()), Waited::NONE];
        assert!(
            wait_any(&mut waited, 1000).unwrap() && waited[0].is_ready() && !waited[1].is_ready()
        );
        assert_eq!(server.receive(&mut buffer), Ok(Some(3)));
        assert_eq!(server.receive(&mut buffer), Ok(Some(6)));
        assert_eq!(buffer[..6], *b"second");
        let file = crate::sys::shared::memory_file(c"handed").unwrap();
        server.send(b"file", Some(file.as_fd())).unwrap();
        let (length, handed) = client.receive_with_file(&mut buffer).unwrap();
        assert_eq!(length, 4);
        assert_ne!(handed.unwrap().as_raw_fd(), file.as_raw_fd());
        drop(client);
        assert_eq!(server.receive(&mut buffer), Ok(Some(0)));
        assert!(server.send(b"x", None).is_err());
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }

    #[test]
    fn a_client_that_finds_the_socket_is_never_refused() {
        let path = path("early");
        let file = path.to_str().unwrap();
        for _ in 0..200 {
            std::thread::scope(|scope| {
                let client = scope.spawn(|| {
                    loop {
                        match Connection::connect(&path) {
                            Err(Errno(libc::ENOENT)) => {}
                            other => break other.map(|_| ()),
                        }
                    }
                });
                let _listener = Listener::bind(&path, 0o600, 2).unwrap();
                assert_eq!(client.join().unwrap(), Ok(()));
                let mode = std::fs::metadata(file).unwrap().permissions();
                assert_eq!(
                    std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
                    0o600
                );
            });
            std::fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn what_a_process_left_that_died_before_it_listened_is_replaced() {
        let path = path("left");
        let early = early(&path);
        drop(bound(&early).unwrap());
        let listener = Listener::bind(&path, 0o600, 2).unwrap();
        Connection::connect(&path).unwrap();
        drop(listener);
        assert!(!std::path::Path::new(early.to_str().unwrap()).exists());
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }

    #[test]
    fn a_path_that_exists_is_refused() {
        let path = path("exists");
        let first = Listener::bind(&path, 0o600, 2).unwrap();
        let second = Listener::bind(&path, 0o600, 2).unwrap_err();
        assert_eq!(second, Errno(libc::EADDRINUSE));
        drop(first);
        let refused = Connection::connect(&path).unwrap_err();
        assert_eq!(refused, Errno(libc::ECONNREFUSED));
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }
}
