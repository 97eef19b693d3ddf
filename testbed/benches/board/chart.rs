//! The distributions as an SVG drawing: the share of cycles that took longer, on a
//! logarithmic scale, which shows rare long cycles.

use crate::distribution::Distribution;
use crate::measure::{Figures, Program, Times};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
/// Distance of the panels.
const STEP: (f64, f64) = (WIDTH + 90.0, HEIGHT + 90.0);
/// The smallest share that is drawn; a share of 0 is drawn there too.
const LEAST: f64 = 1e-4;

fn colour(program: Program) -> &'static str {
    // Distinguishable with colour blindness (palette of Okabe and Ito).
    match program {
        Program::Firmware => "#d55e00",
        Program::MinimalLoop => "#0072b2",
        Program::Cyclictest => "#000000",
    }
}

type Pick = fn(&Times) -> Option<&Distribution>;
type Choose = fn(&Figures) -> &Times;

/// The drawing, an SVG document.
pub(crate) fn draw(all: &[Figures]) -> String {
    let panels: [(&str, Choose, Pick); 4] = [
        ("release lateness, idle", |f| &f.idle, |t| Some(&t.lateness)),
        (
            "release lateness, beside hackbench",
            |f| &f.loaded,
            |t| Some(&t.lateness),
        ),
        ("execution, idle", |f| &f.idle, |t| t.execution.as_ref()),
        (
            "execution, beside hackbench",
            |f| &f.loaded,
            |t| t.execution.as_ref(),
        ),
    ];
    let (width, height) = (2.0 * STEP.0 + 20.0, 2.0 * STEP.1 + 60.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, (title, times, pick)) in panels.into_iter().enumerate() {
        let (column, row) = ((index % 2) as f64, (index / 2) as f64);
        let curves: Vec<(Program, &Distribution)> = all
            .iter()
            .filter_map(|figures| Some((figures.program, pick(times(figures))?)))
            .collect();
        svg += &format!(
            "<g transform=\"translate({} {})\">\n{}</g>\n",
            LEFT + column * STEP.0,
            TOP + row * STEP.1,
            panel(title, &curves)
        );
    }
    let mut x = LEFT;
    let y = 2.0 * STEP.1 + 30.0;
    for figures in all {
        let (colour, title) = (colour(figures.program), figures.program.title());
        svg += &format!(
            "<path d=\"M{x} {y}h30\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"{}\" y=\"{}\">{title}</text>\n",
            x + 36.0,
            y + 4.0
        );
        x += 210.0;
    }
    svg += &format!(
        "<text x=\"{x}\" y=\"{}\" fill=\"#555\">circles: all that steadfast reports</text>\n</svg>\n",
        y + 4.0
    );
    svg
}

/// One diagram, its origin at the top left of the axes.
fn panel(title: &str, curves: &[(Program, &Distribution)]) -> String {
    let longest = curves.iter().map(|(_, curve)| curve.summary.max).max();
    let most_us = (f64::from(longest.unwrap_or(1)) / 1e3 * 1.05)
        .ceil()
        .max(1.0);
    let across = |ns: u32| f64::from(ns) / 1e3 / most_us * WIDTH;
    let down = |share: f64| share.max(LEAST).log10() / LEAST.log10() * HEIGHT;
    let mut svg = format!("<text x=\"0\" y=\"-12\" font-weight=\"bold\">{title}</text>\n");
    for exponent in 0..=4 {
        let y = down(10_f64.powi(-exponent));
        let label = match exponent {
            4 => "0".to_owned(),
            _ => format!("{} %", 100.0 / 10_f64.powi(exponent)),
        };
        svg += &format!(
            "<path d=\"M0 {y}h{WIDTH}\" stroke=\"#ddd\"/>\
             <text x=\"-6\" y=\"{}\" text-anchor=\"end\">{label}</text>\n",
            y + 4.0
        );
    }
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        .into_iter()
        .find(|step| most_us / step <= 12.0)
        .unwrap_or(1_000.0);
    let mut at = 0.0;
    while at <= most_us {
        let x = at / most_us * WIDTH;
        svg += &format!(
            "<path d=\"M{x:.2} 0v{HEIGHT}\" stroke=\"#eee\"/>\
             <text x=\"{x:.2}\" y=\"{}\" text-anchor=\"middle\">{at}</text>\n",
            HEIGHT + 18.0
        );
        at += step;
    }
    svg += &format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">us; share of cycles that took longer</text>\n",
        WIDTH,
        HEIGHT + 36.0
    );
    for (program, curve) in curves {
        let colour = colour(*program);
        let mut path = format!("M{:.2} {:.2}", across(curve.summary.min), down(1.0));
        for (ns, share) in &curve.curve {
            // Up to this time the share is that of the point before.
            path += &format!("H{:.2}V{:.2}", across(*ns), down(*share));
        }
        svg +=
            &format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n");
        if matches!(program, Program::Firmware) {
            for (ns, share) in &curve.curve {
                svg += &format!(
                    "<circle cx=\"{:.2}\" cy=\"{:.2}\" r=\"3.5\" fill=\"{colour}\"/>\n",
                    across(*ns),
                    down(*share)
                );
            }
        }
    }
    svg
}
