mod places;
mod reset;
mod withdrawn;

use super::machine::{Status, TRIES};
use super::*;
use crate::axis::state::State;
use crate::axis::words::{control, status};
use crate::control::{ParameterError, ParameterErrorKind};
use crate::cycle::image::InputError;
use crate::cycle::received::Received;
use crate::link::canopen::{Drive, Item, Loss, Pace, Refusal};
use crate::link::mailbox::{Mailbox, Receiver};
use crate::link::owner::{self, Client};
use crate::link::parameters::{self, Object, Setting};

const OTHER: Client = Client(3);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// Two axes whose commands have a timeout of 50 ms, at the positions 1 and 2 rad.
struct Bench<'m> {
    owners: Owners<'m>,
    receiver: Receiver,
    axes: [DriveConfig; 2],
    values: Values,
    received: Received,
}

impl<'m> Bench<'m> {
    fn new(mailbox: &'static Mailbox) -> Self {
        let (sender, receiver) = mailbox.open([Duration::from_millis(50); 2]);
        let ranges = [(0.0, 65535.0), (-128.0, 127.0), (-10.0, 10.0), (-5.0, 5.0)];
        let axis = |name: &str, group| DriveConfig {
            name: name.to_owned(),
            group,
            status: 0,
        };
        let mut values = Values::NONE;
        values.statuses[0] = [
            0x237 as f64,
            8.0,
            1.0,
            0.5,
            1.1,
            0.1,
            3.0,
            0.0,
            9.0,
            0.6,
            4.0,
        ];
        values.statuses[1][Status::Position as usize] = 2.0;
        Self {
            owners: Owners::new(sender, [(0, 4), (4, 4)], [ranges, ranges].concat()),
            receiver,
            axes: [axis("x", 0), axis("y", 1)],
            values,
            received: Received::NONE,
        }
    }

    fn machine(&mut self, now: Instant) -> Machine<'_, 'm> {
        Machine {
            owners: &mut self.owners,
            now,
            axes: &self.axes,
            values: &mut self.values,
        }
    }

    /// What the loop sees of a command.
    fn seen(&mut self, now: Instant, index: u8, group: u8) -> Result<f64, InputError> {
        self.owners.send();
        self.receiver.receive(now, &mut self.received);
        self.received.get(index, group).value
    }
}

#[test]
fn the_first_command_claims_the_axis_with_its_position_as_the_target() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    let mut machine = bench.machine(at(1));
    assert_eq!(machine.set(1, Item::Controlword, 6.0), Ok(()));
    assert_eq!(bench.seen(at(2), 4, 1), Ok(6.0));
    assert_eq!(bench.seen(at(2), 6, 1), Ok(2.0));
    assert_eq!(bench.seen(at(2), 0, 0), Err(InputError::NotRead));
    let claimed = bench.owners.claim(OTHER, 1);
    assert_eq!(claimed, Err(owner::Refusal::Owned(Client::CAN)));
}

#[test]
fn a_controlword_is_taken_when_the_loop_has_seen_it() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    let mut machine = bench.machine(at(1));
    machine.set(0, Item::TargetPosition, 3.0).unwrap();
    assert!(machine.is_taken(), "a value is not an edge");
    machine.set(0, Item::Controlword, 6.0).unwrap();
    assert!(!machine.is_taken());
    // Handed over, but not taken; what comes after it does not take longer for that.
    bench.owners.send();
    bench.values.note_taken(&mut bench.owners);
    assert!(!bench.machine(at(1)).is_taken());
    bench.machine(at(1)).alive(0);
    assert_eq!(bench.seen(at(2), 0, 0), Ok(6.0));
    bench.machine(at(2)).alive(0);
    bench.values.note_taken(&mut bench.owners);
    let mut machine = bench.machine(at(2));
    assert!(machine.is_taken());
    machine.set(0, Item::Controlword, 6.0).unwrap();
    assert!(machine.is_taken(), "the same again is no edge");
    assert_eq!(
        machine.set(0, Item::TargetPosition, 99.0),
        Err(Refusal::TooHigh)
    );
    assert_eq!(machine.set(0, Item::Controlword, 7.0), Ok(()));
    assert!(!machine.is_taken());
}

