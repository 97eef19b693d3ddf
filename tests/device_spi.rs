//! The SPI device with a stub of the ioctl: the request of each transaction byte by byte, and
//! the error of each answer.
#![cfg(feature = "linux")]

use embedded_hal::spi::{Operation, SpiDevice};
use steadfast::device::spi::{MAX_OPERATIONS, MAX_TRANSFERS, Message, SpiError, Spidev, Transfer};
use steadfast::sys::Errno;

/// One transfer as received by the stub.
#[derive(Debug, PartialEq)]
struct Seen {
    raw: [u8; 32],
    tx: Option<Vec<u8>>,
}

/// Replies to each byte with 0xA0 plus its position in the message.
#[derive(Default)]
struct Stub {
    seen: Vec<Seen>,
    messages: usize,
    answer: Option<Result<usize, Errno>>,
}

impl Message for Stub {
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        self.messages += 1;
        self.seen.clear();
        let mut place = 0;
        for transfer in transfers {
            self.seen.push(Seen {
                raw: *transfer.as_bytes(),
                tx: transfer.tx().map(<[u8]>::to_vec),
            });
            let length = transfer.bytes();
            for (i, byte) in transfer.rx_mut().into_iter().flatten().enumerate() {
                *byte = 0xA0 + (place + i) as u8;
            }
            place += length;
        }
        self.answer.unwrap_or(Ok(place))
    }
}

/// `struct spi_ioc_transfer` as linux/spi/spidev.h lays it out.
fn raw(tx: u64, rx: u64, len: u32, delay_us: u16) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0..8].copy_from_slice(&tx.to_ne_bytes());
    bytes[8..16].copy_from_slice(&rx.to_ne_bytes());
    bytes[16..20].copy_from_slice(&len.to_ne_bytes());
    bytes[24..26].copy_from_slice(&delay_us.to_ne_bytes());
    bytes
}

fn device() -> Spidev<Stub> {
    Spidev::with(Stub::default(), 4_096)
}

