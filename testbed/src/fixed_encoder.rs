//! An encoder with a constant position, for measurements of time: the board's SPI driver
//! and a flash chip whose content is AS5047P frames.
//!
//! The axis is enabled, follows its trajectory and computes its law. The motor does not
//! move, and the trajectory stays within the following-error window.

use std::path::{Path, PathBuf};

use crate::boards::{Board, Controller, IMX8MP_EVK, RASPBERRYPI4_64};
use crate::failure::{Failure, require};

/// Shell lines that make the flash chip an encoder and wait for two late actions of the
/// kernel: seeding its random numbers (its cost is described in `image`), and giving up on
/// deferred drivers 10 s after the boot.
pub const READY: &str = r"
# READ DATA from address 0 on.
printf '\003\000\000\000' >/dev/spidev3.0
head -c 1 /dev/random >/dev/null
sleep 30
";

/// Shell lines that unbind the kernel's driver from the SPI controller.
pub const UNBIND: &str = r"
controller=$(readlink -f /sys/class/spi_master/spi3/device)
echo ${controller##*/} >$controller/driver/unbind
";

/// A parameter of the kernel with which it maps the registers of a GPIO chip that its own driver
/// drives as well.
pub const SHARED: &str = "iomem=relaxed";

/// The chips of one axis: the numbers of their nodes and their chip selects.
pub const CHIPS: [(u8, u8); 2] = [(0, 0), (1, 1)];

/// The board file with `chips` by the registers of their controller, and the inputs by those of
/// the GPIO chip.
pub fn by_registers(text: &str, chips: &[(u8, u8)]) -> String {
    let chip = |text: String, (node, select): &(u8, u8)| {
        let node = format!("device = \"/dev/spidev3.{node}\"\n");
        let keys = format!(
            "device = \"/dev/mem\"\naddress = 0x30840000\naccess = \"registers\"\n\
             controller = \"ecspi\"\nchip_select = {select}\nclock_hz = 80_000_000\n\
             cs_setup_ns = 350\n"
        );
        text.replace(&node, &keys)
    };
    let inputs = "chip = \"30200000.gpio\"\ninputs = \"registers\"\ncontroller = \"imx-gpio\"\n\
                  device = \"/dev/mem\"\naddress = 0x30200000\n";
    let text = text.replace("chip = \"30200000.gpio\"\n", inputs);
    chips.iter().fold(text, chip)
}

/// Writes the chip's content into `folder`: 1 MiB of AS5047P frames. Each is at once a
/// valid angle, a valid diagnosis, and a zero position with both enable bits set, as the
/// firmware's driver expects.
///
/// The chip select of the emulated chip never changes, so after one READ DATA command
/// (03h, w25q80 datasheet) it replies with its content forever, whatever is sent. The data
/// bits are 1C0h or 1C1h: LF set, COF, MAGH and MAGL clear (AS5047P datasheet, figure
/// "DIAAGC"), bits 7:6 set (figure "ZPOSL"), bit 15 makes parity even. They change every
/// 16 frames: often enough not to count as a frozen encoder, and seldom enough for two
/// readings of ZPOSL at the start to agree.
///
/// # Errors
/// The file cannot be written.
pub fn write_frames(folder: &Path) -> Result<PathBuf, Failure> {
    let frame = |index: usize| -> u16 {
        match index / 16 % 2 {
            0 => 0x01C0 | 0x8000,
            _ => 0x01C1,
        }
    };
    let content: Vec<u8> = (0..1 << 19)
        .flat_map(|index| frame(index).to_be_bytes())
        .collect();
    let path = folder.join("encoder.bin");
    std::fs::write(&path, content)?;
    Ok(path)
}

/// The i.MX8MP with `flash` as the content of its chip.
pub fn board(flash: &Path) -> &'static Board {
    let machine = [
        "-M".to_owned(),
        "imx8mp-evk".to_owned(),
        "-m".to_owned(),
        "1G".to_owned(),
        "-nic".to_owned(),
        "none".to_owned(),
        "-drive".to_owned(),
        // Read-only: every boot reads the same content.
        format!(
            "if=none,id=encoder,format=raw,read-only=on,file={}",
            flash.display()
        ),
        "-device".to_owned(),
        "w25q80,drive=encoder".to_owned(),
    ];
    // `Board` has static references; this one lives as long as the program.
    let machine: Vec<&'static str> = machine
        .into_iter()
        .map(|word| &*Box::leak(word.into_boxed_str()))
        .collect();
    Box::leak(Box::new(Board {
        machine: Box::leak(machine.into_boxed_slice()),
        ..IMX8MP_EVK
    }))
}

