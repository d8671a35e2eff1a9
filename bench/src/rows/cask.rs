//! The rows of cask tables. Engines take turns round by round, as in the rows of fixed tables.
//!
//! Each group is a file.

pub mod data;
pub mod disk;
pub mod merge;
pub mod space;
pub mod stores;
pub mod sync;

use super::Place;
use crate::args::Args;
use crate::bars::OURS;
use crate::cask::{CaskEngine, Setup};
use crate::cask_child::CaskTask;
use crate::engine::Outcome;
use crate::report::Report;
use std::marker::PhantomData;

/// An engine whose type is not known here: virtual at the level of rows, never inside one.
pub trait CaskRunner {
    /// The engine's name.
    fn name(&self) -> &'static str;
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
    /// One round of the space rows.
    ///
    /// # Errors
    /// The engine's.
    fn space_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()>;
    /// Does a child's work.
    ///
    /// # Errors
    /// The engine's.
    fn perform(&self, task: &CaskTask) -> Outcome<()>;
}

struct Of<E>(PhantomData<E>);

impl<E: CaskEngine> CaskRunner for Of<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn keys(&self, keys: u64) -> u64 {
        (keys / E::SHARE).max(64)
    }

    fn data_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        data::round::<E>(args, round, report)
    }

    fn sync_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        sync::round::<E>(args, round, report)
    }

    fn space_round(&self, args: &Args, round: u64, report: &mut Report) -> Outcome<()> {
        space::round::<E>(args, round, report)
    }

    fn perform(&self, task: &CaskTask) -> Outcome<()> {
        task.perform::<E>()
    }
}

/// All engines that are built in, slotcask first.
#[must_use]
pub fn runners() -> Vec<Box<dyn CaskRunner>> {
    use crate::engines::*;
    vec![
        Box::new(Of::<slotcask_cask::SlotcaskCask>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<armdb_var::ArmdbVarMap>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<armdb_var::ArmdbVarTree>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<fjall_var::FjallVar>(PhantomData)),
        #[cfg(feature = "peers")]
        Box::new(Of::<redb_var::RedbVar>(PhantomData)),
    ]
}

impl Place {
    /// Opens an engine's store for cask rows.
    ///
    /// # Errors
    /// The engine's.
    pub fn open_cask<E: CaskEngine>(&self, setup: Setup) -> Outcome<E> {
        std::fs::create_dir_all(self.store())?;
        E::open(&self.store(), setup)
    }
}

/// The groups that are wanted, in the order of the report. `tell` is told what begins.
///
/// # Errors
/// The engines', or those of raw files and children.
pub fn run(
    args: &Args,
    runners: &[Box<dyn CaskRunner>],
    report: &mut Report,
    tell: &dyn Fn(&str, u64),
) -> Outcome<()> {
    let with_ours = runners.iter().any(|runner| runner.name() == OURS);
    type Round = fn(&dyn CaskRunner, &Args, u64, &mut Report) -> Outcome<()>;
    let by_engine: [(&str, &str, Round); 2] = [
        ("cask-data", "cask data", |runner, args, round, report| {
            runner.data_round(args, round, report)
        }),
        ("cask-sync", "cask sync puts", |runner, args, round, report| {
            runner.sync_round(args, round, report)
        }),
    ];
    let every_engine = |(group, what, work): (&str, &str, Round), report: &mut Report| {
        for round in 0..if args.wants(group) { args.rounds } else { 0 } {
            for runner in runners {
                tell(&format!("{what} of {}", runner.name()), round);
                work(&**runner, args, round, report)?;
            }
        }
        Outcome::Ok(())
    };
    for group in by_engine {
        every_engine(group, report)?;
    }
    if args.wants("cask-disk") && with_ours {
        for round in 0..args.rounds {
            tell("cask gets from disk and raw reads", round);
            disk::round_beside_raw(args, round, report)?;
        }
    }
    if args.wants("cask-merge") && with_ours {
        tell("cask puts beside merge", 0);
        merge::run(args, report)?;
    }
    every_engine(
        ("cask-space", "cask space", |runner, args, round, report| {
            runner.space_round(args, round, report)
        }),
        report,
    )?;
    if args.wants("cask-memory") {
        tell("cask memory", 0);
        stores::memory_rows(args, runners, report)?;
    }
    if args.wants("cask-open") {
        tell("cask open", 0);
        stores::open_rows(args, runners, report)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::slotcask_cask::SlotcaskCask;
    use std::time::Duration;

    #[test]
    fn every_group_without_children_runs_small() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args {
            keys: 300,
            cask_keys: 300,
            rounds: 1,
            slice: Duration::from_millis(2),
            dir: dir.path().to_owned(),
            ..Args::full()
        };
        let mut report = Report::default();
        data::round::<SlotcaskCask>(&args, 0, &mut report).unwrap();
        sync::round::<SlotcaskCask>(&args, 0, &mut report).unwrap();
        space::round::<SlotcaskCask>(&args, 0, &mut report).unwrap();
        disk::round_beside_raw(&args, 0, &mut report).unwrap();
        merge::run(&args, &mut report).unwrap();
        let without_child = |group: &str| group != "cask-memory" && group != "cask-open";
        for row in crate::cask_bars::CASK.iter().filter(|row| without_child(row.group)) {
            assert!(report.median(row.id, OURS).is_some(), "{}", row.id);
        }
    }
}
