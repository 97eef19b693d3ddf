//! The image of a boot: kernel, device tree and root file system.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::{Bits, Board};
use crate::cpio::Archive;
use crate::failure::Failure;
use crate::host::{Host, Kernel};
use crate::machine::ENDED;
use crate::tree::{self, tool};

/// Printed by the init script before it hands over to the test's script.
pub const BOOTED: &str = "@@booted";

/// A file for the guest.
#[derive(Debug)]
pub struct GuestFile {
    /// Absolute path.
    pub path: String,
    /// Mode as for chmod(2).
    pub permissions: u32,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Paths of a complete image.
#[derive(Debug)]
pub struct Image {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The root file system, as a cpio archive.
    pub initramfs: PathBuf,
    /// `None`: the emulator generates the device tree.
    pub device_tree: Option<PathBuf>,
}

impl Image {
    /// Builds the image of `board` in `folder`: its own modules, `files`, and
    /// `script`, which runs as root once the board is up.
    ///
    /// # Errors
    /// A missing tool or file, or an error of the device tree compiler.
    pub fn build(
        host: &Host,
        kernel: Kernel,
        board: &Board,
        files: &[GuestFile],
        script: &str,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let initramfs = folder.join("initramfs.cpio");
        fs::write(&initramfs, root(host, kernel, board, files, script)?)?;
        let device_tree = match board.device_tree {
            Some(stock) => Some(device_tree(host, kernel, board, stock, folder)?),
            None => None,
        };
        Ok(Self {
            kernel: host.kernel(kernel)?.join("vmlinuz"),
            initramfs,
            device_tree,
        })
    }
}

fn root(
    host: &Host,
    kernel: Kernel,
    board: &Board,
    files: &[GuestFile],
    script: &str,
) -> Result<Vec<u8>, Failure> {
    let mut root = Archive::new();
    let folders = [
        "/bin",
        "/data",
        "/dev",
        "/etc",
        "/lib",
        "/modules",
        "/proc",
        "/run",
        "/sbin",
        "/sys",
        "/tmp",
        "/usr",
        "/usr/bin",
        "/usr/sbin",
    ];
    folders.iter().for_each(|folder| root.directory(folder));
    let mut folders: BTreeSet<&str> = folders.into();
    // init's own standard streams, before devtmpfs is mounted.
    root.character_device("/dev/console", 5, 1);
    // util-linux's chrt, which busybox lacks, and its C library.
    let loader = match board.bits {
        Bits::B64 => "ld-linux-aarch64.so.1",
        Bits::B32 => "ld-linux-armhf.so.3",
    };
    for library in [loader, "libc.so.6"] {
        let content = host.read_kernel_file(kernel, &format!("libc/{library}"))?;
        root.file(&format!("/lib/{library}"), 0o755, &content);
    }
    root.file(
        "/usr/bin/chrt",
        0o755,
        &host.read_kernel_file(kernel, "usr/bin/chrt")?,
    );
    root.file(
        "/bin/busybox",
        0o755,
        &host.read_kernel_file(kernel, "usr/bin/busybox")?,
    );
    for module in board.modules {
        let content = host.read_kernel_file(kernel, &format!("modules/{}.ko", module.name))?;
        root.file(&format!("/modules/{}.ko", module.name), 0o644, &content);
    }
    for file in files {
        for (at, _) in file.path.match_indices('/').skip(1) {
            let folder = &file.path[..at];
            if folders.insert(folder) {
                root.directory(folder);
            }
        }
        root.file(&file.path, file.permissions, &file.content);
    }
    root.file("/test", 0o755, script.as_bytes());
    root.file("/init", 0o755, init(board).as_bytes());
    Ok(root.finish())
}

fn init(board: &Board) -> String {
    let mut script = String::from(
        "#!/bin/busybox sh\n\
         /bin/busybox --install -s\n\
         mount -t devtmpfs dev /dev\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sys /sys\n\
         mount -t tmpfs tmp /tmp\n\
         mkdir -p /dev/shm\n\
         mount -t tmpfs shm /dev/shm\n\
         mount -t tmpfs run /run\n",
    );
    // The folders that unit and tmpfiles.d create for the service's user, here for any
    // user. The root file system replaces the data partition.
    script += "mkdir -p /run/steadfast /data/steadfast/black-box\n\
               chmod 1777 /run/steadfast /data/steadfast/black-box\n";
    for module in board.modules {
        script += &format!("insmod /modules/{}.ko {}\n", module.name, module.parameters);
    }
    // The console is not line-buffered: the empty `echo` puts the marker on its own line.
    script += &format!(
        "echo; echo '{BOOTED}'\n\
         sh /test\n\
         status=$?\n\
         echo; echo \"{ENDED} $status\"\n\
         reboot -f\n"
    );
    script
}

/// The stock device tree with the board's overlays, without the devices that the emulator
/// lacks.
fn device_tree(
    host: &Host,
    kernel: Kernel,
    board: &Board,
    stock: &str,
    folder: &Path,
) -> Result<PathBuf, Failure> {
    let merged = folder.join("board.dtb");
    fs::copy(host.kernel(kernel)?.join("dtb").join(stock), &merged)?;
    for (label, path) in board.symbols {
        tool(
            Command::new("fdtput")
                .args(["-p", "-t", "s"])
                .arg(&merged)
                .args(["/__symbols__", label, path]),
        )?;
    }
    let own = format!("board/{}/overlay.dtso", board.name);
    tree::apply(&merged, &[&own])?;
    tree::for_emulator(board, &merged)?;
    Ok(merged)
}
