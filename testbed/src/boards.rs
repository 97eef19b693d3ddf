//! The emulated boards: their names in the emulator, and its differences from the
//! hardware.
//!
//! Device tree overlay (`board/<name>/overlay.dtso`) and board file
//! (`board/<name>/board.toml`) are those of the hardware. This module describes only the
//! emulator: peripherals that are missing or elsewhere, and signals that are not wired.

use crate::failure::Failure;
use crate::failure::require;

/// GPIO lines of a servo axis, as numbers on the board's one GPIO chip.
/// `board/<name>/overlay.dtso` documents the same numbers.
#[derive(Copy, Clone, Debug)]
pub struct Lines {
    /// Input: low while the emergency stop is pressed.
    pub emergency_stop: u8,
    /// Input: high while reset is pressed.
    pub reset: u8,
    /// The limit switches, if the chip has lines for them.
    pub limits: Option<Limits>,
    /// Output: enables the drive's power.
    pub enable: u8,
    /// Output: releases the brake.
    pub brake_release: u8,
    /// Output: toggles in each cycle.
    pub heartbeat: u8,
    /// Output: lit on a fault.
    pub fault_lamp: u8,
}

/// Lines of an axis' limit switches.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Low at the positive end.
    pub positive: u8,
    /// Low at the negative end.
    pub negative: u8,
}

/// How the emulator lets an input be driven from outside.
#[derive(Copy, Clone, Debug)]
pub enum Drive {
    /// The chip has input lines.
    Lines,
    /// It has none, but writes to its "output set" and "output clear" registers also set
    /// the level register of inputs (on hardware only that of outputs). Physical addresses
    /// of the two, each for lines 0 to 31.
    Registers {
        /// Address of the "output set" register.
        set: u64,
        /// Address of the "output clear" register.
        clear: u64,
    },
}

/// A kernel module and its parameters.
#[derive(Copy, Clone, Debug)]
pub struct Module {
    /// File name in the kernel package, without the extension.
    pub name: &'static str,
    /// Parameters for insmod(8).
    pub parameters: &'static str,
}

impl Module {
    /// A module without parameters.
    pub const fn plain(name: &'static str) -> Self {
        Self {
            name,
            parameters: "",
        }
    }
}

/// The SPI controller of the flash chip, to be driven by registers after the kernel's driver is
/// unbound: the emulator has no clocks that the driver could switch off.
#[derive(Copy, Clone, Debug)]
pub struct Controller {
    /// Its name in a board file.
    pub kind: &'static str,
    /// Its platform driver in the kernel.
    pub driver: &'static str,
    /// Physical address, hexadecimal, as in the name of its platform device.
    pub address: &'static str,
    /// Input clock on hardware, Hz.
    pub clock_hz: u32,
}

/// The processor's instructions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bits {
    /// arm64.
    B64,
    /// armhf.
    B32,
}

/// An emulated board.
#[derive(Copy, Clone, Debug)]
pub struct Board {
    /// Folder name under `board/`.
    pub name: &'static str,
    /// Of its processor.
    pub bits: Bits,
    /// Emulator arguments of the board.
    pub machine: &'static [&'static str],
    /// Number of CPUs, as on hardware; the highest is isolated.
    pub cpus: u32,
    /// Device tree of the kernel package, below its `dtb/`. `None`: the emulator generates
    /// the tree.
    pub device_tree: Option<&'static str>,
    /// A second overlay, for devices that the emulator has elsewhere; a path in the
    /// repository.
    pub emulator_overlay: Option<&'static str>,
    /// A third overlay, for devices that the board does not have.
    pub further_overlay: Option<&'static str>,
    /// Labels that the stock tree lacks and an overlay needs: name and path.
    pub symbols: &'static [(&'static str, &'static str)],
    /// Nodes of devices that the emulator lacks, to be disabled. A trailing `*` matches any
    /// unit address.
    pub disabled: &'static [&'static str],
    /// Nodes to be removed.
    pub removed: &'static [&'static str],
    /// (node, property) pairs to be removed.
    pub removed_properties: &'static [(&'static str, &'static str)],
    /// `console=` of the kernel command line.
    pub console: &'static str,
    /// Serial ports before the console's own.
    pub unused_serial_ports: usize,
    /// Modules to load, in this order.
    pub modules: &'static [Module],
    /// The GPIO chip's path in the emulator's object tree, for [`Lines`].
    pub gpio: &'static str,
    /// How its inputs are driven.
    pub drive: Drive,
    /// The GPIO chip's label in the kernel.
    pub gpio_label: &'static str,
    /// The lines that are wired to it.
    pub lines: Lines,
    /// Changes of the board file for the emulator, (old, new); each old text occurs once.
    pub board_file_changes: &'static [(&'static str, &'static str)],
    /// Encoder and DAC of the changed board file, without `/dev/`. The virtual servo
    /// replaces these nodes if the kernel has them.
    pub servo: [&'static str; 2],
    /// An SPI device of the kernel with a flash chip.
    pub flash: Option<&'static str>,
    /// Its controller.
    pub controller: Option<Controller>,
    /// Whether `/dev/watchdog` resets the board.
    pub has_watchdog: bool,
}

