//! Six published embedded-hal 1.0 driver crates, each inside a user driver and used in every
//! cycle of a loop that must not allocate: four on SPI, two on I2C.
//!
//! The bus handles are those of a board, with simulated chips.
#![cfg(feature = "linux")]

mod foreign_chips;

use std::sync::atomic::{AtomicU64, Ordering};

use ad57xx::ad57x4::ChannelQuad;
use ad57xx::marker::Ad57x4;
use ad57xx::{Ad57xx, Ad57xxShared, OutputRange};
use ads1x1x::{Ads1x1x, TargetAddr, channel, ic, mode};
use bmi160::interface::SpiInterface;
use bmi160::{AccelerometerPowerMode, Bmi160, SensorSelector};
use embedded_hal::i2c;
use embedded_hal::spi::ErrorKind;
use foreign_chips::{ACC_X, Ad5754Chip, Bmi160Chip, Chip, Tmc5072Chip};
use lm75::{Address, Lm75, ic as lm75_ic};
use max31855_rs::Max31855;
use steadfast::firmware::prelude::*;
use steadfast::sim::I2cChip;
use tmc5072::Tmc5072;
use tmc5072::registers::ramp_generator_register::{XActual, XTarget};

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

const CYCLES: u64 = 2_000;

/// Number of transfers of each chip.
static SEEN: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

fn saw(number: usize) {
    SEEN[number].fetch_add(1, Ordering::Relaxed);
}

/// A chip model on a simulated bus, with its index in [`SEEN`].
struct Wired<C>(usize, C);

impl<C: Chip> SpiChip for Wired<C> {
    fn exchange(&mut self, sent: &[u8], received: &mut [u8]) -> Result<(), ErrorKind> {
        saw(self.0);
        self.1.select();
        for (sent, received) in sent.iter().zip(received) {
            *received = self.1.shift(*sent);
        }
        self.1.deselect();
        Ok(())
    }
}

/// MAX31855, datasheet table 2: 31 to 18 are the thermocouple's quarters of a degree.
struct Max31855Chip(u8);

impl Chip for Max31855Chip {
    fn select(&mut self) {
        self.0 = 0;
    }

    fn shift(&mut self, _: u8) -> u8 {
        self.0 += 1;
        (1_000_u32 << 18).to_be_bytes()[usize::from(self.0) - 1]
    }

    fn deselect(&mut self) {}
}

/// Registers of 16 bits behind a pointer, as LM75 and ADS1115 have them.
struct Words(usize, [u16; 4], usize);

impl I2cChip for Words {
    fn transaction(&mut self, operations: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        saw(self.0);
        for operation in operations {
            match operation {
                i2c::Operation::Write([pointer, rest @ ..]) => {
                    self.2 = usize::from(*pointer);
                    if let [high, low] = *rest {
                        self.1[self.2] = u16::from_be_bytes([high, low]);
                    }
                }
                i2c::Operation::Write([]) => {}
                i2c::Operation::Read(bytes) => {
                    let word = self.1[self.2].to_be_bytes();
                    let length = bytes.len().min(2);
                    bytes[..length].copy_from_slice(&word[..length]);
                }
            }
        }
        Ok(())
    }
}

/// A user driver for each of the crates: its name in the board file, its signals, and the
/// crate's type over a bus handle.
macro_rules! driver {
    ($kind:ident, $name:literal, $open:ident, $chip:ty, $signal:ty, $read:expr, $make:expr) => {
        #[derive(Copy, Clone)]
        struct $kind($signal);

        struct $open {
            chip: $chip,
            signal: $signal,
        }

        impl Driver for $kind {
            const NAME: &'static str = $name;
            type Device = $open;

            fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
                let read: fn(&mut DeviceTable<'_, '_>) -> Result<$signal, ConfigError> = $read;
                read(table).map(Self)
            }

            fn open(&self, opening: &mut Opening<'_>) -> Result<$open, ConfigError> {
                Err(opening.error("there is no such chip", "simulate the board"))
            }

            fn simulate(&self) -> Option<$open> {
                let make: fn() -> Option<$chip> = $make;
                Some($open {
                    chip: make()?,
                    signal: self.0,
                })
            }
        }
    };
}

