//! A character device served from user space: the raw CUSE protocol.
//!
//! Requests are read from `/dev/cuse` one at a time and answered by one write.
//! Layouts and opcodes: Linux `include/uapi/linux/fuse.h`, protocol 7.41;
//! ioctl retries: `fs/fuse/ioctl.c`. Numbers are in the machine's byte order.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

/// Errno values that a served device answers with, errno(3) for Linux.
pub(crate) mod errno {
    pub(crate) const EIO: i32 = 5;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ENOTTY: i32 = 25;
    pub(crate) const ENOSYS: i32 = 38;
    pub(crate) const EPROTO: i32 = 71;
    pub(crate) const EMSGSIZE: i32 = 90;
    pub(crate) const ETIMEDOUT: i32 = 110;
    /// What the kernel answers to a reply whose request is gone.
    pub(crate) const ENOENT: i32 = 2;
}

/// A range of the caller's memory: address and length in bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) base: u64,
    pub(crate) len: u64,
}

/// An ioctl of the caller. The first call carries no data; the device requests data with
/// [`Answer::Fetch`] and is called again from the start with it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Ioctl<'a> {
    pub(crate) command: u32,
    pub(crate) argument: u64,
    /// The bytes of all requested input spans, one after the other.
    pub(crate) input: &'a [u8],
    /// Length of all requested output spans, in bytes.
    pub(crate) output_len: usize,
}

/// The answer of a device to an ioctl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Call again with these ranges of the caller's memory.
    Fetch { input: Vec<Span>, output: Vec<Span> },
    /// The ioctl's result, and the content of the output spans.
    Done { result: i32, output: Vec<u8> },
    /// The ioctl fails with this errno.
    Failed(i32),
}

