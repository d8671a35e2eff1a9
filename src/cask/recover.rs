//! Recovery of cask tables: keydirs from hints, then the log on top of them.

use crate::cask::Usage;
use crate::cask::usage::FileUse;
use crate::error::{Error, Result};
use crate::shard::Deadlines;
use slotcask_cask::{CaskIdent, KeyHash, Keydir, Location};
use slotcask_format::hint::HintTables;
use slotcask_format::manifest::{DataFileState, ManifestState};
use slotcask_format::record::{Record, RecordKind, deadline_of};
use slotcask_format::schema::TableKind;
use slotcask_io::{Env, File};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cask tables of a shard while it is recovered.
#[derive(Debug, Default)]
pub(crate) struct CaskRedo {
    pub keydirs: BTreeMap<u32, Arc<Keydir>>,
    pub usage: Usage,
    pub expiry: Deadlines<Location>,
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
    ) -> Result<Self> {
        let tables: BTreeMap<u32, u64> = manifest
            .tables
            .iter()
            .filter(|table| table.schema.kind == TableKind::Cask && on_shard(table.table))
            .map(|table| (table.table, table.clear_sequence))
            .collect();
        let loaded = slotcask_cask::load(env, ident, &manifest.data, &tables, hash_seed, history)
            .map_err(|error| Error::of_cask(error, u32::from(ident.shard)))?;
        let expiry = Deadlines::new(env.clock.wall_ms());
        let mut redo = Self { hash_seed, rebuilt: loaded.rebuilt, expiry, ..Self::default() };
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
                },
            );
        }
        for (deadline_ms, at) in loaded.deadlines {
            redo.expiry.add(deadline_ms, at);
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
            &mut self.expiry,
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

/// Applies a record to keydir and figures.
pub(crate) fn apply(
    keydir: &Keydir,
    usage: &mut Usage,
    expiry: &mut Deadlines<Location>,
    hash_seed: u64,
    record: &Record<'_>,
    (generation, offset): (u64, u64),
) -> Result<()> {
    let at = Location::new(generation, offset, record.size()).ok_or_else(|| Error::Limit {
        reason: format!("segment {generation} is beyond what a keydir can point to"),
    })?;
    let hash = KeyHash::of(hash_seed, record.key);
    let old = if record.kind == RecordKind::Put {
        usage.put(at);
        if let Ok(Some(deadline_ms)) = deadline_of(record.extension) {
            expiry.add(deadline_ms, at);
        }
        keydir.put(hash, at)
    } else {
        usage.tombstone(at);
        keydir.remove(hash)
    };
    if let Some(old) = old {
        usage.dead(old);
    }
    Ok(())
}

/// Takes all keys out of a keydir.
pub(crate) fn forget(keydir: &Keydir, usage: &mut Usage) {
    for (at, _) in keydir.places() {
        usage.dead(at);
    }
    keydir.clear();
}
