//! I2C transactions as passed to the kernel, with chips that reply byte by byte, and with
//! published embedded-hal 1.0 drivers. None of them allocates.
#![cfg(feature = "linux")]

mod device_count;

use device_count::allocator_calls;
use embedded_hal::i2c::{Error as _, ErrorKind, I2c, NoAcknowledgeSource, Operation};
use steadfast::device::i2c::{
    I2cConfig, I2cError, I2cdev, MAX_MESSAGES, MERGE_BYTES, Message, OpenError, Transfer,
};
use steadfast::sys::Errno;

/// A bus that records its messages, and reads 1, 2, 3 ...
#[derive(Default)]
struct Noted {
    /// Address, direction and bytes of each message.
    messages: Vec<(u16, char, Vec<u8>)>,
    calls: usize,
    answer: Option<Errno>,
    /// Number of messages of a transfer that are not executed.
    missing: usize,
}

impl Transfer for Noted {
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno> {
        self.calls += 1;
        if let Some(errno) = self.answer {
            return Err(errno);
        }
        let mut next = 1;
        for message in messages.iter_mut() {
            let address = message.address();
            if let Some(bytes) = message.read_mut() {
                for byte in bytes.iter_mut() {
                    *byte = next;
                    next += 1;
                }
                let bytes = bytes.to_vec();
                self.messages.push((address, 'r', bytes));
            } else {
                let bytes = message.written().unwrap().to_vec();
                self.messages.push((address, 'w', bytes));
            }
        }
        Ok(messages.len() - self.missing)
    }
}

#[test]
fn a_write_read_is_one_transfer_of_two_messages() {
    let mut bus = I2cdev::with(Noted::default());
    let mut read = [0; 2];
    bus.write_read(0x48_u8, &[0xAA], &mut read).unwrap();
    assert_eq!(read, [1, 2]);
    let noted = bus.calls();
    assert_eq!(noted.calls, 1);
    assert_eq!(
        noted.messages,
        [(0x48, 'w', vec![0xAA]), (0x48, 'r', vec![1, 2])]
    );
}

#[test]
fn adjacent_operations_of_one_direction_are_one_message() {
    let mut bus = I2cdev::with(Noted::default());
    let (mut one, mut two, mut three) = ([0; 2], [0; 1], [0; 2]);
    bus.transaction(
        0x3C_u8,
        &mut [
            Operation::Write(&[0x40]),
            Operation::Write(&[7, 8]),
            Operation::Read(&mut one),
            Operation::Read(&mut two),
            Operation::Write(&[9]),
            Operation::Read(&mut three),
        ],
    )
    .unwrap();
    assert_eq!((one, two, three), ([1, 2], [3], [4, 5]));
    assert_eq!(
        bus.calls().messages,
        [
            (0x3C, 'w', vec![0x40, 7, 8]),
            (0x3C, 'r', vec![1, 2, 3]),
            (0x3C, 'w', vec![9]),
            (0x3C, 'r', vec![4, 5]),
        ]
    );
}

#[test]
fn an_impossible_transaction_is_refused_before_any_transfer() {
    let mut bus = I2cdev::with(Noted::default());
    let refused = bus.write(0x80_u8, &[1]).unwrap_err();
    assert_eq!(refused, I2cError::InvalidAddress { address: 0x80 });
    let refused = bus.write(0x400_u16, &[1]).unwrap_err();
    assert_eq!(refused, I2cError::InvalidAddress { address: 0x400 });

    let half = [0; MERGE_BYTES / 2 + 1];
    let refused = bus
        .transaction(
            0x10_u8,
            &mut [Operation::Write(&half), Operation::Write(&half)],
        )
        .unwrap_err();
    let bytes = MERGE_BYTES + 2;
    assert_eq!(refused, I2cError::TooLong { bytes });
    let refused = bus.write(0x10_u8, &[0; 8_193]).unwrap_err();
    assert_eq!(refused, I2cError::TooLong { bytes: 8_193 });

    let mut read = [[0; 1]; MAX_MESSAGES];
    let mut many: Vec<_> = read
        .iter_mut()
        .flat_map(|byte| [Operation::Write(&[1]), Operation::Read(byte)])
        .collect();
    let refused = bus.transaction(0x10_u8, &mut many).unwrap_err();
    assert_eq!(refused, I2cError::TooManyMessages);

    assert_eq!(bus.transaction(0x10_u8, &mut []), Ok(()));
    assert_eq!(bus.calls().calls, 0);
}

