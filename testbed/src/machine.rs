//! A running emulator: its process, the board's console and its pins.
//!
//! Every wait is for a line, an edge or the end of the process, and fails after a limit.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::boards::Drive;
use crate::control::Control;
use crate::failure::Failure;
use crate::pins::Pins;
use crate::work::WorkFolder;

/// The limit for the emulator to connect to its sockets, in wall time.
const START: Duration = Duration::from_secs(180);

/// Printed at the end of the test's script, with its exit status.
pub const ENDED: &str = "@@ended";

/// The output of a board, for the report of a failure.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Lines of the console.
    pub console: Mutex<Vec<String>>,
    /// Lines of the emulator's own standard error.
    pub messages: Mutex<Vec<String>>,
}

impl Transcript {
    /// The end of the console and all messages of the emulator. The whole console is
    /// written to a file in `folder`, whose path is included.
    pub fn describe(&self, folder: &Path, name: &str) -> String {
        const LAST: usize = 60;
        let console = lock(&self.console);
        let file = folder.join(format!("{name}.console"));
        let mut text = match fs::write(&file, console.join("\n") + "\n") {
            Ok(()) => format!(
                "      end of the console of {name}, complete in {}:\n",
                file.display()
            ),
            Err(error) => format!("      console of {name} (not written: {error}):\n"),
        };
        for line in &console[console.len().saturating_sub(LAST)..] {
            text += &format!("      | {line}\n");
        }
        for line in lock(&self.messages).iter() {
            text += &format!("      emulator: {line}\n");
        }
        text
    }
}

/// A booted board.
pub struct Machine {
    /// Its pins.
    pub pins: Pins,
    control: Control,
    guard: Guard,
    lines: Receiver<String>,
    _work: WorkFolder,
}

impl Machine {
    /// Starts the emulator without a display, with the console on pipes, and with a
    /// control and a test socket in `work`. Input lines of the chip `gpio` have the levels
    /// of `inputs` before the first instruction.
    ///
    /// # Errors
    /// The emulator does not start, or has no such chip.
    pub fn power_on(
        mut command: Command,
        work: WorkFolder,
        transcript: Arc<Transcript>,
        gpio: (&str, Drive),
        inputs: &[(u8, bool)],
    ) -> Result<Self, Failure> {
        let pin_socket = work.listen("pins")?;
        let control_socket = work.listen("control")?;
        command
            .args(["-display", "none", "-S", "-serial", "stdio"])
            .args([
                "-qtest",
                &format!("unix:{}", work.path.join("pins").display()),
            ])
            .args(["-qtest-log", "none"])
            .args([
                "-qmp",
                &format!("unix:{}", work.path.join("control").display()),
            ]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("qemu-system-aarch64: {error}")))?;

        let (line_sender, lines) = channel();
        let copy = Arc::clone(&transcript);
        follow(child.stdout.take(), move |line| {
            lock(&copy.console).push(line.clone());
            // The receiver may be gone; the transcript still needs the line.
            let _ = line_sender.send(line);
        });
        let copy = Arc::clone(&transcript);
        follow(child.stderr.take(), move |line| {
            lock(&copy.messages).push(line)
        });

        let mut guard = Guard { child };
        let deadline = Instant::now() + START;
        let control = control_socket.accept(&mut guard.child, deadline)?;
        let pins_stream = pin_socket.accept(&mut guard.child, deadline)?;
        let mut control = Control::new(control)?;
        let (chip, drive) = gpio;
        let chip = control.resolve(chip)?;
        let mut machine = Machine {
            pins: Pins::new(pins_stream, &chip, drive)?,
            control,
            guard,
            lines,
            _work: work,
        };
        for (line, level) in inputs {
            machine.pins.drive(*line, *level)?;
        }
        machine.control.command(r#"{"execute":"cont"}"#)?;
        Ok(machine)
    }

    /// Types a line on the console, for a `read` in the test's script.
    ///
    /// # Errors
    /// The emulator has ended.
    pub fn type_line(&mut self, line: &str) -> Result<(), Failure> {
        let keyboard = self.guard.child.stdin.as_mut();
        let keyboard = keyboard.ok_or_else(|| Failure::new("no console to type on"))?;
        keyboard.write_all(format!("{line}\n").as_bytes())?;
        keyboard.flush()?;
        Ok(())
    }

    /// Sets a property of a device, by its path in the emulator's object tree.
    ///
    /// # Errors
    /// There is no such device or property.
    pub fn set_property(
        &mut self,
        device: &str,
        property: &str,
        value: i32,
    ) -> Result<(), Failure> {
        let arguments = format!(r#"{{"path":"{device}","property":"{property}","value":{value}}}"#);
        self.control
            .command(&format!(
                r#"{{"execute":"qom-set","arguments":{arguments}}}"#
            ))
            .map(drop)
    }

    /// Waits for a console line that contains `text`, and gives that line.
    ///
    /// # Errors
    /// None came within `limit`, or the emulator ended before.
    pub fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<String, Failure> {
        let mut lines = self.collect_until(text, limit)?;
        lines.pop().ok_or_else(|| Failure::new("no line"))
    }

    /// Gives the console lines up to and including one that contains `text`.
    ///
    /// # Errors
    /// None came within `limit`, or the emulator ended before.
    pub fn collect_until(&mut self, text: &str, limit: Duration) -> Result<Vec<String>, Failure> {
        let deadline = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    let found = line.contains(text);
                    lines.push(line);
                    if found {
                        return Ok(lines);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::new(format!(
                        "waited too long for the line '{text}'"
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new(format!(
                        "the emulator ended before the line '{text}'"
                    )));
                }
            }
        }
    }

    /// Waits for the end of the test's script, and gives the console lines up to it. The
    /// script must end with status 0.
    ///
    /// # Errors
    /// The script did not end within `limit`, or ended with another status.
    pub fn finish(mut self, limit: Duration) -> Result<Finished, Failure> {
        let lines = self.collect_until(ENDED, limit)?;
        let last = lines.last().map_or("", String::as_str);
        let status = last.split_whitespace().next_back().unwrap_or("");
        if status != "0" {
            return Err(Failure::new(format!(
                "the script in the guest ended with {status}"
            )));
        }
        self.wait_for_end(Duration::from_secs(60))?;
        self.pins.drain();
        Ok(Finished {
            lines,
            pins: self.pins,
        })
    }

    /// Waits until the emulator ends: the board was reset.
    ///
    /// # Errors
    /// The emulator did not end within `limit`.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::new("the board did not reset in time"));
                }
            }
        }
        self.guard.child.wait()?;
        Ok(())
    }
}

/// The results of a machine whose script has ended.
pub struct Finished {
    /// The console lines that had not been read before.
    pub lines: Vec<String>,
    /// The pins with all edges.
    pub pins: Pins,
}

/// Ends the emulator when dropped.
struct Guard {
    child: Child,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes each line of `stream` to `take`, without its line ending.
fn follow<S, F>(stream: Option<S>, mut take: F)
where
    S: Read + Send + 'static,
    F: FnMut(String) + Send + 'static,
{
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
            take(
                String::from_utf8_lossy(&bytes)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned(),
            );
            bytes.clear();
        }
    });
}

/// Locks a mutex, also after a panic of another thread, when a transcript is needed most.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
