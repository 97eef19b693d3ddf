//! The link for programs on the same machine: a Unix socket of packets ([`protocol`]).
//!
//! A client that connects gets the memory with the signals ([`Shared`]) for reading. Its
//! commands are packets: the kernel copies them, so a client that dies, stops or writes garbage
//! half-way leaves nothing half-written, and its end is noticed at once. Memory that a client
//! could write is not used for commands: its owner can punch holes into it (fallocate(2)), and
//! the next reader then takes page faults.
//!
//! A client that does not read its answers is disconnected.

use core::fmt::Write as _;
use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use super::force::Forcing;
use super::frames::Shared;
use super::owner::{Client, Owners, Refusal};
use super::parameters;
use super::protocol::{self, Answer, Kind, MAX_PACKET, Request};
use super::saved::Keep;
use crate::sys::local_socket::{Connection, Listener, Peer, Waited, readable};
use crate::sys::{Errno, process};
use crate::telemetry::blackbox::store::file_stem;
use crate::time::Instant;

/// Most clients at a time.
pub const MAX_CLIENTS: usize = 8;
/// Most descriptors that the link thread waits for: the listener, the clients and a CAN interface.
pub const MAX_WAITED: usize = MAX_CLIENTS + 2;
/// Packets of one client that are served before the others get their turn.
const TURN: usize = 16;

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
    fn includes(self, peer: Peer, user: u32, group: u32) -> bool {
        match self {
            Self::All => true,
            Self::Group if peer.gid == group => true,
            Self::Group | Self::Owner => peer.uid == user || peer.uid == 0,
        }
    }

    /// The mode of the socket's file.
    const fn mode(self) -> u32 {
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

/// Why the socket could not be opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another process listens there.
    InUse,
    /// There is a file which is not a socket.
    NotSocket,
    /// The kernel refuses.
    Errno(Errno),
}

/// A connected client.
struct Connected {
    connection: Connection,
    client: Client,
    may_command: bool,
}

/// The server.
pub struct Local<'l> {
    listener: Listener,
    path: PathBuf,
    commanders: Who,
    shared: &'l Shared,
    forcing: Forcing<'l>,
    clients: heapless::Vec<Connected, MAX_CLIENTS>,
    next: u32,
    /// The last client could not be accepted: the next one waits for one turn.
    paused: bool,
}

/// What happened with a client, for the log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is gone without releasing this many groups that it commanded.
    Lost(Client, usize),
    /// It did not read its answers, and was disconnected.
    NotReading(Client),
    /// There are [`MAX_CLIENTS`] already.
    Full,
    /// It could not be accepted: errno of accept(2).
    NotAccepted(Errno),
}

