//! `stat`: describes a store.

use crate::errors::{Exit, Failure};
use crate::opening;
use crate::output::Output;
use crate::text::{count, display_size};
use serde_json::{Value, json};
use slotcask::{Placement, RecoveryReport, ShardRecovery, ShardStats, Store, TableInfo, TableKind};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Of cask records live bytes are of use, dead ones go with merges, pinned ones stay for now: deletes that older files still need. What a program
that has the store open does since it opened it is in its own metrics.

A store that was not closed cleanly is recovered in memory; the report of that recovery is printed.

Examples:
  slotcask stat db
  slotcask --json stat db";

/// Arguments of `stat`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct StatArgs {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the description.
pub fn run(args: &StatArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = opening::for_reading(&args.dir, output.wait())?;
    if output.is_json() {
        output.json(&object(&store)?)?;
    } else {
        output.bytes(text(&store)?.as_bytes())?;
    }
    store.close()?;
    Ok(Exit::Done)
}

fn object(store: &Store) -> Result<Value, Failure> {
    let stats = store.stats()?;
    Ok(json!({
        "id": store.id().to_string(),
        "shard_count": store.shard_count(),
        "tables": store.tables()?.iter().map(table_object).collect::<Vec<_>>(),
        "shards": stats.shards.iter().map(shard_object).collect::<Vec<_>>(),
        "recovery": recovery_object(store.recovery()),
    }))
}

fn table_object(table: &TableInfo) -> Value {
    let shard = match table.placement {
        Placement::Pinned(shard) => Some(shard),
        Placement::Hashed => None,
    };
    json!({
        "id": table.id,
        "name": table.name,
        "kind": kind(table),
        "pinned": shard,
        "key_len": table.key_len,
        "value_len": table.value_len,
        "deadlines": table.deadlines,
        "ordered": table.ordered,
        "slot_count_max": table.slot_count_max,
        "slot_size": table.slot_size,
        "rows": table.len,
        "memory_bytes": table.memory_bytes,
        "compression": table.compression,
    })
}

fn kind(table: &TableInfo) -> &'static str {
    if table.kind == TableKind::Cask { "cask" } else { "fixed" }
}

fn shard_object(shard: &ShardStats) -> Value {
    json!({
        "shard": shard.shard,
        "last_sequence": shard.last_sequence,
        "durable_sequence": shard.durable_sequence,
        "epoch": shard.epoch,
        "log_bytes": shard.log_bytes,
        "log_capacity": shard.log_capacity,
        "segment_files": shard.segment_files,
        "checkpoint_number": shard.checkpoint_number,
        "cask_files": shard.cask_files,
        "cask_live_bytes": shard.cask_live_bytes,
        "cask_dead_bytes": shard.cask_dead_bytes,
        "cask_pinned_bytes": shard.cask_pinned_bytes,
        "poisoned": shard.poisoned,
        "refused": shard.refused,
    })
}

fn recovery_object(report: &RecoveryReport) -> Value {
    let shards: Vec<Value> = report.shards.iter().map(recovered_object).collect();
    json!({
        "clean": report.clean,
        "epoch": report.epoch,
        "shards": shards,
        "warnings": report.warnings,
    })
}

fn recovered_object(shard: &ShardRecovery) -> Value {
    json!({
        "shard": shard.shard,
        "last_sequence": shard.last_sequence,
        "watermark": shard.watermark,
        "records_read": shard.records_read,
        "records_redone": shard.records_redone,
        "truncated_flushes": shard.truncated_flushes,
        "truncated_bytes": shard.truncated_bytes,
        "manifest_truncated": shard.manifest_truncated,
        "void_slots": shard.void_slots,
        "slots_mended": shard.slots_mended,
        "pages_unexpected": shard.pages_unexpected,
        "pages_restored": shard.pages_restored,
        "headers_damaged": shard.headers_damaged,
        "hints_rebuilt": shard.hints_rebuilt,
        "ddl_completed": shard.ddl_completed,
        "rows": shard.rows,
    })
}

fn text(store: &Store) -> Result<String, Failure> {
    let shards = count(u64::from(store.shard_count()), "shard");
    let mut lines = vec![format!("store {}, {shards}", store.id())];
    lines.extend(store.tables()?.iter().map(table_line));
    for shard in &store.stats()?.shards {
        lines.extend(shard_lines(shard));
    }
    lines.extend(recovery_lines(store.recovery()));
    Ok(lines.join("\n") + "\n")
}

fn table_line(table: &TableInfo) -> String {
    let place = match table.placement {
        Placement::Pinned(shard) => format!(", on shard {shard}"),
        Placement::Hashed => String::new(),
    };
    let order = if table.ordered { "ordered " } else { "" };
    if table.kind == TableKind::Cask {
        let packed = match &table.compression {
            Some(name) => format!(" compressed with {name}"),
            None => String::new(),
        };
        return format!(
            "{order}cask table {}: {}, keys of up to {} bytes, values of up to {} bytes{packed}, {} of memory{place}",
            table.name,
            count(table.len, "row"),
            table.key_len,
            table.value_len,
            display_size(table.memory_bytes)
        );
    }
    format!(
        "{order}table {}: {}, keys of {} bytes, values of {} bytes, {} of memory{place}",
        table.name,
        count(table.len, "row"),
        table.key_len,
        table.value_len,
        display_size(table.memory_bytes)
    )
}

fn shard_lines(shard: &ShardStats) -> Vec<String> {
    let mut lines = vec![format!(
        "shard {}: sequence {}, durable {}; log {} of {} in {}; checkpoint {}",
        shard.shard,
        shard.last_sequence,
        shard.durable_sequence,
        display_size(shard.log_bytes),
        display_size(shard.log_capacity),
        count(shard.segment_files, "file"),
        shard.checkpoint_number
    )];
    if shard.cask_files > 0 {
        lines.push(format!(
            "shard {}: cask records in {}: {} live, {} dead, {} pinned (deletes that are needed, files that cannot go)",
            shard.shard,
            count(shard.cask_files, "file"),
            display_size(shard.cask_live_bytes),
            display_size(shard.cask_dead_bytes),
            display_size(shard.cask_pinned_bytes)
        ));
    }
    if let Some(cause) = &shard.poisoned {
        lines.push(format!("shard {} refuses writes: {cause}", shard.shard));
    }
    if let Some(cause) = &shard.refused {
        lines.push(format!("shard {} has no room for its log: {cause}", shard.shard));
    }
    lines
}

fn recovery_lines(report: &RecoveryReport) -> Vec<String> {
    let kind = if report.clean { "was closed cleanly" } else { "recovered from a crash" };
    let mut lines = vec![format!("epoch {}; the store {kind}", report.epoch)];
    for shard in &report.shards {
        let mut line = format!("shard {}: opened at sequence {}", shard.shard, shard.last_sequence);
        if !report.clean {
            line += &format!(
                "; {} redone, {} dropped beyond the end of the log",
                count(shard.records_redone, "record"),
                display_size(shard.truncated_bytes)
            );
        }
        lines.push(line);
    }
    lines.extend(report.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines
}
