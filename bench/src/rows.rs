//! The rows: what is measured, in which order. Engines take turns round by round, so that ratios are made inside one
//! run; what is held to a tight ratio takes turns slice by slice.

pub mod cask;
pub mod data;
pub mod open;
pub mod ordered;
pub mod ours;
pub mod stalls;
pub mod sync;

use crate::args::Args;
use crate::child::{Task, fresh};
use crate::engine::{Engine, Mode, Outcome};
use crate::report::Report;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

/// Threads of the sync rows, with the names of the rows.
pub const SYNC_THREADS: [(u64, &str); 3] =
    [(1, "sync put, 1 thread"), (16, "sync put, 16 threads"), (64, "sync put, 64 threads")];

/// An engine whose type is not known here: virtual at the level of rows, never inside one.
pub trait Runner {
    /// The engine's name.
    fn name(&self) -> &'static str;
    /// Whether it has sync rows.
    fn syncs(&self) -> bool;
    /// How many of the workload's keys it gets.
    fn keys(&self, keys: u64) -> u64;
    /// One round of the data rows.
    ///
    /// # Errors
    /// The engine's.
    fn data_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()>;
    /// One round of the sync rows.
    ///
    /// # Errors
    /// The engine's.
    fn sync_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()>;
    /// Does a child's work.
    ///
    /// # Errors
    /// The engine's.
    fn perform(&self, task: &Task) -> Outcome<()>;
}

struct Of<E>(PhantomData<E>);

impl<E: Engine> Runner for Of<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn syncs(&self) -> bool {
        E::SYNCS
    }

    fn keys(&self, keys: u64) -> u64 {
        (keys / E::SHARE).max(1)
    }

    fn data_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        data::round::<E>(args, round, report)
    }

    fn sync_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        sync::round::<E>(args, round, report)
    }

    fn perform(&self, task: &Task) -> Outcome<()> {
        task.perform::<E>()
    }
}

/// All engines that are built in, slotcask first.
#[must_use]
pub fn runners() -> Vec<Box<dyn Runner>> {
    use crate::engines::*;
    vec![
        Box::new(Of::<slotcask::Slotcask>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<armdb::ArmdbConst>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<armdb::ArmdbFixed>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<fjall::Fjall>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<redb::Redb>(PhantomData)),
    ]
}

/// A directory for one row, removed with all that is in it when dropped.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// An empty directory of that name.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn new(args: &Args, name: &str) -> Outcome<Self> {
        let place = Self(args.dir.join(name));
        fresh(&place.0)?;
        Ok(place)
    }

    /// The directory for an engine's store; engines make it themselves or find it empty.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// A file beside the store.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Opens an engine's store.
    ///
    /// # Errors
    /// The engine's.
    pub fn open<E: Engine>(&self, mode: Mode) -> Outcome<E> {
        std::fs::create_dir_all(self.store())?;
        E::open(&self.store(), mode)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is left for the reader of the directory to see.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Measures `first` and `second` in turns, `turns` times each; returns the mean of each.
///
/// # Errors
/// The first error.
pub fn in_turns(
    turns: u32,
    mut first: impl FnMut(u32) -> Outcome<f64>,
    mut second: impl FnMut(u32) -> Outcome<f64>,
) -> Outcome<(f64, f64)> {
    let mut sums = (0.0, 0.0);
    for turn in 0..turns {
        sums.0 += first(turn)?;
        sums.1 += second(turn)?;
    }
    Ok((sums.0 / f64::from(turns), sums.1 / f64::from(turns)))
}

/// Time before a measurement in which an engine may get warm.
#[must_use]
pub fn warm_up(args: &Args) -> Duration {
    args.slice / 5
}
