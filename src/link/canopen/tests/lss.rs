//! LSS: the node is found by its identity, and given another id.

use super::super::dictionary::{Config, Dictionary};
use super::super::pdo::{INVALID, is_restricted};
use super::super::{Frame, Loss, Nmt, Refusal};
use super::fake::{Bench, frame};

const PRODUCT: u32 = 0x5D;
const REVISION: u32 = 0x0001_0000;
const SERIAL: u32 = 77;
const IDENTITY: [u32; 4] = [0, PRODUCT, REVISION, SERIAL];

/// The answer to a request, if there is one.
fn lss(bench: &mut Bench, command: u8, value: u32) -> Option<[u8; 8]> {
    let [a, b, c, d] = value.to_le_bytes();
    answered(bench, [command, a, b, c, d, 0, 0, 0])
}

fn answered(bench: &mut Bench, request: [u8; 8]) -> Option<[u8; 8]> {
    let answers = bench.receive(0x7E5, &request);
    assert!(answers.len() <= 1, "{answers:02X?}");
    let answer = answers.first()?;
    assert_eq!(answer.id(), 0x7E4);
    Some(answer.data().try_into().unwrap())
}

fn select(bench: &mut Bench, identity: [u32; 4]) -> Option<[u8; 8]> {
    let answers = (0..)
        .zip(identity)
        .map(|(at, part)| lss(bench, 0x40 + at, part));
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers[..3], [None; 3]);
    answers[3]
}

/// Fastscan as a master does it: the identity that it finds.
fn fastscan(bench: &mut Bench) -> Option<[u32; 4]> {
    let mut found = [0; 4];
    let mut scan = |value: u32, bit: u8, sub: u8, next: u8| {
        let [a, b, c, d] = value.to_le_bytes();
        answered(bench, [0x51, a, b, c, d, bit, sub, next])
    };
    scan(0, 0x80, 0, 0)?;
    for sub in 0..4 {
        let at = usize::from(sub);
        for bit in (0..32).rev() {
            if scan(found[at], bit, sub, sub).is_none() {
                found[at] |= 1 << bit;
            }
        }
        scan(found[at], 0, sub, (sub + 1) % 4)?;
    }
    Some(found)
}

fn done(command: u8) -> Option<[u8; 8]> {
    Some([command, 0, 0, 0, 0, 0, 0, 0])
}

#[test]
fn a_new_node_id_is_in_force_after_a_reset_of_communication() {
    for reset in [0x81, 0x82] {
        let mut bench = Bench::new(2);
        bench.write(0x1017, 0, 50, 2).unwrap();
        assert_eq!(select(&mut bench, IDENTITY), done(0x44));
        assert_eq!(lss(&mut bench, 0x11, 9), done(0x11));
        assert_eq!(lss(&mut bench, 0x5E, 0), Some([0x5E, 5, 0, 0, 0, 0, 0, 0]));
        assert_eq!(lss(&mut bench, 0x04, 0), None);
        assert_eq!(bench.node.node_id(), 5);
        bench.receive(0, &[reset, 5]);
        assert_eq!(bench.drive.lost, [(0, Loss::Stopped), (1, Loss::Stopped)]);
        assert_eq!(bench.poll(), [frame(0x709, &[0])]);
        // All of its identifiers are those of the new id, and none of the old one is left.
        let wants = |id: u16| {
            let mut wanted = bench.node.identifiers();
            wanted.any(|(want, bits)| id & bits == want & bits)
        };
        for base in [0x080, 0x200, 0x300, 0x400, 0x580, 0x600] {
            assert!(wants(base + 9) && !wants(base + 5), "{base:03X}");
        }
        assert!(wants(0) && wants(0x80) && wants(0x7E5));
        let request = [0x40, 0x14, 0x10, 0, 0, 0, 0, 0];
        assert_eq!(bench.receive(0x605, &request), []);
        let emcy = frame(0x589, &[0x43, 0x14, 0x10, 0, 0x89, 0, 0, 0]);
        assert_eq!(bench.receive(0x609, &request), [emcy]);
        bench.receive(0, &[1, 9]);
        assert_eq!(bench.node.nmt(), Nmt::Operational);
        let sent = bench.poll();
        assert!(sent.iter().any(|sent| sent.id() == 0x189), "{sent:02X?}");
    }
}

#[test]
fn only_the_whole_identity_in_its_order_selects_the_node() {
    for wrong in 0..4 {
        let mut bench = Bench::new(1);
        let mut identity = IDENTITY;
        identity[wrong] ^= 1;
        assert_eq!(select(&mut bench, identity), None);
        assert_eq!(lss(&mut bench, 0x5E, 0), None, "waiting: no inquiry");
        assert_eq!(lss(&mut bench, 0x11, 9), None, "waiting: no configuration");
    }
    let mut bench = Bench::new(1);
    for at in [0, 1, 3, 2] {
        assert_eq!(lss(&mut bench, 0x40 + at, IDENTITY[usize::from(at)]), None);
    }
    assert_eq!(lss(&mut bench, 0x43, SERIAL), None);
    assert_eq!(select(&mut bench, IDENTITY), done(0x44));
}

