//! Sightings out of live exchanges.

use bytes::Bytes;

use super::sighting::{Answer, Credential, Extent, Line, Message, Sighting, Value};
use crate::auth::{Detail, FingerprintKey, NumericDate, Secret};
use crate::exchange::redact::Redactor;
use crate::exchange::view::{Offered, OfferedIn};
use crate::exchange::{Response, Version, View};
use crate::wire::RawHead;

impl<'a> Sighting<'a> {
    /// What a tap saw of an exchange. The fingerprints of credentials are made under `key`.
    pub fn of(view: &'a View<'a>, key: &FingerprintKey) -> Self {
        let exchange = view.exchange();
        // What counts for the next tap is what left this one.
        let host = exchange.edits.iter().find(|edit| edit.what == "host").map(|edit| edit.to.as_ref());
        let mut request = message(&exchange.request.head, exchange.request.trailers.as_ref(), exchange.request.version);
        if let Some(host) = host {
            for line in request.fields.iter_mut().filter(|line| line.name.eq_ignore_ascii_case("host")) {
                line.value = Value::Seen(Secret::new(Bytes::copy_from_slice(host.as_bytes())));
            }
        }
        Sighting {
            exchange: exchange.id.to_string(),
            tap: exchange.tap.name.clone(),
            time: exchange.time,
            total: Some(exchange.timing.total),
            connection: Some(exchange.client.connection),
            client: Some(exchange.client.addr.ip().to_string()),
            tls: Some(exchange.client.tls.is_some()),
            client_certificate: exchange.client.tls.as_ref().is_some_and(|tls| tls.peer_certificate),
            method: String::from_utf8_lossy(view.method()).into_owned(),
            target: Value::Seen(Secret::new(Bytes::copy_from_slice(view.target()))),
            authority: host.map(str::to_owned).or_else(|| view.authority()),
            request,
            credentials: view.offered().iter().map(|offered| credential(view, offered, key)).collect(),
            signed: signed(view),
            answer: exchange.response.seen().map(|response| answer(view, response)),
            view: Some(view),
        }
    }
}

fn message(head: &RawHead, trailers: Option<&RawHead>, version: Version) -> Message {
    let lines = |head: &RawHead| head.fields().map(|field| line(head, field.name, field.index)).collect();
    Message {
        version,
        fields: lines(head),
        trailers: trailers.map(lines).unwrap_or_default(),
        extent: if head.is_cut() { Extent::Cut } else { Extent::Whole },
    }
}

fn line(head: &RawHead, name: &[u8], index: usize) -> Line {
    let name = String::from_utf8_lossy(name).into_owned();
    Line { name, value: Value::Seen(Secret::new(head.shared_value(index))) }
}

fn answer(view: &View<'_>, response: &Response) -> Answer {
    Answer {
        status: response.status,
        message: message(&response.head, response.trailers.as_ref(), response.version),
        by_tap: response.by_tap,
        is_success: view.is_success(),
    }
}

fn credential(view: &View<'_>, offered: &Offered, key: &FingerprintKey) -> Credential {
    let credentials = &offered.credentials;
    let jwt = match &credentials.detail {
        Detail::Jwt(jwt) => Some(jwt),
        _ => None,
    };
    let claims = jwt.and_then(|jwt| jwt.claims.as_ref());
    let seconds = |date: Option<NumericDate>| date.and_then(NumericDate::timestamp).map(|time| time.as_second());
    let user = match &credentials.detail {
        Detail::Basic(basic) => basic.user().map(str::to_owned),
        Detail::Digest(digest) => digest.username.clone(),
        _ => None,
    };
    let length = credentials.secret.len();
    Credential {
        place: offered.place,
        name: offered.name.clone(),
        scheme: credentials.scheme.as_ref().map(|scheme| scheme.id().to_ascii_lowercase()),
        scheme_as_sent: credentials.scheme_as_sent.clone(),
        secret: credentials.secret.fingerprint(key),
        length: if length < Redactor::SHORT { 0 } else { length },
        label: view.label(offered),
        user,
        issuer: claims.and_then(|claims| claims.iss.clone()),
        key_id: jwt.and_then(|jwt| jwt.header.kid.clone()),
        audience: claims.map(|claims| claims.aud.clone()).unwrap_or_default(),
        times: claims.map(|claims| (seconds(claims.iat), seconds(claims.exp))).unwrap_or_default(),
    }
}

/// What the signatures of a request cover: names of fields in lower case, `@method`, `@target`, `@path` and `@authority`.
fn signed(view: &View<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for offered in view.offered() {
        match &offered.credentials.detail {
            Detail::SigV4(signature) => {
                names.extend(["@method".to_owned(), "@target".to_owned()]);
                names.extend(signature.signed_headers.iter().map(|name| covered(name)));
            }
            Detail::Digest(_) if offered.place == OfferedIn::Authorization => {
                names.extend(["@method".to_owned(), "@target".to_owned()]);
            }
            _ => {}
        }
    }
    let request = view.request();
    for value in request.values("signature-input").chain(request.values("signature")) {
        names.extend(components(value));
    }
    let authorization = request.value("authorization").unwrap_or_default();
    if authorization.get(..10).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"signature ")) {
        names.extend(components(authorization));
    }
    if request.has("dpop") {
        // A proof names the URL without its query (RFC 9449 4.2).
        names.extend(["@method", "@path", "@authority"].map(str::to_owned));
    }
    if let Some(query) = view.target().split(|byte| *byte == b'?').nth(1) {
        let presigned = query.split(|byte| *byte == b'&').find_map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            let (name, value) = text.split_once('=')?;
            name.eq_ignore_ascii_case("x-amz-signedheaders").then_some(value)
        });
        if let Some(list) = presigned {
            names.extend(["@method".to_owned(), "@target".to_owned()]);
            let list = percent_encoding::percent_decode_str(list).decode_utf8_lossy();
            names.extend(list.split(';').take(64).map(covered));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The components that RFC 9421 lists in parentheses, or the older draft in `headers`, each in quotes or parted by spaces.
fn components(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value.get(..4096).unwrap_or(value)).into_owned();
    if let Some(list) = text.split_once("headers=\"").and_then(|(_, rest)| rest.split_once('"')) {
        return list.0.split_whitespace().map(covered).collect();
    }
    let mut names = Vec::new();
    for list in text.split('(').skip(1).filter_map(|rest| rest.split_once(')')) {
        names.extend(list.0.split('"').skip(1).step_by(2).map(covered));
    }
    names
}

fn covered(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "host" => "@authority".to_owned(),
        "(request-target)" | "@target-uri" | "@request-target" | "@query" => "@target".to_owned(),
        _ => name,
    }
}
