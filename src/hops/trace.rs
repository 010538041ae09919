//! The hop header: how a tap tells the next one which request this is, and what it looked like before the hop.
//!
//! ```text
//! Authtap-Hop: 1;01KAVM3C8Q2Y4T7N5Z6X9W1R0B;-;edge;1.1;-;oX8s…
//!
//! request   = "1" ";" path ";" exchange ";" tap ";" version ";" fields ";" mac
//! answer    = "1" ";" path ";" exchange ";" tap ";" version ";" fields ";" status ";" version ";" fields ";" mac
//! path      = 26 digits of a ULID         ; the request's exchange at the first tap
//! exchange  = "-" / 26 digits of a ULID   ; its exchange at the tap that wrote this; "-" where that is the first one
//! tap       = 1*32( ALPHA / DIGIT / "-" / "_" / "." )
//! version   = "1.0" / "1.1" / "2" / "-"  ; the protocol in which the message came
//! fields    = "-" / field *( "," field ) [ ",+" ]     ; "+" where not all had room
//! field     = name ":" print ":" length [ ":" scheme ":" print ]
//! print     = 8HEXDIG                     ; a keyed fingerprint of the value, or of the secret behind the scheme
//! mac       = 43 digits of base64url      ; BLAKE3, keyed, of "request " or "answer " and all that stands before
//! ```
//!
//! Within one process the fields are left out, since both taps have the exchange itself, and the key is random. Between
//! machines both have the key of `--hop-key-file`. The value has at most [`LONGEST`] bytes. It holds no secret: a
//! fingerprint is of no use to who does not have the key, and the length of a short value is not told.
//!
//! A header is believed for [`WINDOW`] after it was made, by the clocks of both machines, and no more than
//! [`REPEATS`] times, since a gateway may try a request again. What is missing, altered, too old or repeated too often
//! is taken off all the same.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ulid::Ulid;
use zeroize::Zeroize;

use super::digest::{self, DigestField};
use crate::auth::FingerprintKey;
use crate::exchange::Version;

/// The most bytes that a value has.
pub const LONGEST: usize = 1024;

/// How far the clocks of two machines, and the way between them, may be apart.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How many requests may come with one header: a gateway tries again, an eavesdropper does so more often.
pub const REPEATS: u8 = 4;

/// Headers that are remembered in each half of the window. When there are more, the half ends early.
const REMEMBERED: usize = 131_072;

/// The most bytes that the fields of one message have in a value: what is left goes to the frame around them.
const FIELDS_OF_REQUEST: usize = 820;
const FIELDS_IN_ANSWER: usize = 400;

/// The key under which taps believe each other. It has no `Debug` and is wiped when dropped.
pub struct HopKey {
    mac: [u8; 32],
    fingerprints: FingerprintKey,
}

impl Drop for HopKey {
    fn drop(&mut self) {
        self.mac.zeroize();
    }
}

