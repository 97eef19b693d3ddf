//! The link for programs on the same machine: a Unix socket of packets ([`protocol`]).
//!
//! A client that connects gets the memory with the signals ([`Shared`]) for reading. Its
//! commands are packets: the kernel copies them, so a client that dies, stops or writes garbage
//! half-way leaves nothing half-written, and its end is noticed at once. Memory that a client
//! could write is not used for commands: its owner can punch holes into it (fallocate(2)), and
//! the next reader then takes page faults.
//!
//! A client that does not read its answers is disconnected.
//!
//! A controlword acts by its changes, and the loop reads the newest one only. The answer to a write
//! that changes it comes when the loop has taken it, and the next packet of that client is read
//! then: a client that writes 6, 7, 15 in a row loses none of them.

mod access;

use core::fmt::Write as _;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

pub use self::access::{FOLDERS, LocalConfig, Who, default_path};
use super::force::Forcing;
use super::frames::Shared;
use super::owner::{Client, Owners, Refusal};
use super::parameters;
use super::protocol::{self, Answer, Kind, MAX_PACKET, Packet, Request};
use super::saved::{self, Keep};
use crate::cycle::received::MAX_GROUPS;
use crate::sys::local_socket::{Connection, Listener, Waited, readable};
use crate::sys::{Errno, process};
use crate::time::{Duration, Instant};

/// Most clients at a time.
pub const MAX_CLIENTS: usize = 8;
/// Most descriptors that the link thread waits for: the listener, the clients and a CAN interface.
pub const MAX_WAITED: usize = MAX_CLIENTS + 2;
/// Packets of one client that are served before the others get their turn.
const TURN: usize = 16;
/// Longest wait until the loop has taken a controlword.
const TAKEN: Duration = Duration::from_secs(1);

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
    /// A controlword that the loop may not have taken yet.
    awaited: Option<Awaited>,
    /// The number of the request whose parameters the disk has not taken yet.
    keeps: Option<u32>,
}

/// A write whose answer waits.
#[derive(Copy, Clone)]
struct Awaited {
    /// The number of the request.
    number: u32,
    group: u8,
    /// The hand-over that has it.
    hand_over: u64,
    since: Instant,
}

impl Awaited {
    /// The answer, when the loop has taken hand-over `taken`; `None` while it is not due.
    fn answer(self, client: Client, taken: u64, now: Instant) -> Option<Packet> {
        let write = Kind::Write as u32;
        if self.hand_over <= taken {
            return Some(protocol::answer(
                write,
                self.number,
                Answer::Done,
                client.0,
                "",
            ));
        }
        let text = "the loop has not taken the controlword within 1 s; see whether it runs (steadctl status)";
        (now.since(self.since) >= TAKEN)
            .then(|| protocol::answer(write, self.number, Answer::Refused, client.0, text))
    }
}

