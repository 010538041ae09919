//! Parts of records that come again and again. The ends of a connection are the same for all that passes over it, and who asks
//! many times in a second sends the same head each time and mostly gets the same one back.
//!
//! What is kept is found by all that it was made of: of a head by its number, of all the rest byte by byte. Where that is more
//! than a head and the start of a body, nothing is kept.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::exchange::known_heads::KnownHead;
use crate::exchange::recall::LONGEST;
use crate::exchange::recalled::{Kept, PartOf};
use crate::exchange::redact::Redactor;
use crate::exchange::{ClientSide, Endpoint, Request, Response, Tls, UpstreamSide};

/// What a part of a record is made of.
pub(super) struct Source {
    /// All that goes into it.
    key: Vec<u8>,
    /// How many bytes a number in the key stands for.
    size: usize,
    /// Whether it is known that all of it came before.
    is_sure: bool,
}

impl Source {
    /// What may come again or not.
    fn of(key: Vec<u8>) -> Self {
        Source { key, size: 0, is_sure: false }
    }
}

/// A part of a record.
pub enum Part<T> {
    /// As it was made for this record.
    Made(T),
    /// As it was made for an earlier one.
    Kept(Arc<Kept>),
}

impl<T: Serialize> Part<T> {
    /// What was kept of the part, or else what `make` makes.
    pub(super) fn new(redactor: &Redactor, of: PartOf, source: Option<Source>, make: impl FnOnce() -> T) -> Self {
        let Some(Source { key, size, is_sure }) = source else { return Part::Made(make()) };
        if let Some(kept) = redactor.recall_part(of, &key) {
            return Part::Kept(kept);
        }
        let made = make();
        redactor.note_part(of, &key, size, is_sure, &made);
        Part::Made(made)
    }

    /// The number of what was kept.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Part::Made(_) => None,
            Part::Kept(kept) => Some(kept.number),
        }
    }
}

impl<T: Serialize> Serialize for Part<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Made(part) => part.serialize(serializer),
            Part::Kept(kept) => kept.json.serialize(serializer),
        }
    }
}

/// All that goes into what a record says of the client's end; `None` where more does than is usual.
pub(super) fn source_of_client(client: &ClientSide) -> Option<Source> {
    let mut key = Vec::with_capacity(64);
    put_addr(&mut key, Some(&client.addr).filter(|_| client.announced.is_none()))?;
    key.extend_from_slice(&client.connection.to_ne_bytes());
    put_tls(&mut key, client.tls.as_deref());
    Some(Source::of(key))
}

/// All that goes into what a record says of the upstream's end; `None` where more does than is usual.
pub(super) fn source_of_upstream(url: &str, upstream: &UpstreamSide) -> Option<Source> {
    let mut key = Vec::with_capacity(128);
    put_addr(&mut key, upstream.addr.as_ref())?;
    key.extend_from_slice(&upstream.connection?.to_ne_bytes());
    key.push(u8::from(upstream.reused));
    put_text(&mut key, Some(url));
    put_tls(&mut key, upstream.tls.as_deref());
    Some(Source::of(key))
}

fn put_addr(key: &mut Vec<u8>, addr: Option<&Endpoint>) -> Option<()> {
    let addr = addr?.tcp()?;
    match addr {
        SocketAddr::V4(addr) => {
            key.push(4);
            key.extend_from_slice(&addr.ip().octets());
        }
        SocketAddr::V6(addr) => {
            key.push(6);
            key.extend_from_slice(&addr.ip().octets());
            key.extend_from_slice(&addr.scope_id().to_ne_bytes());
        }
    }
    key.extend_from_slice(&addr.port().to_ne_bytes());
    Some(())
}

fn put_tls(key: &mut Vec<u8>, tls: Option<&Tls>) {
    let Some(tls) = tls else { return };
    put_text(key, Some(tls.version));
    put_text(key, tls.alpn.as_deref());
    put_text(key, tls.server_name.as_deref());
    key.extend([u8::from(tls.peer_certificate), u8::from(tls.verified)]);
}

fn put_text(key: &mut Vec<u8>, text: Option<&str>) {
    key.push(u8::from(text.is_some()));
    let text = text.unwrap_or_default();
    key.extend_from_slice(&text.len().to_ne_bytes());
    key.extend_from_slice(text.as_bytes());
}

/// All that goes into what a record says of a request; `None` where that is more than is worth comparing.
pub(super) fn source_of_request(head: &KnownHead, request: &Request) -> Option<Source> {
    let is_simple = request.trailers.is_none() && request.body.start.is_none();
    let mut key = is_simple.then(|| Vec::with_capacity(64))?;
    key.extend_from_slice(&head.number.to_ne_bytes());
    key.push(request.version as u8);
    key.extend_from_slice(&request.body.size.to_ne_bytes());
    put_text(&mut key, request.authority.as_deref());
    // The same head may come with bodies of any size where it does not say which.
    let is_sure = request.body.size == 0 || request.head.has("content-length");
    Some(Source { key, size: request.head.as_received().len(), is_sure })
}

