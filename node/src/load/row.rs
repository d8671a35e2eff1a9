//! A line or record becomes a row.

use super::key::{self, KeyFrom};
use super::records::Record;
use crate::formats::Format;
use crate::opening::Lengths;
use crate::text::{decode_hex, fit, unescape};
use std::num::NonZeroU64;

/// How the bytes of a field are written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// They are the data.
    Plain,
    /// Text with escapes.
    Escaped,
    /// Hex digits.
    Hex,
}

/// How lines and records become rows.
#[derive(Debug, Clone, Copy)]
pub struct RowParser {
    /// Where the key comes from.
    pub key_from: KeyFrom,
    /// How fields are written.
    pub encoding: Encoding,
    /// What the table takes.
    pub lengths: Lengths,
    /// Fill shorter keys and values with zeros.
    pub pad: bool,
}

/// What a line or record stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Time after which it vanishes, milliseconds from when it is written.
    pub ttl_ms: Option<NonZeroU64>,
}

impl RowParser {
    /// No row that this parser accepts is longer in this format, in bytes: of a line, or of the fields of a record.
    pub fn len_max(&self, format: Format) -> usize {
        let data = self.lengths.key + self.lengths.value;
        match format {
            // An escape takes four bytes.
            Format::Tsv => 4 * data + 1,
            // Hex digits take two; the rest is there to say by how much a row is too long.
            Format::Csv => 2 * data + 64,
            // An escape takes six bytes; the names of the fields and blanks around them come with it.
            Format::Ndjson => 6 * data + 1024,
        }
    }

    /// The row of a line of TSV. `number` is that of the row, from 1.
    ///
    /// # Errors
    /// A reason when the line is none.
    pub fn line(&self, number: u64, line: &[u8]) -> Result<Row, String> {
        match self.key_from.column() {
            Some(column) => {
                let (key, value) = split(line, column)?;
                self.row(self.decode(key, "key")?, &value)
            }
            None => self.row(self.made_key(number, line)?, line),
        }
    }

    /// The row of a record of CSV. `number` is that of the row, from 1.
    ///
    /// # Errors
    /// A reason when the record is none.
    pub fn record(&self, number: u64, record: Record<'_>) -> Result<Row, String> {
        let (key, value) = record.split(self.key_from.column())?;
        let key = match key {
            Some(key) => self.decode(key, "key")?,
            None => self.made_key(number, &value)?,
        };
        self.row(key, &value)
    }

    /// The row of key and value as the table takes them.
    ///
    /// # Errors
    /// A reason when the table does not take them.
    pub fn fitted(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
        ttl_ms: Option<NonZeroU64>,
    ) -> Result<Row, String> {
        let Lengths { key: key_len, value: value_len, exact } = self.lengths;
        Ok(Row {
            key: fit(key, key_len, exact, self.pad, "key")?,
            value: fit(value, value_len, exact, self.pad, "value")?,
            ttl_ms,
        })
    }

    fn row(&self, key: Vec<u8>, value: &[u8]) -> Result<Row, String> {
        self.fitted(key, self.decode(value, "value")?, None)
    }

    /// The key of a row that has none of its own.
    fn made_key(&self, number: u64, text: &[u8]) -> Result<Vec<u8>, String> {
        let Lengths { key: len, exact, .. } = self.lengths;
        match self.key_from {
            KeyFrom::Column(_) | KeyFrom::Line => {
                key::decimal(number, if exact { len } else { 12 })
            }
            KeyFrom::LineBinary => key::binary(number, if exact { len } else { 8 }),
            KeyFrom::Hash => Ok(cut(key::hash(text), len)),
            KeyFrom::HashHex => Ok(cut(key::hash_digits(text), len)),
        }
    }

    fn decode(&self, field: &[u8], what: &str) -> Result<Vec<u8>, String> {
        match self.encoding {
            Encoding::Plain => Ok(field.to_vec()),
            Encoding::Escaped => unescape(field).map_err(|reason| format!("the {what}: {reason}")),
            Encoding::Hex => decode_hex(field).map_err(|reason| format!("the {what}: {reason}")),
        }
    }
}

fn cut(mut key: Vec<u8>, len: usize) -> Vec<u8> {
    key.truncate(len);
    key
}

