//! Who may use the link, and where it is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::sys::local_socket::Peer;
use crate::telemetry::blackbox::store::file_stem;

/// Who may do something.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The user of the controller, and root.
    Owner,
    /// As above, and processes with the controller's group as their own.
    Group,
    /// Every user.
    All,
}

impl Who {
    /// Whether `peer` belongs to it, for a controller with this user and group.
    pub(super) fn includes(self, peer: Peer, user: u32, group: u32) -> bool {
        match self {
            Self::All => true,
            Self::Group if peer.gid == group => true,
            Self::Group | Self::Owner => peer.uid == user || peer.uid == 0,
        }
    }

    /// The mode of the socket's file.
    pub(super) const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
            Self::All => 0o666,
        }
    }
}

/// Where the link is, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// The path of the socket.
    pub path: PathBuf,
    /// Who may connect, and so read all signals.
    pub readers: Who,
    /// Who may command.
    pub commanders: Who,
    /// The signals that may be forced while an axis has power, by their numbers.
    pub force_with_power: Vec<usize>,
    /// The signals that are never forced.
    pub never_force: Vec<usize>,
}

/// Folders in which a client looks for sockets, besides `XDG_RUNTIME_DIR`.
pub const FOLDERS: [&str; 2] = ["/run/steadfast", "/tmp"];

/// The path of the socket without a `path` in the board file: `steadfast-BOARD.sock` in the
/// folder of the service (`RUNTIME_DIRECTORY`, systemd.exec(5)), else in that of the user
/// (`XDG_RUNTIME_DIR`), else in `/tmp`.
#[must_use]
pub fn default_path(board: &str) -> PathBuf {
    let folder = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"]
        .into_iter()
        .filter_map(std::env::var_os)
        // systemd lists several folders with colons between them.
        .filter_map(|list| {
            let first = list.as_bytes().split(|byte| *byte == b':').next()?;
            Some(PathBuf::from(OsStr::from_bytes(first)))
        })
        .find(|folder| folder.is_absolute())
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    folder.join(format!("steadfast-{}.sock", file_stem(board)))
}
