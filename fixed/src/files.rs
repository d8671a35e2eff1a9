//! The two files of a table on a shard: slot file and page map. Their names, headers and sizes.

use crate::error::{Corruption, FixedError, Result};
use crate::options::ShardIdent;
use slotcask_format::file_name::ShardFile;
use slotcask_format::page_map::{MAP_ENTRIES, map_block_offset};
use slotcask_format::slot::SlotLayout;
use slotcask_format::slot_file::{
    MAP_FILE_MAGIC, SLOT_FILE_DATA_OFFSET, SLOT_FILE_MAGIC, SlotFileHeader,
};
use slotcask_format::{BLOCK_SIZE, Reason};
use slotcask_io::{AlignedBuf, Disk, Env, File, IoErrorKind, OpenMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Which table on which shard, and where its files are. Words every complaint about them.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) ident: ShardIdent,
    pub(crate) table: u32,
    pub(crate) layout: SlotLayout,
    pub(crate) slots_path: PathBuf,
    pub(crate) map_path: PathBuf,
}

impl Place {
    pub(crate) fn new(dir: &Path, ident: ShardIdent, table: u32, layout: SlotLayout) -> Self {
        let slots_path = dir.join(ShardFile::Slots(table).name());
        let map_path = dir.join(ShardFile::Map(table).name());
        Self { ident, table, layout, slots_path, map_path }
    }

    /// Offset of a page in the slot file.
    pub(crate) fn page_offset(&self, page: u32) -> u64 {
        SLOT_FILE_DATA_OFFSET + u64::from(page) * self.layout.page_size as u64
    }

    /// Bytes of a map file for that many pages.
    pub(crate) fn map_size(pages: u32) -> u64 {
        map_block_offset(pages.div_ceil(MAP_ENTRIES as u32), 0)
    }

    /// Pages for which both files have room at these sizes.
    pub(crate) fn pages_within(&self, slots_size: u64, map_size: u64) -> u32 {
        let slots = slots_size.saturating_sub(SLOT_FILE_DATA_OFFSET) / self.layout.page_size as u64;
        let blocks = map_size.saturating_sub(SLOT_FILE_DATA_OFFSET)
            / map_block_offset(1, 0).abs_diff(map_block_offset(0, 0));
        u32::try_from(slots.min(blocks * MAP_ENTRIES as u64)).unwrap_or(u32::MAX)
    }

    fn corruption(&self, path: &Path, what: &'static str, at: u64, reason: String) -> Corruption {
        let (table, shard) = (self.table, self.ident.shard);
        Corruption { what, path: path.to_owned(), table, shard, at, reason }
    }

    /// A complaint about the slot file.
    pub(crate) fn bad_slots(
        &self,
        what: &'static str,
        at: impl Into<u64>,
        reason: impl ToString,
    ) -> Corruption {
        self.corruption(&self.slots_path, what, at.into(), reason.to_string())
    }

    /// A complaint about the page map.
    pub(crate) fn bad_map(
        &self,
        what: &'static str,
        at: impl Into<u64>,
        reason: impl ToString,
    ) -> Corruption {
        self.corruption(&self.map_path, what, at.into(), reason.to_string())
    }

    fn header(&self, magic: u32) -> SlotFileHeader {
        SlotFileHeader::new(magic, self.ident.store, self.ident.shard, self.table, &self.layout)
    }
}

/// Both files, open.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) slots: Arc<dyn File>,
    pub(crate) map: Arc<dyn File>,
}

impl Files {
    /// Makes both files anew, with headers, synced. What has their names already was left behind by a crash between
    /// the making of a table and the record that commits it, and goes.
    pub(crate) fn create(env: &Env, place: &Place) -> Result<Self> {
        let make = |path: &Path, magic: u32| -> Result<Arc<dyn File>> {
            remove_if_there(&*env.disk, path)?;
            let file = env.disk.open(path, OpenMode::Create)?;
            let mut blocks = AlignedBuf::zeroed(2 * BLOCK_SIZE);
            let header = place.header(magic);
            for block in blocks.chunks_exact_mut(BLOCK_SIZE) {
                block[..SlotFileHeader::SIZE].copy_from_slice(header.as_bytes());
            }
            file.write_at(0, &blocks)?;
            file.sync()?;
            Ok(file)
        };
        Ok(Self {
            slots: make(&place.slots_path, SLOT_FILE_MAGIC)?,
            map: make(&place.map_path, MAP_FILE_MAGIC)?,
        })
    }

