//! LZ4 of values. Without the feature `lz4` nothing is compressed, and what is compressed is refused.

use slotcask_format::Reason;
use slotcask_format::compressed::split;
#[cfg(feature = "lz4")]
use slotcask_format::mutants;

/// Whether this build compresses and decompresses with LZ4.
pub const HAS_LZ4: bool = cfg!(feature = "lz4");

/// Values shorter than this never become shorter.
#[cfg(feature = "lz4")]
const LEN_MIN: usize = 16;

/// `value` as it is stored compressed; `None` when that is not shorter.
#[cfg(feature = "lz4")]
#[must_use]
pub fn compress(value: &[u8]) -> Option<Vec<u8>> {
    use slotcask_format::compressed::CompressedHeader;
    use slotcask_format::record::VALUE_LEN_MAX;
    if value.len() < LEN_MIN || value.len() > VALUE_LEN_MAX {
        return None;
    }
    let at = CompressedHeader::SIZE;
    let mut stored = vec![0; at + lz4_flex::block::get_maximum_output_size(value.len())];
    let len = lz4_flex::block::compress_into(value, &mut stored[at..]).ok()?;
    if at + len >= value.len() {
        return None;
    }
    CompressedHeader::new(value.len()).write(&mut stored);
    stored.truncate(at + len);
    Some(stored)
}

/// `value` as it is stored compressed: never, in this build.
#[cfg(not(feature = "lz4"))]
#[must_use]
pub fn compress(_value: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Adds the value that `stored` stands for to `out`.
///
/// # Errors
/// The reason why `stored` is no compressed value. `out` has grown then by no more than a value.
#[cfg(feature = "lz4")]
pub fn decompress(stored: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let (raw_len, block) = split(stored)?;
    let at = out.len();
    out.reserve_exact(raw_len);
    out.resize(at + raw_len, 0);
    match lz4_flex::block::decompress_into(block, &mut out[at..]) {
        Ok(len) if len == raw_len || mutants::active("believe_compressed_length") => Ok(()),
        Ok(len) => {
            let (expected, found) = (raw_len as u64, len as u64);
            Err(Reason::Mismatch { what: "bytes of an LZ4 block", expected, found })
        }
        Err(_) => Err(Reason::Unknown { what: "LZ4 block", found: block.len() as u64 }),
    }
}

/// Refuses every compressed value.
///
/// # Errors
/// Always: this build has no LZ4.
#[cfg(not(feature = "lz4"))]
pub fn decompress(stored: &[u8], _out: &mut Vec<u8>) -> Result<(), Reason> {
    let (raw_len, _) = split(stored)?;
    let what = "compression: this build of slotcask is without its feature `lz4`, a value of bytes";
    Err(Reason::Unknown { what, found: raw_len as u64 })
}

#[cfg(all(test, feature = "lz4"))]
mod tests {
    use super::*;
    use slotcask_format::compressed::LZ4_RATIO_MAX;

    fn back(stored: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut out = b"before".to_vec();
        decompress(stored, &mut out)?;
        Ok(out.split_off(6))
    }

    #[test]
    fn what_is_compressed_comes_back_and_is_shorter() {
        for len in [16, 17, 100, 4096, 1 << 20, 16 << 20] {
            let value: Vec<u8> = (0..len).map(|at| (at / 50 % 7) as u8).collect();
            match compress(&value) {
                Some(stored) => {
                    assert!(stored.len() < value.len());
                    assert_eq!(back(&stored), Ok(value));
                }
                None => assert!(len < 20, "{len}"),
            }
        }
    }

    #[test]
    fn what_does_not_shrink_is_left() {
        let mut word = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (word >> 56) as u8
        })
        .take(5000)
        .collect();
        assert_eq!(compress(&noise), None);
        assert_eq!(compress(b""), None);
        assert_eq!(compress(&[7; 8]), None);
    }

    #[test]
    fn a_block_written_by_hand_is_read() {
        let golden = include_bytes!("../../format/golden/compressed_value_v1.bin");
        assert_eq!(back(golden), Ok(b"slotcask".repeat(8)));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let stored = compress(&[9; 1000]).unwrap();
        let with = |len: u32| {
            let mut stored = stored.clone();
            stored[..4].copy_from_slice(&len.to_le_bytes());
            back(&stored)
        };
        let block = (stored.len() - 4) as u32;
        assert!(with(1000).is_ok());
        for len in [0, 1, 999, 1001, block * LZ4_RATIO_MAX as u32 + 1, 16 << 20, u32::MAX] {
            assert!(with(len).is_err(), "{len}");
        }
        for len in 0..stored.len() {
            assert!(back(&stored[..len]).is_err(), "cut at {len}");
        }
    }
}
