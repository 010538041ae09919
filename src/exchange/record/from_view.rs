//! A record out of an exchange: what is shown, and what is masked.

use std::borrow::Cow;

use super::{
    ChallengeRecord, Client, Credential, Diagnosis, Edit, ErrorBody, Failure, HeadDefect, Hop, JwtRecord, Part,
    ProxyProtocol, Record, Request, Response, SCHEMA, Shown, Times, Tls, Unfollowed, Upstream, repeated,
};
use crate::auth::{Challenge, Detail, Jwt, NumericDate};
use crate::exchange::recalled::PartOf;
use crate::exchange::redact::Redactor;
use crate::exchange::signed::signed;
use crate::exchange::view::{Offered, View};
use crate::exchange::{self, ClientSide, Endpoint, Outcome, Timing, UpstreamSide};
use crate::wire::{Field, HeadDefectKind, RawHead};

impl<'a> Record<'a> {
    /// The record of an exchange.
    pub fn new(view: &'a View<'a>, diagnosis: Diagnosis<'a>, hops: Vec<Hop<'a>>) -> Self {
        let exchange = view.exchange();
        let redactor = view.redactor();
        let source = repeated::source_of_client(&exchange.client);
        let client = Part::new(redactor, PartOf::Client, source, || client(&exchange.client));
        let url = exchange.upstream_url();
        let source = repeated::source_of_upstream(&url, &exchange.upstream);
        let upstream = Part::new(redactor, PartOf::Upstream, source, || upstream(url, &exchange.upstream));
        let source = view.known_request().and_then(|head| repeated::source_of_request(head, &exchange.request));
        let request = Part::new(redactor, PartOf::Request, source, || request(view));
        let response = exchange.response.seen().map(|seen| {
            let known = request.number().zip(view.known_response());
            let source = known.and_then(|(request, head)| repeated::source_of_response(request, head, seen));
            Part::new(redactor, PartOf::Response, source, || response(view, seen))
        });
        let failure = match &exchange.outcome {
            Outcome::UpstreamFailed(failure) => {
                Some(Failure { step: failure.step.id(), reason: failure.reason.as_str() })
            }
            _ => None,
        };
        Record {
            schema: SCHEMA,
            id: exchange.id,
            path_id: exchange.path.id,
            parent_id: exchange.path.parent.map(|id| id.to_string()),
            fingerprint_key: redactor.key_id(),
            time: exchange.time,
            tap: &exchange.tap.name,
            client,
            upstream,
            request,
            edits: exchange
                .edits
                .iter()
                .map(|edit| Edit { what: edit.what, from: &edit.from, to: &edit.to, why: edit.why })
                .collect(),
            response,
            hops,
            hop_header_ignored: exchange.path.distrusted,
            timing: times(&exchange.timing),
            outcome: exchange.outcome.id(),
            failure,
            unfollowed: exchange.lost.map(|lost| Unfollowed {
                direction: lost.direction.id(),
                why: lost.why.id(),
                text: lost.why.text(),
            }),
            diagnosis,
        }
    }
}

fn client(client: &ClientSide) -> Client<'_> {
    Client {
        addr: client.addr.to_string(),
        connection: client.connection,
        proxy_protocol: client.announced.as_deref().map(|announced| ProxyProtocol {
            version: announced.version,
            from: announced.by.to_string(),
            client_tls: announced.tls,
        }),
        tls: client.tls.as_deref().map(tls),
    }
}

fn upstream<'a>(url: Cow<'a, str>, upstream: &'a UpstreamSide) -> Upstream<'a> {
    Upstream {
        url,
        addr: upstream.addr.as_ref().map(Endpoint::to_string),
        connection: upstream.connection,
        reused: upstream.reused,
        tls: upstream.tls.as_deref().map(tls),
    }
}

fn request<'a>(view: &'a View<'a>) -> Request<'a> {
    let request = &view.exchange().request;
    let redactor = view.redactor();
    Request {
        method: redactor.name(view.method()),
        target: view.shown_target(),
        version: request.version.as_str(),
        authority: view.authority().map(|authority| redactor.authority(&authority)),
        headers: request_headers(view),
        credentials: view.offered().iter().map(|offered| credential(offered, redactor)).collect(),
        signed: signed(view),
        body_bytes: request.body.size,
        trailers: request.trailers.as_ref().map(|head| headers(head, redactor)).unwrap_or_default(),
        defects: defects(&request.head),
        cut_head_bytes: request.head.is_cut().then(|| request.head.size()),
    }
}

fn response<'a>(view: &'a View<'a>, response: &'a exchange::Response) -> Response<'a> {
    let redactor = view.redactor();
    let places = view.challenged().iter().flat_map(|field| {
        let place = if field.by_proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        field.challenges.iter().map(move |challenge| challenge_record(place, challenge, view))
    });
    Response {
        status: response.status,
        version: response.version.as_str(),
        headers: response_headers(view, &response.head),
        challenges: places.collect(),
        error_body: view.error_text().map(|text| ErrorBody {
            media_type: response.head.value("content-type").map(|value| redactor.field(b"content-type", value)),
            text: redactor.text(&view.without_echoes(text.to_owned())),
        }),
        interim: &response.interim,
        interim_count: response.interim_count,
        body_bytes: response.body.size,
        trailers: response.trailers.as_ref().map(|head| headers(head, redactor)).unwrap_or_default(),
        defects: defects(&response.head),
        cut_head_bytes: response.head.is_cut().then(|| response.head.size()),
        by_tap: response.by_tap,
    }
}

