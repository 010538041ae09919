//! Whether memory stays flat: ten million exchanges from 10,000 clients with 100,000 tokens over 1,000 routes, half of which
//! are refused, go through the queue, the diagnosis and the log.
//!
//! `cargo bench --bench flat` prints the resident memory on the way, and fails if it ends above 1.2 times of what it was after
//! the first twentieth, or above 256 MiB. Then comes a flood that nobody can follow: putting an exchange into the queue must
//! not take longer for it, and the loss has to be counted. `--share=PERCENT` takes fewer.

#![allow(clippy::expect_used)]

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authtap::auth::FingerprintKey;
use authtap::diagnose::Diagnoser;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{
    Body, Capture, ClientSide, Exchange, OnPath, Outcome, Position, Request, Response, Tap, Timing, UpstreamSide,
    Version,
};
use authtap::queue::{self, Outlet};
use authtap::sinks::output::Output;
use authtap::sinks::{End, Log, Sinks};
use authtap::teller::Teller;
use authtap::wire::RawHead;
use jiff::Timestamp;
use ulid::Ulid;

const EXCHANGES: u64 = 10_000_000;
const CLIENTS: u64 = 10_000;
const TOKENS: u64 = 100_000;
const ROUTES: u64 = 1_000;

/// Exchanges that may wait; with fewer the diagnosis would run dry.
const AHEAD: u64 = 4_096;

/// The bounds of the program's own queue.
const QUEUE: usize = 65_536;
const QUEUE_BYTES: usize = 64 << 20;

const MOST: u64 = 256 << 10;

/// Counts lines, and keeps none.
struct Counting(Arc<AtomicU64>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(memchr::memchr_iter(b'\n', bytes).count() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The queue's end, how many exchanges were told, and what becomes of it in the end.
fn start() -> (Outlet, Arc<AtomicU64>, thread::JoinHandle<End>) {
    let (outlet, inlet, losses) = queue::bounded(QUEUE, QUEUE_BYTES);
    let told = Arc::new(AtomicU64::new(0));
    let log = Output::start("the log".to_owned(), Counting(told.clone())).expect("a thread");
    let teller = Teller {
        redactor: Redactor::new(FingerprintKey::from_bytes(b"a key for this run of the bench"), []),
        diagnoser: Diagnoser::default(),
        sinks: Sinks::new(Log::Json, log, None),
        taps: vec!["tap".to_owned()],
        losses,
        hops: None,
        keys: None,
        showing: None,
    };
    (outlet, told, thread::spawn(move || teller.run(&inlet)))
}

fn exchange(number: u64, tap: &Arc<Tap>) -> Box<Exchange> {
    // Steps that share no divisor with the counts, so that all of them come, in no order.
    let (client, token, route) = (number * 7919 % CLIENTS, number * 104_729 % TOKENS, number * 613 % ROUTES);
    let letter = |at: u64| char::from(b'a' + (route / 10_u64.pow(at as u32) % 10) as u8);
    let route: String = (0..3).map(letter).collect();
    let authorization = format!("Bearer {:032x}{token:08x}", u128::from(token) * 0x9e37_79b9_7f4a_7c15_f39c);
    let agent = format!("client/{}", client % 7);
    let request_fields: [(&[u8], &[u8]); 4] = [
        (b"Host", b"api.example"),
        (b"User-Agent", agent.as_bytes()),
        (b"Accept", b"*/*"),
        (b"Authorization", authorization.as_bytes()),
    ];
    let is_refused = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1;
    let answer_fields: &[(&[u8], &[u8])] = match is_refused {
        true => {
            &[(b"WWW-Authenticate", b"Bearer realm=\"orders\", error=\"invalid_token\""), (b"Content-Length", b"0")]
        }
        false => &[(b"Content-Type", b"text/plain"), (b"Content-Length", b"0")],
    };
    let (status, line) = if is_refused { (401, "HTTP/1.1 401 Unauthorized") } else { (200, "HTTP/1.1 200 OK") };
    let start = format!("GET /{route}/orders/{number} HTTP/1.1");
    let body = || Body { size: 0, start: None, is_unpacked: false, sha256: None };
    let id = Ulid::from_parts(1_790_000_000_000 + number / 100, u128::from(number));
    let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + client as u32)), 40_000);
    Box::new(Exchange {
        id,
        time: Timestamp::from_millisecond(1_790_000_000_000 + number as i64 / 10).expect("a time"),
        tap: tap.clone(),
        path: OnPath::first(id),
        client: ClientSide { addr: addr.into(), announced: None, connection: number / 16, tls: None },
        upstream: UpstreamSide { addr: None, connection: Some(number / 16), reused: true, tls: None },
        request: Request {
            head: RawHead::from_fields(&start, request_fields.into_iter()),
            version: Version::Http11,
            authority: None,
            body: body(),
            trailers: None,
        },
        response: Capture::Seen(Response {
            head: RawHead::from_fields(line, answer_fields.iter().copied()),
            status,
            version: Version::Http11,
            interim: Vec::new(),
            interim_count: 0,
            body: body(),
            trailers: None,
            by_tap: false,
        }),
        edits: Vec::new(),
        timing: Timing::default(),
        outcome: Outcome::Complete,
        lost: None,
    })
}

