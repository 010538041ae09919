//! Exchanges as text, for examples, documentation and tests.
//!
//! ```text
//! * time 2026-11-24T12:00:00Z
//! > GET /api HTTP/1.1
//! > Host: api.example
//! > Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795520000}}
//! < HTTP/1.1 401 Unauthorized
//! < WWW-Authenticate: Bearer error="invalid_token"
//! <
//! < {"error":"expired"}
//! ```
//!
//! A line begins with its direction; an empty one ends the head, and the body follows. `>+` and `<+` are trailers. A `>`
//! or `*` line behind `<` lines begins the next exchange, which has the client and the connection of the one before.
//!
//! | directive | meaning |
//! | --- | --- |
//! | `* time T` | when the exchange began; otherwise one second after the one before |
//! | `* later 3s` | so long after the one before |
//! | `* client addr 10.0.0.7` | the client's address; on loopback if nothing is said |
//! | `* client unix` | it came by a socket of the Unix domain |
//! | `* client announced` | its address was told by a PROXY protocol header; `tls` or `plain` behind it: which also told how it spoke with its sender |
//! | `* client tls` | the client's connection is TLS; `* client tls certificate`: with a certificate of its own |
//! | `* client plain` | it is not, which is so from the start |
//! | `* upstream URL` | the tap's upstream |
//! | `* upstream addr 10.0.0.1:80` | the address that the tap found for it |
//! | `* tap NAME` | what follows was seen at that tap; the one that is named first is the first on the path. What a later tap saw belongs to the exchange before it at the tap before |
//! | `* edited host NAME` | the tap sent the next request on with that Host |
//! | `* given issuer URL` | what the operator said; also `audience NAME`, `public-url URL`, `keys JWKS`, `secret TEXT` |
//! | `* unannounced` | the next exchange at a later tap came without a hop header |
//! | `* new connection` | on another connection than the exchange before |
//! | `* unanswered` | no answer came |
//! | `* outcome client-gone` | how the exchange ended; `* outcome upstream-failed STEP REASON` likewise |
//!
//! Within a line, `{basic user:password}`, `{base64 text}`, `{hex 00ff}`, `{ntlm 1}` and `{jwt HEADER CLAIMS}` are
//! replaced by what they stand for; a token has a signature of its algorithm's length, or of that many bytes, or that
//! text, where a third value says so. Heads are read by the same framer as those of live traffic, so that an example of
//! a malformed head is one.

mod macros;
mod part;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use super::body::kept_of_answer;
use super::given::{Given, GivenKeys};
use super::{
    Announced, Capture, ClientSide, Direction, Edit, Endpoint, Exchange, Failure, OnPath, Outcome, Position, Request,
    Response, Step, Tap, Timing, Tls, Unfollowed, UpstreamSide, Version,
};
use crate::auth::KeySet;
use crate::wire::framer::Answers;
use crate::wire::{Lost, RawHead};
use part::Part;

/// The port of a client's first connection.
const FIRST_PORT: u16 = 50_000;

/// Where a transcript can't be understood, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for TranscriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for TranscriptError {}

/// Reads the exchanges of a transcript, in order.
///
/// # Errors
/// Where a line is none of those that a transcript has, or is not where it belongs.
pub fn parse(text: &str) -> Result<Vec<Exchange>, TranscriptError> {
    let mut reader = Reader::new(taps_of(text));
    for (number, line) in text.lines().enumerate() {
        reader.line(line).map_err(|what| TranscriptError { line: number + 1, what })?;
    }
    reader.finish().map_err(|what| TranscriptError { line: text.lines().count(), what })
}

/// Reads what the operator said of the service, which holds for all exchanges of a transcript.
///
/// # Errors
/// Where a `* given` line gives nothing that can be given.
pub fn given(text: &str) -> Result<Given, TranscriptError> {
    let mut given = Given::default();
    for (number, line) in text.lines().enumerate() {
        let Some(rest) = line.strip_prefix("* given ") else { continue };
        give(&mut given, rest.trim()).map_err(|what| TranscriptError { line: number + 1, what })?;
    }
    Ok(given)
}

