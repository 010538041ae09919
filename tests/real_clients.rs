//! Clients that people use every day, through the tap to a scripted backend: git, pip, npm, a client of container
//! registries, curl. What is healthy stays quiet, and what is not gets its cause.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::canaries::{BEARER_TOKEN, PASSWORD, WRONG_BEARER_TOKEN, WRONG_PASSWORD};
use common::head::{Head, answer};
use common::record::{assert_finding, assert_no_alarm, assert_ok, assert_status, findings, scheme};
use common::servers::program;
use common::tools::{Ran, command, run, tool};
use common::{DEADLINE, Origin, Tap, curl, ntlm, wait_for};
use serde_json::Value;

/// A password as it stands in a URL.
fn in_url(password: &str) -> String {
    percent_encoding::utf8_percent_encode(password, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("alice:{password}")))
}

fn is_alice(head: &Head) -> bool {
    head.get("authorization") == Some(basic(PASSWORD))
}

fn wants_basic(realm: &str) -> Vec<u8> {
    answer("401 Unauthorized", &[&format!("WWW-Authenticate: Basic realm=\"{realm}\"")], "")
}

fn not_found() -> Vec<u8> {
    answer("404 Not Found", &["Content-Type: text/plain"], "there is no such thing\n")
}

/// The exchanges so far, when the client is done: `count` of them at least.
fn records_from(tap: &Tap, count: usize) -> Vec<Value> {
    wait_for("the records", DEADLINE, || Some(tap.records_now()).filter(|records| records.len() >= count))
}

fn assert_quiet(records: &[Value]) {
    records.iter().for_each(assert_no_alarm);
}

// git

/// A repository as a plain web server has it, which git can read as well.
fn repository(dir: &Path) {
    let git = |args: &[&str]| {
        let mut git = command(&program("git"), dir);
        git.env("GIT_CONFIG_NOSYSTEM", "1").args(["-c", "user.name=a", "-c", "user.email=a@example"]).args(args);
        run(git).assert_fine();
    };
    git(&["init", "-q", "-b", "main", "work"]);
    fs::write(dir.join("work/file"), "text\n").unwrap();
    git(&["-C", "work", "add", "file"]);
    git(&["-C", "work", "commit", "-q", "-m", "first"]);
    git(&["clone", "-q", "--bare", "work", "app.git"]);
    git(&["-C", "app.git", "update-server-info"]);
}

fn git_origin(dir: &Path) -> Origin {
    let dir = dir.to_owned();
    Origin::serve(move |head| {
        if !is_alice(head) {
            return wants_basic("git");
        }
        let target = head.target();
        let path = target.split('?').next().unwrap();
        match fs::read(dir.join(path.trim_start_matches('/'))) {
            Ok(bytes) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
                [head.as_bytes(), &bytes].concat()
            }
            Err(_) => not_found(),
        }
    })
}

fn git(home: &Path, args: &[&str]) -> Ran {
    let mut git = command(&program("git"), home);
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").args(["-c", "credential.helper="]);
    git.args(args);
    run(git)
}

fn with_password(tap: &Tap, password: &str, path: &str) -> String {
    format!("http://alice:{}@{}{path}", in_url(password), tap.addr())
}

#[test]
fn git_asks_first_and_clones() {
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    let origin = git_origin(dir.path());
    let tap = Tap::start(&origin.url());

    git(dir.path(), &["clone", "-q", &with_password(&tap, PASSWORD, "/app.git"), "copy"]).assert_fine();

    assert_eq!(fs::read_to_string(dir.path().join("copy/file")).unwrap(), "text\n");
    let records = records_from(&tap, 3);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_ok(&records[1]);
    assert_eq!(scheme(&records[1]), "basic");
    assert_quiet(&records);
}

