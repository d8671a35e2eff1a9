//! When values vanish, and how that is read, set and cleared.
//!
//! A deadline is set by a record that puts the value again: logs, slots and data files know no other way, and a crash leaves the
//! old deadline or the new one. Time is the store's (see [`crate::shard::Timer`]): it never goes back.

use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::shard::{ShardState, SlotPlace};
use crate::table::Table;
use crate::write::Obstacle;
use slotcask_fixed::SlotMeta;
use slotcask_format::mutants;
use slotcask_format::record::{RecordKind, deadline_extension, record_size};
use slotcask_format::slot::SlotKind;
use slotcask_log::{Append, Guard, Urgency};
use std::time::Duration;

/// When the value of a key vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It stays.
    Never,
    /// At a deadline.
    At {
        /// The deadline, milliseconds since 1970.
        deadline_ms: u64,
        /// Time that was left when it was looked at, in whole milliseconds; never zero.
        left: Duration,
    },
}

impl Expiry {
    /// Of a value with this deadline, which lies ahead of `now_ms`.
    pub(crate) fn of(deadline_ms: Option<u64>, now_ms: impl FnOnce() -> u64) -> Self {
        match deadline_ms {
            None => Self::Never,
            Some(deadline_ms) => {
                // Time went on since the value was found to be there.
                let left = deadline_ms.saturating_sub(now_ms()).max(1);
                Self::At { deadline_ms, left: Duration::from_millis(left) }
            }
        }
    }

    /// The deadline, milliseconds since 1970.
    #[must_use]
    pub const fn deadline_ms(&self) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::At { deadline_ms, .. } => Some(*deadline_ms),
        }
    }

    /// The time that was left, if there is a deadline.
    #[must_use]
    pub const fn left(&self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::At { left, .. } => Some(*left),
        }
    }
}

impl Table {
    /// When the value of `key` vanishes; `None` when there is none.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn expiry(&self, key: impl AsRef<[u8]>) -> Result<Option<Expiry>> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        let route = self.route(key);
        let meta = self.reader(route.shard).contains(route.hash, key);
        let live = meta.filter(|meta| !self.is_over(meta));
        Ok(live.map(|meta| self.expiry_of(&meta)))
    }

    /// Has the value of `key` vanish after `ttl`, in whole milliseconds, whatever its deadline was. Answers with what held
    /// before; `None` when the key is not there, and then nothing is written.
    ///
    /// # Errors
    /// As [`Table::put`]; [`Error::Options`] when the table has no room for deadlines; [`Error::Deadline`] when `ttl` is zero or beyond
    /// what fits.
    pub fn expire_in(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<Option<Expiry>> {
        self.set_expiry(key.as_ref(), &WriteOptions::new().ttl(ttl))
    }

    /// Has the value of `key` vanish at a time, in milliseconds since 1970; otherwise as [`Table::expire_in`].
    ///
    /// # Errors
    /// As [`Table::expire_in`]; [`Error::Deadline`] when the time has passed.
    pub fn expire_at(&self, key: impl AsRef<[u8]>, deadline_ms: u64) -> Result<Option<Expiry>> {
        self.set_expiry(key.as_ref(), &WriteOptions::new().deadline_ms(deadline_ms))
    }

    /// Lets the value of `key` stay. Answers with what held before; `None` when the key is not there. Nothing is written when it
    /// had no deadline.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<Option<Expiry>> {
        self.set_expiry(key.as_ref(), &WriteOptions::new())
    }

    fn set_expiry(&self, key: &[u8], options: &WriteOptions) -> Result<Option<Expiry>> {
        let deadline_ms = self.deadline_ms(options)?;
        self.redate(key, deadline_ms)
    }

    /// When a value that is written with these options is to vanish; 0 for never.
    #[inline]
    pub(crate) fn deadline_ms(&self, options: &WriteOptions) -> Result<u64> {
        if options.vanish.is_none() { Ok(0) } else { self.new_deadline(options) }
    }

    fn new_deadline(&self, options: &WriteOptions) -> Result<u64> {
        if !self.shared.schema.deadlines {
            let reason = format!(
                "the slots of table {:?} have no room for a deadline; create a table with TableOptions::deadlines, or a cask table",
                self.name()
            );
            return Err(Error::Options { option: "ttl", reason });
        }
        Ok(options.vanishes_at(|| self.store.now_ms())?.unwrap_or(0))
    }

    /// True when a value is to vanish and its time has come. Without a deadline no clock is read.
    #[inline(always)]
    pub(crate) fn is_over(&self, meta: &SlotMeta) -> bool {
        self.is_over_by(meta.deadline_ms)
    }

    /// The same of a deadline; 0 for none.
    #[inline(always)]
    pub(crate) fn is_over_by(&self, deadline_ms: u64) -> bool {
        deadline_ms != 0 && self.is_past(deadline_ms)
    }

    #[inline(never)]
    fn is_past(&self, deadline_ms: u64) -> bool {
        deadline_ms <= self.store.now_ms() && !mutants::active("expired_is_visible")
    }

    /// Of a value that is there.
    pub(crate) fn expiry_of(&self, meta: &SlotMeta) -> Expiry {
        let deadline_ms = Some(meta.deadline_ms).filter(|deadline| *deadline != 0);
        Expiry::of(deadline_ms, || self.store.now_ms())
    }

    /// Stores a pair with a deadline under the lock.
    pub(crate) fn put_until(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        value: &[u8],
        deadline_ms: u64,
    ) -> std::result::Result<u64, Obstacle> {
        let found = self.table_of(guard)?.find(hash, key);
        let extension = deadline_extension(deadline_ms);
        self.reserve(guard, record_size(extension.len(), key.len(), value.len()), Urgency::Normal)?;
        let (slot, before_ms) = match found {
            Some((slot, meta)) => (slot, meta.deadline_ms),
            None => (self.reserve_slot(guard)?, 0),
        };
        let (slot, times) = ((slot, found.is_some()), (before_ms, deadline_ms));
        Ok(self.put_reserved_until(guard, hash, key, value, slot, times, 0))
    }

    /// Appends the record and changes the slot, of which is told whether the key stood there; room was reserved for both. The deadline before, 0 for none,
    /// and from now on.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn put_reserved_until(
        &self,
        guard: &mut Guard<'_, ShardState>,
        hash: u64,
        key: &[u8],
        value: &[u8],
        (slot, existed): (u32, bool),
        (before_ms, deadline_ms): (u64, u64),
        flags: u8,
    ) -> u64 {
        let extension = deadline_extension(deadline_ms);
        let id = self.shared.id;
        let sequence = guard.append(Append {
            table: id,
            slot,
            kind: RecordKind::Put,
            flags,
            extension: &extension,
            key,
            value,
        });
        let epoch = guard.epoch();
        let state = guard.state();
        state.counters.puts += 1;
        state.slot_expiry.replace(before_ms, deadline_ms, SlotPlace { table: id, slot });
        let table = state.table(id).expect("the table was there under this lock");
        let meta = SlotMeta { sequence, epoch, kind: SlotKind::Live, deadline_ms };
        table.put(hash, slot, existed, meta, key, value);
        sequence
    }
}
