//! The headers of a slot file and of a page map.

use crate::place::{kind_seed, seal_front};
use crate::target::Outcome;
use slotcask_format::checksum::StoreId;
use slotcask_format::slot::SlotLayout;
use slotcask_format::slot_file::{MAP_FILE_MAGIC, SLOT_FILE_MAGIC, SlotFileHeader};
use zerocopy::IntoBytes;

/// The header of a slot file.
pub fn slots(data: &[u8]) -> Outcome {
    header(SLOT_FILE_MAGIC, MAP_FILE_MAGIC, data)
}

/// The header of a page map.
pub fn map(data: &[u8]) -> Outcome {
    header(MAP_FILE_MAGIC, SLOT_FILE_MAGIC, data)
}

/// What is accepted is written again as the same bytes, and not accepted as the other kind.
fn header(magic: u32, other: u32, data: &[u8]) -> Outcome {
    let Ok(header) = SlotFileHeader::decode(magic, data) else { return Outcome::Rejected };
    assert!(SlotFileHeader::decode(other, data).is_err());
    let layout = SlotLayout::new(
        header.key_len.get() as usize,
        header.value_len.get() as usize,
        header.deadlines.get() == 1,
    );
    assert_eq!(layout.slot_size as u64, u64::from(header.slot_size.get()));
    if let Ok(shard) = u8::try_from(header.shard.get()) {
        let (store, table) = (StoreId(header.store), header.table.get());
        let again = SlotFileHeader::new(magic, store, shard, table, &layout);
        assert_eq!(again.as_bytes(), &data[..SlotFileHeader::SIZE]);
        assert_eq!(header.foreign(&again), None);
    }
    Outcome::Accepted
}

/// Repairs the checksum of a slot file's header.
pub fn reseal_slots(data: &mut [u8]) {
    seal_front(kind_seed(SLOT_FILE_MAGIC), data, SlotFileHeader::SIZE);
}

/// Repairs the checksum of a page map's header.
pub fn reseal_map(data: &mut [u8]) {
    seal_front(kind_seed(MAP_FILE_MAGIC), data, SlotFileHeader::SIZE);
}
