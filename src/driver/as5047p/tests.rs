//! The driver frame by frame, with bytes derived by hand from the datasheet's figures.

use embedded_hal::spi::ErrorKind;

use super::*;
use crate::driver::script::{Script, Step};

const ANGLECOM: &[u8] = &[0xFF, 0xFF];
const DIAAGC: &[u8] = &[0xFF, 0xFC];
const ERRFL: &[u8] = &[0x40, 0x01];
/// DIAAGC: LF set, AGC 128: two ones.
const HEALTHY: &[u8] = &[0x01, 0x80];
const ZPOSL: &[u8] = &[0xC0, 0x17];
/// ZPOSL with both enable bits and no zero position.
const ENABLED: &[u8] = &[0x00, 0xC0];
const ZERO: &[u8] = &[0x00, 0x00];

/// A driver that has already checked its chip.
fn run<T>(steps: &[Step], calls: impl FnOnce(&mut As5047p<Script<'_>>) -> T) -> T {
    let mut encoder = As5047p::new(Script::new(steps));
    encoder.state.watched = true;
    let result = calls(&mut encoder);
    encoder.release().finish();
    result
}

#[test]
fn read_commands_have_the_read_bit_and_even_parity() {
    let expected = [
        (Register::Nop, [0xC0, 0x00]),
        (Register::ErrFl, [0x40, 0x01]),
        (Register::Prog, [0xC0, 0x03]),
        (Register::ZPosM, [0x40, 0x16]),
        (Register::ZPosL, [0xC0, 0x17]),
        (Register::Settings1, [0xC0, 0x18]),
        (Register::Settings2, [0x40, 0x19]),
        (Register::DiaAgc, [0xFF, 0xFC]),
        (Register::Mag, [0x7F, 0xFD]),
        (Register::AngleUnc, [0x7F, 0xFE]),
        (Register::AngleCom, [0xFF, 0xFF]),
    ];
    for (register, frame) in expected {
        assert_eq!(register.read_command(), frame, "{register:?}");
    }
}

#[test]
fn write_frames_have_even_parity_and_bit_14_low() {
    assert_eq!(Setting::ZPosM.write_command(), [0x80, 0x16]);
    assert_eq!(Setting::ZPosL.write_command(), [0x00, 0x17]);
    assert_eq!(Setting::Settings1.write_command(), [0x00, 0x18]);
    assert_eq!(Setting::Settings2.write_command(), [0x80, 0x19]);
    assert_eq!(write_data(0x05), [0x00, 0x05]);
    assert_eq!(write_data(0x04), [0x80, 0x04]);
}

fn counts(counts: u32) -> Result<Angle, Error> {
    Ok(Angle::from_counts(counts, 14))
}

#[test]
fn every_call_is_one_frame() {
    let steps: [Step; 4] = [
        (ANGLECOM, Ok(&[0x12, 0x34])),
        (ANGLECOM, Ok(&[0x80, 0x01])),
        (ANGLECOM, Ok(&[0x00, 0x03])),
        (ANGLECOM, Ok(&[0x80, 0x07])),
    ];
    let angles = run(&steps, |encoder| {
        [(); 3].map(|()| encoder.angle_pipelined())
    });
    assert_eq!(angles, [counts(1), counts(3), counts(7)]);
}

#[test]
fn the_first_call_lets_the_magnet_set_the_error_flag_and_keeps_the_zero_position() {
    let steps: [Step; 10] = [
        (ZPOSL, Ok(&[0x12, 0x34])),
        (DIAAGC, Ok(&[0x80, 0x15])),
        (ZPOSL, Ok(HEALTHY)),
        (ANGLECOM, Ok(&[0x80, 0x15])),
        (&[0x00, 0x17], Ok(&[0x00, 0x03])),
        (&[0x80, 0xD5], Ok(&[0x80, 0x15])),
        (ZPOSL, Ok(&[0x80, 0xD5])),
        (ANGLECOM, Ok(&[0x80, 0xD5])),
        (ANGLECOM, Ok(&[0x80, 0x01])),
        (ANGLECOM, Ok(&[0x00, 0x03])),
    ];
    let angles = run(&steps, |encoder| {
        encoder.state.watched = false;
        [(); 2].map(|()| encoder.angle_pipelined())
    });
    assert_eq!(angles, [counts(1), counts(3)]);
}

#[test]
fn a_chip_whose_bits_are_set_is_not_written() {
    let steps: [Step; 5] = [
        (ZPOSL, Ok(ZERO)),
        (DIAAGC, Ok(ENABLED)),
        (ZPOSL, Ok(HEALTHY)),
        (ANGLECOM, Ok(ENABLED)),
        (ANGLECOM, Ok(&[0x80, 0x01])),
    ];
    let angle = run(&steps, |encoder| {
        encoder.state.watched = false;
        encoder.angle_pipelined()
    });
    assert_eq!(angle, counts(1));
}

#[test]
fn a_zero_position_with_two_different_readings_is_not_written() {
    let steps: [Step; 4] = [
        (ZPOSL, Ok(ZERO)),
        (DIAAGC, Ok(ZERO)),
        (ZPOSL, Ok(HEALTHY)),
        (ANGLECOM, Ok(&[0x80, 0x15])),
    ];
    let angle = run(&steps, |encoder| {
        encoder.state.watched = false;
        encoder.angle_pipelined()
    });
    assert_eq!(angle, Err(Error::NotDriven));
}

#[test]
fn a_zero_position_that_changed_before_the_write_is_restored() {
    let steps: [Step; 13] = [
        (ZPOSL, Ok(ZERO)),
        (DIAAGC, Ok(ZERO)),
        (ZPOSL, Ok(HEALTHY)),
        (ANGLECOM, Ok(ZERO)),
        (&[0x00, 0x17], Ok(&[0x00, 0x03])),
        (&[0x00, 0xC0], Ok(&[0x80, 0x15])),
        (ZPOSL, Ok(ENABLED)),
        (ANGLECOM, Ok(ENABLED)),
        (&[0x00, 0x17], Ok(&[0x00, 0x03])),
        (&[0x80, 0xD5], Ok(ENABLED)),
        (ZPOSL, Ok(&[0x80, 0xD5])),
        (ANGLECOM, Ok(&[0x80, 0xD5])),
        (ANGLECOM, Ok(&[0x80, 0x01])),
    ];
    let angle = run(&steps, |encoder| {
        encoder.state.watched = false;
        encoder.angle_pipelined()
    });
    assert_eq!(angle, counts(1));
}

#[test]
fn a_lost_magnet_is_reported_by_the_call_that_receives_its_error_flag() {
    let steps: [Step; 7] = [
        (ANGLECOM, Ok(ZERO)),
        (ANGLECOM, Ok(&[0xC0, 0x03])),
        (ERRFL, Ok(&[0xC0, 0x03])),
        (ANGLECOM, Ok(&[0xC0, 0x00])),
        (DIAAGC, Ok(&[0xC0, 0x03])),
        // MAGL and LF, AGC 255, and EF.
        (ANGLECOM, Ok(&[0xC9, 0xFF])),
        (ANGLECOM, Ok(&[0x80, 0x01])),
    ];
    let angles = run(&steps, |encoder| {
        [(); 2].map(|()| encoder.angle_pipelined())
    });
    assert_eq!(angles, [Err(Error::FieldWeak), counts(1)]);
}

#[test]
fn a_reply_of_zeros_is_accepted_only_after_zposl_and_a_second_reading() {
    let looked: [Step; 4] = [
        (ANGLECOM, Ok(&[0x00, 0x03])),
        (ANGLECOM, Ok(ZERO)),
        (ZPOSL, Ok(ZERO)),
        (ANGLECOM, Ok(ENABLED)),
    ];
    for (again, expected) in [(ZERO, counts(0)), (&[0x00, 0x05], counts(5))] {
        let mut steps = [looked[0]; 5];
        steps[..4].copy_from_slice(&looked);
        steps[4] = (ANGLECOM, Ok(again));
        assert_eq!(run(&steps, |encoder| encoder.angle_pipelined()), expected);
    }
    let dead: [Step; 9] = [
        (ANGLECOM, Ok(&[0x00, 0x03])),
        (ANGLECOM, Ok(ZERO)),
        (ZPOSL, Ok(ZERO)),
        (ANGLECOM, Ok(ZERO)),
        (ANGLECOM, Ok(ZERO)),
        (ZPOSL, Ok(ZERO)),
        (DIAAGC, Ok(ZERO)),
        (ZPOSL, Ok(ZERO)),
        (ANGLECOM, Ok(ZERO)),
    ];
    assert_eq!(
        run(&dead, |encoder| encoder.angle_pipelined()),
        Err(Error::NotReady)
    );
}

#[test]
fn a_disturbed_command_for_diaagc_is_a_framing_error() {
    let steps: [Step; 8] = [
        (ANGLECOM, Ok(ZERO)),
        (ANGLECOM, Ok(&[0xC0, 0x03])),
        (ERRFL, Ok(&[0xC0, 0x03])),
        (ANGLECOM, Ok(ZERO)),
        (DIAAGC, Ok(&[0x00, 0x03])),
        (ANGLECOM, Ok(&[0xC0, 0x00])),
        (ERRFL, Ok(&[0x00, 0x03])),
        (ANGLECOM, Ok(&[0x40, 0x04])),
    ];
    let result = run(&steps, |encoder| encoder.angle_pipelined());
    assert!(matches!(result, Err(Error::Framing(flags)) if flags.parity()));
}

#[test]
fn the_reply_to_a_write_is_never_taken_for_an_angle() {
    let steps: [Step; 4] = [
        (&[0x00, 0x18], Ok(&[0x00, 0x03])),
        (&[0x00, 0x05], Ok(&[0x00, 0x01])),
        (ANGLECOM, Ok(&[0x00, 0x05])),
        (ANGLECOM, Ok(&[0x80, 0x07])),
    ];
    let results = run(&steps, |encoder| {
        encoder.state.angle_under_way = true;
        let write = encoder.write_setting(Setting::Settings1, 5);
        (write, encoder.angle_pipelined())
    });
    assert_eq!(results, (Err(Error::Parity), Ok(Angle::from_counts(7, 14))));
}

#[test]
fn the_cause_of_an_error_flag_is_read_from_errfl() {
    for (errfl, check) in [
        (
            &[0x00u8, 0x00] as &'static [u8],
            ErrorFlags::is_empty as fn(ErrorFlags) -> bool,
        ),
        (&[0x40, 0x01], ErrorFlags::framing),
        (&[0x40, 0x02], ErrorFlags::invalid_command),
        (&[0x40, 0x04], ErrorFlags::parity),
    ] {
        let with_flags: [Step; 4] = [
            (ANGLECOM, Ok(&[0x00, 0x00])),
            (ANGLECOM, Ok(&[0xC0, 0x03])),
            (ERRFL, Ok(&[0x00, 0x03])),
            (ANGLECOM, Ok(errfl)),
        ];
        let then_diaagc: [Step; 2] = [(DIAAGC, Ok(&[0x00, 0x03])), (ANGLECOM, Ok(HEALTHY))];
        let mut steps = [with_flags[0]; 6];
        steps[..4].copy_from_slice(&with_flags);
        steps[4..].copy_from_slice(&then_diaagc);
        let used = if errfl[0] == 0 { 6 } else { 4 };
        let result = run(&steps[..used], |encoder| encoder.angle_pipelined());
        let Err(Error::Framing(flags)) = result else {
            panic!("{result:?}");
        };
        assert!(check(flags), "{flags:?}");
    }
}

#[test]
fn a_line_stuck_high_is_not_taken_for_error_flags() {
    const HIGH: &[u8] = &[0xFF, 0xFF];
    let steps: [Step; 4] = [
        (ANGLECOM, Ok(HIGH)),
        (ANGLECOM, Ok(HIGH)),
        (ERRFL, Ok(HIGH)),
        (ANGLECOM, Ok(HIGH)),
    ];
    let result = run(&steps, |encoder| encoder.angle_pipelined());
    assert_eq!(result, Err(Error::NotDriven));
}

#[test]
fn wrong_parity_costs_one_value_and_no_further_frame() {
    let steps: [Step; 3] = [
        (ANGLECOM, Ok(&[0x00, 0x00])),
        (ANGLECOM, Ok(&[0x00, 0x01])),
        (ANGLECOM, Ok(&[0x80, 0x01])),
    ];
    let results = run(&steps, |encoder| {
        [(); 2].map(|()| encoder.angle_pipelined())
    });
    assert_eq!(results, [Err(Error::Parity), Ok(Angle::from_counts(1, 14))]);
}

#[test]
fn after_an_error_of_the_bus_no_stale_reply_is_taken_for_an_angle() {
    let steps: [Step; 4] = [
        (ANGLECOM, Ok(&[0x00, 0x00])),
        (ANGLECOM, Err(ErrorKind::Overrun)),
        (ANGLECOM, Ok(&[0x00, 0x55])),
        (ANGLECOM, Ok(&[0x80, 0x01])),
    ];
    let results = run(&steps, |encoder| {
        [(); 2].map(|()| encoder.angle_pipelined())
    });
    assert_eq!(
        results,
        [
            Err(Error::Bus(ErrorKind::Overrun)),
            Ok(Angle::from_counts(1, 14))
        ]
    );
}

#[test]
fn a_setting_is_written_with_two_frames_and_read_back() {
    let mut steps: [Step; 4] = [
        (&[0x00, 0x18], Ok(&[0x00, 0x00])),
        (&[0x00, 0x05], Ok(&[0x80, 0x01])),
        (&[0xC0, 0x18], Ok(&[0x00, 0x05])),
        (ANGLECOM, Ok(&[0x00, 0x05])),
    ];
    let reversed = Settings1::FACTORY.with_reversed(true);
    let write =
        |encoder: &mut As5047p<Script<'_>>| encoder.write_setting(Setting::Settings1, reversed.0);
    assert_eq!(run(&steps, write), Ok(0x01));
    steps[3].1 = Ok(&[0x80, 0x01]);
    assert_eq!(
        run(&steps, write),
        Err(Error::Refused { wrote: 5, holds: 1 })
    );
}

#[test]
fn each_bit_of_diaagc_has_its_error_and_the_most_severe_is_reported() {
    let verdicts = [
        (0x0180, Ok(())),
        (0x0080, Err(Error::NotReady)),
        (0x0F80, Err(Error::CordicOverflow)),
        (0x09FF, Err(Error::FieldWeak)),
        (0x0500, Err(Error::FieldStrong)),
        (0x3FFF, Err(Error::NotDriven)),
        (0x0000, Err(Error::NotReady)),
    ];
    for (register, verdict) in verdicts {
        assert_eq!(Diagnosis(register).verdict(), verdict, "{register:#06x}");
    }
    assert_eq!(Diagnosis(0x0180).gain(), 128);
}

#[test]
fn the_fields_of_settings_match_the_datasheet() {
    assert_eq!(Settings1::FACTORY.with_reversed(true), Settings1(0b101));
    assert!(Settings1(0b101).reversed() && !Settings1(0b001).reversed());
    assert!(Settings1(0b1_0001).compensation_off());
    let settings = Settings2(0b1011_0011);
    assert_eq!(
        (
            settings.resolution_code(),
            settings.hysteresis_code(),
            settings.pole_pairs_code()
        ),
        (0b101, 0b10, 0b011)
    );
}
