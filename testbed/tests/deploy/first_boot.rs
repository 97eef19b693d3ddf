//! What a person puts on the card's boot partition: it is checked, and taken over or refused with the
//! reason.

use crate::card::Card;
use crate::target::{LIMIT, Target};
use crate::{Case, Failure, require};

/// The first cases in the boot of the service.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "the_board_file_of_the_card_is_taken_over_and_a_refused_one_changes_nothing",
        run: board,
    },
    Case {
        name: "the_network_settings_of_the_card_are_taken_over_and_refused_with_the_line",
        run: network,
    },
    Case {
        name: "the_keys_of_the_card_may_log_in_and_no_others",
        run: keys,
    },
];

/// Where the target sees the files of the card.
const CARD: &str = "/mnt/env/steadfast";
/// The board file in use.
const KEPT: &str = "/data/steadfast/card/board.toml";

/// Edits the card as a person with a PC does: another name in the board file, whose lines then end as
/// that PC's do, and settings of the network with a mistake.
pub(crate) fn edit(card: &Card) -> Result<(), Failure> {
    let board = String::from_utf8_lossy(&card.get("steadfast/board.toml")?).into_owned();
    let edited = board.replace("name = \"qemuarm64\"", "name = \"edited\"");
    require(edited != board, || {
        "the board file on the card has no name to edit".to_owned()
    })?;
    card.put(
        "steadfast/board.toml",
        edited.replace('\n', "\r\n").as_bytes(),
    )?;
    card.put("steadfast/network", b"[Match]\nName=e*\nDHCP yes\n")
}

/// The console has what was taken over and what was refused.
pub(crate) fn is_reported(target: &mut Target) -> Result<(), Failure> {
    for words in [
        "steadfast: board.toml of the card is taken over",
        "steadfast: network of the card is refused: network:3: not [Section]",
    ] {
        target.machine().wait_for_line(words, LIMIT)?;
    }
    Ok(())
}

/// Takes the card over again, as the next start does.
fn again(target: &mut Target) -> Result<(), Failure> {
    // More often than the limit of starts permits.
    target
        .ask("systemctl reset-failed steadfast-card; systemctl restart steadfast-card")
        .map(drop)
}

/// Requires these words in the reason beside a refused file.
fn refused(target: &mut Target, name: &str, words: &str) -> Result<(), Failure> {
    let reason = target.ask(&format!("cat {CARD}/{name}.refused"))?;
    require(reason.contains(words), || {
        format!("expected '{words}' in the reason beside {name}, got '{reason}'")
    })
}

fn board(target: &mut Target) -> Result<(), Failure> {
    let pid = target.unit("MainPID")?;
    let words = target.ask(&format!("tr '\\0' ' ' </proc/{pid}/cmdline"))?;
    require(words.contains(KEPT), || {
        format!("the controller was started as '{words}'")
    })?;
    target.ask(&format!("grep -q 'name = \"edited\"' {KEPT}"))?;
    target.ask(&format!(
        "cp {CARD}/board.toml /run/good.toml; sed 's/^period_us.*/period_us = 0/' /run/good.toml >{CARD}/board.toml"
    ))?;
    again(target)?;
    refused(target, "board.toml", "`period_us` is 0; it must be")?;
    target.ask(&format!("grep -q 'period_us = 10_000' {KEPT}"))?;
    target.ask(&format!("cp /run/good.toml {CARD}/board.toml"))?;
    again(target)?;
    target
        .ask(&format!("! [ -e {CARD}/board.toml.refused ]"))
        .map(drop)
}

fn network(target: &mut Target) -> Result<(), Failure> {
    refused(target, "network", "network:3: not [Section]")?;
    let started = "systemctl start systemd-networkd; systemctl is-active systemd-networkd";
    let (status, _) = target.run(started)?;
    require(status != 0, || {
        "the network was started without settings".to_owned()
    })?;
    target.ask(&format!(
        "printf '[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\n' >{CARD}/network"
    ))?;
    again(target)?;
    target.ask(&format!("! [ -e {CARD}/network.refused ]"))?;
    target.ask(started)?;
    target.ask("systemctl stop systemd-networkd").map(drop)
}

fn keys(target: &mut Target) -> Result<(), Failure> {
    target.ask(&format!("echo 'ssh-ed25519 key' >{CARD}/authorized_keys"))?;
    again(target)?;
    refused(
        target,
        "authorized_keys",
        "authorized_keys:1: not a public key",
    )?;
    target.ask("for k in own other; do dropbearkey -t ed25519 -f /run/$k >/run/$k.pub; done")?;
    target.ask(&format!("grep ^ssh- /run/own.pub >{CARD}/authorized_keys"))?;
    again(target)?;
    target.ask("systemctl start steadfast-ssh; systemctl is-active steadfast-ssh")?;
    let login =
        |key| format!("dbclient -y -y -i /run/{key} root@127.0.0.1 id -u 2>/run/said </dev/null");
    target.until("dbclient -y -y -i /run/own root@127.0.0.1 true")?;
    let user = target.ask(&login("own"))?;
    require(user == "0", || format!("the login gave '{user}'"))?;
    let (status, _) = target.run(&login("other"))?;
    require(status != 0, || "a foreign key could log in".to_owned())?;
    target.ask("systemctl stop steadfast-ssh").map(drop)
}
