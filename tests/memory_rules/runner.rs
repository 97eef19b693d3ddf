//! Runs each rule in its own process and reports it in one line.

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use steadfast::sys::process;
use testbed::emulation;

/// The reason why a rule cannot be judged here.
pub(crate) struct NotRun(String);

impl NotRun {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A rule passes or is not run; it fails by a panic.
pub(crate) type Verdict = Result<(), NotRun>;

/// One rule.
#[derive(Copy, Clone)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// Whether a user-mode emulator, with the memory, limits and scheduling of its process,
    /// can judge it.
    pub(crate) emulated: bool,
    pub(crate) run: fn() -> Verdict,
}

/// A rule about the kernel itself.
pub(crate) const fn kernel_rule(name: &'static str, run: fn() -> Verdict) -> Rule {
    Rule {
        name,
        emulated: false,
        run,
    }
}

/// A rule about this crate's code, which user-mode emulation can judge.
pub(crate) const fn code_rule(name: &'static str, run: fn() -> Verdict) -> Rule {
    Rule {
        name,
        emulated: true,
        run,
    }
}

/// A part of a rule that runs in another process, because it may kill it.
pub(crate) type Helper = (&'static str, fn());

const RULE: &str = "--rule";
const USER: &str = "--user";
const HELPER: &str = "--helper";
const NOT_RUN: u8 = 77;
const NOT_RUN_MARK: &str = "not run: ";

/// A command that starts this program again. Without an emulator it uses the kernel's link,
/// which another user can follow even into a closed folder.
fn this_program() -> Command {
    match emulation::emulator() {
        Some(_) => emulation::start(&std::env::current_exe().expect("/proc is mounted")),
        None => Command::new("/proc/self/exe"),
    }
}

/// A command that runs the helper `name` in a separate process.
pub(crate) fn helper(name: &str) -> Command {
    let mut command = this_program();
    command.args([HELPER, name]);
    command
}

/// Runs the helper `name` to its end.
pub(crate) fn run_helper(name: &str) -> Output {
    helper(name).output().expect("this program starts anew")
}

pub(crate) fn main(rules: &[Rule], helpers: &[Helper]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [RULE, name] => run_rule(rules, name),
        [HELPER, name] => run_named_helper(helpers, name),
        _ if arguments.iter().any(|argument| argument == "--list") => {
            for rule in rules {
                println!("{}: test", rule.name);
            }
            ExitCode::SUCCESS
        }
        [USER, id, ..] => match id.parse().map(process::become_user) {
            Ok(Ok(())) => run_all(rules, &filters(&arguments[2..])),
            refused => {
                eprintln!("cannot become user {id}: {refused:?}");
                ExitCode::from(2)
            }
        },
        _ => run_all(rules, &filters(&arguments)),
    }
}

/// The filters: arguments that are not options of the standard test harness, which
/// `cargo test` passes to every test program.
fn filters(arguments: &[String]) -> Vec<&str> {
    let mut filters = Vec::new();
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--test-threads" | "--skip" | "--color" | "--format" | "--logfile" | "-Z" => {
                arguments.next();
            }
            option if option.starts_with('-') => {}
            filter => filters.push(filter),
        }
    }
    filters
}

fn run_rule(rules: &[Rule], name: &str) -> ExitCode {
    let rule = rules.iter().find(|rule| rule.name == name);
    match (rule.expect("a rule of this name").run)() {
        Ok(()) => ExitCode::SUCCESS,
        Err(NotRun(reason)) => {
            println!("{NOT_RUN_MARK}{reason}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn run_named_helper(helpers: &[Helper], name: &str) -> ExitCode {
    let (_, run) = helpers
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a helper of this name");
    run();
    ExitCode::SUCCESS
}

fn run_all(rules: &[Rule], filters: &[&str]) -> ExitCode {
    let emulator = emulation::emulator();
    let (mut passed, mut failed, mut not_run) = (0, 0, 0);
    for rule in rules {
        if !filters.is_empty() && !filters.iter().any(|filter| rule.name.contains(filter)) {
            continue;
        }
        match judge(rule, emulator.as_deref()) {
            Judged::Passed => {
                passed += 1;
                println!("rule {} ... ok", rule.name);
            }
            Judged::NotRun(reason) => {
                not_run += 1;
                println!("rule {} ... not run: {reason}", rule.name);
            }
            Judged::Failed(output) => {
                failed += 1;
                println!("rule {} ... FAILED", rule.name);
                println!("  {}", output.trim_end().replace('\n', "\n  "));
            }
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\nrules result: {word}. {passed} passed; {failed} failed; {not_run} not run");
    ExitCode::from(u8::from(failed != 0))
}

enum Judged {
    Passed,
    NotRun(String),
    Failed(String),
}

fn judge(rule: &Rule, emulator: Option<&Path>) -> Judged {
    if let (Some(emulator), false) = (emulator, rule.emulated) {
        return Judged::NotRun(format!(
            "user-mode emulation by {}: its memory and limits are not the program's",
            emulator.display()
        ));
    }
    let output = match this_program().args([RULE, rule.name]).output() {
        Ok(output) => output,
        Err(error) => return Judged::Failed(format!("this program does not start: {error}")),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => Judged::Passed,
        Some(code) if code == i32::from(NOT_RUN) => {
            let reason = said
                .lines()
                .find_map(|line| line.strip_prefix(NOT_RUN_MARK))
                .unwrap_or("no reason given");
            Judged::NotRun(reason.to_owned())
        }
        _ => Judged::Failed(format!(
            "{}\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
