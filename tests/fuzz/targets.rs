//! What holds of every input, whatever it is: what the fuzzers run, and what `tests/fuzz_corpus.rs` replays.

use authtap::auth::{FingerprintKey, parse_challenges, parse_credentials, parse_jwt};
use authtap::diagnose::Diagnoser;
use authtap::exchange::record::Record;
use authtap::exchange::record::read::Read;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{Exchange, View, har, transcript};
use authtap::hops::trace::{HopHeader, HopKey, Way};
use authtap::sinks::recorded;
use authtap::wire::framer::Answers;
use authtap::wire::proxy_header::{self, Announced, Reading};
use authtap::wire::{Framer, RawHead, Step};
use bytes::Bytes;

/// A name, and what is done with an input.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: [Target; 9] = [
    ("framer", framer),
    ("challenge", challenge),
    ("credentials", credentials),
    ("jwt", jwt),
    ("har", archive),
    ("record", record),
    ("hop_header", hop_header),
    ("proxy_protocol", proxy_protocol),
    ("exchange", exchange),
];

/// Every start of a header is a start of one, what is none stays none, what stands behind it changes nothing, and what it says
/// can be said again.
pub(crate) fn proxy_protocol(input: &[u8]) {
    let whole = proxy_header::read(input);
    let mut earlier = Reading::More;
    for cut in 0..input.len().min(600) {
        let now = proxy_header::read(&input[..cut]);
        if earlier != Reading::More {
            assert!(
                now == earlier || matches!((&now, &earlier), (Reading::Wrong(_), Reading::Wrong(_))),
                "{cut} bytes"
            );
        }
        earlier = now;
    }
    match (&whole, &earlier) {
        (_, Reading::More) | (Reading::Wrong(_), Reading::Wrong(_)) => {}
        (whole, earlier) => assert_eq!(whole, earlier, "what is behind it is not of it"),
    }
    let Reading::Whole(found) = whole else { return };
    assert!(found.length <= input.len().min(proxy_header::V2_LIMIT));
    if let Announced::Tcp { source, destination } = found.client {
        let written = proxy_header::written(found.version, Some((source, destination)));
        let Reading::Whole(again) = proxy_header::read(&written) else { panic!("what was written is not read") };
        let plain = |addr: std::net::SocketAddr| std::net::SocketAddr::new(addr.ip().to_canonical(), addr.port());
        if source.ip().to_canonical().is_ipv4() == destination.ip().to_canonical().is_ipv4() {
            let client = Announced::Tcp { source: plain(source), destination: plain(destination) };
            assert_eq!(again.client, client, "it is read as another one");
        }
    }
}

/// Large enough for most heads of a corpus, and small enough that some are cut.
const HEAD_LIMIT: usize = 4096;

/// A stream gives the same messages whole, byte by byte, and in pieces that the input chooses.
pub(crate) fn framer(input: &[u8]) {
    let Some((&choice, stream)) = input.split_first() else { return };
    let new = || match choice & 1 {
        0 => Framer::of_requests(HEAD_LIMIT),
        _ => Framer::of_responses(HEAD_LIMIT),
    };
    let answers = match choice >> 1 & 3 {
        0 => Answers::Nothing,
        1 => Answers::Head,
        _ => Answers::Connect,
    };
    let whole = steps(new(), &[stream], answers);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(whole, steps(new(), &bytes, answers), "byte by byte it is another stream");
    let size = usize::from(choice >> 3) + 2;
    let pieces: Vec<&[u8]> = stream.chunks(size).collect();
    assert_eq!(whole, steps(new(), &pieces, answers), "in pieces it is another stream");
    let mut expecting = new();
    expecting.expect(first_head(new(), stream, answers));
    assert_eq!(whole, steps(expecting, &[stream], answers), "expected, it is another stream");
}

fn first_head(mut framer: Framer, mut stream: &[u8], answers: Answers) -> Option<RawHead> {
    loop {
        match framer.next(&mut stream, answers) {
            Step::More => return None,
            Step::Head(head) | Step::Interim(head) => return Some(head),
            _ => {}
        }
    }
}

