//! Values of any length, and which keys are visited: uniformly, or some far more often than others.

use crate::workload::{Order, Random, mix};
use std::cell::RefCell;
use std::sync::OnceLock;

/// Bytes that values are cut from: more than a compressor of blocks looks back, so that no engine stores less.
const POOL_LEN: usize = 1 << 20;
/// Keys of the rows about opening and memory of cask tables, in a full run.
pub const CASK_KEYS: u64 = 5_000_000;
/// Longest value.
pub const VALUE_LEN_MAX: usize = 64 << 10;

fn pool() -> &'static [u8] {
    static POOL: OnceLock<Vec<u8>> = OnceLock::new();
    POOL.get_or_init(|| {
        let words = (0..((POOL_LEN + VALUE_LEN_MAX) / 8) as u64).map(mix);
        words.flat_map(u64::to_le_bytes).collect()
    })
}

/// Lends a value of `len` bytes (17 to 64 KiB) to `f`: it begins with the key's number and which writing it is, ends with the number's
/// last byte, and is random between. Making it costs every engine one copy.
///
/// # Panics
/// When the length is beyond those bounds, or `f` asks for a value itself.
#[inline]
pub fn with_value<T>(number: u64, writing: u64, len: usize, f: impl FnOnce(&[u8]) -> T) -> T {
    thread_local! {
        static VALUE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    assert!((17..=VALUE_LEN_MAX).contains(&len), "values have 17 bytes to 64 KiB");
    let from = (mix(number ^ writing << 40) as usize) % POOL_LEN;
    VALUE.with_borrow_mut(|value| {
        value.clear();
        value.extend_from_slice(&pool()[from..from + len]);
        value[..8].copy_from_slice(&number.to_le_bytes());
        value[8..16].copy_from_slice(&writing.to_le_bytes());
        value[len - 1] = number as u8;
        f(value)
    })
}

/// Whether a value may be that of a key: looks at both ends, so that an engine has to have all of it.
#[must_use]
#[inline]
pub fn is_value_of(found: &[u8], number: u64, len: usize) -> bool {
    found.len() == len && found[..8] == number.to_le_bytes() && found[len - 1] == number as u8
}

/// Which keys are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// All alike.
    Uniform,
    /// By Zipf's law with exponent 0.99, the popular ones anywhere among the numbers.
    Zipf,
}

impl Spread {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Zipf];

    /// As rows name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    /// Numbers to visit: each key once in a shuffled order, or as many draws.
    #[must_use]
    pub fn visits(self, keys: u64, seed: u64) -> Vec<u32> {
        match self {
            Self::Uniform => Order::new(keys, seed).numbers().to_vec(),
            Self::Zipf => {
                let (zipf, mut random) = (Zipf::new(keys), Random::new(mix(seed)));
                (0..keys).map(|_| zipf.draw(&mut random) as u32).collect()
            }
        }
    }
}

/// Numbers by Zipf's law (Gray et al.: Quickly Generating Billion-Record Synthetic Databases, 1994), scattered as YCSB does.
#[derive(Debug, Clone, Copy)]
pub struct Zipf {
    count: u64,
    zeta: f64,
    eta: f64,
}

/// Exponent of YCSB.
const THETA: f64 = 0.99;

impl Zipf {
    /// Numbers below `count`, which is at most 2^32. Takes time in proportion to it.
    #[must_use]
    pub fn new(count: u64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let (zeta, zeta_2) = (zeta_of(count), zeta_of(2));
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - zeta_2 / zeta);
        Self { count, zeta, eta }
    }

    /// The next number.
    #[inline]
    pub fn draw(&self, random: &mut Random) -> u64 {
        let u = random.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        let uz = u * self.zeta;
        let rank = if uz < 1.0 {
            0
        } else if uz < 1.0 + 0.5_f64.powf(THETA) {
            1
        } else {
            (self.count as f64 * (self.eta * u - self.eta + 1.0).powf(1.0 / (1.0 - THETA))) as u64
        };
        mix(rank) % self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        for len in [17, 100, VALUE_LEN_MAX] {
            assert!(with_value(7, 1, len, |value| is_value_of(value, 7, len)));
            assert!(!with_value(8, 1, len, |value| is_value_of(value, 7, len)));
        }
        let one = with_value(7, 1, 100, <[u8]>::to_vec);
        assert_ne!(one, with_value(7, 2, 100, <[u8]>::to_vec));
    }

    #[test]
    fn a_hundredth_of_the_keys_gets_most_of_the_visits() {
        let visits = Spread::Zipf.visits(100_000, 1);
        let mut counts = vec![0_u32; 100_000];
        for visit in visits {
            counts[visit as usize] += 1;
        }
        counts.sort_unstable();
        let popular: u32 = counts[99_000..].iter().sum();
        assert!((50_000..80_000).contains(&popular), "{popular}");
    }
}
