//! Randomness that can be repeated.

use super::rng::Rng;
use crate::entropy::Entropy;
use parking_lot::Mutex;

/// Random bytes that depend on the seed and on how many were taken. Thread-safe.
#[derive(Debug)]
pub struct SimEntropy {
    rng: Mutex<Rng>,
}

impl SimEntropy {
    /// The bytes of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(Rng::new(seed)) }
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.rng.lock().fill(bytes);
    }
}
