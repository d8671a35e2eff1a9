//! The history of a store: which epochs there were and where each began. One small file, replaced by rename;
//! its replacement is the commit point of an epoch. A record or slot is valid only if its sequence is at most
//! the cut of every epoch later than its own.

use crate::block::round_up;
use crate::bytes::{Reader, Writer};
use crate::checksum::{Seed, StoreId};
use crate::layout::layout;
use crate::reason::Reason;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Magic of a history file.
pub const HISTORY_MAGIC: u32 = u32::from_le_bytes(*b"SCHI");
/// Longest history file, in bytes: half a million epochs of the most shards, and few enough to be read into memory.
pub const HISTORY_FILE_SIZE_MAX: u64 = 1 << 30;

layout! {
    /// Header of the history file; the epochs follow, padded with zeros to a block.
    HistoryHeader = 48 {
        checksum: U64 = "XXH3-64 of the file from byte 8; seed: magic",
        magic: U32 = "`SCHI`",
        version: U16 = "format version",
        shard_count: U16 = "shards: cuts in each epoch",
        store: [u8; 16] = "store id",
        count: U32 = "epochs",
        length: U32 = "bytes of epochs",
        reserved: U64 = "zero",
    }
}

/// Why an epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EpochKind {
    /// The store was created.
    Created = 1,
    /// Opened after a clean close.
    Reopened = 2,
    /// Opened after an unclean stop.
    Recovered = 3,
    /// A follower became the leader.
    Promoted = 4,
    /// Restored from a copy or a backup.
    Restored = 5,
}

impl EpochKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_u8(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Created,
            2 => Self::Reopened,
            3 => Self::Recovered,
            4 => Self::Promoted,
            5 => Self::Restored,
            _ => return None,
        })
    }

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Reopened => "reopened",
            Self::Recovered => "recovered",
            Self::Promoted => "promoted",
            Self::Restored => "restored",
        }
    }
}

/// One epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Number, from 1, growing.
    pub number: u32,
    /// Why it began.
    pub kind: EpochKind,
    /// Random id.
    pub id: [u8; 16],
    /// When, milliseconds since 1970.
    pub time_ms: u64,
    /// Last sequence before it, for each shard.
    pub cuts: Vec<u64>,
}

/// All epochs of a store, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Epochs, by number.
    pub epochs: Vec<Epoch>,
}

impl History {
    /// Number of the newest epoch, 0 for none.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.epochs.last().map_or(0, |epoch| epoch.number)
    }

    /// True when a record of `epoch` with `sequence` on `shard` is part of this history.
    #[must_use]
    pub fn holds(&self, shard: u8, epoch: u32, sequence: u64) -> bool {
        epoch <= self.last()
            && self
                .epochs
                .iter()
                .rev()
                .take_while(|later| later.number > epoch)
                .all(|later| sequence <= later.cuts[usize::from(shard)])
    }

    /// The whole file.
    #[must_use]
    pub fn encode_file(&self, store: StoreId, shard_count: u8) -> Vec<u8> {
        let mut body = Writer::new();
        for epoch in &self.epochs {
            assert_eq!(epoch.cuts.len(), usize::from(shard_count));
            body.u32(epoch.number).u8(epoch.kind as u8).raw(&epoch.id).u64(epoch.time_ms);
            for cut in &epoch.cuts {
                body.u64(*cut);
            }
        }
        let body = body.finish();
        let mut out = vec![0; round_up(HistoryHeader::SIZE + body.len())];
        let header = HistoryHeader {
            checksum: U64::ZERO,
            magic: U32::new(HISTORY_MAGIC),
            version: U16::new(crate::FORMAT_VERSION),
            shard_count: U16::new(u16::from(shard_count)),
            store: store.0,
            count: U32::new(self.epochs.len() as u32),
            length: U32::new(body.len() as u32),
            reserved: U64::ZERO,
        };
        out[..HistoryHeader::SIZE].copy_from_slice(header.as_bytes());
        out[HistoryHeader::SIZE..][..body.len()].copy_from_slice(&body);
        let checksum = seed().checksum(&out[8..]);
        out[..8].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Epochs of whichever store's history this is, by its header; `None` when it is none.
    #[must_use]
    pub fn count_in(bytes: &[u8]) -> Option<u32> {
        let (header, _) = HistoryHeader::read_from_prefix(bytes).ok()?;
        (header.magic.get() == HISTORY_MAGIC).then(|| header.count.get())
    }

    /// Reads the whole file of that store.
    ///
    /// # Errors
    /// The first reason why it is not.
    pub fn decode_file(bytes: &[u8], store: StoreId, shard_count: u8) -> Result<Self, Reason> {
        let Ok((header, rest)) = HistoryHeader::read_from_prefix(bytes) else {
            return Err(Reason::Short {
                expected: HistoryHeader::SIZE as u64,
                found: bytes.len() as u64,
            });
        };
        if header.magic.get() != HISTORY_MAGIC {
            return Err(Reason::Magic { expected: HISTORY_MAGIC, found: header.magic.get() });
        }
        if seed().checksum(&bytes[8..]) != header.checksum.get() {
            return Err(Reason::Checksum { what: "history" });
        }
        if let Some(reason) = Reason::of_version(header.version.get()) {
            return Err(reason);
        }
        if header.store != store.0 {
            return Err(Reason::Store);
        }
        if header.shard_count.get() != u16::from(shard_count) {
            return Err(Reason::Mismatch {
                what: "shards",
                expected: u64::from(shard_count),
                found: u64::from(header.shard_count.get()),
            });
        }
        if header.reserved.get() != 0 {
            return Err(Reason::Reserved { what: "history header" });
        }
        let mut rest = Reader::new(rest);
        let mut reader = Reader::new(rest.raw(header.length.get() as usize)?);
        if rest.raw(rest.remaining())?.iter().any(|byte| *byte != 0) {
            return Err(Reason::Reserved { what: "history padding" });
        }
        let mut history = Self::default();
        for _ in 0..header.count.get() {
            let number = reader.u32()?;
            if number <= history.last() {
                return Err(Reason::Range {
                    what: "epoch number",
                    found: u64::from(number),
                    max: u64::from(history.last()),
                });
            }
            let kind = reader.u8()?;
            let kind = EpochKind::from_u8(kind)
                .ok_or(Reason::Unknown { what: "epoch kind", found: u64::from(kind) })?;
            let id = reader.array()?;
            let time_ms = reader.u64()?;
            let mut cuts = Vec::with_capacity(usize::from(shard_count));
            for _ in 0..shard_count {
                cuts.push(reader.u64()?);
            }
            history.epochs.push(Epoch { number, kind, id, time_ms, cuts });
        }
        reader.finish()?;
        Ok(history)
    }
}

fn seed() -> Seed {
    Seed::store(StoreId([0; 16])).narrow(HISTORY_MAGIC, 0)
}
