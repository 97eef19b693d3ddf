//! Where the values of the status are.

use super::*;
use crate::axis::status::STATUS;

#[test]
fn the_places_of_the_status_are_those_of_the_axis() {
    for (place, name) in [
        (Status::Statusword, "statusword"),
        (Status::ModeDisplay, "mode_display"),
        (Status::Position, "position"),
        (Status::Velocity, "velocity"),
        (Status::Setpoint, "setpoint"),
        (Status::FollowingError, "following_error"),
        (Status::Fault, "fault"),
        (Status::VelocityDemand, "velocity_demand"),
        (Status::Switches, "switches"),
    ] {
        assert_eq!(STATUS[place as usize].0, name);
    }
}
