//! A random change of each kind, made in a random message: it is named, and nothing else is. What two taps saw is taken
//! from live exchanges, from records, and from hop headers; the less a source knows, the less exact the name may be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use authtap::auth::FingerprintKey;
use authtap::exchange::record::Record;
use authtap::exchange::record::read::Read;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{Exchange, Version, View, transcript};
use authtap::hops::digest::{of_answer, of_request, tells_of};
use authtap::hops::trace::{AnswerDigest, HopHeader, HopKey, Way};
use authtap::hops::{Change, Difference, Rewrite, Side, Sighting, compare};
use authtap::sinks::recorded;

/// Messages that are tried for each kind of change.
const TRIES: u64 = 150;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn is_lucky(&mut self) -> bool {
        self.roll().is_multiple_of(2)
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..length).map(|_| char::from(LETTERS[self.below(LETTERS.len())])).collect()
    }

    /// A token with all that a change may need: letters of both cases, a dash, and a length that shows.
    fn token(&mut self) -> String {
        let (from, more) = (self.below(40), self.below(30));
        format!("aB{}-{}x9", self.word(12 + from), self.word(8 + more))
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// A request and its answer, before they are made into exchanges.
#[derive(Clone, Debug)]
struct Messages {
    method: String,
    target: String,
    version: &'static str,
    fields: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    status: u16,
    answer: Vec<(String, String)>,
    answer_trailers: Vec<(String, String)>,
}

impl Messages {
    /// A request with credentials of several kinds, and an answer with challenges. Names are spelled in many ways, so that
    /// none of them is the way of a proxy that spells all alike.
    fn random(dice: &mut Dice) -> Self {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let scheme = dice.pick(&["Bearer", "Token", "ApiKey"]);
        let mut fields = vec![
            pair("Host", format!("{}.example:{}", dice.word(6).to_ascii_lowercase(), 1024 + dice.below(9000))),
            pair("Authorization", format!("{scheme} {}", dice.token())),
            pair("X-API-Key", dice.token()),
            pair("accept-language", "en".to_owned()),
        ];
        let proxy = format!("Bearer {}", dice.token());
        let optional = [
            pair("Proxy-Authorization", proxy),
            pair("Cookie", format!("session={}; theme={}", dice.token(), dice.word(4))),
            pair("Origin", format!("https://{}.example", dice.word(8).to_ascii_lowercase())),
            pair("Access-Control-Request-Headers", "authorization, x-api-key".to_owned()),
            pair("X-Forwarded-For", format!("10.1.2.{}", 10 + dice.below(90))),
            pair("X-Forwarded-Proto", "https".to_owned()),
            pair("Forwarded", format!("for=10.1.2.{};proto=https", 10 + dice.below(90))),
            pair("X-Tenant", dice.token()),
            pair("Content-Type", "application/json".to_owned()),
        ];
        fields.extend(optional.into_iter().filter(|_| dice.is_lucky()));
        dice.shuffle(&mut fields);
        let mut answer = vec![
            pair("WWW-Authenticate", format!("Bearer realm=\"{}\"", dice.word(9))),
            pair("cache-control", "no-store".to_owned()),
        ];
        let optional = [
            pair("Proxy-Authenticate", format!("Basic realm=\"{}\"", dice.word(9))),
            pair("Authentication-Info", format!("nextnonce=\"{}\"", dice.token())),
            pair("Set-Cookie", format!("session={}", dice.token())),
            pair("Access-Control-Allow-Origin", "https://shop.example".to_owned()),
            pair("X-Trace-Of-App", dice.token()),
        ];
        answer.extend(optional.into_iter().filter(|_| dice.is_lucky()));
        dice.shuffle(&mut answer);
        Messages {
            method: "POST".to_owned(),
            target: format!("/{}/{}?page=2&access_token={}", dice.word(5), dice.word(7), dice.token()),
            version: "HTTP/1.1",
            fields,
            trailers: Vec::new(),
            status: 401,
            answer,
            answer_trailers: Vec::new(),
        }
    }

    /// The same, signed: by Signature Version 4, or by HTTP message signatures.
    fn signed(dice: &mut Dice) -> Self {
        let mut messages = Self::random(dice);
        let signature = dice.word(64).to_ascii_lowercase();
        if dice.is_lucky() {
            messages.field("Authorization").1 = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-signed-part, Signature={signature}"
            );
        } else {
            let input = "sig=(\"@method\" \"@target-uri\" \"@authority\" \"x-signed-part\");created=1795521600";
            messages.fields.push(("Signature-Input".to_owned(), input.to_owned()));
            messages.fields.push(("Signature".to_owned(), format!("sig=:{signature}:")));
        }
        messages.fields.push(("X-Signed-Part".to_owned(), dice.token()));
        messages
    }

    fn on(&mut self, side: Side) -> &mut Vec<(String, String)> {
        match side {
            Side::Request => &mut self.fields,
            Side::Answer => &mut self.answer,
        }
    }

    fn field(&mut self, name: &str) -> &mut (String, String) {
        self.on(Side::Request).iter_mut().find(|(known, _)| known == name).unwrap()
    }

    fn text(&self) -> String {
        let mut text = format!("> {} {} {}\n", self.method, self.target, self.version);
        let mut lines = |mark: &str, lines: &[(String, String)]| {
            for (name, value) in lines {
                text.push_str(&format!("{mark} {name}: {value}\n"));
            }
        };
        lines(">", &self.fields);
        lines(">+", &self.trailers);
        text.push_str(&format!("< {} {}\n", self.version, self.status));
        let mut lines = |mark: &str, lines: &[(String, String)]| {
            for (name, value) in lines {
                text.push_str(&format!("{mark} {name}: {value}\n"));
            }
        };
        lines("<", &self.answer);
        lines("<+", &self.answer_trailers);
        text
    }

    fn exchange(&self) -> Exchange {
        let text = self.text();
        let mut exchanges = transcript::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(exchanges.len(), 1, "{text}");
        exchanges.remove(0)
    }
}

