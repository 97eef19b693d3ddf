//! `own_chips COMMAND ...`: a firmware with its own drivers and law, for chips on a kernel
//! I2C adapter. `own_chips peek ADAPTER` prints the value of the actuator.
//!
//! At 0x48 a TMP105, read through a published driver crate. At 0x50 an EEPROM, whose byte
//! at 0x20 is the actuator: it keeps its value after the end of this process.

use std::process::ExitCode;

use embedded_hal::i2c::I2c as _;
use lm75::{Address, Lm75, ic};
use steadfast::bus::I2c;
use steadfast::config::{ConfigError, DeviceTable, Driver, I2cClaim, LawKind, LawTable, Opening};
use steadfast::cycle::device::{Device, NotDriven};
use steadfast::cycle::image::InputError;
use steadfast::cycle::law::Law;
use steadfast::cycle::signal::{Commands, Input, Io, Output, Readings};
use steadfast::device::i2c::I2cConfig;
use steadfast::firmware::Firmware;
use steadfast::realtime::allocator::SealedAllocator;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// Address of the actuator's byte in the EEPROM.
const BYTE: u8 = 0x20;

struct Thermometer {
    bus: I2cClaim,
    celsius: Input<f64>,
}

struct OpenThermometer {
    chip: Lm75<I2c, ic::Lm75>,
    celsius: Input<f64>,
}

impl Device for OpenThermometer {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let read = self.chip.read_temperature().map(f64::from);
        readings.put(self.celsius, read.map_err(|_| InputError::Bus));
    }
}

impl Driver for Thermometer {
    const NAME: &'static str = "tmp105";
    type Device = OpenThermometer;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            bus: table.i2c()?,
            celsius: table.publish("temperature", "degC")?,
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenThermometer, ConfigError> {
        let (bus, address) = opening.i2c(self.bus)?;
        Ok(OpenThermometer {
            chip: Lm75::new(bus, Address::from(address)),
            celsius: self.celsius,
        })
    }
}

struct Valve {
    bus: I2cClaim,
    opening: Output<f64>,
}

struct OpenValve {
    bus: I2c,
    address: u8,
    opening: Output<f64>,
}

impl Device for OpenValve {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let frame = [BYTE, commands.get(self.opening) as u8];
        self.bus.write(self.address, &frame).map_err(|_| NotDriven)
    }
}

impl Driver for Valve {
    const NAME: &'static str = "valve";
    type Device = OpenValve;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            bus: table.i2c()?,
            opening: table.command("opening", "1", 0.0..=255.0)?,
        })
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenValve, ConfigError> {
        let (bus, address) = opening.i2c(self.bus)?;
        opening.safe_i2c(&bus, address, &[BYTE, 7])?;
        Ok(OpenValve {
            bus,
            address,
            opening: self.opening,
        })
    }
}

/// How the law ends.
#[derive(Copy, Clone)]
enum End {
    Never,
    Panics,
    Hangs,
}

/// Opens the valve while the temperature is known, and ends as configured.
#[derive(Clone)]
struct Opens {
    temperature: Input<f64>,
    valve: Output<f64>,
    enable: Output<bool>,
    end: End,
}

impl Law for Opens {
    type State = u32;

    fn start(&self) -> u32 {
        0
    }

    fn step(&self, cycles: &mut u32, io: &mut Io<'_>) {
        if io.read(self.temperature).value.is_ok() && !io.is_stopping() {
            io.set(self.valve, 200.0);
            io.set(self.enable, true);
        }
        *cycles += 1;
        match self.end {
            // After the rehearsal, whose state is discarded.
            End::Panics if *cycles == 150 => panic!("injected by the board file"),
            End::Hangs if *cycles == 150 => loop {
                std::hint::spin_loop();
            },
            End::Never | End::Panics | End::Hangs => {}
        }
    }
}

impl LawKind for Opens {
    const KIND: &'static str = "opens";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        let ends = [
            ("never", End::Never),
            ("panics", End::Panics),
            ("hangs", End::Hangs),
        ];
        Ok(Self {
            temperature: table.input("temperature", "degC")?,
            valve: table.output("valve", "1")?,
            enable: table.output("enable", "")?,
            end: table.choice("end", &ends)?,
        })
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("peek") {
        return Firmware::stock()
            .driver::<Thermometer>()
            .driver::<Valve>()
            .law::<Opens>()
            .main();
    }
    let adapter = arguments.next().unwrap_or_default();
    let mut held = [0];
    let read = I2c::open(adapter.as_ref(), &I2cConfig { timeout_ms: 20 })
        .map_err(|error| format!("{error:?}"))
        .and_then(|mut bus| {
            let read = bus.write_read(0x50_u8, &[BYTE], &mut held);
            read.map_err(|error| error.to_string())
        });
    match read {
        Ok(()) => println!("@@held {}", held[0]),
        Err(error) => println!("@@held {error}"),
    }
    ExitCode::SUCCESS
}
