//! `authtap compare`: recordings of real traffic that were made apart, put together again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path as FilePath, PathBuf};

use common::canaries::{WRONG_BEARER_TOKEN, assert_no_secret};
use common::gateway::{Message, changing};
use common::path::{ReservedPort, bearer, orders};
use common::{Origin, Tap, curl};
use serde_json::Value;
use tempfile::TempDir;

/// Two recordings of the same traffic.
struct Recordings {
    _dir: TempDir,
    edge: PathBuf,
    app: PathBuf,
}

/// What a run of `authtap compare` said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn compare(args: &[&str]) -> Said {
    let output = common::tap::command().arg("compare").args(args).output().unwrap();
    let said = Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert_no_secret(&said.stdout);
    assert_no_secret(&said.stderr);
    // What people read fits on a screen; a line of JSON is one object.
    if !args.contains(&"json") {
        for line in said.stdout.lines() {
            assert!(line.chars().count() <= 80, "{line:?} in\n{}", said.stdout);
        }
    }
    said
}

/// Traffic through a gateway that takes Authorization off under `/admin`, recorded by two processes that know nothing of
/// each other but what these options tell them.
fn record(
    edge_options: &[&str],
    app_options: &[&str],
    change: impl Fn(&mut Message) + Send + Sync + 'static,
) -> Recordings {
    let dir = tempfile::tempdir().unwrap();
    let (edge, app) = (dir.path().join("edge.jsonl"), dir.path().join("app.jsonl"));
    let origin = orders();
    let port = ReservedPort::new();
    let gateway = changing(&port.addr().to_string(), change);
    let run = |file: &FilePath, options: &[&str], tap: &str| {
        Tap::run(&[&["--record", file.to_str().unwrap()], options].concat(), &[tap])
    };
    let inner = run(&app, app_options, &format!("app@{}={}", port.addr(), origin.url()));
    let outer = run(&edge, edge_options, &format!("edge@127.0.0.1:0={}", gateway.url()));
    for (number, target) in ["/v1/orders", "/v1/admin/users", "/v1/orders/7", "/v1/admin/keys"].iter().enumerate() {
        let id = format!("X-Request-Id: 6f1c2a34-0{number}d1-4c55-9e3b-5a2f7c10ab9{number}");
        curl(&["-H", &bearer(), "-H", &id, &outer.url(target)]);
    }
    // Stopping writes all of it.
    assert_eq!(outer.stop().code, Some(0));
    assert_eq!(inner.stop().code, Some(0));
    Recordings { _dir: dir, edge, app }
}

fn under_admin(request: &mut Message) {
    if request.start_line.contains("/admin") {
        request.take("authorization");
        request.add("X-Real-IP", "10.0.0.7");
    }
}

/// The options of two processes that share a key.
fn with_hop_key(dir: &TempDir) -> [Vec<String>; 2] {
    let key = dir.path().join("hop.key");
    fs::write(&key, "a key of sixteen bytes or more").unwrap();
    ["behind", "before"]
        .map(|side| ["--hop-key-file", key.to_str().unwrap(), "--hop-peers", side].map(str::to_owned).to_vec())
}

fn record_with_key(change: impl Fn(&mut Message) + Send + Sync + 'static) -> Recordings {
    let dir = tempfile::tempdir().unwrap();
    let [edge, app] = with_hop_key(&dir);
    let words = |options: &[String]| -> Vec<&'static str> {
        options.iter().map(|word| &*Box::leak(word.clone().into_boxed_str())).collect()
    };
    record(&words(&edge), &words(&app), change)
}

impl Recordings {
    fn files(&self) -> [&str; 2] {
        [self.edge.to_str().unwrap(), self.app.to_str().unwrap()]
    }

    /// Compares them, with further arguments.
    fn compare(&self, args: &[&str]) -> Said {
        compare(&[&self.files()[..], args].concat())
    }

    /// Rewrites each record of the inner tap.
    fn rewrite_app(&self, how: impl Fn(&mut Value)) {
        let text = fs::read_to_string(&self.app).unwrap();
        let lines = text.lines().map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            how(&mut record);
            record.to_string() + "\n"
        });
        fs::write(&self.app, lines.collect::<String>()).unwrap();
    }
}

