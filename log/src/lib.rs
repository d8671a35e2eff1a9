//! The log of one shard: append, group commit, watermark, segments, manifest, recovery.
//!
//! A [`ShardLog`] holds the shard lock and, behind it, whatever state the rooms above keep per shard. Writers take the lock,
//! [`Guard::reserve`] room, [`Guard::append`] records and release it; whoever waits for durability flushes.
//!
//! Lock order: maintenance, then flush role, then shard lock, then commit state. No lock but the maintenance lock is held
//! during an I/O call, and the flush role is no lock that a writer waits for.

#![forbid(unsafe_code)]

pub mod commit;
mod config;
mod error;
mod files;
mod flush;
mod gather;
mod guard;
mod manifest;
pub mod recovery;
mod segments;
mod shard;
mod sync;

pub use commit::is_waking;
pub use config::{LogConfig, LogIdent};
pub use error::{Cause, LogError, Refusal, Result};
pub use files::Files;
pub use guard::{Append, Guard, PACE_FROM_PERMILLE, Urgency};
pub use manifest::ManifestScan;
pub use segments::Preparation;
pub use shard::{LeavingSegment, LogStatus, ShardLog};
