//! Reads how the inputs of a GPIO chip are read: `[gpio.X] inputs` and what belongs to it.

use super::io::InputRegisters;
use super::reader::{Result, Table};
use super::spi_access;
use crate::device::gpio::Bank;

/// Reads the keys of `table`. `None`: through the kernel.
pub(super) fn read(table: &mut Table<'_>) -> Result<Option<InputRegisters>> {
    if !table.choice_or("inputs", &[("kernel", false), ("registers", true)], false)? {
        for key in ["controller", "device", "address"] {
            table.without(key, "it needs inputs = \"registers\"")?;
        }
        return Ok(None);
    }
    let banks = [Bank::Mxc, Bank::Bcm2835].map(|bank| (bank.name(), bank));
    let bank = table.choice("controller", &banks)?;
    let path = table.text("device")?.value.to_owned();
    let address = spi_access::address(table)?;
    Ok(Some(InputRegisters {
        bank,
        path,
        address,
    }))
}
