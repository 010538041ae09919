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

/// A while in which a clock goes on; gives what it shows then.
fn later() -> (jiff::Timestamp, std::time::Instant) {
    std::thread::sleep(std::time::Duration::from_millis(20));
    (jiff::Timestamp::now(), std::time::Instant::now())
}

/// Shows an observer the pieces, after a while each, and tells of each exchange whether it began between the piece of that
/// number and the next one.
fn began_with(observer: &mut Observer, inlet: &Inlet, pieces: &[(char, &str)], numbers: &[usize]) {
    let mut came = Vec::new();
    for (direction, bytes) in pieces {
        came.push(later());
        match direction {
            '>' => drop(observer.request_bytes(bytes.as_bytes())),
            _ => drop(observer.response_bytes(bytes.as_bytes())),
        }
    }
    came.push(later());
    observer.end(&Outcome::ClientGone);
    let told = exchanges(inlet);
    assert_eq!(told.len(), numbers.len());
    for (exchange, number) in told.iter().zip(numbers) {
        let ((time, instant), (next, _)) = (came[*number], came[number + 1]);
        assert!(exchange.time >= time && exchange.time < next, "{} is not within {time} and {next}", exchange.time);
        assert!(exchange.timing.total <= instant.elapsed());
    }
}

#[test]
fn a_request_begins_with_its_first_byte() {
    let answer = ('<', "HTTP/1.1 204 No Content\r\n\r\n");
    let (mut kept, inlet) = observer();
    let get = ('>', "GET / HTTP/1.1\r\n\r\n");
    began_with(&mut kept, &inlet, &[get, answer, get, answer], &[0, 2]);
    // In pieces, behind an empty line that the client sent with the request before.
    let (mut old, inlet) = observer();
    let post = ('>', "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok\r\n");
    began_with(&mut old, &inlet, &[post, answer, ('>', "GET / HT"), ('>', "TP/1.1\r\n\r\n"), answer], &[0, 2]);
    // Behind another one in the same piece, and behind one that asked for an upgrade and did not get it.
    let (mut piped, inlet) = observer();
    let two = ('>', "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    began_with(&mut piped, &inlet, &[two, answer, answer], &[0, 0]);
    let (mut upgrade, inlet) = observer();
    let asks = ('>', "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    began_with(&mut upgrade, &inlet, &[asks, get, answer, answer], &[0, 1]);
}

#[test]
fn an_empty_line_behind_a_request_keeps_nothing_open() {
    let (mut observer, _inlet) = observer();
    observer.request_bytes(b"GET / HTTP/1.1\r\n\r\n\r\n");
    assert!(!observer.is_idle());
    observer.response_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert!(observer.is_idle());
    observer.request_bytes(b"G");
    assert!(!observer.is_idle());
}

#[test]
fn what_came_before_it_is_shown_began_when_it_came() {
    let (mut observer, inlet) = observer();
    let (before, _) = later();
    observer.came(Some(Began::now()));
    let (after, _) = later();
    observer.request_bytes(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    observer.end(&Outcome::ClientGone);
    let told = exchanges(&inlet);
    assert!(told.len() == 2 && told.iter().all(|exchange| (before..after).contains(&exchange.time)));
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
