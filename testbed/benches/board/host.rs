//! The resources of the benchmark on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testbed::failure::{Failure, require};
use testbed::host::{Host, Kernel, Package, read};

/// The resources, and the folder of the results.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) host: Host,
    /// The folder of results and working files.
    pub(crate) output: PathBuf,
}

impl Prepared {
    /// Runs `tests/setup/bench`, which fetches and builds what is missing and prints the
    /// folders.
    ///
    /// # Errors
    /// The script failed; it has printed the reason.
    pub(crate) fn find() -> Result<Self, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/setup/bench");
        let output = Command::new(script).stderr(Stdio::inherit()).output()?;
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
        let packages = [
            (Package::Kernel(Kernel::Realtime), realtime.clone()),
            (Package::Tools, tools.clone()),
        ];
        Ok(Self {
            host: Host::with(&packages, guest.clone()),
            output,
        })
    }

    /// Compiles `benches/NAME.c` with these macros, statically, and gives the stripped program.
    ///
    /// # Errors
    /// The messages of the compiler.
    pub(crate) fn compile(&self, name: &str, macros: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        let program = self.output.join(name);
        let macros = macros
            .iter()
            .map(|(name, value)| format!("-D{name}={value}"));
        let compiled = Command::new("aarch64-linux-gnu-gcc")
            .args(macros)
            .args(["-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&program)
            .arg(self.host.source.join(format!("benches/{name}.c")))
            .output()?;
        require(compiled.status.success(), || {
            String::from_utf8_lossy(&compiled.stderr).into_owned()
        })?;
        read(&program, "written by the compiler")
    }
}
