//! Sightings out of live exchanges.

use bytes::Bytes;

use super::sighting::{Answer, Credential, Extent, Line, Message, Sighting, Value};
use crate::auth::{Detail, FingerprintKey, NumericDate, Secret};
use crate::exchange::redact::Redactor;
use crate::exchange::signed::signed;
use crate::exchange::view::Offered;
use crate::exchange::{Response, Version, View};
use crate::wire::RawHead;

impl<'a> Sighting<'a> {
    /// What a tap saw of an exchange. The fingerprints of credentials are made under `key`.
    pub fn of(view: &'a View<'a>, key: &FingerprintKey) -> Self {
        let exchange = view.exchange();
        let host = exchange.edits.iter().find(|edit| edit.what == "host").map(|edit| edit.to.as_ref());
        let request = message(&exchange.request.head, exchange.request.trailers.as_ref(), exchange.request.version);
        Sighting {
            exchange: exchange.id.to_string(),
            tap: exchange.tap.name.clone(),
            time: exchange.time,
            total: Some(exchange.timing.total),
            connection: Some(exchange.client.connection),
            client: Some(exchange.client.addr.host()),
            tls: Some(exchange.client.tls.is_some()),
            client_certificate: exchange.client.tls.as_ref().is_some_and(|tls| tls.peer_certificate),
            method: String::from_utf8_lossy(view.method()).into_owned(),
            target: Value::Seen(Secret::new(Bytes::copy_from_slice(view.target()))),
            authority: view.authority(),
            set_authority: host.map(str::to_owned),
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
