//! Refused starts, one reason at a time, on the i.MX 8M Plus EVK: exit status, row of the
//! contract, insufficient limit and fix; no output leaves its safe value, measured on the
//! pins.
//!
//! Several starts share a boot, because a refused start has no lasting effect. The same
//! user with higher limits is tested in `granted`.

use crate::guest::{
    AS_USER, HOLD, LIMIT, ONE_CPU, OPEN_TO_ALL, SHOW, SHOWN, board_file, broken_rows, energising,
    exit_status, healthy, let_go, ready, report_of, require_number, serve_chips, servo, unbind,
};
use crate::{Context, Failure, Kernel, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::emulator::Boot;
use testbed::machine::Machine;
use testbed::pins::Mark;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "each_missing_privilege_is_refused_by_name_and_nothing_is_energised",
        run: one_reason,
    },
    Test {
        name: "a_kernel_without_preempt_rt_is_refused",
        run: plain_kernel,
    },
];

/// One start and its expected result.
struct Start {
    name: &'static str,
    /// Shell lines before it, in a shell that ends with it.
    before: &'static str,
    /// The change of the board's file, besides the CPU.
    change: Option<(&'static str, &'static str)>,
    by: By,
    expected: Expected,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum By {
    Root,
    /// An unprivileged user without capabilities.
    User,
}

enum Expected {
    /// Exit status 3: exactly these rows of the contract are broken, and the first contains
    /// `words`.
    Refused {
        rows: &'static [&'static str],
        words: &'static [&'static str],
    },
    /// Exit status 1, and standard error contains `words`.
    Failed { words: &'static [&'static str] },
}
use By::{Root, User};
use Expected::{Failed, Refused};

/// Starts before the chips are served, and before the user may open the devices.
const WITHOUT_DEVICES: [Start; 2] = [
    Start {
        name: "the SPI devices are missing",
        before: "",
        change: None,
        by: Root,
        expected: Failed {
            words: &[
                ".toml:",
                "/dev/spidev3.0",
                "no such device",
                "controller's driver",
            ],
        },
    },
    Start {
        name: "the GPIO chip belongs to root",
        before: "",
        change: None,
        by: User,
        expected: Failed {
            words: &["GPIO chip", "run as root"],
        },
    },
];