#[test]
fn errors_of_the_adapter_reach_the_driver() {
    let mut bus = I2cdev::with(Noted {
        answer: Some(Errno(libc::ENXIO)),
        ..Noted::default()
    });
    let refused = bus.read(0x10_u8, &mut [0]).unwrap_err();
    let unknown = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown);
    assert_eq!(refused.kind(), unknown);

    let mut bus = I2cdev::with(Noted {
        missing: 1,
        ..Noted::default()
    });
    let refused = bus.write_read(0x10_u8, &[0], &mut [0]).unwrap_err();
    let short = I2cError::Short {
        expected: 2,
        got: 1,
    };
    assert_eq!(refused, short);
}

#[test]
fn each_failure_to_open_an_adapter_has_its_error() {
    let open = |path: &str, timeout_ms| {
        I2cdev::open(std::path::Path::new(path), &I2cConfig { timeout_ms }).err()
    };
    let missing = open("/dev/no-such-i2c", 20);
    assert_eq!(missing, Some(OpenError::Open(Errno(libc::ENOENT))));
    assert!(matches!(
        open("/dev/null", 20),
        Some(OpenError::Query(Errno(libc::ENOTTY | libc::ENOSYS)))
    ));
}

/// TI TMP102 and LM75 (datasheet SNIS153, "Pointer Register"): the first byte written
/// is the register, a read gives its 16 bits, the upper byte first.
struct Lm75Chip {
    pointer: usize,
    registers: [u16; 4],
    transfers: u64,
}

impl Transfer for Lm75Chip {
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno> {
        self.transfers += 1;
        for message in messages.iter_mut() {
            if message.address() != 0x48 {
                return Err(Errno(libc::ENXIO));
            }
            if let Some(&[pointer, ..]) = message.written() {
                self.pointer = usize::from(pointer & 3);
            }
            let register = self.registers[self.pointer].to_be_bytes();
            if let Some(bytes) = message.read_mut() {
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = register[at & 1];
                }
            }
        }
        Ok(messages.len())
    }
}

#[test]
fn lm75_reads_its_temperature_without_allocating() {
    // -25 degrees Celsius: 9 bits of 0.5 K, left aligned (table "Temperature Data").
    let mut sensor = lm75::Lm75::new(
        I2cdev::with(Lm75Chip {
            pointer: 0,
            registers: [0b1110_0111_0000_0000, 0, 0, 0],
            transfers: 0,
        }),
        lm75::Address::default(),
    );
    let calls = allocator_calls(|| {
        for _ in 0..10_000 {
            assert_eq!(sensor.read_temperature().unwrap(), -25.0);
        }
    });
    assert_eq!(calls, 0, "calls of the allocator");
    assert_eq!(sensor.destroy().calls().transfers, 10_000);
}

/// TI ADS1015 (datasheet SBAS473, "Register Map"): conversion register 0, 12 bits
/// left aligned; configuration register 1, whose bit 15 reads 1 when a conversion is
/// done.
struct Ads1015Chip {
    pointer: u8,
    configuration: u16,
    conversion: u16,
}

impl Transfer for Ads1015Chip {
    fn transfer(&mut self, messages: &mut [Message<'_>]) -> Result<usize, Errno> {
        for message in messages.iter_mut() {
            match message.written() {
                Some(&[pointer, high, low]) => {
                    assert_eq!(pointer, 1, "the driver writes only the configuration");
                    self.configuration = u16::from_be_bytes([high, low]);
                }
                Some(&[pointer]) => self.pointer = pointer,
                Some(other) => panic!("{other:?} is not a write of this chip"),
                None => {}
            }
            if let Some(bytes) = message.read_mut() {
                let register = match self.pointer {
                    0 => self.conversion,
                    _ => self.configuration | 0x8000,
                };
                bytes.copy_from_slice(&register.to_be_bytes());
            }
        }
        Ok(messages.len())
    }
}

#[test]
fn ads1015_reads_its_channels_without_allocating() {
    use ads1x1x::{Ads1x1x, TargetAddr, channel};
    let chip = Ads1015Chip {
        pointer: 0,
        configuration: 0,
        conversion: 1_234 << 4,
    };
    let mut adc = Ads1x1x::new_ads1015(I2cdev::with(chip), TargetAddr::default());
    let calls = allocator_calls(|| {
        for _ in 0..10_000 {
            // The first call starts the conversion, later ones fetch it.
            let read = loop {
                match adc.read(channel::SingleA0) {
                    Ok(read) => break read,
                    Err(again) => assert!(
                        matches!(again, nb::Error::WouldBlock),
                        "the bus has no errors here"
                    ),
                }
            };
            assert_eq!(read, 1_234);
        }
    });
    assert_eq!(calls, 0, "calls of the allocator");
}
