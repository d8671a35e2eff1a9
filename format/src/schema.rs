//! Table schemas and the DDL records that carry them: TLV items, unknown optional ones passed over.

use crate::bytes::{Reader, Writer};
use crate::reason::Reason;
use crate::record::{KEY_LEN_MAX, VALUE_LEN_MAX};
use crate::superblock::SHARD_COUNT_MAX;

/// Longest table name, in bytes.
pub const TABLE_NAME_LEN_MAX: usize = 255;
/// Longest name of a compression, in bytes.
pub const COMPRESSION_NAME_LEN_MAX: usize = 32;
/// The name of LZ4.
pub const COMPRESSION_LZ4: &str = "lz4";
/// Longest value of a fixed table, in bytes.
pub const FIXED_VALUE_LEN_MAX: u32 = 1 << 20;
/// Longest key of a fixed table, in bytes.
pub const FIXED_KEY_LEN_MAX: u32 = 4096;
/// What stands for the number of slots in the schema of a cask table.
pub const CASK_SLOT_COUNT: u32 = 1;

/// Kind of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum TableKind {
    /// Fixed-size keys and values in slots.
    Fixed = 1,
    /// Keys and values of any length, in the log and in data files.
    Cask = 2,
}

impl TableKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_u8(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Fixed),
            2 => Some(Self::Cask),
            _ => None,
        }
    }
}

/// Where the keys of a table live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Spread over all shards by hash.
    Hashed,
    /// All on one shard.
    Pinned(u8),
}

/// What a table is. Recorded at creation, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// Unique name.
    pub name: String,
    /// Kind.
    pub kind: TableKind,
    /// Where its keys live.
    pub placement: Placement,
    /// Bytes of a key; of the longest one in a cask table.
    pub key_len: u32,
    /// Bytes of a value; of the longest one in a cask table.
    pub value_len: u32,
    /// True when slots carry a deadline.
    pub deadlines: bool,
    /// Most slots over all shards; [`CASK_SLOT_COUNT`] in a cask table.
    pub slot_count_max: u32,
    /// Name of what compresses the values of a cask table. A name that this build does not know is kept: the table is refused by it.
    pub compression: Option<String>,
    /// True when the table knows the order of its keys.
    pub ordered: bool,
}

// Tags below 128 must be understood; others may be passed over.
const TAG_NAME: u8 = 1;
const TAG_KIND: u8 = 2;
const TAG_PINNED: u8 = 3;
const TAG_KEY_LEN: u8 = 4;
const TAG_VALUE_LEN: u8 = 5;
const TAG_DEADLINES: u8 = 6;
const TAG_SLOT_COUNT_MAX: u8 = 7;
const TAG_ORDERED: u8 = 8;
const TAG_COMPRESSION: u8 = 9;
const TAG_OPTIONAL: u8 = 128;

