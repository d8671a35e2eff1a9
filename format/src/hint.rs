//! The hint of a data file: every cask record in it by hash, so that an opening need not read the records.
//!
//! A hint is derived: one that is missing, damaged, or not of this very data file is made anew from the file.
//!
//! Invariants
//!  - lists every put, delete and expiry of cask tables in the file, live or dead; a range delete once for each key that it removed.
//!  - tables ascend; entries of a table ascend by (stripe, stored, sequence).

use crate::block::{BLOCK_SIZE, round_up};
use crate::bytes::Reader;
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a hint.
pub const HINT_MAGIC: u32 = u32::from_le_bytes(*b"SCHN");
/// Number of stripes, by which entries are sorted first.
pub const HINT_STRIPES: u16 = 1024;

layout! {
    /// Head of a hint; the directory of tables follows, then the entries, then zeros up to a block.
    HintHeader = 80 {
        checksum: U64 = "XXH3-64 of bytes 8 to 80; seed: store, shard, generation",
        magic: U32 = "`SCHN`",
        version: U16 = "format version",
        shard: U16 = "shard",
        store: [u8; 16] = "store id",
        generation: U64 = "generation of the data file",
        data_end: U64 = "offset behind the last frame of the data file",
        data_checksum: U64 = "checksum of the header of that frame",
        body_checksum: U64 = "XXH3-64 of everything behind the header up to the padded end; same seed",
        entries: U64 = "entries",
        tables: U32 = "tables in the directory",
        reserved: U32 = "zero",
    }
}

layout! {
    /// One table in the directory of a hint.
    HintTable = 16 {
        table: U32 = "table",
        reserved: U32 = "zero",
        entries: U64 = "its entries; they follow those of the tables before",
    }
}

layout! {
    /// One record of a data file.
    HintEntry = 32 {
        stored: U64 = "64 bits of the hash of the key",
        sequence: U64 = "sequence",
        deadline_ms: U64 = "when a put vanishes, milliseconds since 1970; 2^64 - 1 for never",
        offset_8: U32 = "offset of the record in the data file, in units of 8 bytes",
        stripe: U16 = "10 more bits of the hash",
        kind: u8 = "kind of the record: 1 put, 2 delete, 3 range delete (one entry for each key that it removed), 4 expire",
        size_code: u8 = "size of the record, rounded up as in a keydir",
    }
}

impl HintEntry {
    /// Deadline of a record that does not vanish by itself.
    pub const NO_DEADLINE: u64 = u64::MAX;

    /// What entries of one table are sorted by.
    #[must_use]
    #[inline]
    pub fn rank(&self) -> (u16, u64, u64) {
        (self.stripe.get(), self.stored.get(), self.sequence.get())
    }
}

/// What a hint belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintIdent {
    /// Store.
    pub store: StoreId,
    /// Shard.
    pub shard: u8,
    /// Generation of the data file.
    pub generation: u64,
    /// Offset behind its last frame.
    pub data_end: u64,
    /// Checksum of the header of that frame.
    pub data_checksum: u64,
}

/// Entries by table.
pub type HintTables = Vec<(u32, Vec<HintEntry>)>;

fn seed(ident: &HintIdent) -> Seed {
    Seed::store(ident.store)
        .narrow(HINT_MAGIC, u64::from(ident.shard))
        .narrow(HINT_MAGIC, ident.generation)
}

/// The bytes of a hint, of whole blocks. They are never in memory all at once beside the entries.
#[derive(Debug)]
pub struct HintBytes<'a> {
    /// Header and list of tables.
    front: Vec<u8>,
    tables: &'a [(u32, Vec<HintEntry>)],
    size: usize,
}