#[test]
fn identity_and_node_id_are_inquired_in_the_configuration_state() {
    let mut bench = Bench::new(1);
    lss(&mut bench, 0x04, 1);
    for (command, part) in (0x5A..).zip(IDENTITY) {
        let answer = lss(&mut bench, command, 0).unwrap();
        assert_eq!(answer[0], command);
        assert_eq!(answer[1..5], part.to_le_bytes());
    }
    assert_eq!(lss(&mut bench, 0x5E, 0).unwrap()[1], 5);
    // The dictionary has the same.
    for (sub, part) in (1..).zip(IDENTITY) {
        assert_eq!(bench.read(0x1018, sub), Ok(part));
    }
    // Neither is an unknown state.
    lss(&mut bench, 0x04, 2);
    assert!(lss(&mut bench, 0x5E, 0).is_some());
    lss(&mut bench, 0x04, 0);
    assert_eq!(lss(&mut bench, 0x5E, 0), None);
}

#[test]
fn a_node_id_that_no_node_can_have_is_refused() {
    let mut bench = Bench::new(1);
    lss(&mut bench, 0x04, 1);
    lss(&mut bench, 0x11, 7);
    for node_id in (0..=254).filter(|id| !(1..=127).contains(id)) {
        assert_eq!(lss(&mut bench, 0x11, node_id).unwrap()[..3], [0x11, 1, 0]);
    }
    bench.receive(0, &[0x82, 0]);
    bench.poll();
    assert_eq!(bench.node.node_id(), 7, "what was configured before");
}

#[test]
fn with_each_node_id_all_identifiers_are_those_that_cia_301_leaves_to_it() {
    for node_id in 1..=127 {
        let config = Config {
            node_id,
            serial: 0,
            sync_losses: 2,
            sync_hold: 0,
            stores: false,
        };
        let dictionary = Dictionary::new(config, super::super::MAX_AXES);
        let pdos = dictionary.rpdos.iter().chain(&dictionary.tpdos);
        let ids = pdos
            .filter(|pdo| pdo.id & INVALID == 0)
            .map(|pdo| pdo.can_id());
        for id in ids.chain([dictionary.emcy_id as u16]) {
            assert!(!is_restricted(id), "node {node_id}: {id:03X}");
        }
    }
}

#[test]
fn the_bit_rate_is_not_configured() {
    let mut bench = Bench::new(1);
    lss(&mut bench, 0x04, 1);
    assert_eq!(lss(&mut bench, 0x13, 0x0200).unwrap()[..3], [0x13, 1, 0]);
    assert_eq!(lss(&mut bench, 0x15, 100), None);
}

#[test]
fn the_node_id_is_stored_on_command_only_and_refusals_have_their_codes() {
    let mut bench = Bench::new(1);
    lss(&mut bench, 0x04, 1);
    lss(&mut bench, 0x11, 9);
    assert_eq!(bench.drive.kept_id, None);
    for (refusal, code) in [
        (Refusal::NotStored, [0x17, 1, 0]),
        (Refusal::Failed, [0x17, 2, 0]),
        (Refusal::State, [0x17, 0xFF, 1]),
    ] {
        bench.drive.no_store = Some(refusal);
        assert_eq!(lss(&mut bench, 0x17, 0).unwrap()[..3], code);
    }
    bench.drive.no_store = None;
    assert_eq!(lss(&mut bench, 0x17, 0), done(0x17));
    assert_eq!(bench.drive.kept_id, Some(9));
    assert_eq!(bench.node.node_id(), 5, "until the reset");
    // When the disk has taken it; a node without an id, too.
    for node_id in [5, 255] {
        let mut bench = Bench::switched_on(node_id, 1);
        bench.poll();
        lss(&mut bench, 0x04, 1);
        bench.drive.disk = None;
        assert_eq!(lss(&mut bench, 0x17, 0), None);
        assert!(lss(&mut bench, 0x5E, 0).is_some(), "others go on");
        assert_eq!(bench.wait(100), []);
        bench.drive.disk = Some(Err(Refusal::Failed));
        assert_eq!(bench.poll()[0].data()[..3], [0x17, 2, 0]);
    }
}

