//! `[spi.X] access`: a chip through spidev or by the registers of its controller.

use super::{LINUX, error_of, refused};
use steadfast::config::{Config, SpiDevice};
use steadfast::device::spi::registers::Kind;

/// The board file with `[spi.dac]` by registers.
fn with(keys: &str) -> String {
    LINUX.replace(
        "[spi.dac]\ndevice = \"/dev/spidev0.1\"\n",
        &format!("[spi.dac]\n{keys}\n"),
    )
}

const UIO: &str = "device = \"/dev/uio0\"
access = \"registers\"
address = 0x30830000
controller = \"ecspi\"
chip_select = 1
clock_hz = 80_000_000
speed_hz = 3_000_000
cs_setup_ns = 350";

const MEMORY: &str = "device = \"/dev/mem\"
access = \"registers\"
controller = \"bcm2835-spi\"
address = 0xfe204000
chip_select = 1
clock_hz = 500_000_000";

fn dac(text: &str) -> SpiDevice {
    let config = Config::parse("b.toml", text).expect("good");
    let mut devices = config.io.spi.into_iter();
    devices.find(|spi| spi.name == "dac").expect("in the file")
}

#[test]
fn a_chip_is_driven_by_registers_only_if_the_file_says_so() {
    assert_eq!(dac(LINUX).registers, None);
    let chosen = with("device = \"/dev/spidev0.1\"\naccess = \"kernel\"");
    assert_eq!(dac(&chosen).registers, None);
    let uio = dac(&with(UIO)).registers.expect("by registers");
    assert_eq!((uio.kind, uio.address), (Kind::Ecspi, 0x3083_0000));
    assert_eq!((uio.chip_select, uio.setup_ns), (1, 350));
    assert_eq!(uio.divider.hz, 2_857_142);
    let memory = dac(&with(MEMORY)).registers.expect("by registers");
    assert_eq!(memory.kind, Kind::Bcm2835);
    assert_eq!((memory.address, memory.setup_ns), (0xfe20_4000, 0));
    assert_eq!(memory.divider.hz, 1_000_000);
}

#[test]
fn two_chips_of_one_controller_differ_by_their_chip_select() {
    let second = |select: &str| {
        let chip = UIO.replace("= 1", select);
        format!("{}\n[spi.more]\n{chip}\n", with(UIO))
    };
    assert_eq!(dac(&second("= 0")).registers.expect("good").chip_select, 1);
    let error = error_of(&second("= 1").replace("more]\ndevice = ", "more]\ndevice = §"));
    assert!(
        error
            .what
            .contains("/dev/uio0 at 0x30830000, chip select 1 is already used by [spi.dac]"),
        "{error}"
    );
}

#[test]
fn each_wrong_key_of_the_access_is_refused_at_its_place() {
    refused(
        &with(UIO),
        r#"
spi.dac: "registers" -> §"register"
    `access` is "register"; did you mean "registers"? It must be "kernel" or "registers"
spi.dac: "ecspi" -> §"lpspi"
    `controller` is "lpspi"; "ecspi" or "bcm2835-spi"
spi.§dac: chip_select = 1\n ->
    [spi.dac] has no `chip_select`;
spi.dac: chip_select = 1 -> chip_select = §4
    `chip_select` is 4; 0 to 3
spi.§dac: clock_hz = 80_000_000\n ->
    [spi.dac] has no `clock_hz`;
spi.§dac: address = 0x30830000\n ->
    [spi.dac] has no `address`;
spi.dac: chip_select = 1 -> chip_select = 1\n§irq_priority = 85
    `irq_priority` of [spi.dac] has no effect: access = "registers" waits for no interrupt; remove it
spi.dac: = 350 -> = §22_051
    `cs_setup_ns` is 22051, more than 63 periods of the clock; lower it
"#,
    );
    refused(
        &with(MEMORY),
        r#"
spi.§dac: address = 0xfe204000\n ->
    [spi.dac] has no `address`;
spi.dac: 0xfe204000 -> §0xfe204002
    `address` is not a multiple of 4; `reg`
spi.dac: = 1\n -> = §2\n
    `chip_select` is 2; 0 to 1
spi.dac: clock_hz = 500_000_000 -> clock_hz = 500_000_000\nspeed_hz = §7_000
    `speed_hz` is 7000, too slow for `clock_hz` = 500000000; raise it
"#,
    );
    refused(
        LINUX,
        r#"
spi.dac: "/dev/spidev0.1" -> "/dev/spidev0.1"\n§clock_hz = 80_000_000
    `clock_hz` of [spi.dac] has no effect: it needs access = "registers"; remove it
"#,
    );
}