#[test]
fn git_with_a_wrong_password() {
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    let origin = git_origin(dir.path());
    let tap = Tap::start(&origin.url());

    git(dir.path(), &["ls-remote", &with_password(&tap, WRONG_PASSWORD, "/app.git")]).assert_failed();

    let records = tap.records(2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_finding(&records[1], "credentials-rejected", "error");
}

// pip

/// The smallest wheel that pip takes.
fn wheel(dir: &Path) -> Vec<u8> {
    const SCRIPT: &str = "import zipfile\n\
        with zipfile.ZipFile('authtap_probe-1.0-py3-none-any.whl', 'w') as wheel:\n    \
            at = 'authtap_probe-1.0.dist-info/'\n    \
            wheel.writestr(at + 'METADATA', 'Metadata-Version: 2.1\\nName: authtap-probe\\nVersion: 1.0\\n')\n    \
            wheel.writestr(at + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: a\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n    \
            wheel.writestr(at + 'RECORD', '')\n";
    let mut python = command(&tool("python"), dir);
    python.args(["-c", SCRIPT]);
    run(python).assert_fine();
    fs::read(dir.join("authtap_probe-1.0-py3-none-any.whl")).unwrap()
}

fn index(dir: &Path) -> Origin {
    let wheel = wheel(dir);
    Origin::serve(move |head| {
        if !is_alice(head) {
            return wants_basic("index");
        }
        match head.target().as_str() {
            "/simple/authtap-probe/" => answer(
                "200 OK",
                &["Content-Type: text/html"],
                "<!DOCTYPE html><a href=\"/files/authtap_probe-1.0-py3-none-any.whl\">authtap_probe-1.0-py3-none-any.whl</a>",
            ),
            "/files/authtap_probe-1.0-py3-none-any.whl" => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                    wheel.len()
                );
                [head.as_bytes(), &wheel].concat()
            }
            _ => not_found(),
        }
    })
}

fn pip_download(home: &Path, index: &str, more: &[&str]) -> Ran {
    let mut pip = command(&tool("python"), home);
    pip.env("PYTHONPATH", home)
        .args(["-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0"])
        .args(more);
    pip.args(["download", "--no-input", "--no-deps", "-d", "downloads", "--index-url", index, "authtap-probe"]);
    run(pip)
}

#[test]
fn pip_asks_its_keyring_after_the_question() {
    let dir = tempfile::tempdir().unwrap();
    let origin = index(dir.path());
    let tap = Tap::start(&origin.url());
    // What pip asks for a password, and asks only behind a 401.
    let keyring = format!(
        "class Credential:\n    username, password = 'alice', '{PASSWORD}'\n\n\ndef get_credential(url, user):\n    return Credential()\n"
    );
    fs::write(dir.path().join("keyring.py"), keyring).unwrap();

    pip_download(dir.path(), &tap.url("/simple/"), &["--keyring-provider", "import"]).assert_fine();

    let records = records_from(&tap, 3);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_ok(&records[1]);
    assert_quiet(&records);
}

#[test]
fn pip_with_the_password_in_its_index_url() {
    let dir = tempfile::tempdir().unwrap();
    let origin = index(dir.path());
    let tap = Tap::start(&origin.url());

    pip_download(dir.path(), &with_password(&tap, PASSWORD, "/simple/"), &[]).assert_fine();
    records_from(&tap, 2).iter().for_each(assert_ok);
    drop(tap);

    let tap = Tap::start(&origin.url());
    pip_download(dir.path(), &with_password(&tap, WRONG_PASSWORD, "/simple/"), &[]).assert_failed();
    assert_finding(&records_from(&tap, 1)[0], "credentials-rejected", "error");
}

// npm

fn registry() -> Origin {
    Origin::serve(|head| {
        if head.get("authorization") != Some(format!("Bearer {BEARER_TOKEN}")) {
            let challenge = match head.get("authorization") {
                Some(_) => "WWW-Authenticate: Bearer realm=\"npm\", error=\"invalid_token\"",
                None => "WWW-Authenticate: Bearer realm=\"npm\"",
            };
            return answer("401 Unauthorized", &[challenge, "Content-Type: application/json"], "{\"error\":\"no\"}");
        }
        let host = head.get("host").unwrap();
        let packument = format!(
            "{{\"name\":\"authtap-probe\",\"dist-tags\":{{\"latest\":\"1.0.0\"}},\"versions\":{{\"1.0.0\":{{\"name\":\"authtap-probe\",\
             \"version\":\"1.0.0\",\"dist\":{{\"tarball\":\"http://{host}/authtap-probe-1.0.0.tgz\"}}}}}}}}"
        );
        answer("200 OK", &["Content-Type: application/json"], &packument)
    })
}