/// A change that was made, as it is to be named.
#[derive(Debug)]
struct Made {
    side: Side,
    name: String,
    change: Change,
    /// The messages in which it was made: before the hop and behind it.
    before: Messages,
    behind: Messages,
}

/// The messages before the hop, and a change of one kind to make in them.
type Kind = fn(&mut Dice) -> Made;

fn made(side: Side, name: &str, change: Change, before: &Messages, behind: Messages) -> Made {
    Made { side, name: name.to_ascii_lowercase(), change, before: before.clone(), behind }
}

/// A side, and one of its fields. On the way back, what is before the hop is what the inner tap saw; the test turns that
/// round, so that all kinds can be written in one direction.
fn any_field(dice: &mut Dice, messages: &Messages) -> (Side, usize) {
    let side = if dice.is_lucky() { Side::Request } else { Side::Answer };
    let mut messages = messages.clone();
    let fields = messages.on(side);
    loop {
        let at = dice.below(fields.len());
        // The host has tests of its own, and is no field over HTTP/2.
        if fields[at].0 != "Host" {
            return (side, at);
        }
    }
}

/// A field whose value is credentials with a scheme before them.
fn with_scheme(messages: &Messages) -> usize {
    messages.fields.iter().position(|(name, _)| name == "Authorization").unwrap()
}

fn rewritten(dice: &mut Dice, rewrite: Rewrite, how: impl Fn(&str) -> String) -> Made {
    let before = Messages::random(dice);
    let at = with_scheme(&before);
    let mut behind = before.clone();
    behind.fields[at].1 = how(&before.fields[at].1);
    made(Side::Request, "authorization", Change::Rewritten(rewrite), &before, behind)
}

fn parts(value: &str) -> (&str, &str) {
    value.split_once(' ').unwrap()
}