/// The server.
pub struct Local<'l> {
    listener: Listener,
    path: PathBuf,
    commanders: Who,
    shared: &'l Shared,
    forcing: Forcing<'l>,
    /// The groups whose first command is a controlword.
    drives: heapless::Vec<u8, MAX_GROUPS>,
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
    /// file is left as it is. The first command of the groups `drives` is a controlword. Allocates.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn open(
        config: &LocalConfig,
        shared: &'l Shared,
        forcing: Forcing<'l>,
        drives: impl IntoIterator<Item = u8>,
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
            drives: drives.into_iter().take(MAX_GROUPS).collect(),
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

    /// Whether the answer to a client waits for the loop.
    #[must_use]
    pub fn is_awaiting(&self) -> bool {
        (self.clients.iter()).any(|connected| connected.awaited.is_some())
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
            let _ = entries.push(match connected.awaited {
                Some(_) => Waited::NONE,
                None => readable(connected.connection.as_fd()),
            });
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
            let ready = entries.get(number + 1).is_some_and(Waited::is_ready);
            if let Err(gone) = self.serve_client(number, ready, owners, now) {
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
                awaited: None,
                keeps: None,
            });
        }
        true
    }

    fn serve_client(
        &mut self,
        number: usize,
        ready: bool,
        owners: &mut Owners<'_>,
        now: Instant,
    ) -> Result<(), Gone> {
        let Some(connected) = self.clients.get_mut(number) else {
            return Ok(());
        };
        if let Some(number) = connected.keeps
            && let Some(result) = owners.take_kept(connected.client)
        {
            connected.keeps = None;
            connected.answer(&kept(number, result))?;
        }
        if let Some(awaited) = connected.awaited {
            let taken = owners.taken();
            let answer = awaited.answer(connected.client, taken, now);
            if let Some(answer) = answer {
                connected.awaited = None;
                if awaited.hand_over > taken {
                    owners.withdraw(connected.client, awaited.group, now);
                }
                connected.answer(&answer)?;
            }
            return Ok(());
        }
        let mut packet = [0; MAX_PACKET];
        for _ in 0..if ready { TURN } else { 0 } {
            let length = match connected.connection.receive(&mut packet) {
                Ok(None) => return Ok(()),
                Ok(Some(0)) | Err(_) => return Err(Gone::Closed),
                Ok(Some(length)) => length,
            };
            let forcing = (&mut self.forcing, self.shared);
            let drives = &self.drives;
            let answer = answer(connected, &packet[..length], owners, drives, forcing, now);
            if let Some(answer) = answer {
                connected.answer(&answer)?;
            }
            if connected.awaited.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Connected {
    fn answer(&self, packet: &Packet) -> Result<(), Gone> {
        let sent = self.connection.send(packet, None);
        sent.map(|_| ()).map_err(|error| match error {
            Errno(libc::EAGAIN) => Gone::NotReading,
            _ => Gone::Closed,
        })
    }
}

/// Why a client is disconnected.
enum Gone {
    Closed,
    NotReading,
}

/// Does what `packet` of the client asks for, and gives the answer, if there is one now. The first
/// command of the groups `drives` is a controlword.
fn answer(
    connected: &mut Connected,
    packet: &[u8],
    owners: &mut Owners<'_>,
    drives: &[u8],
    (forcing, shared): (&mut Forcing<'_>, &Shared),
    now: Instant,
) -> Option<Packet> {
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
            let may = connected.may_command;
            return forcing.serve(&request, client, may, shared, now);
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
            if let Err(refusal) = owners.keep(client, what, now) {
                return Some(kept(request.number, Err(refusal)));
            }
            // Others of its packets are served meanwhile.
            connected.keeps = Some(request.number);
            return None;
        }
        (Kind::Claim, Ok(group)) => owners.claim(client, group),
        (Kind::Revoke, Ok(group)) => owners.revoke(group),
        (Kind::Release, Ok(group)) => owners.release(client, group),
        (Kind::Write, Ok(group)) => {
            let before = owners.first(group);
            let written = owners.write(client, group, &request.values, now);
            if written.is_ok() && drives.contains(&group) && owners.first(group) != before {
                connected.awaited = Some(Awaited {
                    number: request.number,
                    group,
                    hand_over: owners.next_hand_over(),
                    since: now,
                });
                return None;
            }
            written
        }
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

/// The answer to request `number`, which asked to keep parameters.
fn kept(number: u32, result: Result<u32, saved::Refusal>) -> Packet {
    let mut text = heapless::String::<256>::new();
    let (answer, count) = match result {
        Ok(count) => (Answer::Done, count),
        Err(refusal) => {
            let _ = write!(text, "{refusal}");
            (Answer::Refused, 0)
        }
    };
    protocol::answer(Kind::Save as u32, number, answer, count, &text)
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.forcing.finish(self.shared);
        self.shared.end();
        // It may be gone already, with the folder of the service.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
