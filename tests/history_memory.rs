//! What is remembered of earlier exchanges stays within the memory that it was given, whatever comes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use authtap::auth::FingerprintKey;
use authtap::diagnose::Diagnoser;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{View, transcript};

const MIB: usize = 1 << 20;

/// Memory that this process has in use, in bytes.
fn in_use() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// A few exchanges of a client of its own, with names as long as anybody sends them, which touch as much of what is
/// remembered as they can.
fn exchanges(number: usize) -> String {
    let long = "x".repeat(200);
    let client = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
    let host = format!("h{number}-{long}.example");
    let letters: String = number.to_string().bytes().map(|digit| char::from(b'a' + (digit - b'0'))).collect();
    let path = format!("/{letters}/b");
    let mut text = format!("* client addr {client}\n* client tls\n");
    let head = format!("> Host: {host}\n> User-Agent: {long}{number}\n> Origin: https://{number}.{long}.example\n");
    let realm = format!("realm=\"{number}{long}\", scope=\"{long}\"");
    let jwt = format!(
        "{{jwt {{\"alg\":\"RS256\",\"kid\":\"{number}\"}} {{\"iss\":\"https://{number}.example/{}\",\"aud\":[\"{number}\",\"b\"],\"exp\":1999999999}}}}",
        "i".repeat(80)
    );
    for (method, line, answer) in [
        (
            "GET",
            String::new(),
            format!(
                "401 x\n< WWW-Authenticate: Bearer {realm}, Basic {realm}\n< WWW-Authenticate: Digest nonce=\"{number}\", {realm}"
            ),
        ),
        (
            "GET",
            format!("> Authorization: Bearer {jwt}\n> Cookie: session{number}=1; other=2\n"),
            format!("200 OK\n< Set-Cookie: {long}{number}=1\n< ETag: \"{number}\"\n< Access-Control-Allow-Origin: *"),
        ),
        (
            "POST",
            format!("> Authorization: DPoP {jwt}\n> DPoP: {jwt}\n"),
            "401 x\n< DPoP-Nonce: abc\n< WWW-Authenticate: DPoP error=\"use_dpop_nonce\"".to_owned(),
        ),
        (
            "GET",
            format!(
                "> Authorization: Digest username=\"a\", nonce=\"{number}\", nc=00000001, cnonce=\"c\", uri=\"{path}\", response=\"0\"\n"
            ),
            format!("302 x\n< Location: https://{host}/next/{number}\n< Set-Cookie: state{number}=1"),
        ),
        (
            "GET",
            format!("> X-Api-Key: {number}{long}\n"),
            format!("403 x\n< WWW-Authenticate: Bearer error=\"insufficient_scope\", {realm}"),
        ),
    ] {
        write!(text, "> {method} {path} HTTP/1.1\n{head}{line}< HTTP/1.1 {answer}\n").unwrap();
    }
    text
}

/// How much memory is in use after so many clients more than before the first of them.
fn grown(diagnoser: &mut Diagnoser, clients: std::ops::Range<usize>) -> usize {
    let before = in_use();
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"a key for this test"), []);
    for number in clients {
        for exchange in transcript::parse(&exchanges(number)).unwrap() {
            diagnoser.diagnose(&View::new(&exchange, &redactor));
        }
    }
    in_use().saturating_sub(before)
}

/// One test, since all threads of a process share its memory.
#[test]
fn what_is_remembered_stays_within_its_memory() {
    // What the rules need once, and the allocator keeps.
    grown(&mut Diagnoser::default(), 0..50);
    let mut small = Diagnoser::default().remembering(4 * MIB);
    let took = grown(&mut small, 0..800);
    assert!(took < 5 * MIB, "4 MiB were allowed, and it took {} KiB", took / 1024);
    let more = grown(&mut small, 800..1_600);
    assert!(more < MIB, "it was full, and took {} KiB more", more / 1024);
    drop(small);
    let mut whole = Diagnoser::default().remembering(64 * MIB);
    let took = grown(&mut whole, 0..4_500);
    assert!(took < 64 * MIB, "64 MiB were allowed, and it took {} KiB", took / 1024);
    assert!(took > 4 * MIB, "so little was remembered that it shows nothing: {} KiB", took / 1024);
}
