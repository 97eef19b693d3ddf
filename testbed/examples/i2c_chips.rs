//! `i2c_chips ADAPTER READINGS`: reads chips on a kernel I2C adapter as in a loop, with a
//! published driver and without allocating.
//!
//! At 0x48 a TMP105, at 0x50 an EEPROM of 256 bytes; no chip at 0x51. It prints
//!
//! ```text
//! @@i2c temperature -25.5
//! @@i2c eeprom 5a
//! @@i2c absent the I2C transfer timed out: ...
//! @@i2c allocations 0
//! ```

use std::path::Path;
use std::process::ExitCode;

use embedded_hal::i2c::I2c;
use lm75::Lm75;
use steadfast::device::i2c::{I2cConfig, I2cdev};
use steadfast::realtime::allocator::{self, RealtimeThread, Seal, SealedAllocator};

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

const EEPROM: u8 = 0x50;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let adapter = arguments.next().unwrap_or_default();
    let readings = arguments.next().and_then(|count| count.parse().ok());
    let Some(readings) = readings else {
        eprintln!("i2c_chips ADAPTER READINGS");
        return ExitCode::from(2);
    };
    match read(Path::new(&adapter), readings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("i2c_chips: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(adapter: &Path, readings: u32) -> Result<(), String> {
    let open = || {
        I2cdev::open(adapter, &I2cConfig { timeout_ms: 20 })
            .map_err(|error| error.explain(adapter).to_string())
    };
    let mut sensor = Lm75::new(open()?, lm75::Address::default());
    let mut bus = open()?;
    let mut temperature = 0.0;
    let mut byte = [0];
    let mut outcome = Ok(());

    let mark = RealtimeThread::mark();
    allocator::seal(Seal::Count);
    for _ in 0..readings {
        match sensor.read_temperature() {
            Ok(celsius) => temperature = celsius,
            Err(error) => outcome = Err(error),
        }
    }
    let eeprom = bus
        .write(EEPROM, &[0x10, 0x5A])
        .and_then(|()| bus.write_read(EEPROM, &[0x10], &mut byte));
    let absent = bus.write_read(0x51_u8, &[0], &mut [0]);
    allocator::unseal();
    let allocations = allocator::counts();
    drop(mark);

    outcome.map_err(|error| format!("the sensor: {error:?}"))?;
    eeprom.map_err(|error| format!("the EEPROM: {error}"))?;
    println!("@@i2c temperature {temperature:.1}");
    println!("@@i2c eeprom {:02x}", byte[0]);
    match absent {
        Ok(()) => println!("@@i2c absent answered"),
        Err(error) => println!("@@i2c absent {error}"),
    }
    println!(
        "@@i2c allocations {}",
        allocations.realtime + allocations.others
    );
    Ok(())
}
