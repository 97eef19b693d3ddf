//! A command that the loop has not taken in time.

use super::*;

#[test]
fn a_loop_that_resumes_does_not_take_a_controlword_that_was_refused() {
    let mailbox = Mailbox::leaked();
    let mut bench = Bench::new(mailbox);
    let mut machine = bench.machine(at(1));
    machine.set(0, Item::Mode, 8.0).unwrap();
    machine.set(0, Item::Controlword, 7.0).unwrap();
    machine.set(1, Item::Controlword, 7.0).unwrap();
    assert_eq!(bench.seen(at(2), 0, 0), Ok(7.0));
    let mut machine = bench.machine(at(3));
    machine.set(0, Item::Controlword, 15.0).unwrap();
    bench.owners.send();
    let mut machine = bench.machine(at(1004));
    machine.withdraw(0);
    machine.alive(0);
    machine.alive(1);
    // The master is alive, but has to write again.
    assert_eq!(bench.seen(at(1005), 0, 0), Err(InputError::Stale));
    assert_eq!(bench.received.get(4, 1).value, Ok(7.0));
    // What comes with SYNC and PDOs does not bring the controlword back.
    bench.machine(at(1006)).pace(0, Pace::Sync);
    let paced = f64::from(control::PACED + control::PACE);
    assert_eq!(bench.seen(at(1006), 0, 0), Ok(paced));
    let mut machine = bench.machine(at(1007));
    machine.set(0, Item::TargetPosition, 3.0).unwrap();
    assert_eq!(bench.seen(at(1007), 0, 0), Ok(paced));
    let mut machine = bench.machine(at(1008));
    machine.set(0, Item::Controlword, 6.0).unwrap();
    assert_eq!(bench.seen(at(1008), 0, 0), Ok(6.0 + paced));
}
