//! The electrical bias of an input line, and the chips whose driver ignores it.

use super::io::Bias;
use super::reader::{Result, Table};

const LEAVE_OUT: &str = "give the pull in the device tree (pad control) and leave `bias` out";

/// Reads `bias` of an input at `chip`, as the file names that chip.
pub(super) fn read(table: &mut Table<'_>, chip: Option<&String>) -> Result<Bias> {
    let biases = [
        ("as-is", Bias::AsIs),
        ("pull-up", Bias::PullUp),
        ("pull-down", Bias::PullDown),
        ("disabled", Bias::Disabled),
    ];
    let bias = table.choice_or("bias", &biases, Bias::AsIs)?;
    match chip.filter(|label| ignores(label, bias)) {
        Some(label) => Err(table.error_at("bias", message(label), LEAVE_OUT)),
        None => Ok(bias),
    }
}

/// What is wrong with `bias` at a chip of this label, and how to mend it, for a chip
/// that the file names otherwise.
pub(crate) fn ignored(label: &str, bias: Bias) -> Option<String> {
    ignores(label, bias).then(|| format!("{}; {LEAVE_OUT}", message(label)))
}

fn message(label: &str) -> String {
    format!("the driver of {label} (gpio-mxc) does not set a bias")
}

/// Whether the chip is one of gpio-mxc, which accepts a bias and does nothing with it
/// (it has no `set_config`): GPIO1 to GPIO5 of the i.MX 8M family, by their addresses.
fn ignores(label: &str, bias: Bias) -> bool {
    let address = label.strip_suffix("0000.gpio");
    bias != Bias::AsIs && matches!(address, Some("3020" | "3021" | "3022" | "3023" | "3024"))
}