/// What was found, in words; bodies by their bytes, joined.
fn steps(mut framer: Framer, pieces: &[&[u8]], answers: Answers) -> Vec<(&'static str, Vec<u8>)> {
    let mut found: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let mut add = |name: &'static str, bytes: &[u8]| match found.last_mut() {
        Some((last, known)) if *last == name && matches!(name, "body" | "opaque" | "undecided") => {
            known.extend_from_slice(bytes);
        }
        _ => found.push((name, bytes.to_vec())),
    };
    for piece in pieces {
        let mut input = *piece;
        loop {
            match framer.next(&mut input, answers) {
                Step::More => break,
                Step::Head(head) => add("head", head.start_line()),
                Step::Interim(head) => add("interim", head.start_line()),
                Step::Body(bytes) => add("body", bytes),
                Step::Trailers(head) => add("trailers", head.size().to_string().as_bytes()),
                Step::End => add("end", &[]),
                Step::Lost(why) => add("lost", why.id().as_bytes()),
                Step::Opaque(bytes) => add("opaque", bytes),
                Step::Undecided(bytes) => add("undecided", bytes),
            }
        }
    }
    found
}

/// Each defect lies inside of the value.
pub(crate) fn challenge(value: &[u8]) {
    let read = parse_challenges(value);
    let of_each = read.challenges.iter().flat_map(|challenge| &challenge.defects);
    for defect in read.defects.iter().chain(of_each) {
        assert!(defect.at <= value.len(), "a defect at {} of {}", defect.at, value.len());
    }
}

/// The secret and each defect lie inside of the value, and the masked value does not have the secret in it.
pub(crate) fn credentials(value: &[u8]) {
    let read = parse_credentials(&Bytes::copy_from_slice(value));
    assert!(read.secret_at <= value.len() && read.secret.len() <= value.len());
    for defect in &read.defects {
        assert!(defect.at <= value.len(), "a defect at {} of {}", defect.at, value.len());
    }
    let shown = redactor().field(b"Authorization", value);
    if let Ok(secret) = std::str::from_utf8(read.secret.expose()) {
        // What is as short as a word may stand in the mark itself.
        assert!(secret.len() < 24 || !shown.contains(secret), "the secret is shown");
    }
}

/// Each defect lies inside of the token.
pub(crate) fn jwt(token: &[u8]) {
    let read = parse_jwt(token);
    for defect in &read.defects {
        assert!(defect.at <= token.len(), "a defect at {} of {}", defect.at, token.len());
    }
}

/// Whatever can be read of an archive can be diagnosed and recorded.
pub(crate) fn archive(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    tell(har::read(text).map(|archive| archive.exchanges).unwrap_or_default());
}

/// A record is read, or it is said why not.
pub(crate) fn record(line: &[u8]) {
    let Ok(line) = std::str::from_utf8(line) else { return };
    match Read::of_line(line) {
        Ok(read) => read.request.credentials.iter().for_each(|credential| drop(credential.label())),
        Err(why) => assert!(!why.is_empty()),
    }
}

/// What has no mac of ours is not believed, and what was sealed is read as it was.
pub(crate) fn hop_header(value: &[u8]) {
    let key = HopKey::from_bytes(b"a key that no input has been made with");
    for way in [Way::Request, Way::Answer] {
        assert!(key.open(value, way).is_err(), "a value was believed that nobody sealed");
        let Some(header) = HopHeader::believed(value, way) else { continue };
        let sealed = key.seal(&header);
        assert!(key.open(sealed.as_bytes(), way).is_ok() || sealed.len() > value.len(), "what was sealed is not read");
    }
}

/// Requests and answers of any form can be diagnosed and recorded.
pub(crate) fn exchange(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    tell(transcript::parse(text).unwrap_or_default());
}

fn redactor() -> Redactor {
    Redactor::new(FingerprintKey::from_bytes(b"fuzz"), [])
}

fn tell(exchanges: Vec<Exchange>) {
    let redactor = redactor();
    let mut diagnoser = Diagnoser::default();
    for exchange in &exchanges {
        let view = View::new(exchange, &redactor);
        let diagnosis = diagnoser.diagnose(&view);
        assert!(diagnosis.failed.is_empty(), "{:?} broke", diagnosis.failed);
        let line = Record::new(&view, recorded(diagnosis.verdict(), &diagnosis.findings), Vec::new()).to_line();
        let line = std::str::from_utf8(&line).unwrap_or_else(|error| panic!("a record is no text: {error}"));
        assert_eq!(line.trim_end_matches('\n').lines().count(), 1, "a record is not one line");
        if let Err(why) = Read::of_line(line) {
            panic!("a record can't be read again: {why}");
        }
    }
}
