//! A target that boots from a disk: its disks, its power, and commands in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::{Failure, Host, require};
use testbed::boards::{Board, QEMUARM64};
use testbed::machine::{Machine, Transcript};
use testbed::pins::Mark;
use testbed::work::WorkFolder;

/// Wall time for any wait, many times the duration of a boot or an installation on two
/// cores.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// The board; its pins are those of the board tier.
pub(crate) const BOARD: &Board = &QEMUARM64;
/// CPUs of the machine: `STEADFAST_CPUS` of the layer.
const CPUS: &str = "4";

/// Printed by the agent of tests/deploy/target when it is ready.
const AGENT: &str = "@@agent";
/// Printed at the end of a command, followed by its exit status.
const DONE: &str = "@@done ";
/// Prefix of the lines of the program that replaces the boot loader.
pub(crate) const LOADER: &str = "@@loader ";
/// Prefix of the line of the boot script after its choice.
const SCRIPT: &str = "steadfast: slot ";

/// The disks of a target.
pub(crate) struct Disks {
    folder: PathBuf,
    /// Whether they are one card with a boot loader, as made by `tests/image/build`.
    card: bool,
    /// Whether writes persist until the next power-on.
    kept: bool,
    data: bool,
    /// The folder of copies, removed with them.
    _work: Option<WorkFolder>,
}

impl Disks {
    /// The disks as made by `tests/deploy/image`; writes are discarded.
    pub(crate) fn fresh(host: &Host) -> Self {
        Self {
            folder: host.disks.clone(),
            card: false,
            kept: false,
            data: true,
            _work: None,
        }
    }

    /// Copies of the disks, on which writes persist.
    ///
    /// # Errors
    /// The copies cannot be written.
    pub(crate) fn copied(host: &Host) -> Result<Self, Failure> {
        Self::copies(
            host,
            &[
                ("slot.ext4", "a.ext4"),
                ("slot.ext4", "b.ext4"),
                ("boot.vfat", "boot.vfat"),
                ("data.ext4", "data.ext4"),
            ],
            false,
        )
    }

    /// A copy of the card with a boot loader, on which writes persist.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub(crate) fn card(host: &Host) -> Result<Self, Failure> {
        Self::copies(host, &[("image.img", "image.img")], true)
    }

    fn copies(host: &Host, files: &[(&str, &str)], card: bool) -> Result<Self, Failure> {
        let work = WorkFolder::new()?;
        for (from, to) in files {
            let status = Command::new("cp")
                .arg("--sparse=always")
                .arg(host.disks.join(from))
                .arg(work.path.join(to))
                .status()?;
            require(status.success(), || format!("{from} could not be copied"))?;
        }
        Ok(Self {
            folder: work.path.clone(),
            card,
            kept: true,
            data: true,
            _work: Some(work),
        })
    }

    /// The same disks without the data partition.
    pub(crate) fn without_data(self) -> Self {
        Self {
            data: false,
            ..self
        }
    }

    fn attach(&self, host: &Host, command: &mut Command) {
        if self.card {
            // The first disk of virtio, as the boot script expects.
            attach(command, "card", &self.folder.join("image.img"), self.kept);
            attach(command, "bundles", &host.disks.join("bundles.ext4"), false);
            return;
        }
        let slots = if self.kept {
            ["a.ext4", "b.ext4"]
        } else {
            ["slot.ext4", "slot.ext4"]
        };
        let [a, b] = slots.map(|name| self.folder.join(name));
        attach(command, "slot-a", &a, self.kept);
        attach(command, "slot-b", &b, self.kept);
        attach(command, "boot", &self.folder.join("boot.vfat"), self.kept);
        if self.data {
            attach(command, "data", &self.folder.join("data.ext4"), self.kept);
        }
        attach(command, "bundles", &host.disks.join("bundles.ext4"), false);
    }
}

fn attach(command: &mut Command, serial: &str, file: &Path, kept: bool) {
    let snapshot = if kept { "off" } else { "on" };
    command.arg("-drive").arg(format!(
        "if=none,id={serial},format=raw,snapshot={snapshot},file={}",
        file.display()
    ));
    command
        .arg("-device")
        .arg(format!("virtio-blk-pci,drive={serial},serial={serial}"));
}

/// A target that was powered on.
pub(crate) struct Target {
    host: Host,
    transcript: Arc<Transcript>,
    disks: Disks,
    /// `None` while the power is off.
    machine: Option<Machine>,
    said: String,
}

/// The kernel parameters for CPUs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Those of the layer.
    OfTheLayer,
    /// None: no controller can keep its contract.
    None,
}

impl Target {
    /// Powers the target on.
    ///
    /// # Errors
    /// The emulator does not start.
    pub(crate) fn power_on(
        host: &Host,
        transcript: Arc<Transcript>,
        disks: Disks,
        isolation: Isolation,
    ) -> Result<Self, Failure> {
        let mut target = Self {
            host: host.clone(),
            transcript,
            disks,
            machine: None,
            said: String::new(),
        };
        target.power_cut(isolation)?;
        Ok(target)
    }

