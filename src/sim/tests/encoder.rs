use embedded_hal::spi::ErrorKind;

use crate::cycle::image::{Angle, InputError};
use crate::driver::as5047p::{As5047p, Error, Register, Setting, Settings1};
use crate::sim::{As5047pChip, FOREVER, Fault, Random, SimSpi};

type Encoder = As5047p<SimSpi<As5047pChip>>;

/// An encoder at `counts` that was read a few times.
fn running_at(counts: u16) -> Encoder {
    let mut encoder = As5047p::new(SimSpi::new(As5047pChip::new()));
    encoder.bus_mut().chip.set_shaft(counts);
    for _ in 0..3 {
        assert_eq!(encoder.angle_pipelined(), angle(counts));
    }
    encoder
}

fn angle(counts: u16) -> Result<Angle, Error> {
    Ok(Angle::from_counts(u32::from(counts), 14))
}

fn transfers(encoder: &mut Encoder) -> u64 {
    encoder.bus_mut().faults.transfers()
}

fn inject(encoder: &mut Encoder, fault: Fault, count: u64) {
    encoder.bus_mut().faults.add_now(fault, count).unwrap();
}

#[test]
fn the_pipelined_angle_is_one_call_old_at_every_call() {
    let mut encoder = running_at(1_000);
    for counts in 1_001..1_100 {
        encoder.bus_mut().chip.set_shaft(counts);
        assert_eq!(encoder.angle_pipelined(), angle(counts - 1));
    }
}

#[test]
fn a_hundred_calls_take_a_hundred_frames() {
    let mut encoder = running_at(5);
    let before = transfers(&mut encoder);
    for _ in 0..100 {
        encoder.angle_pipelined().unwrap();
    }
    assert_eq!(transfers(&mut encoder) - before, 100);
}

#[test]
fn a_shaft_at_exactly_zero_takes_three_more_frames_per_call() {
    let mut encoder = running_at(0);
    let before = transfers(&mut encoder);
    for _ in 0..100 {
        assert_eq!(encoder.angle_pipelined(), angle(0));
    }
    assert_eq!(transfers(&mut encoder) - before, 400);
}

#[test]
fn the_angle_in_two_frames_is_fresh_after_any_earlier_command() {
    let mut encoder = running_at(5);
    encoder.bus_mut().chip.set_shaft(0x3FFF);
    assert_eq!(encoder.angle(), angle(0x3FFF));
    encoder.bus_mut().chip.set_shaft(0);
    assert_eq!(encoder.angle(), angle(0));
    assert_eq!(encoder.angle_pipelined(), angle(0));
}

#[test]
fn each_register_can_be_read() {
    let mut encoder = running_at(0x123);
    let contents = [
        (Register::Nop, 0),
        (Register::ErrFl, 0),
        (Register::Prog, 0),
        (Register::ZPosM, 0),
        (Register::ZPosL, 0xC0),
        (Register::Settings1, 1),
        (Register::Settings2, 0),
        (Register::DiaAgc, 0x180),
        (Register::Mag, 4_800),
        (Register::AngleUnc, 0x123),
        (Register::AngleCom, 0x123),
    ];
    for (register, content) in contents {
        assert_eq!(encoder.read_register(register), Ok(content), "{register:?}");
    }
    assert_eq!(encoder.angle_pipelined(), angle(0x123));
}

#[test]
fn each_setting_can_be_written_and_returns_its_old_content() {
    let mut encoder = running_at(7);
    let settings = [
        (Setting::ZPosM, 0),
        (Setting::ZPosL, 0xC0),
        (Setting::Settings1, 1),
        (Setting::Settings2, 0),
    ];
    for (setting, before) in settings {
        assert_eq!(encoder.write_setting(setting, 0x2D), Ok(before));
        assert_eq!(encoder.write_setting(setting, before), Ok(0x2D));
    }
    assert_eq!(encoder.angle_pipelined(), angle(7));
    assert_eq!(
        encoder.write_setting(Setting::Settings1, 0),
        Err(Error::Refused { wrote: 0, holds: 1 })
    );
}

