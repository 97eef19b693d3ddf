//! Published embedded-hal 1.0 drivers of other people run on our `SpiDevice`
//! unchanged and without allocating. Behind the ioctl is a chip that answers
//! byte by byte as its datasheet has it.
#![cfg(feature = "linux")]

mod device_count;

use ad57xx::ad57x4::{ChannelQuad, PowerConfigQuad};
use ad57xx::{Ad57xx, Ad57xxShared, OutputRange};
use bmi160::{AccelerometerPowerMode, Bmi160, GyroscopePowerMode, SensorSelector};
use device_count::allocator_calls;
use embedded_hal::spi::Error as _;
use steadfast::device::spi::{Message, SpiError, Spidev, Transfer};
use steadfast::sys::Errno;
use tmc5072::Tmc5072;
use tmc5072::registers::ramp_generator_register::{XActual, XTarget};

/// A chip as its bus sees it.
trait Chip {
    /// Chip select becomes active.
    fn select(&mut self);
    /// One byte in each direction.
    fn shift(&mut self, incoming: u8) -> u8;
    /// Chip select becomes inactive.
    fn deselect(&mut self);
}

/// The wires between the ioctl and a chip.
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

/// Bosch BMI160, datasheet BST-BMI160-DS000, "Primary interface", SPI: the
/// first byte is the register, its top bit set for reading; the register counts
/// up.
struct Bmi160Chip {
    registers: [u8; 128],
    address: Option<u8>,
}

/// "Register map": CHIP_ID, PMU_STATUS and CMD; data from GYR_X, ACC_X.
const CHIP_ID: usize = 0x00;
const PMU_STATUS: usize = 0x03;
const GYR_X: usize = 0x0C;
const ACC_X: usize = 0x12;
const CMD: u8 = 0x7E;

impl Chip for Bmi160Chip {
    fn select(&mut self) {
        self.address = None;
    }

    fn shift(&mut self, incoming: u8) -> u8 {
        let Some(address) = self.address else {
            self.address = Some(incoming);
            return 0;
        };
        self.address = Some(address.wrapping_add(1));
        let register = usize::from(address & 0x7F);
        if address & 0x80 != 0 {
            return self.registers[register];
        }
        match (address, incoming) {
            // Commands acc_set_pmu_mode and gyr_set_pmu_mode, "normal".
            (CMD, 0x11) => self.registers[PMU_STATUS] |= 0b01 << 4,
            (CMD, 0x15) => self.registers[PMU_STATUS] |= 0b01 << 2,
            _ => self.registers[register] = incoming,
        }
        0
    }

    fn deselect(&mut self) {}
}

#[test]
fn bmi160_reads_its_axes_without_allocating() {
    let mut chip = Bmi160Chip {
        registers: [0; 128],
        address: None,
    };
    chip.registers[CHIP_ID] = 0xD1;
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

/// Trinamic TMC5072, datasheet "SPI datagram structure": frames of 40 bits; the
/// top bit of the first byte writes; what is read comes with the next frame.
struct Tmc5072Chip {
    registers: [u32; 128],
    frame: [u8; 5],
    place: usize,
    answer: u32,
}

/// "Register mapping": the first motor's, and IOIN with the IC's version.
const IOIN: usize = 0x04;
const XACTUAL: usize = 0x21;
const XTARGET: usize = 0x2D;

impl Chip for Tmc5072Chip {
    fn select(&mut self) {
        self.place = 0;
    }

    fn shift(&mut self, incoming: u8) -> u8 {
        let [a, b, c, d] = self.answer.to_be_bytes();
        let back = [0, a, b, c, d][self.place];
        self.frame[self.place] = incoming;
        self.place += 1;
        back
    }

    fn deselect(&mut self) {
        assert_eq!(self.place, 5, "a frame of 40 bits");
        let [address, a, b, c, d] = self.frame;
        let register = &mut self.registers[usize::from(address & 0x7F)];
        if address & 0x80 != 0 {
            *register = u32::from_be_bytes([a, b, c, d]);
        }
        self.answer = *register;
        // A motor that is always already there.
        self.registers[XACTUAL] = self.registers[XTARGET];
    }
}

#[test]
fn tmc5072_follows_its_target_without_allocating() {
    let mut chip = Tmc5072Chip {
        registers: [0; 128],
        frame: [0; 5],
        place: 0,
        answer: 0,
    };
    chip.registers[IOIN] = 0x10 << 24;
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

/// Analog Devices AD5754, datasheet AD5724/AD5734/AD5754, "Input shift
/// register": frames of 24 bits; register in bits 21 to 19 (0 output, 1 range,
/// 2 power, 3 control), channel or function in bits 18 to 16.
#[derive(Default)]
struct Ad5754Chip {
    outputs: [u16; 4],
    ranges: [u16; 4],
    power: u16,
    loads: u32,
    frame: [u8; 3],
    place: usize,
}

impl Chip for Ad5754Chip {
    fn select(&mut self) {
        self.place = 0;
    }

    fn shift(&mut self, incoming: u8) -> u8 {
        self.frame[self.place] = incoming;
        self.place += 1;
        0
    }

    fn deselect(&mut self) {
        assert_eq!(self.place, 3, "a frame of 24 bits");
        let [head, high, low] = self.frame;
        let data = u16::from_be_bytes([high, low]);
        let channel = usize::from(head & 0b111);
        match (head >> 7, (head >> 3) & 0b111) {
            (0, 0) => self.outputs[channel] = data,
            (0, 1) => self.ranges[channel] = data,
            (0, 2) => self.power = data,
            (0, 3) if channel == 5 => self.loads += 1,
            other => panic!("not a frame of this test: {other:?}"),
        }
    }
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

/// A bus whose controller never finishes.
struct Hanging;

impl Message for Hanging {
    fn message(&mut self, _transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        Err(Errno(110))
    }
}

#[test]
fn an_error_of_the_bus_comes_through_the_driver_as_itself_without_allocating() {
    let mut imu = Bmi160::new_with_spi(Spidev::with(Hanging, 4_096));
    let calls = allocator_calls(|| {
        for _ in 0..1_000 {
            let Err(bmi160::Error::Comm(error)) = imu.chip_id() else {
                panic!("a bus that hangs gave a chip's identity");
            };
            assert_eq!(error, SpiError::TimedOut);
            assert_eq!(error.kind(), embedded_hal::spi::ErrorKind::Other);
        }
    });
    assert_eq!(calls, 0);
}
