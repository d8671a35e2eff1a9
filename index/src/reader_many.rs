//! Many lookups at once: the memory answers several requests in the time of one, if it gets them together.

use crate::copy;
use crate::reader::SlotReader;
use crate::slot::SlotMeta;

/// Lookups in flight. Processors keep 10 to 16 lines in flight, so more would only push each other out.
const GROUP: usize = 16;

impl SlotReader {
    /// Looks many keys up. `keys` and `values` are the keys and values one behind the other, in the order of `hashes`.
    /// The value of a key that is not found may be anything. Each lookup stands for itself: together they are no snapshot.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn get_many(
        &self,
        hashes: &[u64],
        keys: &[u8],
        values: &mut [u8],
        found: &mut [Option<SlotMeta>],
    ) {
        let (key_len, value_len) = (self.geometry.key_len, self.geometry.value_len);
        assert_eq!(keys.len(), hashes.len() * key_len);
        assert_eq!(values.len(), hashes.len() * value_len);
        assert_eq!(found.len(), hashes.len());
        for &hash in hashes.iter().take(GROUP) {
            self.prefetch(hash);
        }
        let mut at = 0;
        while at < hashes.len() {
            let end = (at + GROUP).min(hashes.len());
            for &hash in &hashes[at..end] {
                self.prefetch_slot(hash);
            }
            // The buckets of the next group come in while the slots of this one are copied.
            for &hash in hashes[end..].iter().take(GROUP) {
                self.prefetch(hash);
            }
            for number in at..end {
                let key = &keys[number * key_len..][..key_len];
                let value = copy::as_uninit(&mut values[number * value_len..][..value_len]);
                found[number] = self.lookup_meta(hashes[number], key, value).map(|(_, meta)| meta);
            }
            at = end;
        }
    }
}
