//! The header of a log segment.

use crate::place::{GENERATION, SHARD, STORE, kind_seed, seal_front};
use crate::target::Outcome;
use slotcask_format::checksum::StoreId;
use slotcask_format::segment::{SEGMENT_DATA_OFFSET, SEGMENT_MAGIC, SegmentHeader};
use zerocopy::IntoBytes;

/// What is accepted is written again as the same header, and belongs to one place only.
pub fn target(data: &[u8]) -> Outcome {
    let Ok(header) = SegmentHeader::decode(data) else { return Outcome::Rejected };
    assert!(header.segment_size.get() > SEGMENT_DATA_OFFSET);
    let generation = header.generation.get();
    if let Ok(shard) = u8::try_from(header.shard.get()) {
        let store = StoreId(header.store);
        assert_eq!(header.foreign(store, shard, generation), None);
        let again = SegmentHeader::new(
            store,
            shard,
            generation,
            header.segment_size.get(),
            header.manifest_sequence.get(),
        );
        assert_eq!(again.as_bytes(), &data[..SegmentHeader::SIZE]);
    }
    let ours = header.foreign(STORE, SHARD, GENERATION).is_none();
    assert!(!ours || (header.store == STORE.0 && generation == GENERATION));
    Outcome::Accepted
}

/// Repairs the checksum.
pub fn reseal(data: &mut [u8]) {
    seal_front(kind_seed(SEGMENT_MAGIC), data, SegmentHeader::SIZE);
}
