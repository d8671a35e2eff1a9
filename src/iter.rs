//! Iteration over a table.

use crate::error::{Error, Result};
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
    pub(crate) ended: Ended,
}

/// Whether an iterator came to an error that stays.
#[derive(Debug, Default)]
pub(crate) struct Ended(bool);

impl Ended {
    /// What an iterator yields for what it came to. An error that is not about one pair alone would come again for ever: it is
    /// yielded once.
    pub(crate) fn item<T>(&mut self, next: Result<Option<T>>) -> Option<Result<T>> {
        match next {
            Ok(item) => item.map(Ok),
            Err(_) if self.0 => None,
            Err(error) => {
                self.0 = !matches!(error, Error::Corrupt { .. } | Error::Io(_));
                Some(Err(error))
            }
        }
    }
}

impl Iter {
    pub(crate) fn new(table: Table) -> Self {
        let layout = table.shared.layout;
        Self {
            shard: 0,
            slot: 0,
            key: vec![0; layout.key_len],
            value: vec![0; layout.value_len],
            ended: Ended::default(),
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
        let next = self.next_ref();
        let next = next.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
        self.ended.item(next)
    }
}
