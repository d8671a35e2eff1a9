//! Why bytes are not what they should be.

use std::fmt;

/// The first rule that some bytes break. Carries what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Fewer bytes than the structure needs.
    Short {
        /// Bytes needed.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// The magic number is another one: not a file of this kind.
    Magic {
        /// The magic of this kind.
        expected: u32,
        /// The magic that stands there.
        found: u32,
    },
    /// The bytes were written by a newer slotcask.
    Version {
        /// Highest version that this build reads.
        supported: u16,
        /// The version that stands there.
        found: u16,
    },
    /// A checksum does not match its bytes.
    Checksum {
        /// Which checksum.
        what: &'static str,
    },
    /// The bytes name another store.
    Store,
    /// A number is not the one that belongs here.
    Mismatch {
        /// The field.
        what: &'static str,
        /// What belongs here.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// A number is outside its range.
    Range {
        /// The field.
        what: &'static str,
        /// What stands there.
        found: u64,
        /// The highest value allowed.
        max: u64,
    },
    /// A kind, flag or feature that this build does not know.
    Unknown {
        /// The field.
        what: &'static str,
        /// What stands there.
        found: u64,
    },
    /// Bytes that must be zero are not.
    Reserved {
        /// The field.
        what: &'static str,
    },
}

impl Reason {
    /// Why bytes of format version `found` cannot be read: newer ones by name, and 0, which was never written.
    pub(crate) const fn of_version(found: u16) -> Option<Self> {
        match found {
            0 => Some(Self::Unknown { what: "format version", found: 0 }),
            1..=crate::FORMAT_VERSION => None,
            found => Some(Self::Version { supported: crate::FORMAT_VERSION, found }),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { expected, found } => {
                write!(f, "expected at least {expected} bytes, found {found}")
            }
            Self::Magic { expected, found } => {
                write!(f, "expected magic {expected:#010x}, found {found:#010x}")
            }
            Self::Version { supported, found } => write!(
                f,
                "format version {found} is newer than {supported}, the highest that this build reads"
            ),
            Self::Checksum { what } => write!(f, "checksum of the {what} does not match"),
            Self::Store => write!(f, "belongs to another store"),
            Self::Mismatch { what, expected, found } => {
                write!(f, "{what}: expected {expected}, found {found}")
            }
            Self::Range { what, found: 0, max } => {
                write!(f, "{what}: found 0, 1 to {max} is allowed")
            }
            Self::Range { what, found, max } => {
                write!(f, "{what}: found {found}, at most {max} is allowed")
            }
            Self::Unknown { what, found } => write!(f, "unknown {what} {found:#x}"),
            Self::Reserved { what } => write!(f, "reserved bytes of the {what} are not zero"),
        }
    }
}

impl std::error::Error for Reason {}
