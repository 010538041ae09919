//! The log for people, as options change it: heads as on the wire, probes of one's own, no diagnosis.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::BEARER_TOKEN;
use common::head::answer;
use common::path::ReservedPort;
use common::tap::command;
use common::{Client, DEADLINE, Origin, Tap, wait_for};

/// Sends a request on a connection of its own, and waits for its answer.
fn send(tap: &Tap, target: &str, fields: &[&str]) {
    let mut client = Client::connect(tap.addr());
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("GET {target} HTTP/1.1\r\nhOsT: a.example\r\n{fields}\r\n"));
    client.close_write();
    client.read_to_end();
}

fn refusing() -> Origin {
    Origin::reply(answer("401 Unauthorized", &["wWW-Authenticate: Bearer realm=\"a\""], "no"))
}

#[test]
fn verbose_shows_both_heads_as_on_the_wire_and_masked() {
    let origin = refusing();
    let tap = Tap::start_with(&origin.url(), &["-v"]);
    send(&tap, "/v1/orders", &[&format!("authorization:  Bearer {BEARER_TOKEN}"), "X-Odd: \u{1b}[2J\u{202e}x"]);
    tap.record();
    let log = tap.stop().stdout;
    for line in
        ["> GET /v1/orders HTTP/1.1", "> hOsT: a.example", "< HTTP/1.1 401", "< wWW-Authenticate: Bearer realm=\"a\""]
    {
        assert!(log.lines().any(|own| own == line), "{line}\n{log}");
    }
    assert!(log.contains("> authorization: Bearer <redacted fp="), "{log}");
    assert!(log.lines().any(|line| line.starts_with("* ") && line.contains(" -> http://127.0.0.1")), "{log}");
    assert!(!log.contains(['\u{1b}', '\u{202e}']) && !log.contains(&BEARER_TOKEN[..12]), "{log}");
    let (heads, block) = log.split_once("\n\n").unwrap();
    assert!(heads.contains("* complete after") && block.contains("  Fix   "), "{log}");
}

#[test]
fn verbose_shows_what_every_tap_of_a_path_saw() {
    let origin = refusing();
    let inner = ReservedPort::new();
    let taps = [format!("edge@127.0.0.1:0=http://{}", inner.addr()), format!("app@{}={}", inner.addr(), origin.url())];
    let tap = Tap::run(&["--verbose"], &[&taps[0], &taps[1]]);
    send(&tap, "/a", &[]);
    tap.records(2);
    let log = tap.stop().stdout;
    assert_eq!(log.matches("> GET /a HTTP/1.1\n").count(), 2, "{log}");
    let place = |name: &str| log.find(&format!(" {name}  127.0.0.1:")).unwrap_or_else(|| panic!("{name}: {log}"));
    assert!(place("edge") < place("app"), "{log}");
}

#[test]
fn verbose_and_the_log_for_programs_exclude_each_other() {
    let output = command().args(["-v", "--log-format", "json", "http://127.0.0.1:9"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--verbose is for the log for people") && said.contains("try:"), "{said}");
}

#[test]
fn probes_of_the_users_own_are_counted_and_not_shown_until_they_fail() {
    let origin = Origin::serve(|head| match head.target().as_str() {
        "/status/deep" => answer("401 Unauthorized", &[], ""),
        _ => answer("200 OK", &[], "ok"),
    });
    let options = ["--quiet-probes", "path:/status method:GET", "--quiet-probes", "agent:Robot/"];
    let tap = Tap::start_with(&origin.url(), &options);
    send(&tap, "/status", &[]);
    send(&tap, "/other", &["User-Agent: Robot/2"]);
    send(&tap, "/shown", &["User-Agent: Other/2"]);
    send(&tap, "/status/deep", &["Authorization: Bearer not-a-real-token-1"]);
    tap.records(4);
    let log = tap.stop().stdout;
    assert!(log.contains("200 GET /shown") && log.contains("401 GET /status/deep"), "{log}");
    assert!(!log.contains("GET /status ") && !log.contains("/other"), "{log}");
    assert!(log.contains("3 health probes are in the count"), "{log}");
}

#[test]
fn without_a_diagnosis_nothing_is_called_fine() {
    let origin = refusing();
    let tap = Tap::start_with(&origin.url(), &["--no-diagnosis"]);
    send(&tap, "/a", &[]);
    let record = tap.record();
    assert_eq!(record["diagnosis"]["verdict"], "not-diagnosed", "{record:#}");
    assert_eq!(record["diagnosis"]["findings"], serde_json::json!([]));
    wait_for("the line of the log", DEADLINE, || tap.stdout().contains("401 GET /a").then_some(()));
    let file = tap.record_file();
    let checked = command().arg("check").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(4), "{said}");
    assert!(said.contains("1 exchange was recorded with --no-diagnosis"), "{said}");
    let stopped = tap.stop();
    assert_eq!(stopped.code, Some(0));
    assert!(stopped.stdout.contains("1 request   0 fine   0 with findings"), "{}", stopped.stdout);
    assert!(stopped.stdout.contains("1 request was recorded and not diagnosed"), "{}", stopped.stdout);
}
