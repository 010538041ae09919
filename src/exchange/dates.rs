//! Dates as HTTP writes them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Reads an HTTP-date (RFC 9110 5.6.7); the obsolete forms give `None`, since nothing of today sends them.
pub fn parse_http_date(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?;
    rfc2822::parse(text.trim()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imf_fixdate_is_read() {
        let time = parse_http_date(b"Tue, 24 Nov 2026 12:01:07 GMT").unwrap();
        assert_eq!(time.to_string(), "2026-11-24T12:01:07Z");
        assert_eq!(parse_http_date(b"yesterday"), None);
    }
}
