//! Iteration over a cask table, in the order of the files.

use crate::cask::shared::{CaskRoute, CaskTable};
use crate::error::Result;
use crate::expiry::Expiry;
use crate::iter::Ended;
use slotcask_cask::{CachedRecord, KeyHash, Location};
use slotcask_format::BLOCK_SIZE;
use slotcask_format::mutants;
use slotcask_format::record::{self, RecordKind};
use slotcask_io::{AlignedBuf, File};
use slotcask_log::Files;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes read ahead.
const WINDOW: usize = 256 << 10;

/// All pairs of a table; see [`CaskTable::iter`].
#[derive(Debug)]
pub struct CaskIter {
    table: CaskTable,
    shard: usize,
    /// Places of the shard that is being read, the next one last.
    places: Vec<(Location, u64)>,
    loaded: bool,
    /// The files as they were then: a merge may take them out of the store meanwhile.
    files: BTreeMap<u64, Arc<dyn File>>,
    window: Option<Window>,
    ended: Ended,
}

#[derive(Debug)]
struct Window {
    generation: u64,
    start: u64,
    bytes: AlignedBuf,
}

impl CaskTable {
    /// All pairs, in no order that means anything. Takes 16 bytes of memory for each key of a shard. A key that is there from begin to end
    /// comes exactly once; what is put, changed or deleted meanwhile may or may not show.
    #[must_use]
    pub fn iter(&self) -> CaskIter {
        CaskIter {
            table: self.clone(),
            shard: 0,
            places: Vec::new(),
            loaded: false,
            files: BTreeMap::new(),
            window: None,
            ended: Ended::default(),
        }
    }
}

impl CaskIter {
    /// When the value of a record that this gave vanishes, and how much time is left now, a millisecond at least.
    #[must_use]
    pub fn expiry(&self, record: &CachedRecord) -> Expiry {
        Expiry::of(record.deadline_ms(), || self.table.store.now_ms())
    }

    /// The next pair, lent.
    ///
    /// # Errors
    /// As [`CaskTable::get`].
    pub fn next_record(&mut self) -> Result<Option<CachedRecord>> {
        self.table.check_readable()?;
        crate::store::refuse_in_update()?;
        while self.shard < self.table.shared.keydirs.len() {
            if !self.loaded {
                self.load()?;
            }
            while let Some((at, stored)) = self.places.pop() {
                if let Some(record) = self.record(at, stored)? {
                    return Ok(Some(record));
                }
            }
            self.shard += 1;
            self.loaded = false;
        }
        Ok(None)
    }

    fn load(&mut self) -> Result<()> {
        self.loaded = true;
        self.window = None;
        let shelf = &self.table.store.shelves[self.shard];
        let Some(keydir) = &self.table.shared.keydirs[self.shard] else { return Ok(()) };
        self.places = Vec::with_capacity(keydir.len() as usize);
        self.files = open_files(&shelf.files);
        let mut absent = Vec::new();
        for stripe in keydir.stripes() {
            let begin = self.places.len();
            keydir.places_of(stripe, &mut self.places);
            let of_stripe = self
                .places
                .extract_if(begin.., |(at, _)| !self.files.contains_key(&at.generation()));
            absent.extend(of_stripe.map(|(at, stored)| (KeyHash { stripe, stored }, at)));
        }
        let looked_again = self.find_absent(absent);
        if looked_again.is_err() {
            self.places.clear();
        }
        self.places.sort_unstable_by(|a, b| b.cmp(a));
        looked_again
    }

    /// Adds the places of keys whose records stood in files that were not there when the files were looked at. They have come since: a file comes
    /// before a key points to it, and goes after. One that has gone already was left by its keys, so that the next round asks for those alone.
    fn find_absent(&mut self, mut absent: Vec<(KeyHash, Location)>) -> Result<()> {
        let shelf = &self.table.store.shelves[self.shard];
        let keydir = self.table.keydir(self.shard);
        while !absent.is_empty() {
            self.files.append(&mut open_files(&shelf.files));
            let mut still = Vec::new();
            for (hash, at) in absent {
                if self.files.contains_key(&at.generation()) {
                    self.places.push((at, hash.stored));
                    continue;
                }
                match keydir.get(hash) {
                    Some(now) if now == at => return Err(shelf.absent(at)),
                    Some(now) => still.push((hash, now)),
                    None => {}
                }
            }
            absent = still;
        }
        Ok(())
    }

    /// The record whose key stood at `at` when the places were listed, as it is now; None when its key is gone.
    fn record(&mut self, at: Location, stored: u64) -> Result<Option<CachedRecord>> {
        let record = self.read(at, stored)?;
        let store = &self.table.store;
        if !self.is_of(at, stored, &record) {
            return Err(store.shelves[self.shard].misplaced(at));
        }
        let hash = KeyHash::of(store.hash_seed, record.key());
        if self.table.keydir(self.shard).get(hash) == Some(at) {
            let live = record.deadline_ms().is_none_or(|deadline| deadline > store.now_ms())
                || mutants::active("cask_expired_is_visible");
            return Ok(live.then_some(record));
        }
        // Changed, moved or deleted since the places were listed: what is there now counts.
        let route = CaskRoute { shard: self.shard, hash };
        Ok(self.table.find(route, record.key())?.map(|found| found.record))
    }

