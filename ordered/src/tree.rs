//! The tree: leaves that are linked both ways, and inner nodes above them.
//!
//! Invariants
//!  1. Keys ascend within a leaf and from leaf to leaf; no key stands twice.
//!  2. No leaf is empty, except the only one.
//!  3. The child left of a separator holds keys less than it, the child right of it the others.
//!  4. All leaves are equally deep.

use crate::keys::{Keys, grow, prefetch_all, separator, shrink};
use crate::leaf::{Leaf, NONE};

/// Most children of an inner node.
pub(crate) const CHILDREN_MAX: usize = 64;

/// Children, and what separates them.
#[derive(Debug)]
pub(crate) struct Inner {
    /// One less than children.
    pub separators: Keys,
    /// Numbers of inner nodes, or of leaves in the lowest level.
    pub children: Vec<u32>,
}

impl Inner {
    #[inline]
    fn prefetch(&self) {
        self.separators.prefetch();
        prefetch_all(&self.children);
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    pub leaves: Vec<Leaf>,
    pub inners: Vec<Inner>,
    inners_free: Vec<u32>,
    /// An inner node, or a leaf where `height` is 0.
    pub root: u32,
    /// Levels of inner nodes.
    pub height: usize,
    pub first: u32,
    pub last: u32,
    pub len: u64,
    /// Bytes of a key; 0 where lengths differ.
    pub width: usize,
    /// Keys have slots.
    pub has_slots: bool,
    /// Memory of the leaves beside their structs.
    pub leaf_bytes: usize,
    /// The inner nodes above a leaf, with the number of the child, from the root on.
    path: Vec<(u32, usize)>,
}

impl Tree {
    pub(crate) fn new(width: usize, has_slots: bool) -> Self {
        Self {
            leaves: vec![Leaf::new(width)],
            inners: Vec::new(),
            inners_free: Vec::new(),
            root: 0,
            height: 0,
            first: 0,
            last: 0,
            len: 0,
            width,
            has_slots,
            leaf_bytes: 0,
            path: Vec::new(),
        }
    }

    /// The leaf that holds `key`, or would.
    pub(crate) fn leaf_of(&self, key: &[u8]) -> u32 {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &self.inners[node as usize];
            inner.prefetch();
            node = inner.children[inner.separators.rank(key, true)];
        }
        self.leaves[node as usize].prefetch();
        node
    }