    /// Cuts the power and restores it.
    ///
    /// # Errors
    /// The emulator does not start.
    pub(crate) fn power_cut(&mut self, isolation: Isolation) -> Result<(), Failure> {
        self.machine = None;
        let mut command = Command::new("qemu-system-aarch64");
        command
            .args(BOARD.machine)
            .args(["-smp", CPUS, "-icount", "shift=0,sleep=off"])
            .args(["-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]);
        if self.disks.card {
            // Kernel and command line are those of the card. With ACPI and a boot loader the
            // machine has no PL061. Without a seed in its tree the kernel is at a fixed address;
            // `nokaslr` below has the reason.
            command
                .args(["-machine", "acpi=off,dtb-randomness=off"])
                .arg("-bios")
                .arg(self.host.disks.join("u-boot.bin"));
        } else {
            self.kernel(&mut command, isolation)?;
        }
        self.disks.attach(&self.host, &mut command);
        let lines = BOARD.lines;
        self.machine = Some(Machine::power_on(
            command,
            WorkFolder::new()?,
            Arc::clone(&self.transcript),
            (BOARD.gpio, BOARD.drive),
            &[(lines.emergency_stop, true), (lines.reset, false)],
        )?);
        Ok(())
    }

    /// Starts the kernel by the emulator.
    fn kernel(&self, command: &mut Command, isolation: Isolation) -> Result<(), Failure> {
        let isolation = match isolation {
            Isolation::OfTheLayer => fs::read_to_string(self.host.disks.join("cmdline"))?,
            Isolation::None => String::new(),
        };
        // `nokaslr`: a kernel at a random address separates its page tables from user
        // space (arm64: kpti), and each system call then flushes the emulator's TLB twice,
        // which takes a third of the wall time of a boot.
        command
            .arg("-kernel")
            .arg(self.host.kernel.join("vmlinuz"))
            .arg("-initrd")
            .arg(self.host.disks.join("initramfs.cpio"))
            .args([
                "-append",
                &format!(
                    "console={} loglevel=1 panic=-1 systemd.show_status=no nokaslr {}",
                    BOARD.console,
                    isolation.trim()
                ),
            ]);
        Ok(())
    }

    /// The running machine.
    pub(crate) fn machine(&mut self) -> &mut Machine {
        self.machine
            .as_mut()
            .expect("it is off only within power_cut")
    }

    /// Waits for the boot loader's choice, which it gives, and for the agent of the slot.
    /// Then sets the inputs of a healthy machine, also after a restart.
    ///
    /// # Errors
    /// The target does not boot.
    pub(crate) fn boots(&mut self) -> Result<String, Failure> {
        let loader = if self.disks.card { SCRIPT } else { LOADER };
        let line = self.machine().wait_for_line(loader, LIMIT)?;
        self.machine().wait_for_line(AGENT, LIMIT)?;
        self.machine()
            .pins
            .drive(BOARD.lines.emergency_stop, true)?;
        self.machine().pins.drive(BOARD.lines.reset, false)?;
        let line = line.trim_start_matches(LOADER);
        Ok(line.trim_start_matches("steadfast: ").to_owned())
    }

    /// Waits until systemd reports the system as running.
    ///
    /// # Errors
    /// A unit failed.
    pub(crate) fn is_up(&mut self) -> Result<(), Failure> {
        let (_, lines) =
            self.run("systemctl is-system-running --wait; systemctl --failed --no-legend --plain")?;
        require(lines.first().is_some_and(|line| line == "running"), || {
            format!("the system is not up: {lines:?}")
        })
    }

    /// Runs a command in the target; gives its exit status and its output.
    ///
    /// # Errors
    /// The command does not end, or the target ends.
    pub(crate) fn run(&mut self, command: &str) -> Result<(i32, Vec<String>), Failure> {
        self.machine().type_line(&command.replace('\n', "; "))?;
        let mut lines = self.machine().collect_until(DONE, LIMIT)?;
        let last = lines.pop().unwrap_or_default();
        let status = last.trim_start_matches(DONE).trim().parse();
        let status = status.map_err(|_| Failure::new(format!("no status: '{last}'")))?;
        lines.retain(|line| !line.is_empty());
        Ok((status, lines))
    }

    /// Runs a command that must succeed; gives its output.
    ///
    /// # Errors
    /// The command fails.
    pub(crate) fn ask(&mut self, command: &str) -> Result<String, Failure> {
        let (status, lines) = self.run(command)?;
        let text = lines.join("\n");
        require(status == 0, || {
            format!("'{command}' ended with {status}: {text}")
        })?;
        Ok(text)
    }

    /// A property of the controller's unit.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(crate) fn unit(&mut self, property: &str) -> Result<String, Failure> {
        self.ask(&format!("systemctl show -P {property} steadfast"))
    }

    /// A numeric property of the controller's unit.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(crate) fn unit_number(&mut self, property: &str) -> Result<u64, Failure> {
        let text = self.unit(property)?;
        text.parse()
            .map_err(|_| Failure::new(format!("{property} is '{text}'")))
    }

    /// Waits until a shell condition holds in the target.
    ///
    /// # Errors
    /// It does not hold within the limit.
    pub(crate) fn until(&mut self, condition: &str) -> Result<(), Failure> {
        // The pause is guest time, and is skipped.
        self.ask(&format!("until {condition}; do sleep 0.2; done"))
            .map(drop)
    }

    /// Waits until the controller is active.
    ///
    /// # Errors
    /// It is not active within the limit.
    pub(crate) fn until_active(&mut self) -> Result<(), Failure> {
        self.until("systemctl is-active -q steadfast")
    }

    /// The current position in the sequence of edges: the emulator answers after all
    /// earlier edges.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub(crate) fn now(&mut self) -> Result<Mark, Failure> {
        self.machine().pins.drive(BOARD.lines.reset, false)
    }

    /// Adds a figure to the report.
    pub(crate) fn say(&mut self, text: &str) {
        self.said += &format!("      {text}\n");
    }

    /// The figures added since the last call.
    pub(crate) fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }
}
