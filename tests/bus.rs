//! Bus handles as used by a driver, with simulated devices and, where files can replace
//! them, with devices of the kernel.
#![cfg(feature = "linux")]

mod device_count;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device_count::allocator_calls;
use embedded_hal::i2c::{self, I2c as _};
use embedded_hal::pwm::SetDutyCycle;
use embedded_hal::spi::{self, Operation, SpiDevice};
use steadfast::bus::{I2c, I2cChip, I2cError, Pwm, PwmError, Spi, SpiChip, SpiError};
use steadfast::cycle::image::Angle;
use steadfast::device;
use steadfast::device::pwm::{Polarity, PwmConfig};
use steadfast::driver::as5047p::{self, As5047p};
use steadfast::sim::{As5047pChip, Fault, MAX_EXCHANGE, NO_ACKNOWLEDGE, SimI2c, SimPwm, SimSpi};
use steadfast::sys::{Errno, emergency};
use testbed::emulation;

/// The safe state is latched for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replies with the bytes of the frame before, and counts frames.
#[derive(Default)]
struct Shift {
    last: Vec<u8>,
    frames: usize,
    /// Latches the safe state during this frame, counted from 1.
    takes_in: usize,
}

impl SpiChip for Shift {
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), spi::ErrorKind> {
        for (to, from) in received.iter_mut().zip(&self.last) {
            *to = *from;
        }
        self.frames += 1;
        if self.frames == self.takes_in {
            emergency::lines();
        }
        self.last.clear();
        self.last.extend_from_slice(sent);
        Ok(())
    }
}

fn shift() -> Arc<Mutex<Shift>> {
    let last = Vec::with_capacity(MAX_EXCHANGE);
    Arc::new(Mutex::new(Shift {
        last,
        ..Shift::default()
    }))
}

/// A chip with 16 registers: the first byte written selects one, it counts up.
#[derive(Default)]
struct Registers {
    bytes: [u8; 16],
    at: usize,
}

