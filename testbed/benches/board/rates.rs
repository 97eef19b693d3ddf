//! The highest rate at which no slot is missed, idle and beside hackbench, for
//! one to eight axes.
//!
//! Every axis has an encoder and a DAC channel on the board's only SPI bus, and an enable
//! line. The guest searches for the shortest period by bisection.
//!
//! By registers there are one and two axes: ECSPI has four chip selects.

use std::fmt::Write as _;
use std::time::Duration;

use crate::guest::{Ready, SPIN_US, fast_clock};
use crate::host::Prepared;
use testbed::boards::{Board, healthy};
use testbed::context::Context;
use testbed::emulator::Boot;
use testbed::failure::{Failure, require};
use testbed::fixed_encoder::{self, READY, SHARED, UNBIND, by_registers, write_frames};

/// How the chips are reached.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Kernel,
    Registers,
    /// By registers, and the clock is watched for half of the period, at most [`SPIN_US`].
    Both,
}

impl Access {
    const fn axes(self) -> &'static [usize] {
        match self {
            Self::Kernel => &[1, 2, 4, 8],
            Self::Registers | Self::Both => &[1, 2],
        }
    }

    /// The chips of two axes: two encoders, and one DAC with two channels.
    fn apply(self, text: &str) -> String {
        match self {
            Self::Kernel => text.to_owned(),
            Self::Registers | Self::Both => {
                fast_clock(&by_registers(text, &[(0, 0), (1, 1), (8, 2)]))
            }
        }
    }

    const fn prepare(self) -> &'static str {
        match self {
            Self::Kernel => "",
            Self::Registers | Self::Both => UNBIND,
        }
    }

    /// Shell words of sed that set how the loop waits, at a period of `$2` us. With one CPU the
    /// watch takes more of it than the contract permits beside others, so the run is one of
    /// best effort.
    fn wake(self) -> String {
        match self {
            Self::Kernel | Self::Registers => String::new(),
            Self::Both => format!(
                r#"-e 's/^realtime = .*/realtime = "best-effort"/' -e "s/^\[loop\]/[loop]\nwake = \"spin\"\nspin_us = $(($2 < 2 * {SPIN_US} ? $2 / 2 : {SPIN_US}))/""#
            ),
        }
    }
}

/// Cycles of each attempt.
const CYCLES: u32 = 2_000;
/// A period below the shortest of a board file, the longest, and the resolution, us.
const PERIODS_US: [u32; 3] = [15, 1_500, 5];
/// Wall time for the whole boot.
const LIMIT: Duration = Duration::from_secs(3_600);

/// The result for a number of axes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Rate {
    pub(crate) axes: usize,
    /// Shortest period without a missed slot, us.
    pub(crate) idle_us: u32,
    pub(crate) loaded_us: u32,
}

/// Boots, and searches for the shortest periods.
///
/// # Errors
/// The board does not boot, or slots are missed even at the longest period.
pub(crate) fn measure(
    host: &Prepared,
    context: &Context<'_>,
    ready: &Ready,
    access: Access,
) -> Result<Vec<Rate>, Failure> {
    let board: &'static Board = Box::leak(Box::new(Board {
        further_overlay: Some("testbed/trees/axes.dtso"),
        ..*fixed_encoder::board(&write_frames(&host.output)?)
    }));
    let mut boot = ready.put_load(Boot::new(context, board).cpus(1).parameters(SHARED).file(
        "/steadfast",
        0o755,
        &ready.firmware,
    ));
    for axes in access.axes() {
        let text = access.apply(&with_axes(&ready.board_file, *axes)?);
        boot = boot.file(&format!("/axes-{axes}.toml"), 0o644, text.as_bytes());
    }
    let finished = boot
        .start(&healthy(board), &script(access))?
        .finish(LIMIT)?;
    access
        .axes()
        .iter()
        .map(|axes| {
            let found = |load: &str| {
                let begin = format!("@@rate {axes} {load} ");
                finished
                    .lines
                    .iter()
                    .find_map(|line| line.strip_prefix(begin.as_str())?.parse().ok())
                    .ok_or_else(|| {
                        Failure::new(format!(
                            "{axes} axes, {load}: slots are missed at {} us",
                            PERIODS_US[1]
                        ))
                    })
            };
            Ok(Rate {
                axes: *axes,
                idle_us: found("idle")?,
                loaded_us: found("loaded")?,
            })
        })
        .collect()
}

