//! The card of the Raspberry Pi 4, booted by its own U-Boot on the emulated board: boot script, base tree,
//! overlay and serial console are those of the hardware, and it updates itself. All other cases are run
//! on the generic machine.
//!
//! The emulator moves each word of the card by the processor, so a kernel takes half a minute to load,
//! and an update minutes to install: this boot has 280 s of CPU time.

use std::sync::Arc;

use crate::card::Card;
use crate::target::{Cpus, Target};
use crate::updates::{boots, environment, is_proven};
use crate::{Boot, Case, Failure, Host, require};
use testbed::boards::RASPBERRYPI4_64_CARD;
use testbed::machine::Transcript;

pub(crate) const BOOT: Boot = Boot {
    name: "raspberry-pi",
    host: (&RASPBERRYPI4_64_CARD, "STEADFAST_PI_DISKS"),
    start,
    cases: &[&[
        Case {
            name: "the_card_of_a_raspberry_pi_boots_and_its_controller_keeps_its_contract",
            run: first_slot,
        },
        Case {
            name: "an_update_of_a_raspberry_pi_that_keeps_its_contract_is_kept",
            run: update,
        },
        Case {
            name: "an_update_of_a_raspberry_pi_leaves_boot_loader_script_and_base_tree_as_they_are",
            run: boot_partition,
        },
    ]],
};

fn start(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    Target::power_on(host, transcript, Card::copied(host)?, Cpus::All)
}

fn kept(target: &mut Target) -> Result<(), Failure> {
    target.is_up()?;
    let status = target.unit("StatusText")?;
    require(status.starts_with("real-time: contract kept"), || {
        format!("expected the status 'real-time: contract kept', got '{status}'")
    })
}

fn first_slot(target: &mut Target) -> Result<(), Failure> {
    boots(target, 'A')?;
    kept(target)?;
    environment(target, &[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3")])?;
    // The slot's overlay was applied to the tree of the firmware.
    target.ask("ls /dev/spidev0.0 /dev/spidev0.1")?;
    let proven = target.ask("cat /data/steadfast/health/A")?;
    require(proven == "flashed", || {
        format!("expected slot A to be proven with 'flashed', got '{proven}'")
    })
}

fn update(target: &mut Target) -> Result<(), Failure> {
    target.ask("rauc install /data/good.raucb")?;
    target.machine().type_line("systemctl reboot")?;
    let line = boots(target, 'B')?;
    require(line.ends_with("B 2"), || {
        format!("expected 2 tries left of slot B, got: {line}")
    })?;
    kept(target)?;
    is_proven(target)
}

fn boot_partition(target: &mut Target) -> Result<(), Failure> {
    target.power_off();
    let flashed = Card::fresh(&target.host);
    for name in [
        "u-boot.bin",
        "bcm2711-rpi-4-b.dtb",
        "boot.scr",
        "config.txt",
    ] {
        require(target.card().get(name)? == flashed.get(name)?, || {
            format!("{name} of the boot partition has changed")
        })?;
    }
    Ok(())
}
