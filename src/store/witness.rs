//! Reading a store that no lock keeps closed: whether somebody wrote to it meanwhile.
//!
//! What is being written looks damaged. So before such a read and after it a fingerprint is taken of all that a writer changes: a write
//! goes to the log, and whatever else changes on disk does so between two records of a manifest. What cannot be read counts as
//! it is answered: damage answers the same each time.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::open::context;
use crate::store::{Found, ShardContext, look};
use slotcask_format::file_name::{HISTORY, LOCK, SUPERBLOCK, shard_dir};
use slotcask_format::history::{HISTORY_FILE_SIZE_MAX, History};
use slotcask_format::record::Record;
use slotcask_format::superblock::SUPERBLOCK_FILE_SIZE;
use slotcask_io::{Env, OpenMode};
use slotcask_log::recovery::{LogVisitor, Opening};
use slotcask_log::{LogConfig, LogIdent};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Attempts to read a manifest that a writer may be replacing.
const ATTEMPTS_MAX: u32 = 3;

/// Does `read`, and answers [`Error::Locked`] instead of what it says when the store changed meanwhile.
pub(crate) fn undisturbed<T>(
    env: &Env,
    root: &Path,
    read: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let before = fingerprint(env, root);
    let answer = read();
    if fingerprint(env, root) == before {
        answer
    } else {
        Err(Error::Locked { path: root.to_owned() })
    }
}

/// What a writer changes, a line for each part.
fn fingerprint(env: &Env, root: &Path) -> Vec<String> {
    let mut lines = vec![listing(env, root)];
    let limits = [(SUPERBLOCK, SUPERBLOCK_FILE_SIZE as u64), (HISTORY, HISTORY_FILE_SIZE_MAX)];
    for (name, size_max) in limits {
        lines.push(text(bytes_hash(env, &root.join(name), size_max)));
    }
    let Ok(Found::Store(superblock, _)) = look(env, root) else { return lines };
    let options = Options::new().read_only(true);
    let context = context(env, root, &options, &superblock, &History::default());
    for number in 0..superblock.shard_count.get() {
        let number = number as u8;
        lines.push(listing(env, &root.join(shard_dir(number))));
        lines.push(text(log_end(&context, number)));
    }
    lines
}

fn text<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.to_string(),
    }
}

/// Names, sizes and identities; of the lock file, which no write changes, nothing.
fn listing(env: &Env, dir: &Path) -> String {
    let entries = env.disk.list(dir).map_err(Error::Io);
    text(entries.map(|mut entries| {
        entries.retain(|entry| entry.name != LOCK);
        entries
    }))
}

fn bytes_hash(env: &Env, path: &Path, size_max: u64) -> Result<u64> {
    let file = env.disk.open(path, OpenMode::Read)?;
    Ok(xxh3_64(&crate::tools::read_whole(file.as_ref(), path, size_max)?))
}

/// Where the manifest and the log of a shard end. The log of a shard that was closed is not read: its manifest changes before it does.
fn log_end(context: &ShardContext, number: u8) -> Result<String> {
    let of_log = |error| Error::of_log(error, u32::from(number));
    let mut opening =
        Opening::read(&context.env, &context.ident(number), &context.log).map_err(of_log)?;
    let manifest = opening.manifest();
    let mut line = format!("{} {} {}", manifest.generation, manifest.sequence, manifest.torn);
    if opening.state().clean.is_none() {
        let end = opening.scan(u64::MAX, &mut Unread)?;
        line += &format!(
            " {} {} {} {}",
            end.last_sequence, end.watermark, end.flushes, end.truncated_bytes
        );
    }
    Ok(line)
}

/// Looks at no record.
struct Unread;

impl LogVisitor for Unread {
    type Error = Error;

    fn record(&mut self, _record: &Record<'_>) -> Result<()> {
        Ok(())
    }
}

/// The manifest of a shard as it was when the store was opened for reading. A file that readers hold open is used again only after a
/// manifest record that lists it no longer.
#[derive(Debug)]
pub(crate) struct ManifestWitness {
    pub root: PathBuf,
    env: Env,
    ident: LogIdent,
    config: LogConfig,
    newest: (u64, u64),
}

impl ManifestWitness {
    pub(crate) fn of(context: &ShardContext, number: u8, opening: &Opening) -> Self {
        Self {
            root: context.root.clone(),
            env: context.env.clone(),
            ident: context.ident(number),
            config: context.log.clone(),
            newest: newest(opening),
        }
    }

    /// True when somebody has written to the shard since. A manifest that cannot be read proves nothing.
    pub(crate) fn has_changed(&self) -> bool {
        (0..ATTEMPTS_MAX)
            .find_map(|_| Opening::read(&self.env, &self.ident, &self.config).ok())
            .is_some_and(|opening| newest(&opening) != self.newest)
    }
}

/// Generation of the manifest and number of its newest record.
fn newest(opening: &Opening) -> (u64, u64) {
    (opening.manifest().generation, opening.manifest().sequence)
}