fn npm_view(tap: &Tap, token: Option<&str>) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let settings = token.map(|token| format!("//{}/:_authToken={token}\n", tap.addr())).unwrap_or_default();
    fs::write(dir.path().join("npmrc"), settings).unwrap();
    let mut npm = command(&tool("npm"), dir.path());
    npm.args(["view", "authtap-probe", "version", "--userconfig", "npmrc", "--cache", "cache", "--fetch-retries", "0"]);
    npm.args(["--no-update-notifier", "--registry", &tap.url("/")]);
    run(npm)
}

#[test]
fn npm_with_its_token_and_without() {
    let origin = registry();

    let tap = Tap::start(&origin.url());
    let ran = npm_view(&tap, Some(BEARER_TOKEN));
    assert!(ran.assert_fine().stdout.contains("1.0.0"), "{ran:?}");
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(scheme(&record), "bearer");
    drop(tap);

    let tap = Tap::start(&origin.url());
    npm_view(&tap, Some(WRONG_BEARER_TOKEN)).assert_failed();
    assert_finding(&tap.record(), "credentials-rejected", "error");
    drop(tap);

    let tap = Tap::start(&origin.url());
    npm_view(&tap, None).assert_failed();
    assert_finding(&tap.record(), "credentials-absent", "info");
}

// A registry of containers

/// Asks for a token of its own token service, which asks for a password.
fn containers() -> Origin {
    const MANIFEST: &str = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
        \"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"size\":2,\
        \"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"},\"layers\":[]}";
    let reply = |head: &Head| {
        let host = head.get("host").unwrap();
        let target = head.target();
        if target.starts_with("/token") {
            let token = format!("{{\"token\":\"{BEARER_TOKEN}\",\"expires_in\":300}}");
            let body = "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"incorrect username or password\"}]}";
            return match is_alice(head) {
                true => answer("200 OK", &["Content-Type: application/json"], &token),
                false => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"token\""], body),
            };
        }
        if head.get("authorization") != Some(format!("Bearer {BEARER_TOKEN}")) {
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"{host}\",scope=\"repository:team/app:pull\""
            );
            let body = "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}";
            return answer("401 Unauthorized", &[&challenge, "Content-Type: application/json"], body);
        }
        match target.as_str() {
            "/v2/team/app/manifests/1" => {
                answer("200 OK", &["Content-Type: application/vnd.oci.image.manifest.v1+json"], MANIFEST)
            }
            _ => not_found(),
        }
    };
    Origin::start(move |conn| {
        let mut first = [0];
        if common::uninterrupted(|| conn.stream().peek(&mut first)).is_ok() && first == [TLS_HANDSHAKE] {
            return;
        }
        while let Some(head) = conn.read_head() {
            conn.write(&reply(&head));
        }
    })
}

/// The first byte of a client that speaks TLS, which this one tries before it speaks without.
const TLS_HANDSHAKE: u8 = 0x16;

/// The records of what was HTTP. That the client tried TLS first passes without a word.
fn http_records(tap: &Tap, count: usize) -> Vec<Value> {
    let (answered, unanswered): (Vec<Value>, Vec<Value>) =
        tap.records(count + 1).into_iter().partition(|record| record["response"].is_object());
    assert_eq!(answered.len(), count);
    assert_quiet(&unanswered);
    answered
}

fn skopeo(tap: &Tap, password: &str) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("policy.json"), "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}").unwrap();
    let mut skopeo = command(&program("skopeo"), dir.path());
    skopeo.args(["--policy", "policy.json", "inspect", "--raw", "--tls-verify=false", "--creds"]);
    skopeo.args([format!("alice:{password}"), format!("docker://{}/team/app:1", tap.addr())]);
    run(skopeo)
}

#[test]
fn a_container_registry_sends_its_client_for_a_token() {
    let origin = containers();

    let tap = Tap::start(&origin.url());
    skopeo(&tap, PASSWORD).assert_fine();
    let records = http_records(&tap, 3);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_ok(&records[1]);
    assert_ok(&records[2]);
    assert_eq!((scheme(&records[1]), scheme(&records[2])), ("basic", "bearer"));
    drop(tap);

    let tap = Tap::start(&origin.url());
    skopeo(&tap, WRONG_PASSWORD).assert_failed();
    let records = http_records(&tap, 2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_finding(&records[1], "credentials-rejected", "error");
}

// curl, in what takes several requests

#[test]
fn curl_takes_a_new_nonce_when_the_old_one_is_stale() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        // Each nonce is good for one path.
        Some(value) if value.contains(&format!("nonce=\"for{}\"", head.target().replace('/', "-"))) => {
            match head.target().as_str() {
                "/1" => answer("302 Found", &["Location: /2"], ""),
                _ => answer("200 OK", &[], "hello\n"),
            }
        }
        sent => {
            let stale = if sent.is_some() { ", stale=true" } else { "" };
            let nonce = format!("for{}", head.target().replace('/', "-"));
            let challenge = format!(
                "WWW-Authenticate: Digest realm=\"a\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\"{stale}"
            );
            answer("401 Unauthorized", &[&challenge], "")
        }
    });
    let tap = Tap::start(&origin.url());

    let user = format!("alice:{PASSWORD}");
    curl(&["--digest", "--location", "-u", &user, &tap.url("/1")]).assert_status(200);

    let records = tap.records(4);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_ok(&records[1]);
    assert_finding(&records[2], "handshake-step", "info");
    assert_ok(&records[3]);
}