impl TableSchema {
    /// The schema as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(TAG_NAME).bytes(self.name.as_bytes());
        out.u8(TAG_KIND).bytes(&[self.kind as u8]);
        if let Placement::Pinned(shard) = self.placement {
            out.u8(TAG_PINNED).bytes(&[shard]);
        }
        out.u8(TAG_KEY_LEN).bytes(&self.key_len.to_le_bytes());
        out.u8(TAG_VALUE_LEN).bytes(&self.value_len.to_le_bytes());
        if self.deadlines {
            out.u8(TAG_DEADLINES).bytes(&[1]);
        }
        out.u8(TAG_SLOT_COUNT_MAX).bytes(&self.slot_count_max.to_le_bytes());
        if self.ordered {
            out.u8(TAG_ORDERED).bytes(&[1]);
        }
        if let Some(name) = &self.compression {
            out.u8(TAG_COMPRESSION).bytes(name.as_bytes());
        }
        out.finish()
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// The first reason why `bytes` are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reason> {
        let mut reader = Reader::new(bytes);
        let mut name = None;
        let mut kind = None;
        let mut placement = Placement::Hashed;
        let mut key_len = None;
        let mut value_len = None;
        let mut deadlines = false;
        let mut slot_count_max = None;
        let mut compression = None;
        let mut ordered = false;
        let mut seen = 0_u128;
        while reader.remaining() > 0 {
            let tag = reader.u8()?;
            let mut item = Reader::new(reader.bytes()?);
            if tag < TAG_OPTIONAL {
                // The second of two equal items would silently win.
                let bit = 1_u128 << tag;
                if seen & bit != 0 {
                    return Err(Reason::Mismatch {
                        what: "schema items with one tag",
                        expected: 1,
                        found: 2,
                    });
                }
                seen |= bit;
            }
            match tag {
                TAG_NAME => {
                    name = Some(text(&mut item, "table name")?);
                }
                TAG_KIND => {
                    let number = item.u8()?;
                    let known = TableKind::from_u8(number);
                    let found = u64::from(number);
                    kind = Some(known.ok_or(Reason::Unknown { what: "table kind", found })?);
                }
                TAG_PINNED => placement = Placement::Pinned(item.u8()?),
                TAG_KEY_LEN => key_len = Some(item.u32()?),
                TAG_VALUE_LEN => value_len = Some(item.u32()?),
                TAG_DEADLINES => deadlines = mark(&mut item, "deadlines mark")?,
                TAG_ORDERED => ordered = mark(&mut item, "ordered mark")?,
                TAG_SLOT_COUNT_MAX => slot_count_max = Some(item.u32()?),
                TAG_COMPRESSION => compression = Some(text(&mut item, "name of a compression")?),
                tag if tag >= TAG_OPTIONAL => continue,
                tag => return Err(Reason::Unknown { what: "schema item", found: u64::from(tag) }),
            }
            item.finish()?;
        }
        let missing = |what: &'static str| Reason::Mismatch { what, expected: 1, found: 0 };
        let schema = Self {
            name: name.ok_or_else(|| missing("schema item name"))?,
            kind: kind.ok_or_else(|| missing("schema item kind"))?,
            placement,
            key_len: key_len.ok_or_else(|| missing("schema item key length"))?,
            value_len: value_len.ok_or_else(|| missing("schema item value length"))?,
            deadlines,
            slot_count_max: slot_count_max.ok_or_else(|| missing("schema item slot count"))?,
            compression,
            ordered,
        };
        match schema.invalid() {
            Some(reason) => Err(reason),
            None => Ok(schema),
        }
    }

    /// First reason why no table can have this schema.
    #[must_use]
    pub fn invalid(&self) -> Option<Reason> {
        let range = |what, found: u64, max: u64| Some(Reason::Range { what, found, max });
        if self.name.is_empty() || self.name.len() > TABLE_NAME_LEN_MAX {
            return range("table name length", self.name.len() as u64, TABLE_NAME_LEN_MAX as u64);
        }
        if let Placement::Pinned(shard) = self.placement
            && u32::from(shard) >= SHARD_COUNT_MAX
        {
            return range("pinned shard", u64::from(shard), u64::from(SHARD_COUNT_MAX - 1));
        }
        if let Some(name) = &self.compression {
            let (len, max) = (name.len() as u64, COMPRESSION_NAME_LEN_MAX as u64);
            if len == 0 || len > max {
                return range("length of the name of a compression", len, max);
            }
            if self.kind != TableKind::Cask {
                return range("compressions of a fixed table", 1, 0);
            }
        }
        if self.kind == TableKind::Cask {
            let (key, value) = (u64::from(self.key_len), u64::from(self.value_len));
            return if key == 0 || key > KEY_LEN_MAX as u64 {
                range("key length", key, KEY_LEN_MAX as u64)
            } else if value > VALUE_LEN_MAX as u64 {
                range("value length", value, VALUE_LEN_MAX as u64)
            } else if self.slot_count_max != CASK_SLOT_COUNT || self.deadlines {
                // Cask tables have no slots, and deadlines in any record.
                range("slots of a cask table", u64::from(self.slot_count_max), 1)
            } else {
                None
            };
        }
        if self.key_len == 0 || self.key_len > FIXED_KEY_LEN_MAX {
            return range("key length", u64::from(self.key_len), u64::from(FIXED_KEY_LEN_MAX));
        }
        if self.value_len > FIXED_VALUE_LEN_MAX {
            return range(
                "value length",
                u64::from(self.value_len),
                u64::from(FIXED_VALUE_LEN_MAX),
            );
        }
        if self.slot_count_max == 0 || self.slot_count_max == u32::MAX {
            return range("slot count", u64::from(self.slot_count_max), u64::from(u32::MAX - 1));
        }
        None
    }
}

fn text(item: &mut Reader<'_>, what: &'static str) -> Result<String, Reason> {
    let bytes = item.raw(item.remaining())?;
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| Reason::Unknown { what, found: bytes.len() as u64 })?;
    Ok(text.to_owned())
}

/// An item that is there for what is true.
fn mark(item: &mut Reader<'_>, what: &'static str) -> Result<bool, Reason> {
    match item.u8()? {
        1 => Ok(true),
        found => Err(Reason::Unknown { what, found: u64::from(found) }),
    }
}

/// What a DDL record does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DdlAction {
    /// Creates the table.
    Create(TableSchema),
    /// Drops the table.
    Drop,
    /// Empties the table.
    Clear,
}

/// One change of the catalogue. The same bytes stand in every shard's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ddl {
    /// Position in the store's catalogue, dense, from 1.
    pub number: u64,
    /// Table.
    pub table: u32,
    /// What happens to it.
    pub action: DdlAction,
}

impl Ddl {
    /// The DDL as bytes: the value of its record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.number).u32(self.table);
        match &self.action {
            DdlAction::Create(schema) => out.u8(1).bytes(&schema.encode()),
            DdlAction::Drop => out.u8(2),
            DdlAction::Clear => out.u8(3),
        };
        out.finish()
    }

    /// Reads a DDL.
    ///
    /// # Errors
    /// The first reason why `bytes` are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reason> {
        let mut reader = Reader::new(bytes);
        let number = reader.u64()?;
        let table = reader.u32()?;
        let action = match reader.u8()? {
            1 => DdlAction::Create(TableSchema::decode(reader.bytes()?)?),
            2 => DdlAction::Drop,
            3 => DdlAction::Clear,
            kind => return Err(Reason::Unknown { what: "DDL action", found: u64::from(kind) }),
        };
        reader.finish()?;
        if number == 0 {
            return Err(Reason::Range { what: "DDL number", found: 0, max: u64::MAX });
        }
        if table == 0 {
            return Err(Reason::Range { what: "DDL table", found: 0, max: u64::from(u32::MAX) });
        }
        Ok(Self { number, table, action })
    }
}
