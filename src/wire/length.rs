//! How long the body of a message is (RFC 9112 6.3).
//!
//! Stricter than the RFC on purpose: where two programs are known to read the same fields as different lengths, the
//! framer says so and stops following, because a record that follows another length than the backend would show
//! exchanges that never were.

use super::framer::Lost;
use super::head::{HeadDefectKind, RawHead};

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    None,
    Bytes(u64),
    Chunked,
    UntilClose,
}

/// The length that the fields of a head declare; `None` where there is no such field.
pub(super) fn declared(head: &RawHead) -> Result<Option<Length>, Lost> {
    let mut encodings = 0;
    let mut chunked = false;
    let mut length = None;
    for field in head.fields() {
        if field.is("transfer-encoding") {
            encodings += 1;
            chunked = field.value.eq_ignore_ascii_case(b"chunked");
        } else if field.is("content-length") {
            if length.is_some() {
                return Err(Lost::SeveralLengths);
            }
            length = Some(decimal(field.value).ok_or(Lost::LengthMalformed)?);
        }
    }
    // A line that ends with LF alone is read alike by all.
    let doubtful = head.defects().iter().filter(|defect| defect.kind != HeadDefectKind::BareLf);
    let hidden = doubtful.into_iter().any(|defect| hides_a_length(head, defect.field));
    match (encodings, length) {
        _ if hidden => Err(Lost::FramingFieldMalformed),
        (0, None) => Ok(None),
        (0, Some(length)) => Ok(Some(Length::Bytes(length))),
        (_, Some(_)) => Err(Lost::LengthAndEncoding),
        (1, None) if is_http_1_0(head) => Err(Lost::EncodingInHttp10),
        (1, None) if chunked => Ok(Some(Length::Chunked)),
        (1, None) if ends_in_other_coding(head) => Ok(Some(Length::UntilClose)),
        (_, None) => Err(Lost::EncodingMalformed),
    }
}

/// Whether a defect sits in a line that some parser would take for one of the two fields that frame a message.
fn hides_a_length(head: &RawHead, field: Option<usize>) -> bool {
    let Some(field) = field.and_then(|index| head.fields().nth(index)) else { return false };
    let line = field.line.to_ascii_lowercase();
    [&b"content-length"[..], b"transfer-encoding", b"content_length", b"transfer_encoding"]
        .iter()
        .any(|name| memchr::memmem::find(&line, name).is_some())
}

fn is_http_1_0(head: &RawHead) -> bool {
    let line = head.start_line();
    line.ends_with(b"HTTP/1.0") || line.starts_with(b"HTTP/1.0")
}

/// A single coding that is not chunked; only a response may have one, and it goes on until the connection closes.
fn ends_in_other_coding(head: &RawHead) -> bool {
    head.value("transfer-encoding").is_some_and(|value| {
        [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"]
            .iter()
            .any(|coding| value.eq_ignore_ascii_case(coding))
    })
}

/// The decimal number of RFC 9110 8.6. Leading zeros are refused, because some parsers read them as octal.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || (value.len() > 1 && value.first() == Some(&b'0')) {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::lines::{Kind, read_any};
    use super::*;

    fn length(fields: &str) -> Result<Option<Length>, Lost> {
        let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        declared(&read_any(Bytes::from(text), Kind::Request, 0))
    }

    #[test]
    fn what_one_reading_allows_is_followed() {
        assert_eq!(length(""), Ok(None));
        assert_eq!(length("Content-Length: 0\r\n"), Ok(Some(Length::Bytes(0))));
        assert_eq!(length("content-length:  42 \r\n"), Ok(Some(Length::Bytes(42))));
        assert_eq!(length("Transfer-Encoding: Chunked\r\n"), Ok(Some(Length::Chunked)));
        assert_eq!(length("Transfer-Encoding: gzip\r\n"), Ok(Some(Length::UntilClose)));
    }

    #[test]
    fn what_parsers_read_differently_is_not_followed() {
        let cases = [
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Lost::SeveralLengths),
            ("Content-Length: +5\r\n", Lost::LengthMalformed),
            ("Content-Length: 010\r\n", Lost::LengthMalformed),
            ("Content-Length: 5,5\r\n", Lost::LengthMalformed),
            ("Content-Length:\r\n", Lost::LengthMalformed),
            ("Content-Length: 99999999999999999999\r\n", Lost::LengthMalformed),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Lost::LengthAndEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Lost::EncodingMalformed),
            ("Transfer-Encoding: ,chunked\r\n", Lost::EncodingMalformed),
            ("Transfer-Encoding: xchunked\r\n", Lost::EncodingMalformed),
            ("Content-Length : 5\r\n", Lost::FramingFieldMalformed),
            ("X: y\r\n Content-Length: 5\r\n", Lost::FramingFieldMalformed),
            ("Transfer-Encoding\x0b: chunked\r\n", Lost::FramingFieldMalformed),
        ];
        for (fields, expected) in cases {
            assert_eq!(length(fields), Err(expected), "{fields:?}");
        }
    }
}