#[test]
fn zero_position_and_direction_change_the_angle() {
    let mut encoder = running_at(5_000);
    assert_eq!(encoder.set_zero(4_999), Ok(()));
    assert_eq!(encoder.angle(), angle(1));
    let reversed = Settings1::FACTORY.with_reversed(true);
    encoder
        .write_setting(Setting::Settings1, reversed.0)
        .unwrap();
    assert_eq!(encoder.angle(), angle(16_384 * 2 - 5_000 - 4_999));
}

#[test]
fn a_bus_error_is_reported_and_takes_one_more_frame_afterwards() {
    for fault in [Fault::BusError, Fault::ShortTransfer] {
        let mut encoder = running_at(9);
        inject(&mut encoder, fault, 1);
        assert_eq!(encoder.angle_pipelined(), Err(Error::Bus(ErrorKind::Other)));
        if fault == Fault::ShortTransfer {
            // The chip did not receive 16 clocks.
            let framing = encoder.angle_pipelined();
            assert!(matches!(framing, Err(Error::Framing(flags)) if flags.framing()));
        }
        let before = transfers(&mut encoder);
        assert_eq!(encoder.angle_pipelined(), angle(9));
        let more = u64::from(fault == Fault::BusError);
        assert_eq!(transfers(&mut encoder) - before, 1 + more);
    }
}

#[test]
fn one_inverted_bit_of_a_reply_is_a_parity_error() {
    for bit in 0..16 {
        let mut encoder = running_at(9);
        inject(&mut encoder, Fault::ReplyBitFlip(bit), 1);
        assert_eq!(encoder.angle_pipelined(), Err(Error::Parity), "bit {bit}");
        assert_eq!(encoder.angle_pipelined(), angle(9));
    }
}

#[test]
fn one_inverted_bit_of_a_command_is_reported_by_the_chip() {
    for bit in 0..16 {
        let mut encoder = running_at(9);
        inject(&mut encoder, Fault::CommandBitFlip(bit), 1);
        assert_eq!(encoder.angle_pipelined(), angle(9));
        let result = encoder.angle_pipelined();
        let Err(Error::Framing(flags)) = result else {
            panic!("bit {bit}: {result:?}");
        };
        assert!(flags.parity() && !flags.framing() && !flags.invalid_command());
        assert_eq!(encoder.angle_pipelined(), angle(9));
    }
}

#[test]
fn two_inverted_bits_make_an_invalid_command() {
    let mut encoder = running_at(9);
    inject(&mut encoder, Fault::CommandBitFlip(4), 1);
    // A second window of one kind would replace the first, so the other bit is
    // inverted by sending a command that differs in it: an unused address.
    let mut rx = [0; 2];
    encoder.bus_mut().exchange(&[0x7F, 0xFF], &mut rx).unwrap();
    let result = encoder.angle_pipelined();
    assert!(
        matches!(result, Err(Error::Framing(flags)) if flags.invalid_command() && !flags.parity()),
        "{result:?}"
    );
    assert_eq!(encoder.angle_pipelined(), angle(9));
}

#[test]
fn lost_clocks_are_a_framing_error_in_the_next_call() {
    for counts in [9, 0x1234] {
        let mut encoder = running_at(counts);
        inject(&mut encoder, Fault::LostClocks, 1);
        let results = [(); 2].map(|()| encoder.angle_pipelined());
        let framing = |result: &Result<Angle, Error>| matches!(result, Err(Error::Framing(flags)) if flags.framing());
        assert!(results.iter().any(framing), "{results:?}");
        encoder.angle_pipelined().ok();
        assert_eq!(encoder.angle_pipelined(), angle(counts));
    }
}

#[test]
fn a_line_stuck_low_is_detected_in_the_same_call_and_a_real_zero_is_accepted() {
    for fault in [Fault::MisoLow, Fault::NoAnswer] {
        let mut encoder = running_at(0);
        inject(&mut encoder, fault, 20);
        assert_eq!(encoder.angle_pipelined(), Err(Error::NotReady));
        encoder.bus_mut().faults.clear();
        let recovered = [(); 2].map(|()| encoder.angle_pipelined());
        assert_eq!(recovered[1], angle(0), "{recovered:?}");
    }
}

#[test]
fn a_line_stuck_high_is_detected_in_the_same_call() {
    let mut encoder = running_at(0x3FFF);
    inject(&mut encoder, Fault::MisoHigh, FOREVER);
    for _ in 0..20 {
        let result = encoder.angle_pipelined();
        assert_eq!(result, Err(Error::NotDriven));
    }
    encoder.bus_mut().faults.clear();
    encoder.angle_pipelined().ok();
    assert_eq!(encoder.angle_pipelined(), angle(0x3FFF));
}