impl<'l> Local<'l> {
    /// Opens the socket of `config`. A socket that a dead process left is replaced; any other
    /// file is left as it is. Allocates.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn open(
        config: &LocalConfig,
        shared: &'l Shared,
        forcing: Forcing<'l>,
    ) -> Result<Self, Refused> {
        let path = CString::new(config.path.as_os_str().as_bytes())
            .map_err(|_| Refused::Errno(Errno(libc::EINVAL)))?;
        let bind = || Listener::bind(&path, config.readers.mode(), MAX_CLIENTS as i32);
        let listener = match bind() {
            Err(Errno(libc::EADDRINUSE)) => {
                let found = std::fs::symlink_metadata(&config.path)
                    .map_err(|error| Refused::Errno(Errno::from(error)))?;
                if !found.file_type().is_socket() {
                    return Err(Refused::NotSocket);
                }
                match Connection::connect(&path) {
                    Err(Errno(libc::ECONNREFUSED)) => {}
                    Ok(_) | Err(Errno(libc::EAGAIN)) => return Err(Refused::InUse),
                    Err(errno) => return Err(Refused::Errno(errno)),
                }
                std::fs::remove_file(&config.path)
                    .map_err(|error| Refused::Errno(Errno::from(error)))?;
                bind().map_err(Refused::Errno)?
            }
            bound => bound.map_err(Refused::Errno)?,
        };
        Ok(Self {
            listener,
            path: config.path.clone(),
            commanders: config.commanders,
            shared,
            forcing,
            clients: heapless::Vec::new(),
            next: 1,
            paused: false,
        })
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Whether a signal is forced, or is to be.
    #[must_use]
    pub fn is_forcing(&self) -> bool {
        self.forcing.is_any()
    }

    /// Adds what to wait for.
    pub fn wait_for(&mut self, entries: &mut heapless::Vec<Waited, MAX_WAITED>) {
        // A client that waits keeps the listener readable: without the pause, the thread would
        // not sleep while there is no descriptor for it.
        let paused = core::mem::take(&mut self.paused);
        let listener = match paused {
            true => Waited::NONE,
            false => readable(self.listener.as_fd()),
        };
        let _ = entries.push(listener);
        for connected in &self.clients {
            let _ = entries.push(readable(connected.connection.as_fd()));
        }
    }

    /// Serves the clients that [`Local::wait_for`] found ready.
    pub fn serve(
        &mut self,
        entries: &[Waited],
        owners: &mut Owners<'_>,
        now: Instant,
        mut log: impl FnMut(Event),
    ) {
        // From the end: a client that is gone gives its place to the last one.
        for number in (0..self.clients.len()).rev() {
            if entries.get(number + 1).is_some_and(Waited::is_ready)
                && let Err(gone) = self.serve_client(number, owners, now)
            {
                let client = self.clients.swap_remove(number).client;
                let lost = owners.lost(client, now);
                self.forcing.lost(client);
                match gone {
                    Gone::NotReading => log(Event::NotReading(client)),
                    Gone::Closed if lost > 0 => log(Event::Lost(client, lost)),
                    Gone::Closed => {}
                }
            }
        }
        if entries.first().is_some_and(Waited::is_ready) {
            self.accept(log);
        }
        let clients = &self.clients;
        self.forcing.turn(self.shared, now, |client, packet| {
            let asked = clients.iter().find(|known| known.client == client);
            if let Some(asked) = asked {
                // One that does not read its answers is disconnected by the next one.
                let _ = asked.connection.send(packet, None);
            }
        });
        for (owner, group) in owners.owners().zip(0..) {
            let number = owner.map_or(0, |client| u64::from(client.0));
            self.shared.note_owner(group, number);
        }
    }

    /// Accepts clients, at most as many as there can be.
    fn accept(&mut self, mut log: impl FnMut(Event)) {
        for _ in 0..MAX_CLIENTS {
            match self.listener.accept() {
                Ok(Some(connection)) => {
                    if !self.admit(connection) {
                        log(Event::Full);
                    }
                }
                Ok(None) => return,
                Err(errno) => {
                    self.paused = true;
                    log(Event::NotAccepted(errno));
                    return;
                }
            }
        }
    }

    /// Whether the client was admitted. One that could not be greeted is gone.
    fn admit(&mut self, connection: Connection) -> bool {
        let number = self.next;
        let full = self.clients.is_full();
        let hello = Kind::Hello as u32;
        if full {
            let text = "there are 8 clients already; close one";
            let packet = protocol::answer(hello, 0, Answer::Refused, 0, text);
            let _ = connection.send(&packet, None);
            return false;
        }
        let may_command = connection.peer().is_ok_and(|peer| {
            let (user, group) = (process::effective_user(), process::effective_group());
            self.commanders.includes(peer, user, group)
        });
        let packet = protocol::answer(hello, protocol::VERSION, Answer::Done, number, "");
        if connection.send(&packet, Some(self.shared.file())).is_ok() {
            self.next = self.next.wrapping_add(1).max(1);
            let _ = self.clients.push(Connected {
                connection,
                client: Client(number),
                may_command,
            });
        }
        true
    }

    fn serve_client(
        &mut self,
        number: usize,
        owners: &mut Owners<'_>,
        now: Instant,
    ) -> Result<(), Gone> {
        let Some(connected) = self.clients.get(number) else {
            return Ok(());
        };
        let mut packet = [0; MAX_PACKET];
        for _ in 0..TURN {
            let length = match connected.connection.receive(&mut packet) {
                Ok(None) => return Ok(()),
                Ok(Some(0)) | Err(_) => return Err(Gone::Closed),
                Ok(Some(length)) => length,
            };
            let forcing = (&mut self.forcing, self.shared);
            let answer = answer(connected, &packet[..length], owners, forcing, now);
            if let Some(answer) = answer {
                connected
                    .connection
                    .send(&answer, None)
                    .map_err(|error| match error {
                        Errno(libc::EAGAIN) => Gone::NotReading,
                        _ => Gone::Closed,
                    })?;
            }
        }
        Ok(())
    }
}

