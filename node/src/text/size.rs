//! Sizes such as `64M` and `1G`.

const UNITS: [(&str, u32); 5] = [("", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40)];

/// Bytes of a size: a whole number with K, M, G or T (powers of 1024), optionally followed by B or iB.
///
/// # Errors
/// A reason when it is none, or over 64 bits.
pub fn parse(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = upper.split_at(digits);
    let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(unit);
    let shift = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, shift)| *shift);
    let (Ok(number), Some(shift)) = (number.parse::<u64>(), shift) else {
        return Err("a size is a whole number of bytes, or one with K, M, G or T".to_owned());
    };
    number.checked_mul(1 << shift).ok_or_else(|| "this size needs more than 64 bits".to_owned())
}

/// A size for people: the largest unit that leaves a number of at least one, one decimal unless it is whole.
pub fn display(bytes: u64) -> String {
    let (name, shift) =
        UNITS.iter().rev().find(|(_, shift)| bytes >> shift > 0).copied().unwrap_or(UNITS[0]);
    let whole = bytes >> shift;
    let unit = if shift == 0 { "B".to_owned() } else { format!("{name}iB") };
    if whole << shift == bytes {
        return format!("{whole} {unit}");
    }
    let exact = bytes as f64 / (1u64 << shift) as f64;
    format!("{exact:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64M"), Ok(64 << 20));
        assert_eq!(parse("1g"), Ok(1 << 30));
        assert_eq!(parse("2KiB"), Ok(2048));
        assert_eq!(parse("2kb"), Ok(2048));
        assert_eq!(parse("0"), Ok(0));
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in ["", "M", "-1", "1.5G", "64X", "6 4", "99999999T", "18446744073709551616"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn displays_sizes() {
        assert_eq!(display(0), "0 B");
        assert_eq!(display(1023), "1023 B");
        assert_eq!(display(64 << 20), "64 MiB");
        assert_eq!(display(1536), "1.5 KiB");
    }
}
