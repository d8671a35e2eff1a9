//! The kinds of calls that a simulated disk sees.

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpKind {
    /// Opens a file that is there.
    Open,
    /// Creates a file.
    Create,
    /// Reads.
    Read,
    /// Writes; each write of a batch is a call of its own.
    Write,
    /// Makes a file durable.
    Sync,
    /// Asks for the size of an open file.
    Size,
    /// Reserves space.
    Allocate,
    /// Lists a directory.
    List,
    /// Asks what a name stands for.
    Stat,
    /// Creates a directory.
    CreateDir,
    /// Renames.
    Rename,
    /// Removes a file.
    Remove,
    /// Makes a directory durable.
    SyncDir,
    /// Locks a file.
    Lock,
    /// Cuts a file.
    Truncate,
}

/// How many kinds there are.
pub(super) const KINDS: usize = OpKind::Truncate as usize + 1;

impl OpKind {
    /// True when the call changes the disk, or what a crash may do to it: such a call is an event with a number.
    #[must_use]
    pub const fn is_event(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::Size | Self::List | Self::Stat)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Size => "size",
            Self::Allocate => "allocate",
            Self::List => "list",
            Self::Stat => "stat",
            Self::CreateDir => "create-dir",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDir => "sync-dir",
            Self::Lock => "lock",
            Self::Truncate => "truncate",
        }
    }
}
