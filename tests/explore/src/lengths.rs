//! Lengths of compressed values that lie: each is refused, or the value is right all the same.

use crate::model::value;
use slotcask_cask::{compress, decompress};

/// Tries every length from none to twice the true one, for values of some lengths; gives the number tried, and the first lie that was
/// believed.
#[must_use]
pub fn run() -> (u64, Option<String>) {
    let mut tried = 0;
    for len in (24..400).step_by(25) {
        let value = value(len as u64, len);
        let Some(mut stored) = compress(&value) else {
            return (tried, Some(format!("a value of {len} equal bytes was not compressed")));
        };
        for claimed in 0..2 * len as u32 {
            stored[..4].copy_from_slice(&claimed.to_le_bytes());
            let mut found = Vec::new();
            tried += 1;
            if decompress(&stored, &mut found).is_ok() && found != value {
                let what = format!("{claimed} bytes were believed of a value of {len}");
                return (tried, Some(what));
            }
        }
    }
    (tried, None)
}
