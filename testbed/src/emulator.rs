//! A boot of a board from a generated image: its content, and the call of the emulator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::boards::{Bits, Board};
use crate::context::Context;
use crate::failure::Failure;
use crate::host::Kernel;
use crate::image::{BOOTED, GuestFile, Image};
use crate::machine::Machine;
use crate::work::WorkFolder;

/// The limit for a board to boot, in wall time: a hundred times the time on an idle
/// machine. Beside twenty other jobs on two cores 180 s were not enough.
const BOOT: Duration = Duration::from_secs(400);

/// The description of a boot, until it is started.
pub struct Boot<'a> {
    context: &'a Context<'a>,
    board: &'static Board,
    kernel: Kernel,
    cpus: u32,
    files: Vec<GuestFile>,
    disk: Option<PathBuf>,
    resets: bool,
    isolated: bool,
    parameters: &'static str,
}

impl<'a> Boot<'a> {
    /// A boot of `board` with the PREEMPT_RT kernel and no further files.
    pub fn new(context: &'a Context<'a>, board: &'static Board) -> Self {
        Self {
            context,
            board,
            kernel: match board.bits {
                Bits::B64 => Kernel::Realtime,
                Bits::B32 => Kernel::Arm,
            },
            cpus: board.cpus,
            files: Vec::new(),
            disk: None,
            resets: false,
            isolated: true,
            parameters: "",
        }
    }

    /// Inserts an SD card with this image, the i.MX 8M Plus EVK's `/dev/mmcblk2`. The
    /// guest's writes stay in the file, however the emulator ends.
    pub fn disk(mut self, image: &Path) -> Self {
        self.disk = Some(image.to_owned());
        self
    }

    /// Lets a reset boot the board again instead of ending the emulator.
    pub fn resets(mut self) -> Self {
        self.resets = true;
        self
    }

    /// Adds parameters to the kernel's command line.
    pub fn parameters(mut self, parameters: &'static str) -> Self {
        self.parameters = parameters;
        self
    }

    /// Sets the number of CPUs. The emulator runs several CPUs in turns, whose time slices
    /// appear as latency; with one CPU there is no such latency.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Isolates no CPU. The kernel then does the work of the loop's CPU there, where it would otherwise
    /// hand it to the other ones, whose time slices delay the loop.
    pub fn without_isolation(mut self) -> Self {
        self.isolated = false;
        self
    }

    /// Sets the kernel.
    pub fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// Adds a file to the guest.
    pub fn file(mut self, path: &str, permissions: u32, content: &[u8]) -> Self {
        self.files.push(GuestFile {
            path: path.to_owned(),
            permissions,
            content: content.to_vec(),
        });
        self
    }

    /// Adds the files of a folder of this machine, those in its folders as well, below `at`; without
    /// what Python has compiled for itself.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn folder(mut self, folder: &Path, at: &str) -> Result<Self, Failure> {
        let fail = |error| Failure::new(format!("{}: {error}", folder.display()));
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(fail)?;
        // Two boots are identical.
        entries.sort();
        for entry in entries {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            let path = format!("{at}/{name}");
            // Also without the links to files of other packages.
            if name == "__pycache__" || !entry.exists() {
                continue;
            }
            self = match entry.is_dir() {
                true => self.folder(&entry, &path)?,
                false => self.file(&path, 0o644, &fs::read(&entry).map_err(fail)?),
            };
        }
        Ok(self)
    }

    /// Adds a program built for the guest to its root folder.
    ///
    /// # Errors
    /// The program has not been built.
    pub fn program(self, name: &str) -> Result<Self, Failure> {
        let file = name.rsplit('/').next().unwrap_or(name);
        let content = self.context.host.read_program(self.board.bits, name)?;
        Ok(self.file(&format!("/{file}"), 0o755, &content))
    }

    /// Boots until `script` is about to run. Input lines have the given levels before the
    /// first instruction.
    ///
    /// # Errors
    /// The image cannot be built, or the board does not boot.
    pub fn start(self, inputs: &[(u8, bool)], script: &str) -> Result<Machine, Failure> {
        let work = WorkFolder::new()?;
        let image = Image::build(
            self.context.host,
            self.kernel,
            self.board,
            &self.files,
            script,
            &work.path,
        )?;
        let mut command = Command::new("qemu-system-aarch64");
        command
            .args(self.board.machine)
            .args(["-smp", &self.cpus.to_string()])
            .args(["-rtc", "base=2026-01-01,clock=vm", "-seed", "1"])
            // One instruction takes one nanosecond, idle time is skipped: guest time does
            // not depend on the host.
            .args(["-icount", "shift=0,sleep=off"])
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.initramfs)
            // `nokaslr`: a kernel at a random address (qemuarm64) separates its page tables
            // from user space (arm64: kpti), and each system call would flush the
            // emulator's TLB twice.
            .args([
                "-append",
                &format!(
                    "console={} loglevel=3 panic=-1 nokaslr {} {}",
                    self.board.console,
                    isolation(if self.isolated { self.cpus } else { 1 }),
                    self.parameters
                ),
            ]);
        if !self.resets {
            command.arg("-no-reboot");
        }
        if let Some(disk) = &self.disk {
            let file = disk.display();
            let drive = format!("if=sd,bus=2,unit=0,format=raw,file={file}");
            command.args(["-drive", &drive]);
        }
        if let Some(tree) = &image.device_tree {
            command.arg("-dtb").arg(tree);
        }
        for _ in 0..self.board.unused_serial_ports {
            command.args(["-serial", "null"]);
        }
        let mut machine = Machine::power_on(
            command,
            work,
            self.context.new_transcript(),
            (self.board.gpio, self.board.drive),
            inputs,
        )?;
        machine.wait_for_line(BOOTED, BOOT)?;
        Ok(machine)
    }
}

/// The kernel parameters that isolate the highest of several CPUs for the loop.
fn isolation(cpus: u32) -> String {
    match cpus {
        0 | 1 => String::new(),
        cpus => {
            let (last, others) = (cpus - 1, cpus - 2);
            format!(
                "isolcpus=managed_irq,domain,{last} nohz_full={last} rcu_nocbs={last} irqaffinity=0-{others}"
            )
        }
    }
}
