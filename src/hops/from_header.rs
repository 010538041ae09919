//! Sightings out of hop headers: what a tap on another machine saw, as far as it was told.

use std::time::Duration;

use jiff::Timestamp;

use super::digest::{DigestField, Room, scheme_of};
use super::sighting::{Answer, Credential, Extent, Line, Message, Sighting, Value};
use super::trace::HopHeader;
use crate::exchange::names;
use crate::exchange::view::OfferedIn;

impl Sighting<'_> {
    /// What the tap on the other machine saw. Method and version are not told: `like` has those of the tap on this one.
    pub fn of_header(header: &HopHeader, like: &Sighting<'_>) -> Self {
        let millis = i64::try_from(header.exchange.timestamp_ms()).unwrap_or_default();
        let line = |field: &DigestField| Line { name: field.name.clone(), value: value(field) };
        let is_field = |field: &&DigestField| !field.name.starts_with([':', '?']);
        let fields = header.request.iter().filter(is_field).map(line).collect();
        let target = header.request.iter().find(|field| field.name == ":target").map(value);
        Sighting {
            exchange: header.exchange.to_string(),
            tap: header.tap.clone(),
            time: Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH),
            total: None::<Duration>,
            connection: None,
            client: None,
            tls: None,
            client_certificate: false,
            method: like.method.clone(),
            target: target.unwrap_or_else(|| like.target.clone()),
            authority: None,
            set_authority: None,
            request: Message {
                version: header.version,
                fields,
                trailers: Vec::new(),
                extent: Extent::Digest { told_up_to: Room::of(&header.request, header.is_whole) },
            },
            credentials: header.request.iter().filter_map(credential).collect(),
            signed: Vec::new(),
            answer: header.answer.as_ref().map(|answer| Answer {
                status: answer.status,
                message: Message {
                    version: answer.version,
                    fields: answer.fields.iter().map(line).collect(),
                    trailers: Vec::new(),
                    extent: Extent::Digest { told_up_to: Room::of(&answer.fields, answer.is_whole) },
                },
                by_tap: false,
                is_success: (200..300).contains(&answer.status),
            }),
            view: None,
        }
    }
}

fn value(field: &DigestField) -> Value {
    Value::Digest { fingerprint: field.fingerprint, length: field.length }
}

fn credential(field: &DigestField) -> Option<Credential> {
    let (scheme, secret) = match (&field.scheme, field.name.strip_prefix('?')) {
        (Some((scheme, secret)), _) => (scheme.as_str(), *secret),
        (None, Some(_)) => ("", field.fingerprint),
        (None, None) => return None,
    };
    let place = match field.name.to_ascii_lowercase().as_str() {
        "authorization" => OfferedIn::Authorization,
        "proxy-authorization" => OfferedIn::ProxyAuthorization,
        name if name.starts_with('?') => OfferedIn::Query,
        name if names::is_key_field(name.as_bytes()) => OfferedIn::KeyField,
        _ => return None,
    };
    let known = scheme_of(scheme);
    let spelled = known.as_ref().and_then(|scheme| scheme.usual_spelling()).unwrap_or_default();
    Some(Credential {
        place,
        name: field.name.trim_start_matches('?').to_owned(),
        scheme: known.as_ref().map(|scheme| scheme.id().to_ascii_lowercase()),
        scheme_as_sent: scheme.to_owned(),
        secret,
        length: field.length.saturating_sub(if scheme.is_empty() { 0 } else { scheme.len() + 1 }),
        label: format!("{} credentials", if spelled.is_empty() { "other" } else { spelled }),
        user: None,
        issuer: None,
        key_id: None,
        audience: Vec::new(),
        times: (None, None),
    })
}
