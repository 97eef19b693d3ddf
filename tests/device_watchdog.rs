//! The watchdog with a stub of its ioctls.
#![cfg(feature = "linux")]

use std::cell::{Cell, RefCell};
use std::path::Path;
use steadfast::device::watchdog::{Standing, Timer, Watchdog, WatchdogError, no_way_out};
use steadfast::sys::Errno;
use steadfast::sys::watchdog::{ALARM_ONLY, CARD_RESET, Info, MAGIC_CLOSE};
use testbed::emulation;

/// A watchdog with given answers that records the calls.
struct Stub<'a> {
    options: u32,
    boot: Result<u32, Errno>,
    granted: Result<u32, Errno>,
    feeding: Result<(), Errno>,
    fed: &'a Cell<u32>,
    written: &'a RefCell<Vec<u8>>,
}

impl Timer for Stub<'_> {
    fn support(&self) -> Result<Info, Errno> {
        let mut identity = [0; 32];
        identity[..14].copy_from_slice(b"imx2+ watchdog");
        Ok(Info {
            options: self.options,
            firmware_version: 0,
            identity,
        })
    }
    fn boot_status(&self) -> Result<u32, Errno> {
        self.boot
    }
    fn set_timeout(&self, _seconds: u32) -> Result<u32, Errno> {
        self.granted
    }
    fn keep_alive(&self) -> Result<(), Errno> {
        self.fed.set(self.fed.get() + 1);
        self.feeding
    }
    fn write(&mut self, byte: u8) -> Result<(), Errno> {
        self.written.borrow_mut().push(byte);
        Ok(())
    }
}

