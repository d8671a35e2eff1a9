//! Fields of CSV, as RFC 4180 writes them: bytes as they are, in quotes where they would be taken for something else.

/// A reader drops these bytes at the beginning of a file: they say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Appends a field.
pub fn append(field: &[u8], out: &mut Vec<u8>) {
    let quoted = field.starts_with(BYTE_ORDER_MARK)
        || field.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if !quoted {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for piece in field.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_needs_it() {
        let written = |field: &[u8]| {
            let mut out = Vec::new();
            append(field, &mut out);
            out
        };
        assert_eq!(written(b"plain text\t\xff\0"), b"plain text\t\xff\0");
        assert_eq!(written(b""), b"");
        assert_eq!(written(b"a,b"), b"\"a,b\"");
        assert_eq!(written(b"\"a\"\"\nb"), b"\"\"\"a\"\"\"\"\nb\"");
        assert_eq!(written(b"\r"), b"\"\r\"");
        assert_eq!(written(b"\xef\xbb\xbfkey"), b"\"\xef\xbb\xbfkey\"");
    }
}