#[test]
fn the_loop_sees_each_sync_and_a_hold_is_halt_in_the_modes_that_follow_it() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    let paced = f64::from(control::PACED);
    let pace = f64::from(control::PACE);
    let halt = f64::from(control::HALT);
    bench.machine(at(1)).pace(0, Pace::Sync);
    assert_eq!(
        bench.seen(at(1), 0, 0),
        Err(InputError::NotRead),
        "no claim"
    );
    let mut machine = bench.machine(at(1));
    machine.set(0, Item::Mode, 8.0).unwrap();
    // The bits of the manufacturer are not the master's.
    machine.set(0, Item::Controlword, 15.0 + pace).unwrap();
    assert_eq!(machine.get(0, Item::Controlword), Ok(15.0 + pace));
    assert_eq!(bench.seen(at(1), 0, 0), Ok(15.0 + paced + pace));
    for (mode, added) in [
        (8.0, halt),
        (9.0, halt),
        (3.0, halt),
        (1.0, 0.0),
        (6.0, 0.0),
    ] {
        let mut machine = bench.machine(at(2));
        machine.set(0, Item::Mode, mode).unwrap();
        machine.pace(0, Pace::Sync);
        assert_eq!(bench.seen(at(2), 0, 0), Ok(15.0 + paced));
        bench.machine(at(2)).pace(0, Pace::Hold);
        assert_eq!(bench.seen(at(2), 0, 0), Ok(15.0 + paced + added), "{mode}");
        bench.machine(at(2)).pace(0, Pace::Sync);
        assert_eq!(bench.seen(at(2), 0, 0), Ok(15.0 + paced + pace));
    }
    bench.machine(at(3)).pace(0, Pace::Free);
    assert_eq!(bench.seen(at(3), 0, 0), Ok(15.0));
}

#[test]
fn the_commands_of_another_client_are_not_replaced() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    bench.owners.claim(OTHER, 0).unwrap();
    let mut machine = bench.machine(at(1));
    let refused = machine.set(0, Item::Controlword, 6.0);
    assert_eq!(refused, Err(Refusal::Owner));
    bench.owners.release(OTHER, 0).unwrap();
    let mut machine = bench.machine(at(1));
    assert_eq!(machine.set(0, Item::Controlword, 6.0), Ok(()));
}

#[test]
fn commands_last_while_the_master_is_alive_and_are_stale_when_it_is_lost() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    for axis in 0..2 {
        let mut machine = bench.machine(at(1));
        machine.set(axis, Item::Controlword, 15.0).unwrap();
    }
    for ms in 1..200 {
        bench.machine(at(ms)).alive(0);
        bench.machine(at(ms)).alive(1);
        assert_eq!(bench.seen(at(ms), 0, 0), Ok(15.0));
    }
    bench.machine(at(200)).lost(0, Loss::Rpdo);
    assert_eq!(bench.seen(at(200), 0, 0), Err(InputError::Stale));
    assert_eq!(bench.seen(at(200), 4, 1), Ok(15.0), "the other goes on");
    // A loss is no reason to go on later.
    bench.machine(at(201)).alive(0);
    assert_eq!(bench.seen(at(201), 0, 0), Err(InputError::Stale));
    assert_eq!(bench.owners.claim(OTHER, 0), Ok(()));
    // Without a sign that the master is alive, the timeout ends it.
    assert_eq!(bench.seen(at(260), 4, 1), Err(InputError::Stale));
}

#[test]
fn values_out_of_range_are_refused_and_change_nothing() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    let mut machine = bench.machine(at(1));
    machine.set(0, Item::TargetPosition, 3.0).unwrap();
    let high = machine.set(0, Item::TargetPosition, 10.5);
    assert_eq!(high, Err(Refusal::TooHigh));
    let low = machine.set(0, Item::TargetPosition, -10.5);
    assert_eq!(low, Err(Refusal::TooLow));
    assert_eq!(machine.get(0, Item::TargetPosition), Ok(3.0));
    assert_eq!(machine.set(0, Item::Mode, 8.0), Ok(()));
    assert_eq!(bench.seen(at(2), 2, 0), Ok(3.0));
}

#[test]
fn the_status_of_an_axis_is_that_of_the_newest_frame() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    let machine = bench.machine(at(1));
    for (item, value) in [
        (Item::Statusword, 0x237 as f64),
        (Item::ModeDisplay, 8.0),
        (Item::Position, 1.0),
        (Item::Velocity, 0.5),
        (Item::Setpoint, 1.1),
        (Item::FollowingError, 0.1),
        (Item::ErrorCode, 0.0),
        (Item::SetpointVelocity, 0.6),
        (Item::DigitalInputs, 4.0),
    ] {
        assert_eq!(machine.get(0, item), Ok(value), "{item:?}");
    }
    let nothing = machine.get(1, Item::Statusword);
    assert_eq!(nothing, Err(Refusal::NoData));
}

