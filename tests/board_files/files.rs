//! The file itself: missing, unreadable, too long, not text.

use std::fs;
use std::path::{Path, PathBuf};

use steadfast::config::{Config, ConfigError, MAX_FILE, Position};

use super::{LINUX, one_line};

/// A directory of one test, removed at its end.
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
        // Best effort: it is in the build directory.
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
fn an_unreadable_path_is_named_with_the_reason() {
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
fn an_empty_file_is_refused_for_its_missing_tables() {
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
fn invalid_utf8_is_refused_with_its_position() {
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
    assert!(error.what.contains("not valid UTF-8"), "{error}");
    assert!(error.fix.contains("save it as UTF-8"), "{error}");
}

#[test]
fn a_file_above_the_size_limit_is_refused() {
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
fn a_line_break_in_the_file_name_is_escaped_in_the_error() {
    let scratch = Scratch::new("name");
    let error = refused(&scratch.file("a\nb.toml", ""));
    assert!(error.to_string().contains("a\\nb.toml:1:1: "), "{error}");
}

#[test]
fn the_default_of_on_broken_follows_realtime() {
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