impl I2cChip for Registers {
    fn transaction(&mut self, operations: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        for operation in operations {
            match operation {
                i2c::Operation::Write(bytes) => {
                    let [first, rest @ ..] = &**bytes else {
                        continue;
                    };
                    self.at = usize::from(*first);
                    for byte in rest {
                        self.bytes[self.at % 16] = *byte;
                        self.at += 1;
                    }
                }
                i2c::Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.bytes[self.at % 16];
                        self.at += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

const SERVO: PwmConfig = PwmConfig {
    channel: 1,
    period_ns: 4_000_000,
    polarity: Polarity::Normal,
    safe_duty_ns: 1_500_000,
};

/// A PWM chip of files instead of sysfs.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let chip = std::env::temp_dir().join(format!("bus-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&chip);
        fs::create_dir_all(chip.join("pwm1")).unwrap();
        fs::write(chip.join("npwm"), "2\n").unwrap();
        for attribute in ["period", "duty_cycle", "polarity", "enable"] {
            fs::write(chip.join("pwm1").join(attribute), "0\n").unwrap();
        }
        Self(chip)
    }

    fn duty(&self) -> String {
        fs::read_to_string(self.0.join("pwm1/duty_cycle")).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A device that exists on every machine and is not a bus.
fn null() -> OwnedFd {
    OwnedFd::from(
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap(),
    )
}

fn kernel_spi() -> Spi {
    let device = device::spi::Spidev::with(device::spi::Kernel::from(null()), 4_096);
    Spi::from(device)
}

fn kernel_i2c() -> I2c {
    I2c::from(device::i2c::I2cdev::with(device::i2c::Kernel::from(null())))
}

#[test]
fn bus_handles_can_be_sent_to_the_loop_thread() {
    fn sent<T: Send + 'static>() {}
    sent::<Spi>();
    sent::<I2c>();
    sent::<Pwm>();
}

#[test]
fn the_stock_encoder_runs_on_a_bus_handle_and_reports_injected_faults() {
    let chip = Arc::new(Mutex::new(SimSpi::new(As5047pChip::new())));
    chip.lock().unwrap().chip.set_shaft(4_096);
    let mut encoder = As5047p::new(Spi::simulated(chip.clone()));
    assert_eq!(encoder.angle(), Ok(Angle::from_counts(4_096, 14)));
    chip.lock()
        .unwrap()
        .faults
        .add_now(Fault::BusError, 1)
        .unwrap();
    let failed = encoder.angle().unwrap_err();
    assert_eq!(failed, as5047p::Error::Bus(spi::ErrorKind::Other));
}

#[test]
fn long_frames_and_joined_operations_reach_a_simulated_chip_whole() {
    let _alone = alone();
    let chip = shift();
    let mut spi = Spi::simulated(chip.clone());
    let torque: Vec<u8> = (0..132).collect();
    spi.write(&torque).unwrap();
    assert_eq!(chip.lock().unwrap().last, torque);
    let (mut first, mut rest, mut in_place) = ([0; 2], [0; 3], [9; 2]);
    spi.transaction(&mut [
        Operation::Read(&mut first),
        Operation::DelayNs(1_000),
        Operation::Transfer(&mut rest, &[7]),
        Operation::TransferInPlace(&mut in_place),
    ])
    .unwrap();
    assert_eq!((first, rest, in_place), ([0, 1], [2, 3, 4], [5, 6]));
    assert_eq!(chip.lock().unwrap().last, [0, 0, 7, 0, 0, 9, 9]);
    let too_long = spi.write(&[0; MAX_EXCHANGE + 1]).unwrap_err();
    assert_eq!(too_long, SpiError::Simulated(spi::ErrorKind::Overrun));
    spi.transaction(&mut [Operation::DelayNs(1)]).unwrap();
    assert_eq!(
        chip.lock().unwrap().frames,
        2,
        "a pause alone is not a frame"
    );
}

#[test]
fn handles_of_one_simulated_bus_see_its_chips_by_address() {
    let _alone = alone();
    let eeprom = Arc::new(Mutex::new(SimI2c::new(0x50, Registers::default())));
    let mut one = I2c::simulated()
        .with_chip(0x50, eeprom.clone())
        .with_chip(0x48, Registers::default());
    let mut other = one.try_clone().unwrap();
    one.write(0x50, &[3, 11, 12]).unwrap();
    let mut read = [0; 2];
    other.write_read(0x50, &[3], &mut read).unwrap();
    assert_eq!(read, [11, 12]);
    other.write_read(0x48, &[3], &mut read).unwrap();
    assert_eq!(read, [0, 0], "another chip");
    assert_eq!(
        one.read(0x51, &mut read),
        Err(I2cError::Simulated(NO_ACKNOWLEDGE))
    );
    eeprom.lock().unwrap().fail_next(1, i2c::ErrorKind::Bus);
    let failed = one.read(0x50, &mut read).unwrap_err();
    assert_eq!(i2c::Error::kind(&failed), i2c::ErrorKind::Bus);
    assert_eq!(one.read(0x50, &mut read), Ok(()));
}

#[test]
fn a_simulated_pwm_channel_starts_at_its_safe_duty_and_refuses_a_duty_above_its_period() {
    let _alone = alone();
    let load = Arc::new(Mutex::new(SimPwm::default()));
    let mut pwm = Pwm::simulated(&SERVO, load.clone()).unwrap();
    assert_eq!(load.lock().unwrap().duty_ns, 1_500_000);
    pwm.set_duty_cycle(u16::MAX).unwrap();
    assert_eq!(load.lock().unwrap().duty_ns, 4_000_000);
    assert!(matches!(
        pwm.set_duty_ns(4_000_001),
        Err(PwmError::Device(device::pwm::PwmError::DutyTooLong { .. }))
    ));
    load.lock().unwrap().failing = 1;
    assert!(pwm.set_duty_cycle_fully_off().is_err());
    assert_eq!(load.lock().unwrap().duty_ns, 4_000_000);
    let impossible = PwmConfig {
        safe_duty_ns: 4_000_001,
        ..SERVO
    };
    assert!(Pwm::simulated(&impossible, SimPwm::default()).is_err());
}

#[test]
fn kernel_devices_are_used_through_the_same_handle_types() {
    let _alone = alone();
    let SpiError::Device(device::spi::SpiError::Kernel(errno)) =
        kernel_spi().write(&[1]).unwrap_err()
    else {
        panic!("expected an error: the file is not a spidev");
    };
    assert_eq!(errno, Errno(emulation::enotty(errno.0)));
    let mut clone = kernel_i2c().try_clone().unwrap();
    let I2cError::Device(device::i2c::I2cError::Kernel(errno)) =
        clone.write(0x48, &[1]).unwrap_err()
    else {
        panic!("expected an error: the file is not an I2C adapter");
    };
    assert_eq!(errno, Errno(emulation::enotty(errno.0)));
    let missing = I2c::open(
        Path::new("/dev/i2c-none"),
        &device::i2c::I2cConfig { timeout_ms: 10 },
    );
    assert!(missing.is_err());
}

#[test]
fn after_the_safe_state_is_latched_handles_refuse_to_drive_but_read() {
    let _alone = alone();
    let (drives, reads) = (shift(), shift());
    let mut driving = Spi::simulated(drives.clone()).driving();
    let mut reading = Spi::simulated(reads.clone());
    let mut bus = I2c::simulated().with_chip(0x48, Registers::default());
    let mut valve = bus.try_clone().unwrap().driving();
    let load = Arc::new(Mutex::new(SimPwm::default()));
    let mut pwm = Pwm::simulated(&SERVO, load.clone()).unwrap();
    emergency::lines();
    let answers = (
        driving.write(&[1]),
        reading.write(&[1]),
        bus.write(0x48, &[0]),
        valve.write(0x48, &[0]),
        pwm.set_duty_cycle_fully_on(),
    );
    emergency::release_latch();
    let expected = (
        Err(SpiError::Latched),
        Ok(()),
        Ok(()),
        Err(I2cError::Latched),
        Err(PwmError::Latched),
    );
    assert_eq!(answers, expected);
    assert_eq!(drives.lock().unwrap().frames, 0);
    assert_eq!(load.lock().unwrap().duty_ns, 1_500_000);
    assert_eq!(driving.write(&[1]), Ok(()), "the safe state was released");
}

#[test]
fn a_transfer_in_progress_when_the_safe_state_is_latched_is_followed_by_the_safe_plan() {
    let _alone = alone();
    let files = Files::new("during");
    let mut pwm = Pwm::open(&files.0, &SERVO).unwrap();
    let slot = pwm.safe_action().unwrap().unwrap();
    let chip = shift();
    chip.lock().unwrap().takes_in = 1;
    let mut spi = Spi::simulated(chip.clone()).driving();
    // The safe state is latched while the loop drives its second output, and at first sets
    // only lines: the late transfer writes the safe duty.
    pwm.set_duty_ns(4_000_000).unwrap();
    assert_eq!(files.duty(), "4000000");
    let answer = spi.write(&[1]);
    emergency::release_latch();
    slot.clear();
    assert_eq!(answer, Err(SpiError::Latched));
    assert_eq!(chip.lock().unwrap().frames, 1, "the frame was in progress");
    assert_eq!(files.duty(), "1500000");
}

#[test]
fn the_loop_and_the_safe_plan_write_the_same_safe_duty() {
    let _alone = alone();
    let files = Files::new("plan");
    let mut pwm = Pwm::open(&files.0, &SERVO).unwrap();
    let slot = pwm.safe_action().unwrap().unwrap();
    pwm.set_duty_ns(4_000_000).unwrap();
    let executed = slot.execute();
    let by_loop = files.duty();
    pwm.set_duty_ns(4_000_000).unwrap();
    // The action has its own descriptor.
    drop(pwm);
    let outcome = emergency::run();
    emergency::release_latch();
    slot.clear();
    assert_eq!((executed, by_loop.as_str()), (Ok(()), "1500000"));
    assert_eq!((outcome.done, files.duty().as_str()), (1, "1500000"));
}

#[test]
fn safe_actions_are_checked_when_they_are_registered() {
    let _alone = alone();
    let spi = kernel_spi();
    let slot = spi.safe_action(&[0; 132]).unwrap().unwrap();
    assert!(slot.execute().is_err(), "the file is not a spidev");
    slot.clear();
    let small = device::spi::Spidev::with(device::spi::Kernel::from(null()), 128);
    let beyond = Spi::from(small).safe_action(&[0; 132]);
    assert_eq!(beyond, Err(Errno(90)), "EMSGSIZE: it would never be sent");
    assert_eq!(kernel_i2c().safe_action(0x80, &[0]), Err(Errno(22)));
    let slot = kernel_i2c().safe_action(0x48, &[0, 0]).unwrap().unwrap();
    assert!(slot.execute().is_err(), "the file is not an I2C adapter");
    slot.clear();
    let simulated = Spi::simulated(shift()).safe_action(&[0; 2]);
    assert_eq!(
        simulated,
        Ok(None),
        "a simulated device needs no safe action"
    );
}

#[test]
fn a_hundred_thousand_transfers_do_not_allocate() {
    let _alone = alone();
    let mut spi = Spi::simulated(shift()).driving();
    let sensor = Arc::new(Mutex::new(SimI2c::new(0x48, Registers::default())));
    let mut i2c = I2c::simulated().with_chip(0x48, sensor.clone());
    let mut pwm = Pwm::simulated(&SERVO, SimPwm::default()).unwrap();
    let (mut none, mut no_adapter) = (kernel_spi(), kernel_i2c());
    let mut frame = [5; 132];
    let calls = allocator_calls(|| {
        for cycle in 0..100_000_u32 {
            spi.transfer_in_place(&mut frame).unwrap();
            i2c.write_read(0x48, &[0], &mut frame[..4]).unwrap();
            pwm.set_duty_ns(cycle).unwrap();
            if cycle % 100 == 0 {
                assert!(none.write(&frame).is_err());
                assert!(no_adapter.write(0x48, &frame).is_err());
            }
        }
    });
    assert_eq!(calls, 0);
}

#[test]
fn errors_are_one_line_with_a_remedy() {
    let lines = [
        SpiError::Simulated(spi::ErrorKind::Other).to_string(),
        I2cError::Latched.to_string(),
        PwmError::Device(device::pwm::PwmError::DutyTooLong {
            duty_ns: 2,
            period_ns: 1,
        })
        .to_string(),
    ];
    assert!(lines[0].contains("faults set on it"), "{}", lines[0]);
    assert!(lines[1].contains("black box"), "{}", lines[1]);
    assert!(lines[2].contains("2 ns"), "{}", lines[2]);
    assert!(lines.iter().all(|line| line.lines().count() == 1));
}
