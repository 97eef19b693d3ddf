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

/// Wall time for a boot, an installation, and any other wait: many times what each
/// takes on two cores.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// The board, whose pins are the board tier's.
pub(crate) const BOARD: &Board = &QEMUARM64;
/// CPUs of the machine: `STEADFAST_CPUS` of the layer.
const CPUS: &str = "4";

/// The agent of tests/deploy/target is there.
const AGENT: &str = "@@agent";
/// A command has ended, and its status.
const DONE: &str = "@@done ";
/// What the boot loader says.
pub(crate) const LOADER: &str = "@@loader ";

/// The disks of a target.
pub(crate) struct Disks {
    folder: PathBuf,
    /// Whether the next power-on finds what this one wrote.
    kept: bool,
    data: bool,
    /// Copies go with it.
    _work: Option<WorkFolder>,
}

impl Disks {
    /// As they were made; what is written is forgotten.
    pub(crate) fn fresh(host: &Host) -> Self {
        Self {
            folder: host.disks.clone(),
            kept: false,
            data: true,
            _work: None,
        }
    }

    /// Copies, which remember.
    ///
    /// # Errors
    /// There is no room for them.
    pub(crate) fn copied(host: &Host) -> Result<Self, Failure> {
        let work = WorkFolder::new()?;
        let copy = |from: &str, to: &str| -> Result<(), Failure> {
            let status = Command::new("cp")
                .arg("--sparse=always")
                .arg(host.disks.join(from))
                .arg(work.path.join(to))
                .status()?;
            require(status.success(), || format!("{from} could not be copied"))
        };
        copy("slot.ext4", "a.ext4")?;
        copy("slot.ext4", "b.ext4")?;
        copy("boot.vfat", "boot.vfat")?;
        copy("data.ext4", "data.ext4")?;
        Ok(Self {
            folder: work.path.clone(),
            kept: true,
            data: true,
            _work: Some(work),
        })
    }

    /// Without the data partition.
    pub(crate) fn without_data(self) -> Self {
        Self {
            data: false,
            ..self
        }
    }

    fn attach(&self, host: &Host, command: &mut Command) {
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

/// A target that is powered.
pub(crate) struct Target {
    host: Host,
    transcript: Arc<Transcript>,
    disks: Disks,
    /// `None` while it has no power.
    machine: Option<Machine>,
    said: String,
}

/// What the kernel is told of CPUs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// What the layer makes of its one variable.
    OfTheLayer,
    /// Nothing: no controller keeps its contract then.
    None,
}

impl Target {
    /// Powers the target.
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

    /// Takes the power away, in the middle of whatever it does, and gives it back.
    ///
    /// # Errors
    /// The emulator does not start.
    pub(crate) fn power_cut(&mut self, isolation: Isolation) -> Result<(), Failure> {
        self.machine = None;
        let isolation = match isolation {
            Isolation::OfTheLayer => fs::read_to_string(self.host.disks.join("cmdline"))?,
            Isolation::None => String::new(),
        };
        // `nokaslr`: a kernel at a random address keeps its page tables from user space
        // (arm64: kpti), and each system call then empties the emulator's TLB twice. It
        // takes a third of a boot's wall time and nothing here is about it.
        let mut command = Command::new("qemu-system-aarch64");
        command
            .args(BOARD.machine)
            .args(["-smp", CPUS, "-icount", "shift=0,sleep=off"])
            .args(["-rtc", "base=2026-01-01,clock=vm", "-seed", "1"])
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

    /// The machine, which has power.
    pub(crate) fn machine(&mut self) -> &mut Machine {
        self.machine
            .as_mut()
            .expect("it is off only within power_cut")
    }

    /// Waits for the boot loader's choice, and for the agent of the slot: which one
    /// that is. The inputs are as on a healthy machine then, also after a restart.
    ///
    /// # Errors
    /// It does not boot.
    pub(crate) fn boots(&mut self) -> Result<String, Failure> {
        let line = self.machine().wait_for_line(LOADER, LIMIT)?;
        self.machine().wait_for_line(AGENT, LIMIT)?;
        self.machine()
            .pins
            .drive(BOARD.lines.emergency_stop, true)?;
        self.machine().pins.drive(BOARD.lines.reset, false)?;
        Ok(line.trim_start_matches(LOADER).to_owned())
    }

    /// Waits until the target is up, with all that belongs to it.
    ///
    /// # Errors
    /// Something failed on the way.
    pub(crate) fn is_up(&mut self) -> Result<(), Failure> {
        let (_, lines) =
            self.run("systemctl is-system-running --wait; systemctl --failed --no-legend --plain")?;
        require(lines.first().is_some_and(|line| line == "running"), || {
            format!("the system is not up: {lines:?}")
        })
    }

    /// Runs a command in the target: its status and what it printed.
    ///
    /// # Errors
    /// It does not end, or the target does.
    pub(crate) fn run(&mut self, command: &str) -> Result<(i32, Vec<String>), Failure> {
        self.machine().type_line(&command.replace('\n', "; "))?;
        let mut lines = self.machine().collect_until(DONE, LIMIT)?;
        let last = lines.pop().unwrap_or_default();
        let status = last.trim_start_matches(DONE).trim().parse();
        let status = status.map_err(|_| Failure::new(format!("no status: '{last}'")))?;
        lines.retain(|line| !line.is_empty());
        Ok((status, lines))
    }

    /// What a command prints that must succeed.
    ///
    /// # Errors
    /// It does not.
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

    /// A property of the controller's unit that is a number.
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
    /// It never does.
    pub(crate) fn until(&mut self, condition: &str) -> Result<(), Failure> {
        // The pause is guest time, and is skipped.
        self.ask(&format!("until {condition}; do sleep 0.2; done"))
            .map(drop)
    }

    /// Waits until the controller is active.
    ///
    /// # Errors
    /// It never is.
    pub(crate) fn until_active(&mut self) -> Result<(), Failure> {
        self.until("systemctl is-active -q steadfast")
    }

    /// The place in the order of edges that is now: an answer of the emulator comes
    /// after all edges before it.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub(crate) fn now(&mut self) -> Result<Mark, Failure> {
        self.machine().pins.drive(BOARD.lines.reset, false)
    }

    /// A figure for the report.
    pub(crate) fn say(&mut self, text: &str) {
        self.said += &format!("      {text}\n");
    }

    /// What was said since the last time.
    pub(crate) fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }
}
