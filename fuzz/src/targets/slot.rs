//! One slot of a fixed table.

use crate::place::{SHARD, SLOT, STORE, TABLE};
use crate::target::Outcome;
use slotcask_format::slot::{
    SlotHeader, SlotImage, SlotKind, SlotLayout, decode_slot, encode_slot, seal_slot, slot_seed,
};

/// The layout of the golden slots.
const LAYOUT: SlotLayout = SlotLayout::new(8, 20, true);

/// The slot that stands first in the golden file: the seed of its checksum is that of its number.
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = include_bytes!("../../../format/golden/slot_v1.bin");
    vec![golden[..LAYOUT.slot_size].to_vec()]
}

/// What is accepted is written again as the same bytes, unless its padding was not zero; no other slot accepts it.
pub fn target(data: &[u8]) -> Outcome {
    let seed = slot_seed(STORE, SHARD, TABLE);
    let Ok((header, kind)) = decode_slot(seed, SLOT, data) else { return Outcome::Rejected };
    assert!(decode_slot(seed, SLOT + 1, data).is_err(), "a slot is valid in two places");
    if data.len() != LAYOUT.slot_size {
        return Outcome::Accepted;
    }
    let mut deadline = [0; 8];
    deadline.copy_from_slice(&data[SlotHeader::SIZE..SlotHeader::SIZE + 8]);
    let image = SlotImage {
        sequence: header.sequence.get(),
        epoch: header.epoch.get(),
        kind,
        deadline_ms: u64::from_le_bytes(deadline),
        key: &data[LAYOUT.key_offset..][..LAYOUT.key_len],
        value: &data[LAYOUT.value_offset..][..LAYOUT.value_len],
    };
    let mut again = [0xff; LAYOUT.slot_size];
    encode_slot(&LAYOUT, seed, SLOT, &image, &mut again);
    assert!(again[8..LAYOUT.slot_size - 4] == data[8..LAYOUT.slot_size - 4]);
    if data[LAYOUT.slot_size - 4..] == [0; 4] {
        assert!(again == data, "a slot changed when it was written again");
    }
    assert!(matches!(kind, SlotKind::Free | SlotKind::Live | SlotKind::Tombstone));
    Outcome::Accepted
}

/// Repairs the checksum.
pub fn reseal(data: &mut [u8]) {
    if data.len() >= SlotHeader::SIZE {
        seal_slot(slot_seed(STORE, SHARD, TABLE), SLOT, data);
    }
}
