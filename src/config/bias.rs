//! Reads the electrical bias of an input line, and refuses it for chips whose driver ignores
//! it.

use super::io::Bias;
use super::reader::{Result, Table};

const LEAVE_OUT: &str = "set the pull in the device tree (pad control) and remove `bias`";

/// Reads `bias` of an input at `chip`, the name of the chip in the file.
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

/// The message that `bias` has no effect at a chip of this label, `what; remedy`, for a chip
/// whose label is known only when it is opened.
pub(crate) fn ignored(label: &str, bias: Bias) -> Option<String> {
    ignores(label, bias).then(|| format!("{}; {LEAVE_OUT}", message(label)))
}

fn message(label: &str) -> String {
    format!("the driver of {label} (gpio-mxc) does not set a bias")
}

/// Whether the driver of the chip is gpio-mxc, which accepts a bias and ignores it (it has no
/// `set_config`): GPIO1 to GPIO5 of the i.MX 8M family, by their addresses.
fn ignores(label: &str, bias: Bias) -> bool {
    let address = label.strip_suffix("0000.gpio");
    bias != Bias::AsIs && matches!(address, Some("3020" | "3021" | "3022" | "3023" | "3024"))
}
