//! Reads how the lines of a GPIO chip are reached: `[gpio.X] inputs`, `outputs` and what belongs to them.

use super::io::GpioRegisters;
use super::reader::{Result, Table};
use super::spi_access;
use crate::device::gpio::Bank;

/// Reads the keys of `table`. `None`: through the kernel.
pub(super) fn read(table: &mut Table<'_>) -> Result<Option<GpioRegisters>> {
    let ways = [("kernel", false), ("registers", true)];
    let inputs = table.choice_or("inputs", &ways, false)?;
    let outputs = table.choice_or("outputs", &ways, false)?;
    if !inputs && !outputs {
        for key in ["controller", "device", "address"] {
            table.without(key, "it needs inputs or outputs = \"registers\"")?;
        }
        return Ok(None);
    }
    let banks = [Bank::Mxc, Bank::Bcm2835].map(|bank| (bank.name(), bank));
    let bank = table.choice("controller", &banks)?;
    if outputs && !bank.sets_single_lines() {
        let name = bank.name();
        let what = format!(
            "`outputs` is \"registers\", and \"{name}\" has no registers that set and clear single lines"
        );
        let fix = "remove it: a read-modify-write would race with the kernel's driver of the chip";
        return Err(table.error_at("outputs", what, fix));
    }
    let path = table.text("device")?.value.to_owned();
    let address = spi_access::address(table)?;
    Ok(Some(GpioRegisters {
        bank,
        inputs,
        outputs,
        path,
        address,
    }))
}
