//! The `Authorization` value of AWS signature version 4, as AWS documents it.
//!
//! It looks like auth-params, but its values have slashes and semicolons without quotes, so it is read in its own way.

use bytes::Bytes;

use super::defect::{DefectKind, Defects};
use super::secret::Secret;
use super::token::trim;

/// The parts of an AWS4-HMAC-SHA256 value.
#[derive(Default)]
pub struct SigV4 {
    /// The id of the access key. It is not the key itself, but identifies an account, so it is not shown.
    pub access_key_id: Option<Secret>,
    /// The kind of key: `AKIA` for a permanent one, `ASIA` for one that needs a session token.
    pub access_key_prefix: Option<&'static str>,
    /// The date of the scope, `YYYYMMDD`.
    pub date: Option<String>,
    /// The region of the scope.
    pub region: Option<String>,
    /// The service of the scope.
    pub service: Option<String>,
    /// The names of the fields that the signature covers, in lower case.
    pub signed_headers: Vec<String>,
    /// The signature.
    pub signature: Option<Secret>,
}

/// Reads what follows the scheme. `base` is its offset in the field value.
pub(super) fn parse_sigv4(data: &[u8], base: usize, defects: &mut Defects) -> SigV4 {
    let mut read = SigV4::default();
    let (mut has_credential, mut has_headers) = (false, false);
    let mut at = base;
    for element in data.split(|&byte| byte == b',') {
        let (text, front) = trim(element);
        let name_length = memchr::memchr(b'=', text).unwrap_or(text.len());
        let name = text.get(..name_length).unwrap_or_default();
        let value = text.get(name_length + 1..).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"Credential") {
            has_credential = true;
            if !read_credential(value, &mut read) {
                defects.push(DefectKind::SigV4ScopeMalformed, at + front);
            }
        } else if name.eq_ignore_ascii_case(b"SignedHeaders") {
            has_headers = true;
            let names = value.split(|&byte| byte == b';').filter(|name| !name.is_empty());
            read.signed_headers =
                names.take(200).map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
        } else if name.eq_ignore_ascii_case(b"Signature") {
            read.signature = Some(Secret::new(Bytes::copy_from_slice(value)));
        }
        at += element.len() + 1;
    }
    for (is_there, missing) in [
        (has_credential, DefectKind::SigV4CredentialMissing),
        (has_headers, DefectKind::SigV4SignedHeadersMissing),
        (read.signature.is_some(), DefectKind::SigV4SignatureMissing),
    ] {
        if !is_there {
            defects.push(missing, base);
        }
    }
    read
}

/// Reads `key/date/region/service/aws4_request` from its end, because keys of other makers may have slashes.
fn read_credential(value: &[u8], read: &mut SigV4) -> bool {
    let mut parts = value.rsplitn(5, |&byte| byte == b'/');
    let (Some(end), Some(service), Some(region), Some(date), Some(key)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // Out of place, any of these parts may be the key, and then it must not be kept as text.
    if end != b"aws4_request" || date.len() != 8 || !date.iter().all(u8::is_ascii_digit) || key.is_empty() {
        return false;
    }
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
    (read.date, read.region, read.service) = (text(date), text(region), text(service));
    read.access_key_prefix = ["AKIA", "ASIA"].into_iter().find(|prefix| key.starts_with(prefix.as_bytes()));
    read.access_key_id = Some(Secret::new(Bytes::copy_from_slice(key)));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use DefectKind::*;

    const GOOD: &str = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-date, Signature=fe5f80";

    fn parse(text: &str) -> (SigV4, Vec<DefectKind>) {
        let mut defects = Defects::default();
        let read = parse_sigv4(text.as_bytes(), 17, &mut defects);
        (read, defects.finish().into_iter().map(|defect| defect.kind).collect())
    }

    #[test]
    fn the_documented_form() {
        for text in [GOOD.to_owned(), GOOD.replace(", ", ",")] {
            let (read, defects) = parse(&text);
            assert_eq!(defects, []);
            assert_eq!(read.access_key_prefix, Some("AKIA"));
            assert_eq!(read.access_key_id.unwrap().len(), 20);
            assert_eq!(read.date.as_deref(), Some("20130524"));
            assert_eq!((read.region.as_deref(), read.service.as_deref()), (Some("us-east-1"), Some("s3")));
            assert_eq!(read.signed_headers, ["host", "range", "x-amz-date"]);
            assert_eq!(read.signature.unwrap().expose(), b"fe5f80");
        }
    }

    #[test]
    fn one_step_away_from_good() {
        for (from, to, expected) in [
            ("Credential", "Credentials", SigV4CredentialMissing),
            ("/aws4_request", "", SigV4ScopeMalformed),
            ("20130524", "2013-05-24", SigV4ScopeMalformed),
            ("SignedHeaders", "Headers", SigV4SignedHeadersMissing),
            (", Signature=fe5f80", "", SigV4SignatureMissing),
        ] {
            assert_eq!(parse(&GOOD.replace(from, to)).1, [expected], "{from} -> {to}");
        }
        let (other_maker, defects) = parse(&GOOD.replace("AKIAIOSFODNN7EXAMPLE", "team/key"));
        assert_eq!((defects, other_maker.access_key_prefix), (vec![], None));
        assert_eq!(other_maker.access_key_id.unwrap().expose(), b"team/key");
    }
}