fn request_headers(view: &View<'_>) -> Vec<Shown> {
    let redactor = view.redactor();
    let shown = |field: Field<'_>| {
        if let Some(line) = redactor.recall(field.line, false) {
            return Shown::Kept(line);
        }
        let shown = (shown_name(view.request(), &field, redactor), view.shown_in_request(&field));
        redactor.note(field.line, false, &shown);
        Shown::Made(shown.0, shown.1)
    };
    view.request().fields().map(shown).collect()
}

/// The fields of an answer, which may repeat what the request had.
fn response_headers(view: &View<'_>, head: &RawHead) -> Vec<Shown> {
    let redactor = view.redactor();
    let shown = |field: Field<'_>| {
        if let Some(line) = redactor.recall(field.line, true).filter(|line| !view.has_echoes(&line.value)) {
            return Shown::Kept(line);
        }
        let shown = (shown_name(head, &field, redactor), view.shown_in_response(&field));
        redactor.note(field.line, true, &shown);
        Shown::Made(shown.0, view.without_echoes(shown.1))
    };
    head.fields().map(shown).collect()
}

fn headers(head: &RawHead, redactor: &Redactor) -> Vec<(String, String)> {
    let value = |field: &Field<'_>| redactor.field(field.name, field.value);
    head.fields().map(|field| (shown_name(head, &field, redactor), value(&field))).collect()
}

fn shown_name(head: &RawHead, field: &Field<'_>, redactor: &Redactor) -> String {
    let mut defects = head.defects().iter();
    match defects.any(|defect| defect.kind == HeadDefectKind::NoColon && defect.field == Some(field.index)) {
        true => redactor.line(field.line),
        false => redactor.name(field.name).into_owned(),
    }
}

fn defects(head: &RawHead) -> Vec<HeadDefect> {
    let defects = head.defects().iter();
    defects.map(|defect| HeadDefect { defect: defect.kind.id(), line: defect.field, at: defect.at }).collect()
}

fn credential<'a>(offered: &'a Offered, redactor: &Redactor) -> Credential<'a> {
    let credentials = &offered.credentials;
    let (user, message, jwt) = match &credentials.detail {
        Detail::Basic(basic) => (basic.user(), None, None),
        Detail::Digest(digest) => (digest.username.as_deref(), None, None),
        Detail::Negotiate(message) => (None, Some(message.id()), None),
        Detail::Jwt(jwt) => (None, None, Some(jwt_record(jwt))),
        _ => (None, None, None),
    };
    Credential {
        place: offered.place.id(),
        name: redactor.name(offered.name.as_bytes()).to_ascii_lowercase(),
        scheme: credentials.scheme.as_ref().map(|scheme| redactor.name(scheme.id().as_bytes())),
        scheme_as_sent: redactor.name(credentials.scheme_as_sent.as_bytes()),
        fingerprint: offered.fingerprint.to_string(),
        length: Some(credentials.secret.len()).filter(|length| *length >= Redactor::SHORT).unwrap_or_default(),
        problems: credentials.defects.iter().map(|defect| defect.kind.id()).collect(),
        user,
        message,
        jwt,
    }
}

fn jwt_record(jwt: &Jwt) -> JwtRecord<'_> {
    let claims = jwt.claims.as_ref();
    let seconds = |date: Option<NumericDate>| date.map(|date| date.0);
    JwtRecord {
        alg: jwt.header.alg.as_deref(),
        kid: jwt.header.kid.as_deref(),
        typ: jwt.header.typ.as_deref(),
        iss: claims.and_then(|claims| claims.iss.as_deref()),
        aud: claims.map(|claims| claims.aud.as_slice()).unwrap_or_default(),
        exp: seconds(claims.and_then(|claims| claims.exp)),
        nbf: seconds(claims.and_then(|claims| claims.nbf)),
        iat: seconds(claims.and_then(|claims| claims.iat)),
        scope: claims.and_then(|claims| claims.scope.as_deref()),
    }
}

fn challenge_record<'a>(place: &'static str, challenge: &'a Challenge, view: &'a View<'a>) -> ChallengeRecord<'a> {
    let redactor = view.redactor();
    let params = challenge
        .params
        .iter()
        .map(|param| (redactor.name(param.name.as_bytes()), view.without_echoes(redactor.param(param))));
    ChallengeRecord {
        place,
        scheme: redactor.name(challenge.scheme.id().as_bytes()),
        scheme_as_sent: redactor.name(challenge.scheme_as_sent.as_bytes()),
        params: params.collect(),
        message: challenge.message().map(|message| message.id()),
        problems: challenge.defects.iter().map(|defect| defect.kind.id()).collect(),
    }
}

fn tls(tls: &exchange::Tls) -> Tls<'_> {
    Tls {
        version: tls.version,
        alpn: tls.alpn.as_deref(),
        server_name: tls.server_name.as_deref(),
        peer_certificate: tls.peer_certificate,
        verified: tls.verified,
    }
}

fn times(timing: &Timing) -> Times {
    let milliseconds = |time: std::time::Duration| time.as_micros() as f64 / 1000.0;
    Times {
        connect_ms: timing.connect.map(milliseconds),
        first_byte_ms: timing.first_byte.map(milliseconds),
        total_ms: milliseconds(timing.total),
    }
}
