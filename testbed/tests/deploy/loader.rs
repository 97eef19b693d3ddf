//! The boot loader and its environment: power cuts at each write, damaged copies, no slot that boots.
//!
//! The emulator logs what is written to the card. A power cut after a write leaves the writes before
//! it; in a cut within a write the first half of its sectors is new. Disks that reorder writes
//! between two flushes are not modelled.

use std::sync::Arc;

use crate::card::{Card, Write, is_valid};
use crate::service::not_energised;
use crate::target::{Cpus, LIMIT, SCRIPT, Target};
use crate::{Boot, Case, Failure, GENERIC, Host, require};
use testbed::machine::Transcript;

pub(crate) const BOOT: Boot = Boot {
    name: "loader",
    host: GENERIC,
    start,
    cases: &[&[
        Case {
            name: "without_a_slot_that_boots_each_try_is_reported_and_nothing_is_energised",
            run: no_slot,
        },
        Case {
            name: "a_power_cut_at_any_write_of_saveenv_leaves_the_tries_before_or_after_it",
            run: saveenv,
        },
        Case {
            name: "with_one_damaged_copy_of_the_environment_the_other_is_used",
            run: one_damaged,
        },
        Case {
            name: "with_both_copies_of_the_environment_damaged_slot_a_boots_and_both_are_written_again",
            run: both_damaged,
        },
    ]],
};

/// The last case in the boot of the service, whose power it cuts.
pub(crate) const CASES: &[Case] = &[Case {
    name: "a_power_cut_at_any_write_of_fw_setenv_leaves_the_variables_before_or_after_it",
    run: fw_setenv,
}];

/// Starts the boot loader alone, with a card that logs its writes.
fn start(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    let card = Card::boot_loader(host)?.logged()?;
    Target::power_on(host, transcript, card, Cpus::BootLoader)
}

/// The numbers of tries left of A and B, from the line of the boot script.
fn tries(line: &str) -> Result<(u32, u32), Failure> {
    let left = line.split_once(", left A ").map(|(_, left)| left);
    let left = left.and_then(|left| left.split_once(" B "));
    let left = left.and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    left.ok_or_else(|| Failure::new(format!("no tries in '{line}'")))
}

/// The line of the boot script about its next choice.
fn next_choice(target: &mut Target) -> Result<String, Failure> {
    target.machine().wait_for_line(SCRIPT, LIMIT)
}

/// Starts the boot loader on the card as it is, discards what it writes, and gives its tries left.
fn choice(target: &mut Target) -> Result<(u32, u32), Failure> {
    target.card().discards_writes(true);
    target.power_cut(Cpus::BootLoader)?;
    let line = next_choice(target)?;
    target.power_off();
    target.card().discards_writes(false);
    tries(&line)
}

fn no_slot(target: &mut Target) -> Result<(), Failure> {
    let from = target.now()?;
    for (slot, left) in [
        ('A', (2, 3)),
        ('A', (1, 3)),
        ('A', (0, 3)),
        ('B', (0, 2)),
        ('B', (0, 1)),
        ('B', (0, 0)),
        ('A', (2, 3)),
    ] {
        let line = next_choice(target)?;
        require(
            line.contains(&format!("slot {slot} ")) && tries(&line)? == left,
            || format!("expected slot {slot} with {left:?} left, got '{line}'"),
        )?;
        let words = format!("steadfast: boot/Image of slot {slot} cannot be loaded");
        target.machine().wait_for_line(&words, LIMIT)?;
        if left == (0, 0) {
            let words = "steadfast: no slot has tries left";
            target.machine().wait_for_line(words, LIMIT)?;
        }
    }
    not_energised(target, from)
}

