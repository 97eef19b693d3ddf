//! The measurements as a table and as JSON.

use std::fmt::Write;

use serde_json::json;

use crate::baseline;

/// The cost of a cycle with a number of axes.
pub(crate) struct Line {
    /// Axes.
    pub(crate) axes: usize,
    /// Instructions of a cycle.
    pub(crate) instructions: f64,
}

/// The cost of the kernel's clock in user space, instructions.
pub(crate) struct Clock {
    /// One reading, including the vDSO.
    pub(crate) reading: u64,
    /// One sleep, before and after the system call.
    pub(crate) sleeping: u64,
}

/// All measurements. Counts are instructions of one cycle in user space, without the
/// devices.
pub(crate) struct Results {
    /// By number of axes; at least two entries.
    pub(crate) lines: Vec<Line>,
    /// One commanded axis, by mode.
    pub(crate) modes: Vec<(&'static str, f64)>,
    /// A controller without axes, on a clock without cost.
    pub(crate) empty: f64,
    /// The kernel's clock, read twice and slept on once in every cycle.
    pub(crate) clock: Clock,
    /// The cycle of one axis by function, in descending order.
    pub(crate) profile: Vec<(String, f64)>,
    /// On the wall clock, one core.
    pub(crate) free_cycles_per_second: f64,
}

/// A straight line through the counts.
struct Fit {
    /// Instructions of a cycle without axes.
    base: f64,
    /// Instructions per axis.
    slope: f64,
    /// The largest distance of a count from the line, in percent of the count.
    deviation_percent: f64,
}

impl Results {
    /// Least squares.
    fn fit(&self) -> Fit {
        let n = self.lines.len() as f64;
        let mean_x = self.lines.iter().map(|l| l.axes as f64).sum::<f64>() / n;
        let mean_y = self.lines.iter().map(|l| l.instructions).sum::<f64>() / n;
        let (mut above, mut below) = (0.0, 0.0);
        for line in &self.lines {
            let x = line.axes as f64 - mean_x;
            above += x * (line.instructions - mean_y);
            below += x * x;
        }
        let slope = above / below;
        let base = mean_y - slope * mean_x;
        let away = |line: &Line| {
            let fitted = base + slope * line.axes as f64;
            100.0 * (line.instructions - fitted).abs() / line.instructions
        };
        Fit {
            base,
            slope,
            deviation_percent: self.lines.iter().map(away).fold(0.0, f64::max),
        }
    }

    /// A cycle without axes with its two readings of the clock.
    pub(crate) fn with_readings(&self) -> f64 {
        self.empty + 2.0 * self.clock.reading as f64
    }

    /// A cycle without axes with its readings of the clock and its sleep.
    fn with_clock(&self) -> f64 {
        self.with_readings() + self.clock.sleeping as f64
    }

    /// The counts that are compared with accepted ones.
    pub(crate) fn figures(&self) -> baseline::Figures {
        let axes = self
            .lines
            .iter()
            .map(|line| (format!("axes {}", line.axes), line.instructions));
        let modes = self.modes.iter();
        let modes = modes.map(|(mode, count)| (format!("axes 1, commanded, {mode}"), *count));
        axes.chain(modes)
            .chain([(
                "axes none, clock read twice".to_owned(),
                self.with_readings(),
            )])
            .collect()
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "instructions of one cycle in user space, devices excluded"
        )?;
        writeln!(text, "{:<36} {:>12} {:>14}", "", "a cycle", "an axis")?;
        writeln!(text, "{:<36} {:>12.1}", "no axes", self.empty)?;
        let Clock { reading, sleeping } = self.clock;
        let (read, slept) = (self.with_readings(), self.with_clock());
        writeln!(text, "{:<36} {read:>12.1}", "no axes, clock read twice")?;
        writeln!(text, "{:<36} {slept:>12.1}", "no axes, slept as well")?;
        for line in &self.lines {
            let what = match line.axes {
                1 => "1 axis".to_owned(),
                axes => format!("{axes} axes"),
            };
            let each = line.instructions / line.axes as f64;
            writeln!(text, "{what:<36} {:>12.1} {each:>14.1}", line.instructions)?;
        }
        for (mode, instructions) in &self.modes {
            let what = format!("1 axis, commanded in mode {mode}");
            writeln!(text, "{what:<36} {instructions:>12.1}")?;
        }
        let fit = self.fit();
        writeln!(
            text,
            "linear: {:.1} + {:.1} for each axis, no count further off than {:.2} %",
            fit.base, fit.slope, fit.deviation_percent
        )?;
        writeln!(
            text,
            "clock: {reading} for a reading (vDSO included), {sleeping} for a sleep (kernel excluded)"
        )?;
        writeln!(
            text,
            "--pace free, one axis, wall time on this machine: {:.0} cycles/s",
            self.free_cycles_per_second
        )?;
        writeln!(text, "\nwhere the cycle of one axis goes")?;
        text.write_str(&functions(&self.profile))
    }

    /// The JSON document.
    pub(crate) fn json(&self) -> String {
        let fit = self.fit();
        let lines = self.lines.iter().map(|line| {
            json!({
                "axes": line.axes,
                "instructions": line.instructions,
                "instructions_per_axis": line.instructions / line.axes as f64,
            })
        });
        let modes = self
            .modes
            .iter()
            .map(|(mode, count)| json!({ "mode": mode, "instructions": count }));
        let profile = self
            .profile
            .iter()
            .map(|(name, count)| json!({ "function": name, "instructions": count }));
        let all = json!({
            "unit": "instructions of one cycle in user space, devices excluded",
            "axes": lines.collect::<Vec<_>>(),
            "fit": {
                "base": fit.base,
                "per_axis": fit.slope,
                "deviation_percent": fit.deviation_percent,
            },
            "one_commanded_axis": modes.collect::<Vec<_>>(),
            "no_axes": self.empty,
            "clock_reading": self.clock.reading,
            "clock_sleep": self.clock.sleeping,
            "no_axes_with_readings": self.with_readings(),
            "no_axes_with_readings_and_sleep": self.with_clock(),
            "free_cycles_per_second": self.free_cycles_per_second,
            "profile_of_one_axis": profile.collect::<Vec<_>>(),
        });
        format!("{all:#}\n")
    }
}

/// A line for each function with an instruction or more.
pub(crate) fn functions(functions: &[(String, f64)]) -> String {
    let shown = functions.iter().filter(|(_, count)| *count >= 1.0);
    shown
        .map(|(name, count)| format!("{count:>10.1}  {name}\n"))
        .collect()
}
