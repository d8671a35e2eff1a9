//! A line of NDJSON becomes a row.

use super::row::{Encoding, Row, RowParser};
use crate::text::decode_hex;
use serde::Deserialize;
use std::num::NonZeroU64;

/// The object of a row: key and value once each, as text or as hex digits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with key and value")]
struct Object {
    key: Option<String>,
    key_hex: Option<String>,
    value: Option<String>,
    value_hex: Option<String>,
    ttl_ms: Option<NonZeroU64>,
}

impl RowParser {
    /// The row of a line of NDJSON.
    ///
    /// # Errors
    /// A reason when the line is none.
    pub fn object(&self, line: &[u8]) -> Result<Row, String> {
        let object: Object = serde_json::from_slice(line).map_err(|error| reason(&error))?;
        let key = self.either(object.key, object.key_hex, "key")?;
        let value = self.either(object.value, object.value_hex, "value")?;
        self.fitted(key, value, object.ttl_ms)
    }

    fn either(
        &self,
        text: Option<String>,
        digits: Option<String>,
        name: &str,
    ) -> Result<Vec<u8>, String> {
        match (text, digits) {
            (Some(_), None) if self.encoding == Encoding::Hex => {
                Err(format!("--hex takes {name}_hex, not {name}"))
            }
            (Some(text), None) => Ok(text.into_bytes()),
            (None, Some(digits)) => decode_hex(digits.as_bytes())
                .map_err(|reason| format!("the field {name}_hex: {reason}")),
            (None, None) => Err(format!("it has no field {name}, nor {name}_hex")),
            (Some(_), Some(_)) => Err(format!("it has both {name} and {name}_hex")),
        }
    }
}

/// What the parser says, with the column alone: to it, each line is the first.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::KeyFrom;
    use crate::opening::Lengths;

    fn parsed(encoding: Encoding, line: &str) -> Result<(String, String, Option<u64>), String> {
        let lengths = Lengths { key: 8, value: 8, exact: false };
        let parser = RowParser { key_from: KeyFrom::Column(0), encoding, lengths, pad: false };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        parser
            .object(line.as_bytes())
            .map(|row| (text(row.key), text(row.value), row.ttl_ms.map(NonZeroU64::get)))
    }

    fn row(
        key: &str,
        value: &str,
        ttl_ms: Option<u64>,
    ) -> Result<(String, String, Option<u64>), String> {
        Ok((key.to_owned(), value.to_owned(), ttl_ms))
    }

    #[test]
    fn text_and_hex_digits() {
        let plain = |line| parsed(Encoding::Plain, line);
        assert_eq!(plain(r#"{"key":"a","value":"\u0000\n"}"#), row("a", "\0\n", None));
        assert_eq!(
            plain(r#" {"value_hex": "62", "key": "a", "ttl_ms": 5} "#),
            row("a", "b", Some(5))
        );
        assert_eq!(plain(r#"{"key_hex":"","value":"","ttl_ms":null}"#), row("", "", None));
        assert_eq!(
            parsed(Encoding::Hex, r#"{"key_hex":"61","value_hex":"62"}"#),
            row("a", "b", None)
        );
    }

    #[test]
    fn what_is_no_row_says_why() {
        for (line, why) in [
            ("", "EOF while parsing a value (column 0)"),
            ("a\tb", "expected value (column 1)"),
            ("{\"key\":\"a\"", "EOF while parsing an object (column 10)"),
            ("7", "invalid type: integer `7`, expected an object with key and value (column 1)"),
            (r#"{"key":"a"}"#, "it has no field value, nor value_hex"),
            (r#"{"value":"a"}"#, "it has no field key, nor key_hex"),
            (r#"{"key":"a","key_hex":"61","value":""}"#, "it has both key and key_hex"),
            (
                r#"{"key":"a","value_hex":"6"}"#,
                "the field value_hex: 1 hex digits are an odd number",
            ),
            (
                r#"{"key":"a","value":"123456789"}"#,
                "the value has 9 bytes, the table takes at most 8",
            ),
        ] {
            assert_eq!(parsed(Encoding::Plain, line), Err(why.to_owned()), "{line}");
        }
        for (line, why) in [
            (r#"{"key":"a","value":5}"#, "expected a string"),
            (r#"{"key":"a","values":"b"}"#, "unknown field `values`, expected one of"),
            (r#"{"key":"a","key":"b","value":""}"#, "duplicate field `key`"),
            (r#"{"key":"a","value":"b","ttl_ms":0}"#, "expected a nonzero"),
            (r#"{"key":"a","value":"b"} x"#, "trailing characters"),
            (r#"{"key":"\ud800","value":"b"}"#, "hex escape"),
        ] {
            let found = parsed(Encoding::Plain, line).unwrap_err();
            assert!(found.contains(why), "{line}: {found}");
        }
        let text = parsed(Encoding::Hex, r#"{"key":"61","value_hex":"62"}"#);
        assert_eq!(text, Err("--hex takes key_hex, not key".to_owned()));
    }
}
