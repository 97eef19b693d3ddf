//! The contract on example values: all rows kept, and each row broken.

use super::super::observed::{Observed, Rehearsal};
use super::*;
use crate::cycle::wake::Wake;
use crate::realtime::interrupts::Disturbances;
use crate::realtime::memory::LockError;
use crate::realtime::platform::Throttling;
use crate::realtime::scheduler::RunawayLimit;
use crate::sys::Errno;
use crate::time::Duration;

fn config() -> LoopConfig {
    LoopConfig::default()
}

fn good() -> Observed {
    Observed {
        kernel: Text::of(format_args!("6.12.117-rt-arm64 #1 SMP PREEMPT_RT")),
        preempt_rt: true,
        locked: Ok(()),
        vm_lck_kb: 1_700,
        vm_rss_kb: 1_704,
        unlocked: Ok(None),
        policy: Ok(Policy::Fifo { priority: 80 }),
        cpu: Ok(Some(3)),
        isolated: crate::realtime::scheduler::parse_cpu_list("2-3").unwrap(),
        isolated_cpu: Some(3),
        in_partition: false,
        disturbances: Some(Ok(Disturbances::default())),
        dma_latency_us: Ok(Some(0)),
        timer_resolution_ns: Ok(1),
        throttling: Some(Throttling::Off),
        moves_locked_pages: Some(false),
        runaway: Ok(RunawayLimit::for_period(config().period)),
        guard: Some(Ok(Policy::Fifo { priority: 81 })),
        thread: 1,
        placement: Some(Placement {
            outside: None,
            used: 12_000,
        }),
        rehearsal: Some(Rehearsal {
            cycles: 90,
            sealed: true,
            stack_bytes: 65_536,
            stack_used: 9_000,
            ..Rehearsal::default()
        }),
    }
}

fn judged(observed: &Observed) -> Contract {
    let mut contract = Contract::default();
    contract.judge(&config(), observed);
    contract
}

#[test]
fn a_machine_that_grants_everything_keeps_the_contract() {
    let contract = judged(&good());
    assert!(contract.kept(), "{contract:#?}");
    assert!(
        contract
            .rows()
            .iter()
            .all(|row| row.fix.as_str().is_empty())
    );
}

#[test]
fn each_row_can_break_alone_and_names_its_fix() {
    type Spoil = fn(&mut Observed);
    fn rehearsal(observed: &mut Observed) -> &mut Rehearsal {
        observed.rehearsal.as_mut().unwrap()
    }
    let cases: &[(&str, Spoil)] = &[
        ("kernel", |f| f.preempt_rt = false),
        ("memory lock", |f| {
            f.locked = Err(LockError::NotPermitted { needed_kb: 1_700 })
        }),
        ("locked memory", |f| f.vm_lck_kb = 0),
        ("locked memory", |f| f.vm_lck_kb = 2_049),
        ("locked memory", |f| f.unlocked = Ok(Some("the heap"))),
        ("locked memory", |f| f.unlocked = Err(Errno(libc::ENOENT))),
        ("static memory", |f| {
            f.placement.as_mut().unwrap().outside = Some("the controller");
        }),
        ("stack", |f| rehearsal(f).stack_used = 60_000),
        ("scheduler", |f| f.policy = Ok(Policy::Other)),
        ("scheduler", |f| {
            f.policy = Ok(Policy::Fifo { priority: 79 })
        }),
        ("scheduler", |f| f.policy = Err(ScheduleError::NotPermitted)),
        ("stall guard", |f| f.guard = Some(Err(Errno(libc::EPERM)))),
        ("stall guard", |f| {
            f.guard = Some(Ok(Policy::Fifo { priority: 80 }));
        }),
        ("cpu", |f| f.cpu = Ok(Some(2))),
        ("cpu", |f| f.cpu = Ok(None)),
        ("cpu", |f| f.isolated_cpu = None),
        ("cpu", |f| f.cpu = Err(ScheduleError::NoSuchCpu { cpu: 3 })),
        ("cpu", |f| {
            f.in_partition = true;
            f.isolated = crate::realtime::scheduler::parse_cpu_list("3").unwrap();
        }),
        ("own cpu", |f| {
            f.disturbances = Some(Ok(Disturbances {
                interrupts: 3,
                preemptions: 0,
            }))
        }),
        ("own cpu", |f| {
            f.disturbances = Some(Ok(Disturbances {
                interrupts: 0,
                preemptions: 3,
            }))
        }),
        ("own cpu", |f| {
            f.disturbances = Some(Err(Errno(libc::ENOENT)))
        }),
        ("cpu latency", |f| {
            f.dma_latency_us = Err(Errno(libc::EACCES))
        }),
        ("cpu latency", |f| f.dma_latency_us = Ok(Some(100))),
        ("timer", |f| f.timer_resolution_ns = Ok(4_000_000)),
        ("throttling", |f| {
            f.throttling = Some(Throttling::MicrosPerPeriod(500_000))
        }),
        ("compaction", |f| f.moves_locked_pages = Some(true)),
        ("runaway limit", |f| {
            f.runaway = Err(Errno(libc::EPERM));
        }),
        ("runaway limit", |f| {
            let limit = f.runaway.unwrap();
            f.runaway = Ok(RunawayLimit {
                soft: limit.hard,
                ..limit
            });
        }),
        ("allocator", |f| rehearsal(f).sealed = false),
        ("allocator", |f| rehearsal(f).allocations = 1),
        ("page faults", |f| rehearsal(f).minor_faults = 1),
        ("page faults", |f| rehearsal(f).major_faults = 1),
    ];
    for (name, spoil) in cases {
        let mut observed = good();
        spoil(&mut observed);
        let contract = judged(&observed);
        let broken: std::vec::Vec<_> = contract.broken().collect();
        assert_eq!(broken.len(), 1, "{name}: {broken:#?}");
        assert_eq!(broken[0].name, *name);
        assert!(!broken[0].fix.as_str().is_empty(), "{name}");
    }
    for row in judged(&good()).rows() {
        assert!(
            cases.iter().any(|(name, _)| *name == row.name),
            "no case for {}",
            row.name
        );
    }
}