impl HopKey {
    /// A fresh key, for the taps of one process.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut material = [0; 32];
        getrandom::fill(&mut material)?;
        let key = Self::from_bytes(&material);
        material.zeroize();
        Ok(key)
    }

    /// The key made of what an operator has put into a file, of any length.
    pub fn from_bytes(material: &[u8]) -> Self {
        HopKey {
            mac: blake3::derive_key("authtap 2026 authentication of hop headers", material),
            fingerprints: FingerprintKey::from_bytes(&blake3::derive_key(
                "authtap 2026 fingerprints in hop headers",
                material,
            )),
        }
    }

    /// The key of the fingerprints in hop headers: equal on all machines that have the key, whatever their other
    /// fingerprints are keyed with.
    pub fn fingerprints(&self) -> &FingerprintKey {
        &self.fingerprints
    }

    fn mac(&self, way: Way, text: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.mac);
        hasher.update(way.context());
        hasher.update(text.as_bytes());
        hasher.finalize()
    }

    /// A value with its mac.
    pub fn seal(&self, header: &HopHeader) -> String {
        let mut text = header.text();
        let mac = self.mac(header.way(), &text);
        text.push(';');
        URL_SAFE_NO_PAD.encode_string(mac.as_bytes(), &mut text);
        text
    }

    /// What a genuine value says.
    ///
    /// # Errors
    /// Why it is not believed, in words.
    pub fn open(&self, value: &[u8], way: Way) -> Result<HopHeader, Distrust> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST).ok_or(Distrust::Malformed)?;
        let (text, mac) = text.rsplit_once(';').ok_or(Distrust::Malformed)?;
        let mut bytes = [0; 32];
        let size = URL_SAFE_NO_PAD.decode_slice(mac, &mut bytes).map_err(|_| Distrust::Malformed)?;
        // Hashes are compared in constant time.
        if size != bytes.len() || self.mac(way, text) != blake3::Hash::from_bytes(bytes) {
            return Err(Distrust::NotOurs);
        }
        HopHeader::parse(text, way).ok_or(Distrust::Malformed)
    }
}

/// Which way a header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With a request, to the next tap.
    Request,
    /// With an answer, to the tap before.
    Answer,
}

impl Way {
    fn context(self) -> &'static [u8] {
        match self {
            Self::Request => b"request ",
            Self::Answer => b"answer ",
        }
    }
}

/// Why a header is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distrust {
    /// It does not have the form.
    Malformed,
    /// Its mac is not of our key: who wrote it does not have it, or somebody changed it.
    NotOurs,
    /// It was made too long ago, or the clocks are too far apart.
    OutOfTime,
    /// It came too often.
    Repeated,
    /// There is more than one.
    Several,
    /// It came to a tap that has none before it, so a client wrote it.
    Unexpected,
}

impl Distrust {
    /// Why, in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Malformed => "it is malformed",
            Self::NotOurs => "it is not authenticated by our key",
            Self::OutOfTime => "it is more than a minute old, or the clocks differ by more than that",
            Self::Repeated => "it came too often",
            Self::Several => "there were several",
            Self::Unexpected => "a client wrote it: there is no tap before this one",
        }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopHeader {
    /// The path's id.
    pub path: Ulid,
    /// The exchange at the tap that wrote it.
    pub exchange: Ulid,
    /// The name of that tap.
    pub tap: String,
    /// The version in which the request came to it.
    pub version: Version,
    /// What the tap saw of the request; nothing within one process.
    pub request: Vec<DigestField>,
    /// Whether all fields of the request that are told had room.
    pub is_whole: bool,
    /// What the tap saw of the answer, in the way back.
    pub answer: Option<AnswerDigest>,
}

/// What a header says of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerDigest {
    /// The status code.
    pub status: u16,
    /// The version in which it came.
    pub version: Version,
    /// Its fields.
    pub fields: Vec<DigestField>,
    /// Whether all fields that are told had room.
    pub is_whole: bool,
}

impl HopHeader {
    fn way(&self) -> Way {
        if self.answer.is_some() { Way::Answer } else { Way::Request }
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(128);
        // Writing to a String can't fail.
        let _ = write!(text, "1;{};", self.path);
        if self.exchange == self.path {
            text.push('-');
        } else {
            let _ = write!(text, "{}", self.exchange);
        }
        let tap: String = self.tap.chars().filter(|char| is_of_tap(*char)).take(32).collect();
        let _ = write!(text, ";{tap};{};", version_digits(self.version));
        let room = if self.answer.is_some() { FIELDS_IN_ANSWER } else { FIELDS_OF_REQUEST };
        digest::write(&mut text, &self.request, self.is_whole, room);
        if let Some(answer) = &self.answer {
            let _ = write!(text, ";{};{};", answer.status, version_digits(answer.version));
            digest::write(&mut text, &answer.fields, answer.is_whole, FIELDS_IN_ANSWER);
        }
        text
    }

