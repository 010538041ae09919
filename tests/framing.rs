//! The framer over every message of the table: however the bytes come, the heads are the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use authtap::wire::framer::Answers;
use authtap::wire::{Framer, RawHead, Step};
use common::messages;
use proptest::prelude::*;

const LIMIT: usize = 64 * 1024;

/// What a framer found, as text: heads by their lines, bodies by their size.
fn found(framer: &mut Framer, pieces: &[&[u8]], answers: Answers) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut body = 0;
    for piece in pieces {
        let mut input = *piece;
        loop {
            let step = framer.next(&mut input, answers);
            if let Step::Body(bytes) | Step::Opaque(bytes) | Step::Undecided(bytes) = step {
                body += bytes.len();
                continue;
            }
            if body > 0 && !matches!(step, Step::More) {
                found.push(format!("body of {body}"));
                body = 0;
            }
            found.push(match step {
                Step::More => break,
                Step::Head(head) => format!("head {}", shown(&head)),
                Step::Interim(head) => format!("interim {}", shown(&head)),
                Step::Trailers(head) => format!("trailers {}", shown(&head)),
                Step::End => "end".to_owned(),
                Step::Lost(why) => format!("lost: {}", why.id()),
                Step::Body(_) | Step::Opaque(_) | Step::Undecided(_) => unreachable!("counted above"),
            });
        }
    }
    found.push(format!("and {body} bytes"));
    found
}

fn shown(head: &RawHead) -> String {
    let fields = head.fields().map(|field| format!("{}|{}", field.name.escape_ascii(), field.value.escape_ascii()));
    let defects = head.defects().iter().map(|defect| format!("{}@{}", defect.kind.id(), defect.at));
    format!(
        "{} [{}] {:?} {} bytes",
        head.start_line().escape_ascii(),
        fields.collect::<Vec<_>>().join(", "),
        defects.collect::<Vec<_>>(),
        head.size()
    )
}

fn answers_of(request: &[u8]) -> Answers {
    match request.split(|byte| *byte == b' ').next() {
        Some(b"HEAD") => Answers::Head,
        Some(b"CONNECT") => Answers::Connect,
        _ => Answers::Other,
    }
}

fn both_directions(check: impl Fn(&str, &[u8], &dyn Fn() -> Framer, Answers)) {
    for case in messages::all() {
        check(case.name, &case.request, &|| Framer::of_requests(LIMIT), Answers::Nothing);
        check(case.name, &case.response, &|| Framer::of_responses(LIMIT), answers_of(&case.request));
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_as_all_at_once() {
    both_directions(|name, bytes, framer, answers| {
        let at_once = found(&mut framer(), &[bytes], answers);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(found(&mut framer(), &single, answers), at_once, "{name}");
    });
}

/// The heads that a framer gives out.
fn heads(framer: &mut Framer, bytes: &[u8], answers: Answers) -> Vec<RawHead> {
    let mut input = bytes;
    let mut heads = Vec::new();
    loop {
        match framer.next(&mut input, answers) {
            Step::More => return heads,
            Step::Head(head) | Step::Interim(head) => heads.push(head),
            _ => {}
        }
    }
}

#[test]
fn what_is_expected_changes_nothing_of_what_comes() {
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for case in messages::all() {
        requests.extend(heads(&mut Framer::of_requests(LIMIT), &case.request, Answers::Nothing));
        answers.extend(heads(&mut Framer::of_responses(LIMIT), &case.response, answers_of(&case.request)));
    }
    assert!(requests.len() > 20 && answers.len() > 20);
    both_directions(|name, bytes, framer, kind| {
        let expected = if kind == Answers::Nothing { &requests } else { &answers };
        let as_ever = found(&mut framer(), &[bytes], kind);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for head in expected {
            for pieces in [&[bytes][..], &[first, second]] {
                let mut framer = framer();
                framer.expect(Some(head.clone()));
                assert_eq!(found(&mut framer, pieces, kind), as_ever, "{name}, with {} expected", shown(head));
            }
        }
    });
}

#[test]
fn a_head_that_was_expected_is_given_out_unless_it_is_beyond_the_limit() {
    let bytes = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "c".repeat(100)).into_bytes();
    let head = heads(&mut Framer::of_requests(LIMIT), &bytes, Answers::Nothing).remove(0);
    for (limit, is_same) in [(LIMIT, true), (bytes.len(), true), (bytes.len() - 1, false)] {
        let mut framer = Framer::of_requests(limit);
        framer.expect(Some(head.clone()));
        let given = heads(&mut framer, &bytes, Answers::Nothing).remove(0);
        assert_eq!((given.number() == head.number(), given.is_cut()), (is_same, !is_same), "a limit of {limit}");
    }
}

#[test]
fn every_split_gives_the_same() {
    both_directions(|name, bytes, framer, answers| {
        if bytes.len() > 1000 {
            return;
        }
        let at_once = found(&mut framer(), &[bytes], answers);
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(found(&mut framer(), &[first, second], answers), at_once, "{name}, split at {at}");
        }
    });
}

#[test]
fn one_changed_byte_breaks_nothing() {
    both_directions(|_, bytes, framer, answers| {
        if bytes.len() > 400 {
            return;
        }
        for at in 0..bytes.len() {
            for byte in [0, b'\n', b'\r', b' ', b':', b'0', b'f', 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                let at_once = found(&mut framer(), &[&changed], answers);
                let single: Vec<&[u8]> = changed.chunks(1).collect();
                assert_eq!(found(&mut framer(), &single, answers), at_once, "{}", changed.escape_ascii());
            }
        }
    });
}

#[test]
fn a_head_beyond_the_limit_is_cut_and_says_so() {
    let request = format!("GET / HTTP/1.1\r\nA: b\r\nX: {}\r\n\r\n", "y".repeat(2000));
    let mut framer = Framer::of_requests(1024);
    let mut input = request.as_bytes();
    let Step::Head(head) = framer.next(&mut input, Answers::Nothing) else { panic!("a head") };
    assert!(head.is_cut());
    assert_eq!(head.size(), request.len() as u64);
    assert_eq!(head.value("a"), Some(&b"b"[..]));
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_followed_alike(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0usize..600) {
        let (first, second) = bytes.split_at(at.min(bytes.len()));
        for make in [Framer::of_requests, Framer::of_responses] {
            let at_once = found(&mut make(LIMIT), &[&bytes], Answers::Other);
            prop_assert_eq!(found(&mut make(LIMIT), &[first, second], Answers::Other), at_once);
        }
    }

    #[test]
    fn pieces_of_http_in_any_order_are_followed_alike(parts in prop::collection::vec(prop::sample::select(vec![
        "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "A: b\r\n",
        "Upgrade: x\r\n", "\r\n", "\n", "\r", "3\r\nabc\r\n", "0\r\n", "abc", " ", ":", "HTTP/1.1 101 x\r\n",
    ]), 0..24), at in 0usize..400) {
        let bytes = parts.concat().into_bytes();
        let (first, second) = bytes.split_at(at.min(bytes.len()));
        for make in [Framer::of_requests, Framer::of_responses] {
            let at_once = found(&mut make(LIMIT), &[&bytes], Answers::Other);
            prop_assert_eq!(found(&mut make(LIMIT), &[first, second], Answers::Other), at_once);
        }
    }
}