#[test]
fn curl_without_a_ticket_stops_at_the_question_of_negotiate() {
    let origin = Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Negotiate"], ""));
    let tap = Tap::start(&origin.url());

    curl(&["--negotiate", "-u", ":", &tap.url("/")]).assert_status(401);

    let record = tap.record();
    assert_status(&record, 401);
    assert_finding(&record, "credentials-absent", "info");
}

#[test]
fn curl_uploads_by_ntlm() {
    let origin = ntlm::origin(true);
    let tap = Tap::start(&origin.url());

    let user = format!("alice:{PASSWORD}");
    curl(&["--ntlm", "-u", &user, "-X", "PUT", "-d", "text", &tap.url("/file")]).assert_status(200);

    let records = tap.records(2);
    assert_finding(&records[0], "handshake-step", "info");
    assert_ok(&records[1]);
    drop(tap);
    origin.finish();
}

// A token that runs out

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn token(exp: u64) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let claims = format!("{{\"iss\":\"https://login.example\",\"aud\":\"orders\",\"sub\":\"alice\",\"exp\":{exp}}}");
    format!("{}.{}.{}", encode("{\"alg\":\"HS256\"}".into()), encode(claims), URL_SAFE_NO_PAD.encode([7; 32]))
}

/// Takes tokens while they last, and gives out others.
fn resource(tokens: Vec<(String, u64)>) -> Origin {
    Origin::serve(move |head| {
        let time = jiff::Timestamp::from_second(now().try_into().unwrap()).unwrap();
        let date = format!("Date: {}", time.strftime("%a, %d %b %Y %H:%M:%S GMT"));
        if head.target() == "/oauth/token" {
            let body = "{\"token_type\":\"Bearer\",\"expires_in\":3600}";
            return answer("200 OK", &[&date, "Content-Type: application/json"], body);
        }
        let sent = head.get("authorization").unwrap_or_default();
        match tokens.iter().any(|(token, exp)| sent == format!("Bearer {token}") && now() <= *exp) {
            true => answer("200 OK", &[&date], "fine\n"),
            false => {
                let challenge =
                    "WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"The token expired\"";
                answer("401 Unauthorized", &[&date, challenge], "")
            }
        }
    })
}

#[test]
fn a_token_runs_out_and_is_refreshed() {
    let exp = now() + 2;
    let (old, new) = (token(exp), token(exp + 3600));
    let origin = resource(vec![(old.clone(), exp), (new.clone(), exp + 3600)]);
    let tap = Tap::start(&origin.url());
    let orders = tap.url("/orders");

    curl(&["--oauth2-bearer", &old, &orders]).assert_status(200);
    wait_for("the end of the token", DEADLINE, || (now() > exp + 1).then_some(()));
    curl(&["--oauth2-bearer", &old, &orders]).assert_status(401);
    let form = format!("grant_type=refresh_token&refresh_token={}", in_url(BEARER_TOKEN));
    curl(&["-d", &form, &tap.url("/oauth/token")]).assert_status(200);
    curl(&["--oauth2-bearer", &new, &orders]).assert_status(200);
    // What is refused once more is not renewed.
    curl(&["--oauth2-bearer", &old, &orders]).assert_status(401);

    let records = tap.records(5);
    assert_ok(&records[0]);
    assert_finding(&records[1], "token-expired", "info");
    assert_eq!(findings(&records[1])[0]["certainty"], "certain");
    assert_ok(&records[2]);
    assert_ok(&records[3]);
    assert_finding(&records[4], "token-expired", "error");
}