/// Cuts the power at each of these writes, made in this order to the target's card, and in the middle
/// of each; gives the tries that the boot loader then finds, without repetitions.
fn cuts(target: &mut Target, writes: &[Write]) -> Result<Vec<(u32, u32)>, Failure> {
    let mut found = vec![choice(target)?];
    let mut cuts = 0;
    for write in writes {
        // Half of the sectors, but at least one.
        let half = (write.data.len() / 2).next_multiple_of(512);
        for length in [half, write.data.len()] {
            let part = Write {
                offset: write.offset,
                data: write.data[..length].to_vec(),
            };
            if target.card().differs(&part)? {
                target.card().write(part.offset, &part.data)?;
                let now = choice(target)?;
                cuts += 1;
                if found.last() != Some(&now) {
                    found.push(now);
                }
            }
        }
    }
    target.say(&format!("{} writes, {cuts} different cuts", writes.len()));
    Ok(found)
}

fn saveenv(target: &mut Target) -> Result<(), Failure> {
    // The first start, which makes both copies, and the second, which replaces one.
    let card = Card::boot_loader(&target.host)?.logged()?;
    target.insert(card);
    target.power_cut(Cpus::BootLoader)?;
    for expected in [2, 1] {
        let line = next_choice(target)?;
        require(tries(&line)?.0 == expected, || {
            format!("expected {expected} tries left of slot A, got '{line}'")
        })?;
    }
    target.power_off();
    let writes = target.card().writes()?;
    let card = Card::boot_loader(&target.host)?;
    target.insert(card);
    let found = cuts(target, &writes)?;
    // Each start counts one try more than the last one that was saved as a whole.
    require(found == [(2, 3), (1, 3), (0, 3)], || {
        format!("after the cuts the boot loader found the tries {found:?}")
    })
}

/// A card after two tries of slot A: the newer copy of its environment has one left, the other two.
fn twice_tried(target: &mut Target) -> Result<usize, Failure> {
    let card = Card::boot_loader(&target.host)?;
    target.insert(card);
    target.power_cut(Cpus::BootLoader)?;
    next_choice(target)?;
    next_choice(target)?;
    target.power_off();
    let copies = target.card().environment()?;
    require(copies.iter().all(|copy| is_valid(copy)), || {
        "a copy has a wrong checksum".to_owned()
    })?;
    // The number of the copy follows the checksum.
    Ok(usize::from(copies[1][4] > copies[0][4]))
}

fn one_damaged(target: &mut Target) -> Result<(), Failure> {
    for (older, expected) in [(false, (1, 3)), (true, (0, 3))] {
        let newer = twice_tried(target)?;
        let damaged = if older { 1 - newer } else { newer };
        target.card().damage_environment(damaged)?;
        let found = choice(target)?;
        require(found == expected, || {
            format!("expected {expected:?} tries left, got {found:?}")
        })?;
    }
    Ok(())
}

fn both_damaged(target: &mut Target) -> Result<(), Failure> {
    twice_tried(target)?;
    for copy in [0, 1] {
        target.card().damage_environment(copy)?;
    }
    require(!is_valid(&target.card().environment()?[0]), || {
        "the copy is not damaged".to_owned()
    })?;
    target.power_cut(Cpus::BootLoader)?;
    let line = next_choice(target)?;
    require(tries(&line)? == (2, 3), || {
        format!("expected slot A with new tries, got '{line}'")
    })?;
    target.power_off();
    let copies = target.card().environment()?;
    require(copies.iter().all(|copy| is_valid(copy)), || {
        "a copy was not written again".to_owned()
    })
}

fn fw_setenv(target: &mut Target) -> Result<(), Failure> {
    target.ask("sync")?;
    let before = target.card().writes()?.len();
    target.ask("fw_setenv BOOT_B_LEFT 1; sync")?;
    target.power_off();
    let mut writes = target.card().writes()?;
    let after = writes.split_off(before);
    let card = Card::boot_loader(&target.host)?;
    for write in &writes {
        card.write(write.offset, &write.data)?;
    }
    target.insert(card);
    let found = cuts(target, &after)?;
    require(found == [(2, 3), (2, 1)], || {
        format!("after the cuts the boot loader found the tries {found:?}")
    })
}
