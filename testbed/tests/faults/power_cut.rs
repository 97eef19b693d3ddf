//! A power cut while a black box is written: the emulator is killed at several points of
//! the write and booted again with the same disk. The old files must then be complete,
//! and the new one complete or absent.

use std::path::Path;
use std::time::Duration;

use crate::boot::{BOARD, equipped, new_disk};
use crate::guest::{self, Case};
use crate::judge::Row;
use crate::watch::{self, Observed, Reported};
use crate::{Context, Failure, Host};
use testbed::boards::healthy;
use testbed::machine::ENDED;
use testbed::work::WorkFolder;

/// Wall time for a boot.
const LIMIT: Duration = Duration::from_secs(300);

/// When the power is cut: ending of the file name, its length in bytes, and the delay
/// after that in microseconds. How far the write gets before the emulator has ended
/// differs between runs.
const CUTS: [(&str, u64, u64); 5] = [
    // The file was just created.
    (".new", 0, 0),
    // The file is being written.
    (".new", 50_000, 0),
    // All bytes are written and are being flushed to the disk.
    (".new", 100_000, 1_000),
    // The file has its final name, which is being flushed to the disk.
    (".blackbox", 0, 0),
    (".blackbox", 0, 20_000),
];

/// Cuts the power at each point of [`CUTS`], and gives the result with the console.
pub(crate) fn run(host: &Host, case: Case, show: bool) -> Result<(Row, Vec<String>), Failure> {
    let work = WorkFolder::new()?;
    let disk = new_disk(&work.path)?;
    let (mut reported, mut console) = (Reported::default(), Vec::new());
    let (mut known, mut arrived): (Vec<String>, _) = (Vec::new(), 0);
    for cut in CUTS.into_iter().map(Some).chain([None]) {
        let lines = boot(host, &disk, cut)?;
        let found = watch::reports(&lines);
        console.extend(lines);
        let [(_, survived), (_, now)] = &found[..] else {
            let words = format!(
                "expected two lists of black boxes, the console is:\n{}",
                console.join("\n")
            );
            return Err(Failure::new(words));
        };
        let is_there = |name: &String| survived.black_boxes.iter().any(|b| b.name == *name);
        for name in known.iter().filter(|name| !is_there(name)) {
            reported.notes.push(format!("refused: {name} is gone"));
        }
        for found in &survived.black_boxes {
            if found.status != Some(0) {
                let note = format!("refused: {} is damaged after a power cut", found.name);
                reported.notes.push(note);
            }
            arrived += usize::from(!known.contains(&found.name));
        }
        known = now.black_boxes.iter().map(|b| b.name.clone()).collect();
        reported.notes.extend(now.notes.iter().cloned());
        reported.black_boxes.clone_from(&now.black_boxes);
    }
    reported.stderr.push(format!(
        "the new file was complete after {arrived} of {} cuts and absent after the others",
        CUTS.len()
    ));
    if !show {
        console.clear();
    }
    Ok((Row::new(case, Observed::default(), reported), console))
}

/// Boots with the disk and runs until the cut; gives the console.
fn boot(host: &Host, disk: &Path, cut: Option<(&str, u64, u64)>) -> Result<Vec<String>, Failure> {
    let context = Context::new(host);
    let script = guest::power_cut(cut);
    let boot = equipped(&context)?.disk(disk).resets();
    let mut machine = boot.start(&healthy(&BOARD), &script)?;
    let end = if cut.is_some() { guest::CUT } else { ENDED };
    let line = machine.wait_for_line(end, LIMIT)?;
    // Kills the emulator.
    drop(machine);
    let console = context.console();
    if cut.is_none() && !line.ends_with(" 0") {
        return Err(Failure::new(console.join("\n")));
    }
    Ok(console)
}
