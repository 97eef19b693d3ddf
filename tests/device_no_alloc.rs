//! The device code of the loop does not allocate: tested with a stub of the kernel under a
//! counting allocator.
#![cfg(feature = "linux")]

mod device_count;
mod device_stub;

use device_count::allocator_calls;
use device_stub::{chip, input};
use embedded_hal::spi::{Operation, SpiDevice};
use std::hint::black_box;
use std::os::fd::OwnedFd;
use steadfast::device::gpio::{
    InputLine, InputLines, LineEvent, LineRequest, LineValues, Lines, OutputLine, OutputLines,
};
use steadfast::device::spi::{Kernel, Message, SpiError, Spidev, Transfer};
use steadfast::sys::Errno;
use testbed::emulation;

/// Replies to every byte with the byte before it plus one.
struct Echo;

impl Message for Echo {
    fn message(&mut self, transfers: &mut [Transfer<'_>]) -> Result<usize, Errno> {
        let mut bytes = 0;
        for transfer in transfers {
            bytes += transfer.bytes();
            let mut next = 0;
            for byte in transfer.rx_mut().into_iter().flatten() {
                next += 1;
                *byte = next;
            }
        }
        Ok(bytes)
    }
}

#[test]
fn the_allocation_counter_counts() {
    let calls = allocator_calls(|| drop(black_box(vec![1_u8])));
    assert_eq!(calls, 2, "one allocation and one free");
}

#[test]
fn a_hundred_thousand_transactions_of_every_operation_do_not_allocate() {
    let mut device = Spidev::with(Echo, 4_096);
    let calls = allocator_calls(|| {
        for cycle in 0..100_000_u32 {
            let (mut read, mut short, mut inout) = ([0; 4], [0; 1], [0; 3]);
            device
                .transaction(&mut [
                    Operation::Write(&cycle.to_be_bytes()),
                    Operation::Read(&mut read),
                    Operation::DelayNs(150_000_000),
                    Operation::Transfer(&mut short, &[1, 2, 3]),
                    Operation::TransferInPlace(&mut inout),
                ])
                .unwrap();
            assert_eq!((read, short, inout), ([1, 2, 3, 4], [1], [1, 2, 3]));
        }
    });
    assert_eq!(calls, 0);
}

#[test]
fn transactions_that_fail_do_not_allocate_either() {
    // The real ioctl, on a device that is not a spidev.
    let null = std::fs::File::open("/dev/null").unwrap();
    let mut device = Spidev::with(Kernel::from(OwnedFd::from(null)), 4_096);
    let Err(SpiError::Kernel(not_so)) = device.write(&[1, 2]) else {
        panic!("expected an error: the file is not a spidev");
    };
    assert_eq!(not_so, Errno(emulation::enotty(not_so.0)));
    let calls = allocator_calls(|| {
        for _ in 0..1_000 {
            let refused = device.write(&[1, 2]);
            assert_eq!(refused, Err(SpiError::Kernel(not_so)));
            let too_long = device.transaction(&mut [Operation::DelayNs(u32::MAX)]);
            assert_eq!(too_long, Err(SpiError::TooManyTransfers));
        }
    });
    assert_eq!(calls, 0);
}

/// Lines that reply at once and keep no state.
struct Quiet(u64);

impl Lines for Quiet {
    type Events = Quiet;

    fn get(&self, mask: u64) -> Result<u64, Errno> {
        Ok(self.0 & mask)
    }
    fn set(&self, values: LineValues) -> Result<(), Errno> {
        assert_eq!(values.bits & !values.mask, 0);
        Ok(())
    }
    fn events(&self) -> Result<Quiet, Errno> {
        Ok(Quiet(0))
    }
}

impl steadfast::device::gpio::Events for Quiet {
    fn read(&mut self, events: &mut [LineEvent], _timeout_ms: u16) -> Result<usize, Errno> {
        for event in events.iter_mut() {
            self.0 += 1;
            event.seqno = self.0 as u32;
            event.line_seqno = event.seqno;
            event.offset = 3;
            event.id = 1 + (self.0 % 2) as u32;
        }
        Ok(events.len())
    }
}

struct QuietChip;

impl steadfast::device::gpio::Chip for QuietChip {
    type Lines = Quiet;

    fn device(&self) -> Result<u64, Errno> {
        Err(Errno(22))
    }
    fn info(&self) -> Result<steadfast::device::gpio::ChipInfo, Errno> {
        Err(Errno(22))
    }
    fn line_info(&self, _offset: u32) -> Result<steadfast::device::gpio::LineInfo, Errno> {
        Err(Errno(22))
    }
    fn request(&self, _request: &LineRequest) -> Result<Quiet, Errno> {
        Ok(Quiet(0b101))
    }
}

#[test]
fn a_hundred_thousand_cycles_of_inputs_edges_and_outputs_do_not_allocate() {
    let latched = InputLine {
        latch: true,
        ..input(4, 3)
    };
    let inputs = [latched, input(9, 5), input(12, 6)];
    let outputs = [0, 3, 30].map(|channel| OutputLine {
        channel,
        offset: u32::from(channel),
        ..OutputLine::default()
    });
    let (mut inputs, reader) = InputLines::request(&QuietChip, &inputs).unwrap();
    let mut reader = reader.unwrap();
    let mut outputs = OutputLines::request(&QuietChip, &outputs).unwrap();
    inputs.read().unwrap();
    let calls = allocator_calls(|| {
        for cycle in 0..100_000 {
            assert_eq!(reader.drain(0), Ok(16));
            let seen = inputs.read().unwrap();
            assert_eq!((seen.levels, seen.rose), (1 << 4 | 1 << 12, 1 << 4));
            outputs.write(cycle).unwrap();
        }
    });
    assert_eq!(calls, 0);
}

#[test]
fn a_failed_reading_does_not_allocate() {
    let chip = chip("gpiochip0", "", &[]);
    let (mut inputs, _) = InputLines::request(&chip, &[input(0, 1)]).unwrap();
    chip.wires.refuse.set(Some(Errno(5)));
    let calls = allocator_calls(|| {
        for _ in 0..1_000 {
            assert!(inputs.read().is_err());
        }
    });
    assert_eq!(calls, 0);
}
