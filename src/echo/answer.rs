//! What the echo says of a request.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use super::Arrived;
use crate::auth::{Detail, FingerprintKey, Scheme};
use crate::error::Error;
use crate::exchange::record::{Diagnosis, Record};
use crate::exchange::redact::Redactor;
use crate::exchange::view::path_of;
use crate::exchange::{
    Body, Capture, ClientSide, Exchange, OnPath, Outcome, Position, Request, Tap, Timing, UpstreamSide, Version, View,
};
use crate::sinks::printable;

/// The realm of all challenges.
const REALM: &str = "authtap echo";

/// Makes the answers.
pub(super) struct Page {
    redactor: Mutex<Redactor>,
    /// What the echo gives out for Digest, the same while it runs.
    nonce: String,
    tap: Arc<Tap>,
}

/// An answer before it is written.
struct Answer {
    status: u16,
    challenges: Vec<String>,
    /// What was done, in words.
    note: &'static str,
}

impl Answer {
    fn plain(status: u16, note: &'static str) -> Self {
        Answer { status, challenges: Vec::new(), note }
    }
}

impl Page {
    /// Fingerprints are keyed anew for each run.
    pub(super) fn new() -> Result<Self, Error> {
        let no_bytes = |error| Error::run(format!("cannot get random bytes for a key: {error}"));
        let key = FingerprintKey::random().map_err(no_bytes)?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(no_bytes)?;
        Ok(Page {
            redactor: Mutex::new(Redactor::new(key, [])),
            nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
            tap: Arc::new(Tap {
                name: "echo".to_owned(),
                listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
                upstream_url: String::new(),
                position: Position::ALONE,
            }),
        })
    }

