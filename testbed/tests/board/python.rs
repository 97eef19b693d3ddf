//! python-canopen inside the emulated board, on one CAN controller, commands the firmware on the
//! other: the tests of tests/canopen/axis.py.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::can::BOARD;
use crate::guest::healthy;
use crate::{Context, Failure, Test};
use testbed::emulator::Boot;
use testbed::host::{Package, read};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "python_canopen_on_the_second_controller_commands_the_firmware_on_the_first",
    run,
}];

const LIMIT: Duration = Duration::from_secs(1500);

/// What the master, dcfchk and dcfgen need of tests/canopen/requirements.txt. The compiled parts of
/// wrapt and yaml are for another machine; they do without.
const PACKAGES: [&str; 10] = [
    "can",
    "canopen",
    "dcf",
    "dcfgen",
    "em.py",
    "packaging",
    "pkg_resources",
    "typing_extensions.py",
    "wrapt",
    "yaml",
];

/// Programs of dcf-tools, and the modules with their `main`.
const PROGRAMS: [(&str, &str); 2] = [("dcfchk", "dcf.cli"), ("dcfgen", "dcfgen.cli")];

/// The libraries of Python and of its modules, besides the C library.
const LIBRARIES: [&str; 5] = [
    "libexpat.so.1",
    "libffi.so.8",
    "libm.so.6",
    "libsqlite3.so.0",
    "libz.so.1",
];

/// Files of the repository.
const SOURCES: [&str; 5] = [
    "board/sim/board.toml",
    "python/steadfast/__init__.py",
    "tests/canopen/axis.py",
    "tests/canopen/bus.yml",
    "tests/canopen/master.py",
];

const SCRIPT: &str = "/can_bus up can0 1000000; /can_bus up can1 1000000
export PYTHONPATH=/packages PYTHONUNBUFFERED=1
python3 /source/tests/canopen/axis.py /steadfast can1 -v 2>&1
echo \"@@python $?\"
read up rest </proc/uptime; echo \"@@after $up s\"
";

fn run(context: &Context<'_>) -> Result<(), Failure> {
    let host = context.host;
    let python = host.package(Package::Python)?.join("usr");
    let mut boot = Boot::new(context, &BOARD)
        .cpus(1)
        .program("steadfast")?
        .program("examples/can_bus")?;
    for path in SOURCES {
        boot = boot.file(&format!("/source/{path}"), 0o644, &host.read_source(path)?);
    }
    let packages = packages(&host.source.join("target/canopen-venv/lib"))?;
    for name in PACKAGES {
        boot = add(boot, &packages.join(name), &format!("/packages/{name}"))?;
    }
    for (name, module) in PROGRAMS {
        let text = format!(
            "#!/usr/bin/python3\nimport sys\nfrom {module} import main\nsys.exit(main())\n"
        );
        boot = boot.file(&format!("/usr/bin/{name}"), 0o755, text.as_bytes());
    }
    let (program, modules) = program(&python)?;
    boot = add(boot, &program, "/usr/bin/python3")?;
    boot = add(
        boot,
        &python.join("lib").join(&modules),
        &format!("/usr/lib/{modules}"),
    )?;
    for name in LIBRARIES {
        let path = format!("lib/aarch64-linux-gnu/{name}");
        boot = add(boot, &python.join(&path), &format!("/usr/{path}"))?;
    }
    let mut machine = boot.start(&healthy(&BOARD), SCRIPT)?;
    let ran = machine.wait_for_line("Ran ", LIMIT)?;
    println!("      {ran}");
    machine.wait_for_line("@@python 0", LIMIT)?;
    machine.finish(LIMIT).map(drop)
}

/// Adds a file, or a folder.
fn add<'a>(boot: Boot<'a>, path: &Path, at: &str) -> Result<Boot<'a>, Failure> {
    match path.is_dir() {
        true => boot.folder(path, at),
        false => Ok(boot.file(at, 0o755, &read(path, "tests/run can installs it")?)),
    }
}

/// The packages of the environment in which tests/run has installed them, for its own Python.
fn packages(lib: &Path) -> Result<PathBuf, Failure> {
    let folders = fs::read_dir(lib).ok().into_iter().flatten().flatten();
    let mut folders = folders.map(|folder| folder.path().join("site-packages"));
    folders
        .find(|folder| folder.is_dir())
        .ok_or_else(|| Failure::new(format!("{}: no packages; run tests/run can", lib.display())))
}

/// Python's program below `usr`, and the name of the folder of its modules, python3.N.
fn program(usr: &Path) -> Result<(PathBuf, String), Failure> {
    let programs = fs::read_dir(usr.join("bin"))?.flatten();
    let mut names = programs.map(|program| program.file_name().to_string_lossy().into_owned());
    let name = names.find(|name| name.starts_with("python3."));
    let name = name.ok_or_else(|| Failure::new("the package has no Python"))?;
    Ok((usr.join("bin").join(&name), name))
}
