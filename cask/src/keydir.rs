//! Where the live record of every key of a table stands, 16 bytes a key and some room to grow.

use crate::hash::{KeyHash, STRIPES};
use crate::location::Location;
use crate::stripe::{Room, Stripe};
use parking_lot::RwLock;
use slotcask_io::Words;
use slotcask_ordered::Order;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The keys of one cask table on one shard, as hashes. Reads and changes take the lock of one stripe in 1024 for some tens of
/// nanoseconds; who changes it has the shard lock as well, so that log and keydir agree.
pub struct Keydir {
    stripes: Box<[Aligned]>,
    /// Where the stripes have their entries.
    words: Words,
    len: AtomicU64,
    /// The keys themselves, in an ordered table.
    order: Option<Order>,
    changes: Changes,
}

/// How many changes there were, in a cache line that no other field lies in: readers use those all the time.
#[derive(Default)]
#[repr(align(64))]
struct Changes(AtomicU64);

impl Changes {
    /// Only who holds the shard lock counts, so this need not be one step. The lock of the stripe that is changed is held: who reads the count and
    /// then the stripe as it was before finds another count later.
    #[inline]
    fn count(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// A stripe that lies in one cache line: one wait for memory.
#[derive(Default)]
#[repr(align(32))]
struct Aligned(RwLock<Stripe>);

const _: () = assert!(size_of::<Aligned>() == 32);

impl Default for Keydir {
    fn default() -> Self {
        Self::new(false, false)
    }
}

impl Keydir {
    /// An empty keydir, of an ordered table or of another. With `huge_pages` the system is asked for them.
    #[must_use]
    pub fn new(ordered: bool, huge_pages: bool) -> Self {
        let stripes = (0..STRIPES).map(|_| Aligned::default()).collect();
        let order = ordered.then(|| Order::new(0, false));
        let words = Words::new(huge_pages);
        Self { stripes, words, len: AtomicU64::new(0), order, changes: Changes::default() }
    }

    /// Grows with every change: what [`Keydir::get`] gave after this is still so for as long as this gives the same.
    #[must_use]
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes.0.load(Ordering::Acquire)
    }

    /// The keys in their order, in an ordered table; a key is marked if its value may vanish. It is kept by whoever changes the keydir: see
    /// [`Keydir::note_put`].
    #[must_use]
    #[inline]
    pub fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// Tells the order of a put: `was_there` is what [`Keydir::put`] knew, `vanishes` whether the value has a deadline.
    #[inline]
    pub fn note_put(&self, key: &[u8], was_there: bool, vanishes: bool) {
        if let Some(order) = &self.order
            && (!was_there || vanishes)
        {
            order.insert(key, 0, vanishes);
        }
    }

    /// Tells the order that a key is gone.
    #[inline]
    pub fn note_removed(&self, key: &[u8]) {
        if let Some(order) = &self.order {
            order.remove(key);
        }
    }

    #[inline]
    fn stripe(&self, hash: KeyHash) -> &RwLock<Stripe> {
        &self.stripes[usize::from(hash.stripe) % STRIPES].0
    }

    #[inline]
    fn room(&self, stripe: u16) -> Room<'_> {
        Room { words: &self.words, stripe: usize::from(stripe) % STRIPES }
    }

    /// Tells the order that keys of a range are gone: those that the keydir does not know any more.
    pub fn note_range_removed(&self, hash_seed: u64, from: &[u8], to: Option<&[u8]>) {
        if let Some(order) = &self.order {
            order.remove_range(from, to, |key| self.get(KeyHash::of(hash_seed, key)).is_none());
        }
    }

    /// Where the live record of a key stands.
    #[must_use]
    #[inline]
    pub fn get(&self, hash: KeyHash) -> Option<Location> {
        self.stripe(hash).read().get(&self.room(hash.stripe), hash.stored)
    }

