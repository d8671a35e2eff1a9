//! What a directory holds, and making a store in an empty one.
//!
//! The superblock comes last, by rename: a directory without one is no store. What an interrupted creation leaves is known to
//! the last file: shard directories with a first manifest, a history without epochs, a lock file. With anything else in it the directory is a
//! store that lost its superblock, or is being copied, or somebody else's, and nothing in it is touched.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::epoch::write_history;
use slotcask_format::file_name::{
    HISTORY, LOCK, SUPERBLOCK, ShardFile, TEMPORARY, parse_shard_dir, shard_dir,
};
use slotcask_format::history::History;
use slotcask_format::superblock::{FEATURE_TORN_PAGE_PROTECTION, SUPERBLOCK_FILE_SIZE, Superblock};
use slotcask_format::{Reason, StoreId};
use slotcask_io::{AlignedBuf, DirEntry, Env, IoErrorKind, OpenMode};
use slotcask_log::recovery::{FIRST_MANIFEST, Opening};
use slotcask_log::{LogConfig, LogIdent};
use std::path::{Path, PathBuf};
use zerocopy::FromZeros;
use zerocopy::little_endian::{U32, U64};

/// What a directory holds.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing but perhaps a lock file; the directory itself may be missing.
    Nothing,
    /// A creation that was interrupted.
    HalfCreated,
    /// A store; the reason tells why one copy of its superblock is damaged, if one is.
    Store(Box<Superblock>, Option<Reason>),
}

impl Found {
    /// The superblock, and the reason why one copy of it is damaged.
    ///
    /// # Errors
    /// Where there is no store.
    pub(crate) fn store(self, root: &Path) -> Result<(Box<Superblock>, Option<Reason>)> {
        let path = root.to_owned();
        match self {
            Self::Store(superblock, damage) => Ok((superblock, damage)),
            Self::HalfCreated => Err(Error::HalfCreated { path }),
            Self::Nothing => Err(Error::NotAStore { path, reason: "there is no store".to_owned() }),
        }
    }
}

/// Looks what `root` holds. Changes nothing. Without the lock it may be overtaken by somebody who makes a store there.
pub(crate) fn look(env: &Env, root: &Path) -> Result<Found> {
    let not_ours =
        |reason: &str| Err(Error::NotAStore { path: root.to_owned(), reason: reason.to_owned() });
    match env.disk.stat(root)? {
        None => return Ok(Found::Nothing),
        Some(stat) if !stat.is_dir => return not_ours("this is a file, not a directory"),
        Some(_) => {}
    }
    let entries = env.disk.list(root)?;
    let path = root.join(SUPERBLOCK);
    if entries.iter().any(|entry| entry.name == SUPERBLOCK && !entry.stat.is_dir) {
        let file = env.disk.open(&path, OpenMode::Read)?;
        // A file that is not ours is told by what stands in it, whatever its length.
        let (found, max) = (file.size()?, SUPERBLOCK_FILE_SIZE as u64);
        let bytes = crate::tools::read_front(file.as_ref(), max)?;
        return match Superblock::decode_file(&bytes) {
            Ok(_) if found > max => {
                let what = "bytes of the file";
                Err(crate::tools::refuse(&path, 0, Reason::Range { what, found, max }))
            }
            Ok((superblock, damage)) => Ok(Found::Store(Box::new(superblock), damage)),
            Err(reason) => Err(crate::tools::refuse(&path, 0, reason)),
        };
    }
    // A lock file alone: somebody is about to begin.
    if entries.iter().all(|entry| entry.name == LOCK && !entry.stat.is_dir) {
        return Ok(Found::Nothing);
    }
    let lost = |what: &str| {
        let reason =
            format!("the superblock is not there, yet {what}: put it back, or finish copying");
        Err(Error::corrupt(&path, 0, reason))
    };
    let mut is_begun = false;
    for entry in &entries {
        let name = entry.name.as_str();
        match (entry.stat.is_dir, name) {
            // It comes first, and whoever looks for a store may have made it.
            (false, LOCK) => {}
            (false, HISTORY) => match read_epochs(env, &root.join(name))? {
                Some(0) => is_begun = true,
                Some(_) => return lost("the history has epochs"),
                None => return not_ours("the file \"history\" in it is no history of a store"),
            },
            (false, _) if TEMPORARIES.contains(&name) => {}
            (true, _) if parse_shard_dir(name).is_some() => {
                is_begun = true;
                for file in env.disk.list(&root.join(name))? {
                    if is_of_creation(&file) {
                        continue;
                    }
                    if !file.stat.is_dir && ShardFile::parse(&file.name).is_some() {
                        return lost(&format!("{name} holds {:?}", file.name));
                    }
                    return not_ours(&format!(
                        "{name} in it holds {:?}, which no store has",
                        file.name
                    ));
                }
            }
            _ => return not_ours(&format!("it holds {name:?}, which no store has")),
        }
    }
    if let Some(other) = entries.iter().find(|entry| entry.name != LOCK).filter(|_| !is_begun) {
        return not_ours(&format!("it holds {:?}, and nothing of a store besides", other.name));
    }
    Ok(Found::HalfCreated)
}

/// Files that a creation writes before they get their names.
const TEMPORARIES: [&str; 2] = ["store.tmp", "history.tmp"];

