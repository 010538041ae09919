//! The record: an exchange and its diagnosis as one JSON object, schema `authtap/1`.
//!
//! These structs are apart from the inner types, so that those can change and the record can't. Other programs read it:
//! fields may be added, and those that are here keep their names and their meaning. Everything in a record may be shown;
//! redaction happens here, when it is made.

use std::borrow::Cow;
use std::fmt::Write;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::redact::Redactor;
use super::view::{Offered, OfferedIn, View};
use super::{Outcome, Timing};
use crate::auth::{Challenge, Detail, Jwt, NumericDate};
use crate::wire::{Field, HeadDefectKind, RawHead};

/// The name of the schema.
pub const SCHEMA: &str = "authtap/1";

/// One exchange with its diagnosis.
#[derive(Serialize)]
pub struct Record<'a> {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// A ULID: unique, and sortable by time.
    pub id: String,
    /// When the first byte of the request came: RFC 3339, UTC, milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The tap's name.
    pub tap: &'a str,
    /// The same for one request at all taps of a path.
    pub path_id: String,
    /// The client's end.
    pub client: Client<'a>,
    /// The upstream's end.
    pub upstream: Upstream<'a>,
    /// The request as it came.
    pub request: Request<'a>,
    /// What the tap changed in it.
    pub edits: Vec<Edit<'a>>,
    /// The response as it came; null where there was none.
    pub response: Option<Response<'a>>,
    /// How long the stages took.
    pub timing: Times,
    /// How the exchange ended.
    pub outcome: &'static str,
    /// Which step failed at the upstream, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure<'a>>,
    /// Why the tap could not read along to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<Unfollowed>,
    /// What was found.
    pub diagnosis: Diagnosis<'a>,
}

/// The client's end of an exchange.
#[derive(Serialize)]
pub struct Client<'a> {
    /// Its address.
    pub addr: String,
    /// The number of its connection.
    pub connection: u64,
    /// What was agreed on in TLS; null without it.
    pub tls: Option<Tls<'a>>,
}

/// The upstream's end of an exchange.
#[derive(Serialize)]
pub struct Upstream<'a> {
    /// The tap's upstream.
    pub url: &'a str,
    /// The address that was connected to.
    pub addr: Option<String>,
    /// The number of the connection.
    pub connection: Option<u64>,
    /// Whether an earlier exchange used it.
    pub reused: bool,
    /// What was agreed on in TLS; null without it.
    pub tls: Option<Tls<'a>>,
}

/// What was agreed on in TLS.
#[derive(Serialize)]
pub struct Tls<'a> {
    /// `TLSv1.3` and the like.
    pub version: &'static str,
    /// The protocol chosen by ALPN.
    pub alpn: Option<&'a str>,
    /// The server name that was asked for.
    pub server_name: Option<&'a str>,
    /// Whether the peer showed a certificate.
    pub peer_certificate: bool,
    /// Whether it was checked.
    pub verified: bool,
}

/// A request.
#[derive(Serialize)]
pub struct Request<'a> {
    /// The method.
    pub method: Cow<'a, str>,
    /// The target, with what may be secret masked.
    pub target: String,
    /// `HTTP/1.1` and the like.
    pub version: &'static str,
    /// The host that the client asked for.
    pub authority: Option<String>,
    /// Names as spelled and values as far as they may be shown, in order.
    pub headers: Vec<(String, String)>,
    /// What stands for who sends it.
    pub credentials: Vec<Credential<'a>>,
    /// The size of the body.
    pub body_bytes: u64,
    /// The fields behind the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
    /// What a strict parser would object to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<HeadDefect>,
    /// Set where the head was larger than what is recorded of heads: its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_head_bytes: Option<u64>,
}

/// A response.
#[derive(Serialize)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// `HTTP/1.1` and the like.
    pub version: &'static str,
    /// Names as spelled and values as far as they may be shown, in order.
    pub headers: Vec<(String, String)>,
    /// What it asks for.
    pub challenges: Vec<ChallengeRecord<'a>>,
    /// The text of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_body: Option<ErrorBody>,
    /// The status codes of the first informational responses before it.
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    pub interim: &'a [u16],
    /// How many there were.
    #[serde(skip_serializing_if = "is_zero")]
    pub interim_count: u32,
    /// The size of the body.
    pub body_bytes: u64,
    /// The fields behind the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
    /// What a strict parser would object to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<HeadDefect>,
    /// Set where the head was larger than what is recorded of heads: its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_head_bytes: Option<u64>,
    /// Whether the tap made the response itself, because the upstream gave none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_tap: bool,
}

/// Something in a head that a strict parser would object to.
#[derive(Serialize)]
pub struct HeadDefect {
    /// Its name.
    pub defect: &'static str,
    /// The field line, from 0; null for the start line.
    pub line: Option<usize>,
    /// The byte of the head.
    pub at: usize,
}

