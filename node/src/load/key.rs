//! Where the key of a line comes from.

use xxhash_rust::xxh3::xxh3_128;

/// Where the key of a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrom {
    /// This column, counted from 0; the rest of the line is the value. The key of an object in NDJSON.
    Column(usize),
    /// The number of the row as decimal digits; the whole line is the value.
    Line,
    /// The number of the row, most significant byte first; the whole line is the value.
    LineBinary,
    /// XXH3-128 of the line; the whole line is the value.
    Hash,
    /// The same as hex digits.
    HashHex,
}

impl KeyFrom {
    /// The column, when it is one.
    pub const fn column(self) -> Option<usize> {
        match self {
            Self::Column(column) => Some(column),
            Self::Line | Self::LineBinary | Self::Hash | Self::HashHex => None,
        }
    }

    /// Parses the argument of `--key`.
    ///
    /// # Errors
    /// A reason when it is none of the choices.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "line" => Ok(Self::Line),
            "line-binary" => Ok(Self::LineBinary),
            "hash" => Ok(Self::Hash),
            "hash-hex" => Ok(Self::HashHex),
            column => match column.parse::<usize>() {
                Ok(number) if number > 0 => Ok(Self::Column(number - 1)),
                _ => Err("a column (1, 2, ...), line, line-binary, hash or hash-hex".to_owned()),
            },
        }
    }
}

/// `number` as decimal digits, filled with zeros in front to `len` bytes.
///
/// # Errors
/// A reason when it has more digits.
pub fn decimal(number: u64, len: usize) -> Result<Vec<u8>, String> {
    let key = format!("{number:0>len$}").into_bytes();
    if key.len() > len {
        return Err(format!("the line number has {} digits, keys have {len} bytes", key.len()));
    }
    Ok(key)
}

/// `number` with its most significant byte first, so that keys sort by number, in `len` bytes.
///
/// # Errors
/// A reason when it needs more bytes.
pub fn binary(number: u64, len: usize) -> Result<Vec<u8>, String> {
    let mut key = vec![0; len];
    let mut rest = number;
    for byte in key.iter_mut().rev() {
        *byte = (rest & 0xff) as u8;
        rest >>= 8;
    }
    if rest > 0 {
        return Err(format!("the line number does not fit into keys of {len} bytes"));
    }
    Ok(key)
}

/// The 16 bytes of XXH3-128, most significant first, as its reference program prints them.
pub fn hash(line: &[u8]) -> Vec<u8> {
    let digest = xxh3_128(line);
    (0..16).rev().map(|index| (digest >> (index * 8) & 0xff) as u8).collect()
}

/// The same as 32 hex digits.
pub fn hash_digits(line: &[u8]) -> Vec<u8> {
    format!("{:032x}", xxh3_128(line)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Style;

    #[test]
    fn parses_its_argument() {
        assert_eq!(KeyFrom::parse("1"), Ok(KeyFrom::Column(0)));
        assert_eq!(KeyFrom::parse("line"), Ok(KeyFrom::Line));
        assert_eq!(KeyFrom::parse("hash-hex"), Ok(KeyFrom::HashHex));
        assert!(KeyFrom::parse("0").is_err());
        assert!(KeyFrom::parse("-1").is_err());
        assert!(KeyFrom::parse("lines").is_err());
    }

    #[test]
    fn line_numbers_sort_as_numbers_do() {
        assert_eq!(decimal(42, 5), Ok(b"00042".to_vec()));
        assert_eq!(decimal(42, 2), Ok(b"42".to_vec()));
        assert!(decimal(142, 2).is_err());
        assert_eq!(binary(0x0102, 4), Ok(vec![0, 0, 1, 2]));
        assert_eq!(binary(255, 1), Ok(vec![255]));
        assert!(binary(256, 1).is_err());
        assert_eq!(binary(u64::MAX, 10), Ok([vec![0; 2], vec![255; 8]].concat()));
    }

    #[test]
    fn hash_is_the_published_one() {
        // XXH3-128 of nothing, as xxhsum -H2 prints it.
        assert_eq!(Style::Hex.text(&hash(b"")), "99aa06d3014798d86001c324468d497f");
    }
}
