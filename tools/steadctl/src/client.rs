//! A client of a controller's local link.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use steadfast::link::force::read_forced;
use steadfast::link::frames::{ENTRY, HEADER, MAGIC, VERSION};
use steadfast::link::local::FOLDERS;
use steadfast::link::parameters::read_described;
use steadfast::link::protocol::{self, Answered, HEAD, Kind, MAX_PACKET, MAX_VALUES, Request};
use steadfast::sys::local_socket::{Connection, readable, wait_any};
use steadfast::sys::{Errno, process};

use crate::{BAD_INPUT, FAILED, Failure};

/// The longest wait for an answer or for a frame.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait for a disk.
const DISK: Duration = Duration::from_secs(60);

/// A signal as the controller describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) is_flag: bool,
    pub(crate) group: Option<u32>,
    pub(crate) range: (f64, f64),
    word: usize,
    bit: u32,
}

/// A group of commands as the controller describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) timeout: Duration,
    pub(crate) count: usize,
}

/// A parameter as the controller describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    number: u32,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) value: f64,
    pub(crate) start: f64,
    pub(crate) range: (f64, f64),
}

/// A force as the controller describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Force {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The rest of its time, s.
    pub(crate) left: f64,
    pub(crate) client: u32,
    /// The number of the signal.
    pub(crate) signal: usize,
}

/// A connection to a controller.
pub(crate) struct Client {
    path: PathBuf,
    connection: Connection,
    memory: File,
    header: [u64; HEADER],
    number: u32,
    /// The number of this client.
    pub(crate) own: u32,
    /// The longest wait for an answer.
    patience: Duration,
    pub(crate) signals: Vec<Signal>,
    pub(crate) groups: Vec<Group>,
}

/// The signals of one cycle.
pub(crate) struct Frame {
    words: Vec<u64>,
}

impl Frame {
    /// Number of the cycle's slot.
    pub(crate) fn slot(&self) -> u64 {
        self.words[1]
    }

    /// The value of `signal`; `None` if it has none. A flag is 0 or 1.
    pub(crate) fn value(&self, signal: &Signal) -> Option<f64> {
        let word = *self.words.get(signal.word)?;
        if signal.is_flag {
            let valid = word >> (32 + signal.bit) & 1 != 0;
            return valid.then(|| (word >> signal.bit & 1) as f64);
        }
        Some(f64::from_bits(word)).filter(|value| !value.is_nan())
    }
}

