//! The frames of the encoder chip, in bytes derived from the datasheet's figures.

use crate::sim::{As5047pChip, SimChip};

fn send(chip: &mut As5047pChip, frame: u16) -> u16 {
    let mut rx = [0; 2];
    chip.frame(&frame.to_be_bytes(), &mut rx);
    u16::from_be_bytes(rx)
}

#[test]
fn a_reply_comes_with_the_next_frame() {
    let mut chip = As5047pChip::new();
    chip.set_shaft(0x1003);
    send(&mut chip, 0xFFFF);
    chip.set_shaft(0x0001);
    // DIAAGC is requested in the frame that carries the angle.
    assert_eq!(send(&mut chip, 0xFFFC), 0x9003);
    // LF and a gain of 128.
    assert_eq!(send(&mut chip, 0xFFFF), 0x0180);
    assert_eq!(send(&mut chip, 0xC000), 0x8001);
    assert_eq!(send(&mut chip, 0xC000), 0x0000);
}

#[test]
fn a_frame_with_wrong_parity_sets_parerr_until_errfl_is_read() {
    let mut chip = As5047pChip::new();
    chip.set_shaft(0x0003);
    send(&mut chip, 0x7FFF);
    assert_eq!(send(&mut chip, 0xFFFF), 0xC000 & 0x4000 | 0x8000);
    assert_eq!(send(&mut chip, 0x4001), 0x4003 | 0x8000);
    // PARERR is bit 2; the flag is still up in the frame that clears it.
    assert_eq!(send(&mut chip, 0xFFFF), 0x4004);
    assert_eq!(send(&mut chip, 0x4001), 0x0003);
    assert_eq!(send(&mut chip, 0xFFFF), 0x0000);
}

#[test]
fn a_register_that_does_not_exist_sets_invcomm() {
    let mut chip = As5047pChip::new();
    send(&mut chip, 0x4002);
    assert_eq!(send(&mut chip, 0xC000), 0x4000 | 0x8000);
    // Parity of the frame above is right: 0x4002 has two ones.
    send(&mut chip, 0x4001);
    assert_eq!(send(&mut chip, 0xC000), 0x4002);
}

#[test]
fn a_frame_without_sixteen_clocks_sets_frerr_and_does_nothing_else() {
    for length in [1, 3, 4] {
        let mut chip = As5047pChip::new();
        let mut rx = [0; 4];
        // The first two bytes alone would start a write to SETTINGS1.
        chip.frame(&[0x00, 0x18, 0x00, 0x05][..length], &mut rx[..length]);
        send(&mut chip, 0x4001);
        assert_eq!(send(&mut chip, 0xC018), 0x4001);
        assert_eq!(send(&mut chip, 0xC000), 0x8001);
    }
}

#[test]
fn a_write_takes_two_frames_and_gives_the_old_and_then_the_new_content() {
    let mut chip = As5047pChip::new();
    send(&mut chip, 0x0018);
    assert_eq!(send(&mut chip, 0x0005), 0x8001);
    assert_eq!(send(&mut chip, 0xC000), 0x0005);
}

#[test]
fn data_with_wrong_parity_is_not_written() {
    let mut chip = As5047pChip::new();
    send(&mut chip, 0x0018);
    send(&mut chip, 0x8005);
    send(&mut chip, 0x4001);
    assert_eq!(send(&mut chip, 0xC018), 0x4004);
    assert_eq!(send(&mut chip, 0xC000), 0x8001);
}

#[test]
fn measurement_registers_cannot_be_written() {
    let mut chip = As5047pChip::new();
    // Write to DIAAGC: 0x3FFC has 12 ones.
    send(&mut chip, 0x3FFC);
    send(&mut chip, 0x0003);
    assert_eq!(send(&mut chip, 0xC000), 0x0180);
}

#[test]
fn zero_position_and_direction_act_on_the_angle() {
    let mut chip = As5047pChip::new();
    chip.set_shaft(0x0100);
    // ZPOSM = 1 is 64 counts.
    send(&mut chip, 0x8016);
    send(&mut chip, 0x8001);
    send(&mut chip, 0xFFFF);
    assert_eq!(send(&mut chip, 0x0018) & 0x3FFF, 0x00C0);
    // SETTINGS1.DIR.
    send(&mut chip, 0x0005);
    send(&mut chip, 0xFFFF);
    assert_eq!(send(&mut chip, 0xC000) & 0x3FFF, 0x4000 - 0x0100 - 0x0040);
}

/// Figure "ZPOSL": bit 6, comp_l_error_en, is for MAGH, and bit 7, comp_h_error_en,
/// for MAGL.
#[test]
fn each_field_error_has_its_own_enable_bit() {
    const WEAK: f64 = 0.1;
    const STRONG: f64 = 3.0;
    for (bit, field, flagged) in [
        (0x40, STRONG, true),
        (0x40, WEAK, false),
        (0x80, STRONG, false),
        (0x80, WEAK, true),
    ] {
        let mut chip = As5047pChip::new();
        // ZPOSL's address, even parity as it is; a single bit needs the parity bit.
        send(&mut chip, 0x0017);
        send(&mut chip, 0x8000 | bit);
        chip.set_field(field);
        send(&mut chip, 0xC000);
        let reply = send(&mut chip, 0xC000);
        assert_eq!(reply & 0x4000 != 0, flagged, "bit {bit:#x}, field {field}");
    }
}