fn give(given: &mut Given, text: &str) -> Result<(), String> {
    let (word, value) = text.split_once(' ').ok_or("what is given has a value")?;
    let keys = |from: &str, set| GivenKeys { from: from.to_owned(), set: Some(set), fetched: None, is_secret: false };
    match word {
        "issuer" => given.issuers.push(value.to_owned()),
        "audience" => given.audiences.push(value.to_owned()),
        "public-url" => given.public_url = Some(value.to_owned()),
        "keys" => {
            let set = KeySet::parse(value.as_bytes()).map_err(|error| error.to_string())?;
            given.keys.push(keys("https://login.example/keys", set));
        }
        "secret" => {
            let set = KeySet::shared_secret(value.as_bytes());
            given.keys.push(GivenKeys { is_secret: true, ..keys("secret.txt", set) });
        }
        _ => return Err(format!("`{word}` is nothing that is given")),
    }
    Ok(())
}

/// Reads line by line; what is said of one exchange holds for the next as well.
struct Reader {
    done: Vec<Exchange>,
    request: Option<Part>,
    response: Option<Part>,
    unanswered: bool,
    outcome: Option<Outcome>,
    time: Timestamp,
    is_time_set: bool,
    client: ClientSide,
    tap: Arc<Tap>,
    /// The taps by name, in the order of the path, each with its client's side while another one is written about.
    taps: Vec<(String, ClientSide)>,
    announced: bool,
    edited_host: Option<String>,
    upstream_addr: Option<SocketAddr>,
}

