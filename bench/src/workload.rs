//! The one workload: 16-byte keys that look random, 64-byte values, visited in a shuffled order.
//!
//! Keys are a function of their number, so that no engine's memory is charged for a list of keys. Loading goes through
//! the numbers in order, which is a random order of keys; reads and updates go through a shuffled order, because slots
//! are handed out in the order of loading and visiting them in that order would flatter engines that store in it.

/// A key.
pub type Key = [u8; 16];
/// A value.
pub type Value = [u8; 64];

/// Seed of every order and key, unless the command line gives another.
pub const SEED: u64 = 0x5107_ca5c;
/// Keys of a full run.
pub const KEYS: u64 = 2_000_000;

/// One step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[must_use]
#[inline]
pub const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Key number `number`. Different numbers give different keys: each half is a bijection of it.
#[must_use]
#[inline]
pub fn key(number: u64) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mix(number).to_le_bytes());
    key[8..].copy_from_slice(&mix(number ^ SEED).to_le_bytes());
    key
}

/// A key that no table holds: the numbers from 2^40 on are never loaded.
#[must_use]
#[inline]
pub fn absent_key(number: u64) -> Key {
    key(number | 1 << 40)
}

/// Value of a key: names the key's number and which writing of it this is.
#[must_use]
#[inline]
pub fn value(number: u64, writing: u64) -> Value {
    let mut value = [0x5c; 64];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value[8..16].copy_from_slice(&writing.to_le_bytes());
    value
}

/// Random numbers for places where an order of all keys is not wanted.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that depend on `seed` alone.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound`, which must not be 0 nor over 2^32.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        ((mix(self.0) >> 32) * bound) >> 32
    }
}

/// A shuffled order of the key numbers below some count.
#[derive(Debug, Clone)]
pub struct Order(Vec<u32>);

impl Order {
    /// The order of `count` keys that `seed` gives.
    ///
    /// # Panics
    /// When `count` is over 2^32.
    #[must_use]
    pub fn new(count: u64, seed: u64) -> Self {
        let count = u32::try_from(count).expect("a workload has fewer than 2^32 keys");
        let mut numbers: Vec<u32> = (0..count).collect();
        let mut random = Random::new(mix(seed));
        for last in (1..numbers.len()).rev() {
            numbers.swap(last, random.below(last as u64 + 1) as usize);
        }
        Self(numbers)
    }

    /// The numbers.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// The order cut into `parts` pieces of nearly the same length.
    #[must_use]
    pub fn parts(&self, parts: usize) -> Vec<&[u32]> {
        let len = self.0.len();
        (0..parts).map(|part| &self.0[len * part / parts..len * (part + 1) / parts]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_visits_each_number_once() {
        let mut numbers = Order::new(1000, 7).numbers().to_vec();
        assert_ne!(numbers[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..1000));
    }

    #[test]
    fn the_same_seed_gives_the_same_order() {
        assert_eq!(Order::new(100, 1).numbers(), Order::new(100, 1).numbers());
        assert_ne!(Order::new(100, 1).numbers(), Order::new(100, 2).numbers());
    }

    #[test]
    fn absent_keys_are_absent() {
        let keys: std::collections::HashSet<Key> = (0..10_000).map(key).collect();
        assert_eq!(keys.len(), 10_000);
        assert!((0..10_000).all(|number| !keys.contains(&absent_key(number))));
    }
}
