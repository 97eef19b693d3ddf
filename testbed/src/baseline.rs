//! Compares figures with accepted ones. Smaller is better.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// Writes `figures` as the accepted ones.
///
/// # Errors
/// The file cannot be written.
pub fn accept(path: &Path, figures: &Figures) -> io::Result<()> {
    fs::write(path, serde_json::to_string_pretty(figures)? + "\n")
}

/// One message for each figure that is more than `tolerance` (0.02 for 2 %) above the
/// accepted one.
///
/// # Errors
/// The file of accepted figures cannot be read, or has other names.
pub fn regressions(path: &Path, figures: &Figures, tolerance: f64) -> io::Result<Vec<String>> {
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
        (*found > before * (1.0 + tolerance))
            .then(|| format!("{name}: {found:.4}, accepted {before:.4}"))
    });
    Ok(worse.collect())
}
