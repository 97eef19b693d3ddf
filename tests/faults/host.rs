//! What the campaign finds on this machine, under the names that the board
//! tier's modules expect at the root of whatever program they are part of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::failure::{Failure, require};
use crate::machine::{Transcript, lock};

/// What a board boots.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// PREEMPT_RT.
    Realtime,
}

/// Folders with what is booted.
#[derive(Debug)]
pub(crate) struct Host {
    /// The package's root folder.
    pub(crate) source: PathBuf,
    realtime: PathBuf,
    tools: PathBuf,
    guest: PathBuf,
}

impl Host {
    /// As the board tier does: `STEADFAST_KERNEL`, `STEADFAST_TOOLS` and
    /// `STEADFAST_GUEST`, or what `tests/setup/kernel` says and where `tests/run`
    /// puts guest binaries.
    ///
    /// # Errors
    /// A package is not to be had; the script has said why.
    pub(crate) fn find() -> Result<Self, Failure> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let package = |variable, kind| match std::env::var_os(variable) {
            Some(folder) => Ok(PathBuf::from(folder)),
            None => ask_for_package(&source, kind),
        };
        let realtime = package("STEADFAST_KERNEL", "rt")?;
        let tools = package("STEADFAST_TOOLS", "tools")?;
        let guest = match std::env::var_os("STEADFAST_GUEST") {
            Some(folder) => PathBuf::from(folder),
            None => source.join("target/aarch64-unknown-linux-gnu/release"),
        };
        Ok(Self {
            source,
            realtime,
            tools,
            guest,
        })
    }

    /// Where everything of `kernel` is.
    pub(crate) fn kernel(&self, kernel: Kernel) -> &Path {
        match kernel {
            Kernel::Realtime => &self.realtime,
        }
    }

    pub(crate) fn read_kernel_file(&self, kernel: Kernel, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.kernel(kernel).join(path), "run tests/setup/kernel rt")
    }

    /// A file of Debian's rt-tests and its libraries.
    pub(crate) fn read_tool(&self, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.tools.join(path), "run tests/setup/kernel tools")
    }

    pub(crate) fn read_guest_program(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let fix = "run tests/run faults, which builds it";
        read(&self.guest.join(name), fix)
    }

    /// The board file of the i.MX 8M Plus EVK.
    pub(crate) fn board_file(&self) -> Result<String, Failure> {
        let path = self.source.join("board/imx8mp-evk/board.toml");
        let bytes = read(&path, "it is part of the repository")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn read(path: &Path, fix: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("{}: {error} ({fix})", path.display())))
}

fn ask_for_package(source: &Path, kind: &str) -> Result<PathBuf, Failure> {
    let output = Command::new(source.join("tests/setup/kernel"))
        .arg(kind)
        .stderr(Stdio::inherit())
        .output()?;
    require(output.status.success(), || {
        "tests/setup/kernel failed".to_owned()
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(PathBuf::from(text.trim()))
}

/// What a boot is given.
pub(crate) struct Context<'h> {
    pub(crate) host: &'h Host,
    pub(crate) transcripts: Mutex<Vec<Arc<Transcript>>>,
}

impl Context<'_> {
    /// A transcript that is kept should the boot fail.
    pub(crate) fn new_transcript(&self) -> Arc<Transcript> {
        let transcript = Arc::new(Transcript::default());
        lock(&self.transcripts).push(Arc::clone(&transcript));
        transcript
    }
}
