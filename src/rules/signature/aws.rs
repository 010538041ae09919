//! What a request says that is signed with AWS signature version 4, in Authorization or in its query.

use jiff::Timestamp;

use crate::auth::Detail;
use crate::exchange::View;
use crate::exchange::dates::parse_http_date;
use crate::exchange::view::Offered;
use crate::rules::Finding;
use crate::rules::evidence::{clip, with_answer, with_credentials};
use crate::rules::phrases::Phrases;

/// A signature and what it was made for.
pub(super) struct Signed<'v> {
    /// The signature, where it stands as credentials do.
    pub(super) offered: &'v Offered,
    /// Whether it is in the query, so that whoever has the URL can use it.
    pub(super) is_presigned: bool,
    /// Whether the key is a temporary one, which goes with a session token.
    pub(super) is_temporary: bool,
    /// Whether a session token is there.
    pub(super) has_session_token: bool,
    /// The day of the scope.
    pub(super) date: Option<String>,
    /// The region of the scope.
    pub(super) region: Option<String>,
    /// The service of the scope.
    pub(super) service: Option<String>,
    /// When it was signed: X-Amz-Date, or else Date.
    pub(super) time: Option<Timestamp>,
    /// The names of the fields that are signed, in lower case.
    pub(super) signed_headers: Vec<String>,
}

/// The signature of a request, if it has one.
pub(super) fn signed<'v>(view: &'v View<'_>) -> Option<Signed<'v>> {
    let request = view.request();
    let in_query = |name: &str| parameter(view, name);
    for offered in view.offered() {
        if let Detail::SigV4(signature) = &offered.credentials.detail {
            let time = request.value("x-amz-date").and_then(parse_time);
            return Some(Signed {
                offered,
                is_presigned: false,
                is_temporary: signature.access_key_prefix == Some("ASIA"),
                has_session_token: request.has("x-amz-security-token") || in_query("X-Amz-Security-Token").is_some(),
                date: signature.date.clone(),
                region: signature.region.clone(),
                service: signature.service.clone(),
                time: time.or_else(|| request.value("date").and_then(parse_http_date)),
                signed_headers: signature.signed_headers.clone(),
            });
        }
    }
    let offered = view.offered().iter().find(|offered| offered.name.eq_ignore_ascii_case("x-amz-signature"))?;
    let credential = in_query("X-Amz-Credential").unwrap_or_default();
    let mut parts = credential.rsplitn(5, '/').skip(1).map(str::to_owned);
    let (service, region, date) = (parts.next(), parts.next(), parts.next());
    Some(Signed {
        offered,
        is_presigned: true,
        is_temporary: credential.starts_with("ASIA"),
        has_session_token: in_query("X-Amz-Security-Token").is_some() || request.has("x-amz-security-token"),
        date,
        region,
        service,
        time: in_query("X-Amz-Date").and_then(|time| parse_time(time.as_bytes())),
        signed_headers: in_query("X-Amz-SignedHeaders")
            .map(|names| names.split(';').take(64).map(str::to_ascii_lowercase).collect())
            .unwrap_or_default(),
    })
}

/// The value of a parameter of the query, decoded; names are compared as AWS, Google and Azure do, whatever their case.
pub(super) fn parameter(view: &View<'_>, name: &str) -> Option<String> {
    let at = memchr::memchr(b'?', view.target())?;
    let query = view.target().get(at + 1..)?;
    query.split(|byte| *byte == b'&').find_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        let (found, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        let is_it = found.eq_ignore_ascii_case(name.as_bytes()) && value.len() <= 8192;
        is_it.then(|| percent_encoding::percent_decode(value).decode_utf8_lossy().into_owned())
    })
}

/// `20261124T120000Z`, as AWS and Google write a time.
pub(super) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let form = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 16 || !text.bytes().enumerate().all(form) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text.get(range);
    let (date, time) = ((part(0..4)?, part(4..6)?, part(6..8)?), (part(9..11)?, part(11..13)?, part(13..15)?));
    format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2).parse().ok()
}

/// Whether the answer refuses a signature: AWS does so with 403, with 400 and an error of a known kind, or with 401.
pub(super) fn is_refused(view: &View<'_>) -> bool {
    matches!(view.status(), 400 | 401 | 403)
}

/// The first of these texts that the answer has, in its body or in the field that names its error.
pub(super) fn said(view: &View<'_>, words: &Phrases) -> Option<&'static str> {
    let kind = view.response()?.head.value("x-amzn-errortype").map(String::from_utf8_lossy).unwrap_or_default();
    let text = view.error_text().unwrap_or_default();
    let first = words.all_in(text).next().into_iter().chain(words.all_in(&kind).next()).min()?;
    Some(first.1)
}

/// Whether it is AWS itself that answered, by what it writes into all of its answers.
pub(super) fn is_by_aws(view: &View<'_>) -> bool {
    let by_host = view.authority().is_some_and(|host| {
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
    });
    let Some(response) = view.response() else { return by_host };
    let server = response.head.value("server").unwrap_or_default();
    // Programs that speak the protocol of S3 give out an x-amz-request-id too; the longer one only S3 does.
    by_host || server == b"AmazonS3" || response.head.has("x-amzn-requestid") || response.head.has("x-amzn-errortype")
}

/// Adds the signature, the answer, and the words in it.
pub(super) fn show(found: Finding, view: &View<'_>, signed: &Signed<'_>, said: Option<&str>) -> Finding {
    let found = with_credentials(found.header(&signed.offered.name), view, signed.offered);
    let scope: Vec<String> = [&signed.date, &signed.region, &signed.service]
        .into_iter()
        .map(|part| part.as_deref().map_or_else(|| "-".to_owned(), |part| view.redactor().text(part)))
        .collect();
    let found = found.because(clip(format!("signed for: {}", scope.join("/"))));
    let found = with_answer(found, view);
    match said {
        Some(word) => found.because(format!("text: {word}")),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_aws_are_read() {
        assert_eq!(
            parse_time(b"20261124T120000Z").map(|time| time.to_string()).as_deref(),
            Some("2026-11-24T12:00:00Z")
        );
        for wrong in ["", "20261124", "20261324T120000Z", "2026-11-24T12:00:00Z", "20261124T120000Z x"] {
            assert_eq!(parse_time(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
