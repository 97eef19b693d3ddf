//! Random commands: no setpoint leaves the limits, whatever a master sends.

use super::drive::*;
use crate::axis::*;

/// xorshift64* (Vigna 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn command(random: &mut Random, drive: &mut Drive) {
    let modes = [PP, PV, HM, CSP, CSV, PP, CSP, 0, 4, -1];
    if random.below(30) == 0 {
        drive.mode(modes[random.below(10) as usize]);
    }
    if random.below(8) == 0 {
        // Most of them in the range of 50 rad, and near its ends.
        let scale = [10.0, 60.0, 200.0][random.below(3) as usize];
        drive.target(scale * (2.0 * random.unit() - 1.0));
        drive.velocity(25.0 * (2.0 * random.unit() - 1.0));
    }
    let word = match random.below(40) {
        0 => random.next() as u16,
        1 => SHUTDOWN,
        2 => SWITCH_ON,
        3 => QUICK_STOP,
        4..=6 => ENABLE | HALT,
        7..=12 => ENABLE | START,
        13..=16 => ENABLE | START | IMMEDIATELY,
        17 => ENABLE | START | RELATIVE,
        _ => ENABLE,
    };
    drive.write(word);
    if random.below(300) == 0 {
        drive.fail(crate::cycle::image::InputError::Stale);
    }
}

#[test]
fn random_commands_never_move_a_setpoint_beyond_its_limits() {
    let mut enabled_cycles = 0_u32;
    let mut visited = [0_u32; 10];
    for seed in 1..=60 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut drive = Drive::new(|c| {
            c.rearm = Rearm::OnCommand;
            c.axes[0].command_config.homing.method = 0;
            c.axes[0].command_config.on_loss = [OnLoss::QuickStop, OnLoss::Hold][seed as usize % 2];
            // Steps of csp at the velocity of the profile are harder than the plant follows.
            c.axes[0].limits.following_error_window_rad = 30.0;
            c.axes[0].limits.max_velocity_rad_s = 90.0;
            c.axes[0].feedback.frozen = None;
        });
        drive.bench.bodies[0].position = 80.0 * (random.unit() - 0.5);
        drive.enable();
        let mut before: Option<f64> = None;
        for cycle in 0..6_000 {
            if random.below(10) == 0 {
                command(&mut random, &mut drive);
            }
            if drive.state() == State::Fault && random.below(10) == 0 {
                drive.run(SHUTDOWN, 1);
                drive.run(FAULT_RESET, 1);
            }
            if drive.state() == State::SwitchOnDisabled && random.below(10) == 0 {
                drive.run(SHUTDOWN, 1);
            }
            let elapsed = 1 + u32::from(random.below(50) == 0) * random.below(4) as u32;
            drive.bench.cycle_after(elapsed);
            assert_eq!(decoded(drive.status()), drive.state());
            let axis = drive.axis();
            let setpoint = axis.setpoint_rad();
            let context = format!(
                "seed {seed}, cycle {cycle}, {:?}, {:?}",
                axis.command().mode(),
                axis.state()
            );
            if axis.is_powered() && axis.state() == State::OperationEnabled {
                enabled_cycles += 1;
                visited[axis.command().mode().number() as usize] += 1;
                assert!(setpoint.abs() <= 50.0 + 1e-9, "{context}: {setpoint}");
                if let Some(before) = before {
                    let step = (setpoint - before).abs();
                    // A braking csv may be as fast as the profile plus one step.
                    let most = 20.0 * 1e-3 * f64::from(elapsed);
                    assert!(step <= most * (1.0 + 1e-9) + 1e-9, "{context}: step {step}");
                }
            }
            if let State::QuickStopActive | State::FaultReactionActive = axis.state() {
                assert!(setpoint.abs() <= 50.0 + 1e-9, "{context}: {setpoint}");
            }
            before = axis.is_powered().then_some(setpoint);
        }
    }
    assert!(enabled_cycles > 100_000, "{enabled_cycles}");
    for mode in [0, 1, 3, 6, 8, 9] {
        assert!(visited[mode] > 1_000, "mode {mode}: {}", visited[mode]);
    }
}
