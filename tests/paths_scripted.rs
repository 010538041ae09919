//! Gateways between two taps that do what no real one can easily be made to do: values cut and joined, headers moved, and
//! requests that can't be told apart.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, SESSION, WRONG_BEARER_TOKEN};
use common::gateway::{Message, answering, changing, gateway};
use common::head::answer;
use common::path::{bearer, orders};
use common::record::{assert_no_alarm, findings};
use common::{Client, Origin, Path, curl, wait_for};

/// Refuses whatever comes.
fn refusing() -> Origin {
    Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""))
}

/// Takes whatever comes.
fn content() -> Origin {
    Origin::reply(answer("200 OK", &[], "fine\n"))
}

/// A gateway that changes requests so, before a backend that refuses; the client sends these headers.
fn changed(
    headers: &[&str],
    target: &str,
    change: impl Fn(&mut Message) + Send + Sync + 'static,
) -> (Path<Origin>, Origin) {
    let origin = refusing();
    let path = Path::start(|app| changing(app, change), &origin.url());
    let mut args: Vec<&str> = headers.iter().flat_map(|header| ["-H", header]).collect();
    let url = path.url(target);
    args.push(&url);
    curl(&args).assert_status(401);
    (path, origin)
}

#[test]
fn a_token_that_is_cut_at_the_size_of_a_buffer() {
    let token = format!("{BEARER_TOKEN}{}", "x".repeat(600));
    let header = format!("Authorization: Bearer {token}");
    let (path, origin) = changed(&[&header], "/v1", |request| {
        let mut value = request.get("authorization").unwrap().to_owned();
        value.truncate(255);
        request.set("authorization", value);
    });

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten").assert_changes(&["request authorization cut"]);
    assert_eq!(way.change("request", "authorization")["text"], "was cut after 255 bytes");
    way.assert_evidence(&["edge in", "Bearer token#", "(633 bytes)"]).assert_evidence(&["app  in", "(248 bytes)"]);
    assert!(origin.received_text().contains(&format!("Bearer {}\r\n", &token[..248])));
}

