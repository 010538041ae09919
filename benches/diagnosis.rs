//! What the diagnosis costs: processor time of the rules for one exchange, beside that of a tap for relaying, recording
//! and diagnosing the same exchange.
//!
//! `cargo bench --bench diagnosis` prints seconds for 100,000 exchanges, the medians of some rounds in which both take
//! turns, and the share of the rules in what the tap takes without them.

#![allow(clippy::expect_used)]

mod support;

use std::hint::black_box;

use authtap::auth::FingerprintKey;
use authtap::diagnose::Diagnoser;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{Exchange, View, transcript};
use support::{Program, TOKEN, cpu_of, load, median, origin};

const ROUNDS: usize = 5;
const REQUESTS: usize = 40_000;

/// Enough for a clock that counts hundredths of a second.
const DIAGNOSES: usize = 100_000;

/// Requests that are sent before it is measured.
const WARM_UP: usize = 4_000;

/// What the load sends and the origin answers.
fn exchange(answer: &str) -> Exchange {
    let token: String = (0..TOKEN).map(|at| char::from(b'a' + ((at * 7) % 26) as u8)).collect();
    let request = format!(
        "> GET /v1/orders/7 HTTP/1.1\n> Host: api.example\n> User-Agent: load/1\n> Accept: */*\n\
         > Authorization: Bearer {token}\n"
    );
    let exchanges = transcript::parse(&format!("{request}{answer}"));
    exchanges.ok().and_then(|mut exchanges| exchanges.pop()).expect("an exchange")
}

/// Seconds for 100,000 diagnoses. What it takes to read the exchange is left out: record and log need that as well.
fn diagnoses(exchange: &Exchange) -> f64 {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"a key for this run of the bench"), []);
    let mut diagnoser = Diagnoser::default();
    let read = seconds(|| drop(black_box(View::new(black_box(exchange), &redactor))));
    let read_and_judged = seconds(|| drop(black_box(diagnoser.diagnose(&View::new(black_box(exchange), &redactor)))));
    (read_and_judged - read).max(0.0)
}

fn seconds(mut work: impl FnMut()) -> f64 {
    let own = || cpu_of(std::process::id());
    let before = own();
    (0..DIAGNOSES).for_each(|_| work());
    (own() - before).as_secs_f64() * 100_000.0 / DIAGNOSES as f64
}

fn tap() -> f64 {
    let tap = Program::start(&[], &[format!("127.0.0.1:0=http://{}", origin())]);
    load(tap.taps[0], WARM_UP);
    let before = tap.cpu();
    load(tap.taps[0], REQUESTS);
    (tap.cpu() - before).as_secs_f64() * 100_000.0 / REQUESTS as f64
}

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let healthy = exchange("< HTTP/1.1 200 OK\n< Content-Type: text/plain\n< Content-Length: 13\n");
    let refused =
        exchange("< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"orders\"\n< Content-Length: 0\n");
    let (mut served, mut denied, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        eprint!("\rround {round} of {ROUNDS}");
        served.push(diagnoses(&healthy));
        denied.push(diagnoses(&refused));
        whole.push(tap());
    }
    eprintln!("\r{:<24}", "");
    let (served, denied, whole) = (median(served), median(denied), median(whole));
    let rest = whole - served;
    println!("{:<32}  {:>16}  {:>6}", "", "CPU s / 100,000", "share");
    println!("{:<32}  {rest:>16.2}", "a tap without its diagnoses");
    println!("{:<32}  {served:>16.2}  {:>6.2}", "diagnoses of what was served", served / rest);
    println!("{:<32}  {denied:>16.2}  {:>6.2}", "diagnoses of what was refused", denied / rest);
}
