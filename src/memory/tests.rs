use super::*;
use crate::auth::FingerprintKey;
use crate::exchange::redact::Redactor;
use crate::exchange::transcript;

/// Learns all but the last exchange of a transcript, and asks about that one.
fn ask(text: &str, question: impl FnOnce(&Memory, &View<'_>)) {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
    let exchanges = transcript::parse(text).unwrap();
    let mut memory = Memory::default();
    let (last, before) = exchanges.split_last().unwrap();
    for exchange in before {
        memory.learn(&View::new(exchange, &redactor));
    }
    question(&memory, &View::new(last, &redactor));
}

const REFUSED: &str = "< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer\n";
const SENT: &str = "> GET /a HTTP/1.1\n> Authorization: Bearer abcdef\n";
const FINE: &str = "< HTTP/1.1 200 OK\n";
const BARE: &str = "> GET /a HTTP/1.1\n";

#[test]
fn a_credential_that_worked_and_fails_now() {
    ask(&format!("{SENT}{FINE}{SENT}{REFUSED}{SENT}{REFUSED}{SENT}{REFUSED}"), |memory, view| {
        let history = memory.history(view.authorization().unwrap().fingerprint).unwrap();
        assert_eq!(history.refusals, 2);
        assert_eq!(history.last_accepted.unwrap().to_string(), "2026-11-24T12:00:00Z");
        assert_eq!(history.refused_since.unwrap().to_string(), "2026-11-24T12:00:01Z");
        assert!(memory.others_accepted(view, view.authorization().unwrap().fingerprint).is_none());
    });
}

#[test]
fn what_was_told_on_one_route_is_not_known_of_another() {
    let elsewhere = "> GET /b HTTP/1.1\n> Authorization: Bearer abcdef\n";
    ask(&format!("{SENT}{FINE}{elsewhere}{REFUSED}{SENT}{FINE}{elsewhere}{REFUSED}"), |memory, view| {
        let history = memory.history_here(view, view.authorization().unwrap().fingerprint).unwrap();
        assert!(history.last_accepted.is_none());
        assert_eq!(history.refusals, 1);
    });
    let other = |path: &str, value: &str| format!("> POST {path} HTTP/1.1\n> Authorization: {value}\n{FINE}");
    for (before, expected) in [
        (other("/a", "Bearer uvwxyz"), true),
        (other("/b", "Bearer uvwxyz"), false),
        (other("/a", "Basic {basic anna:correct horse}"), false),
    ] {
        ask(&format!("{before}{SENT}{REFUSED}"), |memory, view| {
            let others = memory.others_accepted(view, view.authorization().unwrap().fingerprint);
            assert_eq!(others.is_some(), expected, "{before}");
        });
    }
    let one = "> GET /users/17/a HTTP/1.1\n> Authorization: Bearer abcdef\n";
    let two = "> PUT /users/b3f1c2de-0000-4000-8000-00805f9b34fb HTTP/1.1\n";
    ask(&format!("{one}{FINE}{two}{REFUSED}"), |memory, view| assert!(memory.accepted_unasked(view).is_some()));
    ask(&format!("{one}{FINE}> GET /users HTTP/1.1\n{REFUSED}"), |memory, view| {
        assert!(memory.accepted_unasked(view).is_none());
    });
}

#[test]
fn who_names_errors_is_known_by_route_and_realm() {
    let named = "< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"x\", error=\"invalid_token\"\n";
    let bare = |realm: &str| format!("< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"{realm}\"\n");
    let elsewhere = "> GET /b HTTP/1.1\n> Authorization: Bearer abcdef\n";
    for (request, realm, expected) in [(SENT, "x", true), (SENT, "y", false), (elsewhere, "x", false)] {
        ask(&format!("{SENT}{named}{request}{}", bare(realm)), |memory, view| {
            assert_eq!(memory.names_bearer_errors(view), expected, "{request} {realm}");
        });
    }
}

#[test]
fn ignored_challenges_are_counted_until_an_answer() {
    ask(&format!("{BARE}{REFUSED}{BARE}{REFUSED}{BARE}{REFUSED}"), |memory, view| {
        assert_eq!(memory.client(view).unwrap().ignored, 2);
        assert_eq!(memory.client(view).unwrap().last_challenge.as_ref().unwrap().schemes, [Scheme::Bearer]);
    });
    ask(&format!("{BARE}{REFUSED}{SENT}{FINE}{BARE}{REFUSED}"), |memory, view| {
        assert_eq!(memory.client(view).unwrap().ignored, 0);
    });
}

#[test]
fn only_who_sends_unasked_is_missed_later() {
    ask(&format!("{SENT}{FINE}{BARE}{REFUSED}"), |memory, view| assert!(memory.accepted_unasked(view).is_some()));
    ask(&format!("{BARE}{REFUSED}{SENT}{FINE}{BARE}{REFUSED}"), |memory, view| {
        assert!(memory.accepted_unasked(view).is_none());
    });
}

#[test]
fn a_challenge_is_left_unanswered_by_who_knew_of_it() {
    let is_left = |text: String| {
        let mut left = false;
        ask(&text, |memory, view| left = memory.left_unanswered(view).is_some());
        left
    };
    assert!(!is_left(format!("{SENT}{FINE}{BARE}{REFUSED}")));
    assert!(is_left(format!("{SENT}{FINE}{BARE}{REFUSED}{BARE}{REFUSED}")));
    assert!(!is_left(format!("{BARE}{REFUSED}{SENT}{FINE}{BARE}{REFUSED}")));
    assert!(!is_left(format!("{BARE}{REFUSED}> GET /b HTTP/1.1\n{REFUSED}")));
    assert!(!is_left(format!("{BARE}< HTTP/1.1 403 Forbidden\n{BARE}{REFUSED}")));
    let at = |time: &str| format!("* time 2026-11-24T12:00:{time}Z\n");
    let both =
        |time: &str, more: &str| is_left(format!("{}{BARE}{REFUSED}{}{more}{BARE}{REFUSED}", at("00"), at(time)));
    assert!(!both("00", "") && both("00.5", ""));
    assert!(!both("00.5", "* new connection\n") && both("02", "* new connection\n"));
}

#[test]
fn clients_behind_one_address_are_kept_apart() {
    let other = "> GET /a HTTP/1.1\n> X-Forwarded-For: 192.0.2.9\n";
    ask(&format!("{SENT}{FINE}{other}{REFUSED}"), |memory, view| {
        assert!(memory.client(view).is_none());
        assert!(memory.connection(view).unwrap().last_sent.is_some());
    });
}

#[test]
fn redirects_and_preflights_are_remembered() {
    let moved = "< HTTP/1.1 301 Moved Permanently\n< Location: https://api.example/b/?x=y\n";
    ask(&format!("{SENT}{moved}> GET /b/ HTTP/1.1\n{REFUSED}"), |memory, view| {
        assert!(memory.follows_redirect(view).unwrap().had_authorization);
    });
    let preflight = "> OPTIONS /a HTTP/1.1\n> Origin: https://app.example\n> Access-Control-Request-Method: GET\n\
                     > Access-Control-Request-Headers: authorization\n< HTTP/1.1 204 No Content\n";
    ask(&format!("{preflight}{BARE}{REFUSED}"), |memory, view| {
        assert!(memory.client(view).unwrap().announced.is_some());
    });
}

#[test]
fn an_ntlm_handshake_is_followed_by_connection() {
    let start = "> GET / HTTP/1.1\n> Authorization: NTLM {ntlm 1}\n< HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: NTLM {ntlm 2}\n";
    ask(&format!("{start}> GET / HTTP/1.1\n{FINE}"), |memory, view| {
        assert_eq!(memory.connection(view).unwrap().ntlm, Some(NtlmStep::Challenge));
    });
    ask(&format!("{start}* new connection\n> GET / HTTP/1.1\n{FINE}"), |memory, view| {
        assert!(memory.connection(view).is_none());
    });
}

#[test]
fn tables_are_bounded_and_lose_the_oldest() {
    let mut table: Table<usize, usize> = Table::new(4);
    for number in 0..100 {
        *table.entry(number) = number;
        *table.entry(0) = number;
    }
    assert_eq!(table.sizes().0, 4);
    assert!(table.sizes().1 <= 9, "{:?}", table.sizes());
    assert_eq!(table.get(&0), Some(&99));
    assert_eq!(table.get(&99), Some(&99));
    assert_eq!(table.get(&50), None);
}
