//! Building a tree from keys that ascend.

use crate::keys::{Keys, separator};
use crate::leaf::{LEAF_KEYS_MAX, Leaf, NONE};
use crate::tree::{CHILDREN_MAX, Inner, Tree};

/// Leaves and inner nodes are left with some room, so that the first insert into each does not split it.
const FILL: (usize, usize) = (7, 8);

impl Tree {
    /// A tree of keys that ascend, each of them once.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn load<K: AsRef<[u8]>>(
        width: usize,
        has_slots: bool,
        sorted: impl Iterator<Item = (K, u32, bool)>,
    ) -> Self {
        let mut tree = Self::new(width, has_slots);
        let mut level: Vec<(Vec<u8>, u32)> = vec![(Vec::new(), 0)];
        for (key, slot, mark) in sorted {
            let key = key.as_ref();
            let at = tree.leaves.len() - 1;
            let leaf = &tree.leaves[at];
            if let Some(last) = leaf.len().checked_sub(1) {
                let last = leaf.keys.get(last);
                assert!(last < key, "keys to be loaded ascend");
                if leaf.len() >= LEAF_KEYS_MAX * FILL.0 / FILL.1 || leaf.is_full(key.len()) {
                    level.push((separator(last, key).to_vec(), at as u32 + 1));
                    let mut next = Leaf::new(width);
                    next.before = at as u32;
                    tree.leaves[at].after = at as u32 + 1;
                    tree.leaves.push(next);
                }
            }
            let leaf = tree.leaves.last_mut().expect("there is one leaf from the start");
            leaf.push(key, has_slots.then_some(slot), mark);
            tree.len += 1;
        }
        for leaf in &mut tree.leaves {
            leaf.shrink();
            tree.leaf_bytes += leaf.memory_bytes();
        }
        tree.last = (tree.leaves.len() - 1) as u32;
        debug_assert_eq!(tree.leaves[tree.last as usize].after, NONE);
        while level.len() > 1 {
            let above = level.chunks(CHILDREN_MAX * FILL.0 / FILL.1).map(|children| {
                let mut separators = Keys::new(0);
                for (between, _) in &children[1..] {
                    separators.push(between);
                }
                separators.shrink();
                let first = children[0].0.clone();
                let children = children.iter().map(|(_, child)| *child).collect();
                (first, tree.add_inner(Inner { separators, children }))
            });
            level = above.collect();
            tree.height += 1;
        }
        tree.root = level[0].1;
        tree
    }
}
