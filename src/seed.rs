//! Ground: random numbers from named, counter-based streams.
//!
//! A [`Stream`] is a pure function of `(seed, purpose, member)` and of how many numbers were drawn, so neither the
//! number of threads, nor the company of other members, nor a resume can change a bit. The generator is SplitMix64
//! (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): the n-th number is a hash of
//! `key + n * GOLDEN`, hence any position can be reached in one step, on a GPU as well.

/// 2^64 divided by the golden ratio, the increment of SplitMix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The seed of an experiment, from which every stream is derived by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream for one purpose ("initial weights", "batch order") of one member.
    pub fn stream(self, purpose: &str, member: u64) -> Stream {
        Stream { key: self.child(purpose, member).0, counter: 0 }
    }

    /// A seed for a part of the work that names its own streams.
    pub fn child(self, purpose: &str, member: u64) -> Seed {
        // FNV-1a over the name keeps purposes apart; two rounds of the finaliser keep members apart.
        let name = purpose.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Seed(mix(mix(self.0 ^ name).wrapping_add(member.wrapping_mul(GOLDEN))))
    }
}

/// A position in one named sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        at(self.key, self.counter)
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Standard normal by the Box-Muller transform (one of its two values; simplicity over speed).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform in `0..bound`; `bound` must be positive. By multiplication (Lemire 2019); the bias is below 2^-32 for
    /// every bound below 2^32.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A random order of `items` (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The key of this stream, for kernels that count by themselves with [`at`].
    pub fn key(&self) -> u64 {
        self.key
    }
}

/// The random number number `counter` of the stream `key`.
pub fn at(key: u64, counter: u64) -> u64 {
    mix(key.wrapping_add(counter.wrapping_mul(GOLDEN)))
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