#[test]
fn a_contract_that_was_never_judged_is_not_kept() {
    assert!(!Contract::default().kept());
}

#[test]
fn the_default_real_time_throttling_is_accepted() {
    let mut observed = good();
    observed.throttling = Some(Throttling::MicrosPerPeriod(950_000));
    assert!(judged(&observed).kept());
}

#[test]
fn a_text_that_does_not_fit_is_cut_between_characters() {
    let long = "µ".repeat(300);
    assert_eq!(
        Text::of(format_args!("{long}")).as_str().chars().count(),
        128
    );
}

#[test]
fn a_later_breach_breaks_the_contract_and_only_kept_promises_are_audited() {
    let mut observed = good();
    let audited = judged(&observed).audited();
    let unaudited = Promise::ALL.into_iter().filter(|it| !audited.contains(*it));
    // Two promises without a row of the contract.
    assert!(unaudited.eq([Promise::Audit, Promise::Awake]), "{audited}");
    observed.policy = Ok(Policy::Other);
    let audited = judged(&observed).audited();
    assert!(!audited.contains(Promise::Scheduler) && audited.contains(Promise::PageFaults));
    observed.vm_lck_kb = 0;
    let audited = judged(&observed).audited();
    assert!(!audited.contains(Promise::PageFaults), "nothing is locked");

    let mut contract = judged(&good());
    let breach = Breach {
        promise: Promise::Cpu,
        at: crate::time::Duration::from_secs(1),
        found: heapless::String::new(),
    };
    contract.broke([breach].into_iter().collect());
    assert!(!contract.kept());
    contract.judge(&config(), &good());
    assert!(contract.kept(), "judged anew");
}

#[test]
fn a_watch_of_the_clock_needs_a_cpu_of_its_own_or_a_small_share() {
    let us = Duration::from_micros;
    let judge = |wake, cpu| {
        let config = LoopConfig { wake, ..config() };
        let mut contract = Contract::default();
        let cpu = Ok(cpu);
        contract.judge(&config, &Observed { cpu, ..good() });
        let row = contract.rows().iter().find(|row| row.name == "wake");
        row.map(|row| (row.verdict, row.observed.to_string(), row.fix.to_string()))
    };
    let kept = |text: &str| Some((Verdict::Kept, text.to_owned(), String::new()));
    assert_eq!(judge(Wake::Sleep, Some(3)), None);
    let isolated = kept("50 % of a CPU that is isolated");
    assert_eq!(judge(Wake::Spin(us(500)), Some(2)), isolated);
    let shared = kept("10 % of a CPU that is shared");
    assert_eq!(judge(Wake::Adaptive(us(100)), Some(0)), shared);
    for cpu in [Some(0), None] {
        let (verdict, observed, fix) = judge(Wake::Spin(us(101)), cpu).unwrap();
        assert_eq!(verdict, Verdict::Broken);
        assert_eq!(observed, "11 % of a CPU that is shared");
        assert!(fix.contains("spin_us to at most 100"), "{fix}");
    }
}

#[test]
fn throttling_leaves_the_watch_and_the_cycle_of_a_loop_that_watches_the_clock() {
    let us = Duration::from_micros;
    let judge = |wake, longest, runtime_us| {
        let config = LoopConfig { wake, ..config() };
        let mut contract = Contract::default();
        let mut observed = good();
        observed.rehearsal.as_mut().unwrap().longest = us(longest);
        observed.throttling = Some(Throttling::MicrosPerPeriod(runtime_us));
        contract.judge(&config, &observed);
        let row = contract.rows().iter().find(|row| row.name == "throttling");
        let row = row.unwrap();
        (row.verdict, row.required.to_string())
    };
    let least = |us: u32| format!("off, or {us} us of each second");
    let most = Wake::Spin(us(500));
    assert_eq!(judge(most, 450, 950_000), (Verdict::Kept, least(950_000)));
    let broken = (Verdict::Broken, least(960_000));
    assert_eq!(judge(most, 460, 950_000), broken);
    assert_eq!(judge(most, 460, 970_000).0, Verdict::Kept);
    assert_eq!(judge(Wake::Sleep, 999, 950_000).0, Verdict::Kept);
}