impl Reader {
    fn new(taps: Vec<String>) -> Self {
        // 2026-11-24T12:00:00Z.
        let time = Timestamp::from_second(1_795_521_600).unwrap_or(Timestamp::UNIX_EPOCH);
        let addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), FIRST_PORT).into();
        let client = ClientSide { addr, announced: None, connection: 1, tls: None };
        // Connections are numbered over all taps.
        let taps = taps.into_iter().zip((1..).step_by(1000));
        let taps: Vec<_> = taps.map(|(name, connection)| (name, ClientSide { connection, ..client.clone() })).collect();
        Reader {
            done: Vec::new(),
            request: None,
            response: None,
            unanswered: false,
            outcome: None,
            time,
            is_time_set: true,
            client,
            tap: Arc::new(tap("http://127.0.0.1:3000")),
            taps,
            announced: true,
            edited_host: None,
            upstream_addr: None,
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut chars = line.chars();
        let (mark, rest) = (chars.next(), chars.as_str());
        match mark {
            None => Ok(()),
            Some('>') => {
                if self.response.is_some() || self.unanswered {
                    self.end()?;
                }
                self.request.get_or_insert_default().line(rest)
            }
            Some('<') if self.request.is_none() => Err("an answer without a request before it".into()),
            Some('<') => self.response.get_or_insert_default().line(rest),
            Some('*') => {
                if self.response.is_some() {
                    self.end()?;
                }
                self.directive(rest.trim())
            }
            Some(_) => Err("a line begins with >, < or *".into()),
        }
    }

    fn directive(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("time", _) => {
                self.time = rest.parse().map_err(|_| format!("`{rest}` is not a time of RFC 3339"))?;
                self.is_time_set = true;
            }
            ("later", _) => {
                let by = seconds(rest).ok_or_else(|| format!("`{rest}` is not a duration such as 3s, 5m or 2h"))?;
                self.advance(by);
            }
            ("client", "announced" | "announced tls" | "announced plain") => {
                let by = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), FIRST_PORT).into();
                let tls = rest.strip_prefix("announced ").map(|word| word == "tls");
                self.client.announced = Some(Arc::new(Announced { version: "v2", by, tls }));
            }
            ("client", "tls") => self.client.tls = Some(Arc::new(tls(false))),
            ("client", "tls certificate") => self.client.tls = Some(Arc::new(tls(true))),
            ("client", "plain") => self.client.tls = None,
            // Known by the version in the request line; the directive is for readers.
            ("client", "h2") => {}
            ("client", "unix") => {
                self.client.addr = Endpoint::unnamed();
                self.new_connection();
            }
            ("client", _) => {
                let addr = rest.strip_prefix("addr ").and_then(|addr| addr.trim().parse::<IpAddr>().ok());
                let addr = addr.ok_or_else(|| format!("`{rest}` is nothing that a client can be"))?;
                self.client.addr = SocketAddr::new(addr, self.port()).into();
                self.new_connection();
            }
            ("upstream", url) if url.starts_with("http://") || url.starts_with("https://") => {
                self.tap = Arc::new(Tap { name: self.tap.name.clone(), position: self.tap.position, ..tap(url) });
            }
            ("upstream", _) if rest.starts_with("addr ") => {
                let addr = rest.strip_prefix("addr ").and_then(|addr| addr.trim().parse().ok());
                self.upstream_addr = Some(addr.ok_or_else(|| format!("`{rest}` is no address with a port"))?);
            }
            ("new", "connection") => self.new_connection(),
            ("tap", name) => self.go_to(name)?,
            ("edited", _) => {
                let host = rest.strip_prefix("host ").ok_or_else(|| format!("`{rest}` is nothing that a tap edits"))?;
                self.edited_host = Some(host.trim().to_owned());
            }
            // Read by [`given`]; it holds for all exchanges.
            ("given", _) => {}
            ("unannounced", "") => self.announced = false,
            ("unanswered", "") => self.unanswered = true,
            ("outcome", _) => self.outcome = Some(outcome(rest)?),
            _ => return Err(format!("`{text}` is not a directive")),
        }
        Ok(())
    }

    /// What follows was seen at another tap.
    fn go_to(&mut self, name: &str) -> Result<(), String> {
        let at = self.taps.iter().position(|(known, _)| known == name).ok_or("a tap has a name")?;
        if let Some((_, client)) = self.taps.iter_mut().find(|(known, _)| *known == self.tap.name) {
            *client = self.client.clone();
        }
        if let Some((_, client)) = self.taps.get(at) {
            self.client = client.clone();
        }
        let position = Position { index: at, of: self.taps.len() };
        self.tap = Arc::new(Tap { name: name.to_owned(), position, ..tap(&self.tap.upstream_url) });
        Ok(())
    }

    /// Which request the exchange that ends now is at the other taps.
    fn path(&mut self, id: Ulid) -> OnPath {
        let index = self.tap.position.index;
        let is_announced = std::mem::replace(&mut self.announced, true);
        let mut path = OnPath::first(id);
        path.is_announced = !self.tap.position.is_last();
        if index > 0 && is_announced {
            let before = self.done.iter().rev().find(|exchange| exchange.tap.position.index + 1 == index);
            if let Some(before) = before {
                path.id = before.path.id;
                path.parent = Some(before.id);
            }
        }
        path
    }

    fn port(&self) -> u16 {
        self.client.addr.tcp().map_or(FIRST_PORT, |addr| addr.port())
    }

    fn new_connection(&mut self) {
        self.client.connection += 1;
        let port = self.port().checked_add(1).unwrap_or(FIRST_PORT);
        if let Endpoint::Tcp(addr) = &mut self.client.addr {
            addr.set_port(port);
        }
    }

    fn advance(&mut self, by: Duration) {
        self.time = self.time.checked_add(by).unwrap_or(self.time);
        self.is_time_set = true;
    }

    /// Makes an exchange of what was read.
    fn end(&mut self) -> Result<(), String> {
        let Some(part) = self.request.take() else { return Ok(()) };
        let answer = self.response.take();
        // A later tap sees a request a moment after the one before it.
        let depth = self.tap.position.index;
        if !std::mem::take(&mut self.is_time_set) && depth == 0 {
            self.advance(Duration::from_secs(1));
            self.is_time_set = false;
        }
        let delay = u64::try_from(depth).unwrap_or_default().min(4);
        let time = self.time.checked_add(Duration::from_millis(delay)).unwrap_or(self.time);
        let (head, mut lost) = part.read(Direction::Request, Answers::Other)?;
        let line = head.request_line();
        let answers = match line.method {
            b"HEAD" => Answers::Head,
            b"CONNECT" => Answers::Connect,
            _ => Answers::Other,
        };
        let version = Version::of_token(line.version);
        let is_form =
            head.value("content-type").is_some_and(|value| value.starts_with(b"application/x-www-form-urlencoded"));
        let mut why = lost.take().map(|why| Unfollowed { direction: Direction::Request, why });
        let response = match answer {
            Some(answer) if !self.unanswered => {
                let (response, lost) = response(&answer, &head, answers)?;
                why = why.or(lost.map(|why| Unfollowed { direction: Direction::Response, why }));
                Capture::Seen(response)
            }
            _ => Capture::NotReached,
        };
        let outcome = match (self.outcome.take(), &response, &why) {
            (Some(outcome), ..) => outcome,
            (None, _, Some(_)) => Outcome::Unfollowed,
            (None, Capture::Seen(response), _) if response.status == 101 => Outcome::Upgraded,
            (None, Capture::Seen(_), _) => Outcome::Complete,
            (None, ..) => Outcome::ClientGone,
        };
        let is_whole = why.is_none() && matches!(outcome, Outcome::Complete);
        let number = self.done.len() as u128 + 1;
        let id = Ulid::from_parts(time.as_millisecond().unsigned_abs(), number);
        let path = self.path(id);
        let from = head.value("host").map(super::text).unwrap_or_default();
        let edit = |to: String| Edit {
            what: "host",
            from: from.into(),
            to: to.into(),
            why: "the upstream is not on loopback",
        };
        let edits = self.edited_host.take().map(edit).into_iter().collect();
        self.done.push(Exchange {
            id,
            time,
            path,
            tap: self.tap.clone(),
            client: self.client.clone(),
            upstream: UpstreamSide {
                addr: self.upstream_addr.map(Endpoint::from),
                connection: Some(self.client.connection),
                reused: false,
                tls: self.tap.upstream_url.starts_with("https://").then(|| Arc::new(tls(true))),
            },
            request: Request {
                authority: part.authority(),
                body: part.request_body(&head, is_form, is_whole),
                trailers: part.read_trailers(),
                head,
                version,
            },
            response,
            edits,
            timing: Timing { total: Duration::from_millis(10 - 2 * delay), ..Timing::default() },
            outcome,
            lost: why,
        });
        self.unanswered = false;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Exchange>, String> {
        self.end()?;
        if self.done.is_empty() { Err("there is no exchange".into()) } else { Ok(self.done) }
    }
}

