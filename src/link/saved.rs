//! Saves the parameters of a machine for its next start.
//!
//! The file has the parameters that differ from the board file, each with the value of the board
//! file beside it, and the communication parameters of the CANopen node. It is read at the start
//! ([`Config::put_saved`](crate::config::Config::put_saved)), where a board file that has changed
//! since is noticed.
//!
//! It is written on the link thread, which waits for the disk and serves no client meanwhile; so
//! parameters are saved only while no axis has power. The loop has no part in it.

use core::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::canopen::{self, Saved};
use super::frames::Shared;
use super::parameters::{Parameter, Parameters};
use crate::axis::state::State;
use crate::axis::words::status;
use crate::sys::Errno;
use crate::telemetry::changes::{CHANGES, Noted};
use crate::telemetry::say;
use crate::telemetry::whole::{FileError, remove, write_whole};
use crate::time::{Duration, Instant};

/// Most communication parameters that are saved: more than a node has.
pub const MAX_SAVED: usize = 896;
/// The last line of the file. A file without it was cut off.
pub const END: &str = "[end]";
/// The word of a frame with the time of its cycle.
const AT: usize = 2;
/// A frame that is older tells nothing; the longest period is 1 s.
const FRESH: Duration = Duration::from_secs(3);

const HEAD: &str = "\
# Parameters of this controller that differ from its board file, saved while it ran: each with its
# value and the value of the board file. Remove a line to have that of the board file at the next
# start, or this file to have all of them.
";

/// `[parameters]`, and what its file had at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedConfig {
    /// The file.
    pub path: String,
    /// How many saved parameters are in force.
    pub in_force: u32,
    /// The saved communication parameters of the CANopen node.
    pub communication: Vec<Saved>,
    /// The node id that a master has stored, if it is not that of the board file.
    pub node_id: Option<KeptId>,
}

/// A node id that a master has stored by LSS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct KeptId {
    /// 1 to 127; 255 for none.
    pub node_id: u8,
    /// That of the board file.
    pub board: u8,
}

/// What is to be kept for the next start.
#[derive(Copy, Clone, Debug)]
pub enum Keep<'s> {
    /// The present parameters, and the communication parameters that were saved before.
    Present,
    /// The present parameters, and these communication parameters of the node with this id.
    With(u8, &'s [Saved]),
    /// No parameters: the next start has those of the board file. A node id stays, as it is no
    /// parameter (CiA 301, 1011h).
    Defaults,
    /// This node id, and what was saved before, but the communication parameters of another node
    /// id.
    NodeId(u8),
}

/// A name of the board file, or a path in it; neither is longer.
type Name = heapless::String<64>;

fn short(name: &str) -> Name {
    Name::try_from(name).unwrap_or_default()
}

/// Why nothing was saved.
#[derive(Debug)]
pub enum Refusal {
    /// The board file names no file.
    NoFile,
    /// This axis has power.
    Power(Name),
    /// It is not known whether an axis has power.
    Unknown,
    /// The next start has another node id.
    NodeId,
    /// The file could not be written.
    File(Name, FileError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => f.write_str(
                "the board file has no [parameters] `file` to save to; add it and restart",
            ),
            Self::Power(axis) => write!(
                f,
                "{axis} has power; stop it, and disable it or release its commands, then save"
            ),
            Self::Unknown => {
                f.write_str("the loop has not shown yet whether an axis has power; repeat it")
            }
            Self::NodeId => {
                f.write_str("the next start has another node id; store the present one first (LSS)")
            }
            Self::File(path, error) => write!(
                f,
                "{path}: {error}; make its folder writable for the controller"
            ),
        }
    }
}

impl From<Refusal> for canopen::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoFile => Self::NotStored,
            Refusal::Power(_) | Refusal::Unknown | Refusal::NodeId => Self::State,
            Refusal::File(..) => Self::Failed,
        }
    }
}

