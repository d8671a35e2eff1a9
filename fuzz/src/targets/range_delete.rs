//! The value of a range delete.

use crate::target::Outcome;
use slotcask_format::range_delete::{RangeDelete, Removed};

/// A range delete comes back from what it is written as, byte for byte, and names no key twice.
pub fn target(data: &[u8]) -> Outcome {
    let Ok(found) = RangeDelete::decode(data) else { return Outcome::Rejected };
    assert_eq!(found.encode(), data);
    let is_cask = match found.removed {
        Removed::Slots(_) => false,
        Removed::Keys(keys) => {
            assert!(keys.windows(2).all(|pair| pair[0].rank() != pair[1].rank()));
            true
        }
    };
    let end_len = found.end.map_or(0, <[u8]>::len);
    assert_eq!(RangeDelete::size(end_len, found.removed.len(), is_cask), data.len());
    Outcome::Accepted
}