fn transfers(device: &Spidev<Stub>) -> Vec<[u8; 32]> {
    device.calls().seen.iter().map(|seen| seen.raw).collect()
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

#[test]
fn every_operation_becomes_its_transfer_in_one_message() {
    let (mut read, write, mut inout) = ([0; 3], [1, 2], [7, 8, 9, 10]);
    let (mut rx, tx) = ([0; 2], [5, 6]);
    let expected = vec![
        raw(0, address(&read), 3, 0),
        raw(address(&write), 0, 2, 0),
        raw(address(&tx), address(&rx), 2, 0),
        raw(address(&inout), address(&inout), 4, 25),
    ];
    let mut device = device();
    device
        .transaction(&mut [
            Operation::Read(&mut read),
            Operation::Write(&write),
            Operation::Transfer(&mut rx, &tx),
            Operation::TransferInPlace(&mut inout),
            Operation::DelayNs(25_000),
        ])
        .unwrap();
    assert_eq!(transfers(&device), expected);
    assert_eq!(device.calls().messages, 1);
    let sent: Vec<_> = device.calls().seen.iter().map(|s| s.tx.clone()).collect();
    let expected = [
        None,
        Some(vec![1, 2]),
        Some(vec![5, 6]),
        Some(vec![7, 8, 9, 10]),
    ];
    assert_eq!(sent, expected);
    assert_eq!(read, [0xA0, 0xA1, 0xA2]);
    assert_eq!(rx, [0xA5, 0xA6]);
    assert_eq!(inout, [0xA7, 0xA8, 0xA9, 0xAA]);
}

#[test]
fn the_convenience_methods_use_the_same_transfers() {
    let mut device = device();
    let (mut three, tx) = ([0; 3], [1, 2, 3]);
    device.write(&tx).unwrap();
    assert_eq!(transfers(&device), [raw(address(&tx), 0, 3, 0)]);
    device.read(&mut three).unwrap();
    assert_eq!(transfers(&device), [raw(0, address(&three), 3, 0)]);
    device.transfer_in_place(&mut three).unwrap();
    let at = address(&three);
    assert_eq!(transfers(&device), [raw(at, at, 3, 0)]);
}

#[test]
fn a_transfer_of_unequal_lengths_runs_for_the_longer_one() {
    let mut device = device();
    let (mut rx, tx) = ([0; 5], [1, 2]);
    let expected = [
        raw(address(&tx), address(&rx), 2, 0),
        raw(0, address(&rx) + 2, 3, 0),
    ];
    device.transfer(&mut rx, &tx).unwrap();
    assert_eq!(transfers(&device), expected);
    assert_eq!(rx, [0xA0, 0xA1, 0xA2, 0xA3, 0xA4]);

    let (mut rx, tx) = ([0; 1], [1, 2, 3]);
    let expected = [
        raw(address(&tx), address(&rx), 1, 0),
        raw(address(&tx) + 1, 0, 2, 0),
    ];
    device.transfer(&mut rx, &tx).unwrap();
    assert_eq!(transfers(&device), expected);

    let mut nothing_in: [u8; 0] = [];
    device.transfer(&mut nothing_in, &tx).unwrap();
    assert_eq!(transfers(&device), [raw(address(&tx), 0, 3, 0)]);
}

#[test]
fn pauses_are_rounded_up_to_whole_microseconds() {
    for (ns, us) in [
        (0, 0),
        (1, 1),
        (999, 1),
        (1_000, 1),
        (1_001, 2),
        (65_535_000, 65_535),
    ] {
        let mut device = device();
        let tx = [1];
        device
            .transaction(&mut [Operation::Write(&tx), Operation::DelayNs(ns)])
            .unwrap();
        assert_eq!(transfers(&device), [raw(address(&tx), 0, 1, us)], "{ns} ns");
    }
}

#[test]
fn a_pause_longer_than_one_transfer_can_hold_is_split() {
    let mut device = device();
    let tx = [1];
    device
        .transaction(&mut [
            Operation::DelayNs(65_535_001),
            Operation::Write(&tx),
            Operation::DelayNs(200_000_000),
            Operation::DelayNs(1),
        ])
        .unwrap();
    let expected = [
        raw(0, 0, 0, 65_535),
        raw(0, 0, 0, 1),
        raw(address(&tx), 0, 1, 65_535),
        raw(0, 0, 0, 65_535),
        raw(0, 0, 0, 65_535),
        raw(0, 0, 0, (200_000_u32 - 3 * 65_535 + 1) as u16),
    ];
    assert_eq!(transfers(&device), expected);
}

#[test]
fn sixteen_operations_fit_and_seventeen_are_refused_before_anything_is_sent() {
    let mut device = device();
    let mut buffers = [[0; 3]; MAX_OPERATIONS];
    let mut operations: Vec<_> = buffers
        .iter_mut()
        .map(|rx| Operation::Transfer(rx, &[1, 2]))
        .collect();
    device.transaction(&mut operations).unwrap();
    assert_eq!(transfers(&device).len(), MAX_TRANSFERS);

    let mut operations: Vec<_> = (0..=MAX_OPERATIONS)
        .map(|_| Operation::Write(&[1]))
        .collect();
    let refused = device.transaction(&mut operations);
    let expected = SpiError::TooManyOperations {
        operations: MAX_OPERATIONS + 1,
    };
    assert_eq!(refused, Err(expected));
    assert_eq!(device.calls().messages, 1);
}

#[test]
fn a_pause_that_does_not_fit_is_an_error_and_nothing_is_sent() {
    let mut device = device();
    let refused = device.transaction(&mut [Operation::DelayNs(u32::MAX)]);
    assert_eq!(refused, Err(SpiError::TooManyTransfers));
    assert_eq!(device.calls().messages, 0);
}

#[test]
fn a_transaction_without_bytes_and_pauses_makes_no_call() {
    let mut device = device();
    device.transaction(&mut []).unwrap();
    device
        .transaction(&mut [Operation::Write(&[]), Operation::DelayNs(0)])
        .unwrap();
    assert_eq!(device.calls().messages, 0);
}

#[test]
fn a_short_transfer_is_an_error() {
    let mut device = device();
    device.calls_mut().answer = Some(Ok(3));
    let short = device.write(&[1, 2, 3, 4]);
    let expected = SpiError::Short {
        expected: 4,
        got: 3,
    };
    assert_eq!(short, Err(expected));
}

#[test]
fn each_errno_of_a_transaction_has_its_error() {
    let mut device = device();
    let mut answer = |errno| {
        device.calls_mut().answer = Some(Err(Errno(errno)));
        device.write(&[1, 2]).unwrap_err()
    };
    let message_too_long = SpiError::MessageTooLong { bytes: 2 };
    // EIO, EMSGSIZE, ESHUTDOWN, ETIMEDOUT, EINVAL of errno(3).
    assert_eq!(answer(5), SpiError::Io);
    assert_eq!(answer(90), message_too_long);
    assert_eq!(answer(108), SpiError::Gone(Errno(108)));
    assert_eq!(answer(110), SpiError::TimedOut);
    assert_eq!(answer(22), SpiError::Kernel(Errno(22)));
}

#[test]
fn a_message_larger_than_the_kernel_buffer_is_detected_at_open() {
    let device = device();
    assert_eq!(device.fits(&[4_096]), Ok(()));
    assert_eq!(device.fits(&[2; MAX_OPERATIONS]), Ok(()));
    let refused = device.fits(&[4_000, 97]);
    assert_eq!(refused, Err(SpiError::MessageTooLong { bytes: 4_097 }));
    assert_eq!(
        device.fits(&[usize::MAX, 1]),
        Err(SpiError::MessageTooLong { bytes: usize::MAX })
    );
}
