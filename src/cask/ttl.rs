//! When values of cask tables vanish, and how that is read, set and cleared.

use crate::cask::read::Found;
use crate::cask::shared::CaskTable;
use crate::error::Result;
use crate::expiry::Expiry;
use crate::options::WriteOptions;
use std::time::Duration;

impl CaskTable {
    /// When the value of `key` vanishes; `None` when there is none. Reads the record, as [`CaskTable::get`] does.
    ///
    /// # Errors
    /// As [`CaskTable::get`].
    pub fn expiry(&self, key: impl AsRef<[u8]>) -> Result<Option<Expiry>> {
        let key = key.as_ref();
        self.check_key(key)?;
        self.check_readable()?;
        let found = self.find(self.route(key), key)?;
        Ok(found.map(|found| self.expiry_of(&found)))
    }

    /// Has the value of `key` vanish after `ttl`, in whole milliseconds, whatever its deadline was. Answers with what held
    /// before; `None` when the key is not there, and then nothing is written. Writes the value again.
    ///
    /// # Errors
    /// As [`CaskTable::put`] and [`CaskTable::get`]; [`crate::Error::Deadline`] when `ttl` is zero or beyond what fits.
    pub fn expire_in(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<Option<Expiry>> {
        self.set_expiry(key.as_ref(), &WriteOptions::new().ttl(ttl))
    }

    /// Has the value of `key` vanish at a time, in milliseconds since 1970; otherwise as [`CaskTable::expire_in`].
    ///
    /// # Errors
    /// As [`CaskTable::expire_in`]; [`crate::Error::Deadline`] when the time has passed.
    pub fn expire_at(&self, key: impl AsRef<[u8]>, deadline_ms: u64) -> Result<Option<Expiry>> {
        self.set_expiry(key.as_ref(), &WriteOptions::new().deadline_ms(deadline_ms))
    }

    /// Lets the value of `key` stay. Answers with what held before; `None` when the key is not there. Nothing is written when it
    /// had no deadline.
    ///
    /// # Errors
    /// As [`CaskTable::put`] and [`CaskTable::get`].
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<Option<Expiry>> {
        self.set_expiry(key.as_ref(), &WriteOptions::new())
    }

    fn set_expiry(&self, key: &[u8], options: &WriteOptions) -> Result<Option<Expiry>> {
        let deadline_ms = self.deadline_ms(options)?;
        self.redate(key, deadline_ms)
    }

    pub(super) fn expiry_of(&self, found: &Found) -> Expiry {
        Expiry::of(found.record.deadline_ms(), || self.store.now_ms())
    }

    /// True when the time of a record has come.
    pub(super) fn is_over(&self, found: &Found) -> bool {
        found.record.deadline_ms().is_some_and(|deadline| deadline <= self.store.now_ms())
    }
}
