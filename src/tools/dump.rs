//! Log, manifest and slots as text, a record a line.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::{ShardContext, kept_closed, open_context};
use crate::tools::check::ground;
use slotcask_format::file_name::ShardFile;
use slotcask_format::flush::FlushHeader;
use slotcask_format::record::Record;
use slotcask_format::schema::{Ddl, TableKind};
use slotcask_format::slot::{SlotKind, SlotLayout, decode_slot, slot_seed};
use slotcask_format::slot_file::SLOT_FILE_DATA_OFFSET;
use slotcask_io::{AlignedBuf, Env, OpenMode};
use slotcask_log::recovery::{LogVisitor, Opening};
use std::path::Path;

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn context(env: &Env, root: &Path) -> Result<(ShardContext, u8)> {
    let (ground, _) = ground(env, root)?;
    let options = Options::new().read_only(true);
    let context = open_context(env, root, &options, &ground.superblock, &ground.history);
    Ok((context, ground.superblock.shard_count.get() as u8))
}

fn shards(shard: Option<u32>, count: u8) -> Result<std::ops::Range<u8>> {
    match shard {
        None => Ok(0..count),
        Some(one) if one < u32::from(count) => Ok(one as u8..one as u8 + 1),
        Some(one) => Err(Error::Options {
            option: "shard",
            reason: format!("there is no shard {one}, only {count}"),
        }),
    }
}

struct Printer<'a> {
    shard: u8,
    out: &'a mut dyn FnMut(&str),
}

impl LogVisitor for Printer<'_> {
    type Error = Error;

    fn flush(&mut self, path: &Path, header: &FlushHeader) -> Result<()> {
        let segment = path.file_name().unwrap_or_default().to_string_lossy();
        (self.out)(&format!(
            "shard {} {segment} offset {} flush first {} count {} bytes {} epoch {} durable {} manifest {} flags {}",
            self.shard,
            header.offset,
            header.first_sequence,
            header.count,
            header.length,
            header.epoch,
            header.durable_sequence,
            header.manifest_sequence,
            header.flags
        ));
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let slot = if record.slot == u32::MAX { "-".to_owned() } else { record.slot.to_string() };
        let detail = match Ddl::decode(record.value) {
            Ok(ddl) if record.key.is_empty() && !record.value.is_empty() => format!("{ddl:?}"),
            _ => format!("key {} value {}", hex(record.key), hex(record.value)),
        };
        (self.out)(&format!(
            "shard {} record {} epoch {} {:?} table {} slot {slot} flags {} {detail}",
            self.shard, record.sequence, record.epoch, record.kind, record.table, record.flags
        ));
        Ok(())
    }
}

/// Gives the valid part of the log to `out`: a line for each flush, then one for each record in it.
///
/// # Errors
/// [`Error::Locked`], at once, when the store is open for writing, and at the end when it could not be locked and was written to meanwhile. When there is no store, or the log is corrupt: what stands before the damage was given by then.
pub fn dump_log(
    env: &Env,
    root: &Path,
    shard: Option<u32>,
    out: &mut dyn FnMut(&str),
) -> Result<()> {
    kept_closed(env, root, || {
        let (context, count) = context(env, root)?;
        for number in shards(shard, count)? {
            let of_log = |error| Error::of_log(error, u32::from(number));
            let mut opening = Opening::read(&context.env, &context.ident(number), &context.log)
                .map_err(of_log)?;
            opening.scan(1, &mut Printer { shard: number, out })?;
        }
        Ok(())
    })
}

/// Gives the records of the manifest to `out`, a line each.
///
/// # Errors
/// [`Error::Locked`], at once, when the store is open for writing, and at the end when it could not be locked and was written to meanwhile. When there is no store, or the manifest is corrupt.
pub fn dump_manifest(
    env: &Env,
    root: &Path,
    shard: Option<u32>,
    out: &mut dyn FnMut(&str),
) -> Result<()> {
    kept_closed(env, root, || {
        let (context, count) = context(env, root)?;
        for number in shards(shard, count)? {
            let mut listener =
                |header: &slotcask_format::manifest::ManifestRecordHeader,
                 offset: u64,
                 state: &slotcask_format::manifest::ManifestState| {
                    out(&format!(
                        "shard {number} offset {offset} record {} {state:?}",
                        header.sequence
                    ));
                };
            Opening::read_with(&context.env, &context.ident(number), &context.log, &mut listener)
                .map_err(|error| Error::of_log(error, u32::from(number)))?;
        }
        Ok(())
    })
}

/// Gives the slots of a table, as they stand in its files, to `out`, a line each. Free slots that never were used are left out.
/// What the log holds and no checkpoint has written yet is not there.
///
/// # Errors
/// [`Error::Locked`], at once, when the store is open for writing, and at the end when it could not be locked and was written to meanwhile; [`Error::TableKind`] when it is a cask table. When there is no store or no such table.
pub fn dump_slots(env: &Env, root: &Path, table: &str, out: &mut dyn FnMut(&str)) -> Result<()> {
    kept_closed(env, root, || slots(env, root, table, out))
}

fn slots(env: &Env, root: &Path, table: &str, out: &mut dyn FnMut(&str)) -> Result<()> {
    let (context, count) = context(env, root)?;
    let mut found = false;
    for number in 0..count {
        let of_log = |error| Error::of_log(error, u32::from(number));
        let ident = context.ident(number);
        let opening = Opening::read(&context.env, &ident, &context.log).map_err(of_log)?;
        let Some(state) = opening.state().tables.iter().find(|state| state.schema.name == table)
        else {
            continue;
        };
        found = true;
        if state.schema.kind == TableKind::Cask {
            let table = table.to_owned();
            return Err(Error::TableKind { table, expected: "fixed", found: "cask" });
        }
        if !crate::store::is_on_shard(&state.schema, number) {
            continue;
        }
        let layout = SlotLayout::of(&state.schema);
        let seed = slot_seed(context.store, number, state.table);
        let path = ident.dir.join(ShardFile::Slots(state.table).name());
        let file = context.env.disk.open(&path, OpenMode::Read)?;
        let mut page = AlignedBuf::zeroed(layout.page_size);
        for page_number in 0..state.checkpoint.pages {
            let offset = SLOT_FILE_DATA_OFFSET + u64::from(page_number) * layout.page_size as u64;
            file.read_at(offset, &mut page)?;
            for within in 0..layout.slots_per_page {
                let slot = page_number * layout.slots_per_page as u32 + within as u32;
                let bytes = &page[within * layout.slot_size..][..layout.slot_size];
                let line = match decode_slot(seed, slot, bytes) {
                    Ok((header, SlotKind::Free)) if header.sequence.get() == 0 => continue,
                    Ok((header, kind)) => format!(
                        "shard {number} slot {slot} {kind:?} sequence {} epoch {} key {} value {}",
                        header.sequence,
                        header.epoch,
                        hex(&bytes[layout.key_offset..][..layout.key_len]),
                        hex(&bytes[layout.value_offset..][..layout.value_len])
                    ),
                    Err(reason) => format!("shard {number} slot {slot} damaged: {reason}"),
                };
                out(&line);
            }
        }
    }
    if found { Ok(()) } else { Err(Error::NoSuchTable { table: table.to_owned() }) }
}
