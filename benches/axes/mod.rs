//! The simulated board with as many axes as a measurement wants.
//!
//! Every axis is the one of `board/sim/board.toml` with channels of its own, and
//! its motor and encoder draw noise of their own.

use steadfast::config::Config;

/// Most axes of a board.
pub(crate) const MOST: usize = steadfast::axis::servo::MAX_AXES;

/// The embedded simulated board with `axes` axes, 1 to [`MOST`].
///
/// # Panics
/// When it has no axis to begin with: the embedded board file is checked to
/// have one.
#[must_use]
pub(crate) fn board(axes: usize) -> Config {
    assert!((1..=MOST).contains(&axes), "{axes} axes on one board");
    let mut config = Config::simulated();
    let servo = config.servo.as_mut().expect("the board has an axis");
    let simulation = config.simulation.as_mut().expect("the board is simulated");
    let (axis, motor) = (servo.config.axes[0].clone(), simulation.motors[0].clone());
    let enable = config.io.outputs[usize::from(axis.enable_channel)].clone();
    let encoder = config.io.encoders[0].clone();
    let torque = config.io.analog_outputs[0].clone();
    for number in 1..axes {
        let channel = number as u8;
        let power = config.io.outputs.len() as u8;
        config.io.outputs.push(enable.clone());
        config.io.outputs.push(enable.clone());
        config.io.encoders.push(encoder.clone());
        config.io.analog_outputs.push(torque.clone());
        let mut axis = axis.clone();
        axis.feedback.encoder_channel = channel;
        axis.command_channel = channel;
        axis.enable_channel = power;
        axis.brake_channel = Some(power + 1);
        servo.config.axes.push(axis).expect("no more than fit");
        servo.names.push(format!("x{number}"));
        let mut motor = motor.clone();
        motor.encoder = channel;
        motor.analog_output = channel;
        motor.enable = Some(power);
        motor.brake_release = Some(power + 1);
        simulation.motors.push(motor);
    }
    config
}
