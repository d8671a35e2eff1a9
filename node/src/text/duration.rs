//! Times on the command line.

use std::time::Duration;

/// A time such as 500ms, 30s, 10m, 24h or 7d.
///
/// # Errors
/// A reason when it is none.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a number with its unit, such as 500ms, 30s, 10m, 24h or 7d".to_owned()),
    };
    let number: u64 =
        digits.parse().map_err(|_| format!("{digits:?} is not a number from 0 to 2^64"))?;
    number
        .checked_mul(unit)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text} is longer than times can be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "5", "s", "1.5h", "-1s", "5 s", "99999999999999999d", "1y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
