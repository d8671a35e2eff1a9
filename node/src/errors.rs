//! What can go wrong, as the user sees it: an exit code, one line that says what, one that says what to do.

use slotcask::Error;
use slotcask_io::{IoError, IoErrorKind};
use std::process::ExitCode;

/// The exit codes. `slotcask --help` prints this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// Usage or bad input.
    Usage = 2,
    /// Stored bytes are damaged.
    Corrupt = 3,
    /// Out of space, quota, file size, descriptors or slots.
    Full = 4,
    /// Locked by another process, or too busy.
    Busy = 5,
    /// Input or output failed, or a shard is poisoned.
    Io = 6,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What went wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
    /// Whoever reads standard output closed it; nothing is said then.
    pub reader_went_away: bool,
}

impl Failure {
    /// A failure with its advice.
    pub fn new(exit: Exit, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit, what: what.into(), help: help.into(), reader_went_away: false }
    }

    /// Bad arguments or bad input.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, help)
    }

    /// A failure of a stream or file of the caller (not of the store).
    pub fn stream(name: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory => {
                Self::usage(format!("{name}: {error}"), "name a file that can be used here")
            }
            ErrorKind::AlreadyExists => Self::usage(
                format!("{name}: {error}"),
                "nothing is written over: name a new file, or remove this one",
            ),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::new(Exit::Full, format!("{name}: {error}"), "make room and run it again")
            }
            _ => {
                Self::new(Exit::Io, format!("{name}: {error}"), "run it again; see the kernel log")
            }
        }
    }

    /// A failure of standard output.
    pub fn stdout(error: &std::io::Error) -> Self {
        let mut failure = Self::stream("standard output", error);
        failure.reader_went_away = error.kind() == std::io::ErrorKind::BrokenPipe;
        failure
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, help) = meaning(&error);
        Self::new(exit, without_advice(&error), help)
    }
}

/// The library ends most messages with advice to whoever calls it, behind the last semicolon. Here the advice is the
/// command line's own.
fn without_advice(error: &Error) -> String {
    let text = error.to_string();
    match error {
        Error::Io(_) | Error::Options { .. } | Error::Schema { .. } => text,
        _ => text.rsplit_once("; ").map_or(text.clone(), |(what, _)| what.to_owned()),
    }
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        let (exit, help) = io_meaning(&error);
        Self::new(exit, error.to_string(), help)
    }
}

const MAKE_ROOM: &str = "make room (disk, quota, ulimit -f, ulimit -n) and run it again; what was acknowledged is kept, reads and deletes go on";

fn meaning(error: &Error) -> (Exit, &'static str) {
    match error {
        Error::KeyLength { .. } | Error::ValueLength { .. } => (
            Exit::Usage,
            "the lengths of a table are fixed; --pad fills shorter ones with zeros, `slotcask stat DIR` shows the lengths",
        ),
        Error::KeyTooLong { .. } | Error::ValueTooLong { .. } => (
            Exit::Usage,
            "`slotcask stat DIR` shows the longest keys and values; a value has to fit a segment of the log (--log-size at creation)",
        ),
        Error::Deadline { .. } => {
            (Exit::Usage, "give a time of at least 1ms, or one that has not passed")
        }
        Error::Options { option: "ttl", .. } => (
            Exit::Usage,
            "load the rows into a table made with `slotcask create DIR --table NAME .. --expiry`, or into a cask table",
        ),
        Error::NotOrdered { .. } => {
            (Exit::Usage, "`slotcask stat DIR` shows which tables are ordered")
        }
        Error::RangeTooLarge { .. } => (
            Exit::Usage,
            "delete it in parts, with --from and --to; what other shards have lost stays away",
        ),
        Error::TableKind { .. } => (Exit::Usage, "`slotcask stat DIR` shows the kinds of tables"),
        Error::SchemaMismatch { .. } => {
            (Exit::Usage, "`slotcask stat DIR` shows the tables as they were created")
        }
        Error::NoSuchTable { .. } => (
            Exit::Usage,
            "`slotcask stat DIR` lists the tables; `slotcask create DIR --table NAME --key-len N --value-len N` makes one",
        ),
        Error::TableExists { .. } => (
            Exit::Usage,
            "use it as it is, or take another name; `slotcask stat DIR` lists the tables",
        ),
        Error::NotAStore { .. } => (Exit::Usage, "`slotcask create DIR` makes a store there"),
        Error::HalfCreated { .. } => (
            Exit::Usage,
            "its creation was interrupted; `slotcask create DIR` with the same options completes it",
        ),
        Error::Schema { .. } => (Exit::Usage, "see the limits in `slotcask create --help`"),
        Error::NewerFormat { .. } => {
            (Exit::Usage, "use the version of slotcask that wrote it, or a later one")
        }
        Error::Options { .. } => (Exit::Usage, "see the options in --help"),
        Error::Locked { .. } => (
            Exit::Busy,
            "another process has the store open; end it, or work on a copy (then `slotcask repair --adopt`)",
        ),
        Error::CopiedDirectory { .. } => (
            Exit::Usage,
            "make sure that no process has it open; then `slotcask repair DIR --adopt --yes` makes the copy a store of its own",
        ),
        Error::LockMissing { .. } => (
            Exit::Usage,
            "do not remove lock files: a killed process gives its lock back by itself. Make sure that no process has the store open; then \
             `slotcask repair DIR --adopt --yes` gives it a new one",
        ),
        Error::Compression { .. } => {
            (Exit::Usage, "use a slotcask that has this compression, or a newer one")
        }
        Error::ReadOnly { .. } => (Exit::Usage, "open it where it can be written"),
        Error::DiskFull { .. } => (Exit::Full, MAKE_ROOM),
        Error::SlotsExhausted { .. } => (
            Exit::Full,
            "delete rows, or create a table with a higher --slot-count-max and load it",
        ),
        Error::Memory { .. } => (
            Exit::Full,
            "free memory, or raise the limit (ulimit -v, cgroup), and run it again; a table that is being created asks for less with a lower \
                 --slot-count-max",
        ),
        Error::CatalogueInterrupted { .. } => {
            (Exit::Io, "run it again; the next opening completes the change")
        }
        Error::Poisoned { .. } => (
            Exit::Io,
            "a write or sync failed and its outcome is unknown: look at the kernel log and the disk, then open the store again",
        ),
        Error::Corrupt { .. } => (
            Exit::Corrupt,
            "`slotcask check DIR` lists all damage; `slotcask repair DIR` says what can be done; keep a copy of the directory first",
        ),
        Error::WouldBlock | Error::TimedOut { .. } => {
            (Exit::Busy, "the store is busy; run it again")
        }
        Error::Io(error) => io_meaning(error),
        _ => (Exit::Io, "run it again; `slotcask check DIR` verifies the store"),
    }
}

