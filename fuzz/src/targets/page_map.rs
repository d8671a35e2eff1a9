//! A block of a page map.

use crate::place::{MAP_BLOCK, SHARD, STORE, TABLE, seal};
use crate::target::Outcome;
use slotcask_format::BLOCK_SIZE;
use slotcask_format::page_map::{MAP_ENTRIES, decode_map_block, encode_map_block, map_seed};

/// What is accepted is written again as the same block, and stands at one number only.
pub fn target(data: &[u8]) -> Outcome {
    let seed = map_seed(STORE, SHARD, TABLE);
    let Ok((header, entries)) = decode_map_block(seed, MAP_BLOCK, data) else {
        return Outcome::Rejected;
    };
    assert!(entries.len() <= MAP_ENTRIES);
    assert!(decode_map_block(seed, MAP_BLOCK + 1, data).is_err());
    let mut again = [0xff; BLOCK_SIZE];
    let checkpoint = header.checkpoint.get();
    let checksum = encode_map_block(seed, MAP_BLOCK, checkpoint, &entries, &mut again);
    assert_eq!(checksum, header.checksum.get());
    assert!(again == data, "a map block changed when it was written again");
    Outcome::Accepted
}

/// Repairs the checksum.
pub fn reseal(data: &mut [u8]) {
    seal(map_seed(STORE, SHARD, TABLE).at(u64::from(MAP_BLOCK)), data);
}