const KINDS: &[(&str, Kind)] = &[
    ("removed", |dice| {
        let before = Messages::random(dice);
        let (side, at) = any_field(dice, &before);
        let mut behind = before.clone();
        let (name, _) = behind.on(side).remove(at);
        made(side, &name, Change::Removed, &before, behind)
    }),
    ("added", |dice| {
        let before = Messages::random(dice);
        let side = if dice.is_lucky() { Side::Request } else { Side::Answer };
        let name = match side {
            Side::Request => dice.pick(&["X-Auth-Token", "DPoP", "X-Real-IP", "X-Added-Here", "api-key"]),
            Side::Answer => dice.pick(&["DPoP-Nonce", "Access-Control-Expose-Headers", "Location", "X-Added-Here"]),
        };
        let mut behind = before.clone();
        let at = dice.below(behind.on(side).len());
        behind.on(side).insert(at, (name.to_owned(), dice.token()));
        made(side, name, Change::Added, &before, behind)
    }),
    ("renamed", |dice| {
        let before = Messages::random(dice);
        let (side, from, to) = [
            (Side::Request, "Authorization", "X-Forwarded-Authorization"),
            (Side::Request, "Authorization", "X-Original-Authorization"),
            (Side::Request, "X-API-Key", "Ocp-Apim-Subscription-Key"),
            (Side::Answer, "WWW-Authenticate", "X-Amzn-Remapped-WWW-Authenticate"),
        ][dice.below(4)];
        let mut behind = before.clone();
        behind.on(side).iter_mut().find(|(name, _)| name == from).unwrap().0 = to.to_owned();
        made(side, from, Change::Renamed(to.to_owned()), &before, behind)
    }),
    ("replaced", |dice| {
        let before = Messages::random(dice);
        let name = dice.pick(&["Authorization", "X-API-Key"]);
        let mut behind = before.clone();
        let value = if name == "X-API-Key" { dice.token() } else { format!("Bearer {}", dice.token()) };
        behind.field(name).1 = value;
        made(Side::Request, name, Change::Replaced { kept_in: None }, &before, behind)
    }),
    ("replaced, and the old one moved", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let old = std::mem::replace(&mut behind.field("Authorization").1, format!("Bearer {}", dice.token()));
        behind.fields.push(("X-Original-Authorization".to_owned(), old));
        let kept_in = Some("X-Original-Authorization".to_owned());
        made(Side::Request, "authorization", Change::Replaced { kept_in }, &before, behind)
    }),
    ("another value", |dice| {
        let before = Messages::random(dice);
        let (side, at) = loop {
            let (side, at) = any_field(dice, &before);
            let mut messages = before.clone();
            let name = &messages.on(side)[at].0;
            // Of these, another value is another credential.
            if !["Authorization", "Proxy-Authorization", "X-API-Key"].contains(&name.as_str()) {
                break (side, at);
            }
        };
        let mut behind = before.clone();
        behind.on(side)[at].1 = format!("q-{}", dice.token());
        let name = behind.on(side)[at].0.clone();
        made(side, &name, Change::Changed, &before, behind)
    }),
    ("cut", |dice| {
        let before = Messages::random(dice);
        let name = dice.pick(&["Authorization", "X-API-Key"]);
        let mut behind = before.clone();
        let value = &mut behind.field(name).1;
        // Something of the secret stays, or it would be one that is empty.
        let at = value.len() - 1 - dice.below(value.len() - 8);
        let at = at.max(value.find(' ').map_or(1, |space| space + 2));
        value.truncate(at);
        made(Side::Request, name, Change::Rewritten(Rewrite::Cut { at }), &before, behind)
    }),
    ("white space", |dice| rewritten(dice, Rewrite::WhiteSpace, |value| value.replace(' ', "  "))),
    ("quotes", |dice| rewritten(dice, Rewrite::Quotes, |value| format!("{} \"{}\"", parts(value).0, parts(value).1))),
    ("the scheme's case", |dice| {
        rewritten(dice, Rewrite::SchemeCase, |value| {
            format!("{} {}", parts(value).0.to_ascii_lowercase(), parts(value).1)
        })
    }),
    ("another scheme", |dice| rewritten(dice, Rewrite::Scheme, |value| format!("JWT {}", parts(value).1))),
    ("percent-encoding", |dice| rewritten(dice, Rewrite::Percent, |value| value.replace('-', "%2D"))),
    ("the other base64", |dice| rewritten(dice, Rewrite::Base64, |value| value.replace('-', "+"))),
    ("another charset", |dice| {
        let mut before = Messages::random(dice);
        let token = dice.token();
        before.field("X-API-Key").1 = format!("{{hex e4}}{token}");
        let mut behind = before.clone();
        behind.field("X-API-Key").1 = format!("{{hex c3a4}}{token}");
        made(Side::Request, "x-api-key", Change::Rewritten(Rewrite::Charset), &before, behind)
    }),
    ("other letters", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let value = &mut behind.field("X-API-Key").1;
        *value = value.to_ascii_lowercase();
        made(Side::Request, "x-api-key", Change::Rewritten(Rewrite::LetterCase), &before, behind)
    }),
    ("something put behind it", |dice| {
        let mut before = Messages::random(dice);
        before.fields.retain(|(name, _)| name != "X-Forwarded-For");
        before.fields.push(("X-Forwarded-For".to_owned(), "10.0.0.7".to_owned()));
        let mut behind = before.clone();
        behind.field("X-Forwarded-For").1 = format!("10.0.0.7, 10.9.9.{}", dice.below(200));
        made(Side::Request, "x-forwarded-for", Change::Rewritten(Rewrite::Extended), &before, behind)
    }),
    ("one name in other letters", |dice| {
        use authtap::hops::NameCase;
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let (to, case) =
            [("x-api-key", NameCase::Lower), ("X-Api-Key", NameCase::Title), ("X-API-KEY", NameCase::Upper)]
                [dice.below(3)];
        behind.field("X-API-Key").0 = to.to_owned();
        made(Side::Request, "x-api-key", Change::Recased { all: false, to: case }, &before, behind)
    }),
    ("all names in lower case", |dice| {
        use authtap::hops::NameCase;
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let side = if dice.is_lucky() { Side::Request } else { Side::Answer };
        behind.on(side).iter_mut().for_each(|(name, _)| *name = name.to_ascii_lowercase());
        let changed = before.clone().on(side).iter().filter(|(name, _)| name.to_ascii_lowercase() != *name).count();
        let change = Change::Recased { all: changed > 1, to: NameCase::Lower };
        let name = if changed > 1 { "*" } else { "WWW-Authenticate" };
        made(side, name, change, &before, behind)
    }),
    ("duplicated", |dice| {
        let before = Messages::random(dice);
        let (side, at) = any_field(dice, &before);
        let mut behind = before.clone();
        let line = behind.on(side)[at].clone();
        let to = dice.below(behind.on(side).len() + 1);
        behind.on(side).insert(to, line.clone());
        made(side, &line.0, Change::Duplicated { from: 1, to: 2 }, &before, behind)
    }),
    ("equal lines dropped", |dice| {
        let mut before = Messages::random(dice);
        let (side, at) = any_field(dice, &before);
        let line = before.on(side)[at].clone();
        let behind = before.clone();
        before.on(side).push(line.clone());
        made(side, &line.0, Change::Thinned { from: 2, to: 1 }, &before, behind)
    }),
    ("one more of a name", |dice| {
        let before = Messages::random(dice);
        let (side, at) = any_field(dice, &before);
        let mut behind = before.clone();
        let name = behind.on(side)[at].0.clone();
        behind.on(side).push((name.clone(), format!("q-{}", dice.token())));
        made(side, &name, Change::Added, &before, behind)
    }),
    ("merged into one line", |dice| {
        let (before, behind, side, name) = two_and_one(dice);
        made(side, &name, Change::Merged { lines: 2 }, &before, behind)
    }),
    ("split into lines", |dice| {
        let (two, one, side, name) = two_and_one(dice);
        made(side, &name, Change::Split { lines: 2 }, &one, two)
    }),
    ("reordered among equals", |dice| {
        let (before, _, side, name) = two_and_one(dice);
        let mut behind = before.clone();
        let places: Vec<usize> =
            behind.on(side).iter().enumerate().filter(|(_, line)| line.0 == name).map(|(at, _)| at).collect();
        behind.on(side).swap(places[0], places[1]);
        made(side, &name, Change::Reordered, &before, behind)
    }),
    ("moved behind the body", |dice| {
        let before = Messages::random(dice);
        let (side, at) = any_field(dice, &before);
        let mut behind = before.clone();
        let line = behind.on(side).remove(at);
        let name = line.0.clone();
        match side {
            Side::Request => behind.trailers.push(line),
            Side::Answer => behind.answer_trailers.push(line),
        }
        made(side, &name, Change::MovedToTrailer, &before, behind)
    }),
    ("another status", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        behind.status = [200, 302, 400, 403, 404, 500, 502][dice.below(7)];
        made(Side::Answer, ":status", Change::Changed, &before, behind)
    }),
    ("another host", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        behind.field("Host").1 = format!("{}.internal", dice.word(6).to_ascii_lowercase());
        made(Side::Request, "host", Change::Changed, &before, behind)
    }),
    ("a host without its port", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let host = &mut behind.field("Host").1;
        host.truncate(host.find(':').unwrap());
        made(Side::Request, "host", Change::Rewritten(Rewrite::Port), &before, behind)
    }),
    ("another path", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let (_, query) = before.target.split_once('?').unwrap();
        behind.target = format!("/q{}/z?{query}", dice.word(6));
        made(Side::Request, ":target", Change::Changed, &before, behind)
    }),
    ("a prefix of the path taken off", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        behind.target = format!("/{}", before.target.splitn(3, '/').nth(2).unwrap());
        made(Side::Request, ":target", Change::Rewritten(Rewrite::PathPrefix), &before, behind)
    }),
    ("a path with its slashes merged", |dice| {
        let mut before = Messages::random(dice);
        let behind = before.clone();
        before.target = before.target.replacen('/', "//", 2);
        // The second slash of those two is replaced as well.
        made(Side::Request, ":target", Change::Rewritten(Rewrite::PathNormalised), &before, behind)
    }),
    ("a path that was decoded", |dice| {
        let mut before = Messages::random(dice);
        let mut behind = before.clone();
        let word = dice.word(5);
        before.target = format!("/{word}%7Ea?page=2");
        behind.target = format!("/{word}~a?page=2");
        made(Side::Request, ":target", Change::Rewritten(Rewrite::Percent), &before, behind)
    }),
    ("another form of the target", |dice| {
        let mut before = Messages::random(dice);
        let behind = before.clone();
        let host = before.field("Host").1.clone();
        before.target = format!("http://{host}{}", before.target);
        made(Side::Request, ":target", Change::Rewritten(Rewrite::TargetForm), &before, behind)
    }),
    ("a parameter of the query removed", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let (path, query) = before.target.split_once('?').unwrap();
        let (page, token) = query.split_once('&').unwrap();
        let (name, rest) = if dice.is_lucky() { ("?page", token) } else { ("?access_token", page) };
        behind.target = format!("{path}?{rest}");
        made(Side::Request, name, Change::Removed, &before, behind)
    }),
    ("a parameter of the query added", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let name = dice.pick(&["api_key", "sort", "tenant"]);
        behind.target = format!("{}&{name}={}", before.target, dice.token());
        made(Side::Request, &format!("?{name}"), Change::Added, &before, behind)
    }),
    ("a parameter of the query cut", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        behind.target.truncate(before.target.len() - 3);
        let at = before.target.len() - 3 - before.target.rfind('=').unwrap() - 1;
        made(Side::Request, "?access_token", Change::Rewritten(Rewrite::Cut { at }), &before, behind)
    }),
    ("parameters of the query in another order", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        let (path, query) = before.target.split_once('?').unwrap();
        let (page, token) = query.split_once('&').unwrap();
        behind.target = format!("{path}?{token}&{page}");
        made(Side::Request, ":target", Change::Reordered, &before, behind)
    }),
    ("another method", |dice| {
        let before = Messages::random(dice);
        let mut behind = before.clone();
        behind.method = dice.pick(&["PUT", "GET", "PATCH"]).to_owned();
        made(Side::Request, ":method", Change::Changed, &before, behind)
    }),
    ("a part of what is signed", |dice| {
        let before = Messages::signed(dice);
        let mut behind = before.clone();
        behind.field("X-Signed-Part").1 = format!("q-{}", dice.token());
        made(Side::Request, "x-signed-part", Change::Changed, &before, behind)
    }),
];