    /// What a value says that was found to be genuine before.
    pub fn believed(value: &[u8], way: Way) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        Self::parse(text.rsplit_once(';')?.0, way)
    }

    fn parse(text: &str, way: Way) -> Option<Self> {
        let mut parts = text.split(';');
        (parts.next()? == "1").then_some(())?;
        let path = Ulid::from_string(parts.next()?).ok()?;
        let exchange = match parts.next()? {
            "-" => path,
            id => Ulid::from_string(id).ok()?,
        };
        let tap = parts.next().filter(|tap| (1..=32).contains(&tap.len()) && tap.chars().all(is_of_tap))?.to_owned();
        let version = version_of(parts.next()?);
        let (request, is_whole) = digest::read(parts.next()?)?;
        let answer = match way {
            Way::Request => None,
            Way::Answer => {
                let status = parts.next()?.parse().ok()?;
                let version = version_of(parts.next()?);
                let (fields, is_whole) = digest::read(parts.next()?)?;
                Some(AnswerDigest { status, version, fields, is_whole })
            }
        };
        parts.next().is_none().then_some(HopHeader { path, exchange, tap, version, request, is_whole, answer })
    }

    /// When its exchange began.
    fn time(&self) -> u64 {
        self.exchange.timestamp_ms()
    }
}

fn version_digits(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
        Version::Unknown => "-",
    }
}

fn version_of(digits: &str) -> Version {
    Version::of_token(format!("HTTP/{digits}").as_bytes())
}

fn is_of_tap(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
}

/// Remembers which headers came, for as long as they would be believed.
///
/// Two halves of a window are kept, so that an entry lives for one window at least. Each holds a bounded number; where
/// more requests pass, the older half goes early, and what could be repeated then is a header of a minute ago at most.
#[derive(Default)]
pub struct Arrivals {
    recent: HashMap<Ulid, u8>,
    older: HashMap<Ulid, u8>,
    turned: u64,
}

