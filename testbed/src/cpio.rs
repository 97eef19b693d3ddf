//! An initramfs: a cpio archive of the format "newc" with fixed times.
//!
//! Format: Linux `Documentation/driver-api/early-userspace/buffer-format.rst`.
//! Times, owners and inode numbers are the same in every build, because programs can read
//! them and two boots must be identical.

/// File type bits of `st_mode`, inode(7).
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// 2026-01-01T00:00:00Z, the start of the emulated clock.
const MODIFIED: u32 = 1_767_225_600;

/// An archive that grows by one entry at a time.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// An archive without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory. Parents must have been added before it.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// Adds a file with the given permission bits.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, REGULAR | permissions, (0, 0), content);
    }

    /// Adds a character device node.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE | 0o600, (major, minor), &[]);
    }

    /// Closes the archive and gives its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let name = path.trim_start_matches('/');
        let links = if mode & DIRECTORY == 0 { 1 } else { 2 };
        let fields = [
            self.entries,
            mode,
            0, // uid
            0, // gid
            links,
            MODIFIED,
            u32::try_from(content.len()).expect("a file of less than 4 GiB"),
            0, // major of the file system
            0, // minor of the file system
            device.0,
            device.1,
            u32::try_from(name.len() + 1).expect("a path of less than 4 GiB"),
            0, // checksum, of the "crc" kind only
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
