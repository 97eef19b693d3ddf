//! The commands of `steadctl`, one module each.

mod blackbox;
mod client;
pub mod cycles;
mod drive;
mod explain;
mod force;
mod live;
mod new;
mod pack;
mod parameters;
mod status;
mod units;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind as Wrong;
use clap::{CommandFactory, Parser, Subcommand};
use steadfast::telemetry::escaped;

const CODES: &str = "\
exit codes: 0 done, 1 failed, 2 bad arguments or a file of another kind,
            5 file damaged: the readable part was printed";

/// Failed: a file cannot be read.
const FAILED: u8 = 1;
/// Bad arguments, or a file of another kind.
const BAD_INPUT: u8 = 2;
/// The file is damaged; its readable part was printed.
const DAMAGED: u8 = 5;

/// An exit code other than 0, and one line.
struct Failure(u8, String);

/// Shows black boxes and the status of a steadfast controller; creates a crate for a new machine
#[derive(Debug, Parser)]
#[command(name = "steadctl", version, after_help = CODES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// A command with its arguments.
#[derive(Debug, PartialEq, Eq, Subcommand)]
enum Command {
    /// Show the cause, the contract, the events and the last cycles of a black box
    #[command(name = "blackbox")]
    BlackBox {
        /// A file that ends in .blackbox
        file: PathBuf,
        /// Print all cycles as comma-separated values instead
        #[arg(long)]
        csv: bool,
        /// Number of cycles to show
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
    },
    /// Show the status of a running controller, or the last status of one that ended
    Status {
        /// Its flight file; without it and --board, the only one in /run/steadfast
        #[arg(conflicts_with = "board")]
        file: Option<PathBuf>,
        /// Name of its board, for /run/steadfast/NAME.flight
        #[arg(long, value_name = "NAME")]
        board: Option<String>,
    },
    /// Write one archive for a bug report: contract, doctor, black boxes, journal, device tree, versions
    Doctor(pack::Arguments),
    /// Explain a message in detail: an exit code, a row of the contract, a fault of an axis
    Explain {
        /// Its name or its code ("exit 3", "memory lock", 0x8611); without it, all names
        name: Option<String>,
    },
    /// List the signals of a running controller, with their present values
    Signals {
        #[command(flatten)]
        socket: Socket,
    },
    /// List the parameters that may change while the controller runs
    Parameters {
        #[command(flatten)]
        socket: Socket,
    },
    /// List the parameters that differ from those of the start, of the board file or of the next start
    Diff {
        #[command(flatten)]
        socket: Socket,
    },
    /// Set parameters back to their values of the start
    Revert {
        /// Their names; without any, all
        names: Vec<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Save the parameters that differ from the board file for the next start
    Save {
        #[command(flatten)]
        socket: Socket,
    },
    /// Remove the saved parameters: the next start has those of the board file
    Restore {
        #[command(flatten)]
        socket: Socket,
    },
    /// Print the present values of signals and parameters
    Get {
        /// Their names, see `signals` and `parameters`
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Print the values of signals five times a second
    Watch {
        /// Their names; without any, the values of all control laws
        names: Vec<String>,
        /// End after this time, such as 10s
        #[arg(long = "for", value_name = "TIME")]
        time: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Set parameters; or a command of a control law, and keep it until this program ends
    Set {
        /// Its name, see `parameters` and `signals`
        name: String,
        /// The value, such as 1.5, 90deg or 20rpm
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Names and values of more parameters: all are set, or none
        #[arg(allow_negative_numbers = true, value_name = "NAME VALUE")]
        more: Vec<String>,
        /// End a command after this time, such as 10s
        #[arg(long = "for", value_name = "TIME")]
        time: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Override an input or an output for a limited time, to commission a machine
    Force {
        /// The signal, see `signals`
        signal: String,
        /// The value, such as on, off, 1.5 or 90deg
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// The time after which it ends, such as 10s; at most 1 h
        #[arg(long = "for", value_name = "TIME")]
        time: String,
        #[command(flatten)]
        socket: Socket,
    },
    /// End the force of a signal, also that of another program
    Unforce {
        /// The signal
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        signal: Option<String>,
        /// End all forces
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// List the forced signals: value, rest of the time, client
    Forces {
        #[command(flatten)]
        socket: Socket,
    },
    /// Move an axis to a position, and wait until it is there
    Move {
        /// The axis
        axis: String,
        /// The position, such as 90deg or -1.5rad
        #[arg(allow_hyphen_values = true)]
        position: String,
        /// Move by this distance instead
        #[arg(long)]
        relative: bool,
        #[command(flatten)]
        socket: Socket,
    },
    /// Turn an axis at a speed, until this program ends
    Jog {
        /// The axis
        axis: String,
        /// The speed, such as 90deg/s or -20rpm
        #[arg(allow_hyphen_values = true)]
        speed: String,
        /// End after this time, such as 10s
        #[arg(long = "for", value_name = "TIME")]
        time: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Home an axis by the method of the board file
    Home {
        /// The axis
        axis: String,
        #[command(flatten)]
        socket: Socket,
    },
    /// Stop an axis, or all, also if another program commands it
    Stop {
        /// The axis; without it, everything that takes commands
        axis: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Arm the axes, where the board file lets a command do so
    Arm {
        /// The axis that gives the command; without it, the first that takes commands
        axis: Option<String>,
        #[command(flatten)]
        socket: Socket,
    },
    /// Reset the fault of an axis
    Reset {
        /// The axis
        axis: String,
        #[command(flatten)]
        socket: Socket,
    },
    /// Print a script that completes the commands and options of steadctl in a shell
    Completion {
        /// The shell
        #[arg(value_parser = ["bash", "zsh", "fish"])]
        shell: String,
    },
    /// Create a crate for your own machine: driver, control law, plant, board files, tests
    New(new::Arguments),
}

/// The controller.
#[derive(Debug, PartialEq, Eq, clap::Args)]
struct Socket {
    /// The socket of the controller; without it, the only one on this machine
    #[arg(long = "socket", value_name = "PATH")]
    path: Option<PathBuf>,
}

/// Runs the command of `arguments`, the first of which is the program's name, and returns its
/// exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match Arguments::try_parse_from(negative(arguments)) {
        Ok(Arguments { command }) => run(command),
        Err(error) => not_run(&error),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Failure(code, line)) => {
            eprintln!("steadctl: {}", escaped(&line));
            ExitCode::from(code)
        }
    }
}

/// `arguments` with the sign of negative values such as -90deg as a minus (U+2212), because clap
/// takes a hyphen for an option where more values follow. [`hyphen`] undoes it.
fn negative(arguments: impl IntoIterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments.into_iter().map(|argument| {
        let rest = argument.to_str().and_then(|text| text.strip_prefix('-'));
        match rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')) {
            Some(rest) => OsString::from(format!("{MINUS}{rest}")),
            None => argument,
        }
    })
}

const MINUS: char = '\u{2212}';

fn hyphen(value: &str) -> String {
    value.replace(MINUS, "-")
}

fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Completion { shell } => completion(&shell),
        Command::New(new::Arguments { folder, path }) => new::main(&folder, path.as_deref()),
        Command::Signals { socket } => live::signals(socket.path.as_deref()),
        Command::Get { names, socket } => live::get(socket.path.as_deref(), &names),
        Command::Watch {
            names,
            time,
            socket,
        } => live::watch(socket.path.as_deref(), &names, time.as_deref()),
        Command::Parameters { socket } => parameters::list(socket.path.as_deref()),
        Command::Diff { socket } => parameters::diff(socket.path.as_deref()),
        Command::Revert { names, socket } => parameters::revert(socket.path.as_deref(), &names),
        Command::Save { socket } => parameters::save(socket.path.as_deref(), false),
        Command::Restore { socket } => parameters::save(socket.path.as_deref(), true),
        Command::Set {
            name,
            value,
            more,
            time,
            socket,
        } => {
            let words = [name, value].into_iter().chain(more);
            let words: Vec<String> = words.map(|word| hyphen(&word)).collect();
            live::set(socket.path.as_deref(), &words, time.as_deref())
        }
        Command::Force {
            signal,
            value,
            time,
            socket,
        } => force::force(socket.path.as_deref(), &signal, &value, &time),
        Command::Unforce { signal, socket, .. } => {
            force::unforce(socket.path.as_deref(), signal.as_deref())
        }
        Command::Forces { socket } => force::forces(socket.path.as_deref()),
        Command::Move {
            axis,
            position,
            relative,
            socket,
        } => drive::move_to(socket.path.as_deref(), &axis, &hyphen(&position), relative),
        Command::Jog {
            axis,
            speed,
            time,
            socket,
        } => drive::jog(
            socket.path.as_deref(),
            &axis,
            &hyphen(&speed),
            time.as_deref(),
        ),
        Command::Home { axis, socket } => drive::home(socket.path.as_deref(), &axis),
        Command::Stop { axis, socket } => drive::stop(socket.path.as_deref(), axis.as_deref()),
        Command::Arm { axis, socket } => drive::arm(socket.path.as_deref(), axis.as_deref()),
        Command::Reset { axis, socket } => drive::reset(socket.path.as_deref(), &axis),
        Command::Doctor(arguments) => pack::main(&arguments),
        Command::Explain { name } => explain::main(name.as_deref()),
        Command::BlackBox { file, csv, last } => blackbox::main(&file, csv, last),
        Command::Status { file, board } => {
            status::main(file.or_else(|| board.as_deref().map(status::flight_of)))
        }
    }
}

/// Prints the completion script for `shell`.
fn completion(shell: &str) -> Result<u8, Failure> {
    print(&completion_script(shell.parse().map_err(usage)?)).map(|()| 0)
}

fn completion_script(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "steadctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Prints help or version, or returns a message of one line for wrong arguments.
fn not_run(error: &clap::Error) -> Result<u8, Failure> {
    let text = error.to_string();
    match error.kind() {
        Wrong::DisplayHelp | Wrong::DisplayVersion => print(&text).map(|()| 0),
        Wrong::MissingSubcommand | Wrong::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(usage("no command is given"))
        }
        // The first paragraph is the error; hints and the usage follow.
        _ => {
            let what = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = what.split_whitespace().collect();
            let what = words.join(" ");
            Err(usage(what.strip_prefix("error: ").unwrap_or(&what)))
        }
    }
}

/// `text` with all control characters escaped except line ends, because a file can contain
/// anything.
fn shown_lines(text: &str) -> String {
    text.lines().map(|line| escaped(line) + "\n").collect()
}

/// Prints `text`. A closed pipe (`| head`) counts as success.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let what = format!("standard output: {error}; redirect it to a writable file");
            Err(Failure(FAILED, what))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn usage(what: impl std::fmt::Display) -> Failure {
    Failure(BAD_INPUT, format!("{what}; see steadctl --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = ["steadctl"].into_iter().chain(line.split_whitespace());
        let parsed = Arguments::try_parse_from(words);
        parsed.map(|arguments| arguments.command).map_err(|error| {
            let Err(Failure(code, line)) = not_run(&error) else {
                panic!("{line}: {error}");
            };
            assert_eq!(code, BAD_INPUT);
            line
        })
    }

    #[test]
    fn bash_completes_a_command_by_the_script() {
        assert!(parsed("completion csh").is_err());
        for (shell, part) in [
            ("zsh", "#compdef steadctl"),
            ("fish", "complete -c steadctl"),
        ] {
            let script = completion_script(shell.parse().unwrap());
            assert!(script.contains(part), "{script}");
        }
        let script = completion_script(clap_complete::Shell::Bash);
        let ask = "\nCOMP_WORDS=(steadctl jo); COMP_CWORD=1; _steadctl steadctl jo steadctl\n\
                   printf '%s\\n' \"${COMPREPLY[@]}\"\n";
        let bash = std::process::Command::new("bash");
        let Ok(done) = { bash }.args(["-c", &(script + ask)]).output() else {
            testbed::emulation::not_run("this machine has no bash");
            return;
        };
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(String::from_utf8_lossy(&done.stdout), "jog\n", "{errors}");
    }

    #[test]
    fn the_commands_are_parsed() {
        assert_eq!(
            parsed("blackbox f --csv"),
            Ok(Command::BlackBox {
                file: "f".into(),
                csv: true,
                last: 20
            })
        );
        let status = |file: Option<&str>, board: Option<&str>| Command::Status {
            file: file.map(PathBuf::from),
            board: board.map(str::to_owned),
        };
        assert_eq!(
            parsed("new a/b --path c"),
            Ok(Command::New(new::Arguments {
                folder: "a/b".into(),
                path: Some("c".into())
            }))
        );
        assert_eq!(
            parsed("explain 0x8611"),
            Ok(Command::Explain {
                name: Some("0x8611".to_owned())
            })
        );
        assert_eq!(parsed("status"), Ok(status(None, None)));
        assert_eq!(parsed("status f"), Ok(status(Some("f"), None)));
        assert_eq!(parsed("status --board a/b"), Ok(status(None, Some("a/b"))));
        assert_eq!(
            status::flight_of("a/b"),
            PathBuf::from("/run/steadfast/a_b.flight")
        );
    }

    #[test]
    fn help_and_version_succeed() {
        for line in ["--help", "-h", "--version", "-V", "blackbox --help"] {
            let words = ["steadctl"].into_iter().chain(line.split_whitespace());
            let error = Arguments::try_parse_from(words).expect_err(line);
            assert!(matches!(not_run(&error), Ok(0)), "{line}: {error}");
        }
    }

    #[test]
    fn each_mistake_is_named_in_one_line() {
        for (line, word) in [
            ("", "no command"),
            ("blackbox", "FILE"),
            ("blackbox f --board x", "--board"),
            ("blackbox f g", "'g'"),
            ("blackbox f --last many", "many"),
            ("status f --board x", "cannot be used with"),
            ("status --csv", "--csv"),
            ("new", "FOLDER"),
            ("new a --path", "--path"),
            ("walk", "walk"),
            ("status --fast", "--fast"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(word) && error.ends_with("--help"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
