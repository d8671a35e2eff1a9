//! A flush: header, body, and every record in it.

use crate::place::{FLUSH_OFFSET, GENERATION, SEGMENT_SIZE, SHARD, STORE};
use crate::target::Outcome;
use slotcask_format::flush::{FlushHeader, flush_seed};
use slotcask_format::record::{RecordHeader, decode_vouched, record_seed};
use zerocopy::{FromBytes, IntoBytes};

/// Numbers of a header that verifies may be used without a check; sealing it again gives the same header.
pub fn target(data: &[u8]) -> Outcome {
    let seed = flush_seed(STORE, SHARD, GENERATION);
    let Ok((header, _)) = FlushHeader::read_from_prefix(data) else {
        return Outcome::Rejected;
    };
    // Asked before the header is known to be valid, as a careless caller might.
    let (size, next) = (header.size(), header.next_sequence());
    if header.invalid(seed, GENERATION, FLUSH_OFFSET, SEGMENT_SIZE).is_some() {
        return Outcome::Rejected;
    }
    assert!(FLUSH_OFFSET + size as u64 <= SEGMENT_SIZE);
    assert_eq!(next - header.first_sequence.get(), u64::from(header.count.get()));
    assert!(header.durable_sequence.get() < header.first_sequence.get());
    let length = header.length.get() as usize;
    assert!(header.count.get() as usize * RecordHeader::SIZE <= length);
    let Some(body) = data.get(FlushHeader::SIZE..size) else {
        return Outcome::Rejected;
    };
    if !header.body_is_valid(seed, body) {
        return Outcome::Rejected;
    }
    let mut again = header;
    again.seal(seed, body);
    assert_eq!(again, header, "a flush changed when it was sealed again");
    let mut rest = &body[..length];
    for _ in 0..header.count.get() {
        let Ok((_, size)) = decode_vouched(record_seed(STORE, SHARD), rest) else {
            return Outcome::Rejected;
        };
        rest = &rest[size..];
    }
    Outcome::Accepted
}

/// Repairs every record, then the body, then the header.
pub fn reseal(data: &mut [u8]) {
    let Ok((mut header, _)) = FlushHeader::read_from_prefix(data) else { return };
    let end = data.len().min(header.size());
    let body = &mut data[FlushHeader::SIZE..end];
    let records = body.len().min(header.length.get() as usize);
    let mut rest = &mut body[..records];
    for _ in 0..header.count.get() {
        let Some(size) = super::record::reseal_one(record_seed(STORE, SHARD), rest) else { break };
        rest = &mut rest[size..];
    }
    let seed = flush_seed(STORE, SHARD, GENERATION).at(FLUSH_OFFSET);
    header.body_checksum.set(seed.checksum(&data[FlushHeader::SIZE..end]));
    header.checksum.set(seed.checksum(&header.as_bytes()[8..]));
    data[..FlushHeader::SIZE].copy_from_slice(header.as_bytes());
}
