//! Updates: refused bundles, a power cut, kept and rolled back updates. Order and tries of
//! the slots are read from the boot loader's variables.

use std::sync::Arc;

use crate::card::Card;
use crate::service::not_energised;
use crate::target::{Cpus, LIMIT, Target};
use crate::{Boot, Case, Failure, GENERIC, Host, require};
use testbed::machine::Transcript;

pub(crate) const BOOT: Boot = Boot {
    name: "updates",
    host: GENERIC,
    start,
    cases: &[&[
        Case {
            name: "a_slot_that_keeps_its_contract_is_marked_good_and_proven",
            run: first_slot,
        },
        Case {
            name: "a_bundle_with_a_foreign_key_foreign_machine_or_truncated_is_refused_with_its_reason",
            run: refused,
        },
        Case {
            name: "a_bundle_with_a_flipped_payload_fails_and_the_old_slot_stays_first",
            run: flipped,
        },
        Case {
            name: "after_a_power_cut_during_an_installation_the_old_slot_boots",
            run: power_cut,
        },
        Case {
            name: "after_a_power_cut_during_its_first_boot_an_update_boots_again",
            run: first_boot_cut,
        },
        Case {
            name: "an_update_that_keeps_its_contract_is_kept",
            run: good,
        },
        Case {
            name: "an_update_that_does_not_keep_its_contract_is_rolled_back",
            run: bad,
        },
        Case {
            name: "a_proven_slot_whose_contract_fails_stays_and_keeps_its_tries",
            run: proven,
        },
    ]],
};

pub(crate) const BOTH_BAD: Boot = Boot {
    name: "both-bad",
    host: GENERIC,
    start: start_without_isolation,
    cases: &[&[Case {
        name: "a_board_whose_contract_fails_in_both_slots_restarts_once_and_stays_up_safe",
        run: both_bad,
    }]],
};

fn start(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    Target::power_on(host, transcript, Card::copied(host)?, Cpus::All)
}

fn start_without_isolation(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    Target::power_on(host, transcript, Card::fresh(host), Cpus::One)
}

/// Waits for a boot, and requires this slot.
pub(crate) fn boots(target: &mut Target, slot: char) -> Result<String, Failure> {
    let line = target.boots()?;
    require(line.starts_with(&format!("slot {slot} ")), || {
        format!("expected a boot of slot {slot}, got: {line}")
    })?;
    Ok(line)
}

/// Waits for the end of that boot, and mounts the bundles.
fn is_up(target: &mut Target) -> Result<(), Failure> {
    target.is_up()?;
    target
        .ask("mount -o ro /dev/disk/by-id/virtio-bundles /media")
        .map(drop)
}

/// Requires these variables of the boot loader.
pub(crate) fn environment(target: &mut Target, expected: &[(&str, &str)]) -> Result<(), Failure> {
    for (name, value) in expected {
        let found = target.ask(&format!("fw_printenv -n {name}"))?;
        require(found == *value, || {
            format!("{name} is '{found}', expected '{value}'")
        })?;
    }
    Ok(())
}

/// Requires `words` in the last line of the log of steadfast-slot.
fn recorded(target: &mut Target, words: &str) -> Result<(), Failure> {
    let log = target.ask("cat /data/steadfast/health/log")?;
    require(
        log.lines()
            .next_back()
            .is_some_and(|line| line.contains(words)),
        || format!("'{words}' is not the last line of '{log}'"),
    )
}

