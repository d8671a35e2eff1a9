//! Recovery of cask tables: keydirs from hints, then the log on top of them.

use crate::cask::Usage;
use crate::cask::usage::FileUse;
use crate::error::{Error, Result};
use slotcask_cask::{CaskIdent, KeyHash, Keydir, Location, TableToLoad};
use slotcask_format::file_name::ShardFile;
use slotcask_format::hint::HintTables;
use slotcask_format::manifest::{DataFileState, ManifestState};
use slotcask_format::range_delete::RangeDelete;
use slotcask_format::record::{Record, RecordKind, deadline_of};
use slotcask_format::schema::TableKind;
use slotcask_format::{Reason, mutants};
use slotcask_io::{Env, File};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The cask tables of a shard while it is recovered.
#[derive(Debug, Default)]
pub(crate) struct CaskRedo {
    pub keydirs: BTreeMap<u32, Arc<Keydir>>,
    pub usage: Usage,
    /// When records vanish, to be listed once all logs have said how late it is.
    pub deadlines: Vec<(u64, Location)>,
    pub files: Vec<(DataFileState, Arc<dyn File>)>,
    /// Hints that were missing or damaged, to be written when the shard is written to.
    pub rebuilt: Vec<(DataFileState, HintTables)>,
    hash_seed: u64,
}

impl CaskRedo {
    /// Builds the keydirs of the tables that the manifest lists.
    pub(crate) fn load(
        env: &Env,
        ident: &CaskIdent,
        manifest: &ManifestState,
        hash_seed: u64,
        history: &dyn Fn(u32, u64) -> bool,
        on_shard: &dyn Fn(u32) -> bool,
        huge_pages: bool,
    ) -> Result<Self> {
        let tables: BTreeMap<u32, TableToLoad> = manifest
            .tables
            .iter()
            .filter(|table| table.schema.kind == TableKind::Cask && on_shard(table.table))
            .map(|table| {
                let (void_until, ordered) = (table.clear_sequence, table.schema.ordered);
                (table.table, TableToLoad { void_until, ordered, huge_pages })
            })
            .collect();
        let loaded = slotcask_cask::load(env, ident, &manifest.data, &tables, hash_seed, history)
            .map_err(|error| Error::of_cask(error, u32::from(ident.shard)))?;
        slotcask_io::give_back(manifest.data.iter().map(|file| file.end).sum());
        let (rebuilt, deadlines) = (loaded.rebuilt, loaded.deadlines);
        let mut redo = Self { hash_seed, rebuilt, deadlines, ..Self::default() };
        for (table, keydir) in loaded.keydirs {
            redo.keydirs.insert(table, Arc::new(keydir));
        }
        for (generation, (file, found)) in loaded.files {
            if let Some(state) = manifest.data.iter().find(|state| state.generation == generation) {
                redo.files.push((*state, file));
            }
            redo.usage.set(
                generation,
                FileUse {
                    bytes: found.bytes,
                    live_bytes: found.live_bytes,
                    records: found.records,
                    live_records: found.live_records,
                    tombstones: found.tombstones,
                    tombstone_bytes: found.tombstone_bytes,
                },
            );
        }
        Ok(redo)
    }

    /// Applies a record of a cask table, which stands at this place of the log.
    pub(crate) fn apply(
        &mut self,
        record: &Record<'_>,
        generation: u64,
        offset: u64,
    ) -> Result<()> {
        let Some(keydir) = self.keydirs.get(&record.table) else { return Ok(()) };
        apply(
            keydir,
            &mut self.usage,
            &mut |deadline_ms, at| self.deadlines.push((deadline_ms, at)),
            self.hash_seed,
            record,
            (generation, offset),
        )
    }

    /// Empties a table.
    pub(crate) fn clear(&mut self, table: u32) {
        if let Some(keydir) = self.keydirs.get(&table) {
            forget(keydir, &mut self.usage);
        }
    }
}

/// Applies a record to keydir and figures; `vanishes` gets deadlines.
pub(crate) fn apply(
    keydir: &Keydir,
    usage: &mut Usage,
    vanishes: &mut dyn FnMut(u64, Location),
    hash_seed: u64,
    record: &Record<'_>,
    (generation, offset): (u64, u64),
) -> Result<()> {
    let at = Location::new(generation, offset, record.size()).ok_or_else(|| Error::Limit {
        reason: format!("segment {generation} is beyond what a keydir can point to"),
    })?;
    if record.kind == RecordKind::RangeDelete {
        usage.tombstone(at);
        return apply_range_delete(keydir, usage, hash_seed, record).map_err(|reason| {
            let path = PathBuf::from(ShardFile::Segment(generation).name());
            Error::corrupt(&path, offset, reason.to_string())
        });
    }
    let hash = KeyHash::of(hash_seed, record.key);
    if record.kind == RecordKind::Delete && mutants::active("cask_redo_forgets_deletes") {
        return Ok(());
    }
    let old = if record.kind == RecordKind::Put {
        usage.put(at);
        let deadline_ms = deadline_of(record.extension).ok().flatten();
        if let Some(deadline_ms) = deadline_ms {
            vanishes(deadline_ms, at);
        }
        let old = keydir.put(hash, at);
        keydir.note_put(record.key, old.is_some(), deadline_ms.is_some());
        old
    } else {
        usage.tombstone(at);
        keydir.note_removed(record.key);
        keydir.remove(hash)
    };
    if let Some(old) = old {
        usage.dead(old);
    }
    Ok(())
}

/// Takes out the keys that the record names. Others of the range were put later.
fn apply_range_delete(
    keydir: &Keydir,
    usage: &mut Usage,
    hash_seed: u64,
    record: &Record<'_>,
) -> std::result::Result<(), Reason> {
    let Some(removed) = KeyHash::removed_by(record)? else {
        return Err(Reason::Unknown { what: "range delete of a cask table", found: 1 });
    };
    if mutants::active("cask_redo_forgets_range_deletes") {
        return Ok(());
    }
    for hash in removed {
        if let Some(old) = keydir.remove(hash) {
            usage.dead(old);
        }
    }
    let end = RangeDelete::decode(record.value)?.end;
    keydir.note_range_removed(hash_seed, record.key, end);
    Ok(())
}

/// Takes all keys out of a keydir.
pub(crate) fn forget(keydir: &Keydir, usage: &mut Usage) {
    for (at, _) in keydir.places() {
        usage.dead(at);
    }
    keydir.clear();
}
