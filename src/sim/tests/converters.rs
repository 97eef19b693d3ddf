use embedded_hal::spi::{ErrorKind, Operation, SpiDevice};

use crate::driver::mcp3208::{self, Input, Mcp3208, Polarity};
use crate::driver::mcp4922::{self, Channel, Gain, Mcp4922, Reference, Scale};
use crate::sim::{Fault, Mcp3208Chip, Mcp4922Chip, OutputStage, SimSpi};

fn dac() -> SimSpi<Mcp4922Chip> {
    SimSpi::new(Mcp4922Chip::new(4.096, 5.0))
}

#[test]
fn both_channels_start_shut_down_and_are_independent() {
    let mut bus = dac();
    assert_eq!((bus.chip.volts(0), bus.chip.volts(1)), (None, None));
    let mut driver = Mcp4922::new(&mut bus);
    driver.write(Channel::A, 1_000).unwrap();
    driver.write(Channel::B, 4_095).unwrap();
    assert_eq!(
        (bus.chip.volts(0), bus.chip.volts(1)),
        (Some(1.0), Some(4.095))
    );
    Mcp4922::new(&mut bus).shut_down(Channel::A).unwrap();
    assert_eq!((bus.chip.volts(0), bus.chip.volts(1)), (None, Some(4.095)));
}

#[test]
fn a_gain_of_two_ends_at_the_supply() {
    let mut bus = dac();
    let mut driver = Mcp4922::with_output(&mut bus, Reference::Buffered, Gain::Two);
    driver.write(Channel::A, 1_000).unwrap();
    driver.write(Channel::B, 4_000).unwrap();
    assert_eq!(
        (bus.chip.volts(0), bus.chip.volts(1)),
        (Some(2.0), Some(5.0))
    );
    assert!(bus.chip.is_buffered(0) && bus.chip.is_buffered(1));
}

#[test]
fn a_short_frame_is_aborted_and_clocks_past_the_sixteenth_are_ignored() {
    let mut bus = dac();
    bus.write(&[0x33, 0xE8]).unwrap();
    bus.write(&[0x3F]).unwrap();
    assert_eq!(bus.chip.volts(0), Some(1.0));
    bus.write(&[0x37, 0xD0, 0xFF]).unwrap();
    assert_eq!(bus.chip.volts(0), Some(2.0));
}

#[test]
fn a_converter_that_ignores_writes_keeps_its_output_without_an_error() {
    let mut bus = dac();
    Mcp4922::new(&mut bus).write(Channel::A, 1_000).unwrap();
    bus.faults.add_now(Fault::NoAnswer, 1).unwrap();
    assert_eq!(Mcp4922::new(&mut bus).write(Channel::A, 2_000), Ok(()));
    assert_eq!(bus.chip.volts(0), Some(1.0));
    for fault in [Fault::BusError, Fault::ShortTransfer] {
        bus.faults.add_now(fault, 1).unwrap();
        assert_eq!(
            Mcp4922::new(&mut bus).write(Channel::A, 2_000),
            Err(mcp4922::Error::Bus(ErrorKind::Other))
        );
        assert_eq!(bus.chip.volts(0), Some(1.0));
    }
}

#[test]
fn the_output_stage_is_accurate_to_half_a_code() {
    let scale = Scale::new(-10.0, 10.0).unwrap();
    let stage = OutputStage::spanning(-10.0, 10.0, 4.096);
    let mut bus = dac();
    for tenth in -100..=100 {
        let volts = f64::from(tenth) * 0.1;
        let mut driver = Mcp4922::new(&mut bus);
        let converted = driver.write_volts(Channel::A, &scale, volts).unwrap();
        assert!(!converted.clamped);
        let out = stage.offset_volts + stage.gain * bus.chip.volts(0).unwrap();
        assert!(
            (out - volts).abs() <= 0.5 * 20.0 / 4095.0 + 1e-12,
            "{volts}"
        );
    }
}

fn adc() -> SimSpi<Mcp3208Chip> {
    let mut chip = Mcp3208Chip::new(4.096);
    chip.volts = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.095_5];
    SimSpi::new(chip)
}

#[test]
fn each_input_is_converted_independently() {
    let mut driver = Mcp3208::new(adc(), 4.096).unwrap();
    for (channel, code) in [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_095]
        .into_iter()
        .enumerate()
    {
        let input = Input::single(channel as u8).unwrap();
        assert_eq!(driver.read(input), Ok(code));
    }
    let volts = driver.read_volts(Input::single(5).unwrap()).unwrap();
    assert!((volts - 2.5).abs() < 1e-12);
}

#[test]
fn each_pair_is_converted_in_both_directions() {
    let mut driver = Mcp3208::new(adc(), 4.096).unwrap();
    for (pair, difference) in [(0, 500), (1, 500), (2, 500), (3, 1_095)] {
        let even = Input::differential(pair, Polarity::EvenPositive).unwrap();
        let odd = Input::differential(pair, Polarity::OddPositive).unwrap();
        assert_eq!(
            (driver.read(even), driver.read(odd)),
            (Ok(0), Ok(difference))
        );
    }
}

#[test]
fn a_null_bit_of_one_is_a_framing_error_and_a_low_line_is_a_zero() {
    let input = Input::single(5).unwrap();
    let read = |fault| {
        let mut bus = adc();
        bus.faults.add_now(fault, 1).unwrap();
        Mcp3208::new(&mut bus, 4.096).unwrap().read(input)
    };
    assert_eq!(read(Fault::MisoHigh), Err(mcp3208::Error::Framing));
    assert_eq!(read(Fault::ReplyBitFlip(11)), Err(mcp3208::Error::Framing));
    assert_eq!(
        read(Fault::BusError),
        Err(mcp3208::Error::Bus(ErrorKind::Other))
    );
    assert_eq!(read(Fault::MisoLow), Ok(0));
    // The start bit is lost, so the next 1 counts as the start bit.
    assert_eq!(read(Fault::CommandBitFlip(5)), Err(mcp3208::Error::Framing));
}

#[test]
fn the_operations_of_a_transaction_form_one_frame() {
    let mut bus = adc();
    let mut value = [0; 2];
    let mut operations = [
        Operation::Write(&[0x07]),
        Operation::DelayNs(100),
        Operation::Transfer(&mut value, &[0x40]),
    ];
    bus.transaction(&mut operations).unwrap();
    assert_eq!(u16::from_be_bytes(value) & 0x0FFF, 2_500);
    assert_eq!(bus.faults.transfers(), 1);
    let mut in_place = [0x40, 0x00];
    let mut nothing = [0; 1];
    let mut operations = [
        Operation::Write(&[0x07]),
        Operation::TransferInPlace(&mut in_place),
        Operation::Read(&mut nothing),
    ];
    bus.transaction(&mut operations).unwrap();
    assert_eq!(u16::from_be_bytes(in_place) & 0x0FFF, 2_500);
    assert_eq!(
        bus.write(&[0; crate::sim::MAX_FRAME + 1]),
        Err(ErrorKind::Overrun)
    );
}
