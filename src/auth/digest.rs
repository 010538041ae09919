//! Digest credentials (RFC 7616 3.4).
//!
//! A response without qop has the form of RFC 2069, which RFC 2617 kept; it is accepted without a defect.

use bytes::Bytes;

use super::defect::{DefectKind, Defects};
use super::parameter::{AuthParam, parse_parameters};
use super::secret::Secret;

/// The parameters of a Digest response (RFC 7616 3.4). What is `Some` was there, even if empty.
#[derive(Default)]
pub struct DigestResponse {
    /// `username`, or `username*` with its encoding undone.
    pub username: Option<String>,
    /// Whether the name came as `username*`.
    pub username_extended: bool,
    /// Whether the name is hashed (RFC 7616 3.4.4).
    pub userhash: bool,
    /// `realm`.
    pub realm: Option<String>,
    /// `uri`, which has to be the target of the request.
    pub uri: Option<String>,
    /// `algorithm`.
    pub algorithm: Option<String>,
    /// `qop`.
    pub qop: Option<String>,
    /// `nc`, as text.
    pub nc: Option<String>,
    /// `nonce`.
    pub nonce: Option<Secret>,
    /// `cnonce`.
    pub cnonce: Option<Secret>,
    /// `response`.
    pub response: Option<Secret>,
    /// `opaque`.
    pub opaque: Option<Secret>,
}

impl DigestResponse {
    /// `nc` as the number that it counts (RFC 7616 3.4).
    pub fn nonce_count(&self) -> Option<u32> {
        self.nc.as_deref().filter(|nc| is_nonce_count(nc)).and_then(|nc| u32::from_str_radix(nc, 16).ok())
    }
}

/// Whether the algorithm is one of the registry (RFC 7616 6.1), whatever its case.
pub fn is_known_algorithm(name: &str) -> bool {
    const NAMES: [&str; 6] = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Reads what follows the scheme. `base` is its offset in the field value.
pub(super) fn parse_digest(data: &[u8], base: usize, defects: &mut Defects) -> DigestResponse {
    let params = parse_parameters(data, base, defects);
    let find = |name: &str| params.iter().find(|param| param.name == name);
    let text = |name: &str| find(name).map(|param| param.value.clone());
    let secret = |name: &str| find(name).map(|param| Secret::new(Bytes::from(param.value.clone().into_bytes())));
    check_quotes(&params, defects);
    let extended = find("username*");
    let response = DigestResponse {
        username: text("username").or_else(|| extended.map(|param| undo_extended(&param.value))),
        username_extended: extended.is_some(),
        userhash: text("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        realm: text("realm"),
        uri: text("uri"),
        algorithm: text("algorithm"),
        qop: text("qop"),
        nc: text("nc"),
        nonce: secret("nonce"),
        cnonce: secret("cnonce"),
        response: secret("response"),
        opaque: secret("opaque"),
    };
    for (is_there, missing) in [
        (response.username.is_some(), DefectKind::DigestUsernameMissing),
        (response.realm.is_some(), DefectKind::DigestRealmMissing),
        (response.nonce.is_some(), DefectKind::DigestNonceMissing),
        (response.uri.is_some(), DefectKind::DigestUriMissing),
        (response.response.is_some(), DefectKind::DigestResponseMissing),
        (response.qop.is_none() || response.nc.is_some(), DefectKind::DigestNcMissing),
        (response.qop.is_none() || response.cnonce.is_some(), DefectKind::DigestCnonceMissing),
    ] {
        if !is_there {
            defects.push(missing, base);
        }
    }
    if let (Some(_), Some(extended)) = (find("username"), extended) {
        defects.push(DefectKind::DigestUsernameTwice, extended.at);
    }
    if let Some(nc) = find("nc").filter(|nc| !is_nonce_count(&nc.value)) {
        defects.push(DefectKind::DigestNcMalformed, nc.at);
    }
    if let Some(algorithm) = find("algorithm").filter(|param| !is_known_algorithm(&param.value)) {
        defects.push(DefectKind::AlgorithmUnknown, algorithm.at);
    }
    response
}

/// RFC 7616 3.4 fixes for each parameter whether it is quoted, because parsers exist that know one form only.
fn check_quotes(params: &[AuthParam], defects: &mut Defects) {
    for param in params {
        let expected = match param.name.as_str() {
            "username" | "realm" | "nonce" | "uri" | "response" | "cnonce" | "opaque" => true,
            "algorithm" | "qop" | "nc" | "username*" | "userhash" => false,
            _ => continue,
        };
        if expected && !param.quoted {
            defects.push(DefectKind::DigestQuotesMissing, param.at);
        } else if !expected && param.quoted {
            defects.push(DefectKind::DigestQuotesUnexpected, param.at);
        }
    }
}

fn is_nonce_count(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Undoes the encoding of extended parameters (RFC 8187 3.2.1): charset, language and percent-encoded text.
fn undo_extended(value: &str) -> String {
    let text = value.splitn(3, '\'').nth(2).unwrap_or(value);
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use DefectKind::*;

    fn parse(text: &str) -> (DigestResponse, Vec<DefectKind>) {
        let mut defects = Defects::default();
        let response = parse_digest(text.as_bytes(), 7, &mut defects);
        (response, defects.finish().into_iter().map(|defect| defect.kind).collect())
    }

    const GOOD: &str = r#"username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

    #[test]
    fn the_example_of_rfc_7616_is_understood() {
        let (response, defects) = parse(GOOD);
        assert!(defects.is_empty(), "{defects:?}");
        assert_eq!(response.username.as_deref(), Some("Mufasa"));
        assert_eq!(response.uri.as_deref(), Some("/dir/index.html"));
        assert_eq!((response.qop.as_deref(), response.nonce_count()), (Some("auth"), Some(1)));
        assert_eq!(response.response.unwrap().len(), 32);
    }

    #[test]
    fn one_step_away_from_good() {
        for (from, to, expected) in [
            ("username=\"Mufasa\", ", "", &[DigestUsernameMissing][..]),
            ("username=", "username*=UTF-8''x, username=", &[DigestUsernameTwice]),
            ("username=\"Mufasa\"", "username*=UTF-8''M%c3%bcfasa", &[]),
            ("username=\"Mufasa\"", "username=\"Mufasa\", userhash=true", &[]),
            ("realm=\"http-auth@example.org\", ", "", &[DigestRealmMissing]),
            ("nonce=\"7", "other=\"7", &[DigestNonceMissing]),
            ("uri=", "url=", &[DigestUriMissing]),
            ("response=", "answer=", &[DigestResponseMissing]),
            ("nc=00000001, ", "", &[DigestNcMissing]),
            ("cnonce=", "xnonce=", &[DigestCnonceMissing]),
            ("nc=00000001", "nc=1", &[DigestNcMalformed]),
            ("\"Mufasa\"", "Mufasa", &[DigestQuotesMissing]),
            ("qop=auth", "qop=\"auth\"", &[DigestQuotesUnexpected]),
            ("MD5", "MD6", &[AlgorithmUnknown]),
            ("qop=auth", "qop=auth, qop=auth", &[ParameterDuplicate]),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            assert_eq!(parse(&text).1, expected, "{from} -> {to}");
        }
    }

    #[test]
    fn the_older_form_without_qop_is_fine() {
        let text = r#"username="u", realm="r", nonce="n", uri="/", response="00""#;
        assert!(parse(text).1.is_empty());
        let (extended, _) = parse(&GOOD.replace("username=\"Mufasa\"", "username*=UTF-8''M%c3%bcfasa"));
        assert_eq!(extended.username.as_deref(), Some("Müfasa"));
    }
}
