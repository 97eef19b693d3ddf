//! `steadctl doctor --pack`: one archive with what a bug report needs, without secrets.
//!
//! Each part is read on its own: what cannot be read is named in the archive and on standard output,
//! and the rest is packed. Folders that the controller's user may write are not trusted: from them only
//! files are packed whose content has the expected format, and no symbolic link is followed
//! ([`Machine::untrusted`]).

mod archive;
mod machine;
mod secrets;
mod tree;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use steadfast::telemetry::blackbox;
use steadfast::telemetry::flight::{Snapshot, layout};
use toml::de::DeTable;

use self::archive::Archive;
use self::machine::{Found, Machine};
use self::secrets::{Secrets, arguments};
use crate::{BAD_INPUT, FAILED, Failure, print, shown_lines, status};

/// Largest board file, bytes: more than the firmware reads.
const MAX_BOARD: u64 = 1 << 20;
/// Largest black box, bytes: more than a controller writes.
const MAX_BLACK_BOX: u64 = 80 << 20;
/// Limit for all black boxes, bytes; the newest are packed.
const MAX_BLACK_BOXES: u64 = 256 << 20;
/// Last lines of the journal.
const LINES: &str = "--lines=5000";
/// Units of the Yocto layer that start, configure and judge the controller. That of ssh is not one of them:
/// its lines have addresses and keys.
const UNITS: [&str; 3] = ["steadfast-card", "steadfast-health", "steadfast-rt-setup"];

#[derive(Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Arguments {
    /// The archive to write (tar, gzip), which must not exist
    #[arg(long, value_name = "FILE")]
    pack: PathBuf,
    /// The board file; without it, that of the unit
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
    /// The unit of the controller
    #[arg(long, value_name = "NAME", default_value = "steadfast")]
    unit: String,
    /// The firmware
    #[arg(long, value_name = "PROGRAM", default_value = "steadfast")]
    program: PathBuf,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    pack(arguments, &Machine::this()).and_then(|said| print(&said).map(|()| 0))
}

/// Writes the archive; gives what to print.
fn pack(arguments: &Arguments, machine: &Machine) -> Result<String, Failure> {
    let named = |code, what: String| Failure(code, format!("{}: {what}", arguments.pack.display()));
    // Black boxes and the journal are readable by few users on the board.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&arguments.pack)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => named(
                BAD_INPUT,
                "already exists; name a file that does not exist".to_owned(),
            ),
            _ => named(
                FAILED,
                format!("cannot be created: {error}; name a file in a folder that can be written"),
            ),
        })?;
    let mut pack = Pack {
        machine,
        secrets: Secrets::of(machine),
        archive: Archive::new(file),
        packed: Vec::new(),
        missing: Vec::new(),
    };
    let done = pack.all(arguments).and_then(|()| pack.finish());
    done.map_err(|error| {
        // A part of an archive is of no use.
        let _ = std::fs::remove_file(&arguments.pack);
        named(
            FAILED,
            format!("cannot be written: {error}; free space, or name a file on another disk"),
        )
    })
    .map(|(said, size)| format!("{}: {size} bytes\n{said}", arguments.pack.display()))
}

/// An archive that is being written.
struct Pack<'m> {
    machine: &'m Machine,
    secrets: Secrets,
    archive: Archive,
    /// Name in the archive, and origin.
    packed: Vec<(String, String)>,
    /// What was to be packed, and why it is not.
    missing: Vec<(String, String)>,
}

