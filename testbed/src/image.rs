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
    let base = folder.join("stock.dtb");
    fs::copy(host.kernel(kernel)?.join("dtb").join(stock), &base)?;
    for (label, path) in board.symbols {
        tool(
            Command::new("fdtput")
                .args(["-p", "-t", "s"])
                .arg(&base)
                .args(["/__symbols__", label, path]),
        )?;
    }
    let mut merge = Command::new("fdtoverlay");
    merge.arg("-i").arg(&base).arg("-o").arg(&merged);
    let own = format!("board/{}/overlay.dtso", board.name);
    let sources = [
        Some(own.as_str()),
        board.emulator_overlay,
        board.further_overlay,
    ];
    for (index, source) in sources.into_iter().flatten().enumerate() {
        let overlay = folder.join(format!("overlay-{index}.dtbo"));
        tool(
            Command::new("dtc")
                .args(["-q", "-@", "-I", "dts", "-O", "dtb", "-o"])
                .arg(&overlay)
                .arg(host.source.join(source)),
        )?;
        merge.arg(&overlay);
    }
    tool(&mut merge)?;
    for pattern in board.disabled {
        for node in matching_nodes(&merged, pattern)? {
            tool(Command::new("fdtput").args(["-t", "s"]).arg(&merged).args([
                node.as_str(),
                "status",
                "disabled",
            ]))?;
        }
    }
    seed_random_numbers(&merged)?;
    for node in board.removed {
        tool(Command::new("fdtput").arg("-r").arg(&merged).arg(node))?;
    }
    for (node, property) in board.removed_properties {
        tool(
            Command::new("fdtput")
                .arg("-d")
                .arg(&merged)
                .args([node, property]),
        )?;
    }
    Ok(merged)
}

/// Adds the seed that a boot loader passes on hardware (`/chosen/rng-seed`), the same in
/// each boot. Without it the kernel's random numbers are ready after 9 s at the earliest;
/// until then each system call computes a cipher block for its random stack offset, about
/// 9,000 instructions. A device tree generated by the emulator has a seed.
fn seed_random_numbers(tree: &Path) -> Result<(), Failure> {
    const WORDS: usize = 8;
    let seed = (1..=WORDS).map(|word| format!("{word}"));
    tool(
        Command::new("fdtput")
            .args(["-p", "-t", "x"])
            .arg(tree)
            .args(["/chosen", "rng-seed"])
            .args(seed),
    )
    .map(drop)
}

/// The nodes that match `pattern`; `pattern` itself if it has no trailing `*`.
fn matching_nodes(tree: &Path, pattern: &str) -> Result<Vec<String>, Failure> {
    let Some(prefix) = pattern.strip_suffix('*') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let (parent, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let folder = if parent.is_empty() { "/" } else { parent };
    let children = tool(Command::new("fdtget").arg("-l").arg(tree).arg(folder))?;
    let found: Vec<String> = children
        .lines()
        .filter(|child| child.starts_with(name))
        .map(|child| format!("{parent}/{child}"))
        .collect();
    if found.is_empty() {
        return Err(Failure::new(format!(
            "no node of the device tree matches {pattern}"
        )));
    }
    Ok(found)
}

/// Runs a command and gives its output.
fn tool(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .output()
        .map_err(|error| Failure::new(format!("{:?}: {error}", command.get_program())))?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
