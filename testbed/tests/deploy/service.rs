//! The controller as a service: its user, its permissions, its start.

use std::sync::Arc;

use crate::card::Card;
use crate::target::{Cpus, LIMIT, Target};
use crate::{
    Boot, Case, Failure, GENERIC, Host, crashes, data, first_boot, isolation, loader, report,
    require,
};
use testbed::machine::Transcript;

pub(crate) const BOOT: Boot = Boot {
    name: "service",
    host: GENERIC,
    start,
    cases: &[
        first_boot::CASES,
        CASES,
        isolation::CASES,
        data::CASES,
        crashes::CASES,
        report::CASES,
        loader::CASES,
    ],
};

const CASES: &[Case] = &[
    Case {
        name: "the_service_runs_as_its_own_user_without_capabilities_under_a_kept_contract",
        run: own_user,
    },
    Case {
        name: "the_first_cycle_follows_the_kernel_start_within_its_bound",
        run: first_cycle,
    },
    Case {
        name: "the_loop_has_its_priority_and_its_cpu_and_its_memory_is_locked",
        run: real_time,
    },
    Case {
        name: "the_sandbox_is_rated_1_0_or_better_and_the_units_pass_systemd_analyze_verify",
        run: sandbox,
    },
    Case {
        name: "a_restart_is_reported_done_after_the_first_cycle",
        run: ready,
    },
    Case {
        name: "a_refused_contract_is_never_active_and_energises_nothing",
        run: refused,
    },
    Case {
        name: "a_board_that_arms_at_start_is_refused_and_not_restarted",
        run: at_start,
    },
];

fn start(host: &Host, transcript: Arc<Transcript>) -> Result<Target, Failure> {
    let card = Card::copied(host)?.logged()?;
    first_boot::edit(&card)?;
    let mut target = Target::power_on(host, transcript, card, Cpus::All)?;
    target.boots()?;
    first_boot::is_reported(&mut target)?;
    target.is_up()?;
    Ok(target)
}

/// The words of a line of /proc/PID/status.
fn words<'l>(lines: &'l [String], key: &str) -> Vec<&'l str> {
    let found = lines.iter().find_map(|line| line.strip_prefix(key));
    found.unwrap_or_default().split_whitespace().collect()
}

fn own_user(target: &mut Target) -> Result<(), Failure> {
    let text = target.unit("StatusText")?;
    require(text.starts_with("real-time: contract kept"), || {
        format!("expected the status 'real-time: contract kept', got '{text}'")
    })?;
    let pid = target.unit("MainPID")?;
    let user = target.ask("id -u steadfast")?;
    require(user != "0", || "the service runs as root".to_owned())?;
    let (_, lines) = target.run(&format!("cat /proc/{pid}/status"))?;
    require(words(&lines, "Uid:") == [user.as_str(); 4], || {
        format!("expected the user {user}, got {:?}", words(&lines, "Uid:"))
    })?;
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        require(words(&lines, set) == ["0000000000000000"], || {
            format!("expected no capability in {set} {:?}", words(&lines, set))
        })?;
    }
    require(words(&lines, "NoNewPrivs:") == ["1"], || {
        "NoNewPrivs is not set".to_owned()
    })?;
    // 2: a filter (seccomp(2)).
    require(words(&lines, "Seccomp:") == ["2"], || {
        "the system calls are not filtered".to_owned()
    })
}

fn first_cycle(target: &mut Target) -> Result<(), Failure> {
    /// Guest time, in which the four CPUs run one after the other. About 10 s are needed.
    const MOST_MS: u64 = 90_000;
    // Microseconds of the monotonic clock, which starts with the kernel.
    let started = target.unit_number("ExecMainStartTimestampMonotonic")? / 1000;
    let active = target.unit_number("ActiveEnterTimestampMonotonic")? / 1000;
    target.say(&format!(
        "kernel start to first cycle: {active} ms of guest time, of which the firmware {} ms",
        active - started
    ));
    require(0 < active && active < MOST_MS, || {
        format!("the first cycle ran {active} ms after the kernel's start, expected < {MOST_MS}")
    })
}

/// Policy, priority and CPU of each thread of the controller: fields 41, 40 and 39
/// of proc_pid_stat(5).
pub(crate) fn threads(target: &mut Target) -> Result<Vec<[String; 3]>, Failure> {
    let pid = target.unit("MainPID")?;
    let (_, lines) = target.run(&format!("cat /proc/{pid}/task/*/stat"))?;
    let threads = lines.iter().filter_map(|line| {
        let (_, rest) = line.rsplit_once(')')?;
        // The first of them is field 3.
        let field = |number: usize| rest.split_whitespace().nth(number - 3).map(str::to_owned);
        Some([field(41)?, field(40)?, field(39)?])
    });
    Ok(threads.collect())
}

fn real_time(target: &mut Target) -> Result<(), Failure> {
    let threads = threads(target)?;
    let fifo: Vec<&[String; 3]> = threads
        .iter()
        .filter(|[policy, ..]| policy == "1")
        .collect();
    // The loop, and one above it the stall guard.
    for priority in ["80", "81"] {
        require(fifo.iter().any(|[_, found, _]| found == priority), || {
            format!("no thread of priority {priority}: {threads:?}")
        })?;
    }
    require(
        fifo.iter()
            .any(|[_, priority, cpu]| priority == "80" && cpu == "3"),
        || format!("the loop is not on CPU 3: {threads:?}"),
    )?;
    let pid = target.unit("MainPID")?;
    let (_, lines) = target.run(&format!("cat /proc/{pid}/status"))?;
    let kilobytes = |key| {
        words(&lines, key)
            .first()
            .and_then(|number| number.parse().ok())
    };
    let (locked, resident): (Option<u64>, Option<u64>) = (kilobytes("VmLck:"), kilobytes("VmRSS:"));
    require(
        locked
            .zip(resident)
            .is_some_and(|(locked, resident)| locked + 32 >= resident),
        || format!("{locked:?} kB of {resident:?} are locked"),
    )
}

