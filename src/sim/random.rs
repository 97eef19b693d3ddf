//! A small random generator that gives the same noise on every machine.

/// splitmix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014, figure 17): 64 bits of state, period 2^64, any seed.
/// Not for cryptography.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// A generator with the sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent generator for `stream`. Each source of noise has its own, so that
    /// adding one does not change the others.
    #[must_use]
    pub const fn fork(&self, stream: u64) -> Self {
        Self(mix(self.0 ^ mix(stream.wrapping_add(GOLDEN_GAMMA))))
    }

    /// 64 random bits.
    #[inline]
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// A uniform random number from -1 to below 1, in steps of 2^-52.
    #[inline]
    pub const fn symmetric(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 52) as f64;
        (self.bits() >> 11) as f64 * STEP - 1.0
    }
}

/// The odd integer nearest to 2^64 divided by the golden ratio.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline]
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_reference_implementation() {
        let mut random = Random::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!([(); 3].map(|()| random.bits()), expected);
    }

    #[test]
    fn numbers_stay_in_range_and_average_near_zero() {
        let mut random = Random::new(7);
        let mut sum = 0.0;
        for _ in 0..10_000 {
            let number = random.symmetric();
            assert!((-1.0..1.0).contains(&number));
            sum += number;
        }
        // The standard deviation of the sum is 100 / sqrt(3).
        assert!(sum.abs() < 300.0, "{sum}");
    }

    #[test]
    fn forks_differ_from_each_other_and_from_their_origin() {
        let mut origin = Random::new(1);
        let (mut a, mut b) = (origin.fork(0), origin.fork(1));
        let first = [a.bits(), b.bits(), origin.bits()];
        assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    }
}
