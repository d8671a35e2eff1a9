//! A double-write area.

use crate::place::{SHARD, STORE, seal_front};
use crate::target::Outcome;
use slotcask_format::double_write::{
    DoubleWriteHeader, decode, double_write_seed, encode_index, index_size,
};
use zerocopy::{FromBytes, IntoBytes};

/// What is accepted comes back from what it is written as.
pub fn target(data: &[u8]) -> Outcome {
    let seed = double_write_seed(STORE, SHARD);
    let Ok(area) = decode(seed, data) else { return Outcome::Rejected };
    assert_eq!(area.images.len(), area.pages.len() * area.page_size);
    let size = index_size(area.pages.len()) + area.images.len();
    assert!(size <= data.len());
    let index =
        encode_index(seed, area.table, area.batch, area.page_size, &area.pages, area.images);
    let used = DoubleWriteHeader::SIZE + 4 * area.pages.len();
    assert!(index[..used] == data[..used], "an area changed when it was written again");
    Outcome::Accepted
}

/// Repairs the checksum of the images, then that of header and page numbers.
pub fn reseal(data: &mut [u8]) {
    let seed = double_write_seed(STORE, SHARD);
    let Ok((mut header, rest)) = DoubleWriteHeader::read_from_prefix(data) else { return };
    let count = header.count.get() as usize;
    if count > rest.len() / 4 {
        return;
    }
    let from = index_size(count);
    let to = from.saturating_add(count.saturating_mul(header.page_size.get() as usize));
    if let Some(images) = data.get(from..to) {
        header.pages_checksum.set(seed.checksum(images));
        data[..DoubleWriteHeader::SIZE].copy_from_slice(header.as_bytes());
    }
    seal_front(seed, data, DoubleWriteHeader::SIZE + 4 * count);
}