/// A message with two lines of one name, the same with one line for both, the side and the name.
fn two_and_one(dice: &mut Dice) -> (Messages, Messages, Side, String) {
    let mut two = Messages::random(dice);
    let (side, at) = any_field(dice, &two);
    let (name, first) = two.on(side)[at].clone();
    let mut one = two.clone();
    let second = format!("q-{}", dice.token());
    let joint = dice.pick(&[", ", ","]);
    one.on(side)[at].1 = format!("{first}{joint}{second}");
    let place = at + 1 + dice.below(two.on(side).len() - at);
    two.on(side).insert(place, (name.clone(), second));
    (two, one, side, name)
}

impl Made {
    /// What the outer and the inner tap saw. A change of the answer was made from the inner to the outer one.
    fn taps(&self) -> (Messages, Messages) {
        let mut outer = self.before.clone();
        let mut inner = self.behind.clone();
        std::mem::swap(&mut outer.status, &mut inner.status);
        std::mem::swap(&mut outer.answer, &mut inner.answer);
        std::mem::swap(&mut outer.answer_trailers, &mut inner.answer_trailers);
        (outer, inner)
    }

    fn is_named_by(&self, difference: &Difference) -> bool {
        (difference.side, &difference.name) == (self.side, &self.name)
    }

    fn context(&self, kind: &str, found: &[Difference]) -> String {
        let (outer, inner) = self.taps();
        format!(
            "{kind}: {:?} {} {:?}\n{found:#?}\n{}\n{}",
            self.side,
            self.name,
            self.change,
            outer.text(),
            inner.text()
        )
    }
}

