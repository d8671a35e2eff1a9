//! Compressed values.

use crate::target::Outcome;
use slotcask_cask::{compress, decompress};
use slotcask_format::compressed::{CompressedHeader, LZ4_RATIO_MAX};
use slotcask_format::record::VALUE_LEN_MAX;

/// A value never takes more memory than its block can stand for, is as long as it says, and comes back when it is compressed again.
pub fn target(data: &[u8]) -> Outcome {
    let mut value = Vec::new();
    let result = decompress(data, &mut value);
    let block = data.len().saturating_sub(CompressedHeader::SIZE);
    assert!(value.capacity() <= VALUE_LEN_MAX.min(block * LZ4_RATIO_MAX).max(8));
    if result.is_err() {
        return Outcome::Rejected;
    }
    assert!(value.len() > data.len());
    let header = CompressedHeader::new(value.len());
    assert_eq!(header.raw_len.get().to_le_bytes(), data[..CompressedHeader::SIZE]);
    if let Some(stored) = compress(&value) {
        assert!(stored.len() < value.len());
        let mut again = Vec::new();
        assert_eq!(decompress(&stored, &mut again), Ok(()));
        assert!(again == value, "a value changed when it was compressed again");
    }
    Outcome::Accepted
}

/// The golden file, and values of many shapes.
pub fn seeds() -> Vec<Vec<u8>> {
    let text =
        |step: usize| -> Vec<u8> { (0..900_usize).map(|at| (at / step % 11) as u8).collect() };
    let values = [text(1), text(7), text(100), vec![0; 5000]];
    let golden = include_bytes!("../../../format/golden/compressed_value_v1.bin").to_vec();
    std::iter::once(golden).chain(values.iter().filter_map(|value| compress(value))).collect()
}
