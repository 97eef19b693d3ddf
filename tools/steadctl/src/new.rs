//! `steadctl new`: creates a crate for a machine, which builds and passes its tests at once.
//!
//! The template is a crate called `my-robot` in `template/`; only names and the dependency
//! on steadfast are replaced.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{BAD_INPUT, FAILED, Failure, print};

/// The files of the template, with their paths in the new crate.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../template/Cargo.toml.in")),
    (
        ".cargo/config.toml",
        include_str!("../template/cargo-config.toml"),
    ),
    (".gitignore", include_str!("../template/gitignore")),
    ("README.md", include_str!("../template/README.md")),
    ("board.toml", include_str!("../template/board.toml")),
    (
        "board.linux.toml",
        include_str!("../template/board.linux.toml"),
    ),
    ("src/lib.rs", include_str!("../template/src/lib.rs")),
    ("src/main.rs", include_str!("../template/src/main.rs")),
    ("src/driver.rs", include_str!("../template/src/driver.rs")),
    ("src/law.rs", include_str!("../template/src/law.rs")),
    ("src/plant.rs", include_str!("../template/src/plant.rs")),
    (
        "examples/keys.rs",
        include_str!("../template/examples/keys.rs"),
    ),
    (
        "tests/machine.rs",
        include_str!("../template/tests/machine.rs"),
    ),
];

/// The names of the template's package and library.
const PACKAGE: &str = "my-robot";
const LIBRARY: &str = "my_robot";

/// The template's dependency on steadfast.
const DEPENDENCY: &str = "steadfast = \"VERSION\"";

/// Maximum length of a name: the crate has the name of its board.
const MAX_NAME: usize = 32;

/// Names of packages that Rust or the crate itself uses.
const TAKEN: &[&str] = &[
    "steadfast",
    "embedded-hal",
    "embedded_hal",
    "test",
    "core",
    "std",
    "alloc",
    "proc_macro",
    "proc-macro",
];

/// Rust's keywords of edition 2024, including reserved ones.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Creates the crate in `folder`, whose last part is its name. It depends on the checkout
/// `steadfast`, or on the published crate of this version.
pub(crate) fn main(folder: &Path, steadfast: Option<&Path>) -> Result<u8, Failure> {
    let name = name_of(folder)?;
    let dependency = match steadfast {
        None => format!("steadfast = \"{}\"", env!("CARGO_PKG_VERSION")),
        Some(path) => format!("steadfast = {{ path = \"{}\" }}", checkout(path)?),
    };
    match fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let what = "exists already; choose another name, or remove it";
            return Err(Failure(BAD_INPUT, format!("{}: {what}", folder.display())));
        }
        made => made.map_err(|error| failed(folder, &error))?,
    }
    for (file, template) in FILES {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        let text = template
            .replace(DEPENDENCY, &dependency)
            .replace(PACKAGE, name)
            .replace(LIBRARY, &name.replace('-', "_"));
        fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    let folder = folder.display();
    print(&format!(
        "{folder}: created; see its README.md, and run\n  \
         cd {folder}\n  cargo test\n  cargo run -- run --pace free\n"
    ))?;
    Ok(0)
}

/// The last part of `folder`, if it is a valid name of a package.
fn name_of(folder: &Path) -> Result<&str, Failure> {
    let refused = |name: &str, why: &str| {
        Failure(
            BAD_INPUT,
            format!("\"{name}\" cannot be the name of a crate: {why}"),
        )
    };
    let Some(name) = folder.file_name() else {
        return Err(refused(
            &folder.display().to_string(),
            "end the path with a name, such as my-robot",
        ));
    };
    let Some(name) = name.to_str() else {
        return Err(refused(&name.to_string_lossy(), "use ASCII letters"));
    };
    let letter = |c: char| c.is_ascii_lowercase();
    if !name.starts_with(letter)
        || !name
            .chars()
            .all(|c| letter(c) || c.is_ascii_digit() || "-_".contains(c))
    {
        return Err(refused(
            name,
            "use lower-case letters, digits, `-` and `_`, a letter first",
        ));
    }
    if name.len() > MAX_NAME {
        return Err(refused(name, "use at most 32 characters"));
    }
    if KEYWORDS.contains(&name) {
        return Err(refused(name, "it is a keyword of Rust; choose another"));
    }
    if TAKEN.contains(&name) {
        return Err(refused(
            name,
            "a library that it depends on has this name; choose another",
        ));
    }
    Ok(name)
}

/// The absolute path of the checkout `path`, if it can be written as a string of TOML.
fn checkout(path: &Path) -> Result<String, Failure> {
    let refused = |why: &str| Failure(BAD_INPUT, format!("--path {}: {why}", path.display()));
    let whole = path
        .canonicalize()
        .map_err(|error| refused(&format!("{error}; name the folder of steadfast's checkout")))?;
    let manifest = fs::read_to_string(whole.join("Cargo.toml")).unwrap_or_default();
    if !manifest.lines().any(|line| line == "name = \"steadfast\"") {
        return Err(refused(
            "the folder has no Cargo.toml of steadfast; name the folder of its checkout",
        ));
    }
    match whole.to_str() {
        Some(whole) if !whole.contains(['"', '\\']) && !whole.contains(char::is_control) => {
            Ok(whole.to_owned())
        }
        _ => Err(refused(
            "the path has characters that Cargo.toml cannot contain; move the checkout",
        )),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let fix = "choose a writable folder";
    Failure(
        FAILED,
        format!("{}: cannot be written: {error}; {fix}", path.display()),
    )
}

/// The arguments of `steadctl new`.
#[derive(Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Arguments {
    /// The crate's folder, which must not exist; its last part is the crate's name
    pub(crate) folder: PathBuf,
    /// Depend on this checkout of steadfast instead of the published crate
    #[arg(long, value_name = "PATH_TO_STEADFAST")]
    pub(crate) path: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cargo_would_refuse_is_refused() {
        for good in ["my-robot", "robot2", "a_b"] {
            assert!(matches!(name_of(Path::new(good)), Ok(name) if name == good));
        }
        assert!(matches!(name_of(Path::new("/tmp/x/arm")), Ok("arm")));
        for (bad, word) in [
            ("..", "end the path"),
            ("", "end the path"),
            ("2robots", "letter first"),
            ("My", "lower-case"),
            ("a b", "lower-case"),
            ("a\"b", "lower-case"),
            ("roboter\u{e4}", "lower-case"),
            ("fn", "keyword"),
            ("steadfast", "depends on"),
            ("test", "depends on"),
            (&"a".repeat(33), "at most 32"),
        ] {
            let Err(Failure(code, line)) = name_of(Path::new(bad)) else {
                panic!("{bad} is accepted");
            };
            assert!(code == BAD_INPUT && line.contains(word), "{bad}: {line}");
        }
    }

    #[test]
    fn the_template_contains_all_names_that_are_replaced() {
        let all: String = FILES.iter().map(|(_, text)| *text).collect();
        assert_eq!(all.matches(DEPENDENCY).count(), 1);
        assert!(all.contains(PACKAGE) && all.contains(LIBRARY));
    }
}