/// The saved parameters of a machine, on the link thread. Allocates nothing.
pub struct Store<'m> {
    path: String,
    folder: String,
    temporary: String,
    board: String,
    /// The node id at the next start, and that of the board file, if there is a CANopen node.
    node_id: Option<KeptId>,
    shared: &'m Shared,
    /// The axes, and the words of their statuswords in a frame.
    axes: Vec<(String, usize)>,
    /// Its capacity is never exceeded.
    communication: Vec<Saved>,
}

impl<'m> Store<'m> {
    /// The store of `config` for the board with this name. `node_id` is that of its CANopen node at
    /// this start, if it has one; `axes` are their names and the words of their statuswords. Allocates.
    #[must_use]
    pub fn new(
        config: &SavedConfig,
        board: &str,
        node_id: Option<u8>,
        shared: &'m Shared,
        axes: Vec<(String, usize)>,
    ) -> Self {
        let path = Path::new(&config.path);
        let [folder, name] = [path.parent().map(Path::as_os_str), path.file_name()]
            .map(|part| part.unwrap_or_default().to_string_lossy());
        let mut communication = config.communication.clone();
        if node_id.is_some() {
            communication.reserve_exact(MAX_SAVED - communication.len().min(MAX_SAVED));
        }
        let node_id = node_id.map(|node_id| {
            let board = config.node_id.map_or(node_id, |kept| kept.board);
            KeptId { node_id, board }
        });
        Self {
            path: config.path.clone(),
            temporary: format!("{folder}/.{name}.new"),
            folder: folder.into_owned(),
            board: board.to_owned(),
            node_id,
            shared,
            axes,
            communication,
        }
    }

    /// The saved communication parameter `number` of the node `node_id`, from 0.
    pub(super) fn communication(&self, node_id: u8, number: usize) -> Option<Saved> {
        let kept = self.node_id.filter(|kept| kept.node_id == node_id);
        kept.and_then(|_| self.communication.get(number).copied())
    }

