//! Arbitrary bytes as a board file: it is refused in one line with a position in the text,
//! or controller and simulated board can be built from it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::board::{Ports, Simulated};
use steadfast::config::{Config, MAX_FILE};
use steadfast::stock::servo::Axes;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() as u64 > MAX_FILE {
        return;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let config = match Config::parse("f.toml", text) {
        Ok(config) => config,
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert!(shown.len() < 1_000, "{shown:?}");
            assert!(!error.what.is_empty() && !error.fix.is_empty(), "{shown:?}");
            let position = error.position.expect("an error in the text has a position");
            assert!(position.line <= text.matches('\n').count() + 1, "{shown:?}");
            return;
        }
    };
    if let Some(axes) = Axes::of(&config) {
        assert_eq!(axes.law().axes().len(), axes.names.axes.len());
    }
    if let Some(simulation) = &config.simulation {
        let (devices, map) =
            Simulated::build(simulation, &config.io, config.run.period).expect("was checked");
        let _ = Ports::new(devices, &config.io, &map);
    }
});