fn redactor() -> Redactor {
    Redactor::new(FingerprintKey::from_bytes(b"changes"), [])
}

/// Each kind of change, as often as is tried.
fn each(check: impl Fn(&str, &Made)) {
    for (kind, make) in KINDS {
        for seed in 0..TRIES {
            check(kind, &make(&mut Dice(seed)));
        }
    }
}

#[test]
fn what_both_taps_saw_tells_each_change_exactly() {
    let redactor = redactor();
    each(|kind, made| {
        let (outer, inner) = made.taps();
        let (outer, inner) = (outer.exchange(), inner.exchange());
        let (outer, inner) = (View::new(&outer, &redactor), View::new(&inner, &redactor));
        let key = redactor.key();
        let found = compare(&Sighting::of(&outer, key), &Sighting::of(&inner, key), &redactor, key);
        let context = || made.context(kind, &found);
        assert_eq!(found.len(), 1, "{}", context());
        assert!(made.is_named_by(&found[0]) && found[0].is_sure, "{}", context());
        assert_eq!(found[0].change, made.change, "{}", context());
        let sides = (found[0].before.is_some(), found[0].after.is_some());
        let expected = match made.change {
            Change::Removed | Change::MovedToTrailer => (true, false),
            Change::Added => (false, true),
            _ => (true, true),
        };
        assert_eq!(sides, expected, "{}", context());
    });
}

