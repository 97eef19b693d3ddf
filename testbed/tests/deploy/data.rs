//! A full, read-only or missing data partition affects the black boxes, never the control.

use std::sync::Arc;

use crate::service::not_energised;
use crate::target::{BOARD, Disks, Isolation, LIMIT, Target};
use crate::{Boot, Case, Failure, Host, require};
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
    start,
    cases: &[&[Case {
        name: "the_controller_starts_without_a_data_partition",
        run: gone,
    }]],
};

fn start(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    let disks = Disks::fresh(host).without_data();
    let mut target = Target::power_on(host, transcript, disks, Isolation::OfTheLayer)?;
    target.boots()?;
    Ok(target)
}

/// The same process continues through a fault that is to be recorded, and a restart works.
fn controls(target: &mut Target) -> Result<(), Failure> {
    let lines = BOARD.lines;
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
    let (status, _) = target.run("dd if=/dev/zero of=/data/fill bs=1M status=none; dd if=/dev/zero of=/data/rest bs=1k status=none")?;
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