fn response(part: &Part, request: &RawHead, answers: Answers) -> Result<(Response, Option<Lost>), String> {
    let (head, lost) = part.read(Direction::Response, answers)?;
    let status = head.status().ok_or("the answer has no status code")?;
    let response = Response {
        status,
        version: Version::of_token(head.status_version()),
        interim: Vec::new(),
        interim_count: 0,
        body: part.body(kept_of_answer(request, &head, status) > 0),
        trailers: part.read_trailers(),
        by_tap: false,
        head,
    };
    Ok((response, lost))
}

/// The taps that a transcript names, in order.
fn taps_of(text: &str) -> Vec<String> {
    let mut taps: Vec<String> = Vec::new();
    for name in text.lines().filter_map(|line| line.strip_prefix("* tap ")).map(str::trim) {
        if !taps.iter().any(|known| known == name) {
            taps.push(name.to_owned());
        }
    }
    taps
}

fn tap(url: &str) -> Tap {
    Tap {
        name: "tap".to_owned(),
        listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080).into(),
        upstream_url: url.to_owned(),
        position: Position::ALONE,
    }
}

fn tls(peer_certificate: bool) -> Tls {
    Tls { version: "TLSv1.3", alpn: None, server_name: None, peer_certificate, verified: peer_certificate }
}

fn seconds(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(factor)?.min(10 * 366 * 86_400)))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "complete" => Ok(Outcome::Complete),
        "upgraded" => Ok(Outcome::Upgraded),
        "client-gone" => Ok(Outcome::ClientGone),
        "unfollowed" => Ok(Outcome::Unfollowed),
        "stopped" => Ok(Outcome::Stopped),
        "upstream-failed" => {
            let (step, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let known = STEPS.iter().find(|known| known.id() == step);
            let step = *known.ok_or_else(|| format!("`{step}` is not a step towards an answer"))?;
            Ok(Outcome::UpstreamFailed(Failure { step, reason: reason.to_owned() }))
        }
        _ => Err(format!("`{word}` is not an outcome")),
    }
}

const STEPS: [Step; 9] = [
    Step::Dns,
    Step::Connect,
    Step::ConnectTimeout,
    Step::Tls,
    Step::Send,
    Step::Closed,
    Step::Reset,
    Step::ResponseTimeout,
    Step::Malformed,
];

#[cfg(test)]
mod tests;
