//! Saves the parameters of a machine for its next start.
//!
//! The file has the parameters that differ from the board file, each with the value of the board
//! file beside it, and the communication parameters of the CANopen node. It is read at the start
//! ([`Config::put_saved`](crate::config::Config::put_saved)), where a board file that has changed
//! since is noticed.
//!
//! The link thread renders it, and another thread writes it ([`disk`]), so clients and the CAN bus are
//! served while a slow disk takes it. Parameters are saved only while no axis has power. The loop has
//! no part in it.

pub mod disk;

use core::fmt::{self, Write as _};

use self::disk::{Disk, Text};
use super::canopen::{self, Saved};
use super::frames::Shared;
use super::parameters::{Parameter, Parameters};
use crate::axis::state::State;
use crate::axis::words::status;
use crate::telemetry::changes::{CHANGES, Noted};
use crate::telemetry::say;
use crate::telemetry::whole::FileError;
use crate::time::{Duration, Instant};

/// Most communication parameters that are saved: more than a node has with any number of axes.
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

impl SavedConfig {
    /// Communication parameters for which there must be room: those of a CANopen node with `axes`
    /// axes, `None` for no node, and those that the file has.
    #[must_use]
    pub fn room(&self, axes: Option<usize>) -> usize {
        let of_node = axes.map_or(0, |axes| {
            canopen::most_stored(axes.min(canopen::MAX_AXES) as u8)
        });
        of_node.max(self.communication.len())
    }
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
    /// The last save is not done yet.
    Busy,
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
            Self::Busy => f.write_str("the disk has not taken the last save yet; repeat it"),
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
            Refusal::Power(_) | Refusal::Unknown | Refusal::NodeId | Refusal::Busy => Self::State,
            Refusal::File(..) => Self::Failed,
        }
    }
}

/// What a save changes when it is done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Present,
    With,
    Defaults,
    NodeId,
}

/// A save that the disk has not taken yet.
struct Pending {
    kind: Kind,
    /// Number and name of the client that asked for it.
    client: u32,
    name: Name,
    /// How many parameters of the machine it has, and the node id.
    count: u32,
    node_id: Option<KeptId>,
}

/// The saved parameters of a machine, on the link thread. Allocates nothing.
pub struct Store<'m> {
    disk: &'m Disk,
    board: String,
    /// The node id at the next start, and that of the board file, if there is a CANopen node.
    node_id: Option<KeptId>,
    shared: &'m Shared,
    /// The axes, and the words of their statuswords in a frame.
    axes: Vec<(String, usize)>,
    /// Their capacities are never exceeded: those that are saved, and those that the pending save has.
    communication: Vec<Saved>,
    staged: Vec<Saved>,
    pending: Option<Pending>,
    /// The last save, for its client.
    done: Option<(u32, Result<u32, Refusal>)>,
}

impl<'m> Store<'m> {
    /// The store of `config` for the board with this name, on `disk`. `node_id` is that of its CANopen
    /// node at this start, if it has one; `axes` are their names and the words of their statuswords.
    /// Allocates.
    #[must_use]
    pub fn new(
        config: &SavedConfig,
        board: &str,
        node_id: Option<u8>,
        shared: &'m Shared,
        axes: Vec<(String, usize)>,
        disk: &'m Disk,
    ) -> Self {
        let room = config.room(node_id.map(|_| axes.len()));
        let [communication, staged] = core::array::from_fn(|_| {
            let mut all = Vec::with_capacity(room);
            all.extend(config.communication.iter().take(room));
            all
        });
        let node_id = node_id.map(|node_id| {
            let board = config.node_id.map_or(node_id, |kept| kept.board);
            KeptId { node_id, board }
        });
        Self {
            disk,
            board: board.to_owned(),
            node_id,
            shared,
            axes,
            communication,
            staged,
            pending: None,
            done: None,
        }
    }

    /// The saved communication parameter `number` of the node `node_id`, from 0.
    pub(super) fn communication(&self, node_id: u8, number: usize) -> Option<Saved> {
        let kept = self.node_id.filter(|kept| kept.node_id == node_id);
        kept.and_then(|_| self.communication.get(number).copied())
    }

