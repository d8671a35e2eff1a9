//! Media faults: flipped bits, lost, stale, misdirected and zeroed sectors, truncated, missing and foreign files.
//!
//! A fault is detected when the opening refuses the store, or says in its report what it did; it is harmless when contents and
//! report are the same as without it. Everything else is silent.

use crate::life::{Life, ROOT};
use crate::model::{Model, State};
use crate::op::Op;
use crate::random::Random;
use crate::verdict::{Opened, Refused, open};
use slotcask_format::file_name::ShardFile;
use slotcask_io::sim::CrashPlan;
use slotcask_io::{SimDisk, SimOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A store at rest, and an earlier state of the same disk.
pub struct Image {
    /// How it came to rest.
    pub name: &'static str,
    disk: SimDisk,
    earlier: SimDisk,
    foreign: SimDisk,
    /// A copy of the same store that went on differently.
    twin: SimDisk,
    state: State,
    report: String,
    /// Where the last flush stands when nothing proves it: file and first byte.
    unproven: Option<(PathBuf, u64)>,
}

/// What was tried.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Faults tried.
    pub tried: u64,
    /// Refused by an error.
    pub refused: u64,
    /// Named in the report.
    pub reported: u64,
    /// Without any effect.
    pub harmless: u64,
    /// By kind of file.
    pub files: BTreeMap<String, u64>,
    /// Unnoticed, each described.
    pub silent: Vec<String>,
}

/// The stores that are damaged: closed, killed while idle, killed with an unproven tail, killed right after a checkpoint or
/// in a fresh segment; with fixed tables alone
/// and with a cask table.
#[must_use]
pub fn images(seed: u64) -> Vec<Image> {
    let states = ["closed", "idle", "killed", "checkpointed", "rotated"];
    let fixed = states.into_iter().map(|name| image(name, seed, false));
    fixed.chain(states.into_iter().map(|name| image(name, seed, true))).collect()
}

/// Gives the disk, and what it was before the last operations. A twin has the same identity and other contents.
fn build(name: &str, seed: u64, cask: bool, twin: bool) -> Option<(SimDisk, SimDisk)> {
    let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
    let mut model = Model::new(State::default());
    let mut life = Life::open(&disk, false, seed).ok()?;
    life.furnish(&mut model, cask).ok()?;
    use Op::{Batch, Checkpoint, Delete, Grow, Overwrite, Poll, Put, Reopen, Rotate, Sync};
    // Data files of both origins, with dead records and deletes in them.
    let before: &[Op] = if cask {
        use Op::{CaskBatch, CaskDelete, CaskFill, CaskOverwrite, CaskPut, CaskRangeDelete, Merge};
        &[
            CaskPut,
            CaskFill,
            CaskFill,
            Rotate,
            CaskOverwrite,
            CaskPut,
            Rotate,
            Checkpoint,
            Checkpoint,
            CaskFill,
            CaskPut,
            Rotate,
            CaskDelete,
            CaskPut,
            Rotate,
            Checkpoint,
            Checkpoint,
            Merge,
            CaskRangeDelete,
            CaskFill,
            CaskPut,
            CaskPut,
            Rotate,
            CaskPut,
            CaskBatch,
            Rotate,
            Checkpoint,
            Checkpoint,
        ]
    } else {
        &[]
    };
    let apart: &[Op] = if cask && twin { &[Op::CaskPut, Op::CaskDelete, Op::CaskPut] } else { &[] };
    for op in apart.iter().chain(before) {
        life.run(*op, &mut model).ok()?;
    }
    for op in [
        Put, Grow, Sync, Checkpoint, Overwrite, Rotate, Put, Delete, Checkpoint, Grow, Reopen, Put,
        Checkpoint,
    ] {
        life.run(op, &mut model).ok()?;
    }
    let earlier = disk.crash(&mut CrashPlan::keep_all());
    for op in [Overwrite, Put, Sync, Checkpoint, Put, Overwrite, Sync, Batch] {
        life.run(op, &mut model).ok()?;
    }
    match name {
        "closed" => life.store.take()?.close().ok()?,
        // The idle watermark proves the last flush.
        "idle" => life.run(Poll, &mut model).ok()?,
        // Acknowledged records in a segment that nothing but the manifest knows of.
        "rotated" => {
            for op in [Rotate, Put, Sync, Overwrite, Sync, Put, Sync, Poll] {
                life.run(op, &mut model).ok()?;
            }
        }
        // The manifest proves it.
        "checkpointed" => {
            if cask {
                // In the last flush, and nowhere else.
                life.run(Op::CaskPut, &mut model).ok()?;
                life.run(Sync, &mut model).ok()?;
            }
            life.run(Checkpoint, &mut model).ok()?;
        }
        _ => {}
    }
    let rest = disk.crash(&mut CrashPlan::keep_all());
    drop(life);
    Some((rest, earlier))
}

