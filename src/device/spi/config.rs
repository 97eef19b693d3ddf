//! Opens and configures an SPI device.
//!
//! Runs at start-up, over `linux-embedded-hal` and the `spidev` crate that it re-exports.
//! Settings are written one by one, so that a refusal names the setting, and read back,
//! because a driver may change them.

use super::{Kernel, Spidev};
use crate::device::node;
use crate::sys::Errno;
use core::fmt;
use embedded_hal::spi::{Mode, Phase, Polarity};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Default size of spidev's buffers (`bufsiz` in drivers/spi/spidev.c), in bytes for each
/// direction of one message.
pub const DEFAULT_BUFFER_BYTES: usize = 4_096;

/// SPI settings of a chip. Words are 8 bits, most significant bit first. Chip select
/// polarity and wiring (3-wire, no chip select) come from the device tree and are kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpiConfig {
    /// Clock polarity and phase.
    pub mode: Mode,
    /// Maximum clock, Hz. The controller uses the next slower clock that it supports.
    pub max_speed_hz: u32,
}

/// A setting of an SPI device.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Clock polarity and phase, as 0 to 3.
    Mode,
    /// Bits per word.
    BitsPerWord,
    /// Clock, in Hz.
    MaxSpeedHz,
    /// Bit order, 1 for least significant first.
    LsbFirst,
}

/// Why an SPI device could not be opened or configured.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The device node could not be opened.
    Open(Errno),
    /// The file is not an SPI device: its settings cannot be read.
    Query(Errno),
    /// The controller's driver refused a setting.
    Refused {
        /// The setting.
        setting: Setting,
        /// The requested value.
        asked: u32,
        /// The driver's error.
        errno: Errno,
    },
    /// The setting was accepted, but reads back with another value.
    Differs {
        /// The setting.
        setting: Setting,
        /// The requested value.
        asked: u32,
        /// The value read back.
        got: u32,
    },
}

impl OpenError {
    /// The error as a message with its remedy, for the device at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// An [`OpenError`] as a message with its remedy.
#[derive(Copy, Clone, Debug)]
pub struct Explained<'a> {
    error: OpenError,
    path: &'a Path,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mode => "mode",
            Self::BitsPerWord => "bits per word",
            Self::MaxSpeedHz => "clock in Hz",
            Self::LsbFirst => "least significant bit first",
        })
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.error {
            OpenError::Open(errno) => node::write_not_opened(
                f,
                self.path,
                errno,
                "enable the SPI controller in the device tree, give it a child that spidev \
                 accepts, and load the controller's driver",
            ),
            OpenError::Query(errno) => {
                write!(
                    f,
                    "{path}: not an SPI device ({errno}); name one such as /dev/spidev0.0"
                )
            }
            OpenError::Refused {
                setting,
                asked,
                errno,
            } => write!(
                f,
                "{path}: the controller refuses {setting} = {asked} ({errno}); choose another \
                 value that its driver supports"
            ),
            OpenError::Differs {
                setting,
                asked,
                got,
            } => write!(
                f,
                "{path}: {setting} was set to {asked} but is {got}; set {got} if the chip \
                 supports it"
            ),
        }
    }
}

/// `SPI_CPHA` and `SPI_CPOL`.
const MODE_BITS: SpiModeFlags = SpiModeFlags::SPI_MODE_3;

/// The mode in the kernel's encoding (`linux/spi/spi.h`): bit 0 phase, bit 1 polarity.
const fn mode_flags(mode: Mode) -> SpiModeFlags {
    match (mode.polarity, mode.phase) {
        (Polarity::IdleLow, Phase::CaptureOnFirstTransition) => SpiModeFlags::SPI_MODE_0,
        (Polarity::IdleLow, Phase::CaptureOnSecondTransition) => SpiModeFlags::SPI_MODE_1,
        (Polarity::IdleHigh, Phase::CaptureOnFirstTransition) => SpiModeFlags::SPI_MODE_2,
        (Polarity::IdleHigh, Phase::CaptureOnSecondTransition) => SpiModeFlags::SPI_MODE_3,
    }
}

/// Compares the settings of a device with the requested ones.
///
/// The clock on the wire can be slower than the one read back: spidev returns the stored
/// number, and the controller's driver rounds it down at each transfer.
///
/// # Errors
/// [`OpenError::Differs`] with the first setting that differs.
pub fn check_readback(asked: &SpiConfig, got: &SpidevOptions) -> Result<(), OpenError> {
    let mode = got.spi_mode.unwrap_or(SpiModeFlags::empty()) & MODE_BITS;
    // "The value zero signifies eight bits" (linux/spi/spi.h, bits_per_word).
    let word = match got.bits_per_word {
        None | Some(0) => 8,
        Some(bits) => u32::from(bits),
    };
    [
        (Setting::Mode, mode_flags(asked.mode).bits(), mode.bits()),
        (Setting::BitsPerWord, 8, word),
        (
            Setting::MaxSpeedHz,
            asked.max_speed_hz,
            got.max_speed_hz.unwrap_or(0),
        ),
        (Setting::LsbFirst, 0, u32::from(got.lsb_first == Some(true))),
    ]
    .into_iter()
    .try_for_each(|(setting, asked, got)| {
        if asked == got {
            return Ok(());
        }
        Err(OpenError::Differs {
            setting,
            asked,
            got,
        })
    })
}

