//! A change of the catalogue that a crash left on some shards only, completed where nothing may be written.

use crate::error::{Error, Result};
use crate::shard::CatalogueEntry;
use crate::store::recover::{ReadShard, ShardContext, index_hash, is_on_shard};
use slotcask_cask::Keydir;
use slotcask_fixed::{FixedTable, Loading, ShardIdent};
use slotcask_format::schema::{DdlAction, TableKind, TableSchema};
use std::sync::Arc;

/// What [`crate::store::StoreInner::complete_ddl`] does in an opening for writing, without a record: the shards that lack the newest
/// change get it in memory, and count it.
pub(crate) fn complete_ddl_in_memory(
    context: &ShardContext,
    shards: &mut [ReadShard],
) -> Result<()> {
    let number_of = |shard: &ReadShard| shard.state.ddl.as_ref().map_or(0, |ddl| ddl.number);
    let newest = shards.iter().max_by_key(|shard| number_of(shard));
    let Some(newest) = newest.and_then(|shard| shard.state.ddl.clone()) else { return Ok(()) };
    for shard in shards.iter_mut().filter(|shard| number_of(shard) < newest.number) {
        let state = &mut shard.state;
        match &newest.action {
            DdlAction::Create(schema) => {
                let entry = CatalogueEntry {
                    schema: schema.clone(),
                    clear_sequence: 0,
                    checkpoint: FixedTable::no_checkpoint(),
                };
                state.catalogue.insert(newest.table, entry);
                state.table_last = state.table_last.max(newest.table);
                let is_here = is_on_shard(schema, shard.number);
                if is_here && schema.kind == TableKind::Cask {
                    let keydir = Keydir::new(schema.ordered, context.huge_pages);
                    state.casks.insert(newest.table, Arc::new(keydir));
                } else if is_here {
                    let empty = empty_table(context, shard.number, newest.table, schema)?;
                    state.set_table(newest.table, Some(empty));
                }
            }
            DdlAction::Drop => {
                state.catalogue.remove(&newest.table);
                state.set_table(newest.table, None);
                state.casks.remove(&newest.table);
            }
            DdlAction::Clear => {
                // Behind every record that was read.
                let sequence = shard.report.last_sequence + 1;
                if let Some(table) = state.table(newest.table) {
                    table.clear(sequence);
                }
                if let Some(keydir) = state.casks.get(&newest.table) {
                    keydir.clear();
                }
            }
        }
        state.ddl = Some(newest.clone());
        shard.report.ddl_completed += 1;
    }
    Ok(())
}

fn empty_table(
    context: &ShardContext,
    shard: u8,
    table: u32,
    schema: &TableSchema,
) -> Result<FixedTable> {
    let ident = ShardIdent { store: context.store, shard };
    let loading = Loading::create_missing(
        &context.env,
        &context.ident(shard).dir,
        ident,
        table,
        schema,
        context.budgets.of(table, schema),
        context.fixed_options(),
        false,
    );
    let hash = |key: &[u8]| index_hash(context.hash_seed, key);
    loading
        .and_then(|loading| loading.finish_reading(0, &|_, _| true, hash))
        .map(|(table, _)| table)
        .map_err(|error| Error::of_fixed(error, u32::from(shard), &schema.name))
}
