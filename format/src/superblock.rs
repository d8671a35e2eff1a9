//! The superblock of a store: the file `store`, written last at creation, by rename. Stands twice, in blocks 0 and 1.

use crate::block::BLOCK_SIZE;
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a store.
pub const STORE_MAGIC: u32 = u32::from_le_bytes(*b"SCAS");
/// Required features that this build knows.
pub const FEATURES_REQUIRED: u64 = FEATURE_TORN_PAGE_PROTECTION;
/// Slot pages are written twice: to the double-write area and in place.
pub const FEATURE_TORN_PAGE_PROTECTION: u64 = 1;
/// Most shards of a store.
pub const SHARD_COUNT_MAX: u32 = 255;
/// Most bits of a key that choose its shard ([`crate::checksum::route_hash_prefix`] takes no more).
pub const SHARD_PREFIX_BITS_MAX: u32 = 64;
/// Smallest segment, in bytes.
pub const SEGMENT_SIZE_MIN: u64 = 16 << 10;
/// Largest segment, in bytes.
pub const SEGMENT_SIZE_MAX: u64 = 1 << 30;
/// Fewest segments of a shard's log.
pub const SEGMENT_COUNT_MIN: u32 = 4;
/// Bytes of the file.
pub const SUPERBLOCK_FILE_SIZE: usize = 2 * BLOCK_SIZE;

layout! {
    /// The superblock.
    Superblock = 160 {
        checksum: U64 = "XXH3-64 of bytes 8 to 160; seed: magic",
        magic: U32 = "`SCAS`",
        version: U16 = "format version",
        reserved: U16 = "zero",
        features_required: U64 = "a build that does not know one of these refuses the store",
        features_optional: U64 = "a build that does not know one of these ignores it",
        store: [u8; 16] = "store id",
        node: [u8; 16] = "node id: this copy of the store",
        secret: [u8; 32] = "seed of in-memory hashes",
        shard_count: U32 = "shards",
        shard_prefix_bits: U32 = "bits of a key that choose its shard; 0 for the whole key",
        segment_size: U64 = "bytes of a log segment",
        segment_count: U32 = "most segments of a shard's log",
        reserved2: U32 = "zero",
        lock_identity: U64 = "inode of the lock file: tells a copied directory",
        created_ms: U64 = "creation, milliseconds since 1970",
        tail: [u8; 24] = "zero",
    }
}

impl Superblock {
    /// Fills the checksum.
    pub fn seal(&mut self) {
        self.magic = U32::new(STORE_MAGIC);
        self.version = U16::new(crate::FORMAT_VERSION);
        self.checksum = U64::new(seed().checksum(&self.as_bytes()[8..]));
    }

    /// The whole file: the superblock twice.
    #[must_use]
    pub fn encode_file(&self) -> Vec<u8> {
        let mut bytes = vec![0; SUPERBLOCK_FILE_SIZE];
        bytes[..Self::SIZE].copy_from_slice(self.as_bytes());
        bytes[BLOCK_SIZE..BLOCK_SIZE + Self::SIZE].copy_from_slice(self.as_bytes());
        bytes
    }

    /// Reads the file: the superblock, and why one of its two copies is damaged, if one is.
    ///
    /// # Errors
    /// The reason why neither copy can be read.
    pub fn decode_file(bytes: &[u8]) -> Result<(Self, Option<Reason>), Reason> {
        let second = bytes.get(BLOCK_SIZE..).unwrap_or_default();
        let newer =
            |reason: &Reason| matches!(reason, Reason::Version { .. } | Reason::Unknown { .. });
        match (Self::decode(bytes), Self::decode(second)) {
            // What a newer build wrote is no damage: it decides, wherever it stands.
            (Err(reason), _) | (_, Err(reason)) if newer(&reason) => Err(reason),
            (Ok(first), Ok(second)) if first == second => Ok((first, None)),
            (Ok(_), Ok(_)) => Err(Reason::Checksum { what: "pair of superblocks" }),
            (Ok(first), Err(reason)) => Ok((first, Some(reason))),
            (Err(reason), Ok(second)) => Ok((second, Some(reason))),
            (Err(reason), Err(_)) => Err(reason),
        }
    }

    /// Reads one copy.
    ///
    /// # Errors
    /// The first reason why none stands there.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reason> {
        let Ok((block, _)) = Self::read_from_prefix(bytes) else {
            return Err(Reason::Short { expected: Self::SIZE as u64, found: bytes.len() as u64 });
        };
        match block.invalid() {
            Some(reason) => Err(reason),
            None => Ok(block),
        }
    }

    /// First reason why this is not a superblock that this build can serve.
    #[must_use]
    pub fn invalid(&self) -> Option<Reason> {
        if self.magic.get() != STORE_MAGIC {
            return Some(Reason::Magic { expected: STORE_MAGIC, found: self.magic.get() });
        }
        if seed().checksum(&self.as_bytes()[8..]) != self.checksum.get() {
            return Some(Reason::Checksum { what: "superblock" });
        }
        if let Some(reason) = Reason::of_version(self.version.get()) {
            return Some(reason);
        }
        let unknown = self.features_required.get() & !FEATURES_REQUIRED;
        if unknown != 0 {
            return Some(Reason::Unknown { what: "required features", found: unknown });
        }
        let shards = self.shard_count.get();
        if shards == 0 || shards > SHARD_COUNT_MAX {
            return Some(Reason::Range {
                what: "shards",
                found: u64::from(shards),
                max: u64::from(SHARD_COUNT_MAX),
            });
        }
        if self.shard_prefix_bits.get() > SHARD_PREFIX_BITS_MAX {
            return Some(Reason::Range {
                what: "shard prefix bits",
                found: u64::from(self.shard_prefix_bits.get()),
                max: u64::from(SHARD_PREFIX_BITS_MAX),
            });
        }
        let size = self.segment_size.get();
        if !size.is_multiple_of(BLOCK_SIZE as u64)
            || !(SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX).contains(&size)
        {
            return Some(Reason::Range {
                what: "segment size",
                found: size,
                max: SEGMENT_SIZE_MAX,
            });
        }
        if self.segment_count.get() < SEGMENT_COUNT_MIN {
            return Some(Reason::Range {
                what: "segment count",
                found: u64::from(self.segment_count.get()),
                max: u64::from(u32::MAX),
            });
        }
        if self.reserved.get() != 0 || self.reserved2.get() != 0 || self.tail != [0; 24] {
            return Some(Reason::Reserved { what: "superblock" });
        }
        None
    }
}

fn seed() -> Seed {
    Seed::store(StoreId([0; 16])).narrow(STORE_MAGIC, 0)
}
