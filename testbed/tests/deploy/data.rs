//! A full, read-only or missing data partition affects the black boxes, never the control.

use std::sync::Arc;

use crate::card::Card;
use crate::service::not_energised;
use crate::target::{Cpus, LIMIT, Target};
use crate::{Boot, Case, Failure, GENERIC, Host, require};
use testbed::machine::Transcript;

/// Cases in the boot of the service.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "a_full_data_partition_does_not_stop_control",
        run: full,
    },
    Case {
        name: "a_read_only_data_partition_does_not_stop_control",
        run: read_only,
    },
];

pub(crate) const BOOT: Boot = Boot {
    name: "no-data",
    host: GENERIC,
    start,
    cases: &[&[
        Case {
            name: "with_both_copies_of_the_environment_damaged_the_system_starts_and_can_set_variables",
            run: damaged_environment,
        },
        Case {
            name: "the_controller_starts_without_a_data_partition",
            run: gone,
        },
    ]],
};

fn start(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    let card = Card::without_data(host)?;
    card.damage_environment(0)?;
    card.damage_environment(1)?;
    Target::power_on(host, transcript, card, Cpus::All)
}

fn damaged_environment(target: &mut Target) -> Result<(), Failure> {
    let line = target.boots()?;
    require(line == "slot A of A B, left A 2 B 3", || {
        format!("expected slot A with new tries, got: {line}")
    })?;
    target.until("mountpoint -q /mnt/env")?;
    target.ask("fw_setenv BOOT_B_LEFT 2")?;
    let left = target.ask("fw_printenv -n BOOT_A_LEFT; fw_printenv -n BOOT_B_LEFT")?;
    require(left == "2\n2", || {
        format!("expected two tries left of each slot, got '{left}'")
    })
}

/// The same process continues through a fault that is to be recorded, and a restart works.
fn controls(target: &mut Target) -> Result<(), Failure> {
    let lines = target.lines();
    let pid = target.unit("MainPID")?;
    let pressed = target.machine().pins.drive(lines.emergency_stop, false)?;
    target
        .machine()
        .pins
        .wait_for_edges(pressed, lines.heartbeat, 150, LIMIT)?;
    target.machine().pins.drive(lines.emergency_stop, true)?;
    let now = target.unit("MainPID")?;
    if now != pid {
        let words = target.ask("journalctl -u steadfast -n 15 --no-pager -o cat")?;
        return Err(Failure::new(format!(
            "the controller was restarted; end of its journal:\n{words}"
        )));
    }
    target.ask("systemctl reset-failed steadfast; systemctl restart steadfast")?;
    let now = target.now()?;
    target
        .machine()
        .pins
        .wait_for_edges(now, lines.heartbeat, 50, LIMIT)?;
    not_energised(target, pressed)
}

fn full(target: &mut Target) -> Result<(), Failure> {
    let (status, _) = target.run("fallocate -l $(df --output=avail -B1 /data | tail -n 1) /data/fill; dd if=/dev/zero of=/data/rest bs=1k status=none")?;
    require(status != 0, || {
        "the partition could not be filled".to_owned()
    })?;
    controls(target)?;
    target.ask("rm /data/fill /data/rest").map(drop)
}

fn read_only(target: &mut Target) -> Result<(), Failure> {
    target.ask("mount -o remount,ro /data")?;
    controls(target)?;
    target.ask("mount -o remount,rw /data").map(drop)
}

fn gone(target: &mut Target) -> Result<(), Failure> {
    target.until_active()?;
    let active = target.unit_number("ActiveEnterTimestampMonotonic")? / 1_000_000;
    target.say(&format!("active {active} s after the kernel's start"));
    let (status, _) = target.run("mountpoint -q /data")?;
    require(status != 0, || "there is a data partition".to_owned())?;
    // Guest time. systemd itself would wait 90 s for a disk.
    require(active < 60, || {
        format!("the controller was active {active} s after the kernel's start, expected < 60")
    })
}
