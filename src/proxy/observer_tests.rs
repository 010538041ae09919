use super::super::test_connection::{connection, exchanges};
use super::*;
use crate::queue::Inlet;

/// An observer that sets the Host field, and so holds heads that are not complete.
fn observer() -> (Observer, Inlet) {
    let (connection, inlet) = connection();
    let host = SetHost { to: "b".to_owned(), why: "a test" };
    (Observer::new(connection, Some(Arc::new(host)), None, 64 * 1024), inlet)
}

/// What goes on of `bytes`.
fn passed(pass: Pass, bytes: &[u8]) -> Vec<u8> {
    match pass {
        Pass::AsTheyAre => bytes.to_vec(),
        Pass::Instead(other) => other,
        Pass::Stop => panic!("stopped"),
    }
}

fn broken(_: &mut Observer) -> Pass {
    panic!("a fault of the tests' own")
}

#[test]
fn a_fault_within_a_head_loses_no_byte_of_it() {
    let (mut observer, inlet) = observer();
    let mut out = passed(observer.request_bytes(b"GET / HT"), b"GET / HT");
    assert!(out.is_empty(), "a head is held until it is complete");
    let caught = panics::caught();
    out.extend(passed(observer.guarded_request(b"TP/1.1\r\n", broken), b"TP/1.1\r\n"));
    assert!(panics::caught() > caught);
    for rest in [&b"Host: a\r\n"[..], b"\r\n", b"GET /2 HTTP/1.1\r\n\r\n"] {
        out.extend(passed(observer.request_bytes(rest), rest));
    }
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(passed(observer.response_bytes(answer), answer), answer);
    assert!(!observer.is_idle() && !observer.is_full() && !observer.can_refuse());
    observer.end(&Outcome::ClientGone);
    assert_eq!(exchanges(&inlet).len(), 0);
}

#[test]
fn a_fault_within_an_answer_tells_of_its_exchange_what_is_known() {
    let (mut observer, inlet) = observer();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(passed(observer.request_bytes(request), request), b"GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    let answer = b"HTTP/1.1 401 No\r\n\r\n";
    assert_eq!(passed(observer.guarded_response(answer, broken), answer), answer);
    let told = exchanges(&inlet);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].outcome, Outcome::Unfollowed);
    // The connection goes on.
    assert_eq!(passed(observer.request_bytes(request), request), request);
    assert_eq!(passed(observer.response_bytes(b""), b""), b"");
    observer.end(&Outcome::ClientGone);
    assert_eq!(exchanges(&inlet).len(), 0);
}

#[test]
fn a_request_begins_with_its_first_byte_and_not_where_the_one_before_ended() {
    let (mut observer, inlet) = observer();
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    let mut sent = Vec::new();
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        sent.push((jiff::Timestamp::now(), std::time::Instant::now()));
        observer.request_bytes(request);
        observer.response_bytes(answer);
    }
    for (exchange, (time, instant)) in exchanges(&inlet).iter().zip(sent) {
        assert!(exchange.time >= time, "{} is before {time}", exchange.time);
        assert!(exchange.timing.total <= instant.elapsed());
    }
}

#[test]
fn what_comes_again_is_told_of_each_time_as_it_came() {
    let (mut observer, inlet) = observer();
    let answer = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n";
    let requests = ["/a", "/a", "/ab", "/a", "/a"].map(|target| format!("GET {target} HTTP/1.1\r\nHost: b\r\n\r\n"));
    for (number, request) in requests.iter().enumerate() {
        let is_split = number == 4;
        let (first, second) = request.as_bytes().split_at(if is_split { request.len() / 2 } else { request.len() });
        let pieces = if is_split { vec![first, second] } else { vec![first] };
        let on: Vec<u8> = pieces.iter().flat_map(|piece| passed(observer.request_bytes(piece), piece)).collect();
        assert_eq!(on, request.as_bytes());
        observer.response_bytes(answer);
    }
    let told = exchanges(&inlet);
    let heads: Vec<&[u8]> = told.iter().map(|exchange| exchange.request.head.as_received()).collect();
    assert_eq!(heads, requests.each_ref().map(|request| request.as_bytes()));
    let numbers: Vec<usize> = told.iter().map(|exchange| exchange.request.head.number()).collect();
    assert!(numbers[0] == numbers[1] && numbers[1] != numbers[2] && numbers[3] != numbers[4], "{numbers:?}");
    let answers = told.iter().filter_map(|exchange| exchange.response.seen()).map(|response| response.head.number());
    assert_eq!(answers.collect::<std::collections::HashSet<_>>().len(), 1);
}
