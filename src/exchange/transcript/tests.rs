use super::*;
use crate::wire::RawHead;

fn one(text: &str) -> Exchange {
    let mut exchanges = parse(text).unwrap();
    assert_eq!(exchanges.len(), 1);
    exchanges.remove(0)
}

fn field(head: &RawHead, name: &str) -> String {
    String::from_utf8(head.value(name).unwrap().to_vec()).unwrap()
}

#[test]
fn a_plain_exchange() {
    let x = one(
        "> GET /api HTTP/1.1\n> Host: a\n< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Basic realm=\"r\"\n<\n< {\"a\":1}\n<\n< b\n",
    );
    assert_eq!(x.request.head.request_line().target, b"/api");
    let response = x.response.seen().unwrap();
    assert_eq!((response.status, response.version), (401, Version::Http11));
    assert_eq!(response.body.start.as_deref(), Some(&b"{\"a\":1}\n\nb"[..]));
    assert_eq!((x.outcome, x.lost), (Outcome::Complete, None));
}

#[test]
fn what_is_said_once_holds_for_the_next() {
    let text = "* time 2026-01-02T03:04:05Z\n* client addr 10.0.0.7\n* client tls\n> GET /1 HTTP/1.1\n< HTTP/1.1 200 OK\n\
                > GET /2 HTTP/1.1\n< HTTP/1.1 200 OK\n* later 5m\n* new connection\n> GET /3 HTTP/1.1\n* unanswered\n\
                > GET /4 HTTP/1.1\n* outcome upstream-failed connect connection refused\n";
    let all = parse(text).unwrap();
    let times: Vec<String> = all.iter().map(|x| x.time.to_string()).collect();
    assert_eq!(times, ["2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", "2026-01-02T03:09:06Z", "2026-01-02T03:09:07Z"]);
    assert!(all.iter().all(|x| x.client.addr.host() == "10.0.0.7" && x.client.tls.is_some()));
    let connections: Vec<u64> = all.iter().map(|x| x.client.connection).collect();
    assert_eq!(connections, [2, 2, 3, 3]);
    assert_eq!(all[2].outcome, Outcome::ClientGone);
    let Outcome::UpstreamFailed(failure) = &all[3].outcome else { panic!("{:?}", all[3].outcome) };
    assert_eq!((failure.step, failure.reason.as_str()), (Step::Connect, "connection refused"));
}

#[test]
fn macros_are_replaced_and_other_braces_kept() {
    let x = one(
        "> GET / HTTP/1.1\n> A: Basic {basic u:p}\n> B: {jwt {\"alg\":\"ES256\"} {\"a\":{\"b\":1}}}\n> C: {x} {hex 41fF} {ntlm 1}\n\
         > D: {jwt {\"alg\":\"RS256\"} {} \"SIG\"}\n< HTTP/1.1 200 OK\n",
    );
    let head = &x.request.head;
    assert_eq!(field(head, "a"), "Basic dTpw");
    let token = field(head, "b");
    let jwt = crate::auth::parse_jwt(token.as_bytes());
    assert_eq!((jwt.header.alg.as_deref(), jwt.signature_length_fits()), (Some("ES256"), Some(true)));
    assert!(jwt.claims.is_some() && jwt.defects.is_empty());
    assert!(head.value("c").unwrap().starts_with(b"{x} A\xff TlRMTVNTUAABAAAA"));
    assert!(field(head, "d").ends_with(".SIG"));
}

#[test]
fn heads_go_through_the_framer() {
    let x = one("> GET / HTTP/1.1\n> Authorization : Basic {basic u:p}\n< HTTP/1.1 200 OK\n");
    assert_eq!(x.request.head.defects()[0].kind.id(), "space-before-colon");
    let x = one("> POST / HTTP/1.1\n> Content-Length: 1\n> Content-Length: 1\n>\n> a\n< HTTP/1.1 400 Bad Request\n");
    assert_eq!(x.lost.unwrap().why, Lost::SeveralLengths);
    assert_eq!(x.outcome, Outcome::Unfollowed);
    let x =
        one("> POST / HTTP/1.1\n> Transfer-Encoding: chunked\n>\n> a\n>+ Authorization: Bearer x\n< HTTP/1.1 200 OK\n");
    assert_eq!((x.lost, field(x.request.trailers.as_ref().unwrap(), "authorization")), (None, "Bearer x".into()));
}

#[test]
fn http2_is_known_by_its_request_line() {
    let x = one(
        "* client h2\n> POST /s/M HTTP/2\n> :authority: api\n> te: trailers\n< HTTP/2 200\n< a: b\n<+ grpc-status: 16\n",
    );
    assert_eq!((x.request.version, x.request.authority.as_deref()), (Version::Http2, Some("api")));
    assert!(!x.request.head.has(":authority") && x.request.head.has("te"));
    let response = x.response.seen().unwrap();
    assert_eq!((response.status, response.version), (200, Version::Http2));
    assert_eq!(field(response.trailers.as_ref().unwrap(), "grpc-status"), "16");
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (text, line, what) in [
        ("", 0, "no exchange"),
        ("> GET / HTTP/1.1\nx", 2, "a line begins"),
        ("< HTTP/1.1 200 OK", 1, "without a request"),
        (">\n", 1, "start line"),
        ("* later soon", 1, "duration"),
        ("* time now", 1, "RFC 3339"),
        ("* client nowhere", 1, "nothing that a client"),
        ("* upstream x", 1, "not a directive"),
        ("* outcome good", 1, "not an outcome"),
        ("> GET / HTTP/1.1\n> A: {hex 0}\n", 2, "hexadecimal"),
        ("> GET / HTTP/1.1\n> A: {jwt x}\n", 2, "header and claims"),
        ("> GET / HTTP/1.1\n> A: {basic x\n", 2, "never closed"),
        ("> GET / HTTP/1.1\n< HTTP/1.1 x\n", 2, "status"),
    ] {
        let error = parse(text).err().unwrap();
        assert!(error.line == line && error.what.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let text = "* later 3s\n> GET / HTTP/1.1\n> A: {jwt {\"alg\":\"é\"} {}}{hex 00}\n>\n> b\n< HTTP/1.1 401 é\n<\n< b\n<+ x: y\n";
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let _ = parse(&text[..end]);
        let _ = parse(&text[end..]);
        let _ = parse(&format!("{}\n{{é{}", &text[..end], &text[end..]));
    }
}
