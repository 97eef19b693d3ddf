//! The loop's side of the links, around the ports of a measured loop: as in the firmware, it takes
//! commands and forces, and shows each cycle. What the link thread does is not counted.

use std::sync::OnceLock;

use steadfast::config::Config;
use steadfast::cycle::force::Forces;
use steadfast::cycle::image::{Inputs, OutputError, Outputs};
use steadfast::cycle::ports::{Act, Sense, Tick};
use steadfast::cycle::received::Group;
use steadfast::cycle::word::Word;
use steadfast::link::force::{Exchange, Taker};
use steadfast::link::frames::{DescribedGroup, Layout, Publisher, Shared};
use steadfast::link::mailbox::{Mailbox, Receiver, Sender};

use super::TIMEOUT;

static FORCES: Exchange = Exchange::new();
static MAILBOX: OnceLock<Mailbox> = OnceLock::new();

/// Commands of an axis from outside.
const COMMANDS: u8 = 4;

/// Ports with links. `P` fills the received commands in; here they also go through the mailbox, in
/// each cycle, as those of a master that sends with the period of the loop.
pub(super) struct Linked<P> {
    ports: P,
    master: NotesMaster,
    receiver: Receiver,
    taker: Taker<'static>,
    publisher: Publisher,
}

/// The link thread's side. Its name leaves it out of the count.
struct NotesMaster(Sender<'static>);

impl NotesMaster {
    #[inline(never)]
    fn send(&mut self, inputs: &Inputs) {
        let orders = [0, 1, 2, 3].map(|number| inputs.received.get(number, 0));
        let group = Group {
            at: orders[0].at,
            valid: orders[0].value.map(|_| ()),
        };
        let values = orders.map(|order| order.value.unwrap_or(0.0));
        self.0.send(&values, &[group]);
    }
}

impl<P> Linked<P> {
    /// The links of a machine with one commanded axis, as a client that reads sees them.
    pub(super) fn new(ports: P, config: &Config) -> Self {
        let laws = config.machine.laws.iter();
        let layout = Layout {
            numbers: 0,
            angles: 1,
            commands: 1,
            received: usize::from(COMMANDS),
            statuses: laws.map(|law| law.law.statuses().len()).sum(),
            flags: 0,
        };
        let group = DescribedGroup {
            name: "x".to_owned(),
            first: 0,
            count: COMMANDS,
            timeout: TIMEOUT,
        };
        let shared = Shared::new(layout, &[], &[group], config.run.period).expect("a memory file");
        let (sender, receiver) = MAILBOX.get_or_init(Mailbox::new).open([TIMEOUT]);
        Self {
            ports,
            master: NotesMaster(sender),
            receiver,
            taker: Taker::new(&FORCES, Forces::new(0, 0)),
            publisher: shared.publisher(),
        }
    }
}

impl<P: Sense> Sense for Linked<P> {
    fn sense(&mut self, tick: &Tick, inputs: &mut Inputs) {
        self.ports.sense(tick, inputs);
        self.master.send(inputs);
        self.receiver.receive(tick.now, &mut inputs.received);
        if self.taker.is_busy() {
            self.taker.take(tick, 0);
        }
    }

    fn forces(&mut self) -> Option<&mut Forces> {
        self.taker.forces()
    }
}

impl<P: Act> Act for Linked<P> {
    fn safe_image(&self) -> Outputs {
        self.ports.safe_image()
    }

    fn act(&mut self, tick: &Tick, outputs: &Outputs) -> Result<(), OutputError> {
        self.ports.act(tick, outputs)
    }

    fn safe(&mut self, tick: &Tick) -> Result<(), OutputError> {
        self.ports.safe(tick)
    }

    fn publish(
        &mut self,
        tick: &Tick,
        inputs: &Inputs,
        outputs: &Outputs,
        status: impl FnOnce(&[Word]),
    ) {
        self.taker.tell();
        self.publisher.publish(tick, inputs, outputs, status);
    }
}