/// Size of spidev's buffers in bytes, from its module parameter under `root` (`/` on a
/// running system). [`DEFAULT_BUFFER_BYTES`] if it cannot be read.
#[must_use]
pub fn buffer_bytes(root: &Path) -> usize {
    std::fs::read_to_string(root.join("sys/module/spidev/parameters/bufsiz"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_BUFFER_BYTES)
}

impl Spidev {
    /// Opens and configures the device at `path` (`/dev/spidev0.0`) and reads the
    /// settings back. Allocates: for start-up only.
    ///
    /// # Errors
    /// [`OpenError`], which names a setting that was refused or changed.
    pub fn open(path: &Path, config: &SpiConfig) -> Result<Self, OpenError> {
        let mut device =
            SpidevDevice::open(path).map_err(|error| OpenError::Open(error.inner().into()))?;
        let before = device
            .query_configuration()
            .map_err(|error| OpenError::Query(error.into()))?;
        // Writing the mode alone would clear the bits that the device tree has set (chip
        // select active high, 3-wire).
        let kept = before.spi_mode.unwrap_or(SpiModeFlags::empty())
            & !(MODE_BITS | SpiModeFlags::SPI_LSB_FIRST);
        let mode = mode_flags(config.mode);
        let settings = [
            (Setting::LsbFirst, 0, *SpidevOptions::new().lsb_first(false)),
            (
                Setting::Mode,
                mode.bits(),
                *SpidevOptions::new().mode(mode | kept),
            ),
            (
                Setting::BitsPerWord,
                8,
                *SpidevOptions::new().bits_per_word(8),
            ),
            (
                Setting::MaxSpeedHz,
                config.max_speed_hz,
                *SpidevOptions::new().max_speed_hz(config.max_speed_hz),
            ),
        ];
        for (setting, asked, options) in settings {
            device
                .configure(&options)
                .map_err(|error| OpenError::Refused {
                    setting,
                    asked,
                    errno: error.into(),
                })?;
        }
        let after = device
            .query_configuration()
            .map_err(|error| OpenError::Query(error.into()))?;
        check_readback(config, &after)?;
        Ok(Self::with(
            Kernel::from(OwnedFd::from(device.0.into_inner())).into(),
            buffer_bytes(Path::new("/")),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulation;
    use embedded_hal::spi::{MODE_1, MODE_2, MODE_3};

    const ASKED: SpiConfig = SpiConfig {
        mode: MODE_1,
        max_speed_hz: 10_000_000,
    };

    fn granted() -> SpidevOptions {
        *SpidevOptions::new()
            .mode(SpiModeFlags::SPI_MODE_1 | SpiModeFlags::SPI_CS_HIGH)
            .bits_per_word(8)
            .max_speed_hz(10_000_000)
            .lsb_first(false)
    }

    #[test]
    fn requested_settings_are_accepted_and_wiring_bits_are_not_compared() {
        assert_eq!(check_readback(&ASKED, &granted()), Ok(()));
        let unset = *granted().bits_per_word(0);
        assert_eq!(check_readback(&ASKED, &unset), Ok(()), "0 means 8 bits");
    }

    #[test]
    fn each_setting_that_reads_back_differently_is_named() {
        let differs = |setting, asked, got| {
            Err(OpenError::Differs {
                setting,
                asked,
                got,
            })
        };
        let check = |options: &mut SpidevOptions| check_readback(&ASKED, options);
        assert_eq!(
            check(granted().mode(SpiModeFlags::SPI_MODE_3)),
            differs(Setting::Mode, 1, 3)
        );
        assert_eq!(
            check(granted().bits_per_word(16)),
            differs(Setting::BitsPerWord, 8, 16)
        );
        assert_eq!(
            check(granted().max_speed_hz(500_000)),
            differs(Setting::MaxSpeedHz, 10_000_000, 500_000)
        );
        assert_eq!(
            check(granted().lsb_first(true)),
            differs(Setting::LsbFirst, 0, 1)
        );
    }

    #[test]
    fn modes_have_the_kernels_numbers() {
        let numbers = [MODE_1, MODE_2, MODE_3].map(|mode| mode_flags(mode).bits());
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn a_missing_device_fails_to_open_and_another_file_fails_the_query() {
        let open = |path: &str| Spidev::open(Path::new(path), &ASKED).err();
        assert_eq!(
            open("/dev/no-such-spidev"),
            Some(OpenError::Open(Errno(libc::ENOENT)))
        );
        let Some(OpenError::Query(refused)) = open("/dev/null") else {
            panic!("/dev/null is not a spidev");
        };
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
    }
}