    /// True when `record` is the one that was written to `at`.
    fn is_of(&self, at: Location, stored: u64, record: &CachedRecord) -> bool {
        let store = &self.table.store;
        KeyHash::of(store.hash_seed, record.key()).stored == stored
            && record.table() == self.table.shared.id
            && store.shelves[self.shard].files.can_hold(at.generation(), record.sequence())
    }

    fn read(&mut self, at: Location, stored: u64) -> Result<CachedRecord> {
        if let Some(record) = self.ahead(at, stored) {
            return Ok(record);
        }
        let store = &self.table.store;
        let shelf = &store.shelves[self.shard];
        let log = store.shards.get(self.shard).map(|shard| &shard.log);
        if let Some(record) = shelf.read_unflushed(log, at)? {
            return Ok(record);
        }
        let file = &self.files[&at.generation()];
        // What follows is read along: places are visited in the order of the files.
        let start = at.offset() / BLOCK_SIZE as u64 * BLOCK_SIZE as u64;
        let left = file.size()?.saturating_sub(start).min(WINDOW as u64) as usize;
        if left >= at.size_max() + BLOCK_SIZE {
            let mut bytes = AlignedBuf::zeroed(left / BLOCK_SIZE * BLOCK_SIZE);
            file.read_at(start, &mut bytes)?;
            self.window = Some(Window { generation: at.generation(), start, bytes });
            if let Some(record) = self.ahead(at, stored) {
                return Ok(record);
            }
        }
        let record = slotcask_cask::read_record(&**file, at, shelf.seed)
            .map_err(|error| shelf.error(at, error))?;
        Ok(record)
    }

    /// The record of `at`, if all of it is in the bytes that were read ahead. What was not flushed then does not verify, or is a record from
    /// an earlier life of the file.
    fn ahead(&self, at: Location, stored: u64) -> Option<CachedRecord> {
        let window = self.window.as_ref().filter(|window| window.generation == at.generation())?;
        let skip = usize::try_from(at.offset().checked_sub(window.start)?).ok()?;
        let seed = self.table.store.shelves[self.shard].seed;
        let bytes = window.bytes.get(skip..)?;
        let (found, _) = record::decode(seed, bytes).ok()?;
        let found = (found.kind == RecordKind::Put).then_some(found)?;
        let found = CachedRecord::of(&found, bytes).ok()?;
        self.is_of(at, stored, &found).then_some(found)
    }
}

/// The files that there are, open.
fn open_files(files: &Files) -> BTreeMap<u64, Arc<dyn File>> {
    let generations = files.generations().into_iter();
    generations.filter_map(|generation| Some((generation, files.get(generation)?))).collect()
}

impl Iterator for CaskIter {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_record();
        let pair = |record: CachedRecord| (record.key().to_vec(), record.value().to_vec());
        self.ended.item(next.map(|record| record.map(pair)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::options::{Durability, Options};
    use crate::store::Store;
    use slotcask_io::sim::env_of;
    use slotcask_io::{SimDisk, SimOptions};

    fn store() -> Store {
        let options = Options::new().shards(1).segment_size(16 << 10).log_size(6 * (16 << 10));
        let options = options.background(false).huge_pages(false).durability(Durability::Buffered);
        options.open_in(env_of(1, &SimDisk::new(SimOptions::default())), "/s").unwrap()
    }

    fn put(table: &CaskTable, keys: std::ops::Range<u32>, value: u8) {
        keys.for_each(|key| table.put(key.to_le_bytes(), [value; 1000]).unwrap());
    }

    /// All places, none of whose files was there when the files were looked at.
    fn absent(table: &CaskTable) -> Vec<(KeyHash, Location)> {
        let keydir = table.keydir(0);
        let of_stripe = |stripe| {
            let mut places = Vec::new();
            keydir.places_of(stripe, &mut places);
            places.into_iter().map(move |(at, stored)| (KeyHash { stripe, stored }, at))
        };
        keydir.stripes().flat_map(of_stripe).collect()
    }

    #[test]
    fn records_whose_files_came_and_went_are_looked_up_again() {
        let store = store();
        let table = store.cask("c").unwrap();
        put(&table, 0..40, 1);
        let before = absent(&table);
        put(&table, 0..20, 2);
        table.delete(39_u32.to_le_bytes()).unwrap();
        store.rotate().unwrap();
        store.checkpoint().unwrap();
        store.merge().unwrap();
        let files = &store.inner.shelves[0].files;
        let is_gone = |at: &Location| files.get(at.generation()).is_none();
        assert!(before.iter().any(|(_, at)| is_gone(at)), "no file went");
        let mut iter = table.iter();
        iter.loaded = true;
        iter.find_absent(before).unwrap();
        let mut pairs: Vec<_> = iter.map(|pair| pair.unwrap()).collect();
        pairs.sort();
        let value = |key: u32| if key < 20 { 2 } else { 1 };
        let mut expected: Vec<_> =
            (0..39_u32).map(|key| (key.to_le_bytes().to_vec(), vec![value(key); 1000])).collect();
        expected.sort();
        assert!(pairs == expected, "{} pairs", pairs.len());
    }

    #[test]
    fn a_file_that_is_missing_is_an_error() {
        let store = store();
        let table = store.cask("c").unwrap();
        put(&table, 0..40, 1);
        let (_, at) = absent(&table)[0];
        store.inner.shelves[0].files.remove(at.generation());
        let mut iter = table.iter();
        let error = iter.next().unwrap().unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("the file is not there"), "{error}");
    }
}