fn sandbox(target: &mut Target) -> Result<(), Failure> {
    let rated = target.ask("systemd-analyze security --threshold=10 --no-pager steadfast | tail -n 1; systemd-analyze security --threshold=10 --no-pager steadfast >/dev/null")?;
    let version = target.ask("systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p'")?;
    target.say(&format!("systemd {version}: {rated}"));
    let (status, lines) = target.run("cd /usr/lib/systemd/system && systemd-analyze verify --man=no steadfast.service steadfast-card.service steadfast-health.service steadfast-rt-setup.service steadfast-ssh.service data.mount mnt-env.mount 2>&1")?;
    require(status == 0 && lines.is_empty(), || {
        format!("systemd-analyze verify: {status}, {lines:?}")
    })?;
    let (status, lines) = target.run(
        "udevadm verify --no-style --no-summary /usr/lib/udev/rules.d/60-steadfast.rules 2>&1",
    )?;
    require(status == 0, || {
        format!("udevadm verify: {status}, {lines:?}")
    })
}

fn ready(target: &mut Target) -> Result<(), Failure> {
    let heartbeat = target.lines().heartbeat;
    target.ask("systemctl stop steadfast")?;
    let before = target.now()?;
    target.ask("systemctl start steadfast")?;
    let after = target.now()?;
    require(
        target.machine().pins.count(heartbeat, before, after) > 0,
        || "systemd reported the start before the first cycle".to_owned(),
    )?;
    target
        .machine()
        .pins
        .wait_for_edges(after, heartbeat, 20, LIMIT)
        .map(drop)
}

/// Changes the unit until [`unchange`].
pub(crate) fn change(target: &mut Target, settings: &str) -> Result<(), Failure> {
    let folder = "/run/systemd/system/steadfast.service.d";
    target.ask(&format!(
        "mkdir -p {folder} && printf '{settings}\\n' >{folder}/90-test.conf && systemctl daemon-reload && systemctl stop steadfast && systemctl reset-failed steadfast"
    )).map(drop)
}

/// Removes the change, and starts the controller with the shipped unit.
pub(crate) fn unchange(target: &mut Target) -> Result<(), Failure> {
    target.ask("rm /run/systemd/system/steadfast.service.d/90-test.conf && systemctl daemon-reload && systemctl stop steadfast && { systemctl reset-failed steadfast; systemctl start steadfast; }").map(drop)
}

/// Fails if enable or brake release rose since `from`.
pub(crate) fn not_energised(target: &mut Target, from: testbed::pins::Mark) -> Result<(), Failure> {
    let now = target.now()?;
    for line in [target.lines().enable, target.lines().brake_release] {
        let edges = target.machine().pins.between(from, now);
        require(
            !edges.iter().any(|edge| edge.line == line && edge.level),
            || format!("line {line} was energised without reset being pressed"),
        )?;
    }
    Ok(())
}

fn refused(target: &mut Target) -> Result<(), Failure> {
    let from = target.now()?;
    let active = target.unit("ActiveEnterTimestampMonotonic")?;
    change(
        target,
        "[Unit]\\nStartLimitBurst=2\\n[Service]\\nLimitRTPRIO=0",
    )?;
    let (status, _) = target.run("systemctl start steadfast")?;
    require(status != 0, || {
        "a start without SCHED_FIFO was reported as successful".to_owned()
    })?;
    target.until("[ \"$(systemctl show -P ActiveState steadfast)\" = failed ]")?;
    require(target.unit_number("ExecMainStatus")? == 3, || {
        "it did not end with exit status 3".to_owned()
    })?;
    require(
        target.unit("ActiveEnterTimestampMonotonic")? == active,
        || "the unit was active".to_owned(),
    )?;
    let text = target.unit("StatusText")?;
    require(text.contains("contract refused"), || {
        format!("expected the status 'contract refused', got '{text}'")
    })?;
    not_energised(target, from)?;
    unchange(target)?;
    target.until_active()
}

fn at_start(target: &mut Target) -> Result<(), Failure> {
    let from = target.now()?;
    target.ask("sed 's/arm = \"on-reset\"/arm = \"at-start\"/' /etc/steadfast/board.toml >/run/at-start.toml && grep -q at-start /run/at-start.toml")?;
    change(
        target,
        "[Service]\\nEnvironmentFile=\\nEnvironment=STEADFAST_BOARD=/run/at-start.toml",
    )?;
    let (status, _) = target.run("systemctl start steadfast")?;
    require(status != 0, || "the unit was started".to_owned())?;
    require(target.unit("ActiveState")? == "failed", || {
        "the unit is not in the state failed".to_owned()
    })?;
    require(target.unit_number("ExecMainStatus")? == 2, || {
        "it did not end with exit status 2".to_owned()
    })?;
    require(target.unit_number("NRestarts")? == 0, || {
        "the unit was restarted".to_owned()
    })?;
    not_energised(target, from)?;
    unchange(target)?;
    target.until_active()
}