impl Pack<'_> {
    fn all(&mut self, arguments: &Arguments) -> io::Result<()> {
        let Arguments {
            board,
            unit,
            program,
            ..
        } = arguments;
        let board = match board {
            Some(board) => Ok(board.clone()),
            None => self.board_of(unit),
        };
        self.versions(program)?;
        let tables = match &board {
            Ok(board) => self.board(board)?,
            Err(why) => {
                self.lacks("board.toml", why.clone());
                Folders::default()
            }
        };
        self.doctor(program, board.as_deref().ok())?;
        self.controllers(&tables.memory)?;
        match &tables.black_boxes {
            Some(folder) => self.black_boxes(folder)?,
            None => self.lacks(
                "black-box",
                "the board file names no folder for them".to_owned(),
            ),
        }
        if let Some(file) = &tables.saved {
            self.saved(file)?;
        }
        self.journal(unit)?;
        match tree::source(self.machine, &self.secrets) {
            Ok(text) => self.text("device-tree.dts", tree::FOLDER, &text),
            Err(why) => {
                self.lacks("device-tree.dts", why);
                Ok(())
            }
        }
    }

    fn lacks(&mut self, what: &str, why: String) {
        self.missing
            .push((what.to_owned(), self.secrets.removed(&why)));
    }

    /// Packs a text without the secrets of this machine.
    fn text(&mut self, name: &str, from: &str, text: &str) -> io::Result<()> {
        let text = self.secrets.removed(text);
        self.bytes(name, from, text.as_bytes(), SystemTime::now())
    }

    fn bytes(&mut self, name: &str, from: &str, bytes: &[u8], time: SystemTime) -> io::Result<()> {
        self.archive.add(name, bytes, time)?;
        self.packed.push((name.to_owned(), from.to_owned()));
        Ok(())
    }

    /// The board file of the unit: a file of its environment precedes the environment, as in
    /// systemd.exec(5).
    fn board_of(&self, unit: &str) -> Result<PathBuf, String> {
        const KEY: &str = "STEADFAST_BOARD=";
        let fix = "name it with --board";
        let words = [
            "systemctl",
            "show",
            "--property=Environment",
            "--property=EnvironmentFiles",
            unit,
        ];
        let said = self
            .machine
            .run(&words)
            .map_err(|why| format!("not known: {why}; {fix}"))?;
        let mut found = None;
        for line in said.out.lines() {
            if let Some(words) = line.strip_prefix("Environment=") {
                let word = words
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix(KEY));
                found = found.or(word.map(str::to_owned));
            } else if let Some(file) = line.strip_prefix("EnvironmentFiles=") {
                let file = file.split(" (").next().unwrap_or(file);
                // A missing one is in order: the unit names it with `-`.
                let text = self.machine.text(Path::new(file)).unwrap_or_default();
                let value = text.lines().rev().find_map(|line| line.strip_prefix(KEY));
                found = value.map(str::to_owned).or(found);
            }
        }
        found
            .map(PathBuf::from)
            .ok_or_else(|| format!("the unit {unit} has no STEADFAST_BOARD; {fix}"))
    }

    fn versions(&mut self, program: &Path) -> io::Result<()> {
        let mut text = concat!("steadctl ", env!("CARGO_PKG_VERSION"), "\n").to_owned();
        match self
            .machine
            .run(&[program.as_os_str(), OsStr::new("--version")])
        {
            Ok(said) => text += &said.out,
            Err(why) => self.lacks(
                "versions: the firmware",
                format!("{why}; name it with --program"),
            ),
        }
        type Shown = fn(&str) -> String;
        let parts: [(&str, &str, Shown); 4] = [
            ("kernel", "/proc/version", str::to_owned),
            ("command line", "/proc/cmdline", arguments),
            ("system", "/etc/os-release", |text| {
                let keys = ["PRETTY_NAME=", "IMAGE_ID=", "IMAGE_VERSION=", "BUILD_ID="];
                let lines = text
                    .lines()
                    .filter(|line| keys.iter().any(|key| line.starts_with(key)));
                lines.collect::<Vec<_>>().join(", ")
            }),
            ("board", "/sys/firmware/devicetree/base/model", |text| {
                text.trim_end_matches('\0').to_owned()
            }),
        ];
        for (what, file, shown) in parts {
            match self.machine.text(Path::new(file)) {
                Ok(found) => {
                    let _ = writeln!(text, "{what}: {}", shown(&found).trim());
                }
                Err(why) => self.lacks(&format!("versions: {what}"), why),
            }
        }
        self.text("versions", "/proc, /etc/os-release", &text)
    }

    /// Packs the board file, and gives the folders that it names.
    fn board(&mut self, board: &Path) -> io::Result<Folders> {
        let shown = board.display().to_string();
        match self.machine.read(board, MAX_BOARD) {
            Ok(Found { bytes, time }) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let text = self.secrets.removed(&text);
                self.bytes("board.toml", &shown, text.as_bytes(), time)?;
                match Folders::of(&text) {
                    Ok(folders) => return Ok(folders),
                    Err(why) => self.lacks(
                        "the folders of black boxes and parameters",
                        format!("{shown}: {why}"),
                    ),
                }
            }
            Err(why) => self.lacks("board.toml", format!("{why}; name it with --board")),
        }
        Ok(Folders::default())
    }

    fn doctor(&mut self, program: &Path, board: Option<&Path>) -> io::Result<()> {
        let program = program.as_os_str();
        let mut doctor = vec![program, OsStr::new("doctor")];
        if let Some(board) = board {
            doctor.extend([OsStr::new("--board"), board.as_os_str()]);
            self.command("check", &[program, OsStr::new("check"), board.as_os_str()])?;
        }
        self.command("doctor", &doctor)
    }

    /// Packs what a command says, and how it ends: a refusal is a part of the report.
    fn command(&mut self, name: &str, words: &[&OsStr]) -> io::Result<()> {
        let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        match self.machine.run(words) {
            Ok(said) => self.text(name, &shown.join(" "), &said.whole()),
            Err(why) => {
                self.lacks(name, format!("{why}; name the firmware with --program"));
                Ok(())
            }
        }
    }

    /// Packs status, contract and records of the controllers whose flight files are in `folder`.
    fn controllers(&mut self, folder: &Path) -> io::Result<()> {
        let files = match self.machine.listed(folder, "flight") {
            Ok(files) if files.is_empty() => {
                Err(format!("{}: has no flight file", folder.display()))
            }
            other => other,
        };
        let files = match files {
            Ok(files) => files,
            Err(why) => {
                return {
                    self.lacks("status", why);
                    Ok(())
                };
            }
        };
        for file in files {
            let (name, shown) = (stem(&file), file.display().to_string());
            let read = self
                .machine
                .untrusted(&file, MAX_BLACK_BOX)
                .and_then(|found| {
                    let mapped = &found.bytes[..found.bytes.len().min(layout::MAPPED)];
                    let contract = Snapshot::of(mapped).map(|snapshot| snapshot.contract());
                    let contract =
                        contract.map_err(|_| format!("{shown}: is not a flight file"))?;
                    let status = status::described(&self.machine.at(&file))
                        .map_err(|Failure(_, why)| why)?;
                    Ok((contract, status.text, found))
                });
            match read {
                Ok((contract, status, Found { bytes, time })) => {
                    self.text(&format!("{name}.status"), &shown, &status)?;
                    match contract.is_empty() {
                        true => self.lacks(
                            &format!("{name}.contract"),
                            format!("{shown}: not judged yet"),
                        ),
                        false => {
                            self.text(&format!("{name}.contract"), &shown, &shown_lines(&contract))?
                        }
                    }
                    self.bytes(&format!("{name}.flight"), &shown, &bytes, time)?;
                }
                Err(why) => self.lacks(&format!("{name}.status"), why),
            }
        }
        Ok(())
    }

    /// Packs the black boxes, the newest first.
    fn black_boxes(&mut self, folder: &Path) -> io::Result<()> {
        let files = match self.machine.listed(folder, "blackbox") {
            Ok(files) => files,
            Err(why) => {
                return {
                    self.lacks("black-box", why);
                    Ok(())
                };
            }
        };
        let mut all = 0;
        for file in files {
            let shown = file.display().to_string();
            let name = format!("black-box/{}.blackbox", stem(&file));
            let read = self
                .machine
                .untrusted(&file, MAX_BLACK_BOX)
                .and_then(|found| {
                    all += found.bytes.len() as u64;
                    match blackbox::parse(&found.bytes) {
                        _ if all > MAX_BLACK_BOXES => Err(format!(
                            "{shown}: older than the newest {} MiB, which are packed",
                            MAX_BLACK_BOXES >> 20
                        )),
                        Err(blackbox::NotBlackBox::Nothing) => {
                            Err(format!("{shown}: is not a black box"))
                        }
                        Ok(_) | Err(blackbox::NotBlackBox::Newer(_)) => Ok(found),
                    }
                });
            match read {
                Ok(Found { bytes, time }) => self.bytes(&name, &shown, &bytes, time)?,
                Err(why) => self.lacks(&name, why),
            }
        }
        Ok(())
    }

    /// Packs the saved parameters, if there are some.
    fn saved(&mut self, file: &Path) -> io::Result<()> {
        const NAME: &str = "saved-parameters.toml";
        let shown = file.display().to_string();
        if self.machine.is_absent(file) {
            return Ok(());
        }
        let read = self.machine.untrusted(file, MAX_BOARD).and_then(|found| {
            let text = String::from_utf8_lossy(&found.bytes).into_owned();
            match text.trim_end().ends_with(steadfast::link::saved::END)
                && DeTable::parse(&text).is_ok()
            {
                true => Ok(text),
                false => Err(format!("{shown}: is not a file of saved parameters")),
            }
        });
        match read {
            Ok(text) => self.text(NAME, &shown, &text),
            Err(why) => {
                self.lacks(NAME, why);
                Ok(())
            }
        }
    }

    fn journal(&mut self, unit: &str) -> io::Result<()> {
        let mut words = vec!["journalctl", "--no-pager", "--quiet", "--no-hostname"];
        words.extend(["--output=short-precise", LINES]);
        for unit in [unit].iter().chain(&UNITS) {
            words.extend(["--unit", unit]);
        }
        match self.machine.run(&words) {
            Ok(said) if said.code != Some(0) => {
                let first = said.errors.lines().next().unwrap_or("failed").to_owned();
                self.lacks("journal", format!("journalctl: {first}"));
                Ok(())
            }
            Ok(said) if said.out.trim().is_empty() => {
                let what = format!("journalctl: no lines of {unit}; run this as root");
                self.lacks("journal", what);
                Ok(())
            }
            Ok(said) => self.text("journal", &format!("journalctl --unit {unit}"), &said.out),
            Err(why) => {
                self.lacks("journal", why);
                Ok(())
            }
        }
    }

    /// Adds the list of contents, and ends the archive; gives the list and the size, bytes.
    fn finish(self) -> io::Result<(String, u64)> {
        let mut said = "packed:\n".to_owned();
        let line = |said: &mut String, (what, of): &(String, String)| {
            let _ = write!(said, "{}", shown_lines(&format!("  {what:<24} {of}")));
        };
        self.packed.iter().for_each(|entry| line(&mut said, entry));
        if !self.missing.is_empty() {
            said += "not packed:\n";
            self.missing.iter().for_each(|entry| line(&mut said, entry));
        }
        said += secrets::LEFT_OUT;
        let Self { mut archive, .. } = self;
        archive.add("CONTENTS", said.as_bytes(), SystemTime::now())?;
        archive.finish().map(|size| (said, size))
    }
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Folders and files that a board file names.
#[derive(Debug)]
struct Folders {
    /// Of the flight file.
    memory: PathBuf,
    black_boxes: Option<PathBuf>,
    /// The file of saved parameters.
    saved: Option<PathBuf>,
}

impl Default for Folders {
    fn default() -> Self {
        Self {
            memory: PathBuf::from(status::FOLDER),
            black_boxes: None,
            saved: None,
        }
    }
}

impl Folders {
    /// The tables and keys of a board file that are the same for all machines. The whole file can
    /// be read only by the firmware that knows its drivers.
    fn of(board: &str) -> Result<Self, String> {
        let tables = DeTable::parse(board).map_err(|error| error.message().to_owned())?;
        let value = |table: &str, key: &str| {
            let table = tables.get_ref().get(table)?.get_ref().as_table()?;
            table.get(key)?.get_ref().as_str().map(PathBuf::from)
        };
        Ok(Self {
            memory: value("black_box", "memory").unwrap_or_else(|| status::FOLDER.into()),
            black_boxes: value("black_box", "directory"),
            saved: value("parameters", "file"),
        })
    }
}

#[cfg(test)]
mod tests;