impl<'a> HintBytes<'a> {
    /// Of these tables.
    ///
    /// # Panics
    /// When tables or entries are not sorted.
    #[must_use]
    pub fn of(ident: &HintIdent, tables: &'a [(u32, Vec<HintEntry>)]) -> Self {
        assert!(tables.is_sorted_by(|a, b| a.0 < b.0));
        let mut front = vec![0; HintHeader::SIZE];
        for (table, entries) in tables {
            assert!(entries.is_sorted_by_key(HintEntry::rank));
            let head = HintTable {
                table: U32::new(*table),
                reserved: U32::ZERO,
                entries: U64::new(entries.len() as u64),
            };
            front.extend_from_slice(head.as_bytes());
        }
        let count: usize = tables.iter().map(|(_, entries)| entries.len()).sum();
        let size = round_up(front.len() + count * HintEntry::SIZE);
        let mut hint = Self { front, tables, size };
        let seed = seed(ident);
        let body = hint.parts().enumerate();
        let body = body.map(|(n, part)| if n == 0 { &part[HintHeader::SIZE..] } else { part });
        let mut header = HintHeader {
            checksum: U64::ZERO,
            magic: U32::new(HINT_MAGIC),
            version: U16::new(crate::FORMAT_VERSION),
            shard: U16::new(u16::from(ident.shard)),
            store: ident.store.0,
            generation: U64::new(ident.generation),
            data_end: U64::new(ident.data_end),
            data_checksum: U64::new(ident.data_checksum),
            body_checksum: U64::new(seed.checksum_of_parts(body)),
            entries: U64::new(count as u64),
            tables: U32::new(tables.len() as u32),
            reserved: U32::ZERO,
        };
        header.checksum = U64::new(seed.checksum(&header.as_bytes()[8..]));
        hint.front[..HintHeader::SIZE].copy_from_slice(header.as_bytes());
        hint
    }

    /// How many they are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// What they are one after the other.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let entries: usize = self.tables.iter().map(|(_, entries)| entries.len()).sum();
        let padding = self.size - self.front.len() - entries * HintEntry::SIZE;
        std::iter::once(self.front.as_slice())
            .chain(self.tables.iter().map(|(_, entries)| entries.as_bytes()))
            .chain(std::iter::once(&[0; BLOCK_SIZE][..padding]))
    }

    /// Gives them to `write` in order, each time with their offset, by way of `piece`: as many at a time as that has.
    ///
    /// # Errors
    /// The first one of `write`.
    ///
    /// # Panics
    /// When `piece` is empty.
    pub fn write_in<E>(
        &self,
        piece: &mut [u8],
        mut write: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        assert!(!piece.is_empty());
        let (mut offset, mut used) = (0, 0);
        for mut part in self.parts() {
            while !part.is_empty() {
                let (now, later) = part.split_at(part.len().min(piece.len() - used));
                piece[used..used + now.len()].copy_from_slice(now);
                (used, part) = (used + now.len(), later);
                if used == piece.len() {
                    write(offset, piece)?;
                    (offset, used) = (offset + used as u64, 0);
                }
            }
        }
        if used == 0 { Ok(()) } else { write(offset, &piece[..used]) }
    }
}

/// The hint as bytes, whole blocks.
///
/// # Panics
/// When tables or entries are not sorted.
#[must_use]
pub fn encode_hint(ident: &HintIdent, tables: &[(u32, Vec<HintEntry>)]) -> Vec<u8> {
    HintBytes::of(ident, tables).parts().collect::<Vec<_>>().concat()
}

/// Reads the hint of a data file.
///
/// # Errors
/// The first reason why these bytes are not the hint of that file.
pub fn decode_hint(ident: &HintIdent, bytes: &[u8]) -> Result<HintTables, Reason> {
    let Ok((header, body)) = HintHeader::read_from_prefix(bytes) else {
        return Err(Reason::Short { expected: HintHeader::SIZE as u64, found: bytes.len() as u64 });
    };
    header.check(ident)?;
    let seed = seed(ident);
    if seed.checksum(body) != header.body_checksum.get() && !crate::mutants::active("believe_hint")
    {
        return Err(Reason::Checksum { what: "hint" });
    }
    let mut reader = Reader::new(body);
    let mut tables: HintTables = Vec::new();
    let mut counts = Vec::new();
    let mut sum = 0_u64;
    for _ in 0..header.tables.get() {
        let Ok(head) = HintTable::read_from_bytes(reader.raw(HintTable::SIZE)?) else {
            return Err(Reason::Short { expected: HintTable::SIZE as u64, found: 0 });
        };
        let before = counts.last().map_or(0, |(table, _)| *table);
        if head.table.get() <= before || head.reserved.get() != 0 {
            return Err(Reason::Range {
                what: "hint table",
                found: u64::from(head.table.get()),
                max: u64::from(u32::MAX),
            });
        }
        sum = sum.saturating_add(head.entries.get());
        counts.push((head.table.get(), head.entries.get()));
    }
    if sum != header.entries.get() || sum > (reader.remaining() / HintEntry::SIZE) as u64 {
        return Err(Reason::Mismatch {
            what: "hint entries",
            expected: header.entries.get(),
            found: sum,
        });
    }
    for (table, count) in counts {
        let raw = reader.raw(count as usize * HintEntry::SIZE)?;
        let Ok(entries) = <[HintEntry]>::ref_from_bytes(raw) else {
            return Err(Reason::Short { expected: count, found: 0 });
        };
        let fits = |entry: &HintEntry| {
            entry.stripe.get() < HINT_STRIPES
                && matches!(entry.kind, 1..=4)
                && u64::from(entry.offset_8.get()) * 8 < ident.data_end
        };
        if !entries.is_sorted_by_key(HintEntry::rank) || !entries.iter().all(fits) {
            return Err(Reason::Range { what: "hint entry", found: count, max: count });
        }
        tables.push((table, entries.to_vec()));
    }
    let padding = reader.raw(reader.remaining())?;
    let whole = bytes.len().is_multiple_of(BLOCK_SIZE) && padding.len() < BLOCK_SIZE;
    if !whole || padding.iter().any(|byte| *byte != 0) {
        return Err(Reason::Reserved { what: "hint padding" });
    }
    Ok(tables)
}

