//! Iteration over a table.

use crate::error::Result;
use crate::table::Table;
use slotcask_format::slot::SlotKind;

/// All pairs of a table; see [`Table::iter`].
#[derive(Debug)]
pub struct Iter {
    table: Table,
    shard: usize,
    slot: u32,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Iter {
    pub(crate) fn new(table: Table) -> Self {
        let layout = table.shared.layout;
        Self {
            shard: 0,
            slot: 0,
            key: vec![0; layout.key_len],
            value: vec![0; layout.value_len],
            table,
        }
    }

    /// The next pair, lent: no allocation for each.
    ///
    /// # Errors
    /// [`crate::Error::TableDropped`], [`crate::Error::Closed`].
    pub fn next_ref(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.table.check_readable()?;
        while let Some(reader) = self.table.shared.readers.get(self.shard) {
            if let Some(reader) = reader {
                while self.slot < reader.slot_count() {
                    let slot = self.slot;
                    self.slot += 1;
                    let meta = reader.read_slot(slot, &mut self.key, &mut self.value);
                    let live = meta.filter(|meta| meta.kind == SlotKind::Live);
                    if live.is_some_and(|meta| !self.table.is_over(&meta)) {
                        return Ok(Some((&self.key, &self.value)));
                    }
                }
            }
            self.shard += 1;
            self.slot = 0;
        }
        Ok(None)
    }
}

impl Iterator for Iter {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_ref() {
            Ok(pair) => pair.map(|(key, value)| Ok((key.to_vec(), value.to_vec()))),
            Err(error) => Some(Err(error)),
        }
    }
}