#[test]
fn a_master_that_goes_on_does_not_undo_a_stop() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    bench
        .machine(at(1))
        .set(0, Item::Controlword, 15.0)
        .unwrap();
    bench.owners.revoke(0).unwrap();
    for state in [
        State::OperationEnabled,
        State::SwitchedOn,
        State::ReadyToSwitchOn,
        State::QuickStopActive,
        State::FaultReactionActive,
    ] {
        bench.values.statuses[0][0] = f64::from(status::bits(state));
        let refused = bench.machine(at(2)).set(0, Item::Controlword, 15.0);
        assert_eq!(refused, Err(Refusal::Owner), "{state:?}");
        assert_eq!(bench.seen(at(2), 0, 0), Err(InputError::NotRead));
    }
    bench.values.statuses[0][0] = f64::NAN;
    let refused = bench.machine(at(3)).set(0, Item::Controlword, 6.0);
    assert_eq!(refused, Err(Refusal::Owner), "its state is not known");
    bench.values.statuses[0][0] = f64::from(status::bits(State::SwitchOnDisabled));
    let claimed = bench.machine(at(4)).set(0, Item::Controlword, 6.0);
    assert_eq!(claimed, Ok(()));
    assert_eq!(bench.seen(at(4), 0, 0), Ok(6.0));
}

/// The parameters of the axes "x" and "y": 6081h from 0 to 40 and 60C2h (in ms), and 6098h fixed
/// to 37.
struct Table {
    values: [[f64; 2]; 2],
    /// So often the loop is about to take over a change.
    busy: usize,
}

const KEYS: [&str; 2] = ["profile.velocity_rad_s", "command.interpolation_ms"];

impl parameters::Parameters for Table {
    fn count(&self) -> u32 {
        4
    }

    fn get(&mut self, number: u32) -> Option<parameters::Parameter<'_>> {
        let number = number as usize;
        let value = *self.values.as_flattened().get(number)?;
        Some(parameters::Parameter {
            of: ["x", "y"][number / 2],
            key: KEYS[number % 2],
            unit: "",
            value,
            start: value,
            range: (0.0, 40.0),
            board: 20.0,
            next: value,
        })
    }

    fn object(&self, of: &str, object: (u16, u8)) -> Option<Object> {
        let axis = usize::from(of == "y");
        let place = match object {
            (0x6081, 0) => 0,
            (0x60C2, 1) => 1,
            (0x6098, 0) => {
                return Some(Object {
                    value: 37.0,
                    number: None,
                    per_si: 1.0,
                });
            }
            _ => return None,
        };
        let per_si = [1.0, 1e3][place];
        Some(Object {
            value: self.values[axis][place] / per_si,
            number: Some((2 * axis + place) as u32),
            per_si,
        })
    }

    fn set(&mut self, _: bool, settings: &[Setting]) -> Result<(), parameters::Refusal<'_>> {
        let [Setting { number, value }] = settings else {
            panic!("one value")
        };
        let number = *number as usize;
        let (value, max) = (*value, 40.0);
        if self.busy > 0 {
            self.busy -= 1;
            return Err(parameters::Refusal::Busy);
        }
        let refused = |name, kind| {
            let error = ParameterError { name, kind };
            Err(parameters::Refusal::Value { of: "x", error })
        };
        if value == 13.0 {
            let kind = ParameterErrorKind::OutOfRange {
                min: 0.0,
                max: 13.0,
                value: 14.0,
            };
            return refused("fast_rad_s", kind);
        }
        if value == 0.0 {
            return refused("velocity_rad_s", ParameterErrorKind::NotPositive { value });
        }
        if value > max {
            let kind = ParameterErrorKind::OutOfRange {
                min: 0.0,
                max,
                value,
            };
            return refused("velocity_rad_s", kind);
        }
        self.values[number / 2][number % 2] = value;
        Ok(())
    }

    fn before(&mut self, number: u32) -> f64 {
        let number = number as usize;
        self.values[number / 2][number % 2]
    }

    fn keeps(&mut self, _: bool) {}
    fn kept(&mut self) {}

    fn is_pending(&self) -> bool {
        false
    }
}