#[test]
fn records_tell_where_and_mostly_what() {
    let redactor = redactor();
    let read = |messages: &Messages| {
        let exchange = messages.exchange();
        let view = View::new(&exchange, &redactor);
        let line = Record::new(&view, recorded("ok", &[]), Vec::new()).to_line();
        Read::of_line(std::str::from_utf8(&line).unwrap()).unwrap()
    };
    each(|kind, made| {
        let (outer, inner) = made.taps();
        let (outer, inner) = (read(&outer), read(&inner));
        let sighting = |read| Sighting::of_record(read, true).unwrap();
        let found = compare(&sighting(&outer), &sighting(&inner), &redactor, redactor.key());
        let context = || made.context(kind, &found);
        // Where nothing is shown of a path or of a parameter, one mask is as good as another; what is left is told.
        assert!(found.len() <= 1 || is_about_target(made), "{}", context());
        assert!(!found.is_empty(), "{}", context());
        assert!(found.iter().any(|found| made.is_named_by(found)) || is_about_target(made), "{}", context());
        if !is_rewritten(&made.change) && !is_about_target(made) && made.change.id() != "replaced" {
            assert_eq!(found[0].change.id(), made.change.id(), "{}", context());
        }
    });
}

/// Of masked values it can't be told how one became the other, nor that one line is two.
fn is_rewritten(change: &Change) -> bool {
    matches!(change, Change::Rewritten(_) | Change::Merged { .. } | Change::Split { .. } | Change::Renamed(_))
}

fn is_about_target(made: &Made) -> bool {
    made.name == ":target" || made.name.starts_with('?')
}

