//! Both controllers against models of their registers.

mod model;
mod taken;

use super::owner::{Chip, Controller};
use super::{Kind, MARGIN_NS, Wire};
use crate::device::spi::{SpiError, Spidev};
use crate::sys::Errno;
use crate::sys::spi::Transfer;
use embedded_hal::spi::{MODE_1, Operation, SpiDevice};
use model::{Defect, Model, Seen, answer};

const BOTH: [Kind; 2] = [Kind::Ecspi, Kind::Bcm2835];

/// 1 MHz.
const BIT_NS: u64 = 1_000;

fn wire(kind: Kind) -> Wire {
    Wire {
        mode: MODE_1,
        select: 1,
        divider: kind.divider(80_000_000, 1_000_000).unwrap(),
        setup_ns: 0,
    }
}

fn chip_with(kind: Kind, defect: Defect, setup_ns: u32) -> &'static Chip<Model> {
    let mut model = Model::new(kind, BIT_NS);
    model.defect = defect;
    let controller = Box::leak(Box::new(Controller::new(kind, model)));
    let wire = Wire {
        setup_ns,
        ..wire(kind)
    };
    Box::leak(Box::new(Chip { controller, wire }))
}

fn chip(kind: Kind) -> &'static Chip<Model> {
    chip_with(kind, Defect::None, 0)
}

impl Chip<Model> {
    fn model(&self) -> &'static Model {
        &self.controller.block
    }

    fn seen(&self) -> Vec<Seen> {
        let state = self.model().state();
        state.seen.iter().map(|(_, seen)| seen.clone()).collect()
    }

    /// Time from the first event that fits to the next one that fits, ns.
    fn between(&self, first: &Seen, next: &Seen) -> u64 {
        let state = self.model().state();
        let mut events = state.seen.iter().skip_while(|(_, seen)| seen != first);
        let from = events.next().unwrap().0;
        events.find(|(_, seen)| seen == next).unwrap().0 - from
    }

    fn device(&'static self) -> Spidev<&'static Self> {
        Spidev::with(self, self.most_bytes())
    }
}

/// One selection in which these bytes were sent.
fn one(bytes: &[u8]) -> Vec<Seen> {
    let bytes = bytes.iter().map(|byte| Seen::Byte(*byte));
    let selected = std::iter::once(Seen::Selected(1));
    let all = selected.chain(bytes);
    all.chain(std::iter::once(Seen::Released)).collect()
}

#[test]
fn every_length_up_to_far_beyond_the_fifo_is_sent_and_received_in_one_selection() {
    for kind in BOTH {
        for length in (1..=13).chain(254..=260).chain([509, 510, 511, 512]) {
            let chip = chip(kind);
            let sent: Vec<u8> = (0..length).map(|at| (at * 7 + 1) as u8).collect();
            let mut words = sent.clone();
            let in_place = Transfer::in_place(&mut words).unwrap();
            assert_eq!(chip.message(&mut [in_place]), Ok(length));
            assert_eq!(chip.seen(), one(&sent), "{kind:?} {length}");
            let expected = sent.iter().zip(0..).map(|(sent, at)| answer(*sent, at));
            assert_eq!(words, expected.collect::<Vec<_>>(), "{kind:?} {length}");
        }
    }
}

#[test]
fn operations_of_all_kinds_are_one_transaction() {
    for kind in BOTH {
        let (mut read, mut long, mut short, mut place) = ([0; 3], [0; 4], [0; 1], [9, 8]);
        let mut operations = [
            Operation::Write(&[1, 2]),
            Operation::Read(&mut read),
            Operation::Transfer(&mut long, &[3, 4]),
            Operation::Transfer(&mut short, &[5, 6, 7]),
            Operation::TransferInPlace(&mut place),
        ];
        let chip = chip(kind);
        chip.device().transaction(&mut operations).unwrap();
        let sent = [1, 2, 0, 0, 0, 3, 4, 0, 0, 5, 6, 7, 9, 8];
        assert_eq!(chip.seen(), one(&sent), "{kind:?}");
        let got = |at: usize| answer(sent[at], at);
        assert_eq!(read, [got(2), got(3), got(4)]);
        assert_eq!(long, [got(5), got(6), got(7), got(8)]);
        assert_eq!(short, [got(9)]);
        assert_eq!(place, [got(12), got(13)]);
    }
}

#[test]
fn a_pause_is_between_its_words_with_the_chip_selected() {
    for kind in BOTH {
        let chip = chip(kind);
        let mut read = [0; 4];
        let mut operations = [
            Operation::Write(&[1, 2, 3]),
            Operation::DelayNs(50_000),
            Operation::Read(&mut read),
            Operation::DelayNs(30_000),
        ];
        chip.device().transaction(&mut operations).unwrap();
        assert_eq!(chip.seen(), one(&[1, 2, 3, 0, 0, 0, 0]), "{kind:?}");
        let pause = chip.between(&Seen::Byte(3), &Seen::Byte(0));
        assert!((58_000..90_000).contains(&pause), "{kind:?}: {pause} ns");
        let hold = chip.between(&Seen::Byte(0), &Seen::Released);
        assert!((30_000..63_000).contains(&hold), "{kind:?}: {hold} ns");
    }
}

