//! Published embedded-hal 1.0 drivers run unchanged on our `SpiDevice` without allocating.
//! The ioctl is served by chip models that reply byte by byte as in their datasheets.
#![cfg(feature = "linux")]

mod device_count;
mod foreign_chips;

use ad57xx::ad57x4::{ChannelQuad, PowerConfigQuad};
use ad57xx::{Ad57xx, Ad57xxShared, OutputRange};
use bmi160::{AccelerometerPowerMode, Bmi160, GyroscopePowerMode, SensorSelector};
use device_count::allocator_calls;
use embedded_hal::spi::Error as _;
use foreign_chips::{ACC_X, Ad5754Chip, Bmi160Chip, Chip, Tmc5072Chip};
use steadfast::device::spi::{Message, SpiError, Spidev, Transfer};
use steadfast::sys::Errno;
use tmc5072::Tmc5072;
use tmc5072::registers::ramp_generator_register::{XActual, XTarget};

/// "Register map": data from GYR_X.
const GYR_X: usize = 0x0C;

/// The connection of the ioctl and a chip model.
struct Wires<'a, C>(&'a mut C);

impl<C: Chip> Message for Wires<'_, C> {
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        let mut clocked = 0;
        self.0.select();
        for transfer in transfers {
            for i in 0..transfer.bytes() {
                let out = transfer.tx().map_or(0, |tx| tx[i]);
                let back = self.0.shift(out);
                if let Some(rx) = transfer.rx_mut() {
                    rx[i] = back;
                }
                clocked += 1;
            }
        }
        self.0.deselect();
        Ok(clocked)
    }
}

fn device<C: Chip>(chip: &mut C) -> Spidev<Wires<'_, C>> {
    Spidev::with(Wires(chip), 4_096)
}

#[test]
fn bmi160_reads_its_axes_without_allocating() {
    let mut chip = Bmi160Chip::new();
    chip.registers[GYR_X..GYR_X + 6].copy_from_slice(&[1, 0, 2, 0, 0xFF, 0xFF]);
    chip.registers[ACC_X..ACC_X + 6].copy_from_slice(&[0x34, 0x12, 0, 0, 0, 0x40]);
    let mut imu = Bmi160::new_with_spi(device(&mut chip));
    assert_eq!(imu.chip_id().unwrap(), 0xD1);
    imu.set_accel_power_mode(AccelerometerPowerMode::Normal)
        .unwrap();
    imu.set_gyro_power_mode(GyroscopePowerMode::Normal).unwrap();
    let power = imu.power_mode().unwrap();
    assert_eq!(power.accel, AccelerometerPowerMode::Normal);
    assert_eq!(power.gyro, GyroscopePowerMode::Normal);
    let calls = allocator_calls(|| {
        for _ in 0..100_000 {
            let data = imu.data(SensorSelector::new().accel().gyro()).unwrap();
            let (accel, gyro) = (data.accel.unwrap(), data.gyro.unwrap());
            assert_eq!((accel.x, accel.y, accel.z), (0x1234, 0, 0x4000));
            assert_eq!((gyro.x, gyro.y, gyro.z), (1, 2, -1));
        }
    });
    assert_eq!(calls, 0);
}

#[test]
fn tmc5072_follows_its_target_without_allocating() {
    let mut chip = Tmc5072Chip::new();
    let Ok(mut motor) = Tmc5072::new(device(&mut chip)) else {
        panic!("the version of the IC was not read");
    };
    let calls = allocator_calls(|| {
        for x_target in -50_000..50_000 {
            motor.write_register(XTarget::<0> { x_target }).unwrap();
            let position = motor.read_register::<XActual<0>>().unwrap();
            assert_eq!(position.data.x_actual, x_target);
        }
    });
    assert_eq!(calls, 0);
}

#[test]
fn ad57xx_sets_its_outputs_without_allocating() {
    let mut chip = Ad5754Chip::default();
    let mut dac = Ad57xxShared::new_ad57x4(device(&mut chip));
    dac.set_power(ChannelQuad::DacB, true).unwrap();
    dac.set_output_range(ChannelQuad::DacB, OutputRange::Bipolar10V)
        .unwrap();
    let calls = allocator_calls(|| {
        for cycle in 0..100_000_u32 {
            dac.set_dac_output(ChannelQuad::DacB, cycle as u16).unwrap();
            dac.load_dacs().unwrap();
        }
    });
    assert_eq!(calls, 0);
    let power_up_b = u16::from(PowerConfigQuad::from(1 << 1));
    assert_eq!(chip.power, power_up_b);
    assert_eq!(chip.ranges, [0, OutputRange::Bipolar10V as u16, 0, 0]);
    assert_eq!(chip.outputs, [0, (99_999_u32 & 0xFFFF) as u16, 0, 0]);
    assert_eq!(chip.loads, 100_000);
}

/// A bus whose controller always times out.
struct Hanging;

impl Message for Hanging {
    fn message(&mut self, _transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        Err(Errno(110))
    }
}

#[test]
fn a_bus_error_passes_through_the_driver_without_allocating() {
    let mut imu = Bmi160::new_with_spi(Spidev::with(Hanging, 4_096));
    let calls = allocator_calls(|| {
        for _ in 0..1_000 {
            let Err(bmi160::Error::Comm(error)) = imu.chip_id() else {
                panic!("expected an error of a hanging bus, got a chip identity");
            };
            assert_eq!(error, SpiError::TimedOut);
            assert_eq!(error.kind(), embedded_hal::spi::ErrorKind::Other);
        }
    });
    assert_eq!(calls, 0);
}
