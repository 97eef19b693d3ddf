//! Arbitrary readings, levels and gaps in time for the servo controller: no panic, and the
//! outputs of an axis without power have their safe values.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use steadfast::axis::{Servo, State};
use steadfast::config::Config;
use steadfast::cycle::image::{
    Angle, DigitalInputs, InputChannel, InputError, Inputs, MAX_ANALOG_OUTPUTS, OutputChannel,
    Outputs, Sample,
};
use steadfast::cycle::ports::{Decide, Directive, Tick};
use steadfast::cycle::stop::StopCause;
use steadfast::stock::servo::Axes;
use steadfast::time::{Duration, Instant};

/// All options of an axis: two axes, switches, brake, range, frozen limit.
const BOARD: &str = include_str!("../../tests/board_files/linux.toml");

static SERVO: LazyLock<(Servo, Vec<AxisOutputs>)> = LazyLock::new(|| {
    let config = Config::parse("linux.toml", BOARD).expect("good");
    let servo = Axes::of(&config).expect("axes").config.clone();
    let outputs = servo.axes.iter().map(|axis| AxisOutputs {
        command: axis.command_channel,
        enable: axis.enable_channel,
        brake: axis.brake_channel,
        most_volts: axis.limits.max_command_volts,
    });
    let outputs = outputs.collect();
    (servo.build(config.run.period).expect("good"), outputs)
});

/// The emergency stop, the first input of the file.
const STOP: InputChannel = InputChannel::new(0).unwrap();

struct AxisOutputs {
    command: u8,
    enable: OutputChannel,
    brake: Option<OutputChannel>,
    most_volts: f64,
}

const PERIOD: Duration = Duration::from_millis(1);

/// No safe value is zero, and an output without an axis must not change.
const SAFE: Outputs = Outputs::new(1 << 30, &[2.5; MAX_ANALOG_OUTPUTS]);

/// Bytes of the fuzzer per cycle.
const CYCLE: usize = 8;

const ERRORS: [InputError; 8] = [
    InputError::NotRead,
    InputError::Bus,
    InputError::Parity,
    InputError::Framing,
    InputError::NotReady,
    InputError::FieldWeak,
    InputError::FieldStrong,
    InputError::OutOfRange,
];

fuzz_target!(|bytes: &[u8]| {
    let (servo, channels) = &*SERVO;
    let mut state = servo.initial();
    let mut levels_before = 0;
    let mut slot = 0_u64;
    let mut at = [0_i32; 2];
    for cycle in bytes.chunks_exact(CYCLE) {
        let [levels, edges, what, gap, move_a, move_b, move_c, repeat] = *cycle else {
            return;
        };
        let levels = u32::from(levels & 0xF);
        let pulses = u32::from(edges & 0xF);
        let mut inputs = Inputs::NOT_READ;
        inputs.digital = if edges & 0x80 != 0 {
            Err(InputError::Bus)
        } else {
            Ok(DigitalInputs {
                levels,
                rose: levels & !levels_before | pulses,
                fell: levels_before & !levels | pulses,
            })
        };
        levels_before = levels;
        let step = i32::from_be_bytes([move_a, move_b, move_c, 0]) >> (what >> 4);
        // The same pattern for several cycles, so that the axis can start to move.
        for _ in 0..=repeat {
            for (number, position) in at.iter_mut().enumerate() {
                *position = position.wrapping_add(step);
                let failed = what & (1 << number) != 0;
                let error = ERRORS[usize::from(gap >> 5)];
                let value = if failed {
                    Err(error)
                } else {
                    Ok(Angle(*position as u32))
                };
                // Sometimes from an earlier cycle, or out of order.
                let periods = slot.saturating_sub(u64::from(edges >> 4 & 0x3));
                let at = Instant::from_nanos(0) + PERIOD * periods;
                inputs.positions[number] = Sample { value, at };
            }
            let elapsed = u32::from(gap & 0x1F).pow(3).max(1);
            slot += u64::from(elapsed);
            let tick = Tick {
                slot,
                elapsed_slots: elapsed,
                directive: if what & 4 != 0 {
                    Directive::QuickStop(StopCause::Overrun)
                } else {
                    Directive::Run
                },
                ..Tick::default()
            };
            let mut outputs = SAFE;
            Servo::decide(servo, &mut state, &inputs, &tick, &mut outputs);
            assert!(outputs.digital & SAFE.digital != 0 && outputs.analogs[7] == 2.5);
            for (axis, channels) in state.axes().iter().zip(channels) {
                let volts = outputs.analogs[usize::from(channels.command)];
                let enabled = outputs.is_active(channels.enable);
                let released = channels.brake.is_some_and(|brake| outputs.is_active(brake));
                assert!(volts.abs() <= channels.most_volts, "{volts} V");
                assert!(enabled || (!released && volts == 2.5), "{:?}", axis.state());
                let off = matches!(
                    axis.state(),
                    State::NotReadyToSwitchOn
                        | State::SwitchOnDisabled
                        | State::ReadyToSwitchOn
                        | State::Fault
                );
                assert!(!(off && enabled), "power in {:?}", axis.state());
                let faulted = matches!(axis.state(), State::FaultReactionActive | State::Fault);
                assert_eq!(axis.fault().is_some(), faulted);
            }
            // The emergency stop of this board is input 0.
            let stopped = inputs.digital.is_ok_and(|digital| digital.was_active(STOP));
            assert!(!stopped || state.axes().iter().all(|axis| !axis.is_powered()));
        }
    }
});
