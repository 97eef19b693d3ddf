//! Measures how much other CPUs slow down a cycle that finds its data evicted from the caches.
//!
//! All CPUs share the memory and often the last cache. An isolated CPU has neither to itself: a
//! program that copies much (a camera, a video) delays each access of the loop that misses. The
//! probe is a chain of dependent loads, so that nothing but the latency of the memory counts;
//! the load is a copy on each other CPU.

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::scheduler::{self, CpuSet};
use crate::sys::sort::sort_by_key;
use crate::time::Duration;

/// Memory of the probe, cache lines: 16 MiB, more than the last cache of the boards. A power of
/// two.
const LINES: usize = 1 << 18;
/// Words of a line of 64 bytes.
const WORDS: usize = 16;
/// Lines that a cycle of the probe reads: 32 kB.
pub const PROBED: usize = 512;
/// Cycles of the probe: they read no line twice before the last cache was replaced.
const PROBES: usize = 200;
/// What each other CPU copies at a time, bytes.
const COPIED: usize = 4 << 20;

/// The measured times.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Contention {
    /// Time of a cycle of the probe, alone: the median.
    pub alone: Duration,
    /// The same while the other CPUs copy memory.
    pub beside: Duration,
    /// Number of CPUs that copied.
    pub streams: usize,
}

/// Measures on `cpu`, or on any CPU, while the CPUs of `online` without it copy memory; about half a
/// second. A CPU that this process may not use copies nothing. Allocates 16 MiB, and 8 MiB for each
/// other CPU. `None`: a thread could not be started.
#[must_use]
pub fn measure(cpu: Option<usize>, online: &CpuSet) -> Option<Contention> {
    let cpu = cpu.or_else(|| scheduler::current_cpu().ok())?;
    let chain = chain();
    let (stop, streams) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let probing = thread::Builder::new().spawn_scoped(scope, || {
            // Without its CPU the figure is that of another one of the same kind.
            let _ = scheduler::pin_to(cpu);
            let mut at = 0;
            let alone = probe(&chain, &mut at);
            for other in online.iter().filter(|other| *other != cpu) {
                let (stop, streams) = (&stop, &streams);
                let copying = move || copy(other, stop, streams);
                if thread::Builder::new().spawn_scoped(scope, copying).is_err() {
                    break;
                }
            }
            thread::sleep(std::time::Duration::from_millis(50));
            let beside = probe(&chain, &mut at);
            let streams = streams.load(Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
            Contention {
                alone,
                beside,
                streams,
            }
        });
        probing.ok()?.join().ok()
    })
}

/// Memory whose lines name their successors: each line is visited before one comes again
/// (a linear congruential generator with full period), in an order that no prefetcher knows.
fn chain() -> Vec<u32> {
    let mut chain = vec![0; LINES * WORDS];
    for line in 0..LINES {
        // Wraps at a multiple of LINES, also with words of 32 bits.
        let next = line.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % LINES;
        chain[line * WORDS] = next as u32;
    }
    chain
}

/// The median time of [`PROBED`] dependent loads.
fn probe(chain: &[u32], at: &mut usize) -> Duration {
    let mut times: Vec<u64> = (0..PROBES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..PROBED {
                *at = chain[*at * WORDS] as usize;
            }
            black_box(*at);
            u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    sort_by_key(&mut times, |time| *time);
    Duration::from_nanos(times[PROBES / 2])
}

fn copy(cpu: usize, stop: &AtomicBool, streams: &AtomicUsize) {
    if scheduler::pin_to(cpu).is_err() {
        return;
    }
    let (mut from, mut to) = (vec![1_u8; COPIED], vec![0_u8; COPIED]);
    streams.fetch_add(1, Ordering::Relaxed);
    while !stop.load(Ordering::Relaxed) {
        to.copy_from_slice(&from);
        core::mem::swap(&mut from, &mut to);
        black_box(&to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_visits_every_line_once() {
        let chain = chain();
        let (mut at, mut seen) = (0, vec![false; LINES]);
        for _ in 0..LINES {
            assert!(!core::mem::replace(&mut seen[at], true), "line {at} twice");
            at = chain[at * WORDS] as usize;
        }
        assert_eq!(at, 0);
    }

    #[test]
    fn this_machine_is_measured_with_as_many_streams_as_it_has_other_cpus() {
        let cpus = scheduler::affinity().unwrap();
        let cpu = cpus.iter().next_back().unwrap();
        let found = measure(Some(cpu), &cpus).unwrap();
        assert!(found.alone > Duration::ZERO && found.beside > Duration::ZERO);
        assert!(found.streams < cpus.len(), "{found:?}");
        assert!(found.streams > 0 || cpus.len() == 1, "{found:?}");
    }
}
