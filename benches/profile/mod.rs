//! Assigns instructions to functions of the source.
//!
//! The optimiser inlines nearly the whole cycle into one function, so a profile by compiled
//! function is useless. `addr2line` (binutils, available wherever Rust can link) gives the
//! chain of inlined source positions of each address; the instruction counts for the
//! innermost function of this package, including its use of the standard library.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::callgrind::Counts;

/// Instructions by function, in descending order. The substitutes of devices and clock are
/// left out: functions whose compiled name contains one of `outside`, with all that is inlined
/// into them, and everything else in `benches`.
pub(crate) fn by_function(counts: &Counts, outside: &[&str]) -> io::Result<Vec<(String, u64)>> {
    let program = std::env::current_exe()?;
    let mut own = BTreeMap::new();
    let mut functions = BTreeMap::<String, u64>::new();
    let counted = counts.places.iter().filter(|(place, count)| {
        **count > 0 && !outside.iter().any(|name| place.function.contains(name))
    });
    for (place, count) in counted {
        if Path::new(&place.object) == program {
            own.insert(place.address, *count);
        } else {
            *functions.entry(place.function.clone()).or_default() += count;
        }
    }
    let mut sources = Sources::default();
    for (address, chain) in chains(&program, own.keys())? {
        let name = chain
            .iter()
            .find_map(|place| sources.function(place))
            .unwrap_or_else(|| "outside of the sources".to_owned());
        *functions.entry(name).or_default() += own.get(&address).copied().unwrap_or(0);
    }
    functions.retain(|name, _| !name.starts_with("benches::"));
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(functions)
}

/// For each address the `file:line` positions, innermost first.
fn chains<'a>(
    program: &Path,
    addresses: impl Iterator<Item = &'a u64>,
) -> io::Result<Vec<(u64, Vec<String>)>> {
    let mut child = Command::new("addr2line")
        .args(["--inlines", "--addresses", "--exe"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let what = format!("addr2line: {error} (Debian: apt-get install binutils)");
            io::Error::new(error.kind(), what)
        })?;
    let asked: String = addresses.map(|address| format!("{address:#x}\n")).collect();
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    // Write and read in parallel; otherwise both pipes fill up.
    let asking = std::thread::spawn(move || input.write_all(asked.as_bytes()));
    let answer = child.wait_with_output()?;
    asking
        .join()
        .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
    let mut chains: Vec<(u64, Vec<String>)> = Vec::new();
    for line in String::from_utf8_lossy(&answer.stdout).lines() {
        if let Some(address) = line.strip_prefix("0x") {
            let address = u64::from_str_radix(address, 16).unwrap_or(0);
            chains.push((address, Vec::new()));
        } else if let Some((_, chain)) = chains.last_mut() {
            chain.push(line.to_owned());
        }
    }
    Ok(chains)
}

/// The sources of this package read so far.
#[derive(Default)]
struct Sources(HashMap<PathBuf, Vec<String>>);

impl Sources {
    /// The function of a `file:line` of this package, as `folder::file::function`; `None`
    /// for a position outside of the package, or without a line.
    fn function(&mut self, place: &str) -> Option<String> {
        // `file:line (discriminator n)`, with `?` for an unknown line.
        let (file, line) = place.split(" (").next()?.rsplit_once(':')?;
        let line = line.parse().ok().filter(|line: &usize| *line > 0)?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = Path::new(file);
        let inside = file.strip_prefix(root).unwrap_or(file);
        if !(inside.starts_with("src") || inside.starts_with("benches")) {
            return None;
        }
        let lines = self.0.entry(inside.to_owned()).or_insert_with(|| {
            let text = fs::read_to_string(root.join(inside)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        });
        let name = lines.iter().take(line).rev().find_map(|line| {
            let (_, rest) = line.split_once("fn ")?;
            rest.split(['(', '<']).next()
        })?;
        let module = inside.with_extension("");
        let module = module.strip_prefix("src").unwrap_or(&module);
        let module = module.to_string_lossy().replace('/', "::");
        Some(format!("{module}::{name}"))
    }
}
