//! The double-write area: one file a shard. A batch of pages is written here and synced before it is written in place, so
//! that a page that a power loss destroyed half way has a whole image elsewhere.
//!
//! The area always holds the batch that was written last on its shard, of whichever table. The states after a crash:
//!
//! | crash | area | in place | what opening does |
//! | --- | --- | --- | --- |
//! | while the area was written | no complete batch | the batch before was synced in place before the area was touched | nothing |
//! | after the area's sync, before or while pages were written in place | complete | each page old, new, or destroyed | a page with a bad slot gets its image; old pages stay, the log redoes them |
//! | after the pages' sync | complete | all new | nothing: no slot is bad |
//! | long after; then a page rots | complete | new, damaged | the page gets its image, which is the last that was written |
//! | while opening restores | complete | as above, or torn by the restoring | the same again |
//! | while opening wipes the area | complete, or none | restored and synced | the same again (nothing is bad), or nothing |
//!
//! Two rules make an image safe to use. A page with good slots is never replaced: it may be newer than the image. And the
//! image of a bad page is never older than the page was: whoever writes a page in place has written the area first, and
//! every opening for writing wipes the area after restoring from it, so that no image outlives a time in which pages were
//! written without protection.
//!
//! The page map has no say here. An image is that of a checkpoint that may not be committed, which the map does not know.

use crate::error::{Corruption, FixedError, Result};
use crate::files::Place;
use crate::options::{FixedOptions, ShardIdent};
use slotcask_format::double_write::{
    DoubleWrite, decode, double_write_seed, encode_index, index_size,
};
use slotcask_format::file_name::ShardFile;
use slotcask_format::manifest::TableState;
use slotcask_format::mutants;
use slotcask_format::slot::{SlotLayout, decode_slot, slot_seed};
use slotcask_format::{BLOCK_SIZE, Reason, Seed};
use slotcask_io::{AlignedBuf, Env, File, IoErrorKind, OpenMode, Write};
use std::path::Path;
use std::sync::Arc;

/// Longest area that is read, bytes: far more than any batch.
const AREA_LEN_MAX: u64 = 1 << 30;

/// The area, open for writing.
#[derive(Debug)]
pub(crate) struct Area {
    file: Arc<dyn File>,
    seed: Seed,
}

impl Area {
    /// Makes or opens the area with room for one batch, when the options ask for one. Room is reserved here, so that no
    /// checkpoint fails for want of it.
    pub(crate) fn prepare(
        env: &Env,
        dir: &Path,
        ident: ShardIdent,
        layout: &SlotLayout,
        options: &FixedOptions,
    ) -> Result<Option<Arc<Self>>> {
        if !options.torn_page_protection {
            return Ok(None);
        }
        let path = dir.join(ShardFile::DoubleWrite.name());
        let (file, made) = match env.disk.open(&path, OpenMode::ReadWrite) {
            Ok(file) => (file, false),
            Err(error) if error.kind == IoErrorKind::NotFound => {
                (env.disk.open(&path, OpenMode::Create)?, true)
            }
            Err(error) => return Err(error.into()),
        };
        let pages = (options.batch_bytes / layout.page_size).max(1);
        file.allocate((index_size(pages) + pages * layout.page_size) as u64)?;
        if made {
            file.sync()?;
            env.disk.sync_dir(dir)?;
        }
        let seed = double_write_seed(ident.store, ident.shard);
        Ok(Some(Arc::new(Self { file, seed })))
    }

    /// Writes a batch and syncs it. Whatever the area protected until now must be durable in place.
    pub(crate) fn write(
        &self,
        table: u32,
        batch: u64,
        page_size: usize,
        pages: &[u32],
        images: &[u8],
    ) -> Result<()> {
        let index = encode_index(self.seed, table, batch, page_size, pages, images);
        let index = AlignedBuf::copy_of(&index);
        let offset = index.len() as u64;
        self.file
            .write_many(&[Write { offset: 0, data: &index }, Write { offset, data: images }])?;
        self.file.sync()?;
        Ok(())
    }
}

/// What [`restore_double_write`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Pages in the area.
    pub pages_found: u32,
    /// Pages that were damaged in place and got their image.
    pub pages_restored: u32,
}

/// Restores destroyed pages of a shard from its double-write area, durably, and wipes the area. Called once for each shard
/// before its tables are written to, whether or not the options ask for protection now: the store may have had it
/// when it crashed. `tables` are those of the manifest. May be repeated after a crash at any point.
///
/// # Errors
/// [`FixedError::Io`]; [`FixedError::Newer`]; [`FixedError::Corrupt`] when the area is whole but not of these tables.
pub fn restore_double_write(
    env: &Env,
    dir: &Path,
    ident: ShardIdent,
    tables: &[TableState],
) -> Result<Restored> {
    let mut restored = Restored::default();
    let Some((area, bytes)) = read_area(env, dir, OpenMode::ReadWrite)? else {
        return Ok(restored);
    };
    if let Some(batch) = decode_area(dir, ident, &bytes)? {
        restored.pages_found = batch.pages.len() as u32;
        if let Some(state) = tables.iter().find(|state| state.table == batch.table) {
            let place = Place::new(dir, ident, state.table, SlotLayout::of(&state.schema));
            restored.pages_restored = restore(env, &place, &batch)?;
        }
    }
    if bytes[..bytes.len().min(BLOCK_SIZE)].iter().any(|byte| *byte != 0) {
        area.write_at(0, &AlignedBuf::zeroed(BLOCK_SIZE))?;
        area.sync()?;
    }
    Ok(restored)
}

