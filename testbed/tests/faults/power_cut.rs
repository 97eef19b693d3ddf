//! The power cut while a black box is written: the emulator killed at several
//! places of the writing, and booted again with the same disk. What is on the disk
//! then must be the old files whole, and the new one whole or not at all.

use std::path::Path;
use std::time::Duration;

use crate::boot::{BOARD, equipped, new_disk};
use crate::guest::{self, Case};
use crate::judge::Row;
use crate::watch::{self, Said, Seen};
use crate::{Context, Failure, Host};
use testbed::boards::healthy;
use testbed::machine::ENDED;
use testbed::work::WorkFolder;

/// Wall time for a boot.
const LIMIT: Duration = Duration::from_secs(300);

/// Where the power is cut: when a file whose name ends so has so many bytes, and so
/// many microseconds later. How far the writing gets until the emulator is gone
/// differs from run to run.
const CUTS: [(&str, u64, u64); 5] = [
    // It has just been made.
    (".new", 0, 0),
    // It is being written.
    (".new", 50_000, 0),
    // Its end is written; it is on the way to the disk.
    (".new", 100_000, 1_000),
    // It has its name; that is on the way to the disk.
    (".blackbox", 0, 0),
    (".blackbox", 0, 20_000),
];

/// Cuts the power, again and again, and gives what came of it.
pub(crate) fn run(host: &Host, case: Case, show: bool) -> Result<(Row, Vec<String>), Failure> {
    let work = WorkFolder::new()?;
    let disk = new_disk(&work.path)?;
    let (mut said, mut console) = (Said::default(), Vec::new());
    let (mut known, mut arrived): (Vec<String>, _) = (Vec::new(), 0);
    for cut in CUTS.into_iter().map(Some).chain([None]) {
        let lines = boot(host, &disk, cut)?;
        let found = watch::said(&lines);
        console.extend(lines);
        let [(_, survived), (_, now)] = &found[..] else {
            let words = format!("no two lists of black boxes; {}", console.join("\n"));
            return Err(Failure::new(words));
        };
        let is_there = |name: &String| survived.black_boxes.iter().any(|b| b.name == *name);
        for name in known.iter().filter(|name| !is_there(name)) {
            said.notes.push(format!("refused: {name} is gone"));
        }
        for found in &survived.black_boxes {
            if found.status != Some(0) {
                let note = format!("refused: {} is damaged after a power cut", found.name);
                said.notes.push(note);
            }
            arrived += usize::from(!known.contains(&found.name));
        }
        known = now.black_boxes.iter().map(|b| b.name.clone()).collect();
        said.notes.extend(now.notes.iter().cloned());
        said.black_boxes.clone_from(&now.black_boxes);
    }
    said.words.push(format!(
        "after {arrived} of {} cuts the new file was there, whole, and after the others nothing of it",
        CUTS.len()
    ));
    if !show {
        console.clear();
    }
    Ok((Row::new(case, Seen::default(), said), console))
}

/// One boot with what is on the disk, up to the cut; its console.
fn boot(host: &Host, disk: &Path, cut: Option<(&str, u64, u64)>) -> Result<Vec<String>, Failure> {
    let context = Context::new(host);
    let script = guest::power_cut(cut);
    let boot = equipped(&context)?.disk(disk).resets();
    let mut machine = boot.start(&healthy(&BOARD), &script)?;
    let end = if cut.is_some() { guest::CUT } else { ENDED };
    let line = machine.wait_for_line(end, LIMIT)?;
    // The emulator is killed where it stands.
    drop(machine);
    let console = context.console();
    if cut.is_none() && !line.ends_with(" 0") {
        return Err(Failure::new(console.join("\n")));
    }
    Ok(console)
}