impl HintHeader {
    fn check(&self, ident: &HintIdent) -> Result<(), Reason> {
        if self.magic.get() != HINT_MAGIC {
            return Err(Reason::Magic { expected: HINT_MAGIC, found: self.magic.get() });
        }
        if seed(ident).checksum(&self.as_bytes()[8..]) != self.checksum.get() {
            return Err(Reason::Checksum { what: "hint header" });
        }
        if let Some(reason) = Reason::of_version(self.version.get()) {
            return Err(reason);
        }
        if self.reserved.get() != 0 {
            return Err(Reason::Reserved { what: "hint header" });
        }
        if self.store != ident.store.0 {
            return Err(Reason::Store);
        }
        let mismatch =
            |what, expected: u64, found: u64| Err(Reason::Mismatch { what, expected, found });
        if self.shard.get() != u16::from(ident.shard) {
            return mismatch("shard", u64::from(ident.shard), u64::from(self.shard.get()));
        }
        if self.generation.get() != ident.generation {
            return mismatch("hint generation", ident.generation, self.generation.get());
        }
        if crate::mutants::active("hint_of_another_file") {
            return Ok(());
        }
        if self.data_end.get() != ident.data_end {
            return mismatch("data file end", ident.data_end, self.data_end.get());
        }
        if self.data_checksum.get() != ident.data_checksum {
            return mismatch("data file checksum", ident.data_checksum, self.data_checksum.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u64) -> Vec<HintEntry> {
        let entry = |number: u64| HintEntry {
            stored: U64::new(number << 20),
            sequence: U64::new(number),
            deadline_ms: U64::new(HintEntry::NO_DEADLINE),
            offset_8: U32::new(number as u32),
            stripe: U16::ZERO,
            kind: 1,
            size_code: 4,
        };
        (1..=count).map(entry).collect()
    }

    #[test]
    fn pieces_of_any_size_make_the_same_hint() {
        let ident = HintIdent {
            store: StoreId([7; 16]),
            shard: 1,
            generation: 9,
            data_end: 1 << 20,
            data_checksum: 5,
        };
        for counts in [&[][..], &[1], &[300, 0, 41], &[126, 1000]] {
            let tables: HintTables =
                (1..).zip(counts).map(|(table, count)| (table, entries(*count))).collect();
            let whole = encode_hint(&ident, &tables);
            assert!(whole.len().is_multiple_of(BLOCK_SIZE));
            assert_eq!(decode_hint(&ident, &whole), Ok(tables.clone()));
            let hint = HintBytes::of(&ident, &tables);
            assert_eq!(hint.size(), whole.len());
            for piece in [1, 100, BLOCK_SIZE, 3 * BLOCK_SIZE, whole.len(), 1 << 20] {
                let mut written = Vec::new();
                let write = |offset: u64, bytes: &[u8]| {
                    assert_eq!(offset, written.len() as u64);
                    written.extend_from_slice(bytes);
                    Ok::<(), ()>(())
                };
                hint.write_in(&mut vec![0xee; piece], write).unwrap();
                assert!(written == whole, "{counts:?} in pieces of {piece}");
            }
            let failed =
                hint.write_in(&mut [0; 64], |at, _| if at == 64 { Err(at) } else { Ok(()) });
            assert_eq!(failed, Err(64));
        }
    }
}