    /// Opens both files and checks whose they are. Also returns how many header copies were damaged.
    pub(crate) fn open(env: &Env, place: &Place, writable: bool) -> Result<(Self, u32)> {
        let mode = if writable { OpenMode::ReadWrite } else { OpenMode::Read };
        let mut damaged = 0;
        let mut open = |path: &Path, magic: u32| -> Result<Arc<dyn File>> {
            let file = match env.disk.open(path, mode) {
                Ok(file) => file,
                Err(error) if error.kind == IoErrorKind::NotFound => {
                    let reason = "the file is missing".to_owned();
                    return Err(place.corruption(path, "file", 0, reason).into());
                }
                Err(error) => return Err(error.into()),
            };
            damaged += check_header(&*file, path, &place.header(magic), magic, place)?;
            Ok(file)
        };
        let files = Self {
            slots: open(&place.slots_path, SLOT_FILE_MAGIC)?,
            map: open(&place.map_path, MAP_FILE_MAGIC)?,
        };
        Ok((files, damaged))
    }

    /// Reserves room for `pages` pages in both files and makes their sizes durable, so that no page that was handed
    /// out lies behind the end of the file after a crash.
    pub(crate) fn allocate(&self, place: &Place, pages: u32) -> Result<()> {
        self.slots.allocate(place.page_offset(pages))?;
        self.map.allocate(Place::map_size(pages))?;
        self.slots.sync()?;
        self.map.sync()?;
        Ok(())
    }

    /// Pages for which both files have room.
    pub(crate) fn pages_allocated(&self, place: &Place) -> Result<u32> {
        Ok(place.pages_within(self.slots.size()?, self.map.size()?))
    }
}

/// Checks the header in both copies: one good copy is enough. Returns how many are damaged.
fn check_header(
    file: &dyn File,
    path: &Path,
    expected: &SlotFileHeader,
    magic: u32,
    place: &Place,
) -> Result<u32> {
    if file.size()? < SLOT_FILE_DATA_OFFSET {
        let reason = format!("the file is shorter than its header, {SLOT_FILE_DATA_OFFSET} bytes");
        return Err(place.corruption(path, "header", 0, reason).into());
    }
    let mut blocks = AlignedBuf::zeroed(SLOT_FILE_DATA_OFFSET as usize);
    file.read_at(0, &mut blocks)?;
    let mut good = 0;
    let mut bad = None;
    for block in blocks.chunks_exact(BLOCK_SIZE) {
        match SlotFileHeader::decode(magic, block) {
            Ok(header) => match header.foreign(expected) {
                None => good += 1,
                Some(reason) => {
                    let (path, reason) = (path.to_owned(), reason.to_string());
                    return Err(FixedError::Foreign { path, reason });
                }
            },
            Err(reason @ Reason::Version { .. }) => {
                return Err(FixedError::Newer {
                    path: path.to_owned(),
                    reason: reason.to_string(),
                });
            }
            Err(reason) => bad = Some(reason),
        }
    }
    match bad {
        Some(reason) if good == 0 => {
            Err(place.corruption(path, "header", 0, reason.to_string()).into())
        }
        _ => Ok(2 - good),
    }
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<()> {
    if disk.stat(path)?.is_some() {
        disk.remove(path)?;
    }
    Ok(())
}

/// Removes the files of a table that was dropped, those that are there. The caller syncs the directory.
///
/// # Errors
/// [`FixedError::Io`] as the disk says.
pub fn remove_files(env: &Env, dir: &Path, table: u32) -> Result<()> {
    for file in [ShardFile::Slots(table), ShardFile::Map(table)] {
        remove_if_there(&*env.disk, &dir.join(file.name()))?;
    }
    Ok(())
}
