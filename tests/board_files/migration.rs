//! docs/migration.md: what is said of board files of 0.1.0, and that what the page says to
//! write in their place is accepted.

use super::{Edit, LINUX, edit, edited, error_of};
use steadfast::config::Config;

/// `good` with `edits` is refused as the page says, and accepted with `mended` in the place
/// of the mark and of `wrong` behind it.
fn moved(good: &str, edits: &[Edit], (wrong, mended): (&str, &str)) {
    let marked = edited(good, edits);
    let error = error_of(&marked);
    let said = format!("`` {}; {} ``", error.what, error.fix);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/migration.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    assert!(page.contains(&said), "{said}");
    let wrong = format!("§{wrong}");
    assert_eq!(marked.matches(&wrong).count(), 1, "{wrong}");
    let config = Config::parse("b.toml", &marked.replace(&wrong, mended));
    config.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_page_on_migration_has_the_errors_and_their_remedies() {
    moved(
        LINUX,
        &[edit("output.enable", "= 20", "= §2")],
        ("2\nshutdown = 1", "5\nshutdown = 1"),
    );
    moved(
        LINUX,
        &[edit("loop", "failures = 3", "failures = §30")],
        ("30", "20"),
    );
    let long = LINUX
        .replace("max_hold_ms = 20", "max_hold_ms = 1000")
        .replace("stall_periods = 5\n", "");
    moved(
        &long,
        &[edit("watchdog", "timeout_s = 2", "timeout_s = §1")],
        ("1", "2"),
    );
    let adc = "device = \"/dev/spidev1.0\"";
    let fast = format!("{adc}\nspeed_hz = §2_000_000");
    moved(
        LINUX,
        &[edit("spi.adc", adc, &fast)],
        ("2_000_000", "1_000_000"),
    );
    let imx = LINUX.replace("pinctrl-bcm2711", "30200000.gpio");
    moved(
        &imx,
        &[edit(
            "input.emergency_stop",
            "\"pull-down\"",
            "§\"pull-down\"",
        )],
        ("\"pull-down\"", "\"as-is\""),
    );
}
