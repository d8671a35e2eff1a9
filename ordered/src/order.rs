//! The tree with its lock.

use crate::scan::{Chunk, Direction};
use crate::tree::Tree;
use parking_lot::RwLock;
use std::fmt;
use std::ops::Bound;

/// Keys taken out under one holding of the lock.
const REMOVED_AT_ONCE: usize = 256;

/// The keys of one table on one shard, in the order of their bytes. Writers hold the shard's lock as well, so that index and
/// order agree; readers hold the lock of the tree while some keys are copied.
pub struct Order {
    tree: RwLock<Tree>,
}

impl Order {
    /// No keys. All will have `width` bytes, or any number of them if it is 0; `has_slots` says whether each has a slot.
    #[must_use]
    pub fn new(width: usize, has_slots: bool) -> Self {
        Self { tree: RwLock::new(Tree::new(width, has_slots)) }
    }

    /// Replaces everything by keys that ascend, each of them once, with slots and marks.
    ///
    /// # Panics
    /// When they do not ascend.
    pub fn load<K: AsRef<[u8]>>(&self, sorted: impl Iterator<Item = (K, u32, bool)>) {
        let (width, has_slots) = {
            let tree = self.tree.read();
            (tree.width, tree.has_slots)
        };
        let loaded = Tree::load(width, has_slots, sorted);
        *self.tree.write() = loaded;
    }

    /// Adds a key, or gives the one that is there another slot. A mark stays until the key goes.
    pub fn insert(&self, key: &[u8], slot: u32, mark: bool) {
        self.tree.write().insert(key, slot, mark);
    }

    /// Takes a key out; tells whether it was there.
    pub fn remove(&self, key: &[u8]) -> bool {
        self.tree.write().remove(key)
    }