fn restore(env: &Env, place: &Place, batch: &DoubleWrite<'_>) -> Result<u32> {
    let file = match env.disk.open(&place.slots_path, OpenMode::ReadWrite) {
        Ok(file) => file,
        // Loading says what a missing file means.
        Err(error) if error.kind == IoErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let page_size = page_size_of(place, batch)?;
    let size = file.size()?;
    let mut page_bytes = AlignedBuf::zeroed(page_size);
    let mut restored = 0;
    for (page, image) in batch.pages.iter().zip(batch.images.chunks_exact(page_size)) {
        let offset = place.page_offset(*page);
        if offset + page_size as u64 > size {
            continue;
        }
        file.read_at(offset, &mut page_bytes)?;
        if has_bad_slot(place, *page, &page_bytes) {
            page_bytes.copy_from_slice(image);
            file.write_at(offset, &page_bytes)?;
            restored += 1;
        }
    }
    // Also when every page is whole: a process that was killed may have written them and not synced, and the area goes next.
    if restored > 0 || !mutants::active("trust_found_pages") {
        file.sync()?;
    }
    Ok(restored)
}

fn page_size_of(place: &Place, batch: &DoubleWrite<'_>) -> Result<usize> {
    let expected = place.layout.page_size;
    if batch.page_size != expected {
        let (expected, found) = (expected as u64, batch.page_size as u64);
        let reason =
            Reason::Mismatch { what: "page size in the double-write area", expected, found };
        return Err(place.bad_slots("file", 0u64, reason).into());
    }
    Ok(expected)
}

fn has_bad_slot(place: &Place, page: u32, bytes: &[u8]) -> bool {
    let layout = &place.layout;
    let seed = slot_seed(place.ident.store, place.ident.shard, place.table);
    let first = page.wrapping_mul(layout.slots_per_page as u32);
    let slots = bytes.chunks_exact(layout.slot_size).take(layout.slots_per_page);
    slots.zip(0..).any(|(slot, at)| decode_slot(seed, first.wrapping_add(at), slot).is_err())
}

/// Images of the pages of one table, for an opening that may not write.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    bytes: Option<AlignedBuf>,
    /// Page numbers, and where their images are in `bytes`.
    pages: Vec<(u32, usize)>,
}

impl Overlay {
    /// Reads what the area holds for a table.
    pub(crate) fn read(env: &Env, dir: &Path, place: &Place) -> Result<Self> {
        let Some((_, bytes)) = read_area(env, dir, OpenMode::Read)? else {
            return Ok(Self::default());
        };
        let mut pages = Vec::new();
        if let Some(batch) = decode_area(dir, place.ident, &bytes)?
            && batch.table == place.table
        {
            let page_size = page_size_of(place, &batch)?;
            let from = index_size(batch.pages.len());
            pages = batch
                .pages
                .iter()
                .enumerate()
                .map(|(at, page)| (*page, from + at * page_size))
                .collect();
            pages.sort_unstable();
        }
        Ok(Self { bytes: Some(bytes), pages })
    }

    /// Puts images over those pages of a run, from `first` on, that have bad slots. Returns how many.
    pub(crate) fn apply(&self, place: &Place, first: u32, run: &mut [u8]) -> u32 {
        let Some(bytes) = &self.bytes else { return 0 };
        let page_size = place.layout.page_size;
        let end = first + (run.len() / page_size) as u32;
        let from = self.pages.partition_point(|(page, _)| *page < first);
        let mut restored = 0;
        for (page, at) in self.pages[from..].iter().take_while(|(page, _)| *page < end) {
            let target = &mut run[(page - first) as usize * page_size..][..page_size];
            if has_bad_slot(place, *page, target) {
                target.copy_from_slice(&bytes[*at..at + page_size]);
                restored += 1;
            }
        }
        restored
    }
}

fn read_area(env: &Env, dir: &Path, mode: OpenMode) -> Result<Option<(Arc<dyn File>, AlignedBuf)>> {
    let path = dir.join(ShardFile::DoubleWrite.name());
    let file = match env.disk.open(&path, mode) {
        Ok(file) => file,
        Err(error) if error.kind == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let blocks = file.size()?.min(AREA_LEN_MAX) / BLOCK_SIZE as u64;
    if blocks == 0 {
        return Ok(None);
    }
    let mut bytes = AlignedBuf::zeroed(BLOCK_SIZE);
    file.read_at(0, &mut bytes)?;
    // The usual area was wiped: its pages need not be read to see that.
    if bytes.iter().any(|byte| *byte != 0) && blocks > 1 {
        bytes = AlignedBuf::zeroed(blocks as usize * BLOCK_SIZE);
        file.read_at(0, &mut bytes)?;
    }
    Ok(Some((file, bytes)))
}

/// The complete batch in an area; none is an ordinary state.
fn decode_area<'a>(
    dir: &Path,
    ident: ShardIdent,
    bytes: &'a [u8],
) -> Result<Option<DoubleWrite<'a>>> {
    match decode(double_write_seed(ident.store, ident.shard), bytes) {
        Ok(batch) => {
            if batch.pages.windows(2).all(|pair| pair[0] < pair[1]) {
                return Ok(Some(batch));
            }
            Err(FixedError::Corrupt(Corruption {
                what: "double-write area",
                path: dir.join(ShardFile::DoubleWrite.name()),
                table: batch.table,
                shard: ident.shard,
                at: batch.batch,
                reason: "its page numbers do not ascend".to_owned(),
            }))
        }
        Err(reason @ Reason::Version { .. }) => Err(FixedError::Newer {
            path: dir.join(ShardFile::DoubleWrite.name()),
            reason: reason.to_string(),
        }),
        Err(_) => Ok(None),
    }
}
