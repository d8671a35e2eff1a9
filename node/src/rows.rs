//! Rows of a table as text: TSV, CSV, NDJSON, or a JSON array.

use crate::formats::Format;
use crate::opening::StoredRow;
use crate::text::{Style, append_csv, unpadded};
use serde_json::{Map, Value, json};
use std::io::{Result, Write};

/// How rows are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One line a row: key, tab, value.
    Tsv,
    /// One record a row: key, comma, value, in quotes where they need it.
    Csv,
    /// One object a line.
    Ndjson,
    /// One array of objects.
    Array,
}

impl Layout {
    /// True when it has a place for the time that is left to a value.
    pub const fn has_ttl(self) -> bool {
        matches!(self, Self::Ndjson | Self::Array)
    }
}

impl From<Format> for Layout {
    fn from(format: Format) -> Self {
        match format {
            Format::Tsv => Self::Tsv,
            Format::Csv => Self::Csv,
            Format::Ndjson => Self::Ndjson,
        }
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub struct RowFormat {
    /// How they are laid out.
    pub layout: Layout,
    /// TSV and CSV begin with the names of the columns.
    pub header: bool,
    /// How keys and values are written. NDJSON knows hex digits and text, which is hex digits where bytes are not UTF-8; CSV knows hex
    /// digits and the bytes themselves.
    pub style: Style,
    /// Without the zeros at the end of keys and values.
    pub unpad: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Of those, rows with a time to live that the layout has no place for.
    pub ttl_left_out: u64,
}

/// Writes rows one by one, whatever their number, in bounded memory.
#[derive(Debug)]
pub struct RowWriter<W> {
    out: W,
    format: RowFormat,
    line: Vec<u8>,
    written: Written,
}

impl<W: Write> RowWriter<W> {
    /// A writer onto `out`.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn begin(mut out: W, format: RowFormat) -> Result<Self> {
        match format.layout {
            Layout::Array => out.write_all(b"[")?,
            Layout::Tsv if format.header => out.write_all(b"key\tvalue\n")?,
            Layout::Csv if format.header => out.write_all(b"key,value\n")?,
            Layout::Tsv | Layout::Csv | Layout::Ndjson => {}
        }
        Ok(Self { out, format, line: Vec::new(), written: Written::default() })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn row(&mut self, row: &StoredRow) -> Result<()> {
        let RowFormat { layout, style, unpad, .. } = self.format;
        let (mut key, mut value) = (row.key.as_slice(), row.value.as_slice());
        if unpad {
            (key, value) = (unpadded(key), unpadded(value));
        }
        let line = &mut self.line;
        line.clear();
        match layout {
            Layout::Tsv => {
                style.append(key, line);
                line.push(b'\t');
                style.append(value, line);
                line.push(b'\n');
            }
            Layout::Csv => {
                csv_field(key, style, line);
                line.push(b',');
                csv_field(value, style, line);
                line.push(b'\n');
            }
            Layout::Ndjson => {
                let mut object = Map::new();
                insert(&mut object, ["key", "key_hex"], key, style);
                insert(&mut object, ["value", "value_hex"], value, style);
                append_object(object, row, line);
                line.push(b'\n');
            }
            Layout::Array => {
                line.extend_from_slice(if self.written.rows == 0 { b"\n" } else { b",\n" });
                let mut object = Map::new();
                object.insert("key".to_owned(), json!(style.text(key)));
                object.insert("value".to_owned(), json!(style.text(value)));
                append_object(object, row, line);
            }
        }
        self.written.rows += 1;
        self.written.ttl_left_out += u64::from(row.left.is_some() && !layout.has_ttl());
        self.out.write_all(&self.line)
    }

    /// Ends the output; returns what was written and the stream. An array that lacks its end was cut short by an error.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn end(mut self) -> Result<(Written, W)> {
        if self.format.layout == Layout::Array {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()?;
        Ok((self.written, self.out))
    }
}

fn csv_field(bytes: &[u8], style: Style, line: &mut Vec<u8>) {
    match style {
        Style::Hex => style.append(bytes, line),
        Style::Escaped | Style::Raw => append_csv(bytes, line),
    }
}

/// Text under the first name, or hex digits under the second.
fn insert(object: &mut Map<String, Value>, names: [&str; 2], bytes: &[u8], style: Style) {
    match std::str::from_utf8(bytes) {
        Ok(text) if style != Style::Hex => object.insert(names[0].to_owned(), json!(text)),
        _ => object.insert(names[1].to_owned(), json!(Style::Hex.text(bytes))),
    };
}

fn append_object(mut object: Map<String, Value>, row: &StoredRow, line: &mut Vec<u8>) {
    if let Some(ttl_ms) = row.ttl_ms() {
        object.insert("ttl_ms".to_owned(), json!(ttl_ms));
    }
    line.extend_from_slice(Value::Object(object).to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn written(format: RowFormat, rows: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut writer = RowWriter::begin(Vec::new(), format).unwrap();
        for (key, value) in rows {
            let (key, value) = (key.to_vec(), value.to_vec());
            writer.row(&StoredRow { key, value, left: None }).unwrap();
        }
        let (count, out) = writer.end().unwrap();
        assert_eq!(count, Written { rows: rows.len() as u64, ttl_left_out: 0 });
        out
    }

    fn format(layout: Layout, style: Style) -> RowFormat {
        RowFormat { layout, header: false, style, unpad: false }
    }

    #[test]
    fn lines() {
        let format = RowFormat { unpad: true, ..format(Layout::Tsv, Style::Escaped) };
        assert_eq!(written(format, &[(b"a\0", b"x\ty"), (b"b\0", b"\0")]), b"a\tx\\ty\nb\t\n");
    }

    #[test]
    fn csv_keeps_bytes_and_knows_hex() {
        let rows: [(&[u8], &[u8]); 2] = [(b"a,b", b"\xff\\"), (b"", b"\"")];
        let csv = RowFormat { header: true, ..format(Layout::Csv, Style::Escaped) };
        assert_eq!(written(csv, &rows), b"key,value\n\"a,b\",\xff\\\n,\"\"\"\"\n");
        assert_eq!(written(format(Layout::Csv, Style::Hex), &rows), b"612c62,ff5c\n,22\n");
    }

    #[test]
    fn ndjson_is_text_or_hex_digits() {
        let rows: [(&[u8], &[u8]); 2] = [(b"a", b"\xff\\"), (b"\xfe", b"\"\0")];
        let lines = "{\"key\":\"a\",\"value_hex\":\"ff5c\"}\n{\"key_hex\":\"fe\",\"value\":\"\\\"\\u0000\"}\n";
        assert_eq!(written(format(Layout::Ndjson, Style::Escaped), &rows), lines.as_bytes());
        let line = "{\"key_hex\":\"61\",\"value_hex\":\"ff5c\"}\n";
        assert_eq!(written(format(Layout::Ndjson, Style::Hex), &rows[..1]), line.as_bytes());
    }

    #[test]
    fn json_is_valid_with_any_number_of_rows() {
        for count in 0..3 {
            let rows: [(&[u8], &[u8]); 2] = [(b"a", b"b"), (b"c", b"d")];
            let text = written(format(Layout::Array, Style::Hex), &rows[..count]);
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value.as_array().unwrap().len(), count);
        }
    }

    #[test]
    fn times_to_live_are_kept_or_counted() {
        let row = StoredRow { key: vec![1], value: vec![2], left: Some(Duration::MAX) };
        for (layout, left_out) in [(Layout::Csv, 1), (Layout::Tsv, 1), (Layout::Ndjson, 0)] {
            let mut writer = RowWriter::begin(Vec::new(), format(layout, Style::Hex)).unwrap();
            writer.row(&row).unwrap();
            let (count, out) = writer.end().unwrap();
            assert_eq!(count, Written { rows: 1, ttl_left_out: left_out });
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains("\"ttl_ms\":"), left_out == 0, "{text}");
        }
    }
}
