//! Header, records and state of a manifest.

use crate::place::{GENERATION, MANIFEST_OFFSET, SHARD, STORE, kind_seed, seal_front};
use crate::target::Outcome;
use slotcask_format::manifest::{
    MANIFEST_MAGIC, ManifestHeader, ManifestRecordHeader, ManifestState, decode_record,
    encode_record, manifest_seed,
};
use slotcask_format::round_up;
use zerocopy::{FromBytes, IntoBytes};

/// The header of a manifest: accepted in one place only, where it is always the same bytes.
pub fn header(data: &[u8]) -> Outcome {
    let Ok(header) = ManifestHeader::decode(data, STORE, SHARD, GENERATION) else {
        return Outcome::Rejected;
    };
    assert_eq!(header, ManifestHeader::new(STORE, SHARD, GENERATION));
    assert_eq!(header.as_bytes(), &data[..ManifestHeader::SIZE]);
    Outcome::Accepted
}

/// Repairs the checksum of a manifest header.
pub fn reseal_header(data: &mut [u8]) {
    seal_front(kind_seed(MANIFEST_MAGIC), data, ManifestHeader::SIZE);
}

/// A manifest record is written again as the same bytes; its state has the properties of [`state`].
pub fn record(data: &[u8]) -> Outcome {
    let seed = manifest_seed(STORE, SHARD, GENERATION);
    let Ok((header, bytes, size)) = decode_record(seed, MANIFEST_OFFSET, data) else {
        return Outcome::Rejected;
    };
    assert!(bytes.len() < size && size <= data.len());
    let (sequence, previous) = (header.sequence.get(), header.previous.get());
    let (again, checksum) = encode_record(seed, MANIFEST_OFFSET, sequence, previous, bytes);
    assert!(again == data[..size], "a manifest record changed when it was written again");
    assert_eq!(checksum, header.checksum.get());
    state(bytes)
}

/// Repairs both checksums and the padding of a manifest record.
pub fn reseal_record(data: &mut [u8]) {
    let Ok((mut header, _)) = ManifestRecordHeader::read_from_prefix(data) else { return };
    let end = ManifestRecordHeader::SIZE + header.length.get() as usize;
    let size = round_up(end);
    let seed = manifest_seed(STORE, SHARD, GENERATION).at(MANIFEST_OFFSET);
    if let Some(padding) = data.get_mut(end..size) {
        padding.fill(0);
        header.body_checksum.set(seed.checksum(&data[ManifestRecordHeader::SIZE..size]));
    }
    header.checksum.set(seed.checksum(&header.as_bytes()[8..]));
    data[..ManifestRecordHeader::SIZE].copy_from_slice(header.as_bytes());
}

/// A state comes back from what it is written as, which is no longer than the input.
pub fn state(data: &[u8]) -> Outcome {
    let Ok(state) = ManifestState::decode(data) else { return Outcome::Rejected };
    let again = state.encode();
    // Shorter where optional schema items were passed over.
    assert!(again.len() <= data.len());
    assert!(state.tables.len() * 28 <= data.len());
    assert!(state.tables.is_sorted_by_key(|table| table.table));
    assert_eq!(ManifestState::decode(&again).as_ref(), Ok(&state));
    Outcome::Accepted
}
