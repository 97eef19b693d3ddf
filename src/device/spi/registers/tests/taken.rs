//! The safe plan takes the controller from a transaction of the loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::model::{Defect, Seen};
use super::{BOTH, Chip, Kind, Model, chip, chip_with, one};
use crate::device::spi::SpiError;
use crate::sys::emergency::DirectBus;
use embedded_hal::spi::SpiDevice;

const SAFE: [u8; 6] = [0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6];

/// Accesses of the loop's transaction after which the plan comes: while it is set up, while it is
/// fed, and in its polls.
const PLACES: std::ops::Range<usize> = 1..25;

/// The chip got the whole safe frame in one selection, and no byte after it. The one access of
/// the loop that was under way changes nothing on the wire; on a BCM2835 it may select the chip.
fn got_the_safe_frame(chip: &Chip<Model>) -> bool {
    let seen = chip.seen();
    let at = seen.iter().position(|seen| *seen == Seen::Byte(SAFE[0]));
    let (frame, rest) = seen[at.expect("the frame was sent") - 1..].split_at(SAFE.len() + 2);
    frame == one(&SAFE) && !rest.iter().any(|seen| matches!(seen, Seen::Byte(_)))
}

/// The loop sends until the plan has come at this access.
fn interrupted(kind: Kind, access: usize, plan: fn(&'static Chip<Model>)) -> &'static Chip<Model> {
    let chip = chip(kind);
    chip.model().before(access, move || plan(chip));
    let sent = chip.device().write(&[1; 40]);
    assert_eq!(sent, Err(SpiError::TakenOver), "{kind:?} {access}");
    chip
}

#[test]
fn a_crash_inside_of_a_transfer_sends_the_frame_at_once() {
    for kind in BOTH {
        for access in PLACES {
            let chip = interrupted(kind, access, |chip| {
                let before = chip.model().state().now;
                chip.send(&SAFE).unwrap();
                let took = chip.model().state().now - before;
                assert!(took < super::super::LEAVE_NS, "no wait: {took} ns");
            });
            assert!(got_the_safe_frame(chip), "{kind:?} {access}");
        }
    }
}

#[test]
fn a_loop_that_is_stopped_in_a_transfer_loses_the_controller_and_stays_away() {
    for kind in BOTH {
        for access in PLACES {
            let chip = interrupted(kind, access, |chip| {
                thread::spawn(|| chip.send(&SAFE)).join().unwrap().unwrap();
            });
            assert!(
                got_the_safe_frame(chip),
                "{kind:?} {access}: {:?}",
                chip.seen()
            );
        }
    }
}

#[test]
fn a_loop_that_runs_leaves_when_the_plan_wants_the_controller() {
    static SENT: AtomicBool = AtomicBool::new(false);
    let chip = chip_with(Kind::Ecspi, Defect::StuckAfter(0), 0);
    chip.model().before(12, || {
        thread::spawn(|| {
            // The controller is stuck for the plan as well: its error comes in time.
            assert!(chip.send(&SAFE).is_err());
            SENT.store(true, Ordering::SeqCst);
        });
        // On a busy machine the plan may have taken it meanwhile.
        while chip.controller.is_free_of_plan() && !SENT.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    });
    assert_eq!(chip.device().write(&[1; 40]), Err(SpiError::TakenOver));
    while !SENT.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    assert!(chip.controller.is_free_of_plan());
}

#[test]
fn after_the_plan_the_loop_drives_the_controller_again() {
    for kind in BOTH {
        let chip = interrupted(kind, 12, |chip| chip.send(&SAFE).unwrap());
        assert_eq!(chip.device().write(&[5, 6]), Ok(()));
        let seen = chip.seen();
        assert!(seen.ends_with(&one(&[5, 6])), "{kind:?}");
    }
}