    /// Takes out the keys from `from` up to `to`, which stays, that `is_gone` is true for.
    pub fn remove_range(&self, from: &[u8], to: Option<&[u8]>, is_gone: impl Fn(&[u8]) -> bool) {
        let mut chunk = self.chunk();
        let mut position = Bound::Included(from.to_vec());
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            chunk.clear();
            let mut tree = self.tree.write();
            let from = position.as_ref().map(Vec::as_slice);
            tree.read(from, to, Direction::Ascending, REMOVED_AT_ONCE, &mut chunk);
            for key in chunk.keys.iter().filter(|key| is_gone(key)) {
                tree.remove(key);
            }
            let Some(last) = chunk.len().checked_sub(1) else { return };
            position = Bound::Excluded(chunk.keys.get(last).to_vec());
        }
    }

    /// Takes all keys out.
    pub fn clear(&self) {
        let mut tree = self.tree.write();
        *tree = Tree::new(tree.width, tree.has_slots);
    }

    /// An empty chunk for keys of this table.
    #[must_use]
    pub fn chunk(&self) -> Chunk {
        Chunk::new(self.tree.read().width)
    }

    /// Appends up to `max` keys of a range to `chunk`: the first of them, or, descending, the last; ascending either way.
    /// Ascending it ends early when the keys have [`crate::CHUNK_BYTES_MAX`] bytes.
    pub fn read(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        max: usize,
        chunk: &mut Chunk,
    ) {
        self.tree.read().read(from, to, direction, max, chunk);
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.tree.read().len
    }

    /// True without keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.tree.read().memory_bytes() as u64
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn agree(order: &Order, model: &BTreeMap<Vec<u8>, (u32, bool)>, from: &[u8], to: &[u8]) {
        order.tree.read().check();
        assert_eq!(order.len(), model.len() as u64);
        let ranges = [
            (Bound::Unbounded, Bound::Unbounded),
            (Bound::Included(from), Bound::Excluded(to)),
            (Bound::Excluded(from), Bound::Included(to)),
            (Bound::Included(from), Bound::Unbounded),
        ];
        for (low, high) in ranges {
            let inside = |key: &[u8]| {
                (match low {
                    Bound::Included(low) => key >= low,
                    Bound::Excluded(low) => key > low,
                    Bound::Unbounded => true,
                }) && (match high {
                    Bound::Included(high) => key <= high,
                    Bound::Excluded(high) => key < high,
                    Bound::Unbounded => true,
                })
            };
            let expected: Vec<_> = model.iter().filter(|(key, _)| inside(key)).collect();
            for direction in [Direction::Ascending, Direction::Descending] {
                for max in [3, 70, usize::MAX >> 1] {
                    let mut chunk = order.chunk();
                    order.read(low, high, direction, max, &mut chunk);
                    assert_eq!(chunk.len(), expected.len().min(max));
                    let first = match direction {
                        Direction::Ascending => 0,
                        Direction::Descending => expected.len().saturating_sub(max),
                    };
                    let expected = expected[first..].iter().take(max);
                    for (at, (key, (slot, mark))) in expected.enumerate() {
                        assert_eq!(chunk.keys.get(at), key.as_slice());
                        assert_eq!((chunk.slots[at], chunk.is_marked(at)), (*slot, *mark));
                    }
                }
            }
        }
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(0_u8..3, 0..5),
            (0_u16..600).prop_map(|number| format!("user:{number:04}").into_bytes()),
            (0_u8..4, 300_usize..900).prop_map(|(byte, len)| vec![byte; len]),
        ]
    }

    proptest! {
        #[test]
        fn it_is_as_a_map(
            steps in proptest::collection::vec((0_u8..20, key(), key(), any::<u32>()), 1..900),
            loaded in proptest::collection::btree_map(key(), any::<u32>(), 0..300),
        ) {
            let order = Order::new(0, true);
            order.load(loaded.iter().map(|(key, slot)| (key, *slot, slot % 3 == 0)));
            let mut model: BTreeMap<Vec<u8>, (u32, bool)> =
                loaded.into_iter().map(|(key, slot)| (key, (slot, slot % 3 == 0))).collect();
            agree(&order, &model, b"user:0100", b"user:0300");
            for (step, key, other, slot) in steps {
                match step {
                    0 => {
                        let (from, to) = (key.clone().min(other.clone()), key.max(other));
                        order.remove_range(&from, Some(&to), |_| true);
                        model.retain(|key, _| *key < from || *key >= to);
                        agree(&order, &model, &from, &to);
                    }
                    1..8 => assert_eq!(order.remove(&key), model.remove(&key).is_some()),
                    _ => {
                        let mark = slot % 5 == 0;
                        order.insert(&key, slot, mark);
                        let entry = model.entry(key).or_insert((slot, mark));
                        *entry = (slot, entry.1 || mark);
                    }
                }
            }
            agree(&order, &model, b"user:0200", b"user:0250");
        }
    }

    #[test]
    fn keys_of_16_bytes_take_40_bytes_at_most() {
        let mut number = 1_u64;
        for random in [false, true] {
            for churn in [false, true] {
                let order = Order::new(16, true);
                let mut keys = Vec::new();
                for count in 0..100_000_u64 {
                    number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let head = if random { number.swap_bytes() } else { count };
                    let mut key = [0; 16];
                    key[..8].copy_from_slice(&head.swap_bytes().to_le_bytes());
                    order.insert(&key, 7, false);
                    keys.push(key);
                }
                if churn {
                    for key in keys.iter().filter(|key| key[7] % 4 != 0) {
                        order.remove(key);
                    }
                }
                order.tree.read().check();
                let each = order.memory_bytes() as f64 / order.len() as f64;
                assert!(each <= 40.0, "{each:.1} bytes a key, random {random}, churn {churn}");
                println!("{each:.1} bytes a key, random {random}, churn {churn}");
            }
        }
    }

    #[test]
    fn a_tree_that_was_emptied_takes_keys_again() {
        let order = Order::new(0, false);
        for round in 0..3 {
            for number in 0..5000_u32 {
                order.insert(format!("{number:07}").as_bytes(), 0, false);
            }
            order.remove_range(b"", None, |_| true);
            assert!(order.is_empty(), "round {round}");
            order.tree.read().check();
        }
        assert!(order.memory_bytes() < 100_000, "{}", order.memory_bytes());
    }
}
