//! The folder of one boot, and the sockets in it.

use std::fs;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// A folder for one boot, removed at its end.
pub struct WorkFolder {
    /// Its path.
    pub path: PathBuf,
}

impl WorkFolder {
    /// Creates an empty folder.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn new() -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Not below the target folder: the path of a socket has at most 107 bytes.
        let path = std::env::temp_dir().join(format!(
            "steadfast-board-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// Creates a socket in the folder, for the emulator to connect to.
    pub fn listen(&self, name: &str) -> Result<Listener, Failure> {
        Ok(Listener(UnixListener::bind(self.path.join(name))?))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // Best effort: it is in the temporary folder.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A socket to which the emulator connects.
pub struct Listener(UnixListener);

impl Listener {
    /// Accepts the connection of `emulator`. A thread waits in `accept`; if the emulator
    /// ends instead, our own connection wakes that thread.
    ///
    /// # Errors
    /// The emulator ended, or did not connect before `deadline`.
    pub fn accept(&self, emulator: &mut Child, deadline: Instant) -> Result<UnixStream, Failure> {
        let (sender, accepted) = channel();
        let waiting = self.0.try_clone()?;
        thread::spawn(move || {
            if let Ok((stream, _)) = waiting.accept() {
                // An error means that the receiver has given up.
                let _ = sender.send(stream);
            }
        });
        loop {
            if let Ok(stream) = accepted.recv_timeout(Duration::from_millis(200)) {
                return Ok(stream);
            }
            let ended = emulator.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                if let Some(path) = self.0.local_addr()?.as_pathname() {
                    wake(path);
                }
                return Err(Failure::new(match ended {
                    Some(status) => format!("the emulator ended before connecting: {status}"),
                    None => "the emulator did not connect".to_owned(),
                }));
            }
        }
    }
}

fn wake(path: &Path) {
    if let Ok(stream) = UnixStream::connect(path) {
        // Only the connection was needed.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