driver!(
    Imu,
    "bmi160",
    OpenImu,
    Bmi160<SpiInterface<Spi>>,
    Input<f64>,
    |table| table.publish("x", "1"),
    || {
        let mut chip = Bmi160Chip::new();
        chip.registers[ACC_X..ACC_X + 2].copy_from_slice(&[0x34, 0x12]);
        let mut imu = Bmi160::new_with_spi(Spi::simulated(Wired(0, chip)));
        imu.set_accel_power_mode(AccelerometerPowerMode::Normal)
            .ok()?;
        Some(imu)
    }
);

impl Device for OpenImu {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let data = self.chip.data(SensorSelector::new().accel());
        let x = data
            .ok()
            .and_then(|data| data.accel)
            .map(|accel| f64::from(accel.x));
        readings.put(self.signal, x.ok_or(InputError::Bus));
    }
}

driver!(
    Stepper,
    "tmc5072",
    OpenStepper,
    Tmc5072<Spi>,
    (Output<f64>, Input<f64>),
    |table| Ok((
        table.command("target", "1", -1e6..=1e6)?,
        table.publish("position", "1")?,
    )),
    || Tmc5072::new(Spi::simulated(Wired(1, Tmc5072Chip::new()))).ok()
);

impl Device for OpenStepper {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let read = self.chip.read_register::<XActual<0>>();
        let steps = read.map(|read| f64::from(read.data.x_actual));
        readings.put(self.signal.1, steps.map_err(|_| InputError::Bus));
    }

    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let x_target = commands.get(self.signal.0) as i32;
        let written = self.chip.write_register(XTarget::<0> { x_target });
        written.map(|_| ()).map_err(|_| NotDriven)
    }
}

driver!(
    Dac,
    "ad5754",
    OpenDac,
    Ad57xxShared<Spi, Ad57x4>,
    Output<f64>,
    |table| table.command("code", "1", 0.0..=65_535.0),
    || {
        let mut dac = Ad57xxShared::new_ad57x4(Spi::simulated(Wired(2, Ad5754Chip::default())));
        dac.set_power(ChannelQuad::DacB, true).ok()?;
        dac.set_output_range(ChannelQuad::DacB, OutputRange::Bipolar10V)
            .ok()?;
        Some(dac)
    }
);

impl Device for OpenDac {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let code = commands.get(self.signal) as u16;
        let set = self.chip.set_dac_output(ChannelQuad::DacB, code);
        set.and_then(|()| self.chip.load_dacs())
            .map_err(|_| NotDriven)
    }
}

driver!(
    Thermocouple,
    "max31855",
    OpenThermocouple,
    Max31855<Spi>,
    Input<f64>,
    |table| table.publish("temperature", "degC"),
    || Some(Max31855::new(Spi::simulated(Wired(3, Max31855Chip(0)))))
);

impl Device for OpenThermocouple {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let read = self
            .chip
            .read()
            .map(|data| f64::from(data.thermo_temperature()));
        readings.put(self.signal, read.map_err(|_| InputError::Bus));
    }
}

driver!(
    Thermometer,
    "lm75",
    OpenThermometer,
    Lm75<I2c, lm75_ic::Lm75>,
    Input<f64>,
    |table| table.publish("temperature", "degC"),
    || {
        let bus = I2c::simulated().with_chip(0x48, Words(4, [0x1900, 0, 0, 0], 0));
        Some(Lm75::new(bus, Address::from(0x48)))
    }
);

impl Device for OpenThermometer {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let read = self.chip.read_temperature().map(f64::from);
        readings.put(self.signal, read.map_err(|_| InputError::Bus));
    }
}

driver!(
    Converter,
    "ads1115",
    OpenConverter,
    Ads1x1x<I2c, ic::Ads1115, ic::Resolution16Bit, mode::Continuous>,
    Input<f64>,
    |table| table.publish("counts", "1"),
    || {
        let bus = I2c::simulated().with_chip(0x48, Words(5, [1_234, 0, 0, 0], 0));
        let adc = Ads1x1x::new_ads1115(bus, TargetAddr::Gnd);
        let mut adc = adc.into_continuous().ok()?;
        adc.select_channel(channel::SingleA0).ok()?;
        Some(adc)
    }
);

