//! A record of a shard log.

use crate::place::{SHARD, STORE};
use crate::target::Outcome;
use slotcask_format::Seed;
use slotcask_format::record::{
    RecordHeader, deadline_of, decode, decode_vouched, record_seed, record_size,
};
use zerocopy::{FromBytes, IntoBytes};

/// What is accepted is written again as the same bytes; `decode_vouched` accepts all that `decode` does.
pub fn target(data: &[u8]) -> Outcome {
    let seed = record_seed(STORE, SHARD);
    let vouched = decode_vouched(seed, data);
    let (record, size) = match decode(seed, data) {
        Ok(decoded) => decoded,
        Err(_) => {
            if let Ok((_, size)) = vouched {
                assert!(size <= data.len());
            }
            return Outcome::Rejected;
        }
    };
    assert_eq!(vouched, Ok((record, size)));
    assert!(size <= data.len() && size % 8 == 0);
    assert_eq!(size, record.size());
    let mut again = vec![0xff; size];
    assert_eq!(record.encode(seed, &mut again), size);
    assert!(again == data[..size], "a record changed when it was written again");
    let _ = deadline_of(record.extension);
    Outcome::Accepted
}

/// Repairs both checksums and the padding of the record at the front.
pub fn reseal(data: &mut [u8]) {
    reseal_one(record_seed(STORE, SHARD), data);
}

/// Repairs the record at the front; returns its size when the bytes hold all of it.
pub fn reseal_one(seed: Seed, data: &mut [u8]) -> Option<usize> {
    let (mut header, body) = RecordHeader::read_from_prefix(data).ok()?;
    let extension_and_key =
        usize::from(header.extension_len.get()) + usize::from(header.key_len.get());
    let body_len = extension_and_key + header.value_len.get() as usize;
    let size = record_size(body_len, 0, 0);
    if let Some(body) = body.get(..body_len) {
        let sum = seed.at(header.sequence.get()).checksum_32(body);
        header.body_checksum.set(sum);
    }
    header.checksum.set(seed.checksum_32(&header.as_bytes()[4..]));
    data[..RecordHeader::SIZE].copy_from_slice(header.as_bytes());
    data.get_mut(RecordHeader::SIZE + body_len..size)?.fill(0);
    Some(size)
}
