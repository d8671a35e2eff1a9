//! A simulated disk that can lose power at any call and come back in any state that a real disk may.
//!
//! What may be found after a power loss
//!  - R1 A unit is old or new as a whole: 512 bytes in [`Profile::Sector512`]; in [`Profile::Block4k`] 4096 bytes, and a unit
//!    in flight may also be garbage.
//!  - R2 Any subset of the units written since the last successful sync of their file, in any order; a unit written
//!    several times holds any of its versions or the old one.
//!  - R3 A size between the last synced and the current one; grown space without a kept write is zeros or garbage.
//!  - R4 Any subset of the name changes made since the last sync of their directory; a rename within a directory is
//!    atomic; syncing a file does not make its name durable.
//!  - R5 After a failed write or sync the units concerned are unknown for good: a later sync that succeeds does not bring back
//!    what was lost, though reads go on returning it until the power fails.
//!  - R6 The disk after a crash is a disk like any other: it can crash again, inside recovery.
//!  - R7 Media faults (flipped bits, lost, stale and misdirected sectors, cut and missing files) on demand.
//!
//! [`SimDisk`] is deterministic: the same calls with the same seed give the same states and the same
//! [`SimDisk::trace_hash`]. It is meant for one thread at a time, and safe with several. Content is shared in blocks that
//! are copied on write, so that a crash image of a store costs little more than its pending writes.

mod block;
mod choose;
mod clock;
mod content;
mod crash;
mod disk;
mod entropy;
mod event;
mod fault;
mod file;
mod locks;
mod media;
mod names;
mod rng;
mod state;

pub use choose::{
    CrashChooser, CrashPlan, NamePlan, Others, PendingName, PendingSize, PendingWrite, SizeFate,
    SizePlan, UnitFate, WriteFate, WritePlan,
};
pub use clock::SimClock;
pub use crash::{PendingSummary, WriteSummary};
pub use disk::{SimDisk, is_power_loss};
pub use entropy::SimEntropy;
pub use event::OpKind;
pub use fault::{Fault, FaultError, OpFilter, Persistence};
pub use state::{Profile, SimOptions};

use crate::Env;
use std::sync::Arc;

/// A simulated world: a [`SimDisk`], a [`SimClock`] and a [`SimEntropy`], all seeded with `seed`. The disk is returned a second
/// time for what [`crate::Disk`] does not offer.
#[must_use]
pub fn sim_env(seed: u64, options: SimOptions) -> (Env, SimDisk) {
    let disk = SimDisk::new(SimOptions { seed, ..options });
    (env_of(seed, &disk), disk)
}

/// A simulated world around a disk that is there already, such as a crash image.
#[must_use]
pub fn env_of(seed: u64, disk: &SimDisk) -> Env {
    Env {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(SimClock::new()),
        entropy: Arc::new(SimEntropy::new(seed)),
    }
}
