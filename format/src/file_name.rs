//! Every file name that a store can create, built and parsed in one place. Numbers are zero-padded, so that
//! sorting by name is sorting by age.

/// The superblock.
pub const SUPERBLOCK: &str = "store";
/// The history of epochs.
pub const HISTORY: &str = "history";
/// The lock file.
pub const LOCK: &str = "LOCK";
/// The double-write area of a shard.
pub const DOUBLE_WRITE: &str = "double-write";
/// Ending of a file that is being made; removed at the next opening.
pub const TEMPORARY: &str = ".tmp";

/// Holds the space for the output of a merge on a full disk. Of no use to who does not know it: removed as what was being made.
pub const MERGE_RESERVE: &str = "merge-reserve.tmp";

/// Directory of a shard.
#[must_use]
pub fn shard_dir(shard: u8) -> String {
    format!("shard-{shard:03}")
}

/// The shard whose directory has this name, if it is one.
#[must_use]
pub fn parse_shard_dir(name: &str) -> Option<u8> {
    let shard = name.strip_prefix("shard-")?.parse().ok()?;
    (shard_dir(shard) == name).then_some(shard)
}

/// What a name in a shard's directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShardFile {
    /// Log segment with this generation.
    Segment(u64),
    /// Zeroed or recycled file that may become a segment.
    Spare(u64),
    /// Manifest with this generation.
    Manifest(u64),
    /// Slot file of a table.
    Slots(u32),
    /// Page map of a table.
    Map(u32),
    /// Data file of cask tables with this generation.
    Data(u64),
    /// Hint of the data file with this generation.
    Hint(u64),
    /// Double-write area.
    DoubleWrite,
    /// A file that was being made.
    Temporary,
}

impl ShardFile {
    /// The name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Segment(generation) => format!("log-{generation:016}.segment"),
            Self::Spare(number) => format!("log-{number:016}.spare"),
            Self::Manifest(generation) => format!("manifest-{generation:016}"),
            Self::Slots(table) => format!("table-{table:08}.slots"),
            Self::Map(table) => format!("table-{table:08}.map"),
            Self::Data(generation) => format!("data-{generation:016}.cask"),
            Self::Hint(generation) => format!("data-{generation:016}.hint"),
            Self::DoubleWrite => DOUBLE_WRITE.to_owned(),
            Self::Temporary => TEMPORARY.to_owned(),
        }
    }

    /// What `name` stands for, if it is one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.ends_with(TEMPORARY) {
            return Some(Self::Temporary);
        }
        if name == DOUBLE_WRITE {
            return Some(Self::DoubleWrite);
        }
        let number = |digits: &str, width: usize| -> Option<u64> {
            let plain = digits.len() >= width && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().ok() } else { None }
        };
        let file = if let Some(rest) = name.strip_prefix("log-") {
            if let Some(digits) = rest.strip_suffix(".segment") {
                Self::Segment(number(digits, 16)?)
            } else {
                Self::Spare(number(rest.strip_suffix(".spare")?, 16)?)
            }
        } else if let Some(rest) = name.strip_prefix("data-") {
            if let Some(digits) = rest.strip_suffix(".cask") {
                Self::Data(number(digits, 16)?)
            } else {
                Self::Hint(number(rest.strip_suffix(".hint")?, 16)?)
            }
        } else if let Some(digits) = name.strip_prefix("manifest-") {
            Self::Manifest(number(digits, 16)?)
        } else {
            let rest = name.strip_prefix("table-")?;
            if let Some(digits) = rest.strip_suffix(".slots") {
                Self::Slots(u32::try_from(number(digits, 8)?).ok()?)
            } else {
                Self::Map(u32::try_from(number(rest.strip_suffix(".map")?, 8)?).ok()?)
            }
        };
        (file.name() == name).then_some(file)
    }
}
