//! Tests against a socket that takes the place of the manager.

use super::*;
use crate::realtime::audit::Promise;

fn manager(name: &str) -> (UnixDatagram, String) {
    let name = format!("steadfast-notify-{name}-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_nonblocking(true).unwrap();
    (socket, format!("@{name}"))
}

fn received(socket: &UnixDatagram) -> Vec<String> {
    let mut messages = Vec::new();
    let mut bytes = [0; 256];
    while let Ok(count) = socket.recv(&mut bytes) {
        messages.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
    }
    messages
}

fn judged(broken: usize) -> Judged {
    let judged = Judged::new();
    judged.set_broken(broken);
    judged
}

fn late() -> CycleRecord {
    CycleRecord {
        flags: flags::OVERRUN,
        ..CycleRecord::default()
    }
}

#[test]
fn ready_comes_once_after_the_first_cycle_under_a_kept_contract() {
    let (socket, name) = manager("ready");
    let mut notify = Notify::new(name.as_bytes(), None).unwrap();
    let now = Instant::now();
    notify.turn(now, &judged(0), false);
    assert!(received(&socket).is_empty(), "no cycle yet");
    notify.add(&CycleRecord::default());
    notify.turn(now, &Judged::new(), false);
    assert!(received(&socket).is_empty(), "not judged yet");
    notify.turn(now, &judged(0), false);
    notify.turn(now, &judged(0), false);
    assert_eq!(
        received(&socket),
        ["READY=1\nSTATUS=real-time: contract kept"]
    );
}

#[test]
fn a_run_with_a_broken_contract_reports_it_with_ready() {
    let (socket, name) = manager("broken");
    let mut notify = Notify::new(name.as_bytes(), None).unwrap();
    notify.add(&CycleRecord::default());
    notify.turn(Instant::now(), &judged(3), false);
    assert_eq!(
        received(&socket),
        ["READY=1\nSTATUS=NOT REAL-TIME: 3 promises broken (steadfast doctor)"]
    );
}

#[test]
fn a_refused_contract_is_never_ready() {
    let (socket, name) = manager("refused");
    let mut notify = Notify::new(name.as_bytes(), None).unwrap();
    notify.turn(Instant::now(), &judged(2), false);
    notify.end(&judged(2));
    assert_eq!(
        received(&socket),
        ["STATUS=contract refused: 2 promises broken (steadfast doctor), no output was enabled"]
    );
}

#[test]
fn the_watchdog_is_fed_at_half_its_timeout_and_only_after_deadlines_met() {
    let (socket, name) = manager("watchdog");
    let mut notify = Notify::new(name.as_bytes(), Some("2000000")).unwrap();
    let start = notify.fed;
    let at = |millis| start + Duration::from_millis(millis);
    notify.add(&CycleRecord::default());
    notify.turn(at(999), &judged(0), false);
    received(&socket);
    notify.turn(at(1000), &judged(0), false);
    assert_eq!(received(&socket), ["WATCHDOG=1"]);
    notify.turn(at(5000), &judged(0), false);
    assert!(received(&socket).is_empty(), "the loop stands still");
    notify.add(&late());
    notify.turn(at(6000), &judged(0), false);
    assert!(received(&socket).is_empty(), "every cycle is late");
    notify.add(&CycleRecord::default());
    notify.turn(at(6020), &judged(0), false);
    assert_eq!(received(&socket), ["WATCHDOG=1"]);
}

#[test]
fn stopping_is_sent_once_and_only_after_ready() {
    let (socket, name) = manager("stopping");
    let mut notify = Notify::new(name.as_bytes(), None).unwrap();
    notify.add(&CycleRecord::default());
    notify.turn(Instant::now(), &judged(0), true);
    notify.turn(Instant::now(), &judged(0), true);
    notify.end(&judged(0));
    let messages = received(&socket);
    assert_eq!(
        messages[1..],
        [
            "EXTEND_TIMEOUT_USEC=15000000",
            "STOPPING=1\nSTATUS=stopping"
        ]
    );
}

/// A loop with a period of 1 s: 110 s of rehearsal, 60 s to come to rest.
fn slow() -> LoopConfig {
    LoopConfig {
        period: crate::time::Duration::from_secs(1),
        warm_up_cycles: 100,
        stop_time: crate::time::Duration::from_secs(60),
        ..LoopConfig::default()
    }
}

#[test]
fn the_manager_is_told_the_longest_start_and_stop_time_of_the_board_file() {
    let (socket, name) = manager("times");
    let notify = Notify::new(name.as_bytes(), None).unwrap();
    let mut notify = notify.for_run(&slow()).unwrap();
    notify.starting();
    assert_eq!(received(&socket), ["EXTEND_TIMEOUT_USEC=140000000"]);
    notify.add(&CycleRecord::default());
    notify.turn(Instant::now(), &judged(0), true);
    let messages = received(&socket);
    assert_eq!(
        messages[1..],
        [
            "EXTEND_TIMEOUT_USEC=75000000",
            "STOPPING=1\nSTATUS=stopping"
        ]
    );
}

#[test]
fn a_service_watchdog_shorter_than_the_loop_can_feed_is_refused() {
    let (_socket, name) = manager("too-short");
    let of = |usec| Notify::new(name.as_bytes(), Some(usec)).unwrap();
    let refused = of("2000000").for_run(&slow()).unwrap_err();
    assert_eq!(refused, NotifyError::TooShort { period_ms: 1000 });
    assert!(refused.to_string().contains("WatchdogSec="));
    // The watchdog is fed at half of its time; one cycle and one turn of the reporter must fit
    // before that.
    assert!(of("2100000").for_run(&slow()).is_ok());
    assert!(of("2000000").for_run(&LoopConfig::default()).is_ok());
}

#[test]
fn a_message_that_did_not_fit_is_sent_again() {
    let (socket, name) = manager("full");
    let mut notify = Notify::new(name.as_bytes(), None).unwrap();
    let mut sent = 0;
    while notify.send(b"filler") {
        sent += 1;
        assert!(sent < 1_000_000, "the manager always has room");
    }
    notify.add(&CycleRecord::default());
    notify.turn(Instant::now(), &judged(0), false);
    assert!(!received(&socket).iter().any(|text| text.contains("READY")));
    notify.turn(Instant::now(), &judged(0), false);
    assert_eq!(received(&socket).len(), 1);
}

#[test]
fn the_notify_socket_may_be_a_path() {
    let path = std::env::temp_dir().join(format!("steadfast-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let notify = Notify::new(path.as_os_str().as_bytes(), None).unwrap();
    assert!(notify.send(b"READY=1"));
    assert_eq!(received(&socket), ["READY=1"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn invalid_socket_addresses_and_watchdog_times_are_errors() {
    let error = |address: &[u8], usec| Notify::new(address, usec).unwrap_err();
    assert_eq!(error(b"vsock:2:1", None), NotifyError::Address);
    assert_eq!(error(b"@", None), NotifyError::Address);
    assert_eq!(
        error(b"/nowhere/at/all", None),
        NotifyError::Connect(libc::ENOENT)
    );
    let (_socket, name) = manager("number");
    for usec in ["", "0", "soon"] {
        assert_eq!(error(name.as_bytes(), Some(usec)), NotifyError::Watchdog);
    }
}

#[test]
fn a_promise_broken_while_running_stays_the_status() {
    let (socket, name) = manager("breach");
    let mut notify = Notify::new(name.as_bytes(), None).unwrap();
    let (now, kept) = (Instant::now(), judged(0));
    notify.broken(Promises::default().with(Promise::Scheduler));
    notify.turn(now, &kept, false);
    assert!(received(&socket).is_empty(), "not ready yet");
    notify.add(&CycleRecord::default());
    notify.turn(now, &kept, false);
    notify.turn(now, &kept, false);
    let status = "STATUS=NOT REAL-TIME: broken while running: scheduler";
    let ready = "READY=1\nSTATUS=real-time: contract kept";
    assert_eq!(received(&socket), [ready, status]);
    let both = Promises::default()
        .with(Promise::Scheduler)
        .with(Promise::Cpu);
    notify.broken(both);
    notify.turn(now, &kept, false);
    assert_eq!(received(&socket), [format!("{status}, cpu")]);
    notify.turn(now, &kept, true);
    assert_eq!(
        received(&socket)[1..],
        [format!("STOPPING=1\n{status}, cpu")]
    );
}