/// Why a client is disconnected.
enum Gone {
    Closed,
    NotReading,
}

/// Does what `packet` of the client asks for, and gives the answer.
fn answer(
    connected: &Connected,
    packet: &[u8],
    owners: &mut Owners<'_>,
    (forcing, shared): (&mut Forcing<'_>, &Shared),
    now: Instant,
) -> Option<heapless::Vec<u8, MAX_PACKET>> {
    let Some(request) = Request::read(packet) else {
        let (kind, number) = protocol::kind_and_number(packet);
        let text = "the packet is malformed; see include/steadfast.h";
        return Some(protocol::answer(kind, number, Answer::Malformed, 0, text));
    };
    let client = connected.client;
    let group = u8::try_from(request.target);
    let done = match (request.kind, group) {
        (Kind::Refresh, _) => {
            owners.refresh(client, now);
            return None;
        }
        (Kind::Hello, _) => Ok(()),
        (Kind::Parameter | Kind::Change | Kind::Kept, _) => {
            let may = connected.may_command;
            let client = (client.0, &client as _);
            let (parameters, changes) = (&mut *owners.parameters, &mut owners.changes);
            let of = (parameters as _, changes);
            return Some(parameters::serve(&request, client, may, of, now));
        }
        (Kind::Force | Kind::Unforce | Kind::Forced, _) => {
            return forcing.serve(&request, client, connected.may_command, shared, now);
        }
        (_, Err(_)) => Err(Refusal::NoSuchGroup),
        (Kind::Claim | Kind::Revoke | Kind::Save, _) if !connected.may_command => {
            let text = parameters::NOT_COMMANDER;
            let kind = request.kind as u32;
            return Some(protocol::answer(
                kind,
                request.number,
                Answer::Refused,
                0,
                text,
            ));
        }
        (Kind::Save, Ok(target)) => {
            let what = match target {
                1 => Keep::Defaults,
                _ => Keep::Present,
            };
            let mut text = heapless::String::<256>::new();
            let (answer, count) = match owners.keep(client, what, now) {
                Ok(count) => (Answer::Done, count),
                Err(refusal) => {
                    let _ = write!(text, "{refusal}");
                    (Answer::Refused, 0)
                }
            };
            let (kind, number) = (request.kind as u32, request.number);
            return Some(protocol::answer(kind, number, answer, count, &text));
        }
        (Kind::Claim, Ok(group)) => owners.claim(client, group),
        (Kind::Revoke, Ok(group)) => owners.revoke(group),
        (Kind::Release, Ok(group)) => owners.release(client, group),
        (Kind::Write, Ok(group)) => owners.write(client, group, &request.values, now),
    };
    let mut text = heapless::String::<128>::new();
    let answer = match done {
        Ok(()) => Answer::Done,
        Err(refusal) => {
            let _ = write!(text, "{refusal}");
            Answer::Refused
        }
    };
    let (kind, number) = (request.kind as u32, request.number);
    Some(protocol::answer(kind, number, answer, client.0, &text))
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.forcing.finish(self.shared);
        self.shared.end();
        // It may be gone already, with the folder of the service.
        let _ = std::fs::remove_file(&self.path);
    }
}
