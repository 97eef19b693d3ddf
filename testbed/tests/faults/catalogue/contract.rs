//! The contract: a granted promise is revoked while the loop runs.
//!
//! A changed CPU affinity is tested in the board tier (`testbed/tests/board/audited.rs`),
//! because the campaign's board has one CPU.

use super::{Fault, Outcome, Program};
use crate::state::State;

/// The audit polls once a second; then the axis stops on its ramp.
const AUDITED: Fault = Fault {
    states: &[State::SwitchOnDisabled, State::Standing, State::Moving],
    outcome: |_| Outcome::Stops { code: 4 },
    watch_ms: 1_500,
    ..Fault::EMPTY
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "priority of the loop lowered",
        injected: "`chrt -o -p 0` on the loop thread",
        inject: "for task in /proc/$pid/task/*; do
chrt -p ${task##*/} | grep -q 'priority: 80' && chrt -o -p 0 ${task##*/}
done
",
        words: |_| "contract broken while running: scheduler: OTHER instead of FIFO 80",
        ..AUDITED
    },
    Fault {
        name: "priority of the stall guard lowered",
        injected: "`chrt -o -p 0` on the guard thread",
        inject: "for task in /proc/$pid/task/*; do
chrt -p ${task##*/} | grep -q 'priority: 81' && chrt -o -p 0 ${task##*/}
done
",
        states: &[State::Moving],
        words: |_| "contract broken while running: stall guard: OTHER instead of FIFO 81",
        ..AUDITED
    },
    Fault {
        name: "pages unlocked",
        injected: "munlockall(2) called by the control law",
        program: Program::Law("unlock"),
        words: |_| "contract broken while running: locked memory",
        ..AUDITED
    },
    Fault {
        name: "`/dev/cpu_dma_latency` closed",
        injected: "its descriptor closed by the control law",
        program: Program::Law("close-latency"),
        words: |_| "contract broken while running: cpu latency",
        ..AUDITED
    },
    Fault {
        name: "real-time throttling tightened",
        injected: "`sched_rt_runtime_us` set to 900000",
        inject: "echo 900000 >/proc/sys/kernel/sched_rt_runtime_us\n",
        cure: "echo 950000 >/proc/sys/kernel/sched_rt_runtime_us\n",
        states: &[State::Moving],
        words: |_| "contract broken while running: throttling: 900000 us",
        ..AUDITED
    },
    Fault {
        name: "compaction of locked pages enabled",
        injected: "`vm.compact_unevictable_allowed` set to 1",
        inject: "echo 1 >/proc/sys/vm/compact_unevictable_allowed\n",
        cure: "echo 0 >/proc/sys/vm/compact_unevictable_allowed\n",
        states: &[State::Moving],
        words: |_| "contract broken while running: compaction",
        ..AUDITED
    },
    Fault {
        name: "priority of the loop lowered, on_broken is report",
        injected: "`chrt -o -p 0` on the loop thread, with `on_broken = \"report\"`",
        file: Some("/reporting.toml"),
        inject: "for task in /proc/$pid/task/*; do
chrt -p ${task##*/} | grep -q 'priority: 80' && chrt -o -p 0 ${task##*/}
done
",
        states: &[State::Moving],
        outcome: |_| Outcome::Reported { code: 4 },
        words: |_| "contract broken while running: scheduler: OTHER instead of FIFO 80",
        ..AUDITED
    },
];
