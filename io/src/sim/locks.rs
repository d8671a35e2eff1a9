//! Who holds the locks of files.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Who holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holders {
    Alone,
    Sharing(usize),
}

/// The locks that are held, by path.
#[derive(Debug, Default)]
pub(super) struct Locks(BTreeMap<Arc<str>, Holders>);

impl Locks {
    /// Takes a lock; false when who holds it does not share it.
    pub(super) fn hold(&mut self, path: &Arc<str>, wanted: Holders) -> bool {
        let holders = match (self.0.get(path), wanted) {
            (None, _) => wanted,
            (Some(Holders::Sharing(count)), Holders::Sharing(_)) => Holders::Sharing(count + 1),
            _ => return false,
        };
        self.0.insert(Arc::clone(path), holders);
        true
    }

    /// Gives back what [`Self::hold`] took.
    pub(super) fn leave(&mut self, path: &Arc<str>) {
        match self.0.get_mut(path) {
            Some(Holders::Sharing(count)) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(path)),
        }
    }
}
