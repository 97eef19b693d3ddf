//! Clients on a socket, and a loop that takes what they command.

use super::*;
use crate::cycle::image::InputError;
use crate::cycle::received::Received;
use crate::link::force::Exchange;
use crate::link::frames::Layout;
use crate::link::mailbox::{Mailbox, Receiver};
use crate::link::protocol::Answered;

/// The group of an axis: controlword and target.
const AXIS: u8 = 0;
/// Longer than a loop stands here.
const TIMEOUT: Duration = Duration::from_secs(60);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// A server, and what the loop has.
struct Bench {
    local: Local<'static>,
    owners: Owners<'static>,
    receiver: Receiver,
    received: Received,
    path: CString,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("steadfast-local-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = LocalConfig {
            path: folder.join(name),
            readers: Who::Owner,
            commanders: Who::Owner,
            force_with_power: Vec::new(),
            never_force: Vec::new(),
        };
        let period = Duration::from_millis(1);
        let shared = Shared::new(Layout::default(), &[], &[], period).unwrap();
        let shared: &'static Shared = Box::leak(Box::new(shared));
        let exchange: &'static Exchange = Box::leak(Box::default());
        let mailbox: &'static Mailbox = Box::leak(Box::new(Mailbox::new()));
        let (sender, receiver) = mailbox.open([TIMEOUT]);
        let ranges = [(0.0, 65_535.0), (-1.0, 1.0)];
        let forcing = Forcing::new(exchange, Vec::new());
        Self {
            local: Local::open(&config, shared, forcing, [AXIS]).unwrap(),
            owners: Owners::new(sender, [(0, 2)], ranges),
            receiver,
            received: Received::NONE,
            path: CString::new(config.path.as_os_str().as_bytes()).unwrap(),
        }
    }

    fn connect(&mut self) -> Connection {
        let client = Connection::connect(&self.path).unwrap();
        self.serve(at(0));
        let mut hello = [0; MAX_PACKET];
        client.receive(&mut hello).unwrap().unwrap();
        client
    }

    /// One turn of the link thread.
    fn serve(&mut self, now: Instant) {
        let mut entries = heapless::Vec::new();
        self.local.wait_for(&mut entries);
        crate::sys::local_socket::wait_any(&mut entries, 0).unwrap();
        self.local.serve(&entries, &mut self.owners, now, |_| {});
        self.owners.send();
    }

    /// One cycle of the loop: the controlword that it sees.
    fn cycle(&mut self, now: Instant) -> Result<f64, InputError> {
        self.receiver.receive(now, &mut self.received);
        self.received.get(0, AXIS).value
    }
}

fn ask(client: &Connection, kind: Kind, values: &[f64]) {
    let request = Request {
        kind,
        number: 7,
        target: u32::from(AXIS),
        values: values.iter().copied().collect(),
    };
    client.send(&request.packet(), None).unwrap();
}

/// The next answer: whether it was done, and its text.
fn answer_to(client: &Connection) -> Option<(bool, String)> {
    let mut packet = [0; MAX_PACKET];
    let length = client.receive(&mut packet).unwrap()?;
    let answered = Answered::read(&packet[..length]).unwrap();
    Some((answered.done, answered.text.to_owned()))
}

#[test]
fn a_controlword_is_confirmed_when_the_loop_has_taken_it_and_refused_when_the_loop_stands() {
    let awaited = Awaited {
        number: 7,
        group: AXIS,
        hand_over: 3,
        since: at(10),
    };
    let due = |taken, now| awaited.answer(Client(2), taken, now);
    assert_eq!(due(2, at(1_009)), None);
    let taken = due(3, at(11)).unwrap();
    let taken = Answered::read(&taken).unwrap();
    assert!(taken.done && taken.number == 7 && taken.kind == Kind::Write as u32);
    let stands = due(2, at(1_010)).unwrap();
    let stands = Answered::read(&stands).unwrap();
    assert!(!stands.done && stands.text.contains("has not taken"));
}

#[test]
fn a_loop_that_resumes_after_a_refused_controlword_does_not_take_it() {
    let mut bench = Bench::new("resumes");
    let client = bench.connect();
    ask(&client, Kind::Claim, &[]);
    bench.serve(at(1));
    assert_eq!(answer_to(&client), Some((true, String::new())));
    ask(&client, Kind::Write, &[6.0, 0.0]);
    bench.serve(at(2));
    assert_eq!(bench.cycle(at(3)), Ok(6.0));
    bench.serve(at(4));
    assert_eq!(answer_to(&client), Some((true, String::new())));
    // The loop stands from here on; the client goes on refreshing.
    ask(&client, Kind::Write, &[15.0, 0.5]);
    ask(&client, Kind::Refresh, &[]);
    bench.serve(at(5));
    bench.serve(at(1_004));
    assert_eq!(answer_to(&client), None);
    bench.serve(at(1_005));
    let (done, text) = answer_to(&client).unwrap();
    assert!(!done && text.contains("has not taken"), "{text}");
    ask(&client, Kind::Refresh, &[]);
    for ms in [1_006, 1_007] {
        bench.serve(at(ms));
    }
    // It resumes.
    assert_eq!(bench.cycle(at(1_008)), Err(InputError::Stale));
    bench.serve(at(1_009));
    assert_eq!(bench.cycle(at(1_010)), Err(InputError::Stale));
    // The axis still is the client's, which begins anew.
    ask(&client, Kind::Write, &[0.0, 0.0]);
    bench.serve(at(1_011));
    assert_eq!(bench.cycle(at(1_012)), Ok(0.0));
    bench.serve(at(1_013));
    assert_eq!(answer_to(&client), Some((true, String::new())));
}
