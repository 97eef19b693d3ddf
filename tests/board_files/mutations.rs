//! Thousands of random board files: good files with a few parts deleted, doubled or
//! replaced. Each is accepted or refused in one line; accepted files can be built and run.

use steadfast::axis::Servo;
use steadfast::board::{self, Options};
use steadfast::config::Config;
use steadfast::cycle::run::Limit;
use steadfast::firmware::Firmware;
use steadfast::stock::servo::Axes;
use steadfast::telemetry::report::Pace;

use super::{LINUX, SIM, one_line, stock};

/// Mutations of each good file.
const MUTATIONS: usize = 4_000;
/// One of this many accepted simulated boards is run.
const RUN_EVERY: usize = 8;

/// Replacements of tokens: limits of numbers, other types, and characters of the syntax.
const TOKENS: &[&str] = &[
    "0",
    "-1",
    "1",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-308",
    "1e999",
    "-0.0",
    "18446744073709551615",
    "9223372036854775808",
    "4294967296",
    "0xffff_ffff",
    "0o7",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "'\\'",
    "[]",
    "{}",
    "[[]]",
    "[1, \"a\"]",
    "1979-05-27",
    "\"\"\"",
    "\"\\u0000\"",
    "\"\\n\"",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\"",
    "'",
    "axis",
    "enable",
    "x",
    "\u{feff}",
    "\u{2028}",
    "µ",
];

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators, scrambled", 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

/// `text` with one line, token, character or byte changed.
fn mutated(text: &str, random: &mut Random) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let at = random.below(lines.len());
    let other = lines[random.below(lines.len())];
    let line = lines[at];
    let words: Vec<&str> = line.split(' ').collect();
    let word = random.below(words.len());
    let with_word = |new: &str| {
        let mut words = words.clone();
        words[word] = new;
        words.join(" ")
    };
    let cut = |offset: usize| (0..=offset).rev().find(|i| line.is_char_boundary(*i));
    let cut = cut(random.below(line.len() + 1)).unwrap_or(0);
    let new = match random.below(10) {
        0 => String::new(),
        1 => format!("{line}\n{line}"),
        2 => other.to_owned(),
        3 => format!("{line}\n{other}"),
        4 | 5 => with_word(random.of(TOKENS)),
        6 => with_word(""),
        7 => format!(
            "{}{}",
            &line[..cut],
            line[cut..].chars().skip(1).collect::<String>()
        ),
        8 => format!("{}{}{}", &line[..cut], random.of(TOKENS), &line[cut..]),
        _ => line[..cut].to_owned(),
    };
    let mut lines = lines;
    lines[at] = &new;
    lines.join("\n")
}

/// A few cycles of the simulated board on the virtual clock; whether it has a law to
/// run.
fn run(config: &Config) -> bool {
    let Some(axes) = Axes::of(config) else {
        let is_machine = !config.machine.laws.is_empty();
        if is_machine {
            let report = Firmware::stock().simulate(config, 20).expect("wired");
            assert!(report.cycles.run > 0);
        }
        return is_machine;
    };
    let law = axes.law();
    let options = Options {
        limit: Limit::Cycles(20),
        pace: Pace::Free,
        live: false,
    };
    let describe = |state: &_| axes.names.describe(state);
    let state = law.initial();
    let report = board::run::<Servo>(config, &law, state, &options, describe).expect("wired");
    assert!(report.cycles.run > 0);
    true
}

#[test]
fn mutated_board_files_are_accepted_or_refused_in_one_line() {
    let mut random = Random(0x5eed_0000_0000_0001);
    let simulated = stock::simulated();
    for good in [LINUX, SIM, stock::BOARD, &simulated] {
        let (mut accepted, mut ran) = (0, 0);
        let mut positions = std::collections::HashSet::new();
        for _ in 0..MUTATIONS {
            let mut text = good.to_owned();
            for _ in 0..=random.below(3) {
                text = mutated(&text, &mut random);
            }
            match Config::parse("m.toml", &text) {
                Ok(config) => {
                    accepted += 1;
                    if config.simulation.is_some() && accepted % RUN_EVERY == 0 {
                        ran += u32::from(run(&config));
                    }
                }
                Err(error) => {
                    one_line(&error);
                    let position = error.position.expect("an error in the text has a position");
                    assert!(position.line <= text.lines().count() + 1, "{error}");
                    positions.insert(position.line);
                }
            }
        }
        assert!(accepted > MUTATIONS / 100, "only {accepted} accepted");
        assert!(
            positions.len() > 50,
            "errors in only {} lines",
            positions.len()
        );
        let runs = [SIM, &simulated].contains(&good);
        assert!(!runs || ran > 20, "only {ran} simulated boards run");
    }
}

#[test]
fn reading_arbitrary_bytes_does_not_panic() {
    let mut random = Random(0x5eed_0000_0000_0002);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("mutated-{}.toml", std::process::id()));
    for _ in 0..300 {
        let mut bytes = [LINUX, SIM][random.below(2)].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.below(256) as u8),
            }
        }
        std::fs::write(&path, &bytes).expect("a file for the test");
        if let Err(error) = Config::load(&path) {
            one_line(&error);
        }
    }
    // Best effort: it is in the build directory.
    let _ = std::fs::remove_file(&path);
}
