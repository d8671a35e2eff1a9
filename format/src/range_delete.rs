//! What a range delete removed: the value of its record. The key of the record is the start of the range.
//!
//! A record names what it removed, slots or hashes of keys, so that redo, hints and merges need no order and no keys: what the
//! range met later is not touched, and each key's removal is kept for as long as an older record of that key is.

use crate::layout::layout;
use crate::reason::Reason;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// The range has no end.
pub const RANGE_UNBOUNDED: u8 = 1;

layout! {
    /// Head of the value of a range delete; the end of the range follows, then what was removed.
    RangeDeleteHeader = 8 {
        count: U32 = "keys removed",
        end_len: U16 = "bytes of the end of the range, which is not part of it",
        flags: u8 = "1 the range has no end",
        kind: u8 = "what follows the end: 1 slots of 4 bytes, 2 hashes of keys",
    }
}

layout! {
    /// A key that a range delete removed from a cask table.
    KeyMark = 10 {
        stripe: U16 = "10 bits of the hash of the key",
        stored: U64 = "64 more",
    }
}

impl KeyMark {
    /// What marks are sorted by.
    #[must_use]
    pub fn rank(&self) -> (u16, u64) {
        (self.stripe.get(), self.stored.get())
    }
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed<'a> {
    /// Slots of a fixed table, ascending.
    Slots(&'a [U32]),
    /// Keys of a cask table, ascending.
    Keys(&'a [KeyMark]),
}

impl Removed<'_> {
    /// Keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Slots(slots) => slots.len(),
            Self::Keys(keys) => keys.len(),
        }
    }

    /// True without keys.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Slots(_) => 1,
            Self::Keys(_) => 2,
        }
    }
}

/// The value of the record of a range delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeDelete<'a> {
    /// First key behind the range; `None` when it has no end.
    pub end: Option<&'a [u8]>,
    /// What was removed.
    pub removed: Removed<'a>,
}

impl<'a> RangeDelete<'a> {
    /// Bytes of a value that removes `count` keys.
    #[must_use]
    pub const fn size(end_len: usize, count: usize, is_cask: bool) -> usize {
        let each = if is_cask { KeyMark::SIZE } else { 4 };
        RangeDeleteHeader::SIZE + end_len + count * each
    }

    /// The value as bytes.
    ///
    /// # Panics
    /// When the end is longer than a key can be, nothing was removed, or what was removed does not ascend.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let end = self.end.unwrap_or_default();
        let header = RangeDeleteHeader {
            count: U32::new(self.removed.len() as u32),
            end_len: U16::new(u16::try_from(end.len()).expect("an end is a key")),
            flags: if self.end.is_none() { RANGE_UNBOUNDED } else { 0 },
            kind: self.removed.kind(),
        };
        assert!(self.is_sorted() && !self.removed.is_empty());
        let mut out = header.as_bytes().to_vec();
        out.extend_from_slice(end);
        match self.removed {
            Removed::Slots(slots) => out.extend_from_slice(slots.as_bytes()),
            Removed::Keys(keys) => out.extend_from_slice(keys.as_bytes()),
        }
        out
    }

    fn is_sorted(&self) -> bool {
        match self.removed {
            Removed::Slots(slots) => slots.is_sorted_by(|a, b| a.get() < b.get()),
            Removed::Keys(keys) => keys.is_sorted_by(|a, b| a.rank() < b.rank()),
        }
    }

    /// Reads the value of the record of a range delete.
    ///
    /// # Errors
    /// The first reason why these bytes are none.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Reason> {
        let short = |expected: usize| {
            let (expected, found) = (expected as u64, bytes.len() as u64);
            Reason::Short { expected, found }
        };
        let (header, rest) = RangeDeleteHeader::ref_from_prefix(bytes)
            .map_err(|_| short(RangeDeleteHeader::SIZE))?;
        let end_len = usize::from(header.end_len.get());
        let (end, rest) = rest
            .split_at_checked(end_len)
            .ok_or_else(|| short(RangeDeleteHeader::SIZE + end_len))?;
        let end = match header.flags {
            0 => Some(end),
            RANGE_UNBOUNDED if end.is_empty() => None,
            flags => {
                return Err(Reason::Unknown {
                    what: "range delete flags",
                    found: u64::from(flags),
                });
            }
        };
        let uneven = || Reason::Range {
            what: "bytes of a range delete",
            found: rest.len() as u64,
            max: u64::from(header.count.get()) * KeyMark::SIZE as u64,
        };
        let removed = match header.kind {
            1 => Removed::Slots(<[U32]>::ref_from_bytes(rest).map_err(|_| uneven())?),
            2 => Removed::Keys(<[KeyMark]>::ref_from_bytes(rest).map_err(|_| uneven())?),
            kind => {
                let found = u64::from(kind);
                return Err(Reason::Unknown { what: "range delete kind", found });
            }
        };
        let (expected, found) = (u64::from(header.count.get()), removed.len() as u64);
        if expected != found || found == 0 {
            return Err(Reason::Mismatch { what: "range delete count", expected, found });
        }
        let fits = match removed {
            Removed::Slots(_) => true,
            Removed::Keys(keys) => {
                keys.iter().all(|key| key.stripe.get() < crate::hint::HINT_STRIPES)
            }
        };
        let value = Self { end, removed };
        if !fits || !value.is_sorted() {
            return Err(Reason::Range { what: "range delete item", found, max: found });
        }
        Ok(value)
    }
}
