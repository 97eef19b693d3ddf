//! A target that boots from its card: the card, the power, and commands in it.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::card::{self, Card};
use crate::{Failure, Host, require};
use testbed::boards::{Lines, healthy};
use testbed::machine::{Machine, Transcript};
use testbed::pins::Mark;
use testbed::tree;
use testbed::work::WorkFolder;

/// Wall time for any wait, many times the duration of a boot or an installation on two
/// cores.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// CPUs of the machine: `STEADFAST_CPUS` of the layer.
const CPUS: &str = "4";

/// Printed by the agent of tests/deploy/target when it is ready.
const AGENT: &str = "@@agent";
/// Printed at the end of a command, followed by its exit status.
const DONE: &str = "@@done ";
/// Prefix of the line of the boot script after its choice.
pub(crate) const SCRIPT: &str = "steadfast: slot ";

/// A target that was powered on.
pub(crate) struct Target {
    pub(crate) host: Host,
    transcript: Arc<Transcript>,
    card: Card,
    /// `None` while the power is off.
    machine: Option<Machine>,
    said: String,
}

/// The CPUs of the machine.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cpus {
    /// As many as the layer expects; the kernel isolates one of them.
    All,
    /// One, which cannot be isolated: no controller can keep its contract.
    One,
    /// One, without the count of instructions as the clock, which makes it several times slower: for
    /// the boot loader alone.
    BootLoader,
}

impl Target {
    /// Powers the target on.
    ///
    /// # Errors
    /// The emulator does not start.
    pub(crate) fn power_on(
        host: &Host,
        transcript: Arc<Transcript>,
        card: Card,
        cpus: Cpus,
    ) -> Result<Self, Failure> {
        let mut target = Self {
            host: host.clone(),
            transcript,
            card,
            machine: None,
            said: String::new(),
        };
        target.power_cut(cpus)?;
        Ok(target)
    }

    /// Cuts the power and restores it.
    ///
    /// # Errors
    /// The emulator does not start.
    pub(crate) fn power_cut(&mut self, cpus: Cpus) -> Result<(), Failure> {
        self.machine = None;
        let board = self.host.board;
        let work = WorkFolder::new()?;
        let mut command = Command::new("qemu-system-aarch64");
        let number = match cpus {
            Cpus::All => CPUS,
            Cpus::One | Cpus::BootLoader => "1",
        };
        command.args(board.machine).args(["-smp", number]).args([
            "-rtc",
            "base=2026-01-01,clock=vm",
            "-seed",
            "1",
        ]);
        if cpus != Cpus::BootLoader {
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        if board.device_tree.is_some() {
            // The part of the Raspberry Pi's firmware: loads the boot loader and the base tree from
            // the card.
            let (loader, tree) = (work.path.join("loader"), work.path.join("board.dtb"));
            fs::write(&loader, self.card.firmware_file("kernel")?)?;
            fs::write(&tree, self.card.firmware_file("device_tree")?)?;
            tree::for_emulator(board, &tree)?;
            command.arg("-kernel").arg(loader).arg("-dtb").arg(tree);
            self.card.insert(&mut command)?;
        } else {
            let loader = self.host.disks.join("u-boot.bin");
            // With ACPI and a boot loader the machine has no PL061.
            command.args(["-machine", "acpi=off", "-bios"]).arg(loader);
            self.card.attach(&mut command);
            card::attach(&mut command, "bundles", &card::bundles(&self.host), false);
        }
        for _ in 0..board.unused_serial_ports {
            command.args(["-serial", "null"]);
        }
        self.machine = Some(Machine::power_on(
            command,
            work,
            Arc::clone(&self.transcript),
            (board.gpio, board.drive),
            &healthy(board),
        )?);
        Ok(())
    }

    /// Cuts the power.
    pub(crate) fn power_off(&mut self) {
        self.machine = None;
    }

    /// The card, to be changed while the power is off.
    pub(crate) fn card(&mut self) -> &mut Card {
        &mut self.card
    }

    /// Cuts the power, and replaces the card.
    pub(crate) fn insert(&mut self, card: Card) {
        self.machine = None;
        self.card = card;
    }

    /// The running machine.
    pub(crate) fn machine(&mut self) -> &mut Machine {
        self.machine
            .as_mut()
            .expect("a case that cuts the power restores it before it asks")
    }

    /// The lines that are wired to the board.
    pub(crate) fn lines(&self) -> Lines {
        self.host.board.lines
    }

    /// Waits for the boot loader's choice, which it gives, and for the agent of the slot.
    /// Then sets the inputs of a healthy machine, also after a restart.
    ///
    /// # Errors
    /// The target does not boot.
    pub(crate) fn boots(&mut self) -> Result<String, Failure> {
        let line = self.machine().wait_for_line(SCRIPT, LIMIT)?;
        self.machine().wait_for_line(AGENT, LIMIT)?;
        for (line, level) in healthy(self.host.board) {
            self.machine().pins.drive(line, level)?;
        }
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
        require(self.machine.is_some(), || "the power is off".to_owned())?;
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
        let reset = self.lines().reset;
        self.machine().pins.drive(reset, false)
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
