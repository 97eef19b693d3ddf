//! Arbitrary replies to the encoder's driver: no panic, no more frames than documented per
//! call, and no angle from a reply that the chip cannot give.

#![no_main]

mod wire;

use libfuzzer_sys::fuzz_target;
use steadfast::driver::as5047p::{ANGLE_BITS, As5047p, MAX_FRAMES, Register, Setting};
use wire::Wire;

fuzz_target!(|bytes: &[u8]| {
    let mut driver = As5047p::new(Wire::new(bytes));
    while let Some(call) = driver.bus_mut().byte() {
        let before = driver.bus_mut().frames;
        let in_loop = call < 0xC0;
        match call {
            0..0xC0 => {
                if let Ok(angle) = driver.angle_pipelined() {
                    assert_eq!(
                        angle.0 & ((1 << (32 - ANGLE_BITS)) - 1),
                        0,
                        "more than 14 bits"
                    );
                }
            }
            0xC0 => drop(driver.angle()),
            0xC1 => drop(driver.diagnosis().map(|said| (said.verdict(), said.gain()))),
            0xC2 => drop(driver.error_flags().map(|flags| {
                assert!(
                    flags.is_empty()
                        || flags.framing()
                        || flags.invalid_command()
                        || flags.parity()
                )
            })),
            0xC3 => drop(driver.set_zero(0x1234)),
            0xC4 => drop(driver.write_setting(Setting::ZPosM, 0x5A)),
            0xC5 => drop(driver.read_register(Register::ErrFl)),
            0xC6 => drop(driver.read_register(Register::DiaAgc)),
            _ => {
                // Over another bus, as in every cycle of the firmware.
                let bus = Wire::new(&[]);
                let bus = core::mem::replace(driver.bus_mut(), bus);
                driver = As5047p::resume(bus, driver.suspend());
            }
        }
        let frames = driver.bus_mut().frames - before;
        assert!(
            !in_loop || frames <= MAX_FRAMES,
            "{frames} frames in a call"
        );
    }
});