#[test]
fn hop_headers_tell_where_for_all_that_they_carry() {
    let redactor = redactor();
    let hop_key = HopKey::from_bytes(b"a key that both taps have");
    let key = hop_key.fingerprints();
    each(|kind, made| {
        let (outer, inner) = made.taps();
        let (outer, inner) = (outer.exchange(), inner.exchange());
        let (outer_view, inner_view) = (View::new(&outer, &redactor), View::new(&inner, &redactor));
        let header = |exchange: &Exchange, is_answer: bool| {
            let answer = exchange.response.seen().filter(|_| is_answer).map(|response| AnswerDigest {
                status: response.status,
                version: Version::Http11,
                fields: of_answer(&response.head, key),
                is_whole: true,
            });
            let made = HopHeader {
                path: exchange.id,
                exchange: exchange.id,
                tap: "other".to_owned(),
                version: Version::Http11,
                request: of_request(&exchange.request.head, None, key),
                is_whole: true,
                answer,
            };
            let way = if is_answer { Way::Answer } else { Way::Request };
            // As it comes over: sealed, and opened again.
            hop_key.open(hop_key.seal(&made).as_bytes(), way).unwrap()
        };
        // The inner tap knows of the request from the outer one, which knows of both from the inner one.
        let from_outer = header(&outer, false);
        let own = Sighting::of(&inner_view, key);
        let behind = compare(&Sighting::of_header(&from_outer, &own), &own, &redactor, key);
        let from_inner = header(&inner, true);
        let own = Sighting::of(&outer_view, key);
        let before = compare(&own, &Sighting::of_header(&from_inner, &own), &redactor, key);
        for (found, knows_answer) in [(&behind, false), (&before, true)] {
            let context = || made.context(kind, found);
            let others: Vec<&Difference> = found.iter().filter(|found| !made.is_named_by(found)).collect();
            let renamed_to = match &made.change {
                Change::Renamed(to) => Some(to.to_ascii_lowercase()),
                Change::Replaced { kept_in: Some(to) } => Some(to.to_ascii_lowercase()),
                _ => None,
            };
            // Of names that are all spelled in another way, each that is carried is told by itself.
            let is_one_of_all = |other: &Difference| made.name == "*" && other.change.id() == "recased";
            let is_part = |other: &Difference| Some(&other.name) == renamed_to.as_ref() || is_one_of_all(other);
            assert!(others.iter().all(|other| is_part(other)), "{}", context());
            let is_known = made.side == Side::Request || knows_answer;
            let is_told = is_told(made);
            if is_known && is_told && from_inner.is_whole && from_outer.is_whole {
                assert!(found.iter().any(|found| made.is_named_by(found)), "{}", context());
            }
        }
    });
}

/// Whether hop headers carry what was changed.
fn is_told(made: &Made) -> bool {
    match made.name.as_str() {
        ":status" => true,
        ":method" | "*" => false,
        // The path alone is told, not its form.
        ":target" => !matches!(made.change, Change::Reordered | Change::Rewritten(Rewrite::TargetForm)),
        name if name.starts_with('?') => false,
        name => tells_of(name),
    }
}

#[test]
fn over_http2_names_are_in_lower_case_and_that_is_no_change() {
    let redactor = redactor();
    for seed in 0..TRIES {
        let mut dice = Dice(seed);
        let outer = Messages::random(&mut dice);
        let mut inner = outer.clone();
        inner.version = "HTTP/2";
        for side in [Side::Request, Side::Answer] {
            inner.on(side).iter_mut().for_each(|(name, _)| *name = name.to_ascii_lowercase());
        }
        let host = inner.fields.iter_mut().find(|(name, _)| name == "host").unwrap();
        host.0 = ":authority".to_owned();
        // A cookie comes in crumbs (RFC 9113 8.2.3).
        if let Some(at) = inner.fields.iter().position(|(name, _)| name == "cookie") {
            let (name, value) = inner.fields.remove(at);
            for crumb in value.rsplit("; ") {
                inner.fields.insert(at, (name.clone(), crumb.to_owned()));
            }
        }
        for (outer, inner) in [(&outer, &inner), (&inner, &outer)] {
            let (before, behind) = (outer.exchange(), inner.exchange());
            let (before, behind) = (View::new(&before, &redactor), View::new(&behind, &redactor));
            let key = redactor.key();
            let found = compare(&Sighting::of(&before, key), &Sighting::of(&behind, key), &redactor, key);
            assert!(found.is_empty(), "{found:#?}\n{}\n{}", outer.text(), inner.text());
        }
    }
}

#[test]
fn what_a_hop_leaves_alone_is_no_change() {
    let redactor = redactor();
    for seed in 0..TRIES {
        let messages = Messages::signed(&mut Dice(seed));
        let (one, other) = (messages.exchange(), messages.exchange());
        let (one, other) = (View::new(&one, &redactor), View::new(&other, &redactor));
        let key = redactor.key();
        let found = compare(&Sighting::of(&one, key), &Sighting::of(&other, key), &redactor, key);
        assert!(found.is_empty(), "{found:#?}\n{}", messages.text());
    }
}
