//! The superblock file.

use crate::place::{kind_seed, seal_front};
use crate::target::Outcome;
use slotcask_format::BLOCK_SIZE;
use slotcask_format::superblock::{SHARD_COUNT_MAX, STORE_MAGIC, Superblock};
use zerocopy::IntoBytes;

/// The golden file without the zeros at its end: they are never read, and copying them is most of the time.
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = include_bytes!("../../../format/golden/superblock_v1.bin");
    vec![golden[..BLOCK_SIZE + Superblock::SIZE].to_vec()]
}

/// What is accepted stands in one of the two places, is within limits, and comes back undamaged.
pub fn target(data: &[u8]) -> Outcome {
    let Ok((block, damage)) = Superblock::decode_file(data) else { return Outcome::Rejected };
    assert_eq!(block.invalid(), None);
    assert!((1..=SHARD_COUNT_MAX).contains(&block.shard_count.get()));
    let first = data.get(..Superblock::SIZE) == Some(block.as_bytes());
    let second = data.get(BLOCK_SIZE..BLOCK_SIZE + Superblock::SIZE) == Some(block.as_bytes());
    assert!(first || second);
    assert_eq!(damage.is_none(), first && second, "damage is reported, and only damage");
    let mut again = block;
    again.seal();
    assert_eq!(again, block, "a superblock changed when it was sealed again");
    Outcome::Accepted
}

/// Repairs the first copy, and makes the second one equal when its magic still stands there.
pub fn reseal(data: &mut [u8]) {
    seal_front(kind_seed(STORE_MAGIC), data, Superblock::SIZE);
    if data.len() >= BLOCK_SIZE + Superblock::SIZE {
        let (first, second) = data.split_at_mut(BLOCK_SIZE);
        if second[8..12] == STORE_MAGIC.to_le_bytes() {
            second[..Superblock::SIZE].copy_from_slice(&first[..Superblock::SIZE]);
        }
    }
}