#[test]
fn a_chip_is_selected_before_the_first_edge_for_as_long_as_asked() {
    for kind in BOTH {
        for (setup_ns, pause_us, least) in [(350, 0, 350), (0, 20, 20_000), (30_000, 20, 30_000)] {
            let chip = chip_with(kind, Defect::None, setup_ns);
            let write = Transfer::write(&[7]).unwrap();
            let mut transfers = [Transfer::pause(pause_us), write];
            chip.message(&mut transfers).unwrap();
            let lead = chip.between(&Seen::Selected(1), &Seen::Byte(7)) - 8 * BIT_NS;
            assert!((least..least + 2_000).contains(&lead), "{kind:?}: {lead}");
        }
    }
}

#[test]
fn what_a_controller_cannot_do_is_refused_before_anything_is_sent() {
    let chip = chip(Kind::Ecspi);
    let mut device = chip.device();
    let within_a_word = device.transaction(&mut [
        Operation::Write(&[1, 2, 3]),
        Operation::DelayNs(1_000),
        Operation::Write(&[4]),
    ]);
    assert_eq!(within_a_word, Err(SpiError::Pause));
    let long_lead = device.transaction(&mut [Operation::DelayNs(64_001), Operation::Write(&[1])]);
    assert_eq!(long_lead, Err(SpiError::Pause));
    let only = device.transaction(&mut [Operation::DelayNs(1_000)]);
    assert_eq!(only, Err(SpiError::Pause));
    let long = device.write(&[0; 513]);
    assert_eq!(long, Err(SpiError::MessageTooLong { bytes: 513 }));
    assert_eq!(chip.seen(), []);
}

#[test]
fn a_stuck_transfer_ends_by_the_clock_and_releases_the_chip() {
    for kind in BOTH {
        for after in [0, 2] {
            let chip = chip_with(kind, Defect::StuckAfter(after), 0);
            let stuck = chip.device().write(&[1, 2, 3, 4, 5, 6]);
            assert_eq!(stuck, Err(SpiError::TimedOut), "{kind:?}");
            let took = chip.model().state().now;
            assert!((MARGIN_NS..2 * MARGIN_NS).contains(&took), "{took}");
            assert_ne!(chip.seen().last(), Some(&Seen::Byte(2)), "{kind:?}");
        }
    }
}

#[test]
fn a_preempted_thread_does_not_take_a_finished_word_for_a_stuck_one() {
    for kind in BOTH {
        for access in 1..40 {
            let chip = chip(kind);
            let model = chip.model();
            model.before(access, || model.state().now += 10_000_000);
            assert_eq!(chip.device().write(&[1, 2, 3, 4, 5]), Ok(()), "{access}");
            assert_eq!(chip.seen(), one(&[1, 2, 3, 4, 5]));
        }
    }
}

#[test]
fn errors_are_kept_apart_and_the_next_transaction_is_not_touched_by_them() {
    let mut lost = chip_with(Kind::Ecspi, Defect::Overruns, 0).device();
    assert_eq!(lost.write(&[1]), Err(SpiError::Overrun));
    for kind in BOTH {
        let mut absent = chip_with(kind, Defect::Absent, 0).device();
        let gone = SpiError::Gone(Errno(libc::ENODEV));
        assert_eq!(absent.write(&[1]), Err(gone), "{kind:?}");
    }
}

#[test]
fn a_divider_gives_the_fastest_clock_that_is_not_too_fast() {
    let hz = |kind: Kind, clock, speed| kind.divider(clock, speed).map(|divider| divider.hz);
    for (speed, expected) in [
        (10_000_000, 10_000_000),
        (1_000_000, 1_000_000),
        (3_000_000, 2_857_142),
        (50_000_000, 40_000_000),
        (80_000_000, 80_000_000),
        (1_000, 976),
    ] {
        assert_eq!(hz(Kind::Ecspi, 80_000_000, speed), Some(expected));
    }
    // Bits 15:12 divide by up to 16, bits 11:8 by powers of two.
    let divider = Kind::Ecspi.divider(80_000_000, 3_000_000).unwrap();
    assert_eq!(divider.bits, 13 << 12 | 1 << 8);
    for (speed, expected) in [
        (1_000_000, Some(1_000_000)),
        (3_000_000, Some(2_976_190)),
        (7_000, None),
    ] {
        assert_eq!(hz(Kind::Bcm2835, 500_000_000, speed), expected);
    }
}