#[test]
fn what_a_hop_did_is_told_with_a_table_for_each_request_that_failed() {
    let recordings = record_with_key(under_admin);

    let said = recordings.compare(&[]);

    let text = &said.stdout;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(text.starts_with("edge -> app\n  requests  4 at edge, 4 found again at app (4 by hop-header)\n"), "{text}");
    assert!(text.contains("the clocks of edge and app agree (within "), "{text}");
    assert!(text.contains("    2 x request: authorization was removed\n"), "{text}");
    assert!(text.contains("    2 x request: x-real-ip was added\n"), "{text}");
    assert!(text.contains("  ✗     2  credentials-stripped\n"), "{text}");
    for target in ["GET /v1/admin/users", "GET /v1/admin/keys"] {
        assert!(text.contains(target), "{text}");
    }
    assert!(!text.contains("GET /v1/orders"), "{text}");
    assert!(text.contains("  - Authorization "), "{text}");
    assert!(text.contains("  + X-Real-IP "), "{text}");
    assert!(text.contains("    Host "), "{text}");
    assert!(text.contains("    Sure  certain\n"), "{text}");
}

#[test]
fn the_exit_code_follows_what_is_found() {
    let recordings = record_with_key(under_admin);
    assert_eq!(recordings.compare(&[]).code, Some(0));
    assert_eq!(recordings.compare(&["--fail-on", "error"]).code, Some(3));

    let fine = record_with_key(|request| request.add("X-Real-IP", "10.0.0.7"));
    assert_eq!(fine.compare(&["--fail-on", "warning"]).code, Some(0), "{}", fine.compare(&[]).stdout);

    // What could not be read makes it incomplete, and the rest is compared all the same.
    let mut text = fs::read_to_string(&fine.app).unwrap();
    text.push_str("{\"schema\":\"authtap/1\",\"id\":\nnot a record\n\n{\"schema\":\"other/1\",\"id\":\"1\",\"time\":\"\",\"request\":{\"method\":\"GET\",\"target\":\"/\"}}\n");
    fs::write(&fine.app, text).unwrap();
    let said = fine.compare(&["--fail-on", "warning"]);
    assert_eq!(said.code, Some(4));
    assert!(said.stdout.contains("4 found again at app"), "{}", said.stdout);
    let app = fine.app.display();
    for line in [5, 6, 8] {
        assert!(said.stderr.contains(&format!("{app}:{line}: not read: ")), "{}", said.stderr);
    }
    assert!(said.stderr.contains("its schema is not authtap/1"), "{}", said.stderr);
}

#[test]
fn clocks_that_differ_are_estimated_and_said() {
    let recordings = record_with_key(under_admin);
    recordings.rewrite_app(|record| {
        let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        record["time"] = (time + jiff::SignedDuration::from_secs(300)).to_string().into();
    });

    let said = recordings.compare(&[]);

    assert!(said.stdout.contains("(4 by hop-header)"), "{}", said.stdout);
    let line = said.stdout.lines().find(|line| line.contains("clocks")).unwrap();
    assert!(line.contains("the clock of app is 5m00s ahead of that of edge"), "{line}");
    assert!(said.stdout.contains("credentials-stripped"), "{}", said.stdout);
}

#[test]
fn without_a_hop_header_the_ids_of_requests_join_them_even_where_clocks_differ() {
    let recordings = record(&[], &[], under_admin);
    recordings.rewrite_app(|record| {
        let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        record["time"] = (time - jiff::SignedDuration::from_secs(7)).to_string().into();
    });

    let said = recordings.compare(&[]);

    let text = &said.stdout;
    // Fingerprints of two runs with keys of their own say nothing about each other.
    assert!(text.contains("the recordings have other fingerprint keys"), "{text}");
    assert!(text.contains("4 found again at app"), "{text}");
    assert!(text.contains("credentials-stripped"), "{text}");
    assert!(!text.contains("credentials-replaced"), "{text}");
    assert!(!text.contains("Sure  certain"), "{text}");
}

