//! One run, and all the places where the power could have gone in it.

use crate::life::Life;
use crate::model::{Model, State};
use crate::script::Script;
use slotcask_io::sim::Profile;
use slotcask_io::{SimDisk, SimOptions};
use std::sync::{Arc, Mutex};

/// The disk right before an event, and what the store should hold then.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The disk. Nobody uses it any more.
    pub disk: SimDisk,
    /// The model.
    pub model: Model,
}

/// A script that was played to its end.
#[derive(Debug)]
pub struct Played {
    /// One cut before each event, and one after the last.
    pub cuts: Vec<Cut>,
    /// How many events founded the store and its tables, which every life begins with.
    pub founding: u64,
    /// What refused an operation, although nothing failed.
    pub refused: Option<slotcask::Error>,
}

impl Played {
    /// The end of the life.
    #[must_use]
    pub fn end(&self) -> &Cut {
        self.cuts.last().expect("there is a cut after the last event")
    }
}

/// A fresh disk.
fn disk_of(script: &Script, profile: Profile) -> SimDisk {
    SimDisk::new(SimOptions { profile, seed: script.seed, ..SimOptions::default() })
}

/// Plays a script once and takes a fork of the disk at every event.
#[must_use]
pub fn play(script: &Script, profile: Profile, protected: bool) -> Played {
    let disk = disk_of(script, profile);
    let model = Model::new(State::default());
    let mut founding = 0;
    let (mut cuts, lived) = cuts_of(&disk, &model, || {
        live(&disk, script, &mut model.clone(), protected, &mut founding).map(drop)
    });
    cuts.push(Cut { disk, model });
    Played { cuts, founding, refused: lived.err() }
}

/// Plays a script until event `stop`, where the power goes. What [`play`] gives is the same, in less time.
#[must_use]
pub fn replay(script: &Script, stop: u64, profile: Profile, protected: bool) -> Cut {
    let disk = disk_of(script, profile);
    disk.stop_after(stop);
    let mut model = Model::new(State::default());
    let _ = live(&disk, script, &mut model, protected, &mut 0);
    Cut { disk, model }
}

/// Plays a script to its end and leaves the store open there: one that is dropped is closed.
///
/// # Errors
/// What refused an operation, although nothing failed.
pub fn end_of(script: &Script, profile: Profile, protected: bool) -> slotcask::Result<(Cut, Life)> {
    let disk = disk_of(script, profile);
    let mut model = Model::new(State::default());
    let life = live(&disk, script, &mut model, protected, &mut 0)?;
    Ok((Cut { disk, model }, life))
}

/// Runs something that uses `disk` and takes a cut before every event.
pub fn cuts_of<T>(disk: &SimDisk, model: &Model, run: impl FnOnce() -> T) -> (Vec<Cut>, T) {
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let (taken, now) = (Arc::clone(&cuts), model.clone());
    disk.watch(move |disk| {
        let cut = Cut { disk, model: now.snapshot() };
        taken.lock().expect("taking a cut does not panic").push(cut);
    });
    let result = run();
    disk.unwatch();
    let cuts = std::mem::take(&mut *cuts.lock().expect("taking a cut does not panic"));
    (cuts, result)
}

fn live(
    disk: &SimDisk,
    script: &Script,
    model: &mut Model,
    protected: bool,
    founding: &mut u64,
) -> slotcask::Result<Life> {
    let mut life = Life::open(disk, protected, script.seed)?;
    life.furnish(model, script.cask)?;
    *founding = disk.io_count();
    for op in &script.ops {
        life.run(*op, model)?;
    }
    life.compare(model)?;
    Ok(life)
}
