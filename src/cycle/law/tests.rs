use super::*;
use crate::cycle::ports::Directive;
use crate::cycle::signal::{Input, Output};
use crate::time::Instant;
use core::ops::Deref;

/// Sums what it reads and sets the sum; faulted above a limit.
#[derive(Copy, Clone)]
struct Sum {
    from: Input<f64>,
    to: Output<f64>,
    limit: f64,
}

impl Law for Sum {
    type State = (f64, u64);
    const TRACE: &'static [&'static str] = &["sum"];

    fn start(&self) -> (f64, u64) {
        (0.0, 0)
    }

    fn step(&self, (sum, waited): &mut (f64, u64), io: &mut Io<'_>) {
        *waited = io.elapsed().as_nanos();
        if io.is_stopping() {
            *sum = 0.0;
        } else {
            *sum += io.read(self.from).value.unwrap_or(0.0);
        }
        io.set(self.to, *sum);
    }

    fn at_rest(&self, (sum, _): &(f64, u64)) -> bool {
        *sum == 0.0
    }

    fn fault(&self, (sum, _): &(f64, u64)) -> Option<FaultNumber> {
        (*sum > self.limit).then(|| FaultNumber::new(3).unwrap())
    }

    fn trace(&self, (sum, _): &(f64, u64), values: &mut [f32]) {
        values[0] = *sum as f32;
    }
}

struct Boxed(std::boxed::Box<Running<Sum>>);

impl Deref for Boxed {
    type Target = dyn RunLaw;
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl DerefMut for Boxed {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0
    }
}

fn entry(from: Input<f64>, to: u8, every: u32, limit: f64) -> Entry<Boxed> {
    let law = Sum {
        from,
        to: Output::numbered(to).unwrap(),
        limit,
    };
    Entry {
        law: Boxed(std::boxed::Box::new(Running::new(law))),
        every: Every::slots(every),
        drives: Drives {
            commands: 1 << to,
            ..Drives::default()
        },
        traced: 1,
        statuses: 1,
    }
}

fn tick(slot: u64, elapsed_slots: u32) -> Tick {
    Tick {
        slot,
        elapsed_slots,
        release: Instant::from_nanos(slot),
        ..Tick::default()
    }
}

fn set() -> LawSet<Boxed> {
    let mut laws = LawSet::new(Duration::from_millis(1));
    let sensed = Input::numbered(0).unwrap();
    let first = Output::<f64>::numbered(0).unwrap().reading();
    assert!(laws.push(entry(sensed, 0, 1, 1e9)).is_ok());
    assert!(laws.push(entry(first, 1, 3, 20.0)).is_ok());
    laws
}

fn cycle(laws: &mut LawSet<Boxed>, tick: &Tick) -> [f64; 2] {
    let mut inputs = Inputs::NOT_READ;
    inputs.analogs[0].value = Ok(1.0);
    let mut outputs = Outputs::new(0, &[-7.0, -7.0]);
    Laws::decide(&(), laws, &inputs, tick, &mut outputs);
    [outputs.analogs[0], outputs.analogs[1]]
}

