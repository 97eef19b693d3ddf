//! The resources of a tier on this machine: kernels, tools, and programs for the guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::boards::{Bits, Board};
use crate::failure::{Failure, require};

/// The kernel of a boot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// PREEMPT_RT.
    Realtime,
    /// The same version without PREEMPT_RT.
    Plain,
    /// The newest one of Debian's backports with PREEMPT_RT.
    Next,
    /// PREEMPT_RT for 32-bit ARM.
    Arm,
}

/// A package that `tests/setup/kernel` fetches and unpacks into its own folder.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// A kernel.
    Kernel(Kernel),
    /// Debian's rt-tests and its libraries.
    Tools,
    /// Debian's Python and its libraries.
    Python,
    /// The modules for UIO devices of the PREEMPT_RT kernel.
    Uio,
}

impl Package {
    const COUNT: usize = 7;

    fn place(self) -> usize {
        match self {
            Self::Kernel(Kernel::Realtime) => 0,
            Self::Kernel(Kernel::Plain) => 1,
            Self::Tools => 2,
            Self::Python => 3,
            Self::Kernel(Kernel::Next) => 4,
            Self::Uio => 5,
            Self::Kernel(Kernel::Arm) => 6,
        }
    }

    /// Its name for the script.
    fn name(self) -> &'static str {
        ["rt", "plain", "tools", "python", "next", "uio", "arm"][self.place()]
    }

    /// The variable with its folder; if set, the script is not run.
    fn variable(self) -> &'static str {
        let variables = [
            "STEADFAST_KERNEL",
            "STEADFAST_PLAIN_KERNEL",
            "STEADFAST_TOOLS",
            "STEADFAST_PYTHON",
            "STEADFAST_NEXT_KERNEL",
            "STEADFAST_UIO",
            "STEADFAST_ARM_KERNEL",
        ];
        variables[self.place()]
    }
}

/// The folders of packages, programs and sources.
#[derive(Debug)]
pub struct Host {
    /// The repository's root folder.
    pub source: PathBuf,
    packages: [OnceLock<PathBuf>; Package::COUNT],
    /// Static aarch64 binaries.
    guest: PathBuf,
    /// Static binaries for 32-bit ARM.
    arm_guest: PathBuf,
}

impl Host {
    /// Finds `packages`: in the folders that `STEADFAST_KERNEL`, `STEADFAST_PLAIN_KERNEL`,
    /// `STEADFAST_NEXT_KERNEL`, `STEADFAST_ARM_KERNEL`, `STEADFAST_UIO`, `STEADFAST_TOOLS` and
    /// `STEADFAST_PYTHON` name, or that `tests/setup/kernel` prints. The programs for the guest are in
    /// `STEADFAST_GUEST`, those for 32-bit boards in `STEADFAST_ARM_GUEST`, or where `tests/run` puts them.
    ///
    /// # Errors
    /// A package cannot be fetched; the script has printed the reason.
    pub fn find(packages: &[Package]) -> Result<Self, Failure> {
        let guest = std::env::var_os("STEADFAST_GUEST").map(PathBuf::from);
        let default = || source().join("target/aarch64-unknown-linux-gnu/release");
        let host = Self::with(&[], guest.unwrap_or_else(default));
        for package in packages {
            host.package(*package)?;
        }
        Ok(host)
    }

    /// A host with these package folders, and the programs for the guest in `guest`.
    #[must_use]
    pub fn with(packages: &[(Package, PathBuf)], guest: PathBuf) -> Self {
        let folder = |place| {
            let mut known = packages.iter().filter(|(of, _)| of.place() == place);
            known.next().map(|(_, folder)| folder.clone())
        };
        Self {
            source: source(),
            packages: core::array::from_fn(|place| {
                folder(place).map_or_else(OnceLock::new, OnceLock::from)
            }),
            guest,
            arm_guest: std::env::var_os("STEADFAST_ARM_GUEST").map_or_else(
                || source().join("target/armv7-unknown-linux-gnueabihf/release"),
                PathBuf::from,
            ),
        }
    }

    /// The folder of a package.
    ///
    /// # Errors
    /// It cannot be fetched; the script has printed the reason.
    pub fn package(&self, package: Package) -> Result<&Path, Failure> {
        let place = &self.packages[package.place()];
        if place.get().is_none() {
            let found = match std::env::var_os(package.variable()) {
                Some(folder) => PathBuf::from(folder),
                None => ask_for(&self.source, package)?,
            };
            // Another thread may have set the same.
            let _ = place.set(found);
        }
        let found = place.get().map(PathBuf::as_path);
        found.ok_or_else(|| Failure::new("the folder of a package was not kept"))
    }

    /// The folder of `kernel`.
    ///
    /// # Errors
    /// As [`package`](Self::package).
    pub fn kernel(&self, kernel: Kernel) -> Result<&Path, Failure> {
        self.package(Package::Kernel(kernel))
    }

    /// A file of the package of `kernel`.
    ///
    /// # Errors
    /// There is no such file, or no such package.
    pub fn read_kernel_file(&self, kernel: Kernel, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.kernel(kernel)?.join(path), "run tests/setup/kernel")
    }

    /// A file of Debian's rt-tests and its libraries.
    ///
    /// # Errors
    /// There is no such file, or no such package.
    pub fn read_tool(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let folder = self.package(Package::Tools)?;
        read(&folder.join(path), "run tests/setup/kernel tools")
    }

    /// A program built for the guest.
    ///
    /// # Errors
    /// It has not been built.
    pub fn read_guest_program(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.read_program(Bits::B64, name)
    }

    /// A program built for boards of these bits.
    ///
    /// # Errors
    /// It has not been built.
    pub fn read_program(&self, bits: Bits, name: &str) -> Result<Vec<u8>, Failure> {
        let folder = match bits {
            Bits::B64 => &self.guest,
            Bits::B32 => &self.arm_guest,
        };
        let fix = "tests/run builds it, before a tier that boots boards";
        read(&folder.join(name), fix)
    }

    /// A file of the repository.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read_source(&self, path: &str) -> Result<Vec<u8>, Failure> {
        read(&self.source.join(path), "it is part of the repository")
    }

    /// The shipped board file of `board`, with the changes for the emulator.
    ///
    /// # Errors
    /// A text to be replaced does not occur exactly once.
    pub fn board_file(&self, board: &Board) -> Result<String, Failure> {
        let bytes = self.read_source(&format!("board/{}/board.toml", board.name))?;
        board.for_emulator(&String::from_utf8_lossy(&bytes))
    }
}

/// The repository's root folder.
pub(crate) fn source() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Reads a file; `fix` tells how to get it.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path, fix: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::new(format!("{}: {error} ({fix})", path.display())))
}

/// The folder that `tests/setup/kernel` prints.
fn ask_for(source: &Path, package: Package) -> Result<PathBuf, Failure> {
    let output = Command::new(source.join("tests/setup/kernel"))
        .arg(package.name())
        .stderr(Stdio::inherit())
        .output()?;
    require(output.status.success(), || {
        "tests/setup/kernel failed".to_owned()
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(PathBuf::from(text.trim()))
}
