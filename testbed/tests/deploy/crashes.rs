//! The controller crashes or is paused: systemd restarts it, and no output is energised
//! before reset is pressed.

use crate::service::not_energised;
use crate::target::{LIMIT, Target};
use crate::{Case, Failure, require};
use testbed::pins::Mark;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "a_service_killed_while_energised_restarts_and_waits_for_reset",
        run: killed,
    },
    Case {
        name: "a_paused_service_is_ended_by_the_watchdog_of_systemd_and_restarted",
        run: stopped,
    },
    Case {
        name: "a_crash_loop_ends_after_five_starts_and_energises_nothing",
        run: crash_loop,
    },
];

/// Presses reset, and waits for the axis to be enabled.
fn arm(target: &mut Target) -> Result<Mark, Failure> {
    let lines = target.lines();
    let start = target.now()?;
    let pins = &mut target.machine().pins;
    pins.wait_for_edges(start, lines.heartbeat, 20, LIMIT)?;
    let pressed = pins.drive(lines.reset, true)?;
    let enabled = pins.wait_for(pressed, lines.enable, true, LIMIT)?;
    pins.drive(lines.reset, false)?;
    Ok(enabled)
}

/// Restarts the controller with its count of starts reset, as after a boot.
fn afresh(target: &mut Target) -> Result<(), Failure> {
    target
        .ask(
            "systemctl stop steadfast; systemctl reset-failed steadfast; systemctl start steadfast",
        )
        .map(drop)
}

/// Waits until the unit is active with another process than `pid`.
fn another(target: &mut Target, pid: &str) -> Result<(), Failure> {
    target.until(&format!("systemctl is-active -q steadfast && [ \"$(systemctl show -P MainPID steadfast)\" != {pid} ]"))
}

/// The enable line falls and stays down while the new process runs 50 periods.
fn waits_for_reset(target: &mut Target, from: Mark) -> Result<(), Failure> {
    let lines = target.lines();
    let fallen = target
        .machine()
        .pins
        .wait_for(from, lines.enable, false, LIMIT)?;
    let now = target.now()?;
    target
        .machine()
        .pins
        .wait_for_edges(now, lines.heartbeat, 50, LIMIT)?;
    not_energised(target, fallen)
}

fn killed(target: &mut Target) -> Result<(), Failure> {
    afresh(target)?;
    let armed = arm(target)?;
    let pid = target.unit("MainPID")?;
    target.ask(&format!("kill -KILL {pid}"))?;
    another(target, &pid)?;
    waits_for_reset(target, armed)
}

fn stopped(target: &mut Target) -> Result<(), Failure> {
    afresh(target)?;
    let armed = arm(target)?;
    let pid = target.unit("MainPID")?;
    target.ask(&format!("kill -STOP {pid}"))?;
    another(target, &pid)?;
    let text = target.ask("journalctl -b -o cat -u steadfast | grep 'Watchdog timeout'")?;
    require(text.contains("10s"), || {
        format!("expected a watchdog time-out of 10s in the journal, got '{text}'")
    })?;
    waits_for_reset(target, armed)
}

fn crash_loop(target: &mut Target) -> Result<(), Failure> {
    /// `StartLimitBurst=` of the unit.
    const STARTS: u64 = 5;
    afresh(target)?;
    arm(target)?;
    let from = target.now()?;
    // Kills each process once it is active, until systemd stops restarting.
    target.ask("until [ \"$(systemctl show -P ActiveState steadfast)\" = failed ]; do systemctl is-active -q steadfast && kill -KILL $(systemctl show -P MainPID steadfast); sleep 0.2; done")?;
    let restarts = target.unit_number("NRestarts")?;
    require((1..=STARTS).contains(&restarts), || {
        format!("expected 1 to {STARTS} restarts, got {restarts}")
    })?;
    let enable = target.lines().enable;
    let fallen = target.machine().pins.wait_for(from, enable, false, LIMIT)?;
    // Longer than any delay between two starts.
    target.ask("sleep 30")?;
    require(target.unit("ActiveState")? == "failed", || {
        "the unit was restarted after the limit".to_owned()
    })?;
    not_energised(target, fallen)?;
    // A start by hand resets the count.
    afresh(target)?;
    target.until_active()
}