/// The only socket of a running controller.
fn only_socket() -> Result<PathBuf, Failure> {
    let mut found = Vec::new();
    let user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    for folder in FOLDERS.iter().map(PathBuf::from).chain(user) {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().map(|name| name.to_string_lossy());
            let is_ours = fs::symlink_metadata(&path).is_ok_and(|about| {
                // In /tmp every user can make a socket of this name.
                [0, process::effective_user()].contains(&about.uid()) || !path.starts_with("/tmp")
            });
            if is_ours && name.is_some_and(|n| n.starts_with("steadfast-") && n.ends_with(".sock"))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found.dedup();
    match &found[..] {
        [only] => Ok(only.clone()),
        [] => Err(Failure(
            FAILED,
            "there is no controller with a [link.local]; start one, or name its --socket"
                .to_owned(),
        )),
        several => {
            let names: Vec<_> = several
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let what = format!(
                "there are several controllers; name one with --socket: {}",
                names.join(", ")
            );
            Err(Failure(BAD_INPUT, what))
        }
    }
}

impl Client {
    /// Connects to the controller at `path`, or to the only one.
    pub(crate) fn connect(path: Option<&Path>) -> Result<Self, Failure> {
        let path = path.map_or_else(only_socket, |path| Ok(path.to_owned()))?;
        let failed = |what: String| Failure(FAILED, format!("{}: {what}", path.display()));
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| failed("is not a path; name the socket of a controller".to_owned()))?;
        let refused = |errno: Errno| match std::io::Error::from(errno).kind() {
            ErrorKind::PermissionDenied => {
                failed("this user may not connect; see `readers` in [link.local]".to_owned())
            }
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => {
                failed("no controller listens there; start it".to_owned())
            }
            _ => failed(format!(
                "cannot be connected ({errno}); name the socket of a controller"
            )),
        };
        let connection = Connection::connect(&name).map_err(refused)?;
        let gone = || failed("the controller closed the connection; see its log".to_owned());
        let mut packet = [0; MAX_PACKET];
        wait_for(&connection, PATIENCE).map_err(failed)?;
        let (length, memory) = connection
            .receive_with_file(&mut packet)
            .map_err(|_| gone())?;
        let hello = Answered::read(&packet[..length]).ok_or_else(gone)?;
        if !hello.done {
            return Err(failed(hello.text.to_owned()));
        }
        if hello.number != protocol::VERSION {
            return Err(failed(format!(
                "the controller speaks version {} of the protocol; use the steadctl of its version",
                hello.number
            )));
        }
        let memory = File::from(memory.ok_or_else(gone)?);
        let mut header = [0; HEADER];
        read_words(&memory, 0, &mut header).map_err(&failed)?;
        if header[0] != MAGIC || header[1] != VERSION {
            return Err(failed(
                "its memory has another layout; use the steadctl of its version".to_owned(),
            ));
        }
        let entries = |at: u64, count: u64| {
            (0..count as usize)
                .map(|number| {
                    let mut entry = [0; ENTRY];
                    let at = at as usize + ENTRY * number;
                    read_words(&memory, at, &mut entry).map(|()| entry)
                })
                .collect::<Result<Vec<_>, String>>()
        };
        let signals = entries(header[5], header[6]).map_err(&failed)?;
        let groups = entries(header[7], header[8]).map_err(&failed)?;
        Ok(Self {
            signals: signals.iter().map(signal).collect(),
            groups: groups.iter().map(group).collect(),
            path,
            connection,
            memory,
            header,
            number: 0,
            own: hello.value,
            patience: PATIENCE,
        })
    }

    /// The error `what` of this controller.
    pub(crate) fn failed(&self, what: impl std::fmt::Display) -> Failure {
        Failure(FAILED, format!("{}: {what}", self.path.display()))
    }

    /// The loop's period.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_nanos(self.header[12])
    }

    /// The signal `name`.
    pub(crate) fn signal(&self, name: &str) -> Result<&Signal, Failure> {
        self.signal_number(name).map(|number| &self.signals[number])
    }

    /// The number of the signal `name`, which is its place in `signals`.
    pub(crate) fn signal_number(&self, name: &str) -> Result<usize, Failure> {
        let found = self.signals.iter().position(|signal| signal.name == name);
        found.ok_or_else(|| {
            let what = format!("there is no signal \"{name}\"; `steadctl signals` lists them");
            Failure(BAD_INPUT, what)
        })
    }

    fn head(&self) -> Result<u64, Failure> {
        let mut head = [0];
        read_words(&self.memory, 9, &mut head).map_err(|what| self.failed(what))?;
        Ok(head[0])
    }

    /// Whether the loop runs.
    pub(crate) fn is_running(&self) -> bool {
        let mut running = [0];
        read_words(&self.memory, 10, &mut running).is_ok() && running[0] == 1
    }

    /// The newest frame. Waits for the first one after the connection: the loop writes frames only
    /// while a client is connected.
    pub(crate) fn frame(&self) -> Result<Frame, Failure> {
        let end = Instant::now() + PATIENCE;
        let (size, count) = (self.header[2] as usize, self.header[3]);
        loop {
            let head = self.head()?;
            if let Some(newest) = head
                .checked_sub(1)
                .filter(|newest| *newest >= self.header[9])
            {
                let at = self.header[4] as usize + (newest % count) as usize * size;
                let mut words = vec![0; size];
                let mut after = [0];
                read_words(&self.memory, at, &mut words).map_err(|what| self.failed(what))?;
                read_words(&self.memory, at, &mut after).map_err(|what| self.failed(what))?;
                if words[0] == 2 * newest + 2 && after[0] == words[0] {
                    return Ok(Frame { words });
                }
            }
            if !self.is_running() {
                return Err(self.failed("the controller has ended; start it again"));
            }
            if Instant::now() > end {
                return Err(self.failed("the loop does not run; see the controller's log"));
            }
            std::thread::sleep(self.period());
        }
    }

    /// Sends a request, without waiting for its answer.
    pub(crate) fn send(&mut self, kind: Kind, target: u32, values: &[f64]) -> Result<(), Failure> {
        self.number = self.number.wrapping_add(1);
        let request = Request {
            kind,
            number: self.number,
            target,
            values: values.iter().copied().collect(),
        };
        let sent = self.connection.send(&request.packet(), None);
        sent.map_err(|errno| self.failed(format!("the controller is gone ({errno}); see its log")))
    }

    /// Sends a request and waits until it is granted.
    pub(crate) fn ask(&mut self, kind: Kind, target: u32, values: &[f64]) -> Result<u32, Failure> {
        let packet = self.answer(kind, target, values)?;
        match Answered::read(&packet) {
            Some(answered) if answered.done => Ok(answered.value),
            Some(answered) => Err(self.failed(answered.text)),
            None => Err(self.malformed()),
        }
    }

    fn malformed(&self) -> Failure {
        self.failed("an answer is malformed; use steadctl of its version")
    }

    /// The parameters of the controller.
    pub(crate) fn parameters(&mut self) -> Result<Vec<Parameter>, Failure> {
        let (mut found, mut number) = (Vec::new(), 0);
        loop {
            let packet = self.answer(Kind::Parameter, number, &[])?;
            let head = packet.get(..HEAD).and_then(Answered::read);
            let head = head.ok_or_else(|| self.malformed())?;
            if head.done {
                let described = read_described(&packet).ok_or_else(|| self.malformed())?;
                let ([value, start, min, max], name, unit) = described;
                found.push(Parameter {
                    number,
                    name: name.to_owned(),
                    unit: unit.to_owned(),
                    value,
                    start,
                    range: (min, max),
                });
            }
            number += 1;
            if number >= head.value {
                return Ok(found);
            }
        }
    }

    /// The forces of the controller.
    pub(crate) fn forces(&mut self) -> Result<Vec<Force>, Failure> {
        let (mut found, mut place) = (Vec::new(), 0);
        loop {
            let packet = self.answer(Kind::Forced, place, &[])?;
            let head = packet.get(..HEAD).and_then(Answered::read);
            let head = head.ok_or_else(|| self.malformed())?;
            if head.done {
                let described = read_forced(&packet).ok_or_else(|| self.malformed())?;
                let ([value, left, client, signal], name) = described;
                found.push(Force {
                    name: name.to_owned(),
                    value,
                    left,
                    client: client as u32,
                    signal: signal as usize,
                });
            }
            place += 1;
            if place >= head.value {
                return Ok(found);
            }
        }
    }

    /// Changes parameters, all or none. With `from_start` the others get their values of the
    /// start.
    pub(crate) fn change(
        &mut self,
        from_start: bool,
        settings: &[(&Parameter, f64)],
    ) -> Result<(), Failure> {
        let pairs = settings.iter();
        let values: Vec<f64> = pairs
            .flat_map(|(parameter, value)| [f64::from(parameter.number), *value])
            .collect();
        if values.len() > MAX_VALUES {
            let most = MAX_VALUES / 2;
            let what = format!("a change has at most {most} parameters; make several");
            return Err(Failure(BAD_INPUT, what));
        }
        self.ask(Kind::Change, u32::from(from_start), &values)
            .map(|_| ())
    }

    /// The value of `parameter` in the board file, and its value at the next start.
    pub(crate) fn kept(&mut self, parameter: &Parameter) -> Result<[f64; 2], Failure> {
        let packet = self.answer(Kind::Kept, parameter.number, &[])?;
        let (values, _) = packet.get(HEAD..).unwrap_or_default().as_chunks::<8>();
        match values {
            [board, next] => Ok([*board, *next].map(f64::from_ne_bytes)),
            _ => Err(self.malformed()),
        }
    }

    /// Saves the parameters for the next start, or removes the saved ones; gives how many are
    /// saved now.
    pub(crate) fn save(&mut self, defaults: bool) -> Result<u32, Failure> {
        // The controller refuses it until the loop has written a frame.
        self.frame()?;
        self.patience = DISK;
        self.ask(Kind::Save, u32::from(defaults), &[])
    }

    /// Sends a request and waits for its answer.
    fn answer(&mut self, kind: Kind, target: u32, values: &[f64]) -> Result<Vec<u8>, Failure> {
        self.send(kind, target, values)?;
        let mut packet = [0; MAX_PACKET];
        loop {
            wait_for(&self.connection, self.patience).map_err(|what| self.failed(what))?;
            let length = match self.connection.receive(&mut packet) {
                Ok(Some(length)) if length > 0 => length,
                Ok(None) => continue,
                Ok(_) | Err(_) => return Err(self.failed("the controller is gone; see its log")),
            };
            let packet = &packet[..length];
            let head = packet.get(..HEAD).and_then(Answered::read);
            let head = head.ok_or_else(|| self.malformed())?;
            if head.number == self.number {
                return Ok(packet.to_vec());
            }
        }
    }
}

