//! Keys and values on the command line and in lines.

use super::{escape, hex};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text with escapes.
    Escaped,
    /// Hex digits.
    Hex,
    /// The bytes themselves.
    Raw,
}

impl Style {
    /// Appends `bytes` in this style.
    pub fn append(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Escaped => escape::escape(bytes, out),
            Self::Hex => hex::encode(bytes, out),
            Self::Raw => out.extend_from_slice(bytes),
        }
    }

    /// `bytes` in this style, for a place where only characters can stand: a raw style is escaped there.
    pub fn text(self, bytes: &[u8]) -> String {
        let mut out = Vec::with_capacity(bytes.len());
        let style = if self == Self::Raw { Self::Escaped } else { self };
        style.append(bytes, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// The bytes of a key or value that was given as an argument.
///
/// # Errors
/// A reason when hex digits were asked for and it has none.
pub fn argument(text: &OsStr, hex: bool) -> Result<Vec<u8>, String> {
    if hex { hex::decode(text.as_bytes()) } else { Ok(text.as_bytes().to_vec()) }
}

/// Brings `bytes` to `len`: the length itself, or shorter and then filled with zeros when `pad` allows it. Where lengths are not
/// `exact`, shorter ones stay as they are.
///
/// # Errors
/// A reason that names both lengths. `what` is the field's name.
pub fn fit(
    mut bytes: Vec<u8>,
    len: usize,
    exact: bool,
    pad: bool,
    what: &str,
) -> Result<Vec<u8>, String> {
    let found = bytes.len();
    if !exact {
        if found > len {
            return Err(format!("the {what} has {found} bytes, the table takes at most {len}"));
        }
        return Ok(bytes);
    }
    if found > len || (found < len && !pad) {
        let more = if found < len { " (--pad fills with zeros)" } else { "" };
        return Err(format!("the {what} has {found} bytes, the table takes {len}{more}"));
    }
    bytes.resize(len, 0);
    Ok(bytes)
}

/// `bytes` without the zeros at its end.
pub fn unpadded(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..len]
}

/// A number with a comma every three digits.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun, which takes an s unless there is one.
pub fn count(value: u64, noun: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_and_refuses() {
        assert_eq!(fit(b"ab".to_vec(), 4, true, true, "key"), Ok(b"ab\0\0".to_vec()));
        assert_eq!(fit(b"abcd".to_vec(), 4, true, false, "key"), Ok(b"abcd".to_vec()));
        assert_eq!(
            fit(b"ab".to_vec(), 4, true, false, "key").unwrap_err(),
            "the key has 2 bytes, the table takes 4 (--pad fills with zeros)"
        );
        assert_eq!(
            fit(b"abcde".to_vec(), 4, true, true, "value").unwrap_err(),
            "the value has 5 bytes, the table takes 4"
        );
    }

    #[test]
    fn strips_zeros_at_the_end_only() {
        assert_eq!(unpadded(b"\0a\0b\0\0"), b"\0a\0b");
        assert_eq!(unpadded(b"\0\0"), b"");
        assert_eq!(unpadded(b""), b"");
    }

    #[test]
    fn groups_digits() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(12_345_678), "12,345,678");
    }
}