#[test]
fn two_lines_that_become_one() {
    let basic = format!("Authorization: Basic {}", "YWxpY2U6c2VjcmV0LW9mLWFsaWNl");
    let (path, _origin) = changed(&[&bearer(), &basic], "/v1", |request| {
        let joined = request.take("authorization").join(", ");
        request.add("Authorization", joined);
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization merged"]);
}

#[test]
fn a_header_that_is_sent_twice() {
    let (path, _origin) = changed(&[&bearer()], "/v1", |request| {
        let value = request.get("authorization").unwrap().to_owned();
        request.add("Authorization", value);
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization duplicated"]);
}

#[test]
fn a_header_that_is_moved_behind_the_body() {
    let (path, origin) = changed(&[&bearer()], "/v1", |request| {
        let values = request.take("authorization");
        request.trailers.extend(values.into_iter().map(|value| ("Authorization".to_owned(), value)));
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization moved-to-trailer"]);
    assert!(origin.received_text().contains("\r\n0\r\nAuthorization: Bearer "), "{}", origin.received_text());
}

#[test]
fn quotes_that_are_put_around_the_token() {
    let (path, _origin) = changed(&[&bearer()], "/v1", |request| {
        request.set("authorization", format!("Bearer \"{BEARER_TOKEN}\""));
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization quotes"]);
}

#[test]
fn a_token_that_is_percent_decoded() {
    let (path, _origin) = changed(&["Authorization: Bearer abc%2Fdef%3Dghijkl"], "/v1", |request| {
        request.set("authorization", "Bearer abc/def=ghijkl");
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization percent"]);
}

#[test]
fn a_token_in_the_other_form_of_base64() {
    let (path, _origin) = changed(&["Authorization: Bearer abcd-efgh_ijklmnop"], "/v1", |request| {
        request.set("authorization", "Bearer abcd+efgh/ijklmnop");
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization base64"]);
}

#[test]
fn a_scheme_in_other_letters_is_legal_so_it_is_only_likely_the_cause() {
    let (path, _origin) = changed(&[&bearer()], "/v1", |request| {
        request.set("authorization", format!("bearer {BEARER_TOKEN}"));
    });

    let way = path.way(1);
    way.assert_verdict("credentials-rewritten", "error", "likely", "hop:edge>app");
    way.assert_changes(&["request authorization scheme-case"]);
}

#[test]
fn another_scheme_before_the_same_secret() {
    let (path, _origin) = changed(&[&format!("Authorization: Token {BEARER_TOKEN}")], "/v1", |request| {
        request.set("authorization", format!("Bearer {BEARER_TOKEN}"));
    });

    path.way(1).assert_hop_error("credentials-rewritten").assert_changes(&["request authorization scheme"]);
}

#[test]
fn a_key_that_travels_on_as_a_bearer_token() {
    let (path, _origin) = changed(&[&format!("X-Api-Key: {API_KEY}")], "/v1", |request| {
        request.take("x-api-key");
        request.add("Authorization", format!("Bearer {API_KEY}"));
    });

    let way = path.way(1);
    way.assert_hop_error("credentials-moved").assert_changes(&["request x-api-key renamed"]);
    assert_eq!(way.change("request", "x-api-key")["text"], "was renamed to Authorization");
}

#[test]
fn a_token_that_travels_on_in_another_header() {
    let (path, _origin) =
        changed(&[&bearer()], "/v1", |request| request.rename("authorization", "X-Forwarded-Authorization"));

    path.way(1).assert_hop_error("credentials-moved").assert_changes(&["request authorization renamed"]);
}

#[test]
fn a_token_that_travels_on_in_the_cookie() {
    let (path, _origin) = changed(&[&bearer()], "/v1", |request| {
        request.take("authorization");
        request.add("Cookie", format!("access={BEARER_TOKEN}"));
    });

    path.way(1).assert_hop_error("credentials-moved").assert_changes(&["request authorization renamed"]);
}

#[test]
fn another_token_with_the_old_one_beside_it() {
    let (path, _origin) = changed(&[&bearer()], "/v1", |request| {
        request.rename("authorization", "X-Original-Authorization");
        request.add("Authorization", format!("Bearer {WRONG_BEARER_TOKEN}"));
    });

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced").assert_changes(&["request authorization replaced"]);
    way.assert_evidence(&["the client's own stands in X-Original-Authorization now"]);
}

#[test]
fn a_token_in_the_query_that_is_taken_off() {
    let target = format!("/v1?page=2&access_token={API_KEY}");
    let (path, origin) = changed(&[], &target, |request| request.set_target("/v1?page=2"));

    path.way(1).assert_hop_error("credentials-stripped").assert_changes(&["request ?access_token removed"]);
    assert!(!origin.received_text().contains("access_token"));
}

#[test]
fn a_cookie_that_is_taken_off() {
    let (path, _origin) = changed(&[&format!("Cookie: session={SESSION}")], "/v1", |request| {
        request.take("cookie");
    });

    path.way(1).assert_hop_error("credentials-stripped").assert_changes(&["request cookie removed"]);
}

#[test]
fn proxy_authorization_is_taken_off_as_what_belongs_to_the_hop() {
    let (path, _origin) = changed(&[&format!("Proxy-Authorization: Bearer {BEARER_TOKEN}")], "/v1", |request| {
        request.take("proxy-authorization");
    });

    path.way(1).assert_hop_error("credentials-stripped").assert_changes(&["request proxy-authorization removed"]);
}

#[test]
fn a_message_signature_over_a_header_that_the_gateway_changed() {
    let signed = [
        "Signature-Input: sig1=(\"@method\" \"@authority\" \"x-tenant\");created=1795521600;keyid=\"k1\"",
        "Signature: sig1=:dGhpcyBpcyBub3QgYSByZWFsIHNpZ25hdHVyZQ==:",
        "X-Tenant: north",
    ];
    let (path, _origin) = changed(&signed, "/v1", |request| request.set("x-tenant", "NORTH"));

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed").assert_changes(&["request x-tenant letter-case"]);
    way.assert_evidence(&["signed:", "x-tenant"]);
}

#[test]
fn a_dpop_proof_for_a_path_that_the_gateway_shortened() {
    let headers = [
        format!("Authorization: DPoP {BEARER_TOKEN}"),
        "DPoP: eyJhbGciOiJFUzI1NiJ9.eyJodG0iOiJHRVQifQ.c2ln".to_owned(),
    ];
    let (path, _origin) = changed(&[&headers[0], &headers[1]], "/api/orders", |request| request.set_target("/orders"));

    path.way(1).assert_hop_error("signed-part-changed").assert_changes(&["request :target path-prefix"]);
}

/// A gateway that changes answers so, before a backend that refuses a request without credentials.
fn answered(change: impl Fn(&mut Message) + Send + Sync + 'static) -> Path<Origin> {
    let origin = refusing();
    let path = Path::start(|app| answering(app, change), &origin.url());
    assert_eq!(curl(&[&path.url("/v1")]).exit, 0);
    // The record does not need the origin any more.
    path.tap.records(2);
    path
}

#[test]
fn a_challenge_that_does_not_come_back() {
    let path = answered(|answer| {
        answer.take("www-authenticate");
    });

    let way = path.way(1);
    way.assert_hop_error("challenge-changed").assert_changes(&["answer www-authenticate removed"]);
}

#[test]
fn a_challenge_under_another_name() {
    let path = answered(|answer| answer.rename("www-authenticate", "X-Amzn-Remapped-WWW-Authenticate"));

    path.way(1).assert_hop_error("challenge-changed").assert_changes(&["answer www-authenticate renamed"]);
}

#[test]
fn a_challenge_with_another_realm() {
    let path = answered(|answer| answer.set("www-authenticate", "Bearer realm=\"gateway\""));

    let way = path.way(1);
    way.assert_verdict("challenge-changed", "warning", "certain", "hop:edge>app");
    way.assert_changes(&["answer www-authenticate changed"]);
}

#[test]
fn a_second_challenge() {
    let path = answered(|answer| answer.add("WWW-Authenticate", "Basic realm=\"gateway\""));

    let way = path.way(1);
    way.assert_verdict("challenge-changed", "warning", "certain", "hop:edge>app");
    way.assert_changes(&["answer www-authenticate added"]);
}

#[test]
fn a_refusal_that_becomes_a_page() {
    let path = answered(|answer| {
        *answer = Message::answer("200 OK", &[("Content-Type", "text/html")]);
        answer.body = b"<form>please log in</form>".to_vec();
    });

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&["answer :status changed", "answer content-type added", "answer www-authenticate removed"]);
}

#[test]
fn a_refusal_of_the_gateway_itself() {
    let origin = content().may_be_unused();
    let path =
        Path::start(|app| gateway(app, |_, _| Message::answer("403 Forbidden", &[("Server", "envoy")])), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(403);

    let way = path.way(0);
    let finding = way.assert_beside("refusal-origin");
    assert_eq!((&finding["certainty"], &finding["at"]), (&"certain".into(), &"hop:edge>app".into()));
    assert_eq!(finding["summary"], "the gateway refused by itself: no request arrived at app");
    assert!(finding["fix"].as_str().unwrap().contains("ext_authz"), "{finding:#}");
    assert_eq!(way.hop()["requests"], 0);
    assert!(origin.received_text().is_empty());
}

#[test]
fn a_gateway_that_tries_again_and_succeeds_is_healthy() {
    let origin = Origin::start(|conn| {
        // Each attempt comes on a connection of its own, so the number has to be kept elsewhere: in the request.
        let head = conn.read_head().unwrap();
        let reply = match head.get("x-attempt").as_deref() {
            Some("1") => answer("503 Service Unavailable", &[], ""),
            _ => answer("200 OK", &[], "fine\n"),
        };
        conn.write(&reply);
    });
    let path = Path::start(
        |app| {
            gateway(app, |mut request, send| {
                request.set("X-Attempt", "1");
                assert!(send(&request).start_line.contains("503"));
                request.set("X-Attempt", "2");
                send(&request)
            })
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(2);
    way.assert_healthy().assert_join("hop-header").assert_changes(&["request x-attempt added"]);
    assert_eq!(way.hop()["requests"], 2);
    // Both attempts belong to the one request.
    for attempt in &way.app {
        assert_eq!(attempt["path_id"], way.edge["path_id"]);
        assert_eq!(attempt["parent_id"], way.edge["id"]);
    }
}

#[test]
fn the_second_attempt_of_a_gateway_loses_the_header() {
    let origin = orders();
    let path = Path::start(
        |app| {
            gateway(app, |mut request, send| {
                let first = send(&request);
                assert!(first.start_line.contains("200"));
                request.take("authorization");
                send(&request)
            })
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    path.way(2).assert_hop_error("credentials-stripped").assert_changes(&["request authorization removed"]);
}

/// Passes on these fields alone, as gateways do that drop what they don't know.
fn only(names: &'static [&'static str]) -> impl Fn(&mut Message) + Send + Sync + 'static {
    move |request| request.fields.retain(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

#[test]
fn without_the_hop_header_the_trace_tells_which_request_it_is() {
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (path, _origin) = changed(&[&bearer(), trace], "/v1", |request| {
        only(&["host", "traceparent"])(request);
        // Each hop is a span of its own.
        request.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
    });

    let way = path.way(1);
    way.assert_verdict("credentials-stripped", "error", "likely", "hop:edge>app").assert_join("trace-id");
    way.assert_evidence(&["the same trace id was seen at both taps"]);
    assert!(way.changes().contains(&"request authorization removed".to_owned()), "{:?}", way.changes());
}

#[test]
fn without_the_hop_header_the_request_id_tells_which_request_it_is() {
    let (path, _origin) = changed(&[&bearer(), "X-Request-Id: 7f9c2e14-aa01"], "/v1", only(&["host", "x-request-id"]));

    let way = path.way(1);
    way.assert_verdict("credentials-stripped", "error", "likely", "hop:edge>app").assert_join("request-id");
    way.assert_evidence(&["the same request id was seen at both taps"]);
}

#[test]
fn without_any_id_method_path_and_time_have_to_do() {
    let (path, _origin) = changed(&[&bearer()], "/v1", only(&["host"]));

    let way = path.way(1);
    way.assert_verdict("credentials-stripped", "error", "possible", "hop:edge>app").assert_join("likeness");
    way.assert_evidence(&["method, path, time and fingerprints fit"]);
}

#[test]
fn requests_that_look_alike_are_not_taken_for_each_other() {
    let gate = std::sync::Arc::new(std::sync::Barrier::new(2));
    let origin = refusing();
    let path = Path::start(
        |app| {
            changing(app, move |request| {
                // Both are under way at once, and nothing tells them apart.
                gate.wait();
                request.fields.retain(|(name, _)| name.eq_ignore_ascii_case("host"));
            })
        },
        &origin.url(),
    );

    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);
            });
        }
    });

    for record in path.tap.records(4) {
        assert!(record["hops"].is_null(), "{record:#}");
        assert!(findings(&record).iter().all(|finding| !finding["at"].as_str().unwrap().starts_with("hop")));
    }
}

#[test]
fn the_header_is_seen_by_the_gateway_alone() {
    let origin = orders();
    let path = Path::start(|app| changing(app, |_| {}), &origin.url());

    let result = curl(&["-H", &bearer(), &path.url("/v1")]);

    result.assert_status(200);
    path.way(1).assert_healthy().assert_join("hop-header").assert_changes(&[]);
    assert!(!result.heads.to_ascii_lowercase().contains("authtap"), "{}", result.heads);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authtap"), "{}", origin.received_text());
    let between = path.gateway.received_text();
    let line = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap_or_else(|| panic!("{between}"));
    assert!(line.len() < 256, "{line}");
}

#[test]
fn the_header_can_have_another_name() {
    let origin = orders();
    let path = Path::start_with(&["--hop-header", "X-Debug-Hop"], |app| changing(app, |_| {}), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    path.way(1).assert_healthy().assert_join("hop-header").assert_changes(&[]);
    assert!(path.gateway.received_text().contains("X-Debug-Hop: 1;"));
    assert!(!origin.received_text().contains("X-Debug-Hop"));
}

#[test]
fn without_the_header_nothing_is_added_anywhere() {
    let origin = refusing();
    let path = Path::start_with(
        &["--no-hop-header"],
        |app| {
            changing(app, |request| {
                request.take("authorization");
            })
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("credentials-stripped", "error", "possible", "hop:edge>app").assert_join("likeness");
    assert!(!path.gateway.received_text().to_ascii_lowercase().contains("authtap"));
    common::record::assert_untouched(&way.edge);
}

#[test]
fn the_host_that_a_tap_sets_is_not_the_doing_of_the_hop() {
    let origin = orders();
    let path = Path::start_with(
        &["--host", "orders.example"],
        |app| {
            changing(app, |request| {
                assert_eq!(request.get("host"), Some("orders.example"));
                request.set("host", "gateway.example");
            })
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&["request host changed"]);
    let change = way.change("request", "host");
    assert_eq!(
        (&change["before"], &change["after"]),
        (&"Host: orders.example".into(), &"Host: gateway.example".into())
    );
    assert!(origin.received_text().contains("Host: orders.example\r\n"));
}

#[test]
fn a_client_that_writes_the_header_itself_is_not_believed() {
    // What passed between the taps is what an eavesdropper knows.
    let origin = orders();
    let path = Path::start(|app| changing(app, |_| {}), &origin.url());
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);
    let between = path.gateway.received_text();
    let genuine = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap().to_owned();
    path.ways(&[1]);
    let mut altered = genuine.clone().into_bytes();
    altered[40] ^= 1;
    let altered = String::from_utf8(altered).unwrap();
    let first = path.tap.records_now().len();
    let forged = [genuine.as_str(), &altered, "Authtap-Hop: 1;nonsense", "authtap-hop:", "AUTHTAP-HOP: \u{e4}"];

    for (number, header) in forged.iter().enumerate() {
        // To the outer tap: a client writes it. To the inner one: who can reach it past the gateway.
        let edge = path.tap.addr();
        let request = format!("GET /forged/{number} HTTP/1.1\r\nHost: x\r\n{header}\r\n{}\r\n\r\n", bearer());
        let mut client = Client::connect(edge);
        assert_eq!(client.send(&request).read_response().0.status(), 200, "{header}");
    }
    let records = path.tap.records(first + 2 * forged.len());

    let forged: Vec<_> = records.iter().filter(|record| record["hop_header_ignored"].is_string()).collect();
    assert_eq!(forged.len(), 5, "{records:#?}");
    for record in &forged {
        assert_eq!(record["tap"], "edge");
        assert_eq!(record["path_id"], record["id"], "it begins a path of its own");
        assert_eq!(record["hops"][0]["join"], "hop-header");
        assert_eq!(record["edits"][0]["what"], "hop-header");
        assert_no_alarm(record);
    }
    assert!(!origin.received_text().to_ascii_lowercase().contains("authtap"), "{}", origin.received_text());
    let stopped = path.tap.stop();
    assert!(stopped.stdout.contains("5 hop headers were not believed"), "{}", stopped.stdout);
}

#[test]
fn who_reaches_the_inner_tap_past_the_gateway_is_not_believed() {
    let origin = orders();
    let path = Path::start(|app| changing(app, |_| {}), &origin.url());
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);
    let between = path.gateway.received_text();
    let genuine = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap().to_owned();
    let app = path.tap.addresses()[1].addr;
    let send = |header: &str| {
        let request = format!("GET /forged HTTP/1.1\r\nHost: x\r\n{header}\r\n{}\r\n\r\n", bearer());
        let mut client = Client::connect(app);
        assert_eq!(client.send(&request).read_response().0.status(), 200, "{header}");
    };
    path.ways(&[1]);

    // A gateway that tries again brings a genuine one a few times; more often than that nobody is believed.
    for _ in 0..6 {
        send(&genuine);
    }
    let mut altered = genuine.clone().into_bytes();
    altered[20] ^= 1;
    send(&String::from_utf8(altered).unwrap());
    send("Authtap-Hop: 1;-;-;edge;1.1;-;AAAA");
    send(&format!("{genuine}\r\n{genuine}"));

    let records = wait_for("nine forged requests", common::DEADLINE, || {
        let records = path.tap.records_now();
        (records.len() == 11).then_some(records)
    });
    let reasons: Vec<&str> = records.iter().filter_map(|record| record["hop_header_ignored"].as_str()).collect();
    assert_eq!(reasons.iter().filter(|reason| reason.contains("too often")).count(), 3, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| reason.contains("malformed") || reason.contains("our key")).count(), 2);
    assert_eq!(reasons.iter().filter(|reason| reason.contains("several")).count(), 1);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authtap"), "{}", origin.received_text());
}

#[test]
fn three_taps_name_the_hop_between_the_second_and_the_third() {
    let origin = orders();
    let (middle, inner) = (common::path::ReservedPort::new(), common::path::ReservedPort::new());
    let first = changing(&middle.addr().to_string(), |request| request.add("X-Real-IP", "10.0.0.7"));
    let second = changing(&inner.addr().to_string(), |request| {
        request.take("authorization");
    });
    let taps = [
        format!("edge@127.0.0.1:0={}", first.url()),
        format!("mesh@{}={}", middle.addr(), second.url()),
        format!("app@{}={}", inner.addr(), origin.url()),
    ];
    let tap = common::Tap::run(&[], &[&taps[0], &taps[1], &taps[2]]);

    curl(&["-H", &bearer(), &tap.url("/v1")]).assert_status(401);

    let records = tap.records(3);
    for record in &records {
        assert_eq!(record["path_id"], records[0]["path_id"]);
    }
    let edge = records.iter().find(|record| record["tap"] == "edge").unwrap();
    let mesh = records.iter().find(|record| record["tap"] == "mesh").unwrap();
    common::record::assert_finding(mesh, "credentials-stripped", "error");
    assert_eq!(findings(mesh)[0]["at"], "hop:mesh>app");
    // The outermost tap is not told of a hop that it does not touch, but what people read is told once for all taps.
    assert_eq!(edge["hops"][0]["changes"][0]["name"], "x-real-ip", "{edge:#}");
    let stopped = tap.stop();
    assert!(stopped.stdout.contains("credentials-stripped"), "{}", stopped.stdout);
    assert!(stopped.stdout.contains("removed between mesh and app"), "{}", stopped.stdout);
}

#[test]
fn one_connection_carries_many_requests_each_with_its_own() {
    let origin = orders();
    let path = Path::start(
        |app| {
            changing(app, |request| {
                if request.start_line.contains("/odd") {
                    request.take("authorization");
                }
            })
        },
        &origin.url(),
    );
    let mut client = Client::connect(path.tap.addr());
    for number in 0..10 {
        let route = if number % 2 == 1 { "odd" } else { "even" };
        client.send(format!("GET /{route}/{number} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", bearer()));
        let (head, _) = client.read_response();
        assert_eq!(head.status(), if route == "odd" { 401 } else { 200 });
    }

    for (number, way) in path.ways(&[1; 10]).iter().enumerate() {
        way.assert_join("hop-header");
        assert_eq!(way.edge["request"]["target"], way.app[0]["request"]["target"]);
        if number % 2 == 1 {
            way.assert_hop_error("credentials-stripped");
        } else {
            way.assert_healthy().assert_changes(&[]);
        }
    }
}

#[test]
fn what_a_gateway_usually_adds_is_no_alarm() {
    let origin = orders();
    let path = Path::start(
        |app| {
            gateway(app, |mut request, send| {
                request.add("Via", "1.1 gateway");
                request.add("X-Request-Id", "1f6a4c80");
                request.add("X-Forwarded-For", "10.0.0.7");
                request.add("X-Forwarded-Proto", "http");
                request.add("X-Auth-Request-User", "alice");
                request.fields.reverse();
                let mut answer = send(&request);
                answer.add("Via", "1.1 gateway");
                answer.add("Strict-Transport-Security", "max-age=1");
                answer
            })
        },
        &origin.url(),
    );

    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let added = [
        "answer strict-transport-security added",
        "request x-auth-request-user added",
        "request x-forwarded-for added",
        "request x-forwarded-proto added",
    ];
    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_changes(&added);
    }
}

#[test]
fn a_token_that_the_gateway_exchanges_and_the_backend_takes_is_no_alarm() {
    let origin = orders();
    let path = Path::start(
        |app| changing(app, |request| request.set("authorization", format!("Bearer {BEARER_TOKEN}"))),
        &origin.url(),
    );

    curl(&["-u", &format!("alice:{PASSWORD}"), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&["request authorization replaced"]);
    assert_eq!(way.assert_beside("credentials-replaced")["severity"], "info");
}

#[test]
fn a_forged_header_is_taken_off_a_head_that_is_too_large_to_be_read() {
    let origin = Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            assert_eq!(head.get("authtap-hop"), None);
            conn.write(&answer("200 OK", &[], ""));
        }
    });
    let path = Path::start_with(&["--head-limit", "4KiB"], |app| changing(app, |_| {}), &origin.url());
    let large = format!("X-Large: {}", "x".repeat(16 * 1024));
    let request =
        format!("GET /v1 HTTP/1.1\r\nHost: x\r\nAuthtap-Hop: 1;forged\r\n{large}\r\nAuthtap-Hop: again\r\n\r\n");

    let (head, _) = Client::connect(path.tap.addr()).send(request).read_response();

    assert_eq!(head.status(), 200);
    let arrived = origin.received_text();
    assert!(!arrived.contains("forged"), "{}", &arrived[..200]);
    assert!(arrived.len() > 16 * 1024, "{} bytes", arrived.len());
    let records = path.tap.records(2);
    assert!(records.iter().all(|record| record["request"]["cut_head_bytes"].is_u64()), "{records:#?}");
    let edge = records.iter().find(|record| record["tap"] == "edge").unwrap();
    assert_eq!(edge["edits"][0]["what"], "hop-header", "{edge:#}");
}

#[test]
fn a_forged_header_is_taken_off_a_head_that_breaks_off() {
    let origin = Origin::start(|conn| {
        let arrived = String::from_utf8(conn.read_to_end()).unwrap();
        assert_eq!(arrived, "GET /v1 HTTP/1.1\r\nHost: x\r\nX-Last: cut he");
    });
    let tap =
        common::Tap::run(&[], &[&format!("edge@127.0.0.1:0={}", origin.url()), "app@127.0.0.1:0=http://127.0.0.1:9"]);

    let mut client = Client::connect(tap.addr());
    client.send("GET /v1 HTTP/1.1\r\nHost: x\r\nAuthtap-Hop: 1;forged\r\nX-Last: cut he").close_write();
    client.read_until_gone();
    drop(client);
    origin.finish();
}

#[test]
fn a_client_that_answers_the_gateways_question_at_once_is_no_quicker_than_the_judgement() {
    for passes_hop_headers in [true, false] {
        let origin = orders();
        let guarded = |app: &str| {
            gateway(app, move |mut request, send| {
                if request.get("authorization").is_none() {
                    return Message::answer("401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"gate\"")]);
                }
                if !passes_hop_headers {
                    request.take("authtap-hop");
                }
                send(&request)
            })
        };
        let path = Path::start(guarded, &origin.url());

        curl(&["--anyauth", "-u", &format!("alice:{PASSWORD}"), &path.url("/v1/orders")]).assert_status(401);

        let ways = path.ways(&[0, 1]);
        ways[0].assert_healthy();
        let certainty = if passes_hop_headers { "likely" } else { "possible" };
        ways[1].assert_verdict("gateway-credential-leaked", "error", certainty, "hop:edge>app");
    }
}