/// Waits for a packet.
fn wait_for(connection: &Connection, patience: Duration) -> Result<(), String> {
    let end = Instant::now() + patience;
    loop {
        let mut waited = [readable(connection.as_fd())];
        let left = end.saturating_duration_since(Instant::now());
        match wait_any(&mut waited, left.as_millis() as u16) {
            Ok(true) => return Ok(()),
            // A signal interrupts the wait.
            Ok(false) if !left.is_zero() => {}
            Ok(false) | Err(_) => {
                return Err("the controller does not answer; see its log".to_owned());
            }
        }
    }
}

/// Reads words of the shared memory.
fn read_words(memory: &File, at: usize, words: &mut [u64]) -> Result<(), String> {
    let mut bytes = vec![0; words.len() * 8];
    memory
        .read_exact_at(&mut bytes, at as u64 * 8)
        .map_err(|error| format!("its memory cannot be read: {error}; restart the controller"))?;
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_ne_bytes(*chunk);
    }
    Ok(())
}

/// The text in `words`, up to a zero.
fn text(words: &[u64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn signal(entry: &[u64; ENTRY]) -> Signal {
    let packed = entry[0];
    Signal {
        name: text(&entry[8..]),
        unit: text(&entry[4..8]),
        is_flag: packed & 0xff == 1,
        group: (packed >> 16 & 0xffff)
            .checked_sub(1)
            .map(|group| group as u32),
        range: (f64::from_bits(entry[1]), f64::from_bits(entry[2])),
        word: (packed >> 32) as usize,
        bit: (packed >> 8 & 0xff) as u32,
    }
}

fn group(entry: &[u64; ENTRY]) -> Group {
    Group {
        name: text(&entry[8..]),
        timeout: Duration::from_nanos(entry[1]),
        count: (entry[0] >> 8 & 0xff) as usize,
    }
}
