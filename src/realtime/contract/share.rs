//! The rows about the CPU time of the loop: what it takes from others by watching the clock, what
//! the kernel's throttling leaves it, and what others take on a CPU of its own.

use crate::realtime::interrupts::{Disturbances, FEW};
use crate::realtime::observed::Observed;
use crate::realtime::platform::Throttling;
use crate::realtime::required::LoopConfig;
use crate::realtime::text::Text;
use crate::sys::Errno;
use crate::time::Duration;

/// Least time for real-time threads per second, us: the kernel's default (sched(7)).
const LEAST_SHARE_US: u64 = 950_000;

/// The longest watch of the clock on a CPU that others use, as a part of the period: they wait
/// for so long in each period, unless their priority is above that of the loop.
const SHARED_PART: u64 = 10;

/// The judgement of a row.
pub(super) struct Judged {
    pub(super) required: Text,
    pub(super) observed: Text,
    pub(super) kept: bool,
    pub(super) fix: Text,
}

/// Whether the throttling leaves real-time threads at least [`LEAST_SHARE_US`].
pub(in crate::realtime) fn leaves_enough(throttling: Option<Throttling>) -> bool {
    match throttling {
        None | Some(Throttling::Off) => true,
        Some(Throttling::MicrosPerPeriod(us)) => us >= LEAST_SHARE_US,
    }
}

/// Time that a loop which watches the clock is seen to use of each second, us: the watch and
/// the longest cycle of the rehearsal. 0 if it only sleeps.
fn used_us(config: &LoopConfig, observed: &Observed) -> u64 {
    let most = config.wake.most();
    if most == Duration::ZERO {
        return 0;
    }
    let cycle = observed.rehearsal.map_or(Duration::ZERO, |it| it.longest);
    (most + cycle).as_nanos() * 1_000_000 / config.period.as_nanos()
}

pub(super) fn throttling(config: &LoopConfig, observed: &Observed) -> Judged {
    let used = used_us(config, observed);
    let least = LEAST_SHARE_US.max(used);
    Judged {
        required: Text::of(format_args!("off, or {least} us of each second")),
        observed: match observed.throttling {
            None => Text::of(format_args!("not in this kernel")),
            Some(Throttling::Off) => Text::of(format_args!("off")),
            Some(Throttling::MicrosPerPeriod(us)) => {
                Text::of(format_args!("{us} us of each second"))
            }
        },
        kept: match observed.throttling {
            Some(Throttling::MicrosPerPeriod(us)) => us >= least,
            None | Some(Throttling::Off) => true,
        },
        fix: if used > LEAST_SHARE_US {
            Text::of(format_args!(
                "sysctl kernel.sched_rt_runtime_us=-1, or a shorter [loop] spin_us: with it the \
                 loop takes {used} us of each second"
            ))
        } else {
            Text::of(format_args!(
                "sysctl kernel.sched_rt_runtime_us=-1, or 950000"
            ))
        },
    }
}

/// The row of a loop that watches the clock; none if it only sleeps.
pub(super) fn wake(config: &LoopConfig, observed: &Observed) -> Option<Judged> {
    let most = config.wake.most();
    if most == Duration::ZERO {
        return None;
    }
    let own = match observed.cpu {
        Ok(Some(cpu)) => observed.isolated.contains(cpu),
        _ => false,
    };
    let kind = if own { "isolated" } else { "shared" };
    let percent = config.wake.percent(config.period);
    Some(Judged {
        required: Text::of(format_args!(
            "{most} of watching on an isolated CPU, or 10 % of a shared one"
        )),
        observed: Text::of(format_args!("{percent} % of a CPU that is {kind}")),
        kept: own || most * SHARED_PART <= config.period,
        fix: Text::of(format_args!(
            "boot with isolcpus=managed_irq,domain,N and set [loop] cpu = \"isolated\", or set \
             [loop] spin_us to at most {}: others on this CPU wait for so long",
            config.period.as_nanos() / SHARED_PART / 1_000
        )),
    })
}

/// The row of a loop on an isolated CPU: what really ran there instead of it.
pub(super) fn own_cpu(seen: Result<Disturbances, Errno>) -> Judged {
    let required = Text::of(format_args!(
        "no device's interrupts, no other thread first"
    ));
    let Disturbances {
        interrupts,
        preemptions,
    } = match seen {
        Ok(seen) => seen,
        Err(errno) => {
            return Judged {
                required,
                observed: Text::of(format_args!("/proc/interrupts cannot be read ({errno})")),
                kept: false,
                fix: Text::of(format_args!(
                    "mount /proc whole (ProcSubset=all in the unit)"
                )),
            };
        }
    };
    Judged {
        required,
        observed: Text::of(format_args!(
            "{interrupts} interrupts of devices, {preemptions} times another thread"
        )),
        kept: interrupts <= FEW && preemptions <= FEW,
        fix: if interrupts > FEW {
            Text::of(format_args!(
                "see the CPU's column of /proc/interrupts; write other CPUs to \
                 /proc/irq/N/smp_affinity_list (steadfast-rt-setup does), or boot with irqaffinity="
            ))
        } else {
            Text::of(format_args!(
                "find the thread above [loop] priority on this CPU (ps -eLo psr,rtprio,comm), and \
                 move it: taskset -p"
            ))
        },
    }
}
