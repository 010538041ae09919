//! The record: an exchange and its diagnosis as one JSON object, schema `authtap/1`.
//!
//! These structs are apart from the inner types, so that those can change and the record can't. Other programs read it:
//! fields may be added, and those that are here keep their names and their meaning. Everything in a record may be shown;
//! redaction happens here, when it is made.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use ulid::{ULID_LEN, Ulid};

use super::recalled::Line;

mod from_view;
pub mod read;
mod repeated;

pub use repeated::Part;

/// The name of the schema.
pub const SCHEMA: &str = "authtap/1";

/// One exchange with its diagnosis.
#[derive(Serialize)]
pub struct Record<'a> {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// A ULID: unique, and sortable by time.
    #[serde(serialize_with = "as_text")]
    pub id: Ulid,
    /// When the first byte of the request came: RFC 3339, UTC, milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The tap's name.
    pub tap: &'a str,
    /// The same for one request at all taps of a path.
    #[serde(serialize_with = "as_text")]
    pub path_id: Ulid,
    /// The exchange at the tap before, where a hop header told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The id of the key of all fingerprints in the record: those of one key can be compared.
    pub fingerprint_key: &'a str,
    /// The client's end.
    pub client: Part<Client<'a>>,
    /// The upstream's end.
    pub upstream: Part<Upstream<'a>>,
    /// The request as it came.
    pub request: Part<Request<'a>>,
    /// What the tap changed in it.
    pub edits: Vec<Edit<'a>>,
    /// The response as it came; null where there was none.
    pub response: Option<Part<Response<'a>>>,
    /// What the hops between this tap and the next ones did, where it is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop<'a>>,
    /// Why a hop header that came with the request was not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop_header_ignored: Option<&'static str>,
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
    /// The PROXY protocol header by which the address is known, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// What was agreed on in TLS; null without it.
    pub tls: Option<Tls<'a>>,
}

/// A header that said whose a connection is.
#[derive(Serialize)]
pub struct ProxyProtocol {
    /// `v1` or `v2`.
    pub version: &'static str,
    /// The address of who sent it.
    pub from: String,
    /// Whether the client spoke TLS with who sent it, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_tls: Option<bool>,
}

/// The upstream's end of an exchange.
#[derive(Serialize)]
pub struct Upstream<'a> {
    /// The tap's upstream, or where the connection was going that was redirected to the tap.
    pub url: Cow<'a, str>,
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
    pub target: &'a str,
    /// `HTTP/1.1` and the like.
    pub version: &'static str,
    /// The host that the client asked for.
    pub authority: Option<String>,
    /// Names as spelled and values as far as they may be shown, in order.
    pub headers: Vec<Shown>,
    /// What stands for who sends it.
    pub credentials: Vec<Credential<'a>>,
    /// What its signatures cover: names of fields, and `@method`, `@target`, `@path`, `@authority`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signed: Vec<String>,
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

/// A field line, as far as it may be shown: its name as spelled, and its value.
pub enum Shown {
    /// As it was made for this record.
    Made(String, String),
    /// As it was made for an earlier one.
    Kept(Arc<Line>),
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Shown::Made(name, value) => (name, value).serialize(serializer),
            Shown::Kept(line) => line.json.serialize(serializer),
        }
    }
}

/// A response.
#[derive(Serialize)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// `HTTP/1.1` and the like.
    pub version: &'static str,
    /// Names as spelled and values as far as they may be shown, in order.
    pub headers: Vec<Shown>,
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

/// What the hop between two taps did to a request and its answer.
#[derive(Serialize)]
pub struct Hop<'a> {
    /// The tap before it.
    pub from: &'a str,
    /// The tap behind it.
    pub to: &'a str,
    /// How both sides were joined: `hop-header`, `trace-id`, `request-id` or `likeness`; null where nothing arrived.
    pub join: Option<&'static str>,
    /// How many requests arrived behind it.
    pub requests: usize,
    /// How many of them were not over when this was written.
    #[serde(skip_serializing_if = "is_none")]
    pub running: usize,
    /// What differs.
    pub changes: Vec<HopChange<'a>>,
}

/// One thing that a hop changed.
#[derive(Serialize)]
pub struct HopChange<'a> {
    /// `request` or `answer`.
    #[serde(rename = "in")]
    pub side: &'static str,
    /// What the thing is there for.
    pub kind: &'static str,
    /// The field's name in lower case; `?name` for a parameter of the query; `:method`, `:target`, `:status`; `*` for all
    /// names.
    pub name: &'a str,
    /// What became of it.
    pub change: &'static str,
    /// The same in words.
    pub text: String,
    /// How it looked before the hop.
    pub before: Option<String>,
    /// How it looked behind the hop.
    pub after: Option<String>,
    /// Whether that follows from what was recorded.
    pub sure: bool,
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
impl Record<'_> {
    /// The record as one line of JSON, with its line end.
    pub fn to_line(&self) -> Vec<u8> {
        self.to_line_in(Vec::with_capacity(2048))
    }

    /// The same in the room of a line that is done with.
    pub fn to_line_in(&self, mut line: Vec<u8>) -> Vec<u8> {
        line.clear();
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
pub(crate) fn escaped(line: Vec<u8>) -> Vec<u8> {
    if line.is_ascii() && memchr::memchr(0x7f, &line).is_none() {
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

fn as_text<S: Serializer>(id: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.array_to_str(&mut [0; ULID_LEN]))
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

fn is_none(count: &usize) -> bool {
    *count == 0
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
