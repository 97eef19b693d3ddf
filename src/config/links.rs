//! Reads `[link.local]` and `[link.can]`, and describes the signals for links.

use std::path::{Path, PathBuf};

use super::forced;
use super::groups::CommandGroup;
use super::machine::Machine;
use super::reader::{Result, Table};
use super::signals::{Index, Signals};
use super::types::Type;
use crate::link::can::{CanConfig, DriveConfig};
use crate::link::canopen::Config;
use crate::link::frames::{Described, DescribedGroup, Kind, Layout};
use crate::link::local::{LocalConfig, Who, default_path};
use crate::link::saved::SavedConfig;
use crate::sys::local_socket::MAX_PATH;

/// Longest name of a network interface (`IFNAMSIZ` without the zero byte), bytes.
const MAX_INTERFACE: usize = 15;

/// The links of a board file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinksConfig {
    /// `[link.local]`.
    pub local: Option<LocalConfig>,
    /// `[link.can]`.
    pub can: Option<CanConfig>,
}

impl LinksConfig {
    /// Whether there is one.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.local.is_some() || self.can.is_some()
    }

    /// Reads `[link.X]` of the board with this name.
    ///
    /// `stores` is whether parameters can be saved.
    pub(super) fn read(
        root: &mut Table<'_>,
        board: &str,
        signals: &Signals,
        stores: bool,
    ) -> Result<Self> {
        let mut links = Self::default();
        if let Some(mut table) = root.table_if("link")? {
            if let Some(local) = table.table_if("local")? {
                links.local = Some(read_local(local, board, signals)?);
            }
            if let Some(can) = table.table_if("can")? {
                links.can = Some(read_can(can, signals, stores)?);
            }
            table.finish()?;
        }
        let linked = links.local.is_some() || links.can.is_some();
        if let (false, Some(group)) = (linked, signals.groups().groups.first()) {
            let what = format!(
                "\"{}\" takes commands, and the board file has no link",
                group.name
            );
            let fix = "add [link.local] or [link.can], or remove this table";
            return Err(root.error_in(&group.span, what, fix));
        }
        Ok(links)
    }
}

fn read_local(mut table: Table<'_>, board: &str, signals: &Signals) -> Result<LocalConfig> {
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
    let force_with_power = forced::list(&mut table, signals, "force_with_power")?;
    let never_force = forced::list(&mut table, signals, "never_force")?;
    table.finish()?;
    Ok(LocalConfig {
        path,
        readers,
        commanders,
        force_with_power,
        never_force,
    })
}

/// Reads `[parameters]`.
pub(super) fn read_parameters(mut table: Table<'_>) -> Result<SavedConfig> {
    let path = table.string("file")?;
    if !path.starts_with('/') || Path::new(path).file_name().is_none() {
        let what = format!("`file` is \"{path}\", not the absolute path of a file");
        let fix = "use one such as \"/data/steadfast/parameters/saved.toml\"";
        return Err(table.error_at("file", what, fix));
    }
    table.finish()?;
    Ok(SavedConfig {
        path: path.to_owned(),
        in_force: 0,
        communication: Vec::new(),
        node_id: None,
    })
}

fn read_can(mut table: Table<'_>, signals: &Signals, stores: bool) -> Result<CanConfig> {
    let interface = table.string("interface")?;
    if interface.is_empty() || interface.len() > MAX_INTERFACE {
        return Err(table.error_at(
            "interface",
            "`interface` is not the name of a network interface".to_owned(),
            format!("give a name of 1 to {MAX_INTERFACE} bytes, such as \"can0\""),
        ));
    }
    let config = CanConfig {
        interface: interface.to_owned(),
        bit_rate: table.integer("bit_rate", 10_000..=1_000_000)? as u32,
        node: Config {
            node_id: read_node_id(&mut table)?,
            serial: table.integer_or("serial", 0..=u64::from(u32::MAX), 0)? as u32,
            sync_losses: table.integer_or("sync_losses", 1..=100, 2)? as u8,
            sync_hold: table.integer_or("sync_hold", 0..=99, 0)? as u8,
            stores,
        },
    };
    let Config {
        sync_losses,
        sync_hold,
        ..
    } = config.node;
    if sync_hold >= sync_losses {
        return Err(table.error_at(
            "sync_hold",
            "`sync_hold` is not below `sync_losses`, so it would never act".to_owned(),
            format!("give at most {}, or 0 for no hold", sync_losses - 1),
        ));
    }
    let is_drive = |group: &CommandGroup| {
        let controlword = format!("{}.controlword", group.name);
        signals.iter().any(|signal| signal.name == controlword)
    };
    if !signals.groups().groups.iter().any(is_drive) {
        return Err(table.error_at(
            "interface",
            "nothing can be commanded over the CAN bus".to_owned(),
            "add the commands of a drive, or remove [link.can]",
        ));
    }
    table.finish()?;
    Ok(config)
}

/// 1 to 127; 255 for a node that gets its id by LSS.
fn read_node_id(table: &mut Table<'_>) -> Result<u8> {
    let node_id = table.integer("node_id", 1..=255)? as u8;
    if matches!(node_id, 128..=254) {
        let what = format!("`node_id` is {node_id}, which no CANopen node can have");
        let fix = "give 1 to 127, or 255 for a node that gets its id from the master (LSS)";
        return Err(table.error_at("node_id", what, fix));
    }
    Ok(node_id)
}

impl Machine {
    /// The names of the axes, and the words of a frame with their statuswords.
    pub(crate) fn statuswords(&self) -> Vec<(String, usize)> {
        let described = self.described().into_iter();
        let words = described.filter(|signal| signal.group.is_none());
        words
            .filter_map(|signal| {
                let name = signal.name.strip_suffix(".statusword")?;
                Some((name.to_owned(), signal.word))
            })
            .collect()
    }

    /// The drives for a CAN bus: each group with a controlword of a law that has a statusword.
    pub(crate) fn drives(&self) -> Vec<DriveConfig> {
        let described = self.described();
        let named = |name: String| described.iter().find(|signal| signal.name == name);
        let groups = self.described_groups().into_iter().zip(0..);
        groups
            .filter_map(|(group, number)| {
                let controlword = named(format!("{}.controlword", group.name))?;
                let statusword = named(format!("{}.statusword", group.name))?;
                (controlword.group == Some(number)).then_some(DriveConfig {
                    name: group.name,
                    group: number,
                    status: statusword.word,
                })
            })
            .collect()
    }

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

    /// The names of what events in a black box number because a client acts on it: lines
    /// `key = value`.
    pub(crate) fn names_for_clients(&self) -> String {
        let mut tuned: Vec<String> = Vec::new();
        let parameters = self.laws.iter().find_map(|law| law.law.parameters());
        if let Some(mut parameters) = parameters {
            for number in 0..parameters.count() {
                let of = parameters.get(number).map(|parameter| parameter.of);
                tuned.extend(of.map(str::to_owned));
                tuned.dedup();
            }
        }
        let groups: Vec<String> = self
            .described_groups()
            .into_iter()
            .map(|g| g.name)
            .collect();
        let mut text = String::new();
        for (key, names) in [
            ("parameters_of", tuned),
            ("groups", groups),
            ("places", self.signals.named_places()),
        ] {
            if !names.is_empty() {
                text += &format!("{key} = {}\n", names.join(", "));
            }
        }
        text
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
