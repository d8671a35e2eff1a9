//! Rows of a table as lines or as a JSON array.

use crate::text::{Style, unpadded};
use serde_json::json;
use std::io::{Result, Write};

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub struct RowFormat {
    /// A JSON array of objects, else one line a row: key, tab, value.
    pub json: bool,
    /// How keys and values are written.
    pub style: Style,
    /// Without the zeros at the end of keys and values.
    pub unpad: bool,
}

/// Writes rows one by one, whatever their number, in bounded memory.
#[derive(Debug)]
pub struct RowWriter<W> {
    out: W,
    format: RowFormat,
    line: Vec<u8>,
    count: u64,
}

impl<W: Write> RowWriter<W> {
    /// A writer onto `out`.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn begin(mut out: W, format: RowFormat) -> Result<Self> {
        if format.json {
            out.write_all(b"[")?;
        }
        Ok(Self { out, format, line: Vec::new(), count: 0 })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let RowFormat { json, style, unpad } = self.format;
        let (key, value) = if unpad { (unpadded(key), unpadded(value)) } else { (key, value) };
        self.line.clear();
        if json {
            let separator: &[u8] = if self.count == 0 { b"\n" } else { b",\n" };
            self.line.extend_from_slice(separator);
            let object = json!({ "key": style.text(key), "value": style.text(value) });
            self.line.extend_from_slice(object.to_string().as_bytes());
        } else {
            style.append(key, &mut self.line);
            self.line.push(b'\t');
            style.append(value, &mut self.line);
            self.line.push(b'\n');
        }
        self.count += 1;
        self.out.write_all(&self.line)
    }

    /// Ends the output; returns the number of rows and the stream. An array that lacks its end was cut short by an error.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn end(mut self) -> Result<(u64, W)> {
        if self.format.json {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()?;
        Ok((self.count, self.out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: RowFormat, rows: &[(&[u8], &[u8])]) -> String {
        let mut writer = RowWriter::begin(Vec::new(), format).unwrap();
        for (key, value) in rows {
            writer.row(key, value).unwrap();
        }
        let (count, out) = writer.end().unwrap();
        assert_eq!(count, rows.len() as u64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines() {
        let format = RowFormat { json: false, style: Style::Escaped, unpad: true };
        assert_eq!(written(format, &[(b"a\0", b"x\ty"), (b"b\0", b"\0")]), "a\tx\\ty\nb\t\n");
    }

    #[test]
    fn json_is_valid_with_any_number_of_rows() {
        let format = RowFormat { json: true, style: Style::Hex, unpad: false };
        for count in 0..3 {
            let rows: [(&[u8], &[u8]); 2] = [(b"a", b"b"), (b"c", b"d")];
            let text = written(format, &rows[..count]);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value.as_array().unwrap().len(), count);
        }
    }
}