/// The field of this column (from 0), and the other fields with tabs between them.
fn split(line: &[u8], column: usize) -> Result<(&[u8], Vec<u8>), String> {
    let mut start = 0;
    for passed in 0..column {
        let Some(tab) = tab_in(&line[start..]) else {
            return Err(format!("it has {} columns, the key is column {}", passed + 1, column + 1));
        };
        start += tab + 1;
    }
    let end = tab_in(&line[start..]).map_or(line.len(), |tab| start + tab);
    let key = &line[start..end];
    let value = if end < line.len() {
        [&line[..start], &line[end + 1..]].concat()
    } else if start > 0 {
        line[..start - 1].to_vec()
    } else {
        return Err("it has no tab between key and value".to_owned());
    };
    Ok((key, value))
}

fn tab_in(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser(key_from: KeyFrom, encoding: Encoding, pad: bool) -> RowParser {
        RowParser { key_from, encoding, lengths: Lengths { key: 4, value: 6, exact: true }, pad }
    }

    fn row(key: &[u8], value: &[u8]) -> Result<Row, String> {
        Ok(Row { key: key.to_vec(), value: value.to_vec(), ttl_ms: None })
    }

    #[test]
    fn first_column_is_the_key() {
        let plain = parser(KeyFrom::Column(0), Encoding::Plain, false);
        assert_eq!(plain.line(1, b"abcd\t123456"), row(b"abcd", b"123456"));
        assert_eq!(plain.line(1, b"abcd\t1\t\\456"), row(b"abcd", b"1\t\\456"));
        assert_eq!(plain.line(1, b"abcd").unwrap_err(), "it has no tab between key and value");
        assert_eq!(plain.line(1, b"").unwrap_err(), "it has no tab between key and value");
        assert!(plain.line(1, b"abc\t123456").unwrap_err().contains("3 bytes"));
        assert!(plain.line(1, b"abcd\t12345").unwrap_err().contains("--pad"));
        assert!(plain.line(1, b"abcd\t1234567").unwrap_err().contains("7 bytes"));
    }

    #[test]
    fn any_column_is_the_key() {
        let padded = |column| parser(KeyFrom::Column(column), Encoding::Plain, true);
        assert_eq!(padded(1).line(1, b"a\tb\tc"), row(b"b\0\0\0", b"a\tc\0\0\0"));
        assert_eq!(padded(2).line(1, b"a\tb\tc"), row(b"c\0\0\0", b"a\tb\0\0\0"));
        assert_eq!(padded(1).line(1, b"a\t").unwrap(), row(b"\0\0\0\0", b"a\0\0\0\0\0").unwrap());
        assert_eq!(
            padded(2).line(1, b"a\tb").unwrap_err(),
            "it has 2 columns, the key is column 3"
        );
    }

    #[test]
    fn escapes_and_hex_are_read() {
        let escaped = parser(KeyFrom::Column(0), Encoding::Escaped, true);
        assert_eq!(escaped.line(1, b"a\\tb\t\\x00\\\\"), row(b"a\tb\0", b"\0\\\0\0\0\0"));
        assert_eq!(escaped.line(1, b"a\t\\q").unwrap_err(), "the value: \\q is not an escape");
        let hex = parser(KeyFrom::Column(0), Encoding::Hex, false);
        assert_eq!(hex.line(1, b"61626364\t313233343536"), row(b"abcd", b"123456"));
        assert!(hex.line(1, b"6162636\t313233343536").unwrap_err().starts_with("the key: 7 hex"));
    }

    #[test]
    fn made_keys() {
        let line = parser(KeyFrom::Line, Encoding::Plain, true);
        assert_eq!(line.line(17, b"a\tb"), row(b"0017", b"a\tb\0\0\0"));
        assert!(line.line(12345, b"a").is_err());
        let binary = parser(KeyFrom::LineBinary, Encoding::Plain, true);
        assert_eq!(binary.line(17, b"a"), row(b"\0\0\0\x11", b"a\0\0\0\0\0"));
        let hash = parser(KeyFrom::Hash, Encoding::Plain, true);
        assert_eq!(hash.line(1, b""), row(b"\x99\xaa\x06\xd3", b"\0\0\0\0\0\0"));
        let digits = parser(KeyFrom::HashHex, Encoding::Plain, true);
        assert_eq!(digits.line(1, b""), row(b"99aa", b"\0\0\0\0\0\0"));
    }

    #[test]
    fn no_accepted_line_is_over_the_limit() {
        let escaped = parser(KeyFrom::Column(0), Encoding::Escaped, false);
        let line = [r"\x61".repeat(4), r"\x62".repeat(6)].join("\t");
        assert_eq!(line.len(), escaped.len_max(Format::Tsv));
        assert_eq!(escaped.line(1, line.as_bytes()), row(b"aaaa", b"bbbbbb"));
    }
}