/// A bench whose axes have the parameters of [`Table`].
fn tunable(mailbox: &'static Mailbox, busy: usize) -> Bench<'static> {
    let mut bench = Bench::new(mailbox);
    bench.owners.parameters = Box::new(Table {
        values: [[2.0, 0.0], [3.0, 0.0]],
        busy,
    });
    bench
}

#[test]
fn parameters_are_read_and_changed_in_si_units() {
    let mailbox = Mailbox::leaked();
    let mut bench = tunable(mailbox, 0);
    let mut machine = bench.machine(at(1));
    assert_eq!(machine.get(0, Item::ProfileVelocity), Ok(2.0));
    assert_eq!(machine.get(1, Item::ProfileVelocity), Ok(3.0));
    assert_eq!(machine.set(1, Item::ProfileVelocity, 5.5), Ok(()));
    assert_eq!(machine.get(1, Item::ProfileVelocity), Ok(5.5));
    assert_eq!(machine.get(0, Item::ProfileVelocity), Ok(2.0));
    assert_eq!(machine.set(0, Item::InterpolationPeriod, 0.01), Ok(()));
    assert_eq!(machine.get(0, Item::InterpolationPeriod), Ok(0.01));
    let ms = bench.owners.parameters.get(1).map(|now| now.value);
    assert_eq!(ms, Some(10.0));
    assert_eq!(bench.owners.owners().flatten().count(), 0, "no command");
}

#[test]
fn a_fixed_value_is_read_and_one_that_the_machine_does_not_have_is_no_data() {
    let mailbox = Mailbox::leaked();
    let mut bench = tunable(mailbox, 0);
    let mut machine = bench.machine(at(1));
    assert_eq!(machine.get(0, Item::HomingMethod), Ok(37.0));
    let refused = machine.set(0, Item::HomingMethod, 35.0);
    assert_eq!(refused, Err(Refusal::ReadOnly));
    assert_eq!(machine.get(0, Item::MaxPosition), Err(Refusal::NoData));
    let refused = machine.set(0, Item::MaxPosition, 1.0);
    assert_eq!(refused, Err(Refusal::ReadOnly));
}

#[test]
fn a_refused_parameter_has_its_reason_and_changes_nothing() {
    let mailbox = Mailbox::leaked();
    let mut bench = tunable(mailbox, 0);
    let mut machine = bench.machine(at(1));
    for (value, refusal) in [
        (41.0, Refusal::TooHigh),
        (0.0, Refusal::TooLow),
        (13.0, Refusal::Conflict),
    ] {
        let refused = machine.set(0, Item::ProfileVelocity, value);
        assert_eq!(refused, Err(refusal), "{value}");
        assert_eq!(machine.get(0, Item::ProfileVelocity), Ok(2.0));
    }
}

#[test]
fn a_change_is_repeated_while_the_loop_takes_over_another_one() {
    let mailbox = Mailbox::leaked();
    let mut bench = tunable(mailbox, usize::from(TRIES));
    let mut machine = bench.machine(at(1));
    assert_eq!(machine.set(0, Item::ProfileVelocity, 4.0), Ok(()));
    let mut bench = tunable(mailbox, usize::from(TRIES) + 1);
    let mut machine = bench.machine(at(1));
    let refused = machine.set(0, Item::ProfileVelocity, 4.0);
    assert_eq!(refused, Err(Refusal::State));
}

#[test]
fn a_parameter_that_a_pdo_repeats_is_not_changed_again() {
    let mailbox = Mailbox::leaked();
    let mut bench = tunable(mailbox, 0);
    let mut machine = bench.machine(at(1));
    assert_eq!(machine.set(0, Item::InterpolationPeriod, 0.029), Ok(()));
    // A further change would be refused.
    bench.owners.parameters = Box::new(Table {
        values: [[2.0, 29.0], [3.0, 0.0]],
        busy: usize::MAX,
    });
    let mut machine = bench.machine(at(2));
    assert_eq!(machine.set(0, Item::InterpolationPeriod, 0.029), Ok(()));
    let refused = machine.set(0, Item::InterpolationPeriod, 0.03);
    assert_eq!(refused, Err(Refusal::State));
}

#[test]
fn parameters_of_an_axis_that_another_client_commands_are_refused() {
    let mailbox = Mailbox::leaked();
    let mut bench = tunable(mailbox, 0);
    bench.owners.claim(OTHER, 0).unwrap();
    let mut machine = bench.machine(at(1));
    let refused = machine.set(0, Item::ProfileVelocity, 4.0);
    assert_eq!(refused, Err(Refusal::Owner));
    assert_eq!(machine.set(1, Item::ProfileVelocity, 4.0), Ok(()));
    // Taken from its owner while it has power: the master must not go on with it.
    bench.owners.revoke(0).unwrap();
    bench.values.statuses[0][0] = f64::from(status::bits(State::OperationEnabled));
    let refused = bench.machine(at(2)).set(0, Item::ProfileVelocity, 4.0);
    assert_eq!(refused, Err(Refusal::Owner));
    bench.values.statuses[0][0] = f64::from(status::bits(State::SwitchOnDisabled));
    let granted = bench.machine(at(3)).set(0, Item::ProfileVelocity, 4.0);
    assert_eq!(granted, Ok(()));
}

#[test]
fn the_items_have_the_objects_of_the_table() {
    for (item, object) in [
        (Item::Controlword, (0x6040, 0)),
        (Item::MaxPosition, (0x607D, 2)),
        (Item::HomingZeroSpeed, (0x6099, 2)),
        (Item::InterpolationPeriod, (0x60C2, 1)),
        (Item::PositioningOption, (0x60F2, 0)),
    ] {
        assert_eq!(item.object(), object);
    }
}
