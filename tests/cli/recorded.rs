//! Black boxes of a run on the simulated board.

use std::fs;

use super::{Scratch, command, json_at};

#[test]
fn a_fault_has_one_black_box_that_names_it() {
    let scratch = Scratch::new("one-black-box");
    // A name of its own: one process controls a board.
    let name = format!("recorded-{}", std::process::id());
    // On tmpfs, as [black_box] requires.
    let memory = format!("/dev/shm/{name}");
    let board = super::SIM_BOARD
        .replace("name = \"sim\"", &format!("name = \"{name}\""))
        .replace(
            "following_error_window_rad = 0.5",
            "following_error_window_rad = 0.0001",
        );
    let text = format!(
        "{board}\n[black_box]\ndirectory = \"{}\"\nmemory = \"{memory}\"\n",
        scratch.path("boxes").display()
    );
    let mut command = command(["run", "--for", "2500ms", "--json"]);
    command.arg(scratch.path("report.json"));
    command
        .arg("--board")
        .arg(scratch.file("board.toml", &text));
    let done = command.output().expect("it runs");
    let _ = fs::remove_dir_all(&memory);
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    let said: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("black box /"))
        .collect();
    assert_eq!(done.status.code(), Some(4), "{log}");
    let [said] = said[..] else {
        panic!("{said:#?}");
    };
    let words =
        "axis x: following error (0x8611); free the shaft; check profile, gains and command limit";
    assert!(said.ends_with(words), "{said}");
    assert_eq!(fs::read_dir(scratch.path("boxes")).unwrap().count(), 1);
    let report = json_at(&scratch.path("report.json"));
    let saved = report.pointer("/black_box/saved").unwrap();
    assert_eq!(saved.as_array().unwrap().len(), 1, "{saved}");
}
