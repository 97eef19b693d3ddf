//! One SPI chip, by either path, for the board tier: the firmware's own `Spidev`.
//!
//! ```text
//! spi_paths /dev/spidev3.0              through the kernel
//! spi_paths ecspi 30840000 80000000 /dev/mem
//!                                       by registers at this address, with this clock of the
//!                                       controller, Hz; `uio` in place of /dev/mem: by UIO
//! ```
//!
//! It runs the same transactions by both, and prints the bytes of each, or its error:
//!
//! ```text
//! @@path id ef5014
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use embedded_hal::spi::{MODE_0, Operation, SpiDevice};
use steadfast::device::spi::registers::{Chip, Kind, Place, Wire};
use steadfast::device::spi::{SpiConfig, SpiError, Spidev};

const SPEED_HZ: u32 = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let opened = match arguments[..] {
        [node] => through_kernel(node),
        [controller, address, clock_hz, device] => {
            by_registers(controller, address, clock_hz, device)
        }
        _ => Err("NODE, or CONTROLLER ADDRESS CLOCK DEVICE".to_owned()),
    };
    match opened {
        Ok(mut chip) => {
            transactions(&mut chip);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("spi_paths: {error}");
            ExitCode::FAILURE
        }
    }
}

fn through_kernel(node: &str) -> Result<Spidev, String> {
    let path = Path::new(node);
    let config = SpiConfig {
        mode: MODE_0,
        max_speed_hz: SPEED_HZ,
    };
    Spidev::open(path, &config).map_err(|error| error.explain(path).to_string())
}

fn by_registers(
    controller: &str,
    address: &str,
    clock_hz: &str,
    device: &str,
) -> Result<Spidev, String> {
    let kind = [Kind::Ecspi, Kind::Bcm2835].into_iter();
    let kind = kind
        .clone()
        .find(|kind| kind.name() == controller)
        .ok_or("unknown controller")?;
    let place = Place {
        path: Path::new(device),
        address: u64::from_str_radix(address, 16).map_err(|_| "no address")?,
    };
    let clock_hz = clock_hz.parse().map_err(|_| "no clock")?;
    let wire = Wire {
        mode: MODE_0,
        select: 0,
        divider: kind.divider(clock_hz, SPEED_HZ).ok_or("too slow")?,
        setup_ns: 1_000,
    };
    let chip = Chip::open(kind, place, wire);
    let chip = chip.map_err(|error| error.explain(place.path).to_string())?;
    Ok(Spidev::by_registers(chip))
}

fn show(name: &str, outcome: Result<(), SpiError>, bytes: &[u8]) {
    match outcome {
        Ok(()) => {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("@@path {name} {text}");
        }
        Err(error) => println!("@@path {name} {error:?}"),
    }
}

/// The command 9Fh of the w25q80 is its identification. The emulated chip is never released: it
/// sends six bytes (three are zero), whatever it receives, and then takes the next command. Zero is
/// no command. Each transaction depends on where the last one ended.
fn transactions(chip: &mut Spidev) {
    let mut id = [0; 3];
    for _ in 0..2 {
        let outcome = chip.transaction(&mut [Operation::Write(&[0x9f]), Operation::Read(&mut id)]);
        show("id", outcome, &id);
    }
    let mut in_place = [0x9f, 0, 0, 0];
    show("in-place", chip.transfer_in_place(&mut in_place), &in_place);
    let mut longer = [0; 3];
    show("uneven", chip.transfer(&mut longer, &[0x9f, 0]), &longer);
    let mut rest = [0; 1];
    show("rest", chip.read(&mut rest), &rest);
    let began = Instant::now();
    let paused = chip.transaction(&mut [
        Operation::Write(&[0x9f, 0, 0, 0]),
        Operation::DelayNs(3_000_000),
        Operation::Write(&[0x9f]),
        Operation::Read(&mut id),
    ]);
    show("paused", paused, &id);
    let long_enough = began.elapsed() >= Duration::from_millis(3);
    println!("@@path pause was long enough: {long_enough}");
    // Longer than a FIFO. The identifications have different distances, so that a word in the
    // wrong place is seen, and the last one is whole: the chip waits for a command again.
    let mut long = [0; 500];
    let mut at = 0;
    for distance in (7..12).cycle() {
        if at + 7 > long.len() {
            break;
        }
        long[at] = 0x9f;
        at += distance;
    }
    let outcome = chip.transfer_in_place(&mut long);
    show("long", outcome, &long);
}