impl Board {
    /// The shipped board file with the changes for the emulator, without its comments: no
    /// change depends on their words. Every line keeps its number.
    ///
    /// # Errors
    /// A text to be replaced does not occur exactly once.
    pub fn for_emulator(&self, shipped: &str) -> Result<String, Failure> {
        let mut text: String = shipped.lines().map(without_comment).collect();
        for (old, new) in self.board_file_changes {
            let count = text.matches(old).count();
            require(count == 1, || {
                format!("board/{}/board.toml has '{old}' {count} times", self.name)
            })?;
            text = text.replace(old, new);
        }
        Ok(text)
    }

    /// Shell lines that make `line` of the GPIO chip an output, and the file `/pin-NAME` its level.
    pub fn pin_script(&self, name: &str, line: u8) -> String {
        format!(
            "for chip in /sys/class/gpio/gpiochip*; do
[ \"$(cat $chip/label)\" = {} ] && number=$(($(cat $chip/base) + {line}))
done
echo $number >/sys/class/gpio/export
echo out >/sys/class/gpio/gpio$number/direction
ln -s /sys/class/gpio/gpio$number/value /pin-{name}
",
            self.gpio_label
        )
    }
}

/// A line of a board file, whose texts contain no `#`.
fn without_comment(line: &str) -> String {
    let line = line.split('#').next().unwrap_or_default();
    format!("{}\n", line.trim_end())
}

/// Input levels of a healthy machine: the normally closed contacts are closed, and reset is
/// not pressed.
pub fn healthy(board: &Board) -> Vec<(u8, bool)> {
    let lines = board.lines;
    let mut levels = vec![(lines.emergency_stop, true), (lines.reset, false)];
    if let Some(limits) = lines.limits {
        levels.extend([(limits.positive, true), (limits.negative, true)]);
    }
    levels
}

const ECSPI2: &str = "/soc@0/bus@30800000/spba-bus@30800000/spi@30830000";
const ECSPI3: &str = "/soc@0/bus@30800000/spba-bus@30800000/spi@30840000";

/// NXP i.MX 8M Plus EVK.
pub const IMX8MP_EVK: Board = Board {
    name: "imx8mp-evk",
    bits: Bits::B64,
    // The emulator puts a w25q80 without an address on ECSPI3.
    machine: &["-M", "imx8mp-evk", "-m", "1G", "-device", "w25q80"],
    cpus: 4,
    device_tree: Some("freescale/imx8mp-evk.dtb"),
    emulator_overlay: Some("testbed/trees/ecspi3.dtso"),
    further_overlay: None,
    symbols: &[],
    disabled: &[],
    removed: &[],
    // The emulator has no SDMA: the SPI driver would wait for its channels forever.
    removed_properties: &[
        (ECSPI2, "dmas"),
        (ECSPI2, "dma-names"),
        (ECSPI3, "dmas"),
        (ECSPI3, "dma-names"),
    ],
    console: "ttymxc1,115200",
    unused_serial_ports: 1,
    modules: &[
        Module::plain("spi-imx"),
        Module::plain("imx2_wdt"),
        Module::plain("cuse"),
    ],
    gpio: "/machine/soc/gpio1",
    drive: Drive::Lines,
    gpio_label: "30200000.gpio",
    lines: Lines {
        emergency_stop: 5,
        reset: 7,
        limits: Some(Limits {
            positive: 13,
            negative: 15,
        }),
        enable: 6,
        brake_release: 8,
        heartbeat: 9,
        fault_lamp: 10,
    },
    // The flash chip is on ECSPI3; measurements of time use it as encoder.
    board_file_changes: &[
        ("/dev/spidev2.0", "/dev/spidev3.0"),
        ("/dev/spidev2.1", "/dev/spidev3.1"),
    ],
    servo: ["spidev3.0", "spidev3.1"],
    flash: Some("/dev/spidev3.0"),
    controller: Some(Controller {
        kind: "ecspi",
        driver: "spi_imx",
        address: "30840000",
        clock_hz: 80_000_000,
    }),
    has_watchdog: true,
};

/// Raspberry Pi 4 Model B.
pub const RASPBERRYPI4_64: Board = Board {
    name: "raspberrypi4-64",
    bits: Bits::B64,
    machine: &["-M", "raspi4b", "-m", "2G", "-device", "w25q80"],
    cpus: 4,
    device_tree: Some("broadcom/bcm2711-rpi-4-b.dtb"),
    emulator_overlay: None,
    further_overlay: None,
    symbols: &[],
    // Devices that the emulator does not have: an access is an external abort, which
    // stops the kernel.
    disabled: &[
        // Their names are others from Linux 7.2 on.
        "/scb*",
        "/gpu",
        "/emmc2*",
        "/soc/interrupt-controller@7ef00100",
        "/soc/hdmi@7ef00700",
        "/soc/hdmi@7ef05700",
        "/soc/i2c@7ef04500",
        "/soc/i2c@7ef09500",
        "/soc/clock@7ef00000",
        "/soc/vec@7ec13000",
        "/soc/hvs@7e400000",
        "/soc/txp@7e004000",
        "/soc/avs-monitor@7d5d2000",
        "/soc/dsi@7e209000",
        "/soc/dsi@7e700000",
        "/soc/usb@7e980000",
        "/soc/pixelvalve@*",
    ],
    // The PL011 belongs to Bluetooth on hardware; here it is the console.
    removed: &["/soc/serial@7e201000/bluetooth"],
    removed_properties: &[],
    console: "ttyAMA0,115200",
    unused_serial_ports: 0,
    modules: &[
        // The SPI interrupt is not wired: poll, up to 10 ms per transfer.
        Module {
            name: "spi-bcm2835",
            parameters: "polling_limit_us=10000",
        },
        // Needed to restart the board. Not usable as a watchdog here: the emulator resets
        // at once when it is started.
        Module::plain("bcm2835_wdt"),
        Module::plain("cuse"),
    ],
    gpio: "/machine/soc/peripherals/gpio",
    // GPSET0 and GPCLR0 (BCM2711 ARM Peripherals, section 5.2).
    drive: Drive::Registers {
        set: 0xfe20_001c,
        clear: 0xfe20_0028,
    },
    gpio_label: "pinctrl-bcm2711",
    lines: Lines {
        emergency_stop: 17,
        reset: 27,
        limits: Some(Limits {
            positive: 22,
            negative: 23,
        }),
        enable: 5,
        brake_release: 6,
        heartbeat: 13,
        fault_lamp: 26,
    },
    // The emulator resets as soon as the watchdog is started.
    board_file_changes: &[(
        "[watchdog]
device = \"/dev/watchdog\"
timeout_s = 2
",
        "",
    )],
    servo: ["spidev0.0", "spidev0.1"],
    flash: Some("/dev/spidev0.0"),
    controller: Some(Controller {
        kind: "bcm2835-spi",
        driver: "spi-bcm2835",
        address: "fe204000",
        clock_hz: 500_000_000,
    }),
    has_watchdog: false,
};

/// The same board, booted from its card by its boot loader. The console is the mini UART on the
/// header, as on hardware.
pub const RASPBERRYPI4_64_CARD: Board = Board {
    machine: &["-M", "raspi4b", "-m", "2G"],
    emulator_overlay: Some("testbed/trees/raspi4b-card.dtso"),
    removed: &["/soc/serial@7e201000/bluetooth", "/soc/mmc@7e300000/wifi@1"],
    removed_properties: &[
        ("/soc/mmc@7e300000", "non-removable"),
        ("/soc/mmc@7e300000", "mmc-pwrseq"),
        ("/soc/serial@7e215040", "clocks"),
    ],
    console: "ttyS1,115200",
    unused_serial_ports: 1,
    servo: ["spidev9.0", "spidev9.1"],
    flash: None,
    controller: None,
    ..RASPBERRYPI4_64
};

/// The emulator's generic machine (OpenEmbedded's `qemuarm64`).
pub const QEMUARM64: Board = Board {
    name: "qemuarm64",
    bits: Bits::B64,
    machine: &[
        "-M",
        "virt",
        "-cpu",
        "cortex-a57",
        "-m",
        "512M",
        "-nic",
        "none",
    ],
    cpus: 1,
    device_tree: None,
    emulator_overlay: None,
    further_overlay: None,
    symbols: &[],
    disabled: &[],
    removed: &[],
    removed_properties: &[],
    console: "ttyAMA0",
    unused_serial_ports: 0,
    modules: &[Module::plain("cuse")],
    gpio: "pl061",
    drive: Drive::Lines,
    gpio_label: "9030000.pl061",
    // The PL061 has eight lines, and line 3 is the power key: none is left for limit
    // switches.
    lines: Lines {
        emergency_stop: 0,
        reset: 1,
        limits: None,
        enable: 4,
        brake_release: 5,
        heartbeat: 6,
        fault_lamp: 7,
    },
    board_file_changes: &[],
    servo: ["spidev9.0", "spidev9.1"],
    flash: None,
    controller: None,
    has_watchdog: false,
};

const ECSPI3_OF_I_MX_6: &str = "/soc/bus@2000000/spba-bus@2000000/spi@2010000";

/// SABRE Lite with an i.MX 6Quad, of 32 bits.
pub const SABRELITE: Board = Board {
    name: "sabrelite",
    bits: Bits::B32,
    machine: &["-M", "sabrelite", "-m", "1G"],
    cpus: 4,
    device_tree: Some("imx6q-sabrelite.dtb"),
    emulator_overlay: Some("testbed/trees/sabrelite.dtso"),
    further_overlay: None,
    symbols: &[("gpio4", "/soc/bus@2000000/gpio@20a8000")],
    disabled: &[],
    removed: &[],
    // The emulator has no SDMA.
    removed_properties: &[(ECSPI3_OF_I_MX_6, "dmas"), (ECSPI3_OF_I_MX_6, "dma-names")],
    console: "ttymxc1,115200",
    unused_serial_ports: 1,
    modules: &[
        Module::plain("gpio-mxc"),
        Module::plain("spi-imx"),
        // QEMU's watchdog forgets that it is enabled when its control register is written again, as for
        // another timeout than this one.
        Module {
            name: "imx2_wdt",
            parameters: "timeout=2",
        },
        Module::plain("cuse"),
    ],
    gpio: "/machine/soc/gpio4",
    drive: Drive::Lines,
    gpio_label: "20a8000.gpio",
    lines: Lines {
        emergency_stop: 26,
        reset: 27,
        limits: Some(Limits {
            positive: 28,
            negative: 29,
        }),
        enable: 30,
        brake_release: 31,
        heartbeat: 16,
        fault_lamp: 17,
    },
    board_file_changes: &[],
    servo: ["spidev2.0", "spidev2.1"],
    flash: None,
    controller: None,
    has_watchdog: true,
};