    /// The whole answer to a request, as bytes.
    pub(super) fn answer(&self, arrived: &Arrived, client: SocketAddr) -> Vec<u8> {
        let redactor = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let exchange = self.exchange(arrived, client);
        let view = View::new(&exchange, &redactor);
        let answer = self.decide(&view);
        let nothing = Diagnosis { verdict: "ok", findings: Vec::new() };
        let request = serde_json::to_value(Record::new(&view, nothing, Vec::new()).request).unwrap_or_default();
        let wants_json = arrived.head.values("accept").any(|value| {
            let value = value.to_ascii_lowercase();
            memchr::memmem::find(&value, b"application/json").is_some()
        });
        let (kind, text) = match wants_json {
            true => ("application/json", as_json(&request, &answer, arrived.lost)),
            false => ("text/plain; charset=utf-8", as_text(&request, &answer, arrived.lost)),
        };
        let has_body = !matches!(answer.status, 204 | 304);
        let mut bytes = format!("HTTP/1.1 {}\r\n", with_reason(answer.status));
        for challenge in &answer.challenges {
            // Writing to a String can't fail.
            let _ = write!(bytes, "WWW-Authenticate: {challenge}\r\n");
        }
        let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let _ = write!(bytes, "Date: {date}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
        if has_body {
            let _ = write!(bytes, "Content-Type: {kind}\r\nContent-Length: {}\r\n", text.len());
        }
        bytes.push_str("Connection: close\r\n\r\n");
        if has_body && view.method() != b"HEAD" {
            bytes.push_str(&text);
        }
        redactor.forget();
        bytes.into_bytes()
    }

    fn exchange(&self, arrived: &Arrived, client: SocketAddr) -> Exchange {
        let id = Ulid::nil();
        Exchange {
            id,
            time: Timestamp::now(),
            tap: self.tap.clone(),
            path: OnPath::first(id),
            client: ClientSide { addr: client.into(), announced: None, connection: 0, tls: None },
            upstream: UpstreamSide { addr: None, connection: None, reused: false, tls: None },
            request: Request {
                version: Version::of_token(arrived.head.request_line().version),
                head: arrived.head.clone(),
                authority: None,
                body: Body { size: arrived.body_bytes, ..Body::default() },
                trailers: arrived.trailers.clone(),
            },
            response: Capture::NotReached,
            edits: Vec::new(),
            timing: Timing::default(),
            outcome: Outcome::Complete,
            lost: None,
        }
    }

    fn decide(&self, view: &View<'_>) -> Answer {
        let sent = view.authorization().map(|offered| &offered.credentials);
        let scheme = sent.and_then(|sent| sent.scheme.as_ref());
        let is_whole = sent.is_some_and(|sent| sent.defects.is_empty() && !sent.secret.is_empty());
        let refused = |challenges: Vec<String>, note| Answer { status: 401, challenges, note };
        match path_of(view.target()) {
            b"/basic" if is_whole && scheme == Some(&Scheme::Basic) => {
                Answer::plain(200, "These are Basic credentials; which user and password does not matter here.")
            }
            b"/basic" => refused(
                vec![format!("Basic realm=\"{REALM}\", charset=\"UTF-8\"")],
                "It takes Basic credentials, with any user and password.",
            ),
            b"/bearer" if is_whole && scheme == Some(&Scheme::Bearer) => {
                Answer::plain(200, "This is a Bearer token; which one does not matter here.")
            }
            b"/bearer" => {
                refused(vec![format!("Bearer realm=\"{REALM}\"")], "It takes a Bearer token, whichever it is.")
            }
            b"/digest" if sent.is_some_and(|sent| self.is_answer(&sent.detail)) => {
                Answer::plain(200, "This answers the challenge; the password was not checked.")
            }
            b"/digest" => {
                let challenge = |algorithm| {
                    let nonce = &self.nonce;
                    format!("Digest realm=\"{REALM}\", qop=\"auth\", algorithm={algorithm}, nonce=\"{nonce}\"")
                };
                refused(
                    vec![challenge("SHA-256"), challenge("MD5")],
                    "It takes a Digest answer to this challenge, with any user and password.",
                )
            }
            path => match path.strip_prefix(b"/status/") {
                Some(status) => match status_of(status) {
                    Some(status) => Answer::plain(status, "This status was asked for, and nothing else goes with it."),
                    None => Answer::plain(400, "/status/ takes a status from 200 to 599."),
                },
                None => Answer::plain(200, "This is what arrived."),
            },
        }
    }

    fn is_answer(&self, detail: &Detail) -> bool {
        let Detail::Digest(digest) = detail else { return false };
        digest.username.is_some()
            && digest.response.is_some()
            && digest.nonce.as_ref().is_some_and(|nonce| nonce.expose() == self.nonce.as_bytes())
    }
}

fn status_of(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 3)?;
    text.parse().ok().filter(|status| (200..600).contains(status))
}

/// The status with the words that clients may show for it.
fn with_reason(status: u16) -> String {
    let reason = hyper::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    format!("{status} {}", reason.unwrap_or_default())
}

fn as_json(request: &Value, answer: &Answer, lost: Option<&str>) -> String {
    let page = json!({ "note": answer.note, "status": answer.status, "request": request, "unfollowed": lost });
    serde_json::to_string_pretty(&page).unwrap_or_default() + "\n"
}

fn as_text(request: &Value, answer: &Answer, lost: Option<&str>) -> String {
    let word = |name: &str| printable(request[name].as_str().unwrap_or_default());
    let mut text = format!("{}\n\n{} {} {}\n", answer.note, word("method"), word("target"), word("version"));
    let lines = |name: &str| request[name].as_array().cloned().unwrap_or_default();
    let pairs = lines("headers").into_iter().chain(lines("trailers"));
    for pair in pairs {
        let part = |at: usize| printable(pair[at].as_str().unwrap_or_default());
        let _ = writeln!(text, "{}: {}", part(0), part(1));
    }
    if let Some(size) = request["body_bytes"].as_u64().filter(|size| *size > 0) {
        let _ = writeln!(text, "\n({size} bytes of a body)");
    }
    for defect in lines("defects") {
        let line =
            defect["line"].as_u64().map_or_else(|| "the first line".to_owned(), |line| format!("field {}", line + 1));
        let _ = writeln!(text, "! {line}: {}", printable(defect["defect"].as_str().unwrap_or_default()));
    }
    if let Some(why) = lost {
        let _ = writeln!(text, "! not read to the end: {why}");
    }
    text
}