impl Arrivals {
    /// Notes that a header came, at `now`.
    ///
    /// # Errors
    /// [`Distrust::OutOfTime`] and [`Distrust::Repeated`].
    pub fn note(&mut self, header: &HopHeader, now: Timestamp) -> Result<(), Distrust> {
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let now = now.as_millisecond().unsigned_abs();
        if now.abs_diff(header.time()) > window {
            return Err(Distrust::OutOfTime);
        }
        // A header may come from as far in the future as in the past, so it has to be remembered for two windows.
        if now.saturating_sub(self.turned) > 2 * window || self.recent.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.recent);
            self.turned = now;
        }
        let before = self.older.get(&header.exchange).copied().unwrap_or_default();
        let count = self.recent.entry(header.exchange).or_default();
        *count = count.saturating_add(1);
        if before.saturating_add(*count) > REPEATS { Err(Distrust::Repeated) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Fingerprint;

    fn header(answer: bool) -> HopHeader {
        let field = |name: &str, scheme: Option<&str>| DigestField {
            name: name.to_owned(),
            fingerprint: Fingerprint::parse("0123abcd").unwrap(),
            length: 812,
            scheme: scheme.map(|scheme| (scheme.to_owned(), Fingerprint::parse("89abcdef").unwrap())),
        };
        let request = vec![field("Authorization", Some("Bearer")), field("Host", None)];
        let answered = AnswerDigest {
            status: 401,
            version: Version::Http2,
            fields: vec![field("WWW-Authenticate", None)],
            is_whole: true,
        };
        HopHeader {
            path: Ulid::from_parts(1_795_521_600_000, 1),
            exchange: Ulid::from_parts(1_795_521_600_000, 2),
            tap: "edge".to_owned(),
            version: Version::Http11,
            request,
            is_whole: false,
            answer: answer.then_some(answered),
        }
    }

    #[test]
    fn what_is_sealed_can_be_opened_with_the_key_alone() {
        let key = HopKey::from_bytes(b"a key file");
        for (answer, way, other) in [(false, Way::Request, Way::Answer), (true, Way::Answer, Way::Request)] {
            let header = header(answer);
            let value = key.seal(&header);
            assert_eq!(key.open(value.as_bytes(), way), Ok(header));
            assert_eq!(key.open(value.as_bytes(), other), Err(Distrust::NotOurs));
            let foreign = HopKey::from_bytes(b"another");
            assert_eq!(foreign.open(value.as_bytes(), way), Err(Distrust::NotOurs));
        }
    }

    #[test]
    fn nothing_that_was_changed_is_believed() {
        let key = HopKey::from_bytes(b"a key file");
        let value = key.seal(&header(true)).into_bytes();
        for at in 0..value.len() {
            for bit in [1, 2, 32] {
                let mut changed = value.clone();
                changed[at] ^= bit;
                assert!(key.open(&changed, Way::Answer).is_err(), "byte {at}");
            }
            assert!(key.open(&value[..at], Way::Answer).is_err(), "cut at {at}");
        }
        let mut longer = value.clone();
        longer.extend_from_slice(b"AA");
        assert!(key.open(&longer, Way::Answer).is_err());
    }

    #[test]
    fn no_value_is_longer_than_is_said() {
        let key = HopKey::from_bytes(b"a key file");
        let many = |name: &str| -> Vec<DigestField> {
            (0..200)
                .map(|number| DigestField {
                    name: format!("{name}-{number}"),
                    fingerprint: Fingerprint::parse("ffffffff").unwrap(),
                    length: usize::MAX,
                    scheme: Some(("Scheme".repeat(9), Fingerprint::parse("ffffffff").unwrap())),
                })
                .collect()
        };
        let mut long = header(true);
        long.tap = "t".repeat(100);
        long.request = many("x-request");
        long.answer =
            Some(AnswerDigest { status: 401, version: Version::Http11, fields: many("x-answer"), is_whole: true });
        let value = key.seal(&long);
        assert!(value.len() <= LONGEST, "{}", value.len());
        let opened = key.open(value.as_bytes(), Way::Answer).unwrap();
        assert!(!opened.is_whole && !opened.answer.unwrap().is_whole);
        long.answer = None;
        let value = key.seal(&long);
        assert!((LONGEST - 200..=LONGEST).contains(&value.len()), "{}", value.len());
    }

    #[test]
    fn within_one_process_it_is_small() {
        let id = Ulid::from_parts(1_795_521_600_000, 1);
        let header = HopHeader {
            path: id,
            exchange: id,
            tap: "edge".into(),
            version: Version::Http11,
            request: Vec::new(),
            is_whole: true,
            answer: None,
        };
        let value = HopKey::from_bytes(b"k").seal(&header);
        assert!(value.len() < 100, "{value}");
    }

    #[test]
    fn a_header_is_believed_for_a_while_and_a_few_times() {
        let header = header(false);
        let at = |seconds: i64| Timestamp::from_second(1_795_521_600 + seconds).unwrap();
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.note(&header, at(61)), Err(Distrust::OutOfTime));
        assert_eq!(arrivals.note(&header, at(-61)), Err(Distrust::OutOfTime));
        for _ in 0..REPEATS {
            assert_eq!(arrivals.note(&header, at(-59)), Ok(()));
        }
        for second in -59..=60 {
            assert_eq!(arrivals.note(&header, at(second)), Err(Distrust::Repeated), "{second}");
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut arrivals = Arrivals::default();
        let now = Timestamp::from_second(1_795_521_600).unwrap();
        for number in 0..3 * REMEMBERED as u128 {
            let mut header = header(false);
            header.exchange = Ulid::from_parts(1_795_521_600_000, number);
            assert_eq!(arrivals.note(&header, now), Ok(()));
        }
        assert!(arrivals.recent.len() + arrivals.older.len() <= 2 * REMEMBERED);
    }
}