#[test]
fn a_law_reads_the_outputs_of_the_law_before_it_and_a_slow_law_holds_its_outputs() {
    let mut laws = set();
    let seen: std::vec::Vec<_> = (0..7)
        .map(|slot| cycle(&mut laws, &tick(slot, 1)))
        .collect();
    let first: std::vec::Vec<_> = seen.iter().map(|both| both[0]).collect();
    let second: std::vec::Vec<_> = seen.iter().map(|both| both[1]).collect();
    assert_eq!(first, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    // In slots 0, 3 and 6: 1, then 4 more, then 7 more.
    assert_eq!(second, [1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 12.0]);
    assert_eq!(Laws::trace(&(), &laws)[..3], [7.0, 12.0, 0.0]);
    let waited = laws
        .iter()
        .map(|law| law.0.state().1)
        .collect::<std::vec::Vec<_>>();
    assert_eq!(waited, [1_000_000, 3_000_000]);
}

#[test]
fn a_slow_law_whose_slot_was_skipped_runs_in_the_first_cycle_after_it() {
    let mut laws = set();
    let _ = cycle(&mut laws, &tick(0, 1));
    assert_eq!(cycle(&mut laws, &tick(4, 4))[1], 3.0);
    assert_eq!(laws.iter().last().unwrap().0.state().1, 4_000_000);
    assert_eq!(cycle(&mut laws, &tick(5, 1))[1], 3.0);
    assert_eq!(
        cycle(&mut laws, &tick(6, 1))[1],
        7.0,
        "its slots stay the same"
    );
}

#[test]
fn every_law_receives_a_stop_in_the_same_cycle() {
    let mut laws = set();
    let _ = cycle(&mut laws, &tick(0, 1));
    let stop = Tick {
        directive: Directive::QuickStop(StopCause::RunEnds),
        ..tick(1, 1)
    };
    assert!(!Laws::at_rest(&(), &laws));
    assert_eq!(cycle(&mut laws, &stop), [0.0, 0.0]);
    assert!(Laws::at_rest(&(), &laws));
}

#[test]
fn a_fault_is_reported_with_its_law() {
    let mut laws = set();
    for slot in 0..10 {
        assert_eq!(Laws::fault(&(), &laws), None, "slot {slot}");
        let _ = cycle(&mut laws, &tick(slot, 1));
    }
    // 1 + 4 + 7 + 10, in slot 9.
    assert_eq!(Laws::fault(&(), &laws), FaultNumber::new(3));
    assert_eq!(Laws::faulted(&(), &laws), 1);
    let faults: std::vec::Vec<_> = laws.faults().collect();
    assert_eq!(faults, [None, FaultNumber::new(3)]);
}

#[test]
fn a_rehearsal_leaves_the_state_of_the_laws_unchanged() {
    let mut laws = set();
    laws.save();
    for slot in 0..50 {
        let _ = cycle(&mut laws, &tick(slot, 1));
    }
    laws.rewind(());
    assert_eq!(Laws::fault(&(), &laws), None);
    assert_eq!(cycle(&mut laws, &tick(0, 1)), [1.0, 1.0]);
    assert_eq!(cycle(&mut laws, &tick(1, 1)), [2.0, 1.0]);
}

#[test]
fn each_law_has_its_own_part_of_the_trace_within_its_capacity() {
    let mut trace: Trace = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let whole = trace;
    assert_eq!(*Part::new(0, TRACE_LEN).of(&mut trace), whole);
    assert_eq!(*Part::new(0, 400).of(&mut trace), whole);
    assert_eq!(*Part::new(1, 2).of(&mut trace), [1.0, 2.0]);
    assert_eq!(*Part::new(6, 8).of(&mut trace), [6.0, 7.0]);
    assert!(Part::new(3, 0).of(&mut trace).is_empty());
    assert!(Part::new(8, 1).of(&mut trace).is_empty());
    assert_eq!(Part::new(6, 8).end(), TRACE_LEN);
}

#[test]
fn a_slow_law_receives_each_stop_in_the_same_cycle() {
    let mut laws = set();
    let stop = |slot| Tick {
        directive: Directive::QuickStop(StopCause::Overrun),
        ..tick(slot, 1)
    };
    let _ = cycle(&mut laws, &tick(0, 1));
    assert_eq!(cycle(&mut laws, &stop(1)), [0.0, 0.0]);
    assert_eq!(cycle(&mut laws, &stop(2)), [0.0, 0.0]);
    assert_eq!(cycle(&mut laws, &tick(3, 1)), [1.0, 1.0]);
    assert_eq!(cycle(&mut laws, &tick(4, 1)), [2.0, 1.0]);
    assert_eq!(cycle(&mut laws, &stop(5)), [0.0, 0.0]);
}
