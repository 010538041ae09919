//! What each part of the work behind an exchange costs: processor time of this thread for one time, in nanoseconds.
//!
//! `cargo bench --bench parts` prints the median of some rounds in which all parts take turns.

#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::time::Duration;

use authtap::auth::{FingerprintKey, parse_challenges, parse_credentials};
use authtap::diagnose::Diagnoser;
use authtap::exchange::record::Record;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{Exchange, View, transcript};
use authtap::sinks::recorded;
use authtap::wire::framer::Answers;
use authtap::wire::{Framer, Step};
use bytes::Bytes;

const ROUNDS: usize = 7;
/// The kernel counts a thread's time in steps of milliseconds.
const TIMES: u32 = 200_000;
const TOKEN: usize = 900;
const HEAD_LIMIT: usize = 64 * 1024;

const SERVED: &str = "< HTTP/1.1 200 OK\n< Content-Type: text/plain\n< Content-Length: 13\n";
const REFUSED: &str = "< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"orders\"\n< Content-Length: 0\n";

fn token() -> String {
    (0..TOKEN).map(|at| char::from(b'a' + ((at * 7) % 26) as u8)).collect()
}

/// A name, and the work.
type Part<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// An exchange whose credentials differ from those of all others where `number` does.
fn exchange(number: usize, answer: &str) -> Exchange {
    let token = token();
    let request = format!(
        "> GET /v1/orders/{number} HTTP/1.1\n> Host: api.example\n> User-Agent: load/1\n> Accept: */*\n\
         > Authorization: Bearer {number}{token}\n"
    );
    transcript::parse(&format!("{request}{answer}")).expect("a transcript").pop().expect("an exchange")
}

/// The processor time of this thread so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("its statistics");
    let nanoseconds = stat.split_whitespace().next().and_then(|time| time.parse().ok()).expect("a time");
    Duration::from_nanos(nanoseconds)
}

fn nanoseconds(work: &mut dyn FnMut()) -> f64 {
    let before = cpu();
    (0..TIMES).for_each(|_| work());
    (cpu() - before).as_nanos() as f64 / f64::from(TIMES)
}

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let head = format!(
        "GET /v1/orders/7 HTTP/1.1\r\nHost: api.example\r\nUser-Agent: load/1\r\nAccept: */*\r\n\
         Authorization: Bearer {}\r\n\r\n",
        token()
    );
    let credentials = Bytes::from(format!("Bearer {}", token()));
    let challenge = b"Bearer realm=\"orders\", error=\"invalid_token\", Basic realm=\"orders\", charset=\"UTF-8\"";
    let key = || FingerprintKey::from_bytes(b"a key for this run of the bench");
    let redactor = Redactor::new(key(), []);
    let (served, refused) = (exchange(7, SERVED), exchange(7, REFUSED));
    let others: Vec<Exchange> = (0..2_048).map(|number| exchange(number, SERVED)).collect();
    let mut next = (0..others.len()).cycle();
    let mut framer = Framer::of_requests(HEAD_LIMIT);
    let (mut of_served, mut of_refused) = (Diagnoser::default(), Diagnoser::default());
    let (view_of_served, view_of_refused) = (View::new(&served, &redactor), View::new(&refused, &redactor));
    let findings = Diagnoser::default().diagnose(&view_of_refused).findings;
    let record =
        |view: &View<'_>, findings| drop(black_box(Record::new(view, recorded("ok", findings), Vec::new()).to_line()));

    let mut parts: Vec<Part<'_>> = vec![
        (
            "framer: a request head of 1 KiB",
            Box::new(|| {
                let mut input = black_box(head.as_bytes());
                while !matches!(framer.next(&mut input, Answers::Nothing), Step::More) {}
            }),
        ),
        ("auth: credentials of 900 bytes", Box::new(|| drop(black_box(parse_credentials(black_box(&credentials)))))),
        ("auth: two challenges", Box::new(|| drop(black_box(parse_challenges(black_box(challenge)))))),
        ("view: credentials that came before", Box::new(|| drop(black_box(View::new(&served, &redactor))))),
        (
            "view: credentials that are new",
            Box::new(|| {
                let other = next.next().and_then(|at| others.get(at));
                drop(black_box(other.map(|other| View::new(other, &redactor))));
            }),
        ),
        (
            "view and diagnosis: served",
            Box::new(|| drop(black_box(of_served.diagnose(&View::new(&served, &redactor))))),
        ),
        (
            "view and diagnosis: refused",
            Box::new(|| drop(black_box(of_refused.diagnose(&View::new(&refused, &redactor))))),
        ),
        ("record: served", Box::new(|| record(&view_of_served, &[]))),
        ("record: refused, with a finding", Box::new(|| record(&view_of_refused, &findings))),
    ];
    let mut times: Vec<Vec<f64>> = parts.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, work), times) in parts.iter_mut().zip(&mut times) {
            times.push(nanoseconds(work.as_mut()));
        }
    }
    println!("{:<40}  {:>8}", "", "ns");
    for ((name, _), times) in parts.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{name:<40}  {:>8.0}", times.get(ROUNDS / 2).copied().unwrap_or_default());
    }
}