    /// As `leaf_of`, and remembers the way.
    fn descend(&mut self, key: &[u8]) -> u32 {
        self.path.clear();
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &self.inners[node as usize];
            inner.prefetch();
            let child = inner.separators.rank(key, true);
            self.path.push((node, child));
            node = inner.children[child];
        }
        self.leaves[node as usize].prefetch();
        node
    }

    /// Changes a leaf, and keeps count of its memory.
    fn change<T>(&mut self, leaf: u32, f: impl FnOnce(&mut Leaf) -> T) -> T {
        let leaf = &mut self.leaves[leaf as usize];
        let before = leaf.memory_bytes();
        let result = f(leaf);
        self.leaf_bytes = self.leaf_bytes - before + leaf.memory_bytes();
        result
    }

    /// Adds a key, or gives the one that is there another slot. A mark stays until the key goes. Tells whether it was new.
    pub(crate) fn insert(&mut self, key: &[u8], slot: u32, mark: bool) -> bool {
        let slot = self.has_slots.then_some(slot);
        let mut at_leaf = self.descend(key);
        let leaf = &mut self.leaves[at_leaf as usize];
        let mut at = leaf.keys.rank(key, false);
        if at < leaf.len() && leaf.keys.get(at) == key {
            leaf.marks |= u64::from(mark) << at;
            if let Some(slot) = slot {
                leaf.slots[at] = slot;
            }
            return false;
        }
        if leaf.is_full(key.len()) {
            let count = leaf.len();
            // Keys that come in ascending order leave full leaves behind.
            let split = if at == count && leaf.after == NONE { count } else { count / 2 };
            if let Some(right) = self.split(at_leaf, split, key) {
                at_leaf = right;
                at -= split;
            }
        }
        self.change(at_leaf, |leaf| leaf.insert(at, key, slot, mark));
        self.len += 1;
        true
    }

    /// Moves the keys from `at` on to a new leaf, which is given if `key` belongs there. The way to the leaf is known.
    fn split(&mut self, leaf: u32, at: usize, key: &[u8]) -> Option<u32> {
        let mut right = self.change(leaf, |leaf| leaf.split_off(at));
        let left = &self.leaves[leaf as usize];
        let first = if right.len() == 0 { key } else { right.keys.get(0) };
        let between = separator(left.keys.get(at - 1), first).to_vec();
        let after = left.after;
        right.before = leaf;
        right.after = after;
        self.leaf_bytes += right.memory_bytes();
        let number = self.add_leaf(right);
        self.leaves[leaf as usize].after = number;
        match self.leaves.get_mut(after as usize) {
            Some(after) => after.before = number,
            None => self.last = number,
        }
        let is_right = key >= between.as_slice();
        self.add_child(between, number);
        is_right.then_some(number)
    }

    fn add_leaf(&mut self, leaf: Leaf) -> u32 {
        grow(&mut self.leaves, 1);
        self.leaves.push(leaf);
        (self.leaves.len() - 1) as u32
    }

    /// Takes an empty leaf, which no other leaf and no inner node points to, out of the array. The last one takes its place.
    fn release_leaf(&mut self, number: u32) {
        let moved = (self.leaves.len() - 1) as u32;
        self.leaf_bytes -= self.leaves[number as usize].memory_bytes();
        if number != moved {
            let key = self.leaves[moved as usize].keys.get(0).to_vec();
            self.descend(&key);
            match self.path.last() {
                Some((inner, at)) => self.inners[*inner as usize].children[*at] = number,
                None => self.root = number,
            }
            let (before, after) =
                (self.leaves[moved as usize].before, self.leaves[moved as usize].after);
            match self.leaves.get_mut(before as usize) {
                Some(leaf) => leaf.after = number,
                None => self.first = number,
            }
            match self.leaves.get_mut(after as usize) {
                Some(leaf) => leaf.before = number,
                None => self.last = number,
            }
        }
        self.leaves.swap_remove(number as usize);
        shrink(&mut self.leaves);
    }

    pub(crate) fn add_inner(&mut self, inner: Inner) -> u32 {
        match self.inners_free.pop() {
            Some(number) => {
                self.inners[number as usize] = inner;
                number
            }
            None => {
                self.inners.push(inner);
                (self.inners.len() - 1) as u32
            }
        }
    }

    /// Adds a child behind the one that the way leads to.
    fn add_child(&mut self, mut between: Vec<u8>, mut child: u32) {
        while let Some((number, at)) = self.path.pop() {
            let inner = &mut self.inners[number as usize];
            inner.separators.insert(at, &between);
            inner.children.insert(at + 1, child);
            let count = inner.children.len();
            if count <= CHILDREN_MAX {
                return;
            }
            let split = if at + 2 == count { count - 2 } else { count / 2 };
            let children = inner.children.split_off(split);
            let separators = inner.separators.split_off(split);
            between = inner.separators.get(split - 1).to_vec();
            inner.separators.remove(split - 1);
            child = self.add_inner(Inner { separators, children });
        }
        let mut separators = Keys::new(0);
        separators.push(&between);
        let children = vec![self.root, child];
        self.root = self.add_inner(Inner { separators, children });
        self.height += 1;
    }

    /// Takes a key out; tells whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let number = self.descend(key);
        let leaf = &self.leaves[number as usize];
        let at = leaf.keys.rank(key, false);
        if at == leaf.len() || leaf.keys.get(at) != key {
            return false;
        }
        self.change(number, |leaf| leaf.remove(at));
        self.len -= 1;
        if self.leaves[number as usize].len() == 0 {
            self.remove_leaf(number);
        } else {
            self.join(number);
        }
        true
    }

    /// Joins a leaf with one of its neighbours under the same parent, if there is little in both.
    fn join(&mut self, number: u32) {
        let Some((parent, at)) = self.path.last().copied() else { return };
        let children = &self.inners[parent as usize].children;
        let behind = children.get(at + 1).map(|right| (number, *right, at + 1));
        let before = at.checked_sub(1).map(|left| (children[left], number, at));
        let is_to_join = |(left, right, _): &(u32, u32, usize)| {
            self.leaves[*left as usize].is_to_join(&self.leaves[*right as usize])
        };
        let found = behind.into_iter().chain(before).find(is_to_join);
        let Some((left, right, right_at)) = found else { return };
        let taken = std::mem::replace(&mut self.leaves[right as usize], Leaf::new(self.width));
        let (before, after) = (taken.before, taken.after);
        self.leaf_bytes -= taken.memory_bytes();
        self.change(left, |leaf| leaf.append(&taken));
        let emptied = &mut self.leaves[right as usize];
        (emptied.before, emptied.after) = (before, after);
        if let Some(step) = self.path.last_mut() {
            step.1 = right_at;
        }
        self.remove_leaf(right);
    }

    /// Takes an empty leaf out of the tree; the way leads to it. The last one stays.
    fn remove_leaf(&mut self, number: u32) {
        if self.height == 0 {
            return;
        }
        let (before, after) =
            (self.leaves[number as usize].before, self.leaves[number as usize].after);
        match self.leaves.get_mut(before as usize) {
            Some(leaf) => leaf.after = after,
            None => self.first = after,
        }
        match self.leaves.get_mut(after as usize) {
            Some(leaf) => leaf.before = before,
            None => self.last = before,
        }
        while let Some((inner_number, at)) = self.path.pop() {
            let inner = &mut self.inners[inner_number as usize];
            inner.children.remove(at);
            if !inner.separators.is_empty() {
                inner.separators.remove(at.saturating_sub(1));
            }
            if !inner.children.is_empty() {
                break;
            }
            self.inners_free.push(inner_number);
        }
        while self.height > 0 && self.inners[self.root as usize].children.len() == 1 {
            let root = std::mem::take(&mut self.inners[self.root as usize].children);
            self.inners_free.push(self.root);
            self.root = root[0];
            self.height -= 1;
        }
        self.release_leaf(number);
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let leaves = self.leaves.capacity() * size_of::<Leaf>() + self.leaf_bytes;
        let inner = |inner: &Inner| inner.separators.memory_bytes() + inner.children.capacity() * 4;
        let inners: usize = self.inners.iter().map(inner).sum();
        leaves + inners + self.inners.capacity() * size_of::<Inner>()
    }

    /// Checks the invariants; for tests.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut count = 0;
        let mut at = self.first;
        let mut before = NONE;
        let mut last: Option<Vec<u8>> = None;
        let mut bytes = 0;
        while at != NONE {
            let leaf = &self.leaves[at as usize];
            assert_eq!(leaf.before, before);
            assert!(leaf.len() > 0 || self.height == 0);
            assert_eq!(leaf.slots.len(), if self.has_slots { leaf.len() } else { 0 });
            for key in leaf.keys.iter() {
                assert!(last.as_deref().is_none_or(|last| last < key));
                assert_eq!(self.leaf_of(key), at);
                last = Some(key.to_vec());
            }
            count += leaf.len() as u64;
            bytes += leaf.memory_bytes();
            before = at;
            at = leaf.after;
        }
        assert_eq!(before, self.last);
        assert_eq!(count, self.len);
        assert_eq!(bytes, self.leaf_bytes);
    }
}
