//! Compares figures with accepted ones. Smaller is better.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// Relative increase over the accepted figure that is still accepted. The clock is
/// deterministic, so this covers no noise but changes that only move code.
const TOLERANCE: f64 = 0.02;

/// Writes `figures` as the accepted ones.
///
/// # Errors
/// The file cannot be written.
pub fn accept(path: &Path, figures: &Figures) -> io::Result<()> {
    fs::write(path, serde_json::to_string_pretty(figures)? + "\n")
}

/// One message for each figure that is worse than accepted.
///
/// # Errors
/// The file of accepted figures cannot be read, or has other names.
pub fn regressions(path: &Path, figures: &Figures) -> io::Result<Vec<String>> {
    let named = |error: io::Error| {
        let text = format!("{}: {error}; --accept writes it", path.display());
        io::Error::new(error.kind(), text)
    };
    let bytes = fs::read(path).map_err(named)?;
    let accepted: Figures = serde_json::from_slice(&bytes).map_err(|e| named(e.into()))?;
    if !accepted.keys().eq(figures.keys()) {
        return Err(named(io::Error::other(
            "it does not have the figures of this benchmark",
        )));
    }
    let worse = figures.iter().filter_map(|(name, found)| {
        let before = accepted.get(name)?;
        (*found > before * (1.0 + TOLERANCE))
            .then(|| format!("{name}: {found:.4}, accepted {before:.4}"))
    });
    Ok(worse.collect())
}