    /// Asks for the memory that [`Keydir::get`] will read. A hint.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        self.stripe(hash).read().prefetch(&self.room(hash.stripe), hash.stored);
    }

    /// Asks for the memory that [`Keydir::put`] will use. A hint.
    #[inline]
    pub fn prefetch_put(&self, hash: KeyHash) {
        self.stripe(hash).read().prefetch_put(&self.room(hash.stripe), hash.stored);
    }

    /// Points a key to a record; gives the record that it pointed to before.
    pub fn put(&self, hash: KeyHash, to: Location) -> Option<Location> {
        let mut stripe = self.stripe(hash).write();
        let old = stripe.put(&self.room(hash.stripe), hash.stored, to);
        self.changes.count();
        drop(stripe);
        if old.is_none() {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        old
    }

    /// Takes a key out; gives the record that it pointed to.
    pub fn remove(&self, hash: KeyHash) -> Option<Location> {
        let mut stripe = self.stripe(hash).write();
        let old = stripe.remove(&self.room(hash.stripe), hash.stored);
        self.changes.count();
        drop(stripe);
        if old.is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        old
    }

    /// Points a key to `to` if it points to `from`; tells whether it did.
    pub fn relocate(&self, hash: KeyHash, from: Location, to: Location) -> bool {
        let mut stripe = self.stripe(hash).write();
        if stripe.get(&self.room(hash.stripe), hash.stored) != Some(from)
            && !slotcask_format::mutants::active("relocate_blindly")
        {
            return false;
        }
        stripe.put(&self.room(hash.stripe), hash.stored, to);
        self.changes.count();
        true
    }

    /// Takes a key out if it points to `from`; tells whether it did.
    pub fn remove_if(&self, hash: KeyHash, from: Location) -> bool {
        let mut stripe = self.stripe(hash).write();
        if stripe.get(&self.room(hash.stripe), hash.stored) != Some(from) {
            return false;
        }
        stripe.remove(&self.room(hash.stripe), hash.stored);
        self.changes.count();
        self.len.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Takes all keys out.
    pub fn clear(&self) {
        let mut stripes: Vec<_> = self.stripes.iter().map(|stripe| stripe.0.write()).collect();
        stripes.iter_mut().for_each(|stripe| stripe.forget());
        self.words.clear();
        self.changes.count();
        drop(stripes);
        self.len.store(0, Ordering::Relaxed);
        if let Some(order) = &self.order {
            order.clear();
        }
    }

    /// Replaces a stripe by keys that ascend by their stored bits, each of them once.
    pub fn load_stripe(&self, stripe: u16, sorted: &[(u64, Location)]) {
        let room = self.room(stripe);
        let mut stripe = self.stripes[room.stripe].0.write();
        let before = stripe.len() as u64;
        stripe.load(&room, sorted);
        self.changes.count();
        self.len.fetch_add(sorted.len() as u64, Ordering::Relaxed);
        self.len.fetch_sub(before, Ordering::Relaxed);
    }

    /// Where all records stand, with the stored bits of their hash; each stripe as it was at one moment. Takes 16 bytes a key.
    #[must_use]
    pub fn places(&self) -> Vec<(Location, u64)> {
        let mut all = Vec::with_capacity(self.len() as usize);
        self.stripes().for_each(|stripe| self.places_of(stripe, &mut all));
        all
    }

    /// The numbers of all stripes.
    pub fn stripes(&self) -> impl Iterator<Item = u16> + use<> {
        0..STRIPES as u16
    }

    /// Adds what [`Keydir::places`] has of one stripe to `all`.
    pub fn places_of(&self, stripe: u16, all: &mut Vec<(Location, u64)>) {
        let room = self.room(stripe);
        let stripe = self.stripes[room.stripe].0.read();
        all.extend(stripe.places(&room).map(|(stored, place)| (place, stored)));
    }

    /// Keys.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// True when there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let small = |stripe: &Aligned| stripe.0.read().small_bytes();
        let entries: usize =
            self.stripes.iter().map(small).sum::<usize>() + self.words.memory_bytes();
        let order = self.order.as_ref().map_or(0, Order::memory_bytes);
        (entries + size_of_val(&*self.stripes)) as u64 + order
    }
}

impl fmt::Debug for Keydir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keydir").field("len", &self.len()).finish_non_exhaustive()
    }
}
