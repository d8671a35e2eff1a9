//! Growing the files of a table, without the shard's lock.

use crate::error::Result;
use crate::files::{Files, Place};
use slotcask_index::SlotReader;
use std::fmt;
use std::sync::Arc;

/// How far the files of a table should grow. Made under the shard's lock, executed without it.
pub struct GrowPlan {
    pub(crate) place: Arc<Place>,
    pub(crate) files: Arc<Files>,
    pub(crate) reader: Arc<SlotReader>,
    pub(crate) pages: u32,
}

/// What [`GrowPlan::execute`] did; give it to [`crate::FixedTable::grown`].
#[derive(Debug)]
#[must_use = "the table does not use the room before it is told"]
pub struct Grown {
    pub(crate) pages: u32,
}

impl fmt::Debug for GrowPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrowPlan").field("bytes", &self.bytes()).finish()
    }
}

impl GrowPlan {
    /// Bytes that the slot file will have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.place.page_offset(self.pages)
    }

    /// Reserves the room on the disk, durably, and touches memory ahead of use. Slow: call it without the lock.
    ///
    /// # Errors
    /// [`crate::FixedError::Io`] when there is no room; then nothing has changed, and the plan may be executed again.
    pub fn execute(&self) -> Result<Grown> {
        self.files.allocate(&self.place, self.pages)?;
        self.reader.populate_ahead();
        Ok(Grown { pages: self.pages })
    }
}