/// Runs `check` with a stub that grants 2 s and supports magic close.
fn with_stub(check: impl FnOnce(Stub<'_>, &Cell<u32>, &RefCell<Vec<u8>>)) {
    let (fed, written) = (Cell::new(0), RefCell::new(Vec::new()));
    let stub = Stub {
        options: MAGIC_CLOSE,
        boot: Ok(0),
        granted: Ok(2),
        feeding: Ok(()),
        fed: &fed,
        written: &written,
    };
    check(stub, &fed, &written);
}

#[test]
fn drop_leaves_the_watchdog_armed_and_only_close_stops_it() {
    with_stub(|stub, fed, written| {
        {
            let mut watchdog = Watchdog::with(stub, 2).unwrap();
            watchdog.feed().unwrap();
            watchdog.feed().unwrap();
        }
        assert_eq!((fed.get(), written.borrow().as_slice()), (2, &[][..]));
    });
    with_stub(|stub, _, written| {
        Watchdog::with(stub, 2).unwrap().close().unwrap();
        assert_eq!(written.borrow().as_slice(), b"V");
    });
}

#[test]
fn a_refused_or_different_timeout_is_an_error() {
    let opened = |granted| {
        let mut answer = None;
        with_stub(|stub, _, written| {
            answer = Watchdog::with(Stub { granted, ..stub }, 2).err();
            let stopped = written.borrow().as_slice() == b"V";
            assert_eq!(stopped, answer.is_some(), "after an error it is stopped");
        });
        answer
    };
    let differs = WatchdogError::TimeoutDiffers {
        asked: 2,
        granted: 16,
    };
    let refused = WatchdogError::Timeout {
        asked: 2,
        errno: Errno(22),
    };
    assert_eq!(opened(Ok(16)), Some(differs));
    assert_eq!(opened(Err(Errno(22))), Some(refused));
    assert_eq!(opened(Ok(2)), None);
    let words = differs.explain(Path::new("/dev/watchdog")).to_string();
    assert!(words.contains("/dev/watchdog") && words.contains("16 s instead of 2 s"));
}

#[test]
fn identity_and_cause_of_the_last_reset_are_read() {
    with_stub(|stub, _, _| {
        let boot = Ok(CARD_RESET);
        let watchdog = Watchdog::with(Stub { boot, ..stub }, 2).unwrap();
        let properties = watchdog.properties();
        assert_eq!(properties.caused_last_reset, Some(true));
        assert_eq!(properties.identity.as_str(), "imx2+ watchdog");
        assert!(!properties.stops_when_dropped);
    });
    with_stub(|stub, _, _| {
        let (options, boot) = (0, Err(Errno(95)));
        let watchdog = Watchdog::with(
            Stub {
                options,
                boot,
                ..stub
            },
            2,
        )
        .unwrap();
        assert_eq!(watchdog.properties().caused_last_reset, None);
        assert!(watchdog.properties().stops_when_dropped);
    });
}

/// bcm2835_wdt never sets the bit, and does not claim it in its options.
#[test]
fn a_reset_cause_is_unknown_if_the_driver_does_not_report_it() {
    for (options, known) in [(MAGIC_CLOSE, None), (MAGIC_CLOSE | CARD_RESET, Some(false))] {
        with_stub(|stub, _, _| {
            let watchdog = Watchdog::with(Stub { options, ..stub }, 2).unwrap();
            assert_eq!(watchdog.properties().caused_last_reset, known);
        });
    }
}

#[test]
fn a_watchdog_that_does_not_reset_is_refused() {
    with_stub(|stub, _, _| {
        let options = ALARM_ONLY | MAGIC_CLOSE;
        let refused = Watchdog::with(Stub { options, ..stub }, 2).err();
        assert_eq!(refused, Some(WatchdogError::AlarmOnly));
    });
}

#[test]
fn a_failed_feed_is_reported() {
    with_stub(|stub, _, _| {
        let feeding = Err(Errno(19));
        let mut watchdog = Watchdog::with(Stub { feeding, ..stub }, 2).unwrap();
        assert_eq!(watchdog.feed(), Err(WatchdogError::Feed(Errno(19))));
    });
}

#[test]
fn a_file_that_is_no_watchdog_is_refused() {
    let open = |path: &str| Watchdog::open(Path::new(path), 2).err();
    let Some(WatchdogError::Support(refused)) = open("/dev/null") else {
        panic!("expected an error: the file is not a watchdog");
    };
    assert_eq!(refused, Errno(emulation::enotty(refused.0)));
    assert_eq!(
        open("/dev/no-such-watchdog"),
        Some(WatchdogError::Open(Errno(2))),
        "ENOENT"
    );
}

#[test]
fn the_nowayout_setting_of_the_kernel_is_read() {
    let root = std::env::temp_dir().join(format!("steadfast-{}-nowayout", std::process::id()));
    for (name, text) in [("watchdog0", "1\n"), ("watchdog1", "0\n")] {
        let directory = root.join("sys/class/watchdog").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("nowayout"), text).unwrap();
    }
    let asked = ["/dev/watchdog", "/dev/watchdog1", "/dev/watchdog2"]
        .map(|path| no_way_out(&root, Path::new(path)));
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(asked, [Some(true), Some(false), None]);
}

#[test]
fn whether_a_watchdog_runs_is_read_without_opening_it() {
    let root = std::env::temp_dir().join(format!("steadfast-{}-standing", std::process::id()));
    for (name, state, boot, options) in [
        ("watchdog0", "active\n", "32\n", "0x8180\n"),
        ("watchdog1", "inactive\n", "0\n", "0x8180\n"),
        ("watchdog2", "asleep\n", "\n", "\n"),
        ("watchdog4", "inactive\n", "0\n", "0x81a0\n"),
    ] {
        let directory = root.join("sys/class/watchdog").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("state"), state).unwrap();
        std::fs::write(directory.join("bootstatus"), boot).unwrap();
        std::fs::write(directory.join("options"), options).unwrap();
    }
    let read = |path| {
        let standing = Standing::read(&root, Path::new(path));
        (standing.running, standing.caused_last_reset)
    };
    let found = [
        "/dev/watchdog",
        "/dev/watchdog1",
        "/dev/watchdog2",
        "/dev/watchdog3",
        "/dev/watchdog4",
    ]
    .map(read);
    std::fs::remove_dir_all(&root).unwrap();
    let unknown = (None, None);
    assert_eq!(
        found,
        [
            (Some(true), Some(true)),
            // bcm2835_wdt: a clear bit that the driver does not claim to have.
            (Some(false), None),
            unknown,
            unknown,
            (Some(false), Some(false)),
        ]
    );
}
