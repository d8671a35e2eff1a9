//! Disks (the operating system's and a simulated one), aligned buffers, directory lock, clock, entropy.
//!
//! The engine is written against [`Disk`] and [`File`] and reaches the world through nothing else. Unsafe code is
//! allowed in this room and in `index`; each block carries its proof.

pub mod buffer;
pub mod clock;
pub mod disk;
pub mod entropy;
pub mod error;
mod guarded;
mod heap;
mod held;
pub mod os;
mod pages;
mod prefetch;
mod retry;
pub mod sim;
mod words;

pub use buffer::AlignedBuf;
pub use clock::{Clock, SystemClock};
pub use disk::{Arrived, DirEntry, Disk, File, FileLock, LockedName, OpenMode, Stat, Write};
pub use entropy::{Entropy, OsEntropy};
pub use error::{IoError, IoErrorKind, Result};
pub use guarded::GuardedDisk;
pub use heap::give_back;
pub use held::{held_bytes, hold, lend};
pub use os::{OsDisk, OsOptions, raise_descriptor_limit, work_in_background};
pub use pages::PageBuf;
pub use prefetch::{prefetch, prefetch_at};
pub use sim::{SimDisk, SimOptions, sim_env};
pub use words::{STEP_WORDS, Words};

use std::sync::Arc;

/// The world that an engine lives in: its disk, its clock, its entropy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Env {
    /// Files and directories.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Env {
    /// The machine's own: the operating system's disk, clock and random numbers.
    #[must_use]
    pub fn system(options: OsOptions) -> Self {
        Self {
            disk: Arc::new(OsDisk::new(options)),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        }
    }
}