#[test]
fn faults_of_the_magnet_are_detected_by_the_next_call_and_clear_with_the_cause() {
    let faults = [
        (Fault::FieldWeak, Error::FieldWeak, InputError::FieldWeak),
        (
            Fault::FieldStrong,
            Error::FieldStrong,
            InputError::FieldStrong,
        ),
        (
            Fault::CordicOverflow,
            Error::CordicOverflow,
            InputError::OutOfRange,
        ),
    ];
    for (fault, error, input_error) in faults {
        let mut encoder = running_at(9);
        inject(&mut encoder, fault, FOREVER);
        // The pending reply was prepared before.
        assert_eq!(encoder.angle_pipelined(), angle(9));
        assert_eq!(encoder.angle_pipelined(), Err(error));
        assert_eq!(InputError::from(error), input_error);
        encoder.bus_mut().faults.clear();
        let within_two = [(); 2].map(|()| encoder.angle_pipelined());
        assert_eq!(within_two[1], angle(9));
    }
}

#[test]
fn the_field_sets_the_gain_and_flags_of_diaagc_and_mag() {
    let mut encoder = running_at(9);
    // MAG is read without an error flag from the field.
    encoder.write_setting(Setting::ZPosL, 0).unwrap();
    for (field, gain, weak, strong) in [
        (1.0, 128, false, false),
        (0.75, 191, false, false),
        (0.4, 255, true, false),
        (2.5, 0, false, true),
    ] {
        encoder.bus_mut().chip.set_field(field);
        let diagnosis = encoder.diagnosis().unwrap();
        assert_eq!(
            (
                diagnosis.gain(),
                diagnosis.field_weak(),
                diagnosis.field_strong()
            ),
            (gain, weak, strong)
        );
        let magnitude = encoder.read_register(Register::Mag).unwrap();
        assert_eq!(magnitude < 4_800, weak);
        assert_eq!(magnitude > 4_800, strong);
    }
}

#[test]
fn a_chip_that_lost_power_gets_its_magnet_bits_again() {
    let mut encoder = running_at(9);
    // A new chip replaces it, which is not ready yet.
    let mut chip = As5047pChip::new();
    chip.set_shaft(9);
    chip.set_settled(false);
    encoder.bus_mut().chip = chip;
    for _ in 0..10 {
        assert_eq!(encoder.angle_pipelined(), Err(Error::NotReady));
    }
    encoder.bus_mut().chip.set_settled(true);
    assert_eq!(encoder.angle_pipelined(), angle(9));
    encoder.bus_mut().chip.set_field(0.1);
    encoder.angle_pipelined().ok();
    assert_eq!(encoder.angle_pipelined(), Err(Error::FieldWeak));
}

#[test]
fn a_chip_without_power_between_two_calls_gets_its_magnet_bits_again() {
    let mut encoder = running_at(9);
    let mut chip = As5047pChip::new();
    chip.set_shaft(9);
    // Its first reply is zeros, because there was no command.
    encoder.bus_mut().chip = chip;
    assert_eq!(encoder.angle_pipelined(), angle(9));
    assert_eq!(encoder.read_register(Register::ZPosL), Ok(0xC0));
}

#[test]
fn a_new_zero_position_keeps_the_two_enable_bits() {
    let mut encoder = running_at(9);
    encoder.write_setting(Setting::ZPosL, 0xC0).unwrap();
    encoder.set_zero(0x1FFF).unwrap();
    assert_eq!(encoder.read_register(Register::ZPosM), Ok(0x7F));
    assert_eq!(encoder.read_register(Register::ZPosL), Ok(0xC0 | 0x3F));
}

#[test]
fn the_zero_of_a_line_that_was_dead_briefly_is_discarded() {
    for frames in 1..=6 {
        let mut encoder = running_at(500);
        inject(&mut encoder, Fault::MisoLow, frames);
        assert_eq!(encoder.angle(), angle(500), "{frames}");
    }
    // Still dead when the driver checks the chip again.
    for (frames, error) in [(7, Error::NotDriven), (8, Error::NotReady)] {
        let mut encoder = running_at(500);
        inject(&mut encoder, Fault::MisoLow, frames);
        assert_eq!(encoder.angle(), Err(error));
    }
}