fn image(name: &'static str, seed: u64, cask: bool) -> Image {
    let build =
        |seed, twin| build(name, seed, cask, twin).expect("the life without faults does not fail");
    let (disk, earlier) = build(seed, false);
    let (foreign, _) = build(seed + 1, false);
    let (twin, _) = build(seed, true);
    let unproven = (name == "killed").then(|| last_flush(&disk));
    let Ok(opened) = open(&disk.fork(), false) else { panic!("the image without faults opens") };
    Image {
        name,
        disk,
        earlier,
        foreign,
        twin,
        state: opened.state,
        report: format!("{:?}", opened.report),
        unproven,
    }
}

/// File and offset of the last flush of the log.
fn last_flush(disk: &SimDisk) -> (PathBuf, u64) {
    let mut last = (PathBuf::new(), 0);
    let env = slotcask_io::sim::env_of(5, &disk.fork());
    let mut seen = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["shard", _, segment, "offset", offset, "flush", ..] = words[..] {
            let path = Path::new(ROOT).join("shard-000").join(segment);
            last = (path, offset.parse().unwrap_or(0));
        }
    };
    slotcask::tools::dump_log(&env, Path::new(ROOT), None, &mut seen)
        .expect("the log without faults can be read");
    last
}

impl Image {
    fn judge(&self, damaged: &SimDisk, kind: &str, what: &str, excused: bool, tally: &mut Tally) {
        tally.tried += 1;
        *tally.files.entry(kind.to_owned()).or_default() += 1;
        match open(damaged, false) {
            Err(Refused::Error(_)) => tally.refused += 1,
            Err(Refused::Contradiction(found)) => {
                tally.silent.push(format!("{}: {what}: {found}", self.name))
            }
            Ok(Opened { state, report, .. }) => {
                let same = format!("{report:?}") == self.report;
                let truncated =
                    report.truncated_flushes() > 0 || report.shards[0].manifest_truncated;
                if state == self.state && same {
                    tally.harmless += 1;
                } else if state == self.state || (excused && truncated) {
                    tally.reported += 1;
                } else {
                    tally
                        .silent
                        .push(format!("{}: {what}: other contents, report {report:?}", self.name));
                }
            }
        }
    }

    /// True when the byte lies in the last flush, which nothing proves.
    fn is_excused(&self, path: &Path, at: u64) -> bool {
        self.unproven.as_ref().is_some_and(|(file, from)| file == path && at >= *from)
    }

    /// Flips one bit.
    pub fn flip(&self, random: &mut Random, tally: &mut Tally) {
        let files = self.disk.files();
        let (path, len) = &files[random.below(files.len() as u64) as usize];
        if *len == 0 {
            return;
        }
        // Most of a file is zeros behind its end: half of the flips go where something stands.
        let bytes = self.disk.read_all(path).unwrap_or_default();
        let mut at = random.below(*len);
        if random.below(4) > 0 {
            let full: Vec<usize> = (0..bytes.len())
                .step_by(64)
                .filter(|at| bytes[*at..].iter().take(64).any(|byte| *byte != 0))
                .collect();
            if !full.is_empty() {
                at = (full[random.below(full.len() as u64) as usize] as u64 + random.below(64))
                    .min(*len - 1);
            }
        }
        let bit = at * 8 + random.below(8);
        let damaged = self.disk.fork();
        damaged.flip_bit(path, bit);
        let what = format!("bit {bit} of {}", path.display());
        self.judge(&damaged, &kind_of(path), &what, self.is_excused(path, at), tally);
    }

    /// Replaces each hint by that of the diverged copy.
    fn twin_hints(&self, tally: &mut Tally) {
        for (path, _) in self.disk.files() {
            let Some(bytes) = self.twin.read_all(&path).filter(|_| kind_of(&path) == "hint") else {
                continue;
            };
            let damaged = self.disk.fork();
            damaged.put_file(&path, &bytes);
            let what = format!("{} replaced by a diverged copy's", path.display());
            self.judge(&damaged, "hint", &what, false, tally);
        }
    }

