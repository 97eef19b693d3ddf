//! Reads `[link.local]`, and describes the signals for links.

use std::path::PathBuf;

use super::machine::Machine;
use super::reader::{Result, Table};
use super::signals::{Index, Signals};
use super::types::Type;
use crate::link::frames::{Described, DescribedGroup, Kind, Layout};
use crate::link::local::{LocalConfig, Who, default_path};
use crate::sys::local_socket::MAX_PATH;

/// The links of a board file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinksConfig {
    /// `[link.local]`.
    pub local: Option<LocalConfig>,
}

impl LinksConfig {
    /// Reads `[link.X]` of the board with this name.
    pub(super) fn read(root: &mut Table<'_>, board: &str, signals: &Signals) -> Result<Self> {
        let mut links = Self::default();
        if let Some(mut table) = root.table_if("link")? {
            if let Some(local) = table.table_if("local")? {
                links.local = Some(read_local(local, board)?);
            }
            table.finish()?;
        }
        if let (None, Some(group)) = (&links.local, signals.groups().groups.first()) {
            return Err(root.error(
                format!("nothing can command \"{}\": there is no link", group.name),
                "add [link.local], or remove the commands",
            ));
        }
        Ok(links)
    }
}

fn read_local(mut table: Table<'_>, board: &str) -> Result<LocalConfig> {
    let path = match table.has("path") {
        true => PathBuf::from(table.string("path")?),
        false => default_path(board),
    };
    if !path.is_absolute() || path.as_os_str().len() > MAX_PATH {
        let what = "`path` is not the path of a socket".to_owned();
        let fix = format!("give an absolute path of at most {MAX_PATH} bytes");
        return Err(table.error_at("path", what, fix));
    }
    let who = [
        ("owner", Who::Owner),
        ("group", Who::Group),
        ("all", Who::All),
    ];
    let readers = table.choice_or("readers", &who, Who::Owner)?;
    let commanders = table.choice_or("commanders", &who, Who::Owner)?;
    if commanders > readers {
        return Err(table.error_at(
            "commanders",
            "`commanders` includes users that `readers` does not".to_owned(),
            "a commander has to be a reader; change one of them",
        ));
    }
    table.finish()?;
    Ok(LocalConfig {
        path,
        readers,
        commanders,
    })
}

impl Machine {
    /// How many values of each kind a frame has.
    pub(crate) fn layout(&self) -> Layout {
        let [flags, numbers, angles] = self.signals.sensed();
        Layout {
            numbers,
            angles,
            flags,
            commands: self.signals.ranges().len(),
            received: self.signals.groups().ranges.len(),
            statuses: self.laws.iter().map(|law| law.law.statuses().len()).sum(),
        }
    }

    /// All signals and the values of laws, for clients of links.
    pub(crate) fn described(&self) -> Vec<Described> {
        let layout = self.layout();
        let mut all: Vec<_> = (self.signals.iter())
            .map(|signal| {
                let (word, bit, group) = place(&layout, signal.of, signal.index());
                let commands = &self.signals.groups().ranges;
                let range = match signal.index() {
                    Index::Received(number, _) => commands.get(usize::from(number)).copied(),
                    _ => self.signals.range(signal),
                };
                Described {
                    name: signal.name.clone(),
                    unit: signal.unit.to_owned(),
                    kind: match signal.of {
                        Type::Flag => Kind::Flag,
                        Type::Number | Type::Angle => Kind::Number,
                    },
                    word,
                    bit,
                    group,
                    range: range.unwrap_or((f64::MIN, f64::MAX)),
                }
            })
            .collect();
        let mut word = layout.statuses_at();
        for law in &self.laws {
            for (name, unit) in law.law.statuses() {
                let name = match &law.name {
                    Some(law) => format!("{law}.{name}"),
                    None => name,
                };
                all.push(Described {
                    name,
                    unit: unit.to_owned(),
                    kind: Kind::Number,
                    word,
                    bit: 0,
                    group: None,
                    range: (f64::MIN, f64::MAX),
                });
                word += 1;
            }
        }
        all
    }

    /// The groups of commands, for clients of links.
    pub(crate) fn described_groups(&self) -> Vec<DescribedGroup> {
        let groups = self.signals.groups().groups.iter();
        groups
            .map(|group| DescribedGroup {
                name: group.name.clone(),
                first: group.first,
                count: group.count,
                timeout: group.timeout,
            })
            .collect()
    }
}

/// The word of a frame, the bit and the group of the signal at `index`.
fn place(layout: &Layout, of: Type, index: Index) -> (usize, u8, Option<u8>) {
    let [inputs, outputs, sensed, commanded] = Layout::DIGITAL;
    match (of, index) {
        (_, Index::InputLine(bit)) => (inputs, bit, None),
        (_, Index::OutputLine(bit)) => (outputs, bit, None),
        (Type::Flag, Index::Sensed(bit)) => (sensed, bit, None),
        (Type::Flag, Index::Commanded(bit)) => (commanded, bit, None),
        (Type::Angle, Index::Sensed(number)) => (layout.angles_at() + usize::from(number), 0, None),
        (Type::Number, Index::Sensed(number)) => (Layout::NUMBERS + usize::from(number), 0, None),
        (Type::Number | Type::Angle, Index::Commanded(number)) => {
            (layout.commands_at() + usize::from(number), 0, None)
        }
        (_, Index::Received(number, group)) => {
            (layout.received_at() + usize::from(number), 0, Some(group))
        }
    }
}
