//! The record: its shape, what is in it, and what it never is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::head::answer;
use common::record::{header_names, header_values};
use common::{Client, DEADLINE, Origin, Tap, wait_for};
use serde_json::{Value, json};

fn jwt(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 256]))
}

/// Sends a request on a connection of its own, and gives its record.
fn recorded(tap: &Tap, request: impl AsRef<[u8]>) -> Value {
    let before = tap.records_now().len();
    let mut client = Client::connect(tap.addr());
    client.send(request);
    client.close_write();
    client.read_to_end();
    tap.records(before + 1).pop().unwrap()
}

fn request(fields: &[&str]) -> String {
    let mut all = vec!["GET /v1/orders HTTP/1.1", "Host: a.example"];
    all.extend(fields);
    all.join("\r\n") + "\r\n\r\n"
}

/// The record of a request without any secret that was answered so.
fn record_of(reply: Vec<u8>) -> Value {
    let origin = Origin::reply(reply);
    let tap = Tap::start(&origin.url());
    recorded(&tap, request(&[]))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An answer whose body may be any bytes.
fn answer_bytes(status: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let mut all = vec![format!("HTTP/1.1 {status}")];
    all.extend(fields.iter().map(|field| (*field).to_owned()));
    all.push(format!("Content-Length: {}", body.len()));
    [(all.join("\r\n") + "\r\n\r\n").as_bytes(), body].concat()
}

/// The value has at least the fields of the pattern, of the same JSON types. A pattern's list of one holds for all.
fn assert_shape(value: &Value, pattern: &Value, path: &str) {
    match (value, pattern) {
        (Value::Object(own), Value::Object(wanted)) => {
            for (key, pattern) in wanted {
                let value = own.get(key).unwrap_or_else(|| panic!("{path} has no {key}: {value:#}"));
                assert_shape(value, pattern, &format!("{path}.{key}"));
            }
        }
        (Value::Array(own), Value::Array(wanted)) => {
            assert!(!own.is_empty() || wanted.is_empty(), "{path} is empty");
            for (number, value) in own.iter().enumerate() {
                let pattern = wanted.get(number).or(wanted.last());
                assert_shape(value, pattern.unwrap_or(&Value::Null), &format!("{path}[{number}]"));
            }
        }
        (Value::Number(own), Value::Number(wanted)) => {
            assert!(!wanted.is_u64() || own.is_u64(), "{path} is {own}, not a whole number");
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => {}
        _ => panic!("{path} is {value}, and should be like {pattern}"),
    }
}

#[test]
fn the_record_has_the_shape_that_other_programs_rely_on() {
    let fields = ["WWW-Authenticate: Bearer error=\"invalid_token\"", "Content-Type: application/json"];
    let origin = Origin::reply(answer("401 Unauthorized", &fields, "{\"error\":\"invalid_token\"}"));
    let tap = Tap::run(&["--host", "api.example"], &[&format!("edge@127.0.0.1:0={}", origin.url())]);
    let token = jwt(
        &json!({"alg": "RS256", "kid": "key-1", "typ": "JWT"}),
        &json!({"iss": "https://idp.example", "aud": ["orders", "billing"], "exp": 1_600_003_600, "nbf": 1_600_000_000,
                "iat": 1_600_000_000, "scope": "read write"}),
    );
    let record = recorded(&tap, request(&[&format!("authorization: Bearer {token}")]));
    let pattern = json!({
        "schema": "authtap/1", "id": "", "time": "", "tap": "", "path_id": "",
        "client": {"addr": "", "connection": 1, "tls": null},
        "upstream": {"url": "", "addr": "", "connection": 1, "reused": false, "tls": null},
        "request": {"method": "", "target": "", "version": "", "authority": "",
                    "headers": [["", ""]], "body_bytes": 0,
                    "credentials": [{"in": "", "name": "", "scheme": "", "scheme_as_sent": "", "fingerprint": "",
                                     "length": 1, "problems": [],
                                     "jwt": {"alg": "", "kid": "", "typ": "", "iss": "", "aud": [""], "exp": 1,
                                             "nbf": 1, "iat": 1, "scope": ""}}]},
        "edits": [{"what": "", "from": "", "to": "", "why": ""}],
        "response": {"status": 401, "version": "", "headers": [["", ""]], "body_bytes": 0,
                     "challenges": [{"in": "", "scheme": "", "params": {"error": ""}, "problems": []}],
                     "error_body": {"media_type": "", "text": ""}},
        "timing": {"connect_ms": 0.5, "first_byte_ms": 0.5, "total_ms": 0.5},
        "outcome": "",
        "diagnosis": {"verdict": "", "findings": [{"rule": "", "severity": "", "certainty": "", "at": "", "header": "",
                                                    "summary": "", "evidence": [""], "fix": "", "spec": ""}]},
    });
    assert_shape(&record, &pattern, "the record");

    assert_eq!(record["schema"], "authtap/1");
    let id = record["id"].as_str().unwrap();
    assert!(id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()), "{id}");
    assert_eq!(record["path_id"], record["id"]);
    let time = record["time"].as_str().unwrap();
    let form: String = time.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z");
    assert_eq!(record["tap"], "edge");
    assert!(record["client"]["addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(record["upstream"]["url"], origin.url());
    assert_eq!(record["upstream"]["addr"], origin.addr().to_string());
    assert_eq!(record["request"]["method"], "GET");
    assert_eq!(record["request"]["target"], "/v1/orders");
    assert_eq!(record["request"]["version"], "HTTP/1.1");
    assert_eq!(record["request"]["authority"], "a.example");
    assert_eq!(record["edits"][0]["to"], "api.example");
    let credential = &record["request"]["credentials"][0];
    assert_eq!(credential["in"], "header");
    assert_eq!(credential["name"], "authorization");
    assert_eq!(credential["scheme"], "bearer");
    assert_eq!(credential["scheme_as_sent"], "Bearer");
    assert_eq!(credential["length"], token.len());
    let fingerprint = credential["fingerprint"].as_str().unwrap();
    assert!(fingerprint.len() == 8 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()), "{fingerprint}");
    let shown = format!("Bearer <redacted fp={fingerprint} len={}>", token.len());
    assert_eq!(header_values(&record["request"], "authorization"), [shown]);
    let expected = json!({"alg": "RS256", "kid": "key-1", "typ": "JWT", "iss": "https://idp.example",
                          "aud": ["orders", "billing"], "exp": 1_600_003_600, "nbf": 1_600_000_000,
                          "iat": 1_600_000_000, "scope": "read write"});
    assert_eq!(credential["jwt"], expected);
    let challenge = &record["response"]["challenges"][0];
    assert_eq!(challenge["in"], "WWW-Authenticate");
    assert_eq!(challenge["scheme"], "bearer");
    assert_eq!(challenge["params"], json!({"error": "invalid_token"}));
    let body = json!({"media_type": "application/json", "text": "{\"error\":\"invalid_token\"}"});
    assert_eq!(record["response"]["error_body"], body);
    assert_eq!(record["outcome"], "complete");
    assert_eq!(record["diagnosis"]["verdict"], "token-expired");
    assert_eq!(record["diagnosis"]["findings"][0]["rule"], "token-expired");
}

#[test]
fn what_a_token_does_not_say_is_null_and_an_audience_of_one_is_a_list() {
    let origin = Origin::reply(answer("200 OK", &[], "ok"));
    let tap = Tap::start(&origin.url());
    let token = jwt(&json!({"alg": "ES256"}), &json!({"aud": "orders", "sub": "alice", "email": "alice@a.example"}));
    let record = recorded(&tap, request(&[&format!("Authorization: Bearer {token}")]));
    let found = &record["request"]["credentials"][0]["jwt"];
    assert_eq!(
        *found,
        json!({"alg": "ES256", "kid": null, "iss": null, "aud": ["orders"], "exp": null, "nbf": null,
                              "iat": null})
    );
    assert!(!record.to_string().contains("alice"), "who it is about is not told: {record:#}");
}

#[test]
fn a_healthy_exchange_without_credentials_has_empty_lists() {
    let record = record_of(answer("200 OK", &[], "ok"));
    assert_eq!(record["request"]["credentials"], json!([]));
    assert_eq!(record["edits"], json!([]));
    assert_eq!(record["response"]["challenges"], json!([]));
    assert_eq!(record["diagnosis"], json!({"verdict": "ok", "findings": []}));
    assert!(record["response"].get("error_body").is_none());
}

/// The fingerprints of two requests with these tokens.
fn fingerprints(options: &[&str], tokens: [&str; 2]) -> [String; 2] {
    let origin = Origin::reply(answer("200 OK", &[], "ok"));
    let tap = Tap::start_with(&origin.url(), options);
    tokens.map(|token| {
        let record = recorded(&tap, request(&[&format!("Authorization: Bearer {token}")]));
        record["request"]["credentials"][0]["fingerprint"].as_str().unwrap().to_owned()
    })
}

#[test]
fn fingerprints_are_equal_for_equal_secrets_and_keyed() {
    let (one, other) = ("zebra-token-of-some-length", "lynx-token-of-some-length");
    let [first, same] = fingerprints(&[], [one, one]);
    assert_eq!(first, same);
    let [again, different] = fingerprints(&[], [one, other]);
    assert_ne!(first, again, "without a key file every run has a key of its own");
    assert_ne!(again, different);

    let dir = tempfile::tempdir().unwrap();
    let keys = ["one.key", "two.key"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    fs::write(&keys[0], [1; 32]).unwrap();
    fs::write(&keys[1], [2; 32]).unwrap();
    let [first, _] = fingerprints(&["--fingerprint-key-file", &keys[0]], [one, other]);
    let [again, _] = fingerprints(&["--fingerprint-key-file", &keys[0]], [one, other]);
    assert_eq!(first, again, "with a key file runs can be compared");
    let [different, _] = fingerprints(&["--fingerprint-key-file", &keys[1]], [one, other]);
    assert_ne!(first, different);
}

#[test]
fn a_short_secret_does_not_tell_its_length() {
    let origin = Origin::reply(answer("200 OK", &[], "ok"));
    let tap = Tap::start(&origin.url());
    let record = recorded(&tap, request(&["X-Api-Key: 482913"]));
    assert_eq!(record["request"]["credentials"][0]["length"], 0);
    assert!(header_values(&record["request"], "X-Api-Key")[0].ends_with(" len<16>"), "{record:#}");
}

#[test]
fn of_a_success_that_is_read_the_finding_alone_is_told() {
    let page = "<!doctype html><html><form action=\"/login\"><input type=\"password\" value=\"zebra\"></form></html>";
    for (kind, text, severity) in
        [("text/html", page, "warning"), ("application/json", "{\"code\":401,\"message\":\"zebra\"}", "info")]
    {
        let origin = Origin::reply(answer("200 OK", &[&format!("Content-Type: {kind}")], text));
        let tap = Tap::start(&origin.url());
        let record = recorded(&tap, request(&["Accept: application/json"]));
        let finding = &record["diagnosis"]["findings"][0];
        assert_eq!(
            (&finding["rule"], &finding["severity"]),
            (&json!("failure-in-200"), &json!(severity)),
            "{record:#}"
        );
        assert!(record["response"].get("error_body").is_none());
        assert!(!record.to_string().contains("zebra"), "{record:#}");
    }
}

fn error_text(reply: Vec<u8>) -> Option<String> {
    record_of(reply)["response"]["error_body"]["text"].as_str().map(str::to_owned)
}

#[test]
fn the_text_of_a_refusal_is_kept() {
    let text = "{\"error\":\"no credentials\"}";
    for status in ["401 Unauthorized", "403 Forbidden", "407 Proxy Authentication Required"] {
        assert_eq!(error_text(answer(status, &["Content-Type: application/json"], text)).as_deref(), Some(text));
        let packed = ["Content-Type: application/problem+json", "Content-Encoding: gzip"];
        assert_eq!(error_text(answer_bytes(status, &packed, &gzip(text.as_bytes()))).as_deref(), Some(text));
    }
    assert_eq!(error_text(answer("401 Unauthorized", &[], "no type")).as_deref(), Some("no type"));
    let chunked = b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n5\r\ntoken\r\n0\r\n\r\n";
    assert_eq!(error_text(chunked.to_vec()).as_deref(), Some("no token"));
}

#[test]
fn of_a_long_text_the_start_is_kept_and_of_other_bodies_nothing() {
    let long = "no token here. ".repeat(2000);
    let plain = error_text(answer("401 Unauthorized", &["Content-Type: text/plain"], &long)).unwrap();
    assert!(plain.len() == 4096 && long.starts_with(&plain), "{}", plain.len());
    let packed = ["Content-Type: text/plain", "Content-Encoding: gzip"];
    let unpacked = error_text(answer_bytes("401 Unauthorized", &packed, &gzip(long.as_bytes()))).unwrap();
    assert_eq!(unpacked, plain);
    // A character that is cut at the end does not spoil the rest.
    let wide = "ä".repeat(4000);
    let cut = error_text(answer("401 Unauthorized", &["Content-Type: text/plain"], &format!("a{wide}")));
    assert!(cut.is_none_or(|text| text.len() <= 4200));

    assert_eq!(error_text(answer("200 OK", &["Content-Type: text/plain"], "fine")), None);
    assert_eq!(error_text(answer("500 Internal Server Error", &["Content-Type: text/plain"], "broken")), None);
    assert_eq!(error_text(answer("401 Unauthorized", &["Content-Type: text/plain"], "")), None);
    let binary = [0u8, 159, 146, 150, 0, 1, 2, 3];
    assert_eq!(error_text(answer_bytes("401 Unauthorized", &["Content-Type: image/png"], &binary)), None);
    assert_eq!(error_text(answer_bytes("401 Unauthorized", &["Content-Type: text/plain"], &binary)), None);
    assert_eq!(error_text(answer_bytes("401 Unauthorized", &[], &binary)), None);
    let unknown = ["Content-Type: text/plain", "Content-Encoding: rot13"];
    assert_eq!(error_text(answer("401 Unauthorized", &unknown, "ab gbxra")), None);
}

#[test]
fn a_refusal_keeps_its_words_and_loses_its_tokens() {
    let token = "k3JqX9vB2mN7pL5tR8wY";
    let body = format!(
        "{{\"error\":\"invalid_token\",\"message\":\"Token {token} has expired, see https://a.example/help\"}}"
    );
    let text = error_text(answer("401 Unauthorized", &["Content-Type: application/json"], &body)).unwrap();
    assert!(!text.contains(token), "{text}");
    for words in ["\"error\":\"invalid_token\"", "has expired, see https://a.example/help\"", "Token <redacted fp="] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

#[test]
fn names_keep_their_case_order_and_duplicates_and_defects_are_named() {
    let reply = b"HTTP/1.1 200 OK\r\nX-B: 1\r\nsERVER: x\r\nx-b: 2\r\nContent-Length: 2\r\n\r\nok";
    let origin = Origin::reply(reply.to_vec());
    let tap = Tap::start(&origin.url());
    let fields = [
        "aCCept: a/b",
        "X-Two: 1",
        "ACCEPT:   c/d  ",
        "x-two: 2",
        "Authorization : Bearer abc",
        "no colon here",
        "Folded: a\r\n b",
        "Accept-Language: caf\u{e9}",
    ];
    let record = recorded(&tap, request(&fields));
    let names = header_names(&record["request"]);
    assert_eq!(names[..6], ["Host", "aCCept", "X-Two", "ACCEPT", "x-two", "Authorization"]);
    assert_eq!(names[7..], ["Folded", "Accept-Language"]);
    assert_eq!(header_values(&record["request"], "ACCEPT"), ["c/d"], "white space around a value is no part of it");
    assert_eq!(header_names(&record["response"]), ["X-B", "sERVER", "x-b", "Content-Length"]);
    assert_eq!(header_values(&record["response"], "sERVER"), ["x"]);
    let defects = record["request"]["defects"].as_array().unwrap();
    let found: Vec<_> = defects.iter().map(|defect| (defect["defect"].as_str().unwrap(), &defect["line"])).collect();
    let expected = [
        ("space-before-colon", &json!(5)),
        ("no-colon", &json!(6)),
        ("folded-value", &json!(7)),
        ("non-ascii", &json!(8)),
    ];
    assert_eq!(found, expected);
    let head = request(&fields);
    for defect in defects {
        let at = usize::try_from(defect["at"].as_u64().unwrap()).unwrap();
        assert!(at < head.len(), "{defect}");
    }
    assert!(record["response"].get("defects").is_none());
}

#[test]
fn the_log_of_records_is_the_record() {
    let origin = Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"a\""], "no"));
    let tap = Tap::start_with(&origin.url(), &["--log-format", "json"]);
    for number in 0..20 {
        recorded(&tap, request(&[&format!("X-Number: {number}"), "User-Agent: caf\u{e9}\u{2028}"]));
    }
    let file = tap.record_file();
    // The folder is gone when the tap is, so what is written at the end is awaited before.
    let written = wait_for("twenty lines", common::DEADLINE, || {
        let text = fs::read_to_string(&file).unwrap();
        (text.lines().count() == 20).then_some(text)
    });
    let stopped = tap.stop();
    assert_eq!(stopped.stdout, written);
    assert_eq!(stopped.code, Some(0));
}

#[test]
fn a_record_is_one_line_whatever_bytes_are_in_it() {
    let origin = Origin::reply(answer_bytes(
        "401 Unauthorized",
        &["Content-Type: text/plain", "Server: a\u{1b}[31mb", "WWW-Authenticate: Basic realm=\"\u{2028}\u{85}\""],
        "one\r\ntwo\u{2028}three\u{1b}[0m\u{b}\u{c}".as_bytes(),
    ));
    let tap = Tap::start(&origin.url());
    let evil: [&[u8]; 8] = [
        b"Accept: a\0b",
        b"Accept: \xff\xfe\xc3\x28",
        b"Accept: \x1b]0;title\x07",
        "Accept: a\u{2028}b\u{2029}c\u{85}d".as_bytes(),
        b"Accept: \x0b\x0c\x08\x7f",
        b"Accept: {\"schema\":\"authtap/1\"}\",\"x\":\"",
        b"Accept: one\r\n two",
        b"Acc\xffept: \"\\",
    ];
    for line in evil {
        recorded(&tap, [b"GET / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat());
    }
    let bytes = fs::read(tap.record_file()).unwrap();
    let text = String::from_utf8(bytes).expect("a record file is UTF-8");
    assert_eq!(text.lines().count(), evil.len());
    for char in text.chars().filter(|char| *char != '\n') {
        assert!(!char.is_control() && !('\u{2028}'..='\u{202e}').contains(&char), "{char:?}");
    }
    // As JSON it is all there again.
    let records = tap.records(evil.len());
    assert_eq!(header_values(&records[0]["request"], "Accept"), ["a\0b"]);
    assert_eq!(header_values(&records[3]["request"], "Accept"), ["a\u{2028}b\u{2029}c\u{85}d"]);
    assert_eq!(header_values(&records[5]["request"], "Accept"), ["{\"schema\":\"authtap/1\"}\",\"x\":\""]);
    assert_eq!(records[0]["response"]["error_body"]["text"], "one\r\ntwo\u{2028}three\u{1b}[0m\u{b}\u{c}");
}

#[test]
fn the_record_file_is_its_owners_and_is_added_to() {
    let origin = Origin::reply(answer("200 OK", &[], "ok"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.jsonl");
    for run in 1..=2 {
        let tap = Tap::start(&origin.url());
        assert_eq!(fs::metadata(tap.record_file()).unwrap().permissions().mode() & 0o777, 0o600);
        recorded(&tap, request(&[]));
        tap.stop();

        let mut command = common::tap::command();
        command.arg("--record").arg(&path).arg(format!("127.0.0.1:0={}", origin.url()));
        let mut process = common::process::Process::spawn(command).unwrap();
        let addr = process
            .stderr
            .wait_until(common::DEADLINE, |text| text.split_once("  ->")?.0.rsplit_once("http://")?.1.parse().ok());
        let mut client = Client::connect(addr.unwrap());
        client.send(request(&[])).read_response();
        drop(client);
        process.end();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), run);
    }
}

#[test]
fn a_field_can_be_shown_by_name() {
    let origin = Origin::reply(answer("200 OK", &["x-tenant: green"], "ok"));
    let tap = Tap::start_with(&origin.url(), &["--show", "X-Tenant", "--show=X-Team"]);
    let record =
        recorded(&tap, request(&["X-TENANT: blue", "x-team: red", "X-Other: yellow", "Authorization: Bearer ab"]));
    assert_eq!(header_values(&record["request"], "X-TENANT"), ["blue"]);
    assert_eq!(header_values(&record["request"], "x-team"), ["red"]);
    assert_eq!(header_values(&record["response"], "x-tenant"), ["green"]);
    assert!(header_values(&record["request"], "X-Other")[0].starts_with("<redacted"), "{record:#}");
    assert!(header_values(&record["request"], "Authorization")[0].starts_with("Bearer <redacted"), "{record:#}");
}

#[test]
fn secrets_are_shown_only_to_who_insists_and_it_is_said_loudly() {
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"zebra-nonce-1\"";
    let reply =
        answer("401 Unauthorized", &[challenge, "Set-Cookie: a=quagga-2"], "the token okapi-Gh7Kl2Mn9Pq4 is bad");
    let origin = Origin::reply(reply);
    let tap = Tap::start_with(&origin.url(), &["--show-secrets"]);
    let fields = ["Authorization: Bearer lynx-token-3", "X-Key: tapir-4", "Cookie: a=civet-5"];
    let mut sent = request(&fields);
    sent = sent.replace("/v1/orders", "/v1/orders?access_token=gnu-6#kudu-7");
    let record = recorded(&tap, sent);
    let text = record.to_string();
    for shown in
        ["zebra-nonce-1", "quagga-2", "okapi-Gh7Kl2Mn9Pq4", "lynx-token-3", "tapir-4", "civet-5", "gnu-6", "kudu-7"]
    {
        assert!(text.contains(shown), "{shown} is not in {record:#}");
    }
    let stopped = tap.stop();
    assert!(stopped.stderr.contains("SECRETS ARE SHOWN."), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("WARNING: --show-secrets"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("SECRETS IN THE CLEAR"), "{}", stopped.stderr);

    // They are masked again when the time is over, and what is told later has nothing of before.
    let tap = Tap::start_with(&origin.url(), &["--show-secrets=3s"]);
    let sent = request(&fields).replace("/v1/orders", "/reset/k3JqX9vB2mN7pL5tR8wYquokka");
    (0..4).for_each(|_| drop(recorded(&tap, &sent)));
    wait_for("the end of it", DEADLINE, || tap.stderr().contains("secrets are masked again").then_some(()));
    // What was folded is told before that word; another thread writes it.
    wait_for("what was folded", DEADLINE, || tap.stdout().contains("(x2 in ").then_some(()));
    let printed = tap.stdout().len();
    let after = recorded(&tap, &sent).to_string();
    for masked in ["lynx-token-3", "tapir-4", "civet-5", "quagga-2", "zebra-nonce-1", "k3JqX9vB2mN7"] {
        assert!(!after.contains(masked), "{masked} is in {after}");
    }
    let stopped = tap.stop();
    assert!(!stopped.stdout[printed..].contains("k3JqX9vB2mN7"), "{}", stopped.stdout);
    assert!(stopped.stdout[printed..].contains("5 requests"), "{}", stopped.stdout);

    let tap = Tap::start(&origin.url());
    recorded(&tap, request(&[]));
    let quiet = tap.stop().stderr;
    assert!(quiet.contains("Secrets are masked.") && quiet.contains("secrets masked"), "{quiet}");
}

#[test]
fn a_filter_is_for_the_log_and_not_for_the_record() {
    let origin = Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            let status = if head.target() == "/fine" { "200 OK" } else { "404 Not Found" };
            conn.write(&answer(status, &[], ""));
        }
    });
    let tap = Tap::start_with(&origin.url(), &["--filter", "-status:2xx path:/v"]);
    for target in ["/fine", "/v1", "/other"] {
        recorded(&tap, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    let stopped = tap.stop();
    assert_eq!(stopped.records.len(), 3);
    assert!(stopped.stdout.contains("GET /v1") && stopped.stdout.contains("3 requests"), "{}", stopped.stdout);
    assert!(!stopped.stdout.contains("/fine") && !stopped.stdout.contains("/other"), "{}", stopped.stdout);
}
