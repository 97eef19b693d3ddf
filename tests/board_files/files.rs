//! The file itself: missing, unreadable, too long, not text.

use std::fs;
use std::path::{Path, PathBuf};

use steadfast::config::{Config, ConfigError, MAX_FILE, Position};

use super::{LINUX, one_line};

/// A directory of one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let name = format!("board-files-{}-{test}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file for the test");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left over is in the build directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refused(path: &Path) -> ConfigError {
    let error = Config::load(path).expect_err("refused");
    one_line(&error);
    error
}

#[test]
fn a_good_file_is_read() {
    let scratch = Scratch::new("good");
    let path = scratch.file("b.toml", LINUX);
    let config = Config::load(&path).expect("good");
    assert_eq!(config.file, path.display().to_string());
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason() {
    let scratch = Scratch::new("unreadable");
    for (path, what) in [
        (
            scratch.0.join("missing.toml"),
            "cannot be read: No such file",
        ),
        (scratch.0.clone(), "cannot be read: Is a directory"),
        (
            scratch.file("file", "").join("below"),
            "cannot be read: Not a directory",
        ),
    ] {
        let error = refused(&path);
        assert_eq!(
            (error.position, &error.file),
            (None, &path.display().to_string())
        );
        assert!(error.what.contains(what), "{error}");
        assert!(error.fix.contains("exists and is readable"), "{error}");
    }
}

#[test]
fn an_empty_file_lacks_everything() {
    let scratch = Scratch::new("empty");
    for content in ["", "\n\n", "# nothing\n", "\u{feff}"] {
        let error = refused(&scratch.file("b.toml", content));
        assert_eq!(
            error.position,
            Some(Position { line: 1, column: 1 }),
            "{error}"
        );
        assert!(error.what.contains("no [board]"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_told_where_it_stops_being_it() {
    let scratch = Scratch::new("utf8");
    let mut bytes = b"# \xc2\xb5\n[board]\nname = \"".to_vec();
    bytes.extend(b"caf\xe9\"\n");
    let error = refused(&scratch.file("b.toml", bytes));
    assert_eq!(
        error.position,
        Some(Position {
            line: 3,
            column: 12
        }),
        "{error}"
    );
    assert!(error.what.contains("not UTF-8"), "{error}");
    assert!(error.fix.contains("save it as UTF-8"), "{error}");
}

#[test]
fn a_file_longer_than_any_board_file_is_not_read_whole() {
    let scratch = Scratch::new("long");
    let mut paths = vec![
        scratch.file("b.toml", "#".repeat(1 << 20)),
        "/dev/zero".into(),
    ];
    let one_too_long = format!("{LINUX}{}", "#".repeat(MAX_FILE as usize + 1 - LINUX.len()));
    paths.push(scratch.file("c.toml", &one_too_long));
    for path in paths {
        let error = refused(&path);
        assert_eq!(error.position, None);
        assert!(error.what.contains("exceeds 262144 bytes"), "{error}");
    }
    let longest = scratch.file("d.toml", &one_too_long[..MAX_FILE as usize]);
    assert!(Config::load(&longest).is_ok());
}

#[test]
fn a_file_with_a_line_break_in_its_name_gives_one_line() {
    let scratch = Scratch::new("name");
    let error = refused(&scratch.file("a\nb.toml", ""));
    assert!(error.to_string().contains("a\\nb.toml:1:1: "), "{error}");
}

#[test]
fn what_a_broken_promise_leads_to_goes_by_what_is_required_unless_the_file_says_it() {
    use steadfast::realtime::audit::Reaction::{self, QuickStop, Report};
    let of = |lines: &str| -> Result<Reaction, ConfigError> {
        let required = "realtime = \"required\"\non_broken = \"quick-stop\"\n";
        assert_eq!(LINUX.matches(required).count(), 1);
        let text = LINUX.replace(required, lines);
        Config::parse("b.toml", &text).map(|config| config.on_broken)
    };
    let (required, best) = ("realtime = \"required\"", "realtime = \"best-effort\"");
    let (report, stop) = ("on_broken = \"report\"", "on_broken = \"quick-stop\"");
    for (lines, expected) in [
        (format!("{required}\n"), QuickStop),
        (format!("{best}\n"), Report),
        (format!("{required}\n{report}\n"), Report),
        (format!("{best}\n{stop}\n"), QuickStop),
    ] {
        assert_eq!(of(&lines).expect("good"), expected, "{lines}");
    }
    let error = of(&format!("{required}\non_broken = \"panic\"\n")).expect_err("refused");
    let line = one_line(&error);
    assert!(
        line.contains("report") && line.contains("quick-stop"),
        "{line}"
    );
}
