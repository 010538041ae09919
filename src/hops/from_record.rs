//! Sightings out of records: what is left of a request when all that is secret is masked.

use std::time::Duration;

use jiff::Timestamp;

use super::sighting::{Answer, Credential, Extent, Line, Message, Sighting, Value};
use crate::auth::Fingerprint;
use crate::exchange::Version;
use crate::exchange::record::read::{Read, ReadCredential, ReadResponse};
use crate::exchange::view::OfferedIn;

impl Sighting<'_> {
    /// What a record tells; `None` where its time is none. Where fingerprints are of another key than those that they are
    /// compared with, `can_compare` is false, and they are left out.
    pub fn of_record(read: &Read, can_compare: bool) -> Option<Self> {
        let time: Timestamp = read.time.parse().ok()?;
        let request = &read.request;
        let host = read.edits.iter().find(|edit| edit.what == "host").map(|edit| edit.to.clone());
        let message =
            |version: &str, fields: &[(String, String)], trailers: &[(String, String)], is_cut: bool| Message {
                version: Version::of_token(version.as_bytes()),
                fields: lines(fields, can_compare),
                trailers: lines(trailers, can_compare),
                extent: if is_cut { Extent::Cut } else { Extent::Whole },
            };
        let sent = message(&request.version, &request.headers, &request.trailers, request.cut_head_bytes.is_some());
        let answer = read.response.as_ref().map(|response| Answer {
            status: response.status,
            message: message(
                &response.version,
                &response.headers,
                &response.trailers,
                response.cut_head_bytes.is_some(),
            ),
            by_tap: response.by_tap,
            is_success: (200..300).contains(&response.status) && !is_grpc_failure(response),
        });
        let tls = read.client.tls.as_ref();
        Some(Sighting {
            exchange: read.id.clone(),
            tap: read.tap.clone(),
            time,
            total: read.timing.total_ms.map(milliseconds),
            connection: read.client.connection,
            client: read.client.addr.rsplit_once(':').map(|(addr, _)| addr.to_owned()),
            tls: Some(tls.is_some()),
            client_certificate: tls.is_some_and(|tls| tls.peer_certificate),
            method: request.method.clone(),
            target: Value::Shown(masked(&request.target, can_compare)),
            authority: request.authority.clone(),
            set_authority: host,
            request: sent,
            credentials: request.credentials.iter().filter_map(|sent| credential(sent, read, can_compare)).collect(),
            signed: request.signed.clone(),
            answer,
            view: None,
        })
    }
}

/// A number of milliseconds, if it is one.
pub(crate) fn milliseconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count / 1000.0).unwrap_or_default()
}

fn lines(fields: &[(String, String)], can_compare: bool) -> Vec<Line> {
    fields
        .iter()
        .map(|(name, value)| Line { name: name.clone(), value: Value::Shown(masked(value, can_compare)) })
        .collect()
}

/// The text without its fingerprints, where they say nothing.
fn masked(text: &str, can_compare: bool) -> String {
    if can_compare {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<redacted fp=") {
        shown.push_str(before);
        shown.push_str("<redacted");
        rest = after.trim_start_matches(|char: char| char.is_ascii_hexdigit());
    }
    shown.push_str(rest);
    shown
}

fn is_grpc_failure(response: &ReadResponse) -> bool {
    let mut fields = response.trailers.iter().chain(&response.headers);
    fields.find(|(name, _)| name.eq_ignore_ascii_case("grpc-status")).is_some_and(|(_, value)| value != "0")
}

fn credential(sent: &ReadCredential, read: &Read, can_compare: bool) -> Option<Credential> {
    let place = match (sent.place.as_str(), sent.name.as_str()) {
        ("header", "authorization") => OfferedIn::Authorization,
        ("header", "proxy-authorization") => OfferedIn::ProxyAuthorization,
        ("header", _) => OfferedIn::KeyField,
        ("query", _) => OfferedIn::Query,
        ("userinfo", _) => OfferedIn::Userinfo,
        ("form", _) => OfferedIn::Form,
        ("trailer", _) => OfferedIn::Trailer,
        _ => return None,
    };
    // A record has the name in lower case; the field has it as it was sent.
    let as_sent = read.request.headers.iter().map(|(name, _)| name).find(|name| name.eq_ignore_ascii_case(&sent.name));
    let digits = if can_compare { sent.fingerprint.as_str() } else { "00000000" };
    let label = match (can_compare, sent.scheme_as_sent.as_str()) {
        (true, _) => sent.label(),
        (false, "") => sent.kind().to_owned(),
        (false, scheme) => format!("{scheme} {}", sent.kind()),
    };
    let jwt = sent.jwt.as_ref();
    Some(Credential {
        place,
        name: as_sent.unwrap_or(&sent.name).clone(),
        scheme: sent.scheme.clone(),
        scheme_as_sent: sent.scheme_as_sent.clone(),
        secret: Fingerprint::parse(digits)?,
        length: sent.length,
        label,
        user: sent.user.clone(),
        issuer: jwt.and_then(|jwt| jwt.iss.clone()),
        key_id: jwt.and_then(|jwt| jwt.kid.clone()),
        audience: jwt.map(|jwt| jwt.aud.clone()).unwrap_or_default(),
        times: jwt.map(|jwt| (jwt.iat, jwt.exp)).unwrap_or_default(),
    })
}
