//! The interpolation period (60C2h): a value and a power of ten.

/// Periods that differ by less are the same, s.
pub(super) const HALF_NS: f64 = 0.5e-9;

/// `value` * 10^`index`, s; `index` from -6 to 0.
pub(super) fn period(value: u8, index: i8) -> f64 {
    f64::from(value) / power(index)
}

/// 10^-`index`; `index` from -6 to 0.
fn power(index: i8) -> f64 {
    const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    POWERS[usize::from(index.unsigned_abs()) % POWERS.len()]
}

/// The value and the index that come next to `s`: with the index `like` if that is exact,
/// otherwise with the least one that has room for the value.
pub(super) fn parts(s: f64, like: i8) -> (u8, i8) {
    let scaled = s * power(like);
    let whole = (scaled + 0.5) as u8;
    if (scaled - f64::from(whole)).abs() < 1e-6 {
        return (whole, like);
    }
    let fits = |index: &i8| s * power(*index) < 255.5;
    let index = (-6..=0).find(fits).unwrap_or(0);
    ((s * power(index) + 0.5) as u8, index)
}
