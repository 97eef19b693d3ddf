//! What the benchmark finds on this machine, and how it says what went wrong.
//!
//! The names are those that the board tier's own modules expect at the root of
//! whatever program they are part of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, require};

/// What a board boots: of the board tier's kernels, the one that is measured.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// PREEMPT_RT.
    Realtime,
}

/// Folders with what is booted and measured.
#[derive(Debug)]
pub(crate) struct Host {
    /// The package's root folder.
    pub(crate) source: PathBuf,
    /// The unpacked PREEMPT_RT kernel package.
    realtime: PathBuf,
    /// Unpacked rt-tests.
    pub(crate) tools: PathBuf,
    /// Static aarch64 binaries.
    guest: PathBuf,
    /// Where results and working files go.
    pub(crate) output: PathBuf,
}

impl Host {
    /// Has `tests/setup/bench` fetch and build what is missing, and asks it
    /// where everything is.
    ///
    /// # Errors
    /// Something is missing that could not be had; the script has said what.
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(source.join("tests/setup/bench"))
            .stderr(Stdio::inherit())
            .output()?;
        require(output.status.success(), || {
            "tests/setup/bench failed".to_owned()
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let folders: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
        let [realtime, tools, guest] = &folders[..] else {
            return Err(Failure::new(format!(
                "tests/setup/bench did not print three folders: '{text}'"
            )));
        };
        // CARGO_TARGET_TMPDIR is <target>/tmp.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let output = target.parent().unwrap_or(target).join("bench");
        fs::create_dir_all(&output)?;
        Ok(Self {
            realtime: realtime.clone(),
            tools: tools.clone(),
            guest: guest.clone(),
            source,
            output,
        })
    }

    /// Where everything of `kernel` is.
    pub(crate) fn kernel(&self, kernel: Kernel) -> &Path {
        match kernel {
            Kernel::Realtime => &self.realtime,
        }
    }

    pub(crate) fn read_kernel_file(&self, kernel: Kernel, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.kernel(kernel).join(path))
    }

    pub(crate) fn read_tool(&self, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.tools.join(path))
    }

    pub(crate) fn read_guest_program(&self, name: &str) -> Result<Vec<u8>, Failure> {
        read(&self.guest.join(name))
    }

    /// Compiles the C loop, statically, and gives the stripped program.
    ///
    /// # Errors
    /// The compiler's words.
    pub(crate) fn compile_minimal_loop(&self) -> Result<Vec<u8>, Failure> {
        let program = self.output.join("minimal_loop");
        let compiled = Command::new("aarch64-linux-gnu-gcc")
            .args(["-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&program)
            .arg(self.source.join("benches/minimal_loop.c"))
            .output()?;
        require(compiled.status.success(), || {
            String::from_utf8_lossy(&compiled.stderr).into_owned()
        })?;
        read(&program)
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}
