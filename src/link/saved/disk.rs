//! The thread that waits for the disk.
//!
//! The link thread renders the file into memory and hands it over, so that it serves its clients and
//! the CAN bus while a slow disk takes it.

use core::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::link::parameters::Parameters;
use crate::sys::Errno;
use crate::telemetry::whole::{FileError, remove, write_whole};

/// How often the thread looks whether the run has ended.
const LOOK: Duration = Duration::from_millis(100);
/// More than the text of a file has besides parameters and the name of its board, bytes.
const FRAME: usize = 512;
/// More than a parameter takes besides its names and its unit, bytes: two numbers with all digits.
const NUMBERS: usize = 80;
/// More than a communication parameter takes, bytes.
const OBJECT: usize = 24;

/// A file on its way to the disk.
pub struct Disk {
    folder: String,
    temporary: String,
    path: String,
    job: Mutex<Job>,
    changed: Condvar,
}

struct Job {
    step: Step,
    text: Text,
}

/// Where a file is.
enum Step {
    /// No file is under way.
    Idle,
    /// The text is to be written.
    Write,
    /// The file is to be removed.
    Remove,
    /// It was done, or not.
    Done(Result<(), FileError>),
}

/// The text of a file, in memory that is never exceeded.
pub(super) struct Text {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.capacity() - self.text.len() < part.len() {
            self.is_cut = true;
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

impl Disk {
    /// For the file `file`, with room for `parameters` of the board with this name, and for `objects`
    /// of a CANopen node. Allocates.
    #[must_use]
    pub fn new(file: &str, board: &str, parameters: &mut dyn Parameters, objects: usize) -> Self {
        let path = Path::new(file);
        let [folder, name] = [path.parent().map(Path::as_os_str), path.file_name()]
            .map(|part| part.unwrap_or_default().to_string_lossy());
        // A quote in a name is escaped.
        let mut room = FRAME + 2 * board.len();
        for number in 0..parameters.count() {
            room += parameters.get(number).map_or(0, |parameter| {
                2 * parameter.of.len() + parameter.key.len() + parameter.unit.len() + NUMBERS
            });
        }
        room += objects * OBJECT;
        Self {
            temporary: format!("{folder}/.{name}.new"),
            folder: folder.into_owned(),
            path: file.to_owned(),
            job: Mutex::new(Job {
                step: Step::Idle,
                text: Text {
                    text: String::with_capacity(room),
                    is_cut: false,
                },
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Hands over the file that `render` writes; without it, the file is removed. The last one must
    /// be done, or this waits for the disk.
    pub(super) fn hand_over(&self, render: Option<&mut dyn FnMut(&mut Text) -> fmt::Result>) {
        let mut job = self.lock();
        job.text.text.clear();
        job.text.is_cut = false;
        job.step = match render {
            None => Step::Remove,
            Some(render) => {
                // A text that is cut is not written.
                let _ = render(&mut job.text);
                Step::Write
            }
        };
        drop(job);
        self.changed.notify_one();
    }

    /// What became of the file that was handed over; `None` while it is not known. Never waits.
    pub(super) fn done(&self) -> Option<Result<(), FileError>> {
        let mut job = match self.job.try_lock() {
            Ok(job) => job,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        match core::mem::replace(&mut job.step, Step::Idle) {
            Step::Done(result) => Some(result),
            other => {
                job.step = other;
                None
            }
        }
    }

    /// Writes or removes the file that was handed over, if there is one. Waits for the disk.
    pub fn work(&self) {
        self.work_on(&mut self.lock());
    }

    fn work_on(&self, job: &mut Job) {
        let result = match job.step {
            Step::Idle | Step::Done(_) => return,
            Step::Remove => remove(&self.folder, &self.path),
            Step::Write => {
                let Text { text, is_cut } = &job.text;
                let names = [&*self.folder, &self.temporary, &self.path];
                let written = write_whole(names, |out| match is_cut {
                    true => Err(io::Error::from(Errno(libc::EMSGSIZE))),
                    false => out.write_all(text.as_bytes()),
                });
                written.map(|_| ())
            }
        };
        job.step = Step::Done(result);
    }

    /// Works until `done` is set. Allocates nothing.
    pub fn run(&self, done: &AtomicBool) {
        let mut job = self.lock();
        loop {
            // Read first: what was handed over before is done.
            let is_last = done.load(Ordering::Acquire);
            self.work_on(&mut job);
            if is_last {
                return;
            }
            let waited = self.changed.wait_timeout(job, LOOK);
            (job, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}
