//! A running emulator: its process, the board's console and its pins.
//!
//! Nothing here waits for time to pass: every wait is for a line, an edge or
//! the end of the process, and every wait has a limit after which it fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::boards::Board;
use crate::control::Control;
use crate::image::{BOOTED, ENDED, GuestFile, Image};
use crate::pins::Pins;
use crate::work::WorkFolder;
use crate::{Context, Failure, Kernel};

/// The limit for a board to boot, in wall time: about 15 times what it takes
/// on two cores.
const BOOT: Duration = Duration::from_secs(180);

/// Everything a board shows, kept for the report of a failure.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) console: Mutex<Vec<String>>,
    pub(crate) messages: Mutex<Vec<String>>,
}

/// A boot, to be described before it is started.
pub(crate) struct Boot<'a> {
    context: &'a Context<'a>,
    board: &'static Board,
    kernel: Kernel,
    cpus: u32,
    files: Vec<GuestFile>,
    disk: Option<PathBuf>,
    resets: bool,
}

impl<'a> Boot<'a> {
    pub(crate) fn new(context: &'a Context<'a>, board: &'static Board) -> Self {
        Self {
            context,
            board,
            kernel: Kernel::Realtime,
            cpus: board.cpus,
            files: Vec::new(),
            disk: None,
            resets: false,
        }
    }

    /// Puts a card with this image into the board's own card slot, the i.MX 8M
    /// Plus EVK's `/dev/mmcblk2`. What the guest has written stays in the file,
    /// however the emulator ends.
    pub(crate) fn disk(mut self, image: &Path) -> Self {
        self.disk = Some(image.to_owned());
        self
    }

    /// A reset boots the board again, instead of ending the emulator.
    pub(crate) fn resets(mut self) -> Self {
        self.resets = true;
        self
    }

    /// As if the board had so many CPUs. With one, nothing but the guest itself
    /// is in its way: the emulator runs several in turns, in slices that show as
    /// latency.
    pub(crate) fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Boots another kernel than the PREEMPT_RT one.
    pub(crate) fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// Puts a file into the guest.
    pub(crate) fn file(mut self, path: &str, permissions: u32, content: &[u8]) -> Self {
        self.files.push(GuestFile {
            path: path.to_owned(),
            permissions,
            content: content.to_vec(),
        });
        self
    }

    /// Puts a program built for the guest into its root folder.
    ///
    /// # Errors
    /// It has not been built.
    pub(crate) fn program(self, name: &str) -> Result<Self, Failure> {
        let file = name.rsplit('/').next().unwrap_or(name);
        let content = self.context.host.read_guest_program(name)?;
        Ok(self.file(&format!("/{file}"), 0o755, &content))
    }

    /// Boots, and gives the machine as soon as `script` is about to run. Input
    /// lines have the given levels from before the first instruction on.
    ///
    /// # Errors
    /// The image cannot be built, or the board does not boot.
    pub(crate) fn start(self, inputs: &[(u8, bool)], script: &str) -> Result<Machine, Failure> {
        let work = WorkFolder::new()?;
        let image = Image::build(
            self.context.host,
            self.kernel,
            self.board,
            &self.files,
            script,
            &work.path,
        )?;
        let pin_socket = work.listen("pins")?;
        let control_socket = work.listen("control")?;

        let mut command = Command::new("qemu-system-aarch64");
        command
            .args(self.board.machine)
            .args(["-display", "none", "-S"])
            .args(["-smp", &self.cpus.to_string()])
            .args(["-rtc", "base=2026-01-01,clock=vm", "-seed", "1"])
            // One executed instruction is one nanosecond, idle stretches are
            // skipped: whatever the host does, two runs agree to the last bit.
            .args(["-icount", "shift=0,sleep=off"])
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.initramfs)
            .args([
                "-append",
                &format!(
                    "console={} loglevel=3 panic=-1 {}",
                    self.board.console,
                    isolation(self.cpus)
                ),
            ])
            .args([
                "-qtest",
                &format!("unix:{}", work.path.join("pins").display()),
            ])
            .args(["-qtest-log", "none"])
            .args([
                "-qmp",
                &format!("unix:{}", work.path.join("control").display()),
            ]);
        if !self.resets {
            command.arg("-no-reboot");
        }
        if let Some(disk) = &self.disk {
            let file = disk.display();
            let drive = format!("if=sd,bus=2,unit=0,format=raw,file={file}");
            command.args(["-drive", &drive]);
        }
        if let Some(tree) = &image.device_tree {
            command.arg("-dtb").arg(tree);
        }
        for _ in 0..self.board.unused_serial_ports {
            command.args(["-serial", "null"]);
        }
        command.args(["-serial", "stdio"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("qemu-system-aarch64: {error}")))?;

