//! Calls that fail on order.

use super::event::OpKind;
use std::io;

/// How often in a row a fault that is to be retried may hit, so that a fault for ever does not hang its caller.
const ROW_MAX: u32 = 16;

/// Which calls a fault looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpFilter {
    /// All of them.
    Any,
    /// Those that change the disk (see [`OpKind::is_event`]).
    Events,
    /// Those of one kind.
    Kind(OpKind),
}

impl OpFilter {
    pub(super) fn matches(self, op: OpKind) -> bool {
        match self {
            Self::Any => true,
            Self::Events => op.is_event(),
            Self::Kind(kind) => kind == op,
        }
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultError {
    /// The device fails.
    Eio,
    /// No space left.
    Enospc,
    /// The quota is used up.
    Edquot,
    /// The file is too large.
    Efbig,
    /// The file system went read-only.
    Erofs,
    /// No descriptors left.
    Emfile,
    /// Interrupted by a signal; at most 16 times in a row. Callers of [`crate::File`] must not notice.
    Eintr,
    /// A read or write that does only part; at most 16 times in a row; nothing for other calls. Callers must not notice.
    Short,
}

impl FaultError {
    const fn is_retried(self) -> bool {
        matches!(self, Self::Eintr | Self::Short)
    }

    pub(super) fn to_os(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::Eio | Self::Short => libc::EIO,
            Self::Enospc => libc::ENOSPC,
            Self::Edquot => libc::EDQUOT,
            Self::Efbig => libc::EFBIG,
            Self::Erofs => libc::EROFS,
            Self::Emfile => libc::EMFILE,
            Self::Eintr => libc::EINTR,
        })
    }
}

/// Whether a fault passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Hits one call.
    Once,
    /// Hits every call from the first on.
    Forever,
}

/// A fault to come.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Calls that it looks at.
    pub op: OpFilter,
    /// Only those whose path contains this.
    pub path_contains: Option<String>,
    /// How many of them pass before it hits.
    pub at: u64,
    /// What it does.
    pub error: FaultError,
    /// Whether it passes.
    pub persistence: Persistence,
}

impl Fault {
    /// Hits call number `at` (from 0) among those that `op` matches, once.
    #[must_use]
    pub const fn once(op: OpFilter, at: u64, error: FaultError) -> Self {
        Self { op, path_contains: None, at, error, persistence: Persistence::Once }
    }

    /// Hits every call from number `at` (from 0) on among those that `op` matches.
    #[must_use]
    pub const fn forever(op: OpFilter, at: u64, error: FaultError) -> Self {
        Self { op, path_contains: None, at, error, persistence: Persistence::Forever }
    }

    /// The same fault for paths that contain `part` alone.
    #[must_use]
    pub fn on_path(mut self, part: impl Into<String>) -> Self {
        self.path_contains = Some(part.into());
        self
    }
}

/// A fault and what it has seen.
#[derive(Debug, Clone)]
struct Armed {
    fault: Fault,
    seen: u64,
    row: u32,
}

/// The faults of a disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    armed: Vec<Armed>,
    fired: u64,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.armed.push(Armed { fault, seen: 0, row: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(super) const fn fired(&self) -> u64 {
        self.fired
    }

    /// What happens to this call.
    pub(super) fn check(&mut self, op: OpKind, path: &str) -> Option<FaultError> {
        let mut hit = None;
        for armed in &mut self.armed {
            let fault = &armed.fault;
            if !fault.op.matches(op)
                || fault.path_contains.as_ref().is_some_and(|part| !path.contains(part.as_str()))
            {
                continue;
            }
            let number = armed.seen;
            armed.seen += 1;
            let due = match fault.persistence {
                Persistence::Once => number == fault.at,
                Persistence::Forever => number >= fault.at,
            };
            let spared = fault.error.is_retried() && armed.row == ROW_MAX;
            if !due || spared {
                armed.row = 0;
                continue;
            }
            armed.row += 1;
            if hit.is_none() {
                hit = Some(fault.error);
            }
        }
        self.fired += u64::from(hit.is_some());
        hit
    }
}
