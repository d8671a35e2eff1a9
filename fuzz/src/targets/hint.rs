//! The hint of a data file.

use crate::place::{GENERATION, SHARD, STORE, seal};
use crate::target::Outcome;
use slotcask_format::Seed;
use slotcask_format::hint::{
    HINT_MAGIC, HINT_STRIPES, HintEntry, HintHeader, HintIdent, decode_hint, encode_hint,
};

/// The data file of the golden hint.
const IDENT: HintIdent = HintIdent {
    store: STORE,
    shard: SHARD,
    generation: GENERATION,
    data_end: 16_384,
    data_checksum: 0x1234_5678_9abc_def0,
};

/// What is accepted is sorted, points into its data file, belongs to no other, and is written again as the same bytes.
pub fn target(data: &[u8]) -> Outcome {
    let Ok(tables) = decode_hint(&IDENT, data) else { return Outcome::Rejected };
    assert!(tables.is_sorted_by(|a, b| a.0 < b.0));
    for (_, entries) in &tables {
        assert!(entries.is_sorted_by_key(HintEntry::rank));
        for entry in entries {
            assert!(entry.stripe.get() < HINT_STRIPES);
            assert!(u64::from(entry.offset_8.get()) * 8 < IDENT.data_end);
        }
    }
    let others = [
        HintIdent { generation: GENERATION + 1, ..IDENT },
        HintIdent { data_end: IDENT.data_end + 4096, ..IDENT },
        HintIdent { data_checksum: 1, ..IDENT },
        HintIdent { shard: SHARD + 1, ..IDENT },
    ];
    for other in others {
        assert!(decode_hint(&other, data).is_err(), "a hint of another file was accepted");
    }
    assert!(encode_hint(&IDENT, &tables) == data, "a hint changed when it was written again");
    Outcome::Accepted
}

/// Repairs both checksums.
pub fn reseal(data: &mut [u8]) {
    if data.len() < HintHeader::SIZE {
        return;
    }
    let seed =
        Seed::store(STORE).narrow(HINT_MAGIC, u64::from(SHARD)).narrow(HINT_MAGIC, GENERATION);
    let body = seed.checksum(&data[HintHeader::SIZE..]);
    data[56..64].copy_from_slice(&body.to_le_bytes());
    seal(seed, &mut data[..HintHeader::SIZE]);
}