fn first_slot(target: &mut Target) -> Result<(), Failure> {
    boots(target, 'A')?;
    is_up(target)?;
    environment(target, &[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3")])?;
    let proven = target.ask("cat /data/steadfast/health/A")?;
    require(proven == "flashed", || {
        format!("expected slot A to be proven with 'flashed', got '{proven}'")
    })
}

/// Sectors written to the other slot (Documentation/block/stat.rst).
fn sectors_written_to_b(target: &mut Target) -> Result<String, Failure> {
    target.ask("sync; awk '{ print $7 }' /sys/class/block/vda3/stat")
}

fn refused(target: &mut Target) -> Result<(), Failure> {
    let before = sectors_written_to_b(target)?;
    for (bundle, words) in [
        ("other-key", "signature"),
        ("other-compatible", "Compatible mismatch"),
        ("cut", "ignature"),
    ] {
        let (status, lines) = target.run(&format!("rauc install /media/{bundle}.raucb 2>&1"))?;
        let text = lines.join("\n");
        require(status != 0, || format!("{bundle} was installed: {text}"))?;
        require(text.contains(words), || {
            format!("expected '{words}' in the refusal of {bundle}, got: {text}")
        })?;
    }
    require(sectors_written_to_b(target)? == before, || {
        "a refused bundle was written to the slot".to_owned()
    })?;
    environment(target, &[("BOOT_ORDER", "A B"), ("BOOT_B_LEFT", "3")])
}

fn flipped(target: &mut Target) -> Result<(), Failure> {
    let (status, lines) = target.run("rauc install /media/flipped.raucb 2>&1")?;
    require(status != 0, || {
        format!("the flipped bundle was installed: {}", lines.join("\n"))
    })?;
    environment(
        target,
        // RAUC removes a bad slot from the order.
        &[
            ("BOOT_ORDER", "A"),
            ("BOOT_A_LEFT", "3"),
            ("BOOT_B_LEFT", "0"),
        ],
    )
}

fn power_cut(target: &mut Target) -> Result<(), Failure> {
    // The power is cut after a tenth of the image has been written.
    target.machine().type_line("rauc install /media/good.raucb & stat=/sys/class/block/vda3/stat; old=$(awk '{ print $7 }' $stat); until [ $(awk '{ print $7 }' $stat) -gt $((old + 65536)) ]; do sleep 0.1; done; echo; echo @@written")?;
    target.machine().wait_for_line("@@written", LIMIT)?;
    target.power_cut(Cpus::All)?;
    boots(target, 'A')?;
    is_up(target)?;
    environment(target, &[("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0")])
}

/// Installs a bundle into the other slot and restarts.
fn install(target: &mut Target, bundle: &str) -> Result<(), Failure> {
    target.ask(&format!("rauc install /media/{bundle}.raucb"))?;
    target.machine().type_line("systemctl reboot")
}

fn first_boot_cut(target: &mut Target) -> Result<(), Failure> {
    install(target, "good")?;
    let line = boots(target, 'B')?;
    require(line.ends_with("B 2"), || {
        format!("expected 2 tries left of slot B, got: {line}")
    })?;
    // The agent starts before the controller, and long before the slot is marked good.
    target.power_cut(Cpus::All)?;
    let line = boots(target, 'B')?;
    require(line.ends_with("B 1"), || {
        format!("expected 1 try left of slot B, got: {line}")
    })
}

fn good(target: &mut Target) -> Result<(), Failure> {
    is_up(target)?;
    is_proven(target)
}

/// Requires that slot B, which has the update, was marked good after its health check.
pub(crate) fn is_proven(target: &mut Target) -> Result<(), Failure> {
    environment(target, &[("BOOT_ORDER", "B A"), ("BOOT_B_LEFT", "3")])?;
    let proven = target.ask("cat /data/steadfast/health/B")?;
    require(proven != "flashed", || {
        "slot B is proven with 'flashed', expected the update".to_owned()
    })
}

fn bad(target: &mut Target) -> Result<(), Failure> {
    install(target, "bad")?;
    boots(target, 'A')?;
    boots(target, 'B')?;
    is_up(target)?;
    environment(target, &[("BOOT_A_LEFT", "0"), ("BOOT_B_LEFT", "3")])?;
    recorded(target, "slot A does not keep its contract: back to slot B")
}

/// Waits for the end of the health check, and requires that the system stays up.
fn stays(target: &mut Target) -> Result<(), Failure> {
    target.until("[ \"$(systemctl show -P ActiveState steadfast-health)\" = failed ]")?;
    let (_, lines) = target.run("systemctl is-system-running --wait")?;
    require(lines == ["degraded"], || format!("the system is {lines:?}"))
}

fn proven(target: &mut Target) -> Result<(), Failure> {
    // The same software on a machine that does not allow the contract.
    target.power_cut(Cpus::One)?;
    boots(target, 'B')?;
    stays(target)?;
    environment(target, &[("BOOT_A_LEFT", "0"), ("BOOT_B_LEFT", "3")])?;
    recorded(
        target,
        "slot B kept its contract before and does not now: it stays",
    )
}

fn both_bad(target: &mut Target) -> Result<(), Failure> {
    let from = target.now()?;
    boots(target, 'A')?;
    boots(target, 'B')?;
    stays(target)?;
    environment(target, &[("BOOT_A_LEFT", "0"), ("BOOT_B_LEFT", "2")])?;
    recorded(
        target,
        "slot B does not keep its contract, and the other one is bad: staying up",
    )?;
    not_energised(target, from)
}
