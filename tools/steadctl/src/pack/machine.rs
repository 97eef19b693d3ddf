//! Reads files and runs programs of the machine. Each error is the reason in words.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// A program that takes longer is ended: `doctor` measures for a second.
const LIMIT: Duration = Duration::from_secs(60);
/// Most bytes of one output stream of a program.
const MAX_OUTPUT: u64 = 8 << 20;

/// The machine.
pub(super) struct Machine {
    /// Its root folder, `/` but in tests.
    pub(super) root: PathBuf,
    /// Where programs are, instead of the `PATH` of this program.
    pub(super) programs: Option<OsString>,
}

/// A file that was read.
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    /// Its last change.
    pub(super) time: SystemTime,
}

/// What a program said.
pub(super) struct Said {
    pub(super) out: String,
    pub(super) errors: String,
    /// `None` if it was ended by a signal.
    pub(super) code: Option<i32>,
}

impl Said {
    /// Both streams and the exit code.
    pub(super) fn whole(&self) -> String {
        let end = match self.code {
            Some(code) => format!("exit code {code}"),
            None => "ended by a signal".to_owned(),
        };
        format!("{}{}{end}\n", self.out, self.errors)
    }
}

impl Machine {
    /// The one that runs this program.
    pub(super) fn this() -> Self {
        Self {
            root: PathBuf::from("/"),
            programs: None,
        }
    }

    /// The place of `path`, which is absolute or relative to the working folder.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(inside) => self.root.join(inside),
            Err(_) => path.to_owned(),
        }
    }

    pub(super) fn is_absent(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.at(path)).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// A short text of the kernel or the system.
    pub(super) fn text(&self, path: &Path) -> Result<String, String> {
        let found = self.read(path, 1 << 16)?;
        Ok(String::from_utf8_lossy(&found.bytes).into_owned())
    }

    /// A file of at most `limit` bytes.
    pub(super) fn read(&self, path: &Path, limit: u64) -> Result<Found, String> {
        self.opened(path, libc::O_NONBLOCK, limit)
    }

    /// A file of a folder that the controller's user may write, where a symbolic link could lead to
    /// a file that only root may read.
    pub(super) fn untrusted(&self, path: &Path, limit: u64) -> Result<Found, String> {
        self.opened(path, libc::O_NONBLOCK | libc::O_NOFOLLOW, limit)
    }

    // Not blocking, because opening a pipe would wait for its writer.
    fn opened(&self, path: &Path, flags: i32, limit: u64) -> Result<Found, String> {
        let named = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let file: Result<File, _> = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.at(path));
        let file = file.map_err(|error| named(&error))?;
        let data = file.metadata().map_err(|error| named(&error))?;
        if !data.is_file() {
            return Err(named(&"is not a file"));
        }
        let time = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| named(&error))?;
        match bytes.len() as u64 > limit {
            true => Err(named(&format!("exceeds {limit} bytes"))),
            false => Ok(Found { bytes, time }),
        }
    }

    /// The files in `folder` that end in `.ending`, the newest first.
    pub(super) fn listed(&self, folder: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
        let entries = fs::read_dir(self.at(folder));
        let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut found: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter(|entry| Path::new(&entry.file_name()).extension() == Some(OsStr::new(ending)))
            .map(|entry| {
                let time = entry.metadata().and_then(|data| data.modified());
                (
                    time.unwrap_or(SystemTime::UNIX_EPOCH),
                    folder.join(entry.file_name()),
                )
            })
            .collect();
        found.sort();
        Ok(found.into_iter().rev().map(|(_, path)| path).collect())
    }

    /// Runs a program, the first of `words`, until it ends.
    pub(super) fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Result<Said, String> {
        let (program, arguments) = words.split_first().expect("a program");
        let shown = Path::new(program).display().to_string();
        let named = |what: &dyn std::fmt::Display| format!("{shown}: {what}");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(programs) = &self.programs {
            command.env("PATH", programs);
        }
        let mut child = command.spawn().map_err(|error| named(&error))?;
        let out = collected(child.stdout.take());
        let errors = collected(child.stderr.take());
        let begun = Instant::now();
        let code = loop {
            match child.try_wait().map_err(|error| named(&error))? {
                Some(status) => break status.code(),
                None if begun.elapsed() > LIMIT => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(named(&format!("did not end within {} s", LIMIT.as_secs())));
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        // A process that it has left behind may keep the streams open.
        let text = |stream: mpsc::Receiver<String>| {
            let rest = Duration::from_secs(5);
            stream
                .recv_timeout(rest)
                .map_err(|_| named(&"its output did not end"))
        };
        Ok(Said {
            out: text(out)?,
            errors: text(errors)?,
            code,
        })
    }
}

/// Reads a stream on a thread of its own, so that the program never waits for this one.
fn collected(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