    /// Begins to keep what `client`, its number and its name, asks for. [`Store::look`] tells what
    /// became of it.
    pub(super) fn keep(
        &mut self,
        what: Keep<'_>,
        parameters: &mut dyn Parameters,
        (client, name): (u32, &dyn fmt::Display),
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.pending.is_some() {
            return Err(Refusal::Busy);
        }
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
        let most = self.staged.capacity();
        self.staged.clear();
        self.staged.extend(communication.iter().take(most));
        let (kind, value): (_, fn(&Parameter<'_>) -> f64) = match what {
            Keep::Present => (Kind::Present, |parameter| parameter.value),
            Keep::With(..) => (Kind::With, |parameter| parameter.value),
            Keep::Defaults => (Kind::Defaults, |parameter| parameter.board),
            Keep::NodeId(_) => (Kind::NodeId, |parameter| parameter.next),
        };
        let count = (0..parameters.count())
            .filter(|number| {
                let parameter = parameters.get(*number);
                parameter.is_some_and(|parameter| value(&parameter) != parameter.board)
            })
            .count() as u32;
        let other_id = node_id.filter(|kept| kept.node_id != kept.board);
        if kind != Kind::NodeId {
            parameters.keeps(kind == Kind::Defaults);
        }
        match (count, &*self.staged, other_id) {
            (0, [], None) => self.disk.hand_over(None),
            _ => {
                let mut render = |text: &mut Text| self.render(text, parameters, value, node_id);
                self.disk.hand_over(Some(&mut render));
            }
        }
        let mut short_name = Name::new();
        // It is short.
        let _ = write!(short_name, "{name}");
        self.done = None;
        self.pending = Some(Pending {
            kind,
            client,
            name: short_name,
            count,
            node_id,
        });
        Ok(())
    }

    /// Whether a save is not done yet.
    pub(super) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// How many parameters of the machine the last save of `client` has saved, once.
    pub(super) fn take(&mut self, client: u32) -> Option<Result<u32, Refusal>> {
        let done = self.done.take_if(|(of, _)| *of == client);
        done.map(|(_, result)| result)
    }

    /// Looks what has become of a save, and says it. Never waits.
    pub(super) fn look(&mut self, parameters: &mut dyn Parameters) {
        if self.pending.is_none() {
            return;
        }
        let Some(done) = self.disk.done() else {
            return;
        };
        let Some(pending) = self.pending.take() else {
            return;
        };
        let result = match done {
            Ok(()) => Ok(self.finish(&pending, parameters)),
            Err(error) => {
                let refusal = Refusal::File(short(self.disk.path()), error);
                say(format_args!(
                    "steadfast: {} could not save parameters: {refusal}",
                    pending.name
                ));
                Err(refusal)
            }
        };
        self.done = Some((pending.client, result));
    }

    fn finish(&mut self, pending: &Pending, parameters: &mut dyn Parameters) -> u32 {
        let Pending {
            kind,
            client,
            name,
            count,
            node_id,
        } = pending;
        core::mem::swap(&mut self.communication, &mut self.staged);
        self.node_id = *node_id;
        let path = self.disk.path();
        if let (Kind::NodeId, Some(kept)) = (kind, node_id) {
            say(format_args!(
                "steadfast: {name} stored the node id {} for the next start ({path})",
                kept.node_id
            ));
            return *count;
        }
        parameters.kept();
        match (count, self.communication.len()) {
            (0, 0) => say(format_args!(
                "steadfast: {name} removed the saved parameters ({path}); the next start has the board file's"
            )),
            (_, 0) => say(format_args!(
                "steadfast: {name} saved {count} parameters for the next start ({path})"
            )),
            (_, of) => say(format_args!(
                "steadfast: {name} saved {count} parameters and {of} of CANopen for the next start ({path})"
            )),
        }
        // Without room it is in the log alone.
        let _ = CHANGES.add(Noted::Saved {
            client: *client as u16,
            count: *count,
        });
        *count
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

    fn render(
        &self,
        text: &mut Text,
        parameters: &mut dyn Parameters,
        value: impl Fn(&Parameter<'_>) -> f64,
        node_id: Option<KeptId>,
    ) -> fmt::Result {
        let mut put = |line: fmt::Arguments<'_>| text.write_fmt(line);
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
        if let (Some(kept), false) = (node_id, self.staged.is_empty()) {
            put(format_args!("\n[can]\nnode_id = {}\n", kept.node_id))?;
            for Saved { index, sub, value } in &self.staged {
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
