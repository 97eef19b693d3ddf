//! The emulated boards: what the emulator calls them, and where it falls short
//! of the hardware.
//!
//! A board's own device tree source is `board/<name>/overlay.dtso`, the same
//! file that goes onto hardware. Everything here is about the emulator alone:
//! peripherals that it lacks, and signals that it does not wire.

/// GPIO lines of a servo axis, as numbers on the board's one GPIO chip.
/// `board/<name>/overlay.dtso` documents the same numbers.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) emergency_stop: u8,
    pub(crate) reset: u8,
    /// The limit switches, where the chip has lines for them.
    pub(crate) limits: Option<Limits>,
    pub(crate) enable: u8,
    pub(crate) brake_release: u8,
    pub(crate) heartbeat: u8,
    pub(crate) fault_lamp: u8,
}

/// Lines of an axis' limit switches.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) positive: u8,
    pub(crate) negative: u8,
}

/// How the emulator lets an input be driven from outside.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Drive {
    /// The chip has input lines.
    Lines,
    /// It has none, but its level register takes on what is written to its
    /// "output set" and "output clear" registers, for inputs too. (Hardware
    /// does that for outputs alone.) Physical addresses of the two, each for
    /// lines 0 to 31.
    Registers { set: u64, clear: u64 },
}

/// A kernel module and its parameters.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Module {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static str,
}

impl Module {
    pub(crate) const fn plain(name: &'static str) -> Self {
        Self {
            name,
            parameters: "",
        }
    }
}

/// An emulated board.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Board {
    /// Folder name under `board/`.
    pub(crate) name: &'static str,
    /// Emulator arguments that make the board.
    pub(crate) machine: &'static [&'static str],
    /// CPUs, as many as on hardware; the highest is isolated.
    pub(crate) cpus: u32,
    /// The kernel package's device tree, below its `dtb/`. `None` where the
    /// emulator makes the tree itself.
    pub(crate) device_tree: Option<&'static str>,
    /// A second overlay on top of the board's own, for more than is on the
    /// board; a path in the repository.
    pub(crate) further_overlay: Option<&'static str>,
    /// Nodes that the emulator has no device for, with the reason next to them.
    /// A `*` at the end stands for any unit address.
    pub(crate) disabled: &'static [&'static str],
    /// Nodes that must not be there at all.
    pub(crate) removed: &'static [&'static str],
    /// (node, property) pairs to be taken out.
    pub(crate) removed_properties: &'static [(&'static str, &'static str)],
    /// `console=` of the kernel command line.
    pub(crate) console: &'static str,
    /// Serial ports before the console's own.
    pub(crate) unused_serial_ports: usize,
    /// Modules to be loaded, in this order.
    pub(crate) modules: &'static [Module],
    /// The GPIO chip's path in the emulator's object tree, for [`Lines`].
    pub(crate) gpio: &'static str,
    /// How its inputs are driven.
    pub(crate) drive: Drive,
    /// The GPIO chip's label in the kernel.
    pub(crate) gpio_label: &'static str,
    /// What is wired to it.
    pub(crate) lines: Lines,
    /// What the board file names as encoder and DAC, without `/dev/`. Where the
    /// kernel has these nodes, the virtual servo takes their place.
    pub(crate) servo: [&'static str; 2],
    /// An SPI device of the kernel's own with a flash chip behind it.
    pub(crate) flash: Option<&'static str>,
    /// Whether `/dev/watchdog` resets the board.
    pub(crate) has_watchdog: bool,
}

/// Input levels of a healthy machine: the break contacts are closed, and
/// nobody presses reset.
pub(crate) fn healthy(board: &Board) -> Vec<(u8, bool)> {
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
pub(crate) const IMX8MP_EVK: Board = Board {
    name: "imx8mp-evk",
    // A w25q80 without an address is put on ECSPI3.
    machine: &["-M", "imx8mp-evk", "-m", "1G", "-device", "w25q80"],
    cpus: 4,
    device_tree: Some("freescale/imx8mp-evk.dtb"),
    further_overlay: None,
    disabled: &[],
    removed: &[],
    // There is no SDMA: the SPI driver would wait for its channels for ever.
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
    servo: ["spidev3.0", "spidev3.1"],
    flash: Some("/dev/spidev3.0"),
    has_watchdog: true,
};

/// Raspberry Pi 4 Model B.
pub(crate) const RASPBERRYPI4_64: Board = Board {
    name: "raspberrypi4-64",
    machine: &["-M", "raspi4b", "-m", "2G", "-device", "w25q80"],
    cpus: 4,
    device_tree: Some("broadcom/bcm2711-rpi-4-b.dtb"),
    further_overlay: None,
    // Devices that the emulator does not have: the kernel dies of an
    // external abort when it touches them.
    disabled: &[
        "/scb",
        "/gpu",
        "/emmc2bus",
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
        // The SPI interrupt is not wired: poll, up to 10 ms a transfer.
        Module {
            name: "spi-bcm2835",
            parameters: "polling_limit_us=10000",
        },
        // What restarts the board. As a watchdog it is of no use here: the
        // emulator resets as soon as it is started, with no timeout.
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
    servo: ["spidev0.0", "spidev0.1"],
    flash: Some("/dev/spidev0.0"),
    has_watchdog: false,
};

/// The emulator's generic machine (OpenEmbedded's `qemuarm64`).
pub(crate) const QEMUARM64: Board = Board {
    name: "qemuarm64",
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
    further_overlay: None,
    disabled: &[],
    removed: &[],
    removed_properties: &[],
    console: "ttyAMA0",
    unused_serial_ports: 0,
    modules: &[Module::plain("cuse")],
    gpio: "pl061",
    drive: Drive::Lines,
    gpio_label: "9030000.pl061",
    // The PL061 has eight lines, and line 3 is the machine's power key: of the
    // limit switches there is room for none.
    lines: Lines {
        emergency_stop: 0,
        reset: 1,
        limits: None,
        enable: 4,
        brake_release: 5,
        heartbeat: 6,
        fault_lamp: 7,
    },
    servo: ["spidev9.0", "spidev9.1"],
    flash: None,
    has_watchdog: false,
};