    /// Keeps what `client`, its number and its name, asks for, and gives how many parameters of
    /// the machine are saved now. Waits for the disk.
    pub(super) fn keep(
        &mut self,
        what: Keep<'_>,
        parameters: &mut dyn Parameters,
        (client, name): (u32, &dyn fmt::Display),
        now: Instant,
    ) -> Result<u32, Refusal> {
        if let Some(refusal) = self.power(now) {
            return Err(refusal);
        }
        let mut node_id = self.node_id;
        let communication: &[Saved] = match what {
            Keep::Present => &self.communication,
            Keep::With(of, communication) => {
                if node_id.is_none_or(|kept| kept.node_id != of) {
                    return Err(Refusal::NodeId);
                }
                communication
            }
            Keep::Defaults => &[],
            Keep::NodeId(new) => {
                let before = node_id.map(|kept| kept.node_id);
                node_id = node_id.map(|kept| KeptId {
                    node_id: new,
                    ..kept
                });
                match before == Some(new) {
                    true => &self.communication,
                    false => &[],
                }
            }
        };
        let value = |parameter: &Parameter<'_>| match what {
            Keep::Present | Keep::With(..) => parameter.value,
            Keep::Defaults => parameter.board,
            Keep::NodeId(_) => parameter.next,
        };
        let count = (0..parameters.count())
            .filter(|number| {
                let parameter = parameters.get(*number);
                parameter.is_some_and(|parameter| value(&parameter) != parameter.board)
            })
            .count() as u32;
        let other_id = node_id.filter(|kept| kept.node_id != kept.board);
        let done = match (count, communication, other_id) {
            (0, [], None) => remove(&self.folder, &self.path),
            _ => {
                let names = [&*self.folder, &self.temporary, &self.path];
                let write =
                    |out: &mut File| self.write(out, parameters, value, communication, node_id);
                write_whole(names, write).map(|_| ())
            }
        };
        if let Err(error) = done {
            let refusal = Refusal::File(short(&self.path), error);
            say(format_args!(
                "steadfast: {name} could not save parameters: {refusal}"
            ));
            return Err(refusal);
        }
        let kept_of = communication.len();
        match what {
            Keep::Present => {}
            Keep::With(_, communication) => {
                let most = self.communication.capacity();
                self.communication.clear();
                let kept = communication.iter().take(most);
                self.communication.extend(kept);
            }
            Keep::Defaults => self.communication.clear(),
            Keep::NodeId(_) => self.communication.truncate(kept_of),
        }
        self.node_id = node_id;
        if let Keep::NodeId(node_id) = what {
            say(format_args!(
                "steadfast: {name} stored the node id {node_id} for the next start ({})",
                self.path
            ));
            return Ok(count);
        }
        parameters.kept(matches!(what, Keep::Defaults));
        let (path, of) = (&self.path, self.communication.len());
        match (count, of) {
            (0, 0) => say(format_args!(
                "steadfast: {name} removed the saved parameters ({path}); the next start has the board file's"
            )),
            (_, 0) => say(format_args!(
                "steadfast: {name} saved {count} parameters for the next start ({path})"
            )),
            _ => say(format_args!(
                "steadfast: {name} saved {count} parameters and {of} of CANopen for the next start ({path})"
            )),
        }
        // Without room it is in the log alone.
        let _ = CHANGES.add(Noted::Saved {
            client: client as u16,
            count,
        });
        Ok(count)
    }

    /// The refusal of a machine of which an axis may have power.
    fn power(&self, now: Instant) -> Option<Refusal> {
        let word = |at: usize| {
            let mut word = [0.0];
            self.shared.newest(at, &mut word).then_some(word[0])
        };
        if self.axes.is_empty() {
            return None;
        }
        let is_fresh =
            |at: f64| now.since(Instant::from_nanos(at.to_bits())).as_nanos() < FRESH.as_nanos();
        if !word(AT).is_some_and(is_fresh) {
            return Some(Refusal::Unknown);
        }
        self.axes.iter().find_map(|(name, at)| {
            match word(*at).map(|word| status::state(word as u16)) {
                Some(Some(
                    State::NotReadyToSwitchOn
                    | State::SwitchOnDisabled
                    | State::ReadyToSwitchOn
                    | State::Fault,
                )) => None,
                Some(Some(_)) => Some(Refusal::Power(short(name))),
                Some(None) | None => Some(Refusal::Unknown),
            }
        })
    }

    fn write(
        &self,
        out: &mut File,
        parameters: &mut dyn Parameters,
        value: impl Fn(&Parameter<'_>) -> f64,
        communication: &[Saved],
        node_id: Option<KeptId>,
    ) -> io::Result<()> {
        let mut put = |line: fmt::Arguments<'_>| {
            let mut text = heapless::String::<384>::new();
            let too_long = |_| io::Error::from(Errno(libc::EMSGSIZE));
            text.write_fmt(line).map_err(too_long)?;
            out.write_all(text.as_bytes())
        };
        put(format_args!("{HEAD}"))?;
        put(format_args!(
            "board = \"{}\"\n\n[saved]\n",
            Escaped(&self.board)
        ))?;
        for number in 0..parameters.count() {
            let Some(parameter) = parameters.get(number) else {
                continue;
            };
            let (value, board) = (value(&parameter), parameter.board);
            if value != board {
                // With all digits that tell the value from its neighbours.
                let (of, key, unit) = (Escaped(parameter.of), parameter.key, parameter.unit);
                put(format_args!(
                    "\"{of}.{key}\" = [{value:?}, {board:?}] # {unit}\n"
                ))?;
            }
        }
        if let Some(KeptId { node_id, board }) = node_id
            && node_id != board
        {
            put(format_args!("\n[lss]\nnode_id = [{node_id}, {board}]\n"))?;
        }
        if let (Some(kept), false) = (node_id, communication.is_empty()) {
            put(format_args!("\n[can]\nnode_id = {}\n", kept.node_id))?;
            for Saved { index, sub, value } in communication {
                put(format_args!("{index:04X}-{sub:02X} = 0x{value:X}\n"))?;
            }
        }
        put(format_args!("\n{END}\n"))
    }
}

/// A text between the quotes of a TOML file.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        Ok(())
    }
}
