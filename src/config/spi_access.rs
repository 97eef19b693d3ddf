//! Reads how an SPI chip is reached: `[spi.X] access` and what belongs to it.

use super::buses::{Thing, Uses};
use super::io::SpiRegisters;
use super::reader::{Result, Table};
use crate::device::spi::registers::Kind;

/// Reads the keys of `table`, whose `device` is `path`, and records who uses the chip. `None`:
/// through spidev. Not part of [`wiring`](super::wiring): that file is long enough.
pub(super) fn read(
    uses: &mut Uses,
    table: &mut Table<'_>,
    path: &str,
    speed_hz: u32,
) -> Result<Option<SpiRegisters>> {
    if !table.choice_or("access", &[("kernel", false), ("registers", true)], false)? {
        for key in [
            "controller",
            "address",
            "chip_select",
            "clock_hz",
            "cs_setup_ns",
        ] {
            table.without(key, "it needs access = \"registers\"")?;
        }
        uses.take(Thing::SpiPath(path.to_owned()), table, "device", path)?;
        return Ok(None);
    }
    table.without(
        "irq_priority",
        "access = \"registers\" waits for no interrupt",
    )?;
    let kinds = [Kind::Ecspi, Kind::Bcm2835].map(|kind| (kind.name(), kind));
    let kind = table.choice("controller", &kinds)?;
    let address = address(table)?;
    let chip_select = table.integer("chip_select", 0..=kind.last_select().into())? as u8;
    let clock_hz = table.integer("clock_hz", 1_000_000..=1_000_000_000)? as u32;
    let setup_ns = table.integer_or("cs_setup_ns", 0..=100_000, 0)? as u32;
    let Some(divider) = kind.divider(clock_hz, speed_hz) else {
        let what = format!("`speed_hz` is {speed_hz}, too slow for `clock_hz` = {clock_hz}");
        let fix = "raise it: the divider of this controller ends at 65536";
        return Err(table.error_at("speed_hz", what, fix));
    };
    if kind
        .longest_setup_ns(divider)
        .is_some_and(|most| setup_ns > most)
    {
        let what = format!("`cs_setup_ns` is {setup_ns}, more than 63 periods of the clock");
        let fix = "lower it, or lower `speed_hz`";
        return Err(table.error_at("cs_setup_ns", what, fix));
    }
    let shown = format!("{path} at {address:#x}, chip select {chip_select}");
    uses.take(
        Thing::SpiSelect(address, chip_select),
        table,
        "device",
        &shown,
    )?;
    Ok(Some(SpiRegisters {
        kind,
        address,
        chip_select,
        divider,
        setup_ns,
    }))
}

/// Reads the physical address of the registers. A UIO device has it as well, because its number
/// depends on the order of probing.
pub(super) fn address(table: &mut Table<'_>) -> Result<u64> {
    let address = table.integer("address", 4_096..=1 << 40)?;
    if !address.is_multiple_of(4) {
        let fix = "set it to the start of the controller's `reg` in the device tree";
        return Err(table.error_at("address", "`address` is not a multiple of 4", fix));
    }
    Ok(address)
}