#[test]
fn a_chip_that_has_not_settled_is_not_ready() {
    let mut encoder = running_at(9);
    encoder.bus_mut().chip.set_settled(false);
    encoder.angle_pipelined().ok();
    assert_eq!(encoder.angle_pipelined(), Err(Error::NotReady));
    encoder.bus_mut().chip.set_settled(true);
    encoder.angle_pipelined().ok();
    assert_eq!(encoder.angle_pipelined(), angle(9));
}

#[test]
fn a_stuck_or_jumping_position_is_reported_as_valid() {
    let mut encoder = running_at(9);
    inject(&mut encoder, Fault::StuckPosition, 5);
    encoder.angle_pipelined().unwrap();
    encoder.bus_mut().chip.set_shaft(500);
    encoder.angle_pipelined().unwrap();
    assert_eq!(encoder.angle_pipelined(), angle(9));
    encoder.bus_mut().faults.clear();
    encoder.angle_pipelined().unwrap();
    assert_eq!(encoder.angle_pipelined(), angle(500));
    inject(&mut encoder, Fault::PositionJump(-600), 1);
    encoder.angle_pipelined().unwrap();
    assert_eq!(encoder.angle_pipelined(), angle(16_384 - 100));
    assert_eq!(encoder.angle_pipelined(), angle(500));
}

#[test]
fn a_resumed_driver_continues_with_its_state() {
    let mut encoder = running_at(100);
    encoder.bus_mut().chip.set_shaft(200);
    encoder.angle_pipelined().unwrap();
    let mut bus = encoder.bus_mut().clone();
    let state = encoder.suspend();
    let before = bus.faults.transfers();
    let mut resumed = As5047p::resume(&mut bus, state);
    assert_eq!(resumed.angle_pipelined(), angle(200));
    assert_eq!(bus.faults.transfers() - before, 1);
}

#[test]
fn with_any_disturbance_a_returned_angle_is_correct() {
    let mut random = Random::new(11);
    let mut encoder = running_at(0);
    let mut asked_for = 0;
    let (mut given, mut refused) = (0, 0);
    for _ in 0..50_000 {
        // Near zero every other time, where a dead line is hard to detect.
        let shaft = match random.bits() % 4 {
            0 | 1 => 0,
            _ => (random.bits() % 16_384) as u16,
        };
        encoder.bus_mut().chip.set_shaft(shaft);
        if random.bits().is_multiple_of(8) {
            let bit = (random.bits() % 16) as u8;
            let fault = match random.bits() % 6 {
                0 => Fault::BusError,
                1 => Fault::ShortTransfer,
                2 => Fault::ReplyBitFlip(bit),
                3 => Fault::CommandBitFlip(bit),
                4 => Fault::MisoLow,
                _ => Fault::MisoHigh,
            };
            let faults = &mut encoder.bus_mut().faults;
            faults.clear();
            faults.add_now(fault, 1 + random.bits() % 6).unwrap();
        }
        match encoder.angle_pipelined() {
            Ok(reading) => {
                // Latched in the previous call or in this one.
                let right = [angle(asked_for), angle(shaft)];
                assert!(right.contains(&Ok(reading)), "{reading:?} at {shaft}");
                given += 1;
            }
            Err(_) => refused += 1,
        }
        asked_for = shaft;
    }
    assert!(given > 25_000 && refused > 5_000, "{given} {refused}");
}

#[test]
fn after_a_frame_of_any_length_and_content_the_chip_can_be_read() {
    let mut random = Random::new(12);
    for _ in 0..2_000 {
        let mut encoder = running_at(9);
        let frame = random.bits().to_be_bytes();
        let length = (random.bits() % 9) as usize;
        let mut rx = [0; 8];
        let bus = encoder.bus_mut();
        bus.exchange(&frame[..length], &mut rx[..length]).unwrap();
        // If a write command was received, this is its data; then ERRFL is read to clear it.
        bus.exchange(&[0x00, 0x00], &mut [0; 2]).unwrap();
        encoder.error_flags().unwrap();
        encoder.angle_pipelined().ok();
        assert!(encoder.angle_pipelined().is_ok());
    }
}