/// All that goes into what a record says of the answer to a request that was kept under that number: what the server sends
/// back of the request's secrets is masked. `None` where that is more than is worth comparing.
pub(super) fn source_of_response(request: u64, head: &KnownHead, response: &Response) -> Option<Source> {
    let start = response.body.start.as_deref();
    let is_simple = response.trailers.is_none()
        && response.interim_count == 0
        && !response.by_tap
        && !response.body.is_unpacked
        && start.is_none_or(|start| start.len() <= LONGEST);
    let mut key = is_simple.then(|| Vec::with_capacity(64 + start.map_or(0, <[u8]>::len)))?;
    key.extend_from_slice(&head.number.to_ne_bytes());
    key.push(response.version as u8);
    key.extend_from_slice(&request.to_ne_bytes());
    key.extend_from_slice(&response.body.size.to_ne_bytes());
    if let Some(start) = start {
        key.push(1);
        key.extend_from_slice(start);
    }
    Some(Source { key, size: response.head.as_received().len(), is_sure: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::record::{Diagnosis, Record};
    use crate::exchange::{View, transcript};

    fn record(redactor: &Redactor, text: &str) -> (Option<u64>, Option<u64>, String) {
        let exchange = transcript::parse(text).unwrap().remove(0);
        let view = View::new(&exchange, redactor);
        let record = Record::new(&view, Diagnosis { verdict: "ok", findings: Vec::new() }, Vec::new());
        let numbers = (record.request.number(), record.response.as_ref().and_then(Part::number));
        (numbers.0, numbers.1, String::from_utf8(record.to_line()).unwrap())
    }

    fn redactor() -> Redactor {
        Redactor::new(FingerprintKey::from_bytes(b"what came before"), [])
    }

    fn exchange(token: &str, answer: &str) -> String {
        format!("> GET /orders HTTP/1.1\n> Host: api.example\n> Authorization: Bearer {token}\n{answer}")
    }

    #[test]
    fn both_parts_are_kept_when_they_come_again() {
        let redactor = redactor();
        let text = exchange("abcdefghijklmnop", "< HTTP/1.1 200 OK\n< Server: orders\n");
        let times: Vec<_> = (0..6).map(|_| record(&redactor, &text)).collect();
        let is_kept = |at: usize| (times[at].0.is_some(), times[at].1.is_some());
        assert_eq!(
            [0, 1, 2, 3, 4].map(is_kept),
            [(false, false), (false, false), (true, false), (true, false), (true, true)]
        );
        assert!(times.iter().all(|time| time.2 == times[0].2));
        redactor.forget();
        assert_eq!(record(&redactor, &text).0, None);
    }

    #[test]
    fn an_answer_is_kept_for_its_request_alone() {
        let redactor = redactor();
        // What is nobody's secret to the first client is the second one's.
        let answer = "< HTTP/1.1 200 OK\n< Server: abcdefghijklmnop\n";
        for _ in 0..6 {
            let (_, _, line) = record(&redactor, &exchange("another-token-of-somebody", answer));
            assert!(line.contains("abcdefghijklmnop"), "{line}");
        }
        for _ in 0..6 {
            let (_, _, line) = record(&redactor, &exchange("abcdefghijklmnop", answer));
            assert!(!line.contains("abcdefghijklmnop"), "{line}");
        }
    }

    #[test]
    fn what_is_not_told_of_is_no_difference() {
        let redactor = redactor();
        let numbers: Vec<_> = (0..3)
            .map(|time| {
                let text = format!("> GET / HTTP/1.1\n> Host: api.example\n> Authtap-Hop: {time}\n< HTTP/1.1 200 OK\n");
                let mut exchange = transcript::parse(&text).unwrap().remove(0);
                exchange.request.head.forget("authtap-hop");
                let view = View::new(&exchange, &redactor);
                let record = Record::new(&view, Diagnosis { verdict: "ok", findings: Vec::new() }, Vec::new());
                let number = record.request.number();
                assert!(!String::from_utf8(record.to_line()).unwrap().contains("uthtap-"));
                number
            })
            .collect();
        assert!(numbers[0].is_none() && numbers[1].is_none() && numbers[2].is_some(), "{numbers:?}");
        // The same bytes, of which all is told.
        let whole = "> GET / HTTP/1.1\n> Host: api.example\n> Authtap-Hop: 2\n< HTTP/1.1 200 OK\n";
        assert!(record(&redactor, whole).2.contains("Authtap-Hop"));
    }

    #[test]
    fn what_differs_is_told_as_it_is() {
        let redactor = redactor();
        let refused = |error: &str| {
            exchange(
                "abcdefghijklmnop",
                &format!("< HTTP/1.1 401 Unauthorized\n< Content-Type: text/plain\n<\n< {error}\n"),
            )
        };
        for error in ["expired", "revoked"] {
            for _ in 0..6 {
                assert!(record(&redactor, &refused(error)).2.contains(error), "{error}");
            }
        }
        let (status, other) = ("< HTTP/1.1 200 OK\n", "< HTTP/1.1 204 No Content\n");
        (0..6).for_each(|_| drop(record(&redactor, &exchange("abcdefghijklmnop", status))));
        assert!(record(&redactor, &exchange("abcdefghijklmnop", other)).2.contains("\"status\":204"));
        // Without an answer, nothing of an earlier one is told.
        assert!(record(&redactor, &exchange("abcdefghijklmnop", "")).2.contains("\"response\":null"));
    }

    #[test]
    fn what_is_shown_for_a_time_is_not_kept_beyond_it() {
        let mut redactor = redactor().show_everything();
        let text = exchange("abcdefghijklmnop", "< HTTP/1.1 200 OK\n");
        for _ in 0..6 {
            assert!(record(&redactor, &text).2.contains("abcdefghijklmnop"));
        }
        redactor.show_no_more();
        assert!(!record(&redactor, &text).2.contains("abcdefghijklmnop"));
    }
}
