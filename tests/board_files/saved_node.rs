//! The node id that an LSS master has stored, in the file of `[parameters]`.

use std::fs;

use steadfast::link::canopen::Saved;
use steadfast::link::saved::Keep;
use testbed::program::Scratch;

use super::SIM;
use super::saved::{CLIENT, NOW, OFF, POWERED, board, node, set, values, with_owners};

/// The node id and the number of CANopen parameters at the next start of `node`.
fn next_start(scratch: &Scratch) -> (u8, usize) {
    let mut config = node(scratch);
    if let Some(text) = config.saved_text().unwrap() {
        config.put_saved(&text).unwrap();
    }
    let can = config.links.can.as_ref().unwrap();
    let communication = config.parameters.as_ref().unwrap().communication.len();
    (can.node.node_id, communication)
}

const OF_CANOPEN: &[Saved] = &[Saved {
    index: 0x1017,
    sub: 0,
    value: 500,
}];

#[test]
fn a_stored_node_id_is_in_force_at_the_next_start_and_nothing_else_changes() {
    let scratch = Scratch::new("saved-node-id");
    let config = node(&scratch);
    with_owners(&config, &OFF, |owners| {
        set(&mut *owners.parameters, "x.gains.kp", 50.0);
        owners.keep(CLIENT, Keep::Present, NOW).unwrap();
        owners.keep(CLIENT, Keep::With(5, OF_CANOPEN), NOW).unwrap();
        set(&mut *owners.parameters, "x.gains.kp", 60.0);
        // That of another id.
        let refused = owners.keep(CLIENT, Keep::With(7, OF_CANOPEN), NOW);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("another node id"), "{refused}");
        assert_eq!(next_start(&scratch), (5, 1));
        // The same id takes nothing away.
        owners.keep(CLIENT, Keep::NodeId(5), NOW).unwrap();
        assert_eq!(next_start(&scratch), (5, 1));
        owners.keep(CLIENT, Keep::NodeId(7), NOW).unwrap();
        assert_eq!(next_start(&scratch), (7, 0));
        let refused = owners.keep(CLIENT, Keep::With(5, OF_CANOPEN), NOW);
        refused.unwrap_err();
        owners.keep(CLIENT, Keep::With(7, OF_CANOPEN), NOW).unwrap();
        let kp = values(&mut *owners.parameters, "x.gains.kp");
        assert_eq!(kp, [60.0, 40.0, 60.0]);
        owners.keep(CLIENT, Keep::Present, NOW).unwrap();
        assert_eq!(next_start(&scratch), (7, 1));
        owners.keep(CLIENT, Keep::Defaults, NOW).unwrap();
        assert_eq!(next_start(&scratch), (7, 0));
        owners.keep(CLIENT, Keep::NodeId(255), NOW).unwrap();
        assert_eq!(next_start(&scratch), (255, 0));
        owners.keep(CLIENT, Keep::NodeId(5), NOW).unwrap();
    });
    assert_eq!(next_start(&scratch), (5, 0));
    assert_eq!(config.saved_text().unwrap(), None, "as the board file");
    with_owners(&config, &[OFF[0], POWERED[1]], |owners| {
        let refused = owners.keep(CLIENT, Keep::NodeId(7), NOW).unwrap_err();
        assert!(refused.to_string().starts_with("y has power"), "{refused}");
    });
    assert_eq!(config.saved_text().unwrap(), None);
}

#[test]
fn a_later_start_keeps_what_an_earlier_one_has_stored() {
    let scratch = Scratch::new("saved-node-id-again");
    with_owners(&node(&scratch), &OFF, |owners| {
        owners.keep(CLIENT, Keep::NodeId(7), NOW).unwrap();
        owners.keep(CLIENT, Keep::With(7, OF_CANOPEN), NOW).unwrap();
    });
    let mut again = node(&scratch);
    let text = again.saved_text().unwrap().unwrap();
    assert!(text.contains("[lss]\nnode_id = [7, 5]\n"), "{text}");
    again.put_saved(&text).unwrap();
    with_owners(&again, &OFF, |owners| {
        set(&mut *owners.parameters, "x.gains.kp", 50.0);
        owners.keep(CLIENT, Keep::Present, NOW).unwrap();
        assert_eq!(next_start(&scratch), (7, 1));
        owners.keep(CLIENT, Keep::NodeId(5), NOW).unwrap();
        assert_eq!(next_start(&scratch), (5, 0));
    });
    let kept = again.saved_text().unwrap().unwrap();
    assert!(kept.contains("kp") && !kept.contains("[lss]"), "{kept}");
}

#[test]
fn a_stored_node_id_that_does_not_fit_the_board_file_is_refused() {
    let scratch = Scratch::new("saved-node-id-refused");
    with_owners(&node(&scratch), &OFF, |owners| {
        owners.keep(CLIENT, Keep::NodeId(7), NOW).unwrap();
        owners.keep(CLIENT, Keep::With(7, OF_CANOPEN), NOW).unwrap();
    });
    let text = fs::read_to_string(scratch.path("saved.toml")).unwrap();
    let told = [
        (
            "[7, 5]",
            "[7, 6]",
            ":9:11: the node id 7 was stored while the board file had `node_id` 6, and it has 5 now; remove this table to have 5, or write [7, 5] to keep 7",
        ),
        (
            "[7, 5]",
            "[0, 5]",
            ":9:1: `node_id` is not a pair of node ids",
        ),
        ("[7, 5]", "[128, 5]", "`node_id` is not a pair of node ids"),
        ("[7, 5]", "7", "`node_id` is not a pair of node ids"),
        ("node_id = [7", "id = [7", "`id` is not a pair of node ids"),
        (
            "[7, 5]",
            "[8, 5]",
            "the CAN parameters were saved as node 7, and the table [lss] has `node_id` 8",
        ),
        (
            "[lss]\nnode_id = [7, 5]\n",
            "",
            "the CAN parameters were saved as node 7, and the board file has `node_id` 5",
        ),
    ];
    for (from, to, what) in told {
        assert!(text.contains(from), "{from} in {text}");
        let mut config = node(&scratch);
        let error = config.put_saved(&text.replacen(from, to, 1));
        let error = error.expect_err(to).to_string();
        assert!(error.contains(what), "{to}: {error}");
        assert_eq!(config.links.can.as_ref().unwrap().node.node_id, 5);
    }
    // Without a CAN link it says nothing.
    let mut config = board(&scratch, SIM);
    config.put_saved(&text).unwrap();
}