#[test]
fn with_one_fingerprint_key_another_token_is_told_from_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("fingerprints.key");
    fs::write(&key, "a key for fingerprints, the same at both taps").unwrap();
    let options = ["--fingerprint-key-file", key.to_str().unwrap()];
    let recordings = record(&options, &options, |request| {
        if request.start_line.contains("/admin") {
            request.set("authorization", format!("Bearer {WRONG_BEARER_TOKEN}"));
        }
    });

    let said = recordings.compare(&["--format", "json"]);

    let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ways: Vec<&Value> = lines.iter().filter(|line| line["schema"] == "authtap-compare/1").collect();
    assert_eq!(ways.len(), 4, "{}", said.stdout);
    let verdicts: Vec<&str> = ways.iter().map(|way| way["diagnosis"]["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["ok", "credentials-replaced", "ok", "credentials-replaced"], "{}", said.stdout);
    assert!(ways.iter().all(|way| way["join"] == "request-id"), "{}", said.stdout);
    let finding = &ways[1]["diagnosis"]["findings"][0];
    assert_eq!((&finding["certainty"], &finding["at"]), (&"likely".into(), &"hop:edge>app".into()));
    let hop = lines.iter().find(|line| line["schema"] == "authtap-compare-hop/1").unwrap();
    assert_eq!(
        (&hop["requests"], &hop["joined"], &hop["strays"], &hop["unread"]),
        (&4.into(), &4.into(), &0.into(), &0.into())
    );
}

#[test]
fn one_request_is_shown_across_all_taps() {
    let recordings = record_with_key(under_admin);
    let text = fs::read_to_string(&recordings.edge).unwrap();
    let record: Value = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|record| record["request"]["target"] == "/v1/admin/keys")
        .unwrap();
    let id = record["path_id"].as_str().unwrap();

    let said = recordings.compare(&["--request", &id[16..]]);

    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let text = said.stdout.replace(id, "ID");
    assert!(text.starts_with("GET /v1/admin/keys  ID\n    request               edge"), "{text}");
    let signs: Vec<(char, &str)> = text
        .lines()
        .skip(2)
        .take_while(|line| !line.contains("credentials-stripped"))
        .filter_map(|line| Some((line.chars().nth(2)?, line.get(4..)?.split_whitespace().next()?)))
        .collect();
    assert!(signs.contains(&('-', "Authorization")), "{text}");
    assert!(signs.contains(&('+', "X-Real-IP")), "{text}");
    assert!(signs.contains(&(' ', "User-Agent")), "{text}");
    assert!(signs.contains(&(' ', "status")), "{text}");
    assert!(text.contains("✗ credentials-stripped: the client sent Authorization"), "{text}");

    for (asked, what) in [("ZZZZZZ", "there is no request"), ("", "is the end of 4 ids")] {
        let said = recordings.compare(&["--request", asked]);
        assert_eq!(said.code, Some(2), "{asked}: {}", said.stderr);
        assert!(said.stderr.contains(what), "{asked}: {}", said.stderr);
    }
}

#[test]
fn a_path_of_one_process_is_in_one_file() {
    let origin = orders();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("path.jsonl");
    let port = ReservedPort::new();
    let gateway = changing(&port.addr().to_string(), under_admin);
    let tap = Tap::run(
        &["--record", file.to_str().unwrap()],
        &[&format!("edge@127.0.0.1:0={}", gateway.url()), &format!("app@{}={}", port.addr(), origin.url())],
    );
    curl(&["-H", &bearer(), &tap.url("/v1/admin/users")]).assert_status(401);
    assert_eq!(tap.stop().code, Some(0));

    let said = compare(&[file.to_str().unwrap(), "--fail-on", "error"]);

    assert_eq!(said.code, Some(3), "{}", said.stderr);
    assert!(
        said.stdout.starts_with("edge -> app\n  requests  1 at edge, 1 found again at app (1 by hop-header)\n"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("credentials-stripped"), "{}", said.stdout);
}

#[test]
fn what_the_gateway_answered_itself_is_told_where_the_inner_recording_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let [edge, app] = with_hop_key(&dir);
    let (edge_file, app_file) = (dir.path().join("edge.jsonl"), dir.path().join("app.jsonl"));
    let origin = orders();
    let port = ReservedPort::new();
    let gateway = common::gateway::gateway(&port.addr().to_string(), |request, send| {
        if request.start_line.contains("/admin") {
            return Message::answer("403 Forbidden", &[("Server", "nginx")]);
        }
        send(&request)
    });
    let run = |file: &FilePath, options: &[String], tap: String| {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Tap::run(&[&["--record", file.to_str().unwrap()], &options[..]].concat(), &[&tap])
    };
    let inner = run(&app_file, &app, format!("app@{}={}", port.addr(), origin.url()));
    let outer = run(&edge_file, &edge, format!("edge@127.0.0.1:0={}", gateway.url()));
    for target in ["/v1", "/v1/admin", "/v1"] {
        curl(&["-H", &bearer(), &outer.url(target)]);
    }
    outer.stop();
    inner.stop();

    let said = compare(&[edge_file.to_str().unwrap(), app_file.to_str().unwrap(), "--all"]);

    assert!(said.stdout.contains("3 at edge, 2 found again at app"), "{}", said.stdout);
    assert!(said.stdout.contains("refusal-origin"), "{}", said.stdout);
    assert!(said.stdout.contains("no request arrived at app"), "{}", said.stdout);
}

#[test]
fn what_can_not_be_compared_is_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.jsonl");
    let said = compare(&[missing.to_str().unwrap()]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("missing.jsonl") && said.stderr.contains("try:"), "{}", said.stderr);

    let origin = Origin::reply(common::head::answer("200 OK", &[], ""));
    let file = dir.path().join("one.jsonl");
    let tap = Tap::run(&["--record", file.to_str().unwrap()], &[&format!("app@127.0.0.1:0={}", origin.url())]);
    curl(&[&tap.url("/")]).assert_status(200);
    tap.stop();
    let said = compare(&[file.to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("all records are of the tap"), "{}", said.stderr);
}
