//! A board file made into a running controller.
//!
//! [`run`] is what a firmware is made of: it opens or simulates the board's
//! devices, starts the helper threads, hands everything to the runner, and
//! makes the report. A control law of one's own goes in as its first argument's
//! type; see `examples/`.

mod feeder;
mod linux;
mod outcome;
mod ports;
mod recorder;
mod run;
mod simulated;

pub use linux::{Linux, Opened};
pub use ports::{Devices, Ports, SpiMap};
pub use run::{Description, Options, RunError, run};
pub use simulated::Simulated;

use crate::axis::ServoState;
use crate::config::Servo;
use crate::telemetry::report::AxisReport;

/// What a servo controller's state looks like to a person.
#[must_use]
pub fn describe_servo(servo: &Servo, state: &ServoState) -> Description {
    let axes = servo
        .names
        .iter()
        .zip(state.axes())
        .map(|(name, axis)| AxisReport {
            name: name.clone(),
            state: match axis.fault() {
                Some(fault) => format!("{}: {}", axis.state(), fault.words().name),
                None => axis.state().to_string(),
            },
            tracking_error_max_rad: axis.tracking_error_max_rad(),
            tracking_error_rms_rad: axis.tracking_error_rms_rad(),
        });
    let fault = state.fault().map(|(number, fault)| {
        let words = fault.words();
        let name = servo
            .names
            .get(usize::from(number))
            .map_or("", String::as_str);
        let device = match servo.encoders.get(usize::from(number)) {
            Some(encoder) if fault.is_of_encoder() => format!(", {encoder}"),
            _ => String::new(),
        };
        format!(
            "axis {name}: {} (0x{:04X}){device}; {}",
            words.name,
            fault.code(),
            words.remedy
        )
    });
    Description {
        axes: axes.collect(),
        fault,
    }
}