/// True for what a creation makes in the directory of a shard.
fn is_of_creation(file: &DirEntry) -> bool {
    let manifest = ShardFile::Manifest(FIRST_MANIFEST).name();
    !file.stat.is_dir
        && file.name.strip_prefix(&manifest).is_some_and(|end| end.is_empty() || end == TEMPORARY)
}

/// Epochs of a history file, if it is one.
fn read_epochs(env: &Env, path: &Path) -> Result<Option<u32>> {
    let file = env.disk.open(path, OpenMode::Read)?;
    let bytes = crate::tools::read_front(file.as_ref(), file.size()?.min(1 << 20))?;
    Ok(History::count_in(&bytes))
}

/// As [`look`], before the lock is taken: None where a lock file stands, for what others are doing there is known only to who holds it.
pub(crate) fn look_before_lock(env: &Env, root: &Path) -> Result<Option<Found>> {
    let found = look(env, root);
    // Asked afterwards: whoever makes a store makes the lock file first of all.
    if matches!(env.disk.stat(&root.join(LOCK)), Ok(Some(_))) {
        return Ok(None);
    }
    found.map(Some)
}

/// Removes what an interrupted creation left, and nothing else.
pub(crate) fn sweep(env: &Env, root: &Path) -> Result<()> {
    let mut entries = env.disk.list(root)?;
    // The history last: a temporary file without it, where no shard was made yet, would be nobody's.
    entries.sort_by_key(|entry| entry.name == HISTORY);
    for entry in entries {
        let path = root.join(&entry.name);
        if entry.stat.is_dir {
            for file in env.disk.list(&path)?.iter().filter(|file| is_of_creation(file)) {
                env.disk.remove(&path.join(&file.name))?;
            }
        } else if entry.name == HISTORY || TEMPORARIES.contains(&entry.name.as_str()) {
            env.disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Makes `root` and the directories above it.
pub(crate) fn make_root(env: &Env, root: &Path) -> Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = Some(root);
    while let Some(dir) = at.filter(|dir| !dir.as_os_str().is_empty()) {
        if env.disk.stat(dir)?.is_some() {
            break;
        }
        missing.push(dir.to_owned());
        at = dir.parent();
    }
    for dir in missing.iter().rev() {
        make_dir(env, dir)?;
    }
    Ok(())
}

fn make_dir(env: &Env, dir: &Path) -> Result<()> {
    match env.disk.create_dir(dir) {
        Err(error) if error.kind != IoErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => Ok(env.disk.sync_dir(parent)?),
        None => Ok(env.disk.sync_dir(Path::new("."))?),
    }
}

/// Makes a store in `root`, which is there, locked and swept.
pub(crate) fn create(env: &Env, root: &Path, options: &Options) -> Result<Superblock> {
    let shards = options.shards.unwrap_or_else(default_shards);
    let (segment_size, segment_count) = options.log_geometry(shards)?;
    let mut superblock = Superblock::new_zeroed();
    env.entropy.fill(&mut superblock.store);
    env.entropy.fill(&mut superblock.node);
    env.entropy.fill(&mut superblock.secret);
    if options.torn_page_protection == Some(true) {
        superblock.features_required = U64::new(FEATURE_TORN_PAGE_PROTECTION);
    }
    superblock.shard_count = U32::new(shards);
    superblock.shard_prefix_bits = U32::new(options.shard_prefix_bits.unwrap_or(0));
    superblock.segment_size = U64::new(segment_size);
    superblock.segment_count = U32::new(segment_count);
    superblock.lock_identity = U64::new(lock_identity(env, root)?.unwrap_or(0));
    superblock.created_ms = U64::new(env.clock.wall_ms());
    superblock.seal();
    let store = StoreId(superblock.store);
    let config = LogConfig::new(segment_size, segment_count);
    for shard in 0..shards {
        let ident = LogIdent::new(root, store, shard as u8);
        make_dir(env, &root.join(shard_dir(shard as u8)))?;
        Opening::create(env, &ident, &config).map_err(|error| Error::of_log(error, shard))?;
    }
    write_history(env, root, store, &History::default(), shards as u8)?;
    write_superblock(env, root, &superblock)?;
    Ok(superblock)
}

/// Puts the superblock in its place, durably.
pub(crate) fn write_superblock(env: &Env, root: &Path, superblock: &Superblock) -> Result<()> {
    let temporary = root.join(format!("{SUPERBLOCK}{TEMPORARY}"));
    if env.disk.stat(&temporary)?.is_some() {
        env.disk.remove(&temporary)?;
    }
    let file = env.disk.open(&temporary, OpenMode::Create)?;
    file.write_at(0, &AlignedBuf::copy_of(&superblock.encode_file()))?;
    file.sync()?;
    env.disk.rename(&temporary, &root.join(SUPERBLOCK))?;
    env.disk.sync_dir(root)?;
    Ok(())
}

/// The inode of the lock file, if there is one: a copied directory has another one.
pub(crate) fn lock_identity(env: &Env, root: &Path) -> Result<Option<u64>> {
    Ok(env.disk.stat(&root.join(LOCK))?.map(|stat| stat.identity))
}

fn default_shards() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get());
    cores.clamp(1, 4) as u32
}