/// The memory that this process holds, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).map(Cow::Borrowed).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a size")
}

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let share = std::env::args().find_map(|option| option.strip_prefix("--share=")?.parse::<u64>().ok()).unwrap_or(100);
    let exchanges = EXCHANGES * share / 100;
    let tap = Arc::new(Tap {
        name: "tap".to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)).into(),
        upstream_url: "http://127.0.0.1:3000".to_owned(),
        position: Position { index: 0, of: 1 },
    });

    let (outlet, told, end) = start();
    let began = Instant::now();
    let mut first = 0;
    for number in 0..exchanges {
        while number - told.load(Ordering::Relaxed) > AHEAD {
            thread::sleep(Duration::from_micros(200));
        }
        outlet.put(exchange(number, &tap));
        if (number + 1) % (exchanges / 20) == 0 {
            let size = resident();
            first = if first == 0 { size } else { first };
            println!(
                "{:>3} %  {size:>8} KiB  {:>6.1} s",
                (number + 1) * 100 / exchanges,
                began.elapsed().as_secs_f64()
            );
        }
    }
    let last = resident();
    drop(outlet);
    let end = end.join().expect("an end");
    println!("{:.2} times of what it was after a twentieth", last as f64 / first as f64);
    assert!(end.is_complete, "something was lost: {}", end.summary);
    assert!(last * 10 <= first * 12 && last < MOST, "memory grew from {first} to {last} KiB");

    let (outlet, told, end) = start();
    let flood = (exchanges / 10).max(200_000);
    let mut took: Vec<Duration> = Vec::with_capacity(1 << 16);
    let mut worst = Duration::ZERO;
    for number in 0..flood {
        let exchange = exchange(number, &tap);
        let began = Instant::now();
        outlet.put(exchange);
        let one = began.elapsed();
        worst = worst.max(one);
        if number % (flood / (1 << 16)).max(1) == 0 {
            took.push(one);
        }
    }
    drop(outlet);
    let end = end.join().expect("an end");
    took.sort_unstable();
    let part = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or_default();
    let told = told.load(Ordering::Relaxed);
    println!(
        "flood of {flood}: {told} told; to put one in took {:?} (median), {:?} (p99.9), {worst:?} (worst)",
        part(500),
        part(999)
    );
    assert!(told < flood && !end.is_complete && end.summary.contains("not looked at"), "{}", end.summary);
    assert!(part(999) < Duration::from_millis(1), "the queue held up who puts in");
    let after = resident();
    assert!(after < MOST, "the flood left {after} KiB");
}
