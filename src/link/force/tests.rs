use super::*;
use crate::cycle::force::Forces;
use crate::cycle::image::{Inputs, OutputChannel, Outputs};
use crate::cycle::ports::Tick;
use crate::link::frames::{Described, Layout};
use crate::link::protocol::Answered;

/// The output 0 gives power, the output 1 is a lamp, the output 2 may be forced with power.
const POWER: u32 = 1;
const LAMP: u32 = 0;
const HORN: u32 = 1;
const FIRST: Client = Client(1);
const SECOND: Client = Client(2);

/// Link thread and loop with an exchange between them.
struct Machine {
    forcing: Forcing<'static>,
    taker: Taker<'static>,
    shared: Shared,
    answers: Vec<(Client, bool, String)>,
}

impl Machine {
    fn new() -> Self {
        let exchange: &'static Exchange = Box::leak(Box::default());
        let rules = [(1, false), (2, true)].map(|(number, with_power)| Rule {
            place: Ok(Place::OutputLine(OutputChannel::new(number).unwrap())),
            range: (0.0, 1.0),
            is_flag: true,
            with_power,
        });
        let signals = ["output.lamp", "output.horn"].map(|name| Described {
            name: name.to_owned(),
            unit: String::new(),
            kind: crate::link::frames::Kind::Flag,
            word: 0,
            bit: 0,
            group: None,
            range: (0.0, 1.0),
        });
        let period = Duration::from_millis(1);
        Self {
            forcing: Forcing::new(exchange, rules.to_vec()),
            taker: Taker::new(exchange, Forces::new(POWER, 0)),
            shared: Shared::new(Layout::default(), &signals, &[], period).unwrap(),
            answers: Vec::new(),
        }
    }

    fn ask(&mut self, client: Client, kind: Kind, target: u32, values: &[f64]) -> Option<String> {
        let request = Request {
            kind,
            number: 7,
            target,
            values: values.iter().copied().collect(),
        };
        let (shared, now) = (&self.shared, Instant::from_nanos(0));
        let packet = self.forcing.serve(&request, client, true, shared, now)?;
        let answered = Answered::read(&packet).unwrap();
        Some(answered.text.to_owned()).filter(|_| !answered.done)
    }

    /// One cycle at `slot` ms in which the laws give `digital`: what is driven.
    fn cycle(&mut self, slot: u64, before: u32, digital: u32) -> u32 {
        let tick = Tick {
            slot,
            now: Instant::from_nanos(slot * 1_000_000),
            ..Tick::default()
        };
        self.taker.take(&tick, before);
        let mut outputs = Outputs::new(digital, &[]);
        if let Some(forces) = self.taker.forces() {
            let mut inputs = Inputs::NOT_READ;
            forces.sensed((slot, tick.now), false, &mut inputs);
            forces.commanded(slot, false, &Outputs::new(0, &[]), &mut outputs);
        }
        self.taker.tell();
        outputs.digital
    }

    fn turn(&mut self) {
        let Self {
            forcing,
            shared,
            answers,
            ..
        } = self;
        forcing.turn(shared, Instant::from_nanos(0), |client, packet| {
            let answered = Answered::read(packet).unwrap();
            assert_eq!((answered.kind, answered.number), (Kind::Force as u32, 7));
            answers.push((client, answered.done, answered.text.to_owned()));
        });
    }
}

#[test]
fn the_loop_ends_a_force_at_its_time_while_the_link_thread_hangs() {
    let mut machine = Machine::new();
    assert_eq!(machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 0.005]), None);
    for slot in 10..15 {
        assert_eq!(machine.cycle(slot, 0, 0), 2, "slot {slot}");
    }
    assert_eq!(machine.cycle(15, 0, 2), 0, "safe, whatever the laws give");
    assert!(!machine.taker.is_busy());
    assert_eq!(machine.cycle(16, 0, 2), 2, "that of the laws");
    machine.turn();
    assert_eq!(machine.answers, [(FIRST, true, String::new())]);
    assert!(!machine.forcing.is_any());
}

#[test]
fn the_answer_waits_for_the_loop_which_refuses_while_there_is_power() {
    let mut machine = Machine::new();
    assert_eq!(machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 1.0]), None);
    assert_eq!(machine.ask(SECOND, Kind::Force, HORN, &[1.0, 1.0]), None);
    machine.turn();
    assert_eq!(machine.answers, []);
    assert_eq!(machine.cycle(10, POWER, POWER), POWER | 4);
    machine.turn();
    let [(first, false, why), (SECOND, true, _)] = &machine.answers[..] else {
        panic!("{:?}", machine.answers);
    };
    assert_eq!(*first, FIRST);
    assert!(why.contains("an axis has power"), "{why}");
    assert!(why.contains("output.lamp"), "{why}");
}

#[test]
fn a_client_may_change_its_force_and_another_may_end_it_or_is_refused() {
    let mut machine = Machine::new();
    assert_eq!(machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 9.0]), None);
    assert_eq!(machine.cycle(10, 0, 0), 2);
    machine.turn();
    let refused = machine.ask(SECOND, Kind::Force, LAMP, &[0.0, 9.0]);
    assert_eq!(refused.as_deref(), Some("client 1 forces output.lamp"));
    assert_eq!(machine.ask(FIRST, Kind::Force, LAMP, &[0.0, 9.0]), None);
    assert_eq!(machine.cycle(11, 0, 2), 0);
    machine.turn();
    assert_eq!(machine.ask(SECOND, Kind::Unforce, ALL, &[]), None);
    assert_eq!(machine.cycle(12, 0, 2), 0, "safe");
    assert_eq!(machine.cycle(13, 0, 2), 2);
    machine.turn();
    assert!(!machine.forcing.is_any());
}

#[test]
fn a_client_that_is_gone_before_the_loop_has_looked_forces_nothing() {
    let mut machine = Machine::new();
    assert_eq!(machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 9.0]), None);
    machine.forcing.lost(FIRST);
    assert_eq!(machine.cycle(10, 0, 0), 0);
    machine.turn();
    assert!(!machine.forcing.is_any());
    assert!(!machine.taker.is_busy());
}

#[test]
fn there_are_at_most_eight_forces_and_a_rate() {
    let mut machine = Machine::new();
    for _ in 0..MAX_FORCES {
        assert_eq!(machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 9.0]), None);
    }
    let ninth = machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 9.0]).unwrap();
    assert!(ninth.contains("8 forces already"), "{ninth}");
    assert_eq!(machine.cycle(10, 0, 0), 2);
    machine.turn();
    let mut begun = MAX_FORCES as u64;
    let last = loop {
        machine.ask(FIRST, Kind::Unforce, ALL, &[]);
        machine.cycle(11, 0, 0);
        machine.turn();
        match machine.ask(FIRST, Kind::Force, LAMP, &[1.0, 9.0]) {
            None => begun += 1,
            Some(refused) => break refused,
        }
    };
    assert_eq!(begun, BURST);
    assert!(last.contains("in a short time"), "{last}");
}