#[test]
fn a_master_finds_the_node_by_a_range_of_revisions_and_serial_numbers() {
    let ranges = [
        ([0, PRODUCT, 0, u32::MAX, 70, 80], true),
        ([0, PRODUCT, REVISION, REVISION, SERIAL, SERIAL], true),
        ([1, PRODUCT, 0, u32::MAX, 0, u32::MAX], false),
        ([0, PRODUCT, 0, u32::MAX, 78, u32::MAX], false),
        ([0, PRODUCT, 0, REVISION - 1, 0, u32::MAX], false),
        ([0, PRODUCT, REVISION + 1, u32::MAX, 0, u32::MAX], false),
        ([0, PRODUCT, 0, u32::MAX, 0, 76], false),
    ];
    for configures in [0, 1] {
        for (range, found) in ranges {
            let mut bench = Bench::new(1);
            lss(&mut bench, 0x04, configures);
            let answers = (0x46..)
                .zip(range)
                .map(|(command, part)| lss(&mut bench, command, part));
            let last = answers.last().unwrap();
            assert_eq!(last, done(0x4F).filter(|_| found), "{range:X?}");
        }
    }
}

#[test]
fn a_node_without_an_id_takes_part_in_lss_alone_until_a_master_gives_it_one() {
    let mut bench = Bench::switched_on(255, 2);
    let silent = |bench: &mut Bench| {
        assert_eq!(bench.wait(3000), []);
        let all = (0..0x7E5).chain(0x7E6..0x800);
        for id in all {
            for data in [&[1, 0][..], &[0x81, 0], &[0x40, 0, 0x10, 0, 0, 0, 0, 0]] {
                assert_eq!(bench.receive(id, data), [], "{id:03X}");
            }
        }
        assert_eq!(bench.node.nmt(), Nmt::Initialising);
        assert!(bench.drive.values.is_empty() && bench.drive.alive.is_empty());
        assert!(bench.node.identifiers().eq([(0x7E5, 0x7FF)]));
    };
    silent(&mut bench);
    assert_eq!(lss(&mut bench, 0x4C, 0), done(0x50));
    assert_eq!(fastscan(&mut bench), Some(IDENTITY));
    // Fastscan selected it.
    assert_eq!(lss(&mut bench, 0x5E, 0).unwrap()[1], 255);
    assert_eq!(lss(&mut bench, 0x11, 9), done(0x11));
    silent(&mut bench);
    assert_eq!(lss(&mut bench, 0x4C, 0), None, "it has been given one");
    assert_eq!(lss(&mut bench, 0x04, 0), None);
    assert_eq!(bench.poll(), [frame(0x709, &[0])]);
    assert_eq!(bench.node.nmt(), Nmt::PreOperational);
    assert_eq!(bench.read_of(9, 0x1018, 4), Ok(SERIAL));
}

#[test]
fn a_node_with_an_id_is_not_found_by_fastscan_and_can_lose_its_id() {
    let mut bench = Bench::operational(1);
    assert_eq!(lss(&mut bench, 0x4C, 0), None);
    assert_eq!(fastscan(&mut bench), None);
    lss(&mut bench, 0x04, 1);
    assert_eq!(lss(&mut bench, 0x11, 255), done(0x11));
    lss(&mut bench, 0x04, 0);
    assert_eq!(bench.node.nmt(), Nmt::Operational, "until the reset");
    bench.receive(0, &[0x82, 5]);
    assert_eq!(bench.drive.lost, [(0, Loss::Stopped)]);
    bench.drive.alive.clear();
    assert_eq!(bench.wait(3000), []);
    assert!(bench.drive.alive.is_empty());
    assert_eq!(fastscan(&mut bench), Some(IDENTITY));
}

#[test]
fn fastscan_follows_its_order_and_bounds() {
    let mut bench = Bench::switched_on(255, 1);
    let mut scan = |bit, sub, next| answered(&mut bench, [0x51, 0, 0, 0, 0, bit, sub, next]);
    assert!(scan(0x80, 0, 0).is_some());
    for (bit, sub, next) in [
        (31, 1, 1),
        (32, 0, 0),
        (0x7F, 0, 0),
        (31, 4, 4),
        (31, 0, 4),
        (31, 255, 0),
    ] {
        assert_eq!(scan(bit, sub, next), None, "{bit} {sub} {next}");
    }
    assert!(scan(31, 0, 0).is_some());
    assert!(scan(0, 0, 1).is_some());
    assert_eq!(scan(31, 0, 0), None, "it is at the product code");
    assert!(scan(0x80, 0, 0).is_some());
    assert!(scan(31, 0, 0).is_some());
}

#[test]
fn frames_of_a_wrong_length_and_answers_of_other_slaves_do_nothing() {
    let mut bench = Bench::new(1);
    for length in 0..8 {
        assert_eq!(
            bench.receive(0x7E5, &[0x04, 1, 0, 0, 0, 0, 0, 0][..length]),
            []
        );
    }
    bench.receive(0x7E4, &[0x04, 1, 0, 0, 0, 0, 0, 0]);
    let mut out = super::super::Outbox::new();
    let remote = Frame::remote(0x7E5, 8).unwrap();
    bench
        .node
        .receive(bench.now, &remote, &mut bench.drive, &mut out);
    assert!(out.is_empty());
    assert_eq!(lss(&mut bench, 0x5E, 0), None, "still waiting");
}