/// One credential.
#[derive(Serialize)]
pub struct Credential<'a> {
    /// `header`, `query`, `userinfo`, `form` or `trailer`.
    #[serde(rename = "in")]
    pub place: &'static str,
    /// The name of the field or parameter, in lower case.
    pub name: String,
    /// The scheme, in lower case; null where there is none.
    pub scheme: Option<Cow<'a, str>>,
    /// The scheme as it was sent.
    pub scheme_as_sent: Cow<'a, str>,
    /// Equal for equal secrets under one key.
    pub fingerprint: String,
    /// The length of the secret in bytes; 0 where it is too short to be told.
    pub length: usize,
    /// What is wrong with how it is written.
    pub problems: Vec<&'static str>,
    /// The user name of Basic and Digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// Which message of Negotiate or NTLM it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// What a token says of itself; nothing of it is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtRecord<'a>>,
}

/// What a token says of itself.
#[derive(Serialize)]
pub struct JwtRecord<'a> {
    /// The algorithm of its signature.
    pub alg: Option<&'a str>,
    /// The key's id.
    pub kid: Option<&'a str>,
    /// The type in its header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<&'a str>,
    /// Who issued it.
    pub iss: Option<&'a str>,
    /// Whom it is for.
    pub aud: &'a [String],
    /// When it expires, in seconds since 1970.
    pub exp: Option<i64>,
    /// When it begins to be valid.
    pub nbf: Option<i64>,
    /// When it was issued.
    pub iat: Option<i64>,
    /// What it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
}

/// One challenge.
#[derive(Serialize)]
pub struct ChallengeRecord<'a> {
    /// `WWW-Authenticate` or `Proxy-Authenticate`.
    #[serde(rename = "in")]
    pub place: &'static str,
    /// The scheme, in lower case.
    pub scheme: Cow<'a, str>,
    /// The scheme as it was sent.
    pub scheme_as_sent: Cow<'a, str>,
    /// The parameters; those that are for one use only are masked.
    #[serde(serialize_with = "as_map")]
    pub params: Vec<(Cow<'a, str>, String)>,
    /// Which message of Negotiate or NTLM it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// What is wrong with how it is written.
    pub problems: Vec<&'static str>,
}

/// The text of a refusal.
#[derive(Serialize)]
pub struct ErrorBody {
    /// Its media type, as sent.
    pub media_type: Option<String>,
    /// Its first 4 KiB, unpacked, with what looks like a token masked.
    pub text: String,
}

/// One change by the tap.
#[derive(Serialize)]
pub struct Edit<'a> {
    /// What was changed.
    pub what: &'static str,
    /// What stood there.
    pub from: &'a str,
    /// What stands there now.
    pub to: &'a str,
    /// Why.
    pub why: &'static str,
}

/// How long the stages took, in milliseconds.
#[derive(Serialize)]
pub struct Times {
    /// Making the upstream connection; null where there was one already.
    pub connect_ms: Option<f64>,
    /// Until the first byte of the response.
    pub first_byte_ms: Option<f64>,
    /// Until all was over.
    pub total_ms: f64,
}

/// Which step failed at the upstream.
#[derive(Serialize)]
pub struct Failure<'a> {
    /// The step.
    pub step: &'static str,
    /// The reason in words.
    pub reason: &'a str,
}

/// Why the tap could not read along.
#[derive(Serialize)]
pub struct Unfollowed {
    /// `request` or `response`.
    pub direction: &'static str,
    /// The reason's name.
    pub why: &'static str,
    /// The reason in words.
    pub text: &'static str,
}

/// What was found.
#[derive(Serialize)]
pub struct Diagnosis<'a> {
    /// The name of the first finding's rule, or `ok`.
    pub verdict: &'a str,
    /// What explains the exchange best stands first.
    pub findings: Vec<FindingRecord<'a>>,
}

/// One finding.
#[derive(Serialize)]
pub struct FindingRecord<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// `error`, `warning` or `info`.
    pub severity: &'a str,
    /// `certain`, `likely` or `possible`.
    pub certainty: &'a str,
    /// Where to go and fix.
    pub at: String,
    /// The field that it is about.
    pub header: Option<&'a str>,
    /// One sentence.
    pub summary: &'a str,
    /// What shows it.
    pub evidence: Vec<&'a str>,
    /// What to do.
    pub fix: &'a str,
    /// Where it is written.
    pub spec: Option<String>,
}

