//! Hex digits.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two lower-case digits a byte.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// The bytes that `digits` stand for; either case.
///
/// # Errors
/// A reason when the number of digits is odd or one of them is none.
pub fn decode(digits: &[u8]) -> Result<Vec<u8>, String> {
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} hex digits are an odd number", digits.len()));
    }
    digits.chunks_exact(2).map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// The value of one digit.
///
/// # Errors
/// A reason when it is none.
pub fn digit(byte: u8) -> Result<u8, String> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(format!("'{}' is not a hex digit", byte.escape_ascii())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut digits = Vec::new();
        encode(&bytes, &mut digits);
        assert_eq!(decode(&digits), Ok(bytes.clone()));
        assert_eq!(decode(&digits.to_ascii_uppercase()), Ok(bytes));
    }

    #[test]
    fn refuses_what_is_not_hex() {
        assert_eq!(decode(b"abc").unwrap_err(), "3 hex digits are an odd number");
        assert_eq!(decode(b"0g").unwrap_err(), "'g' is not a hex digit");
    }
}
