//! The slots of a table, shared by its shards.

use slotcask_format::schema::TableSchema;
use slotcask_format::slot::SlotLayout;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shard takes at most one 64th of a table's slots at once, so that a small table is not
/// used up by shards that each hold a page of which they use one slot.
const GRANTS_MIN: u32 = 64;

/// Counts the slots that the shards of one table have taken, so that all of them together never have more than
/// `slot_count_max`. Cheap to clone; all clones count together. Any thread may use it.
///
/// Shards take slots a page at a time (fewer in small tables), so a shard may find nothing left while another has up
/// to one grant unused.
#[derive(Debug, Clone)]
pub struct SlotBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    slot_count_max: u32,
    grant: u32,
    taken: AtomicU64,
}

impl SlotBudget {
    /// The budget of a table with this schema; nothing is taken yet.
    #[must_use]
    pub fn new(schema: &TableSchema) -> Self {
        let page = SlotLayout::of(schema).slots_per_page as u32;
        let grant = page.min(schema.slot_count_max / GRANTS_MIN).max(1);
        Self(Arc::new(Inner {
            slot_count_max: schema.slot_count_max,
            grant,
            taken: AtomicU64::new(0),
        }))
    }

    /// Slots taken by all shards together.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Most slots over all shards.
    #[must_use]
    pub fn slot_count_max(&self) -> u32 {
        self.0.slot_count_max
    }

    /// Takes one grant, or what is left of the last; 0 when nothing is.
    pub(crate) fn take(&self) -> u32 {
        let max = u64::from(self.0.slot_count_max);
        let grant = u64::from(self.0.grant);
        let before = self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            (taken < max).then(|| max.min(taken + grant))
        });
        before.map_or(0, |taken| (max - taken).min(grant) as u32)
    }

    /// Takes `count` slots that are in use on the disk already, even when they are more than there are.
    pub(crate) fn take_used(&self, count: u32) {
        self.0.taken.fetch_add(u64::from(count), Ordering::Relaxed);
    }

    /// Gives `count` slots back.
    pub(crate) fn give_back(&self, count: u32) {
        let before = self.0.taken.fetch_sub(u64::from(count), Ordering::Relaxed);
        assert!(before >= u64::from(count), "more slots given back than were taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotcask_format::schema::{Placement, TableKind};

    fn schema(slot_count_max: u32) -> TableSchema {
        TableSchema {
            name: "t".to_owned(),
            kind: TableKind::Fixed,
            placement: Placement::Hashed,
            key_len: 16,
            value_len: 64,
            deadlines: false,
            ordered: false,
            slot_count_max,
            compression: None,
        }
    }

    #[test]
    fn gives_exactly_the_maximum() {
        for max in [1, 63, 64, 100, 1000, 4001] {
            let budget = SlotBudget::new(&schema(max));
            let mut total = 0;
            loop {
                let grant = budget.take();
                if grant == 0 {
                    break;
                }
                total += grant;
            }
            assert_eq!(total, max);
            budget.give_back(1);
            assert_eq!(budget.take(), 1);
        }
    }

    #[test]
    fn more_in_use_than_allowed_leaves_nothing() {
        let budget = SlotBudget::new(&schema(10));
        budget.take_used(12);
        assert_eq!(budget.take(), 0);
    }
}