impl<'a> Record<'a> {
    /// The record of an exchange.
    pub fn new(view: &'a View<'a>, diagnosis: Diagnosis<'a>) -> Self {
        let exchange = view.exchange();
        let id = exchange.id.to_string();
        let failure = match &exchange.outcome {
            Outcome::UpstreamFailed(failure) => {
                Some(Failure { step: failure.step.id(), reason: failure.reason.as_str() })
            }
            _ => None,
        };
        Record {
            schema: SCHEMA,
            path_id: id.clone(),
            id,
            time: exchange.time,
            tap: &exchange.tap.name,
            client: Client {
                addr: exchange.client.addr.to_string(),
                connection: exchange.client.connection,
                tls: exchange.client.tls.as_deref().map(tls),
            },
            upstream: Upstream {
                url: &exchange.tap.upstream_url,
                addr: exchange.upstream.addr.map(|addr| addr.to_string()),
                connection: exchange.upstream.connection,
                reused: exchange.upstream.reused,
                tls: exchange.upstream.tls.as_deref().map(tls),
            },
            request: request(view),
            edits: exchange
                .edits
                .iter()
                .map(|edit| Edit { what: edit.what, from: &edit.from, to: &edit.to, why: edit.why })
                .collect(),
            response: exchange.response.seen().map(|seen| response(view, seen)),
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

    /// The record as one line of JSON, with its line end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(2048);
        // Writing to memory can't fail, and no map of a record has keys that are not strings.
        if serde_json::to_writer(&mut line, self).is_err() {
            line.clear();
        }
        line.push(b'\n');
        escaped(line)
    }
}

/// The line with the characters that a terminal or a reader of lines could act on written as escapes. serde_json does so
/// for those of ASCII alone, and has put nothing else than the text of strings outside of it.
fn escaped(line: Vec<u8>) -> Vec<u8> {
    if line.iter().all(|byte| *byte < 0x7f) {
        return line;
    }
    let text = String::from_utf8_lossy(&line);
    if !text.chars().any(|char| char != '\n' && is_unprintable(char)) {
        return line;
    }
    let mut escaped = String::with_capacity(line.len() + 64);
    for char in text.chars() {
        if char != '\n' && is_unprintable(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(char);
        }
    }
    escaped.into_bytes()
}

/// Whether a terminal could act on the character, or a reader not see it: controls, C1, bidirectional marks, line
/// separators, and what has no width.
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e01ef}'
        )
}

fn request<'a>(view: &'a View<'a>) -> Request<'a> {
    let request = &view.exchange().request;
    let redactor = view.redactor();
    Request {
        method: redactor.name(view.method()),
        target: redactor.target(view.target()),
        version: request.version.as_str(),
        authority: view.authority().map(|authority| redactor.authority(&authority)),
        headers: request_headers(view),
        credentials: view.offered().iter().map(|offered| credential(offered, redactor)).collect(),
        body_bytes: request.body.size,
        trailers: request.trailers.as_ref().map(|head| headers(head, redactor)).unwrap_or_default(),
        defects: defects(&request.head),
        cut_head_bytes: request.head.is_cut().then(|| request.head.size()),
    }
}

fn response<'a>(view: &'a View<'a>, response: &'a super::Response) -> Response<'a> {
    let redactor = view.redactor();
    let places = view.challenged().iter().flat_map(|field| {
        let place = if field.by_proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        field.challenges.iter().map(move |challenge| challenge_record(place, challenge, view))
    });
    Response {
        status: response.status,
        version: response.version.as_str(),
        headers: without_echoes(headers(&response.head, redactor), view),
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

/// The fields of a request; what was read of its credentials is not read again.
fn request_headers(view: &View<'_>) -> Vec<(String, String)> {
    let redactor = view.redactor();
    let is_read =
        |offered: &&Offered| matches!(offered.place, OfferedIn::Authorization | OfferedIn::ProxyAuthorization);
    headers_with(view.request(), redactor, |field| {
        let offered = view.offered().iter().filter(is_read).find(|offered| offered.field == Some(field.index));
        match offered {
            Some(offered) => redactor.field_with(field.name, field.value, &offered.credentials),
            None => redactor.field(field.name, field.value),
        }
    })
}

fn headers(head: &RawHead, redactor: &Redactor) -> Vec<(String, String)> {
    headers_with(head, redactor, |field| redactor.field(field.name, field.value))
}

fn headers_with(head: &RawHead, redactor: &Redactor, value: impl Fn(&Field<'_>) -> String) -> Vec<(String, String)> {
    let has_no_colon = |index: usize| {
        let defects = head.defects().iter();
        defects.clone().any(|defect| defect.kind == HeadDefectKind::NoColon && defect.field == Some(index))
    };
    head.fields()
        .map(|field| {
            let name = match has_no_colon(field.index) {
                true => redactor.line(field.line),
                false => redactor.name(field.name).into_owned(),
            };
            (name, value(&field))
        })
        .collect()
}

/// The fields of an answer, which may repeat what the request had.
fn without_echoes(mut headers: Vec<(String, String)>, view: &View<'_>) -> Vec<(String, String)> {
    for (_, value) in &mut headers {
        *value = view.without_echoes(std::mem::take(value));
    }
    headers
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

fn tls(tls: &super::Tls) -> Tls<'_> {
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

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// Parameters as an object; of a name that stands twice, the first is the one that counts.
fn as_map<S: Serializer>(params: &[(Cow<'_, str>, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let first = |index: usize, name: &str| !params.iter().take(index).any(|(earlier, _)| earlier == name);
    serializer.collect_map(
        params.iter().enumerate().filter(|(index, (name, _))| first(*index, name)).map(|(_, pair)| (&pair.0, &pair.1)),
    )
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
