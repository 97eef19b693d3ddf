//! The audited promises, with their names and numbers, and their breaches.

use core::fmt;

use crate::time::Duration;

/// The reaction to a promise that breaks while the loop runs.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Reaction {
    /// Report the breach; the loop continues.
    #[default]
    Report,
    /// Report the breach, bring the loop to rest by a quick stop, and end the run.
    QuickStop,
}

/// A promise that can be audited. The numbers are part of the file formats (docs/blackbox.md).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Promise {
    /// Policy and priority of the loop's thread.
    Scheduler = 0,
    /// The CPUs that the loop's thread may use.
    Cpu = 1,
    /// Policy, priority and CPUs of the stall guard's thread.
    Guard = 2,
    /// The memory of loop, guard and handlers is locked.
    LockedMemory = 3,
    /// The loop's thread has no page faults.
    PageFaults = 4,
    /// The request for a wake-up latency of 0 us is in effect.
    CpuLatency = 5,
    /// Real-time threads may use at least 950 ms of each second.
    Throttling = 6,
    /// No thread allocates after the seal.
    Allocator = 7,
    /// The kernel does not move locked pages.
    Compaction = 8,
    /// The readings of the audit succeed.
    Audit = 9,
    /// The machine is not suspended while the loop runs.
    Awake = 10,
    /// No device interrupts the loop's isolated CPU, and no other thread runs there instead of it.
    OwnCpu = 11,
}

impl Promise {
    /// Every promise, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Scheduler,
        Self::Cpu,
        Self::Guard,
        Self::LockedMemory,
        Self::PageFaults,
        Self::CpuLatency,
        Self::Throttling,
        Self::Allocator,
        Self::Compaction,
        Self::Audit,
        Self::Awake,
        Self::OwnCpu,
    ];

    /// The promise with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Its name: that of its row in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Cpu => "cpu",
            Self::Guard => "stall guard",
            Self::LockedMemory => "locked memory",
            Self::PageFaults => "page faults",
            Self::CpuLatency => "cpu latency",
            Self::Throttling => "throttling",
            Self::Allocator => "allocator",
            Self::Compaction => "compaction",
            Self::Audit => "audit",
            Self::Awake => "awake",
            Self::OwnCpu => "own cpu",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of promises: bit n for the promise with number n.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises(u16);

impl Promises {
    /// The set of these bits. Unknown bits are kept, and displayed as promises of a newer
    /// version.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether no promise is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `promise` is in it.
    #[must_use]
    pub const fn contains(self, promise: Promise) -> bool {
        self.0 & 1 << promise as u8 != 0
    }

    /// The set with `promise` in it.
    #[must_use]
    pub const fn with(self, promise: Promise) -> Self {
        Self(self.0 | 1 << promise as u8)
    }

    /// The set without `promise`.
    #[must_use]
    pub const fn without(self, promise: Promise) -> Self {
        Self(self.0 & !(1 << promise as u8))
    }

    /// Its promises, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Promise> {
        Promise::ALL
            .into_iter()
            .filter(move |promise| self.contains(*promise))
    }
}

impl FromIterator<Promise> for Promises {
    fn from_iter<I: IntoIterator<Item = Promise>>(promises: I) -> Self {
        promises.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for Promises {
    /// The names, with `, ` between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for promise in self.iter() {
            write!(f, "{separator}{promise}")?;
            separator = ", ";
        }
        let unknown = self.0 >> Promise::ALL.len();
        if unknown != 0 {
            write!(f, "{separator}promises of a newer version")?;
        }
        Ok(())
    }
}

/// Longest text of a deviation, bytes.
pub const FOUND_BYTES: usize = 96;

/// A promise that broke while the loop ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The broken promise.
    pub promise: Promise,
    /// When the audit found it, from the loop's first release.
    pub at: Duration,
    /// The deviation.
    pub found: heapless::String<FOUND_BYTES>,
}

impl fmt::Display for Breach {
    /// `scheduler: OTHER instead of FIFO 80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.found)
    }
}

/// Breaches, at most one for each promise.
pub type Breaches = heapless::Vec<Breach, { Promise::ALL.len() }>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_numbers_decode_to_their_promise_and_names_are_unique() {
        for (number, promise) in Promise::ALL.into_iter().enumerate() {
            assert_eq!(promise as usize, number);
            assert_eq!(Promise::from_number(number as u32), Some(promise));
            let same = Promise::ALL.iter().filter(|p| p.name() == promise.name());
            assert_eq!(same.count(), 1, "{promise}");
        }
        assert_eq!(Promise::from_number(Promise::ALL.len() as u32), None);
    }

    #[test]
    fn a_set_is_shown_by_names_and_unknown_bits_are_mentioned() {
        let set: Promises = [Promise::Cpu, Promise::Scheduler].into_iter().collect();
        assert_eq!(set.to_string(), "scheduler, cpu");
        assert_eq!(Promises::from_bits(set.bits()), set);
        let newer = Promises::from_bits(0x8001);
        assert_eq!(newer.to_string(), "scheduler, promises of a newer version");
        assert!(Promises::default().is_empty() && !set.is_empty());
    }
}