/// The table of benches/BOARD.md.
pub(crate) fn table(rates: &[Rate]) -> String {
    let mut text =
        "| axes | shortest period idle, us | beside hackbench, us |\n|---:|---:|---:|\n".to_owned();
    for rate in rates {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            text,
            "| {} | {} ({:.1} kHz) | {} ({:.1} kHz) |",
            rate.axes,
            rate.idle_us,
            1e3 / f64::from(rate.idle_us),
            rate.loaded_us,
            1e3 / f64::from(rate.loaded_us),
        );
    }
    text
}

/// The board file `one` with `axes` copies of its axis.
fn with_axes(one: &str, axes: usize) -> Result<String, Failure> {
    const OF_AN_AXIS: [&str; 4] = ["[spi.", "[encoder.", "[analog_output.", "[output.enable"];
    let mut blocks = one.split("\n[");
    // Comments, before the first table.
    let mut text = blocks.next().unwrap_or_default().to_owned() + "\n";
    let mut axis = String::new();
    for block in blocks {
        let block = format!("[{block}\n");
        if block.starts_with("[axis.x") {
            axis += &block;
        } else if !OF_AN_AXIS.iter().any(|table| block.starts_with(table)) {
            text += &block;
        }
    }
    require(axis.contains("\nenable = \"enable\""), || {
        "board/imx8mp-evk/board.toml has no axis x with an enable line".to_owned()
    })?;
    // Without switches and brake, which the copies cannot share.
    let axis: String = axis
        .lines()
        .filter(|line| {
            !["negative_switch", "positive_switch", "brake_release ="]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    for n in 0..axes {
        let (channel, dac) = (if n % 2 == 0 { 'a' } else { 'b' }, n / 2);
        if n % 2 == 0 {
            let _ = write!(
                text,
                "[spi.dac{dac}]\ndevice = \"/dev/spidev3.{}\"\nspeed_hz = 1_000_000\n",
                8 + dac
            );
        }
        let _ = write!(
            text,
            "[spi.encoder{n}]\ndevice = \"/dev/spidev3.{n}\"\nspeed_hz = 1_000_000\n\
             [encoder.shaft{n}]\nchip = \"as5047p\"\nspi = \"encoder{n}\"\n\
             [output.enable{n}]\ngpio = \"gpio1\"\nline = {}\nsafe = false\n\
             max_hold_ms = 20\nshutdown = 1\n\
             [analog_output.torque{n}]\nchip = \"mcp4922\"\nspi = \"dac{dac}\"\n\
             channel = \"{channel}\"\nmin_volts = -10.0\nmax_volts = 10.0\n\
             safe_volts = 0.0\nmax_hold_ms = 20\nshutdown = 3\n",
            16 + n
        );
        text += &axis
            .replace("[axis.x", &format!("[axis.x{n}"))
            .replace("\"shaft\"", &format!("\"shaft{n}\""))
            .replace("\"torque\"", &format!("\"torque{n}\""))
            .replace("\"enable\"", &format!("\"enable{n}\""));
    }
    Ok(text)
}

fn script(access: Access) -> String {
    let axes = access.axes().iter().map(usize::to_string);
    let axes = axes.collect::<Vec<_>>().join(" ");
    let prepare = access.prepare();
    let wake = access.wake();
    let [shortest, longest, step] = PERIODS_US;
    format!(
        r#"set -e
{READY}
{prepare}
# kept AXES PERIOD: whether no slot is missed.
kept() {{
    # More axes lock more than the 2,048 kB of the board file, and 10 s of short periods are a
    # larger black box.
    sed -e "s/^period_us = .*/period_us = $2/; s/^max_locked_kb = .*/max_locked_kb = 4096/; s/^size_limit_kb = .*/size_limit_kb = 65536/" \
        {wake} /axes-$1.toml >/tmp/board.toml
    /steadfast run --board /tmp/board.toml --cycles {CYCLES} --quiet --json /tmp/report.json >/tmp/output 2>&1 &&
        grep -q '"skipped": 0,' /tmp/report.json && grep -q '"overruns": 0,' /tmp/report.json
}}
# shortest AXES LOAD
shortest() {{
    missed={shortest}
    well={longest}
    if ! kept $1 $well; then
        cat /tmp/output /tmp/report.json
        return 1
    fi
    while [ $((well - missed)) -gt {step} ]; do
        middle=$(((well + missed) / 2 / {step} * {step}))
        [ $middle -gt $missed ] || middle=$((missed + {step}))
        if kept $1 $middle; then well=$middle; else missed=$middle; fi
    done
    echo "@@rate $1 $2 $well"
}}
for axes in {axes}; do shortest $axes idle; done
/hackbench -g 1 -l 100000000 >/dev/null 2>&1 &
load=$!
sleep 1
for axes in {axes}; do shortest $axes loaded; done
kill -INT $load
wait $load || :
"#
    )
}