    /// Puts something somewhere else, or takes it away.
    pub fn misplace(&self, random: &mut Random, tally: &mut Tally) {
        let files = self.disk.files();
        let pick = |random: &mut Random| files[random.below(files.len() as u64) as usize].clone();
        let (path, len) = pick(random);
        let sectors = len / 512;
        let damaged = self.disk.fork();
        let choice = random.below(10);
        if sectors == 0 && choice < 7 {
            return;
        }
        let full = |random: &mut Random, disk: &SimDisk, path: &Path| -> u64 {
            let bytes = disk.read_all(path).unwrap_or_default();
            let full: Vec<u64> = (0..bytes.len() as u64 / 512)
                .filter(|at| bytes[*at as usize * 512..][..512].iter().any(|byte| *byte != 0))
                .collect();
            if full.is_empty() { 0 } else { full[random.below(full.len() as u64) as usize] }
        };
        let sector = full(random, &self.disk, &path);
        let mut excused = self.is_excused(&path, sector * 512);
        let what = match choice {
            0 | 1 => {
                let (from, _) = pick(random);
                if self.disk.read_all(&from).is_none_or(|bytes| bytes.len() < 512) {
                    return;
                }
                let source = full(random, &self.disk, &from);
                damaged.copy_sector(&from, source, &path, sector);
                format!(
                    "sector {source} of {} written to sector {sector} of {}",
                    from.display(),
                    path.display()
                )
            }
            2 => {
                let other = full(random, &self.disk, &path);
                let (one, two) = (
                    self.disk.read_raw(&path, sector * 512, 512),
                    self.disk.read_raw(&path, other * 512, 512),
                );
                damaged.write_raw(&path, sector * 512, &two);
                damaged.write_raw(&path, other * 512, &one);
                excused |= self.is_excused(&path, other * 512);
                format!("sectors {sector} and {other} of {} swapped", path.display())
            }
            3 | 4 => {
                // A write that never happened: what stood there before.
                let block = sector / 8 * 8;
                if self
                    .earlier
                    .read_all(&path)
                    .is_none_or(|bytes| bytes.len() < (block as usize + 8) * 512)
                {
                    return;
                }
                let (from, len) = if choice == 3 { (sector, 512) } else { (block, 4096) };
                damaged.write_raw(
                    &path,
                    from * 512,
                    &self.earlier.read_raw(&path, from * 512, len),
                );
                excused |= self
                    .unproven
                    .as_ref()
                    .is_some_and(|(file, at)| *file == path && from * 512 + len as u64 > *at);
                format!(
                    "{len} bytes at sector {from} of {} are as they were earlier",
                    path.display()
                )
            }
            5 | 6 => {
                damaged.zero_sector(&path, sector);
                format!("sector {sector} of {} zeroed", path.display())
            }
            7 => {
                if random.below(2) == 0 {
                    damaged.delete_file(&path);
                    excused = false;
                    format!("{} removed", path.display())
                } else {
                    let len = random.below(len.max(1)) / 512 * 512;
                    damaged.truncate(&path, len);
                    excused |= self.unproven.as_ref().is_some_and(|(file, _)| *file == path);
                    format!("{} cut to {len} bytes", path.display())
                }
            }
            8 if kind_of(&path) == "hint" => {
                let Some(bytes) = self.twin.read_all(&path) else { return };
                damaged.put_file(&path, &bytes);
                format!("{} replaced by a diverged copy's", path.display())
            }
            _ => {
                let Some(bytes) = self.foreign.read_all(&path) else { return };
                damaged.put_file(&path, &bytes);
                excused = false;
                format!("{} replaced by another store's", path.display())
            }
        };
        // A zeroed sector can take all traces of a flush that nothing proves: that is the loss of an unproven write.
        if excused && self.unproven.is_some() {
            let gone = matches!(open(&damaged.fork(), false), Ok(opened) if opened.report.truncated_flushes() == 0);
            if gone {
                tally.tried += 1;
                tally.reported += 1;
                return;
            }
        }
        self.judge(&damaged, &kind_of(&path), &what, excused, tally);
    }
}

fn kind_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match ShardFile::parse(&name) {
        Some(ShardFile::Segment(_)) => "segment".to_owned(),
        Some(ShardFile::Spare(_)) => "spare".to_owned(),
        Some(ShardFile::Manifest(_)) => "manifest".to_owned(),
        Some(ShardFile::Slots(_)) => "slots".to_owned(),
        Some(ShardFile::Map(_)) => "page map".to_owned(),
        Some(ShardFile::Data(_)) => "data".to_owned(),
        Some(ShardFile::Hint(_)) => "hint".to_owned(),
        Some(ShardFile::DoubleWrite) => "double write".to_owned(),
        Some(ShardFile::Temporary) | None => name,
    }
}

/// Tries `count` faults of one kind over all images.
#[must_use]
pub fn run(count: u64, seed: u64, misplace: bool) -> Tally {
    let mut tally = Tally::default();
    let mut random = Random(seed);
    let images = images(seed);
    if misplace {
        images.iter().for_each(|image| image.twin_hints(&mut tally));
    }
    let mut rounds = 0;
    while tally.tried < count && rounds < 4 * count && tally.silent.len() < 5 {
        rounds += 1;
        let image = &images[random.below(images.len() as u64) as usize];
        if misplace {
            image.misplace(&mut random, &mut tally);
        } else {
            image.flip(&mut random, &mut tally);
        }
    }
    tally
}
