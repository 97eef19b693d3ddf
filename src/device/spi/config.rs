//! Opening and configuring an SPI device.
//!
//! This runs once, at start-up, and goes through `linux-embedded-hal` and the
//! `spidev` crate it re-exports. Each setting is written alone, so that a
//! refusal names it, and all are read back, because a driver may change what
//! it was asked for.

use super::{Kernel, Spidev};
use crate::device::node;
use crate::sys::Errno;
use core::fmt;
use embedded_hal::spi::{Mode, Phase, Polarity};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What spidev's buffers hold unless the module is told otherwise (`bufsiz` in
/// drivers/spi/spidev.c), in bytes for each direction of one message.
pub const DEFAULT_BUFFER_BYTES: usize = 4_096;

/// How a chip wants to be talked to. Words are 8 bits, most significant bit
/// first. Chip select polarity and wiring (3-wire, no chip select) are the
/// device tree's matter and are left as they are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpiConfig {
    /// Clock polarity and phase.
    pub mode: Mode,
    /// Fastest clock, in Hz; the controller takes the next slower one it can
    /// make.
    pub max_speed_hz: u32,
}

/// One thing that is set on an SPI device.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Clock polarity and phase, as 0 to 3.
    Mode,
    /// Bits of a word.
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
    /// It is no spidev: it does not answer what it is set to.
    Query(Errno),
    /// The controller's driver refused a setting.
    Refused {
        /// Which one.
        setting: Setting,
        /// What was asked.
        asked: u32,
        /// The driver's answer.
        errno: Errno,
    },
    /// The setting was taken, but reads back differently.
    Differs {
        /// Which one.
        setting: Setting,
        /// What was asked.
        asked: u32,
        /// What it is.
        got: u32,
    },
}

impl OpenError {
    /// The error in words, with what to do about it, for the device at `path`.
    #[must_use]
    pub const fn explain(self, path: &Path) -> Explained<'_> {
        Explained { error: self, path }
    }
}

/// An [`OpenError`] in words.
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
                write!(f, "{path}: does not answer as an SPI device ({errno})")
            }
            OpenError::Refused {
                setting,
                asked,
                errno,
            } => write!(
                f,
                "{path}: the controller refuses {setting} = {asked} ({errno}); choose another \
                 or see its driver"
            ),
            OpenError::Differs {
                setting,
                asked,
                got,
            } => write!(
                f,
                "{path}: {setting} was set to {asked} but is {got}; ask for {got} if the chip \
                 supports it"
            ),
        }
    }
}

/// The errno of an error of the standard library, 0 when it has none.
fn errno(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(0))
}

/// `SPI_CPHA` and `SPI_CPOL`.
const MODE_BITS: SpiModeFlags = SpiModeFlags::SPI_MODE_3;

/// The mode as `linux/spi/spi.h` has it: bit 0 phase, bit 1 polarity.
const fn mode_flags(mode: Mode) -> SpiModeFlags {
    match (mode.polarity, mode.phase) {
        (Polarity::IdleLow, Phase::CaptureOnFirstTransition) => SpiModeFlags::SPI_MODE_0,
        (Polarity::IdleLow, Phase::CaptureOnSecondTransition) => SpiModeFlags::SPI_MODE_1,
        (Polarity::IdleHigh, Phase::CaptureOnFirstTransition) => SpiModeFlags::SPI_MODE_2,
        (Polarity::IdleHigh, Phase::CaptureOnSecondTransition) => SpiModeFlags::SPI_MODE_3,
    }
}

/// Compares what a device is set to with what was asked of it.
///
/// A clock that reads back as asked may still be slower on the wire: spidev
/// keeps the number, the controller's driver rounds it down at each transfer.
///
/// # Errors
/// [`OpenError::Differs`] with the first setting that is not as asked.
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

/// What spidev's buffers hold, from its module parameter under `root` (`/` on
/// a running system). [`DEFAULT_BUFFER_BYTES`] where it cannot be read.
#[must_use]
pub fn buffer_bytes(root: &Path) -> usize {
    std::fs::read_to_string(root.join("sys/module/spidev/parameters/bufsiz"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_BUFFER_BYTES)
}

impl Spidev {
    /// Opens and configures the device at `path` (`/dev/spidev0.0`), and reads
    /// the configuration back. Allocates; for start-up.
    ///
    /// # Errors
    /// [`OpenError`], which says what was refused or changed.
    pub fn open(path: &Path, config: &SpiConfig) -> Result<Self, OpenError> {
        let mut device =
            SpidevDevice::open(path).map_err(|error| OpenError::Open(errno(error.inner())))?;
        let before = device
            .query_configuration()
            .map_err(|error| OpenError::Query(errno(&error)))?;
        // Bits that the device tree has set (chip select active high, 3-wire)
        // would be cleared by writing the bare mode.
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
                    errno: errno(&error),
                })?;
        }
        let after = device
            .query_configuration()
            .map_err(|error| OpenError::Query(errno(&error)))?;
        check_readback(config, &after)?;
        Ok(Self::with(
            Kernel::from(OwnedFd::from(device.0.into_inner())),
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
    fn settings_as_asked_are_taken_and_the_wiring_bits_are_not_compared() {
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
    fn modes_have_the_numbers_of_the_kernel() {
        let numbers = [MODE_1, MODE_2, MODE_3].map(|mode| mode_flags(mode).bits());
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn a_missing_device_and_a_file_that_is_none_are_told_apart() {
        let open = |path: &str| Spidev::open(Path::new(path), &ASKED).err();
        assert_eq!(
            open("/dev/no-such-spidev"),
            Some(OpenError::Open(Errno(libc::ENOENT)))
        );
        let Some(OpenError::Query(refused)) = open("/dev/null") else {
            panic!("it is no spidev");
        };
        assert_eq!(refused, Errno(emulation::enotty(refused.0)));
    }
}
