//! Numbers that are in contradiction to each other.

use super::{LINUX, SIM, edit, refused};

#[test]
fn cut_off_frequencies_are_below_half_the_rate() {
    const FIX: &str = "below half the loop's rate, 500 Hz";
    refused(
        LINUX,
        &[
            (
                &[edit("axis.x.gains", "250.0", "§500.0")],
                "`derivative_cutoff_hz` of [axis.x] is 500 Hz",
                FIX,
            ),
            (
                &[edit("axis.x.feedback", "200.0", "§501")],
                "`velocity_cutoff_hz` of [axis.x] is 501 Hz",
                FIX,
            ),
            (
                &[
                    edit(
                        "loop",
                        "period_us = 1000\ndeadline_us = 900",
                        "period_us = 2000",
                    ),
                    edit("axis.x.gains", "250.0", "§250.0"),
                    edit(
                        "axis.x.feedback",
                        "velocity_cutoff_hz = 200.0",
                        "velocity_cutoff_hz = 100.0",
                    ),
                ],
                "`derivative_cutoff_hz` of [axis.x] is 250 Hz",
                "rate, 250 Hz",
            ),
        ],
    );
}

#[test]
fn limits_are_the_right_way_round_and_hold_what_they_limit() {
    refused(
        LINUX,
        &[
            (
                &[edit("axis.x.limits", "max_rad = 13.0", "max_rad = §-13.0")],
                "`max_rad` of [axis.x] is -13, not above its lower end -13",
                "the greater of the two",
            ),
            (
                &[edit("axis.x.limits", "max_rad = 13.0", "max_rad = §-14.0")],
                "`max_rad` of [axis.x] is -14, not above its lower end -13",
                "the greater of the two",
            ),
            (
                &[edit(
                    "analog_output.torque",
                    "max_volts = 10.0",
                    "max_volts = §-10.0",
                )],
                "`max_volts` is -10, not above `min_volts` = -10",
                "code 4095",
            ),
            (
                &[edit(
                    "axis.x.profile",
                    "\nvelocity_rad_s = 20.0",
                    "\nvelocity_rad_s = §40.5",
                )],
                "`velocity_rad_s` of [axis.x] is 40.5",
                "from 0 to 40, the limit `max_velocity_rad_s`",
            ),
            (
                &[edit(
                    "axis.x.limits",
                    "max_velocity_rad_s = 40.0",
                    "max_velocity_rad_s = §401.0",
                )],
                "`max_velocity_rad_s` of [axis.x] is 401",
                "from 0 to 400, which is `plausible_velocity_rad_s`",
            ),
            (
                &[edit("axis.x.feedback", "400.0", "§4000.0")],
                "`plausible_velocity_rad_s` of [axis.x] is 4000",
                "half a turn of the encoder in each period",
            ),
            (
                &[edit("axis.x.profile", "800.0", "§399.0")],
                "`stop_deceleration_rad_s2` of [axis.x] is 399",
                "at least 400, the `acceleration_rad_s2`",
            ),
            (
                &[edit("axis.x.profile", "80000.0", "§1.0")],
                "`stop_jerk_rad_s3` of [axis.x] is 1",
                "at least 20000, the `jerk_rad_s3`",
            ),
            (
                &[edit("axis.x.motion", "[6.283185,", "§[16.283185,")],
                "`positions_rad` of [axis.x] is 16.283185",
                "from -13 to 13, the limits",
            ),
            (
                &[edit("axis.x.motion", "0.25", "§-1")],
                "`dwell_s` of [axis.x] is -1",
                "from 0 to 3600",
            ),
            (
                &[edit(
                    "axis.table.limits",
                    "max_command_volts = 5.0",
                    "max_command_volts = §5.1",
                )],
                "`max_command_volts` is 5.1, but [analog_output.table_torque] gives only -5 to 5 V",
                "it must be at most 5",
            ),
            (
                &[
                    edit(
                        "analog_output.torque",
                        "min_volts = -10.0",
                        "min_volts = 0.0",
                    ),
                    edit(
                        "axis.x.limits",
                        "max_command_volts = 10.0",
                        "max_command_volts = §10.0",
                    ),
                ],
                "[analog_output.torque] gives only 0 to 10 V",
                "both signs",
            ),
        ],
    );
    refused(
        SIM,
        &[(
            &[edit(
                "simulation.motor.x",
                "stiction_nm = 0.015",
                "stiction_nm = §0.009",
            )],
            "`stiction_nm` is 0.009",
            "from 0.01 to 1000",
        )],
    );
}

#[test]
fn a_deadline_thread_has_no_cpu_of_its_own() {
    let deadline = "§\"deadline\"\nruntime_us = 300";
    refused(
        LINUX,
        &[(
            &[edit("loop", "\"fifo\"\npriority = 80", deadline)],
            "scheduler = \"deadline\" with a CPU of its own",
            "set cpu = \"any\"",
        )],
    );
}
