//! A PWM channel with files instead of sysfs: writes, their order, and errors. No emulated
//! board has a PWM controller.
#![cfg(feature = "linux")]

mod device_count;

use device_count::allocator_calls;
use embedded_hal::pwm::SetDutyCycle;
use std::fs;
use std::path::{Path, PathBuf};
use steadfast::device::pwm::{Attribute, Polarity, Pwm, PwmConfig, PwmError};
use steadfast::sys::Errno;

const SERVO: PwmConfig = PwmConfig {
    channel: 1,
    period_ns: 4_000_000,
    polarity: Polarity::Inversed,
    safe_duty_ns: 1_500_000,
};

/// A chip with two channels, of which number 1 is exported and was used before.
struct Chip(PathBuf);

impl Chip {
    fn new(name: &str) -> Self {
        let chip = std::env::temp_dir().join(format!("pwm-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&chip);
        let channel = chip.join("pwm1");
        fs::create_dir_all(&channel).unwrap();
        fs::write(chip.join("npwm"), "2\n").unwrap();
        for (attribute, value) in [
            ("period", "1000\n"),
            ("duty_cycle", "900\n"),
            ("polarity", "normal\n"),
            ("enable", "1\n"),
        ] {
            fs::write(channel.join(attribute), value).unwrap();
        }
        Self(chip)
    }

    fn read(&self, attribute: &str) -> String {
        fs::read_to_string(self.0.join("pwm1").join(attribute)).unwrap()
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_channel_opens_at_its_safe_duty() {
    let chip = Chip::new("safe");
    let pwm = Pwm::open(&chip.0, &SERVO).unwrap();
    assert_eq!(pwm.period_ns(), 4_000_000);
    let now = ["period", "duty_cycle", "polarity", "enable"].map(|name| chip.read(name));
    assert_eq!(now, ["4000000", "1500000", "inversed", "1"]);
}

#[test]
fn setting_a_duty_is_one_write_without_allocating() {
    let chip = Chip::new("duty");
    let mut pwm = Pwm::open(&chip.0, &SERVO).unwrap();
    let calls = allocator_calls(|| {
        for duty in 2_000_000..2_010_000 {
            pwm.set_duty_ns(duty).unwrap();
        }
    });
    assert_eq!(calls, 0, "calls of the allocator");
    assert_eq!(chip.read("duty_cycle"), "2009999");
}

#[test]
fn a_duty_fraction_is_that_fraction_of_the_period() {
    let chip = Chip::new("share");
    let mut pwm = steadfast::bus::Pwm::open(&chip.0, &SERVO).unwrap();
    pwm.set_duty_cycle_fully_on().unwrap();
    assert_eq!(chip.read("duty_cycle"), "4000000");
    // Unlike an attribute, a file keeps the rest of a longer text.
    fs::write(chip.0.join("pwm1/duty_cycle"), "").unwrap();
    pwm.set_duty_cycle_fraction(1, 4).unwrap();
    // 65,535 / 4 is rounded down to 16,383.
    assert_eq!(chip.read("duty_cycle"), "999954");
}

#[test]
fn a_duty_above_the_period_is_refused_and_the_old_one_stays() {
    let chip = Chip::new("above");
    let mut pwm = Pwm::open(&chip.0, &SERVO).unwrap();
    let refused = PwmError::DutyTooLong {
        duty_ns: 4_000_001,
        period_ns: 4_000_000,
    };
    assert_eq!(pwm.set_duty_ns(4_000_001), Err(refused));
    assert_eq!(chip.read("duty_cycle"), "1500000");
    let config = PwmConfig {
        safe_duty_ns: 4_000_001,
        ..SERVO
    };
    assert_eq!(Pwm::open(&chip.0, &config).err(), Some(refused));
}

#[test]
fn each_missing_pwm_file_is_named() {
    let missing = Pwm::open(Path::new("/sys/class/pwm/no-such-chip"), &SERVO).err();
    assert_eq!(missing, Some(PwmError::NoChip(Errno(libc::ENOENT))));
    let chip = Chip::new("missing");
    let config = PwmConfig {
        channel: 2,
        ..SERVO
    };
    let missing = Pwm::open(&chip.0, &config).err();
    assert_eq!(missing, Some(PwmError::NoChannel { channels: 2 }));
    // The write to `export` fails, here because it is a folder.
    fs::create_dir(chip.0.join("export")).unwrap();
    let config = PwmConfig {
        channel: 0,
        ..SERVO
    };
    let refused = PwmError::Refused {
        attribute: Attribute::Export,
        errno: Errno(libc::EISDIR),
    };
    assert_eq!(Pwm::open(&chip.0, &config).err(), Some(refused));
}
