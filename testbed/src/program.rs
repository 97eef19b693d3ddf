//! A program that a test starts as a user does: its end, its output, and a folder for its
//! files.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, io, thread};

/// The end and the output of a command.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Ended {
    /// The one line on standard error.
    ///
    /// # Panics
    /// Standard error is empty, has more than one line, or has a control character in it.
    pub fn error_line(&self) -> &str {
        assert!(self.err.ends_with('\n'), "{self:?}");
        let line = self.err.trim_end_matches('\n');
        assert!(
            !line.is_empty() && !line.contains(char::is_control),
            "{self:?}"
        );
        line
    }
}

/// The longest time of a command of these tests, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a command to its end.
///
/// # Errors
/// The command cannot be started.
///
/// # Panics
/// The command did not end within [`PATIENCE`]; it is killed.
pub fn end_of(command: &mut Command) -> io::Result<Ended> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let process = child.id().to_string();
    let (ended, waiting) = mpsc::channel::<()>();
    let killer = thread::spawn(move || {
        let hangs = waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        if hangs {
            let killed = Command::new("kill").args(["-KILL", &process]).status();
            assert!(killed.is_ok_and(|status| status.success()), "no `kill`");
        }
        hangs
    });
    let output = child.wait_with_output()?;
    drop(ended);
    let hung = killer.join().expect("it ends");
    let ended = Ended::from(output);
    assert!(!hung, "{command:?} did not end in {PATIENCE:?}: {ended:?}");
    Ok(ended)
}

/// A directory of one test, open to every user, removed at its end.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A directory for the test of this name.
    ///
    /// # Panics
    /// It cannot be created.
    #[must_use]
    pub fn new(test: &str) -> Self {
        // Not in the build directory: other users may not get there.
        let name = format!("steadfast-cli-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// The path of `name` in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and gives its path.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file for the test");
        path
    }

    /// Writes the board file `text` with `changes` made to it, and gives its path.
    ///
    /// # Panics
    /// A text to be changed does not occur exactly once.
    pub fn board(&self, text: &str, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = text.to_owned();
        for (from, to) in changes {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
        self.file("board.toml", &text)
    }

    /// As [`Scratch::board`], for a run on the clock of this machine, which may be busy: no output is held
    /// for less than 10 s, so the stall guard does not act when the machine stops for some periods.
    ///
    /// # Panics
    /// As [`Scratch::board`].
    pub fn patient_board(&self, text: &str, changes: &[(&str, &str)]) -> PathBuf {
        let path = self.board(text, changes);
        let text = fs::read_to_string(&path).expect("the file just written");
        let patient = text.replace("max_hold_ms = 20\n", "max_hold_ms = 10000\n");
        assert_ne!(text, patient, "no output with the usual hold");
        self.file("board.toml", &patient)
    }

    /// A copy of `program` that any user may start; the build directory may be closed to
    /// other users.
    ///
    /// # Panics
    /// It cannot be copied.
    #[must_use]
    pub fn copy(&self, program: &Path) -> PathBuf {
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777));
        open(&self.0).expect("the test's own directory");
        let copy = self.path("steadfast");
        fs::copy(program, &copy).expect("room for a copy");
        open(&copy).expect("the test's own file");
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: it is in the temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The user "nobody", by convention.
const NOBODY: u32 = 65_534;

/// Runs `command` as a user other than root.
pub fn by_ordinary_user(command: &mut Command) {
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if root {
        command.uid(NOBODY).gid(NOBODY);
    }
}