        let transcript = self.context.new_transcript();
        let (line_sender, lines) = channel();
        let copy = Arc::clone(&transcript);
        follow(child.stdout.take(), move |line| {
            lock(&copy.console).push(line.clone());
            // Nobody waits any more: the transcript still wants the rest.
            let _ = line_sender.send(line);
        });
        let copy = Arc::clone(&transcript);
        follow(child.stderr.take(), move |line| {
            lock(&copy.messages).push(line)
        });

        let mut guard = Guard { child };
        let deadline = Instant::now() + BOOT;
        let control = control_socket.accept(&mut guard.child, deadline)?;
        let pins_stream = pin_socket.accept(&mut guard.child, deadline)?;
        let mut control = Control::new(control)?;
        let gpio = control.resolve(self.board.gpio)?;
        let mut machine = Machine {
            pins: Pins::new(pins_stream, &gpio, self.board.drive)?,
            control,
            guard,
            lines,
            _work: work,
        };
        for (line, level) in inputs {
            machine.pins.drive(*line, *level)?;
        }
        machine.control.command(r#"{"execute":"cont"}"#)?;
        machine.wait_for_line(BOOTED, BOOT)?;
        Ok(machine)
    }
}

/// A booted board.
pub(crate) struct Machine {
    pub(crate) pins: Pins,
    control: Control,
    guard: Guard,
    lines: Receiver<String>,
    _work: WorkFolder,
}

impl Machine {
    /// Types a line on the board's console, for a `read` in the test's script.
    ///
    /// # Errors
    /// The emulator has ended.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<(), Failure> {
        let keyboard = self.guard.child.stdin.as_mut();
        let keyboard = keyboard.ok_or_else(|| Failure::new("no console to type on"))?;
        keyboard.write_all(format!("{line}\n").as_bytes())?;
        keyboard.flush()?;
        Ok(())
    }

    /// Waits for a console line that contains `text`, and gives that line.
    ///
    /// # Errors
    /// None came within `limit`, or the emulator ended before.
    pub(crate) fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<String, Failure> {
        let mut lines = self.collect_until(text, limit)?;
        lines.pop().ok_or_else(|| Failure::new("no line"))
    }

    /// Gives every console line from here to the one that contains `text`,
    /// that one included.
    ///
    /// # Errors
    /// None came within `limit`, or the emulator ended before.
    pub(crate) fn collect_until(
        &mut self,
        text: &str,
        limit: Duration,
    ) -> Result<Vec<String>, Failure> {
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

    /// Waits for the end of the test's script, gives all console lines up to
    /// it. The script must end with status 0.
    ///
    /// # Errors
    /// It did not end within `limit`, or with another status.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<Finished, Failure> {
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

    /// Waits until the emulator ends by itself: the board was reset.
    ///
    /// # Errors
    /// It did not within `limit`.
    pub(crate) fn wait_for_end(&mut self, limit: Duration) -> Result<(), Failure> {
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

/// What is left of a machine whose script has ended.
pub(crate) struct Finished {
    /// The console, from where it had been read to.
    pub(crate) lines: Vec<String>,
    pub(crate) pins: Pins,
}

impl Machine {
    /// Cuts the power: the emulator is killed where it stands.
    pub(crate) fn cut_power(self) {
        drop(self);
    }
}

/// Ends the emulator, whatever became of the test.
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

/// Gives each line of `stream` to `take`, without its line ending.
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

/// The content of a mutex, also after a panic elsewhere: a transcript is worth
/// most then.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel parameters that keep the highest CPU for the loop, where there is
/// more than one.
fn isolation(cpus: u32) -> String {
    match cpus {
        0 | 1 => String::new(),
        cpus => {
            let (last, others) = (cpus - 1, cpus - 2);
            format!(
                "isolcpus=managed_irq,domain,{last} nohz_full={last} rcu_nocbs={last} irqaffinity=0-{others}"
            )
        }
    }
}