/// The Raspberry Pi 4 with `flash` as the content of its chip.
pub fn raspberrypi4(flash: &Path) -> &'static Board {
    let drive = format!(
        "if=none,id=encoder,format=raw,read-only=on,file={}",
        flash.display()
    );
    let machine = ["-M", "raspi4b", "-m", "2G", "-drive", drive.leak()];
    let machine: Vec<&'static str> = machine
        .into_iter()
        .chain(["-device", "w25q80,drive=encoder"])
        .collect();
    Box::leak(Box::new(Board {
        machine: machine.leak(),
        ..RASPBERRYPI4_64
    }))
}

/// Changes of the Raspberry Pi's board file, (old, new): armed at the start, and moving around the
/// position of the encoder.
pub const RASPBERRYPI4_CHANGES: [(&str, &str); 2] = [
    ("arm = \"on-reset\"", "arm = \"at-start\""),
    (
        "positions_rad = [6.283185, -6.283185]",
        "positions_rad = [0.25, 0.05]",
    ),
];

/// Its board file with both chips, inputs and outputs by registers. The clock of the chips is the fastest
/// of both: the emulator has no wire.
///
/// # Errors
/// The board has no controller.
pub fn raspberrypi4_by_registers(text: &str) -> Result<String, Failure> {
    let Controller {
        kind,
        address,
        clock_hz,
        ..
    } = raspberrypi4_controller()?;
    let mut text = text.replace(
        "chip = \"pinctrl-bcm2711\"\n",
        "chip = \"pinctrl-bcm2711\"\ninputs = \"registers\"\noutputs = \"registers\"\n\
         controller = \"bcm2835-gpio\"\ndevice = \"/dev/mem\"\naddress = 0xfe200000\n",
    );
    for select in 0..2 {
        text = text.replace(
            &format!("device = \"/dev/spidev0.{select}\"\nspeed_hz = 1_000_000\n"),
            &format!(
                "device = \"/dev/mem\"\naddress = 0x{address}\naccess = \"registers\"\n\
                 controller = \"{kind}\"\nchip_select = {select}\nclock_hz = {clock_hz}\n\
                 speed_hz = 10_000_000\n"
            ),
        );
    }
    Ok(text)
}

/// Shell lines that unbind the kernel's driver from its controller.
///
/// # Errors
/// The board has no controller.
pub fn raspberrypi4_unbind() -> Result<String, Failure> {
    let Controller {
        address, driver, ..
    } = raspberrypi4_controller()?;
    let unbind = format!("/sys/bus/platform/drivers/{driver}/unbind");
    Ok(format!("echo {address}.spi >{unbind}\n"))
}

fn raspberrypi4_controller() -> Result<Controller, Failure> {
    let none = || Failure::new("the Raspberry Pi has no controller");
    RASPBERRYPI4_64.controller.ok_or_else(none)
}

/// The shipped board file for the emulator, with one CPU, armed at the start, and moving
/// around the position of the encoder (448.5 of 16384 counts are 0.172 rad) by less than
/// the following-error window.
///
/// # Errors
/// A text to be replaced does not occur exactly once.
pub fn board_file(shipped: &str) -> Result<String, Failure> {
    const CHANGES: [(&str, &str); 3] = [
        ("cpu = \"isolated\"", "cpu = 0"),
        ("arm = \"on-reset\"", "arm = \"at-start\""),
        (
            "positions_rad = [6.283185, -6.283185]",
            "positions_rad = [0.25, 0.05]",
        ),
    ];
    let mut text = IMX8MP_EVK.for_emulator(shipped)?;
    for (from, to) in CHANGES {
        require(text.matches(from).count() == 1, || {
            format!("board/imx8mp-evk/board.toml does not contain '{from}' exactly once")
        })?;
        text = text.replace(from, to);
    }
    Ok(text)
}
