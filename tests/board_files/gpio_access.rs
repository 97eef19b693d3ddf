//! `[gpio.X] inputs` and `outputs`: lines by the kernel or by the registers of their chip.

use super::{LINUX, refused};
use steadfast::config::{Config, GpioRegisters};
use steadfast::device::gpio::Bank;

/// The board file with `keys` in `[gpio.main]`.
fn with(keys: &str) -> String {
    let chip = "chip = \"pinctrl-bcm2711\"\n";
    LINUX.replace(chip, &format!("{chip}{keys}\n"))
}

const UIO: &str = "inputs = \"registers\"
controller = \"imx-gpio\"
device = \"uio\"
address = 0x30200000";

const MEMORY: &str = "inputs = \"registers\"
controller = \"bcm2835-gpio\"
device = \"/dev/mem\"
address = 0xfe200000";

fn registers(text: &str) -> Option<GpioRegisters> {
    let config = Config::parse("b.toml", text).expect("good");
    let mut chips = config.io.gpio.into_iter();
    let chip = chips.find(|chip| chip.name == "main");
    chip.expect("in the file").registers
}

#[test]
fn inputs_are_read_by_registers_only_if_the_file_says_so() {
    assert_eq!(registers(LINUX), None);
    assert_eq!(registers(&with("inputs = \"kernel\"")), None);
    let uio = registers(&with(UIO)).expect("by registers");
    assert_eq!((uio.bank, uio.address), (Bank::Mxc, 0x3020_0000));
    assert_eq!(uio.path, "uio");
    let memory = registers(&with(MEMORY)).expect("by registers");
    assert_eq!((memory.bank, memory.address), (Bank::Bcm2835, 0xfe20_0000));
    for by in [uio, memory] {
        assert_eq!((by.inputs, by.outputs), (true, false));
    }
}

#[test]
fn outputs_are_set_by_registers_only_if_the_file_says_so() {
    let of = |text: &str| registers(&with(text)).map(|by| (by.inputs, by.outputs));
    let outputs = MEMORY.replace("inputs", "outputs");
    assert_eq!(of(&outputs), Some((false, true)));
    assert_eq!(
        of(&format!("{outputs}\ninputs = \"kernel\"")),
        Some((false, true))
    );
    assert_eq!(
        of(&format!("{MEMORY}\noutputs = \"registers\"")),
        Some((true, true))
    );
    assert_eq!(
        of(&format!("{MEMORY}\noutputs = \"kernel\"")),
        Some((true, false))
    );
    assert_eq!(of("outputs = \"kernel\""), None);
}

#[test]
fn outputs_of_a_chip_without_set_and_clear_registers_are_refused() {
    refused(
        &with(UIO),
        r#"
gpio.main: inputs = "registers" -> outputs = §"registers"
    `outputs` is "registers", and "imx-gpio" has no registers that set and clear single lines; remove it: a read-modify-write would race with the kernel's driver of the chip
gpio.main: inputs = "registers" -> inputs = "registers"\noutputs = §"registers"
    `outputs` is "registers", and "imx-gpio" has no registers that set and clear single lines; remove it
"#,
    );
}

#[test]
fn each_wrong_key_of_the_inputs_is_refused_at_its_place() {
    refused(
        &with(UIO),
        r#"
gpio.main: "registers" -> §"register"
    `inputs` is "register"; did you mean "registers"? It must be "kernel" or "registers"
gpio.main: "imx-gpio" -> §"ecspi"
    `controller` is "ecspi"; "imx-gpio" or "bcm2835-gpio"
gpio.§main: controller = "imx-gpio"\n ->
    [gpio.main] has no `controller`;
gpio.§main: device = "uio"\n ->
    [gpio.main] has no `device`;
gpio.§main: address = 0x30200000\n ->
    [gpio.main] has no `address`;
"#,
    );
    refused(
        &with(MEMORY),
        r#"
gpio.§main: address = 0xfe200000\n ->
    [gpio.main] has no `address`;
gpio.main: 0xfe200000 -> §0xfe200002
    `address` is not a multiple of 4; `reg`
"#,
    );
    refused(
        LINUX,
        r#"
gpio.main: "pinctrl-bcm2711" -> "pinctrl-bcm2711"\n§device = "/dev/uio0"
    `device` of [gpio.main] has no effect: it needs inputs or outputs = "registers"; remove it
"#,
    );
}