/// A device: its behaviour, independent of CUSE.
pub(crate) trait Device {
    /// ioctl(2).
    fn ioctl(&mut self, request: Ioctl<'_>) -> Answer;

    /// read(2) of `len` bytes.
    ///
    /// # Errors
    /// The errno to fail with.
    fn read(&mut self, len: usize) -> Result<Vec<u8>, i32>;

    /// write(2).
    ///
    /// # Errors
    /// The errno to fail with.
    fn write(&mut self, data: &[u8]) -> Result<(), i32>;
}

/// Most spans, input and output together, in one [`Answer::Fetch`]
/// (`FUSE_IOCTL_MAX_IOV`).
pub(crate) const MAX_SPANS: usize = 256;
/// Most bytes of input, and most of output, in one ioctl: 32 pages.
pub(crate) const MAX_BYTES: usize = 131_072;

const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const INTERRUPT: u32 = 36;
const IOCTL: u32 = 39;
const CUSE_INIT: u32 = 4096;

/// `CUSE_UNRESTRICTED_IOCTL`: the device defines what an ioctl points to.
const UNRESTRICTED_IOCTL: u32 = 1;
/// `FUSE_IOCTL_RETRY`.
const RETRY: u32 = 4;
/// `sizeof(struct fuse_in_header)`.
const HEADER: usize = 40;
/// `sizeof(struct fuse_write_in)`, and of `fuse_read_in`.
const TRANSFER: usize = 40;
/// `sizeof(struct fuse_ioctl_in)`.
const IOCTL_IN: usize = 32;

/// Serves `device` as `/dev/<name>` until the kernel closes the connection.
/// `ready` is called once the node exists.
///
/// # Errors
/// `/dev/cuse` cannot be opened (module `cuse` not loaded, or not root), the
/// kernel speaks another protocol, or the connection broke.
pub(crate) fn serve(name: &str, device: &mut impl Device, ready: impl FnOnce()) -> io::Result<()> {
    let mut connection = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/cuse")?;
    let mut buffer = vec![0_u8; 2 * MAX_BYTES];
    let mut ready = Some(ready);
    loop {
        let length = connection.read(&mut buffer)?;
        let request = buffer.get(..length).unwrap_or_default();
        let (Some(opcode), Some(unique)) = (u32_at(request, 4), u64_at(request, 8)) else {
            return Err(io::Error::other("a request shorter than its header"));
        };
        let body = request.get(HEADER..).unwrap_or_default();
        match opcode {
            CUSE_INIT => {
                reply(&mut connection, unique, 0, &init(name))?;
                if let Some(ready) = ready.take() {
                    ready();
                }
            }
            // No state per open file: struct fuse_open_out of zeros.
            OPEN => reply(&mut connection, unique, 0, &[0; 16])?,
            RELEASE => reply(&mut connection, unique, 0, &[])?,
            READ => {
                let wanted = u32_at(body, 16).unwrap_or(0) as usize;
                match device.read(wanted.min(MAX_BYTES)) {
                    Ok(data) => reply(&mut connection, unique, 0, &data)?,
                    Err(error) => reply(&mut connection, unique, error, &[])?,
                }
            }
            WRITE => {
                let data = body.get(TRANSFER..).unwrap_or_default();
                match device.write(data) {
                    // struct fuse_write_out: all bytes were written.
                    Ok(()) => {
                        let mut out = (data.len() as u32).to_ne_bytes().to_vec();
                        out.extend_from_slice(&[0; 4]);
                        reply(&mut connection, unique, 0, &out)?;
                    }
                    Err(error) => reply(&mut connection, unique, error, &[])?,
                }
            }
            IOCTL => match ioctl(device, body) {
                Ok(out) => reply(&mut connection, unique, 0, &out)?,
                Err(error) => reply(&mut connection, unique, error, &[])?,
            },
            // It refers to another request, which has its own answer.
            INTERRUPT => {}
            _ => reply(&mut connection, unique, errno::ENOSYS, &[])?,
        }
    }
}

/// `struct cuse_init_out` and the node's name.
fn init(name: &str) -> Vec<u8> {
    let fields = [
        7,
        41,
        0,
        UNRESTRICTED_IOCTL,
        MAX_BYTES as u32,
        MAX_BYTES as u32,
        0,
        0,
    ];
    let mut out: Vec<u8> = fields
        .iter()
        .flat_map(|field: &u32| field.to_ne_bytes())
        .collect();
    out.extend_from_slice(&[0; 40]);
    out.extend_from_slice(b"DEVNAME=");
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out
}

/// Answers an ioctl: `struct fuse_ioctl_out` and the data after it.
fn ioctl(device: &mut impl Device, body: &[u8]) -> Result<Vec<u8>, i32> {
    let field = |at| u32_at(body, at).ok_or(errno::EINVAL);
    let input_len = field(24)? as usize;
    let request = Ioctl {
        command: field(12)?,
        argument: u64_at(body, 16).ok_or(errno::EINVAL)?,
        input: body
            .get(IOCTL_IN..IOCTL_IN + input_len)
            .ok_or(errno::EINVAL)?,
        output_len: field(28)? as usize,
    };
    let head = |result: i32, flags: u32, input: usize, output: usize| {
        let mut out = result.to_ne_bytes().to_vec();
        for field in [flags, input as u32, output as u32] {
            out.extend_from_slice(&field.to_ne_bytes());
        }
        out
    };
    match device.ioctl(request) {
        Answer::Fetch { input, output } => {
            let total = |spans: &[Span]| spans.iter().map(|span| span.len).sum::<u64>();
            if input.len() + output.len() > MAX_SPANS
                || total(&input) > MAX_BYTES as u64
                || total(&output) > MAX_BYTES as u64
            {
                return Err(errno::EMSGSIZE);
            }
            let mut out = head(0, RETRY, input.len(), output.len());
            for span in input.iter().chain(&output) {
                out.extend_from_slice(&span.base.to_ne_bytes());
                out.extend_from_slice(&span.len.to_ne_bytes());
            }
            Ok(out)
        }
        Answer::Done { result, output } => {
            let mut out = head(result, 0, 0, 0);
            out.extend_from_slice(&output);
            Ok(out)
        }
        Answer::Failed(error) => Err(error),
    }
}

/// `struct fuse_out_header` and its body, in one write as the kernel requires. `error` is a
/// positive errno or 0.
fn reply(connection: &mut File, unique: u64, error: i32, body: &[u8]) -> io::Result<()> {
    let mut out = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
    out.extend_from_slice(&(-error).to_ne_bytes());
    out.extend_from_slice(&unique.to_ne_bytes());
    out.extend_from_slice(body);
    match connection.write(&out) {
        Ok(length) if length == out.len() => Ok(()),
        Ok(_) => Err(io::Error::other("the kernel took half an answer")),
        // The caller was killed while it waited.
        Err(error) if error.raw_os_error() == Some(errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The number at byte `at`, where there is one.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The number at byte `at`, where there is one.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