fn io_meaning(error: &IoError) -> (Exit, &'static str) {
    if error.kind == IoErrorKind::NoDescriptors {
        return (
            Exit::Full,
            "raise `ulimit -n`, or close what holds descriptors, and run it again",
        );
    }
    if error.is_out_of_resources() {
        return (Exit::Full, MAKE_ROOM);
    }
    let os_error = error.os_error.map(std::io::Error::from_raw_os_error);
    if os_error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotADirectory) {
        return (Exit::Usage, "check the path: a part of it is a file, not a directory");
    }
    match error.kind {
        IoErrorKind::NotFound => {
            (Exit::Usage, "check the path; `slotcask create DIR` makes a store")
        }
        IoErrorKind::PermissionDenied => (
            Exit::Io,
            "run it as the user who owns the directory, or change its permissions (the store needs to write its directory)",
        ),
        IoErrorKind::ReadOnly => (Exit::Io, "the file system is mounted read-only; remount it"),
        IoErrorKind::Locked => (Exit::Busy, "another process has the store open"),
        IoErrorKind::Moved => (
            Exit::Io,
            "the directory was moved, replaced or swept while it was in use; put it back, or run it again on the store where it is now",
        ),
        IoErrorKind::UnexpectedEof => (
            Exit::Corrupt,
            "a file is shorter than it should be; `slotcask check DIR` lists all damage",
        ),
        _ => (Exit::Io, "see the kernel log; `slotcask check DIR` verifies the store"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn errors_of_the_disk_have_their_codes() {
        let of = |kind| Failure::from(IoError::new("write", Path::new("x"), kind, "y")).exit;
        assert_eq!(of(IoErrorKind::DiskFull), Exit::Full);
        assert_eq!(of(IoErrorKind::FileTooLarge), Exit::Full);
        assert_eq!(of(IoErrorKind::NoDescriptors), Exit::Full);
        assert_eq!(of(IoErrorKind::Moved), Exit::Io);
        assert_eq!(of(IoErrorKind::Locked), Exit::Busy);
        assert_eq!(of(IoErrorKind::UnexpectedEof), Exit::Corrupt);
        assert_eq!(of(IoErrorKind::Other), Exit::Io);
        assert_eq!(of(IoErrorKind::NotFound), Exit::Usage);
    }

    #[test]
    fn a_closed_pipe_is_no_failure_to_report() {
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Failure::stdout(&closed).reader_went_away);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(!Failure::stdout(&full).reader_went_away);
        assert_eq!(Failure::stdout(&full).exit, Exit::Full);
    }
}
