//! An output that no law sets has its safe value in every state of the axes.

use super::super::*;
use crate::axis::{Servo, State};
use crate::board::Simulated;
use crate::config::Config;
use crate::cycle::ports::Directive;
use crate::cycle::record::CycleRecord;
use crate::cycle::stages::{Cycle, Drive};
use crate::cycle::stop::StopCause;
use crate::sim::VirtualClock;
use crate::stock::servo::Axes;

/// The simulated board with an output that no law sets, and a converter with the safe value
/// 2.5 V.
fn board() -> Config {
    let pump = "\n[output.pump]\nsafe = true\nmax_hold_ms = 20\nshutdown = 1\n";
    let text = crate::stock::SIM_BOARD.replace("safe_volts = 0.0", "safe_volts = 2.5");
    Config::parse("b.toml", &(text + pump)).expect("good")
}

#[test]
fn outputs_without_a_law_are_safe_in_every_state() {
    let config = board();
    let (pump, enable) = (config.output("pump"), config.output("enable"));
    let (pump, enable) = (pump.expect("there").bit(), enable.expect("there").bit());
    let simulation = config.simulation.as_ref().expect("simulated");
    let period = config.run.period;
    let (devices, map) = Simulated::build(simulation, &config.io, period).expect("wired");
    let ports = Ports::new(devices, &config.io, &map);
    let law = Axes::of(&config).expect("an axis").law();
    let mut cycle = Cycle::<_, Servo>::new(ports, &law, law.initial(), config.heartbeat);
    let clock = VirtualClock::new(Duration::from_micros(20));
    let mut slot = 0;
    let mut states = std::vec::Vec::new();
    let mut run = |cycles, drive, directive, broken| {
        for _ in 0..cycles {
            slot += 1;
            let release = Instant::from_nanos(0) + period * slot;
            let tick = Tick {
                slot,
                release,
                now: release,
                elapsed_slots: 1,
                directive,
            };
            if broken {
                let plan = cycle.ports.devices.board_mut().faults_mut(0);
                let fault = crate::sim::Fault::BusError;
                plan.expect("an encoder").add_now(fault, 1).expect("room");
            }
            assert_eq!(
                cycle
                    .run_once(&clock, &tick, drive, &mut CycleRecord::default())
                    .acted,
                Ok(())
            );
            let board = cycle.ports.devices.board_mut();
            let (levels, volts) = (board.gpio().outputs(), board.command_volts(0));
            let state = cycle.state.axes()[0].state();
            assert_ne!(levels & pump, 0, "{state:?}, {drive:?}");
            if levels & enable == 0 {
                let volts = volts.expect("an axis");
                assert!(
                    (volts - 2.5).abs() < 0.01,
                    "{state:?}, {drive:?}: {volts} V"
                );
            }
            if !states.contains(&state) {
                states.push(state);
            }
        }
    };
    run(20, Drive::Safe, Directive::Run, false);
    run(200, Drive::Fresh, Directive::Run, false);
    run(
        400,
        Drive::Fresh,
        Directive::QuickStop(StopCause::RunEnds),
        false,
    );
    run(20, Drive::Fresh, Directive::Run, true);
    assert!(states.contains(&State::OperationEnabled), "{states:?}");
    assert!(states.contains(&State::QuickStopActive), "{states:?}");
    assert!(states.contains(&State::SwitchOnDisabled), "{states:?}");
    assert!(states.contains(&State::Fault), "{states:?}");
}
