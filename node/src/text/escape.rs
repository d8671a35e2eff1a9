//! The text form of bytes that one line of a TSV can hold: `\t`, `\n`, `\r`, `\0`, `\\`, and `\xNN` for every other byte
//! that is a control character or not UTF-8. What is written is always valid UTF-8 without tabs and newlines.

use super::hex;

/// Appends the text form of `bytes`.
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => out.extend_from_slice(b"\\t"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\0' => out.extend_from_slice(b"\\0"),
                '\\' => out.extend_from_slice(b"\\\\"),
                control if control.is_ascii_control() => escape_byte(control as u8, out),
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape_byte(*byte, out));
    }
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    hex::encode(&[byte], out);
}

/// The bytes that a text form stands for. Bytes that are no escape stand for themselves.
///
/// # Errors
/// A reason when a backslash does not begin an escape.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&letter, tail)) = rest.split_first() else {
            return Err("a backslash at the end".to_owned());
        };
        rest = tail;
        out.push(match letter {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'0' => b'\0',
            b'\\' => b'\\',
            b'x' => {
                let [high, low, tail @ ..] = rest else {
                    return Err("\\x needs two hex digits".to_owned());
                };
                rest = tail;
                hex::digit(*high)? << 4 | hex::digit(*low)?
            }
            other => return Err(format!("\\{} is not an escape", other.escape_ascii())),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).expect("the text form is UTF-8")
    }

    #[test]
    fn writes_the_documented_escapes() {
        assert_eq!(escaped(b"a\tb\nc\\d\0\r"), r"a\tb\nc\\d\0\r");
        assert_eq!(escaped("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
        assert_eq!(escaped(b"\xff\x1b"), r"\xff\x1b");
    }

    #[test]
    fn every_pair_of_bytes_comes_back() {
        for high in 0..=255 {
            for low in 0..=255 {
                let bytes = [high, low];
                assert_eq!(unescape(escaped(&bytes).as_bytes()).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn refuses_what_is_no_escape() {
        assert_eq!(unescape(b"a\\").unwrap_err(), "a backslash at the end");
        assert_eq!(unescape(b"\\q").unwrap_err(), "\\q is not an escape");
        assert_eq!(unescape(b"\\x1").unwrap_err(), "\\x needs two hex digits");
        assert_eq!(unescape(b"\\xzz").unwrap_err(), "'z' is not a hex digit");
    }
}
