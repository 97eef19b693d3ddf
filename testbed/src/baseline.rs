//! Figures that were accepted once, of which smaller ones are better, and what
//! got worse than them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// By name.
pub type Figures = BTreeMap<String, f64>;

/// A figure may exceed the accepted one by this share of it. The clock repeats,
/// so this is not for noise; it lets a change pass that moves code about.
const TOLERANCE: f64 = 0.02;

/// Writes the figures that are accepted from now on.
///
/// # Errors
/// The file cannot be written.
pub fn accept(path: &Path, figures: &Figures) -> io::Result<()> {
    fs::write(path, serde_json::to_string_pretty(figures)? + "\n")
}

/// The figures that got worse than accepted, in words.
///
/// # Errors
/// There is no file of accepted figures, or it names others than these.
pub fn regressions(path: &Path, figures: &Figures) -> io::Result<Vec<String>> {
    let named = |error: io::Error| {
        let text = format!("{}: {error}; --accept writes it", path.display());
        io::Error::new(error.kind(), text)
    };
    let bytes = fs::read(path).map_err(named)?;
    let accepted: Figures = serde_json::from_slice(&bytes).map_err(|e| named(e.into()))?;
    if !accepted.keys().eq(figures.keys()) {
        return Err(named(io::Error::other(
            "it does not name the figures of this benchmark",
        )));
    }
    let worse = figures.iter().filter_map(|(name, found)| {
        let before = accepted.get(name)?;
        (*found > before * (1.0 + TOLERANCE))
            .then(|| format!("{name}: {found:.4}, accepted is {before:.4}"))
    });
    Ok(worse.collect())
}
