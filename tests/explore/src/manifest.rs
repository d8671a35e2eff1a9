//! Manifests that lost their last records: an opening refuses them, or nothing is missing, then and later.

use crate::cuts::{Cut, play};
use crate::model::Model;
use crate::script::{EXHAUSTIVE, script};
use crate::verdict::{Opened, Refused, open};
use slotcask_format::file_name::ShardFile;
use slotcask_io::SimDisk;
use slotcask_io::sim::{CrashPlan, Profile};
use std::path::PathBuf;

const BLOCK: usize = 4096;

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Manifests cut short.
    pub tried: u64,
    /// Refused by an error.
    pub refused: u64,
    /// The first violation.
    pub violation: Option<String>,
}

/// Plays `scripts` random scripts and cuts the manifest short at every record, at one event in `step`.
#[must_use]
pub fn run(scripts: u64, step: usize, seed: u64) -> Tally {
    let mut tally = Tally::default();
    for number in 0..scripts {
        let script = script((seed << 20) + EXHAUSTIVE + number, number % 2 == 0);
        let played = play(&script, Profile::Sector512, false);
        let skip = played.founding as usize;
        let cuts = played.cuts.iter().enumerate().skip(skip).step_by(step.max(1));
        for (event, Cut { disk, .. }) in cuts {
            let image = disk.crash(&mut CrashPlan::keep_all());
            if let Err(what) = shorten(&image, &mut tally) {
                let what = format!("script {:?}, killed at event {event}: {what}", script.ops);
                tally.violation = Some(what);
                return tally;
            }
        }
    }
    tally
}

fn newest_manifest(disk: &SimDisk) -> Option<(PathBuf, Vec<u8>)> {
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        match ShardFile::parse(&name) {
            Some(ShardFile::Manifest(number)) => Some(number),
            _ => None,
        }
    };
    let files = disk.files().into_iter().map(|(path, _)| path);
    let (_, path) = files.filter_map(|path| Some((number(&path)?, path))).max()?;
    let bytes = disk.read_all(&path)?;
    Some((path, bytes))
}

fn shorten(image: &SimDisk, tally: &mut Tally) -> Result<(), String> {
    let Some((path, bytes)) = newest_manifest(image) else { return Ok(()) };
    let Ok(Opened { state, .. }) = open(&image.fork(), false) else { return Ok(()) };
    let model = Model::new(state);
    let full = |at: &usize| bytes[*at..].iter().take(64).any(|byte| *byte != 0);
    // Behind the header and the first record, which every manifest has.
    for at in (2 * BLOCK..bytes.len()).step_by(BLOCK).filter(full) {
        let damaged = image.fork();
        damaged.write_raw(&path, at as u64, &vec![0; bytes.len() - at]);
        tally.tried += 1;
        let what = |what: String| format!("{} cut at {at}: {what}", path.display());
        match open(&damaged, false) {
            Err(Refused::Error(_)) => tally.refused += 1,
            Err(Refused::Contradiction(found)) => return Err(what(found)),
            Ok(opened) => {
                model.judge(&opened.state).map_err(what)?;
                goes_on(&damaged, opened, &model).map_err(what)?;
            }
        }
    }
    Ok(())
}

/// What was served stays, or a later call or opening refuses, when the log is emptied into files and they are merged.
fn goes_on(disk: &SimDisk, opened: Opened, model: &Model) -> Result<(), String> {
    let store = &opened.store;
    // An error is a refusal too.
    let gone_on = store
        .rotate()
        .and_then(|()| store.checkpoint())
        .and_then(|()| store.checkpoint())
        .and_then(|()| store.merge().map(drop))
        .and_then(|()| store.sync());
    if gone_on.is_err() {
        return Ok(());
    }
    match open(&disk.crash(&mut CrashPlan::keep_none()), false) {
        Ok(opened) => model.judge(&opened.state),
        Err(Refused::Error(_)) => Ok(()),
        Err(Refused::Contradiction(found)) => Err(found),
    }
}