const STARTS: [Start; 9] = [
    Start {
        name: "a chip of this label is missing",
        before: "",
        change: Some(("chip = \"30200000.gpio\"", "chip = \"elsewhere\"")),
        by: Root,
        expected: Failed {
            words: &[
                "no GPIO chip has the name or label \"elsewhere\"",
                "30200000.gpio",
            ],
        },
    },
    Start {
        name: "a line is in use",
        before: "base=$(grep -l 30200000.gpio /sys/class/gpio/gpiochip*/label | head -n1)
base=${base%/label}; base=$((${base##*gpiochip} + 6))
echo $base >/sys/class/gpio/export
trap 'echo $base >/sys/class/gpio/unexport' EXIT",
        change: None,
        by: Root,
        expected: Failed {
            words: &["line 6 is in use by sysfs"],
        },
    },
    Start {
        name: "the watchdog belongs to root",
        before: "chmod 600 /dev/watchdog; trap 'chmod 666 /dev/watchdog' EXIT",
        change: None,
        by: User,
        expected: Failed {
            words: &[".toml:", "/dev/watchdog", "permission denied", "EACCES"],
        },
    },
    Start {
        name: "the user may lock 512 kB",
        before: "ulimit -l 512; ulimit -r 98",
        change: None,
        by: User,
        expected: Refused {
            rows: &["memory lock", "locked memory"],
            words: &["RLIMIT_MEMLOCK allows 512 kB", "cap_ipc_lock", "ulimit -l"],
        },
    },
    Start {
        name: "the user may lock nothing",
        before: "ulimit -l 0; ulimit -r 98",
        change: None,
        by: User,
        expected: Refused {
            rows: &["memory lock", "locked memory"],
            words: &["RLIMIT_MEMLOCK is 0 kB", "cap_ipc_lock"],
        },
    },
    Start {
        name: "the user has no real-time priority",
        before: "ulimit -l unlimited; ulimit -r 0",
        change: None,
        by: User,
        expected: Refused {
            rows: &["scheduler", "stall guard"],
            words: &[
                "priority 80 is above RLIMIT_RTPRIO, which is 0",
                "cap_sys_nice",
            ],
        },
    },
    Start {
        name: "the user may not hold the CPU awake",
        before: "ulimit -l unlimited; ulimit -r 98; chmod 600 /dev/cpu_dma_latency
trap 'chmod 666 /dev/cpu_dma_latency' EXIT",
        change: None,
        by: User,
        expected: Refused {
            rows: &["cpu latency"],
            words: &["EACCES", "udev rule"],
        },
    },
    Start {
        name: "the CPU is not there",
        before: "",
        change: Some(("cpu = 0", "cpu = 7")),
        by: Root,
        expected: Refused {
            rows: &["cpu"],
            words: &["there is no CPU 7"],
        },
    },
    Start {
        name: "no CPU is isolated",
        before: "",
        change: Some(("cpu = 0", "cpu = \"isolated\"")),
        by: Root,
        expected: Refused {
            rows: &["cpu"],
            words: &["an isolated CPU", "isolcpus="],
        },
    },
];

const PLAIN: [Start; 1] = [Start {
    name: "the kernel is not real-time",
    before: "",
    change: None,
    by: Root,
    expected: Refused {
        // Without PREEMPT_RT the kernel also moves locked pages.
        rows: &["kernel", "compaction"],
        words: &["PREEMPT_RT", "linux-image-rt-arm64"],
    },
}];

impl Start {
    /// Path of its board file in the guest.
    fn board_file(&self) -> String {
        format!("/{}.toml", self.name.replace(' ', "-"))
    }

    /// Shell lines that start the firmware and show the result.
    fn script(&self) -> String {
        let by = match self.by {
            Root => "",
            User => AS_USER,
        };
        format!(
            "echo '@@case {name}'
rm -f /tmp/report.json /run/steadfast/* /data/steadfast/black-box/*
(
{before}
{by}/steadfast run --board {file} --cycles 100 --quiet --json /tmp/report.json 2>&1
){SHOW}",
            name = self.name,
            file = self.board_file(),
            before = self.before,
        )
    }

    fn judge(&self, lines: &[String]) -> Result<(), Failure> {
        let (text, words) = match self.expected {
            Failed { words } => {
                let status = exit_status(lines)?;
                require(status == 1, || format!("exit status {status}, not 1"))?;
                (lines.join("\n"), words)
            }
            Refused { rows, words } => {
                let report = report_of(lines, 3)?;
                let broken = broken_rows(&report);
                let names: Vec<&str> = broken
                    .iter()
                    .filter_map(|row| row["name"].as_str())
                    .collect();
                require(names == rows, || {
                    format!("expected the broken rows {rows:?}, got {broken:?}")
                })?;
                require_number(&report, "/cycles/run", 0)?;
                let reason = report["exit"]["reason"].as_str().unwrap_or_default();
                require(reason.contains(rows[0]), || {
                    format!("the reason does not name the row: {reason}")
                })?;
                (broken[0].to_string(), words)
            }
        };
        let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
        require(missing.is_empty(), || {
            format!("{missing:?} is missing in: {text}")
        })
    }
}

/// A boot with one CPU and the board file of each start.
fn boot<'a>(context: &'a Context<'a>, starts: &[&[Start]]) -> Result<Boot<'a>, Failure> {
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU])?;
    let mut boot = ready(context, &IMX8MP_EVK, &text)?
        .program("examples/as_user")?
        .cpus(1);
    for start in starts.iter().copied().flatten() {
        let changed = match start.change {
            Some((old, new)) => text.replace(old, new),
            None => text.clone(),
        };
        require(changed != text || start.change.is_none(), || {
            format!("{:?} is not in the board file", start.change)
        })?;
        boot = boot.file(&start.board_file(), 0o644, changed.as_bytes());
    }
    Ok(boot)
}

/// Judges the starts in the order of the guest's script.
fn judge(machine: &mut Machine, starts: &[Start]) -> Result<(), Failure> {
    for start in starts {
        let lines = machine.collect_until(SHOWN, LIMIT)?;
        start
            .judge(&lines)
            .map_err(|failure| Failure::new(format!("{}: {failure}", start.name)))?;
    }
    Ok(())
}

/// Requires that since `start` no line was energised, the heartbeat did not toggle, and the
/// lamp, whose safe state is lit, was lit.
fn require_safe(machine: &mut Machine, start: Mark) -> Result<(), Failure> {
    let lines = IMX8MP_EVK.lines;
    // The emulator answers after all earlier edges.
    let now = machine.pins.drive(lines.reset, false)?;
    let edges = machine.pins.between(start, now);
    let [enable, brake] = energising(&IMX8MP_EVK);
    let energised = edges
        .iter()
        .find(|edge| edge.level && [enable, brake, lines.heartbeat].contains(&edge.line));
    require(energised.is_none(), || {
        format!("an output left its safe value: {energised:?}")
    })?;
    require(
        edges
            .iter()
            .any(|edge| edge.level && edge.line == lines.fault_lamp),
        || "the fault lamp was not lit: no edges were recorded".to_owned(),
    )
}

fn one_reason(context: &Context<'_>) -> Result<(), Failure> {
    let mut script = unbind(&IMX8MP_EVK);
    for start in &WITHOUT_DEVICES {
        script += &start.script();
    }
    script += &serve_chips(&IMX8MP_EVK, "");
    script += OPEN_TO_ALL;
    for start in &STARTS {
        script += &start.script();
    }
    script += HOLD;
    let boot = boot(context, &[&WITHOUT_DEVICES, &STARTS])?;
    let mut machine = boot.start(&healthy(&IMX8MP_EVK), &script)?;
    let start = machine.pins.mark();
    judge(&mut machine, &WITHOUT_DEVICES)?;
    judge(&mut machine, &STARTS)?;
    require_safe(&mut machine, start)?;
    let_go(machine)
}

fn plain_kernel(context: &Context<'_>) -> Result<(), Failure> {
    let script = servo(&IMX8MP_EVK) + &PLAIN[0].script() + HOLD;
    let boot = boot(context, &[&PLAIN])?.kernel(Kernel::Plain);
    let mut machine = boot.start(&healthy(&IMX8MP_EVK), &script)?;
    let start = machine.pins.mark();
    judge(&mut machine, &PLAIN)?;
    require_safe(&mut machine, start)?;
    let_go(machine)
}
