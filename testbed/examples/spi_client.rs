//! An independent SPI client for the board tier: linux-embedded-hal as published.
//!
//! ```text
//! spi_client /dev/spidev3.0 MESSAGE...
//! ```
//!
//! A message is bytes in hexadecimal, sent and received in place (`9f000000`), or bytes
//! and a count: the bytes are sent, then `count` bytes received (`9f,3`, one message of two
//! transfers). For each message it prints the received bytes or the errno:
//!
//! ```text
//! @@spi ffef5014
//! @@spi errno 5
//! ```

use std::process::ExitCode;

use embedded_hal::spi::{Operation, SpiDevice};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(node) = arguments.next() else {
        eprintln!("spi_client NODE MESSAGE...");
        return ExitCode::from(2);
    };
    let mut device = match open(&node) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("spi_client: {node}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for message in arguments {
        let Some((mut sent, count)) = parse(&message) else {
            eprintln!("spi_client: '{message}' is no message");
            return ExitCode::from(2);
        };
        let mut received = vec![0; count];
        let outcome = match count {
            0 => device.transfer_in_place(&mut sent),
            _ => device.transaction(&mut [Operation::Write(&sent), Operation::Read(&mut received)]),
        };
        match outcome {
            Ok(()) => {
                let bytes = if count == 0 { &sent } else { &received };
                let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                println!("@@spi {text}");
            }
            Err(error) => match error.inner().raw_os_error() {
                Some(number) => println!("@@spi errno {number}"),
                None => println!("@@spi error {}", error.inner()),
            },
        }
    }
    ExitCode::SUCCESS
}

/// Opens and configures the node, and checks the configuration that it reads back.
fn open(node: &str) -> Result<SpidevDevice, String> {
    let mut device = SpidevDevice::open(node).map_err(|error| error.to_string())?;
    let options = SpidevOptions::new()
        .bits_per_word(8)
        .max_speed_hz(1_000_000)
        .mode(SpiModeFlags::SPI_MODE_0)
        .build();
    device
        .0
        .configure(&options)
        .map_err(|error| error.to_string())?;
    let found = device
        .0
        .query_configuration()
        .map_err(|error| error.to_string())?;
    if (found.bits_per_word, found.max_speed_hz) != (Some(8), Some(1_000_000)) {
        return Err(format!("configured otherwise: {found:?}"));
    }
    Ok(device)
}

fn parse(message: &str) -> Option<(Vec<u8>, usize)> {
    let (bytes, count) = match message.split_once(',') {
        Some((bytes, count)) => (bytes, count.parse().ok()?),
        None => (message, 0),
    };
    let digits = bytes.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let parsed: Option<Vec<u8>> = digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Some((parsed?, count))
}
