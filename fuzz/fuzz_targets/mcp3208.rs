//! Arbitrary replies to the driver of the analog-to-digital converter: no panic, one frame
//! per reading, and no code or voltage that the chip cannot give.

#![no_main]

mod wire;

use libfuzzer_sys::fuzz_target;
use steadfast::driver::mcp3208::{Input, MAX_CODE, Mcp3208};
use wire::Wire;

fuzz_target!(|bytes: &[u8]| {
    let Some((reference, rest)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let reference = f64::from_le_bytes(*reference);
    let mut wire = Wire::new(rest);
    while let Some(call) = wire.byte() {
        let before = wire.frames;
        let input = Input::single(call & 7).expect("0 to 7");
        let Some(mut driver) = Mcp3208::new(&mut wire, reference) else {
            assert!(!(reference.is_normal() && reference > 1e-300));
            return;
        };
        if call & 8 == 0 {
            if let Ok(code) = driver.read(input) {
                assert!(code <= MAX_CODE);
            }
        } else if let Ok(volts) = driver.read_volts(input) {
            assert!((0.0..=reference).contains(&volts), "{volts} of {reference}");
        }
        assert_eq!(wire.frames - before, 1);
    }
});
