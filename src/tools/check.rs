//! Reading every checksum of a store, changing nothing.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::{Redo, ShardContext, index_hash, kept_closed, look, open_context, read_history};
use slotcask_format::StoreId;
use slotcask_format::file_name::{SUPERBLOCK, ShardFile, shard_dir};
use slotcask_format::history::History;
use slotcask_format::manifest::ManifestState;
use slotcask_format::superblock::Superblock;
use slotcask_io::Env;
use slotcask_log::recovery::Opening;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nothing is lost: a damaged copy whose twin is whole, a tail that a crash tore.
    Notice,
    /// The store, or a part of it, cannot be opened as it is.
    Damage,
}

/// Something that is not as it should be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub path: PathBuf,
    /// At which byte, page or slot, as the reason says.
    pub at: u64,
    /// What.
    pub reason: String,
}

/// What [`check`] saw.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Keys found.
    pub keys: u64,
    /// Records in the log.
    pub records: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// True when nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Damage)
    }

    fn add(&mut self, severity: Severity, path: &Path, at: u64, reason: impl Into<String>) {
        self.findings.push(Finding { severity, path: path.to_owned(), at, reason: reason.into() });
    }

    fn add_error(&mut self, path: &Path, error: &Error) {
        match error {
            Error::Corrupt { path, at, reason } => {
                self.add(Severity::Damage, path, *at, reason.clone())
            }
            error => self.add(Severity::Damage, path, 0, error.to_string()),
        }
    }
}

/// The parts of a store that are there for all shards.
pub(crate) struct Ground {
    pub superblock: Superblock,
    pub history: History,
}

/// Reads superblock and history.
pub(crate) fn ground(env: &Env, root: &Path) -> Result<(Ground, Option<String>)> {
    let (superblock, damage) = look(env, root)?.store(root)?;
    let damage = damage.map(|reason| reason.to_string());
    let shards = superblock.shard_count.get() as u8;
    let history = read_history(env, root, StoreId(superblock.store), shards)?;
    Ok((Ground { superblock: *superblock, history }, damage))
}

/// Reads every file of the store in `root` and verifies every checksum and every rule of recovery. Changes nothing, also when the
/// store was not closed cleanly. Keeps the store closed meanwhile. `progress` gets bytes read and bytes in all, after each shard.
///
/// # Errors
/// [`Error::Locked`], at once, when the store is open for writing, or was written to meanwhile where it cannot be locked. When the directory holds no store, or superblock or history cannot be read: then there is nothing to check the rest with.
pub fn check(env: &Env, root: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckReport> {
    kept_closed(env, root, || check_closed(env, root, progress))
}

/// As [`check`], of a store that is kept closed by the caller.
pub(super) fn check_closed(
    env: &Env,
    root: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let (ground, damage) = ground(env, root)?;
    if let Some(reason) = damage {
        let reason = format!("one copy of the superblock is damaged: {reason}");
        report.add(Severity::Notice, &root.join(SUPERBLOCK), 0, reason);
    }
    let mut sizes = Vec::new();
    for entry in env.disk.list(root)? {
        if !entry.stat.is_dir {
            report.files += 1;
            report.bytes += entry.stat.len;
        }
    }
    let shards = ground.superblock.shard_count.get();
    for number in 0..shards {
        let dir = root.join(shard_dir(number as u8));
        let mut size = 0;
        // Whoever looks into the shard says why it cannot be listed.
        for entry in env.disk.list(&dir).unwrap_or_default() {
            report.files += 1;
            size += entry.stat.len;
        }
        report.bytes += size;
        sizes.push(size);
    }
    let mut done = 0;
    for number in 0..shards {
        check_shard(env, root, &ground, number as u8, &mut report);
        done += sizes[number as usize];
        progress(done, report.bytes);
    }
    Ok(report)
}

fn check_shard(env: &Env, root: &Path, ground: &Ground, number: u8, report: &mut CheckReport) {
    let options = Options::new().read_only(true);
    let context = open_context(env, root, &options, &ground.superblock, &ground.history);
    let dir = root.join(shard_dir(number));
    if let Err(error) = try_shard(&context, number, ground, report) {
        report.add_error(&dir, &error);
    }
}

fn try_shard(
    context: &ShardContext,
    number: u8,
    ground: &Ground,
    report: &mut CheckReport,
) -> Result<()> {
    let shard = u32::from(number);
    let ident = context.ident(number);
    let mut opening = Opening::read(&context.env, &ident, &context.log)
        .map_err(|error| Error::of_log(error, shard))?;
    if opening.manifest().torn {
        let manifest = opening.manifest();
        report.add(
            Severity::Notice,
            &manifest.path,
            manifest.end,
            "the last manifest record did not become whole",
        );
    }
    let mut redo = Redo::load(context, number, &opening)?;
    // Every record is read, not only what recovery would redo.
    let scan = opening.scan(1, &mut redo)?;
    context.known_log(number, &scan)?;
    report.records += scan.records;
    if scan.truncated_flushes > 0 {
        let reason = format!(
            "behind sequence {} {} bytes are of a flush that did not become whole; recovery drops it",
            scan.last_sequence, scan.truncated_bytes
        );
        report.add(Severity::Notice, &ident.dir, 0, reason);
    }
    report.keys += redo.cask_keys();
    check_data(context, number, &redo, opening.state(), report);
    let valid = |epoch: u32, sequence: u64| ground.history.holds(number, epoch, sequence);
    for (_, loading) in redo.into_loadings() {
        let (found, loaded) =
            loading.check(scan.last_sequence, &valid, |key| index_hash(context.hash_seed, key));
        report.keys += loaded.keys;
        if loaded.headers_damaged > 0 {
            let reason =
                format!("{} copies of table file headers are damaged", loaded.headers_damaged);
            report.add(Severity::Notice, &ident.dir, 0, reason);
        }
        for corruption in found {
            let reason = format!("{} {}: {}", corruption.what, corruption.at, corruption.reason);
            report.add(Severity::Damage, &corruption.path, corruption.at, reason);
        }
    }
    Ok(())
}

/// Reads every data file of cask tables, record by record, and its hint.
fn check_data(
    context: &ShardContext,
    number: u8,
    redo: &Redo<'_>,
    manifest: &ManifestState,
    report: &mut CheckReport,
) {
    let shard = u32::from(number);
    let ident = context.cask_ident(number);
    let mut buf = slotcask_cask::walk_buffer();
    for (state, file) in redo.data_files() {
        let frames = slotcask_cask::frames_of(state, &**file);
        let mut records = 0;
        let walked = slotcask_cask::walk(&ident, frames, &mut buf, |_, _, _| {
            records += 1;
            Ok(())
        });
        report.records += records;
        match walked {
            Ok(walked) if walked.frame_checksum != state.frame_checksum => {
                let reason = format!(
                    "data file {} is not the one that the manifest lists",
                    state.generation
                );
                report.add(Severity::Damage, &ident.dir, state.end, reason);
            }
            Ok(_) => {}
            Err(error) => report.add_error(&ident.dir, &Error::of_cask(error, shard)),
        }
    }
    for state in &manifest.data {
        let path = ident.dir.join(ShardFile::Hint(state.generation).name());
        match slotcask_cask::read_hint(&context.env, &ident, state) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let reason = "the hint is missing, damaged or cannot be read; the next opening makes it anew";
                report.add(Severity::Notice, &path, 0, reason);
            }
            Err(error) => report.add_error(&path, &Error::of_cask(error, shard)),
        }
    }
}