impl Device for OpenConverter {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let read = self.chip.read().map(f64::from);
        readings.put(self.signal, read.map_err(|_| InputError::Bus));
    }
}

/// Steps the motor, outputs the count, and publishes the readings.
#[derive(Clone)]
struct Moves {
    sensed: [Input<f64>; 5],
    told: [Output<f64>; 5],
    position: Input<f64>,
    target: Output<f64>,
    code: Output<f64>,
}

impl Law for Moves {
    type State = ();

    fn start(&self) {}

    fn step(&self, (): &mut (), io: &mut Io<'_>) {
        for (sensed, told) in self.sensed.iter().zip(self.told) {
            io.set(told, io.read(*sensed).value.unwrap_or(-1.0));
        }
        if let Ok(position) = io.read(self.position).value {
            io.set(self.target, position + 1.0);
            io.set(self.code, position);
        }
    }
}

impl LawKind for Moves {
    const KIND: &'static str = "moves";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            sensed: [
                table.input("x", "1")?,
                table.input("oven", "degC")?,
                table.input("room", "degC")?,
                table.input("counts", "1")?,
                table.input("position", "1")?,
            ],
            told: [
                table.publish("x", "1", 0.0)?,
                table.publish("oven", "degC", 0.0)?,
                table.publish("room", "degC", 0.0)?,
                table.publish("counts", "1", 0.0)?,
                table.publish("position", "1", 0.0)?,
            ],
            position: table.input("position", "1")?,
            target: table.output("target", "1")?,
            code: table.output("code", "1")?,
        })
    }
}

const BOARD: &str = r#"
[board]
name = "six"
realtime = "best-effort"
devices = "simulated"
[loop]
period_us = 1000
cpu = "any"
[device.imu]
driver = "bmi160"
[device.oven]
driver = "max31855"
[device.room]
driver = "lm75"
[device.adc]
driver = "ads1115"
[device.motor]
driver = "tmc5072"
max_hold_ms = 20
shutdown = 1
safe = { target = 0.0 }
[device.dac]
driver = "ad5754"
max_hold_ms = 20
shutdown = 1
safe = { code = 0.0 }
[law.moves]
kind = "moves"
x = "imu.x"
oven = "oven.temperature"
room = "room.temperature"
counts = "adc.counts"
position = "motor.position"
target = "motor.target"
code = "dac.code"
[simulation]
"#;

#[test]
fn six_published_drivers_are_used_in_each_cycle_of_a_loop_that_does_not_allocate() {
    let firmware = Firmware::stock()
        .driver::<Imu>()
        .driver::<Stepper>()
        .driver::<Dac>()
        .driver::<Thermocouple>()
        .driver::<Thermometer>()
        .driver::<Converter>()
        .law::<Moves>();
    let config = firmware
        .read("six.toml", BOARD)
        .unwrap_or_else(|error| panic!("{error}"));
    let names = ["x", "oven", "room", "counts", "position"];
    let signals = names.map(|name| config.signal::<f64>(&format!("moves.{name}")).unwrap());
    static LAST: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];
    let watch = move |world: &mut World<'_>| {
        for (signal, last) in signals.iter().zip(&LAST) {
            let value = world.read(*signal).value.unwrap_or(f64::NAN);
            last.store(value.to_bits(), Ordering::Relaxed);
        }
    };
    let before = SEEN.each_ref().map(|seen| seen.load(Ordering::Relaxed));
    let report = firmware.simulate_with(&config, CYCLES, watch).unwrap();
    assert_eq!(report.exit.code, 0, "{}", report.exit.reason);
    assert_eq!(report.memory.allocations, Some(0));
    for (number, (seen, before)) in SEEN.iter().zip(before).enumerate() {
        let seen = seen.load(Ordering::Relaxed) - before;
        assert!(seen >= CYCLES, "chip {number}: {seen} transfers");
    }
    let [x, oven, room, counts, position] = LAST
        .each_ref()
        .map(|last| f64::from_bits(last.load(Ordering::Relaxed)));
    assert_eq!(
        (x, oven, room, counts),
        (f64::from(0x1234), 250.0, 25.0, 1_234.0)
    );
    assert!(position > CYCLES as f64 / 4.0, "{position} steps");
}
