//! The inspector page among those who mean it ill: what peers send, other sites, and what is carried off to a shell or a ticket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::browser::Browser;
use common::canaries::assert_no_secret;
use common::head::answer;
use common::inspector::{INSPECT, SENT, get, link, open, send, shop_in_browser};
use common::path::orders;
use common::{Origin, Tap};
use serde_json::{Value, json};

/// What would run, load or frame something, or turn text round, if it were taken for more than text.
const PAYLOADS: [&str; 12] = [
    "<img src=x onerror=window.pwned=1>",
    "<script>window.pwned=1</script>",
    "\"><svg onload=window.pwned=1>",
    "'><iframe srcdoc='<script>parent.pwned=1</script>'>",
    "</title><script>window.pwned=1</script>",
    "<a href=javascript:window.pwned=1>click</a>",
    "javascript:window.pwned=1",
    "{{constructor.constructor('window.pwned=1')()}}",
    "${window.pwned=1}",
    "<style>*{display:none}</style><base href=//evil.example>",
    "<form action=//evil.example><input name=q></form>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
];

#[test]
fn what_peers_send_is_text_and_nothing_else() {
    let origin = Origin::serve(|head| {
        let payload = head.get("x-payload").unwrap_or_default();
        let fields = [
            format!("X-Payload: {payload}"),
            format!("Server: {payload}"),
            "Content-Type: text/html".to_owned(),
            format!("WWW-Authenticate: Bearer realm=\"{}\"", payload.replace('"', "\\\"")),
        ];
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        answer("401 Unauthorized", &fields, &format!("<p>{payload}</p>"))
    });
    let tap = Tap::start_with(&origin.url(), &["--inspect=:0", "--show", "X-Payload"]);
    for payload in PAYLOADS {
        let name = payload.replace(
            [' ', '"', '\'', ',', ';', '(', ')', '/', '<', '>', '@', '[', ']', '{', '}', '=', ':', '?', '\\'],
            "",
        );
        let target = payload.replace(' ', "+");
        send(
            &tap,
            &format!(
                "GET /{target}?q={target} HTTP/1.1\r\nHost: {target}\r\nX-Payload: {payload}\r\nUser-Agent: {payload}\r\nAccept: \
                 {payload}\r\n{name}: x\r\nAuthorization: {payload} {payload}\r\nConnection: close\r\n\r\n"
            ),
        );
    }
    // Bidirectional marks, controls, and what has no width.
    send(
        &tap,
        "GET /a HTTP/1.1\r\nHost: a\r\nX-Payload: one\u{202e}owt\u{200b}\u{9b}31m\x1b[31m\u{2066}\u{feff}end\r\nConnection: close\r\n\r\n",
    );
    let sent = PAYLOADS.len() + 1;
    tap.records(sent);
    let mut browser = Browser::start(1280, 800);
    browser.before_pages("addEventListener('securitypolicyviolation', (event) => { (window.violations ??= []).push(event.violatedDirective + ' ' + event.sample); })");
    browser.go(&link(&tap));
    browser.wait(&format!("document.querySelector('#count')?.innerText === '{sent} requests'"));
    let elements = "[...document.querySelectorAll('img, iframe, object, embed, base, form, meta[http-equiv], svg, script, style, a[href^=javascript]')].map(e => e.outerHTML.slice(0, 60)).filter(e => !e.includes('/main.js') && !e.includes('id=\"filters\"') && !e.includes('id=\"gate-form\"') && !e.includes('method=\"dialog\"'))";
    let mut seen = 0;
    for _ in 0..sent {
        browser.press("j");
        browser.press("Enter");
        browser.wait("document.querySelector('#detail .heads') && document.querySelector('#detail details.part') && document.querySelector('#detail-title').innerText.includes(document.querySelector('.row.cursor .target').textContent)");
        let shown = browser.text("document.querySelector('#detail').innerText");
        seen += PAYLOADS.iter().filter(|payload| shown.contains(&format!("X-Payload: {payload}"))).count();
        // The parts may be made anew at any moment, since rows come in.
        let raw = browser.text("(async () => { const wait = () => new Promise(done => setTimeout(done, 20)); for (let n = 0; n < 250; n++) { const part = [...document.querySelectorAll('#detail details.part')].pop(); if (part) part.open = true; await wait(); if (part?.isConnected) return part.innerText; } return 'no part'; })()");
        assert!(raw.contains("authtap/1"), "{raw}");
        for text in [&shown, &raw] {
            assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{9b}', '\u{1b}', '\u{2066}', '\u{feff}']), "{text:?}");
        }
        assert_eq!(browser.eval(elements), json!([]));
    }
    assert!(seen >= PAYLOADS.len() - 1, "{seen} payloads were shown as what they are");
    browser.picture("injection");
    browser.press("2");
    browser.wait("document.querySelector('#view-summary .cause')");
    assert_eq!(browser.eval(elements), json!([]));
    browser.press("3");
    browser.wait("document.querySelector('#view-timeline h2')");
    browser.eval("[...document.querySelectorAll('.choice button')].find(b => b.innerText === 'Routes').click()");
    browser.wait("document.querySelector('#view-timeline .over-time')");
    assert_eq!(browser.eval(elements), json!([]));
    browser.eval(&format!("(() => {{ const q = document.querySelector('#query'); q.value = {}; q.dispatchEvent(new Event('input', {{bubbles: true}})); }})()", json!(PAYLOADS[0])));
    browser.wait("document.querySelector('#count').innerText.includes(' of ')");
    assert_eq!(browser.eval("[window.pwned ?? null, window.violations ?? []]"), json!([null, []]));
    browser.assert_no_complaint();
}

/// The policy is there in case that text becomes markup after all.
#[test]
fn the_policy_stops_what_would_be_markup() {
    let origin = Origin::reply(answer("200 OK", &[], "")).may_be_unused();
    let tap = Tap::start_with(&origin.url(), &INSPECT);
    let mut browser = open(&tap);
    browser.assert_no_complaint();
    let tried = browser.text("(() => { try { document.body.innerHTML = '<img src=x onerror=window.pwned=1>'; return 'done'; } catch (error) { return error.name; } })()");
    assert_eq!(tried, "TypeError");
    browser.eval("(() => { const s = document.createElement('script'); try { s.text = 'window.pwned = 1'; document.body.append(s); } catch {} const i = document.createElement('img'); i.src = 'http://127.0.0.1:1/x'; document.body.append(i); fetch('http://127.0.0.1:1/').catch(() => 0); })()");
    assert!(!browser.take_complaints().is_empty());
    assert_eq!(browser.eval("window.pwned ?? null"), Value::Null);
}

/// A name of somebody else's that leads to this machine, under which a page of theirs could ask.
#[test]
fn under_a_foreign_name_not_even_the_page_is_served() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    get(&tap, "/v1/orders/4711", &[]);
    tap.records(1);
    let link = link(&tap);
    let mut browser = Browser::start(800, 600);
    browser.go(&link.replace("127.0.0.1", "rebound.example"));
    browser.wait("document.body?.innerText.includes('this host is not served here')");
    assert_eq!(browser.eval("document.scripts.length"), 0);
    let token = link.split_once("token=").unwrap().1;
    let asked = browser.text(&format!(
        "fetch('/api/rows', {{ headers: {{ Authorization: 'Bearer {token}' }} }}).then((a) => a.status).catch((e) => e.name)"
    ));
    assert!(["403", "TypeError"].contains(&asked.as_str()), "{asked}");
    browser.go(&link);
    browser.wait("document.querySelector('.row')?.innerText.includes('4711')");
}

#[test]
fn a_page_of_another_site_learns_nothing() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    get(&tap, "/v1/orders", &[]);
    tap.records(1);
    let link = link(&tap);
    let (base, token) = link.split_once("/#token=").unwrap();
    let script = format!(
        "<!DOCTYPE html><title>waiting</title><body><script>(async () => {{ const all = []; \
         for (const [path, options] of [['/api/rows', {{headers: {{Authorization: 'Bearer {token}'}}}}], ['/api/rows', {{}}], \
         ['/', {{}}], ['/', {{mode: 'no-cors'}}]]) {{ \
         try {{ const answer = await fetch('{base}' + path, options); all.push(answer.type + (await answer.text()).length); }} \
         catch (error) {{ all.push(error.name); }} }} \
         const frame = document.createElement('iframe'); frame.src = '{base}/'; document.body.append(frame); \
         await new Promise(done => setTimeout(done, 500)); \
         try {{ all.push(String(frame.contentDocument)); }} catch (error) {{ all.push('closed'); }} \
         document.title = all.join(' '); }})()</script>"
    );
    let elsewhere = Origin::serve(move |_| answer("200 OK", &["Content-Type: text/html"], &script));
    let mut browser = Browser::start(800, 600);
    browser.go(&elsewhere.url());
    browser.wait("document.title !== '' && document.title !== 'waiting'");
    let title = browser.text("document.title");
    let told: Vec<&str> = title.split(' ').collect();
    assert_eq!(told[..4], ["TypeError", "TypeError", "TypeError", "TypeError"], "{title}");
    assert!(["closed", "null"].contains(&told[4]), "{title}");
}

/// What shells make of a command of curl: its arguments, which are the same in each.
fn arguments(command: &str) -> Vec<String> {
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\nSECRET_3fa9c1d2=TOLD\n{command}");
    let told = ["dash", "bash"].map(|shell| {
        let output = std::process::Command::new(shell).args(["-c", &script]).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{shell}: {command}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect::<Vec<String>>()
    });
    assert_eq!(told[0], told[1], "{command}");
    told[0].clone()
}

/// The lines before the command, which some shells run where they are typed, have nothing in them that a shell acts on.
fn assert_notes_are_words(command: &str) {
    for line in command.lines().take_while(|line| !line.starts_with("curl ")) {
        let words = line.strip_prefix("# ").unwrap_or_else(|| panic!("{command}"));
        let is_plain = |char: char| char.is_ascii_alphanumeric() || " .,:_-=…".contains(char);
        assert!(words.chars().all(is_plain), "{line}");
    }
}

#[test]
fn a_command_for_curl_is_one_command_whatever_is_in_the_request() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    let mut browser = open(&tap);
    let folder = tempfile::tempdir().unwrap();
    let pwned = folder.path().join("pwned");
    let run = format!("touch {}", pwned.display());
    let evil = format!("'; {run}; $({run}) `{run}` \\ \" \n {run} \u{202e}'; {run} # é");
    let shown = evil.replace('\n', "\\u{a}").replace('\u{202e}', "\\u{202e}");
    let record = json!({
        "request": { "method": "PO'ST", "target": format!("/a?q={evil}&t=<redacted fp=3fa9c1d2 len=20>"), "version": "HTTP/1.1",
            "authority": "shop.example", "body_bytes": 3, "headers": [
                ["Host", "shop.example"], ["Content-Length", "3"], ["X-A", evil], ["X-Empty", ""], ["@file", "x"],
                [format!("X B'; {run}\n$({run})"), "x"], ["Accept-Encoding", "gzip, br"],
                ["Authorization", "Bearer <redacted fp=3fa9c1d2 len=20>"], ["X-C", "<redacted len<16>"]] },
        "client": { "tls": null }, "upstream": { "url": "http://127.0.0.1:1" },
    });
    let command = browser.text(&format!("(async () => (await import('/copy.js')).curl({record}))()"));
    let told = arguments(&command);
    let expected = [
        "-i",
        "--globoff",
        "--path-as-is",
        "--proto",
        "=http,https",
        "-X",
        "PO'ST",
        "--url",
        &format!("http://shop.example/a?q={shown}&t=TOLD"),
        "-H",
        &format!("X-A: {shown}"),
        "-H",
        "X-Empty;",
        "-H",
        "Authorization: Bearer TOLD",
        "-H",
        "X-C: ",
        "--compressed",
        "--data-binary",
        "@body",
    ];
    assert_eq!(told, expected, "{command}");
    // Nothing that a terminal acts on is in what is pasted, and no line but its own.
    assert!(
        command.chars().all(|char| !char.is_control() || char == '\n') && !command.contains('\u{202e}'),
        "{command}"
    );
    assert!(command.contains("# SECRET_3fa9c1d2=") && command.contains("left out"), "{command}");
    assert_eq!(command.matches("\n").count(), command.matches(" \\\n").count() + 6, "{command}");
    assert_notes_are_words(&command);
    assert!(!pwned.exists(), "{command}");
}

/// A client chooses the target, and curl reads files and speaks much else than HTTP.
#[test]
fn a_command_for_curl_speaks_http_whatever_was_asked_for() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    let mut browser = open(&tap);
    for (target, url, is_sent) in [
        ("file:///etc/passwd", "http://shop.example/", true),
        ("FILE:///etc/passwd", "http://shop.example/", true),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "http://shop.example/", true),
        ("-o/tmp/x", "http://shop.example/", true),
        ("@/etc/passwd", "http://shop.example/", true),
        ("*", "http://shop.example/", true),
        ("a.example:443", "http://shop.example/", true),
        ("https://a.example/b", "https://a.example/b", false),
        ("//a.example/b", "http://shop.example//a.example/b", false),
        ("/", "http://shop.example/", false),
    ] {
        let record = json!({
            "request": { "method": "GET", "target": target, "version": "HTTP/1.1", "authority": "shop.example", "body_bytes": 0,
                "headers": [["Host", "shop.example"], ["Accept-Encoding", "identity"]] },
            "client": { "tls": null }, "upstream": { "url": "http://127.0.0.1:1" },
        });
        let command = browser.text(&format!("(async () => (await import('/copy.js')).curl({record}))()"));
        let sent = if is_sent { vec!["--request-target", target] } else { vec![] };
        let before = ["-i", "--globoff", "--path-as-is", "--proto", "=http,https"];
        let expected = [&before[..], &sent, &["--url", url, "-H", "Accept-Encoding: identity"]].concat();
        assert_eq!(arguments(&command), expected, "{command}");
    }
}

#[test]
fn a_report_has_nothing_in_it_that_is_markdown_by_accident() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    let mut browser = open(&tap);
    let plain = |browser: &mut Browser, text: &str| {
        browser.text(&format!("(async () => (await import('/copy.js')).plainMarkdown({}))()", json!(text)))
    };
    assert_eq!(plain(&mut browser, "a *b* [c](d) <e> #f |g|"), "a \\*b\\* \\[c\\](d) \\<e\\> \\#f \\|g\\|");
    assert!(!plain(&mut browser, "http://evil.example/ @team www.evil.example").contains("://"));
    assert!(!plain(&mut browser, "a\n# b").contains('\n'));
    let fenced = |browser: &mut Browser, text: &str| {
        browser.text(&format!("(async () => (await import('/copy.js')).fenced({}))()", json!(text)))
    };
    assert_eq!(fenced(&mut browser, "a ``` b\n`````\n"), "``````text\na ``` b\n`````\n``````");

    let finding = json!({ "rule": "token-expired", "severity": "error", "certainty": "certain", "at": "client", "header": null,
        "summary": "the token *ran* out `<b>`", "evidence": ["exp=1\n```\n# not a heading", "[x](y)"], "fix": "send `a``b`", "spec": "RFC 6750 3" });
    let record = json!({ "id": "01A", "time": "2026-11-24T12:00:00Z", "tap": "edge", "upstream": { "url": "http://a" }, "outcome": "complete",
        "request": { "method": "GET", "target": "/<img src=x>", "version": "HTTP/1.1", "headers": [["A", "```"], ["Authorization", "Bearer <redacted fp=3fa9c1d2 len=20>"]] },
        "response": { "status": 401, "version": "HTTP/1.1", "headers": [], "error_body": { "text": "~~~\n````\n<script>" } } });
    let report = browser.text(&format!("(async () => (await import('/copy.js')).report([{record}], [{finding}]))()"));
    // Outside of the blocks of code, which end where they should, there are no marks but the report's own.
    let mut fence: Option<&str> = None;
    let mut outside = String::new();
    for line in report.lines() {
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => {
                fence = Some(line.trim_end_matches(|char: char| char.is_ascii_lowercase()))
            }
            None => outside.push_str(&format!("{line}\n")),
        }
    }
    assert!(fence.is_none(), "{report}");
    assert!(outside.starts_with("## 401 GET /\\<img src=x\\>\n"), "{outside}");
    assert!(
        !outside.contains("not a heading") && !outside.contains("<script>") && outside.contains("`<b>`"),
        "{outside}"
    );
    assert!(report.contains("Authorization: Bearer <redacted fp=3fa9c1d2 len=20>"), "{report}");
}

#[test]
fn what_is_copied_and_saved_is_masked_and_whole() {
    let (path, mut browser) = shop_in_browser();
    let link = link(&path.tap);
    let base = link.split("/#").next().unwrap();
    browser.call(
        "Browser.grantPermissions",
        json!({ "origin": base, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
    );
    browser.call("Page.bringToFront", json!({}));
    let folder = tempfile::tempdir().unwrap();
    browser.call("Browser.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": folder.path() }));
    browser.eval("[...document.querySelectorAll('.row')].find(row => row.innerText.includes('token-expired')).click()");
    browser.wait("document.querySelector('#detail .finding')");

    browser.press("c");
    browser.wait("document.querySelector('#toast').innerText.includes('copied')");
    let command = browser.text("navigator.clipboard.readText()");
    assert!(command.contains("curl -i") && command.contains("http://shop.example/v1/orders"), "{command}");
    assert!(command.contains("-H 'Authorization: Bearer '\"$SECRET_"), "{command}");
    assert!(!command.contains("eyJ"), "{command}");
    browser.press("m");
    browser.wait("document.querySelector('#toast').innerText.includes('report')");
    let report = browser.text("navigator.clipboard.readText()");
    assert!(report.starts_with("## 401 GET /v1/orders\n") && report.contains("### token-expired"), "{report}");
    assert!(report.contains("### What edge saw") && report.contains("### What app saw"), "{report}");
    assert_no_secret(&report);
    assert!(!report.contains("eyJ"), "{report}");

    // The browser puts an empty file there first.
    let saved = |name: &str| {
        common::wait_for("the file", common::DEADLINE, || {
            let mut files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
            let is_named = |path: &std::path::PathBuf| {
                path.to_str().is_some_and(|path| path.contains(name) && path.ends_with(".har"))
            };
            let text = std::fs::read_to_string(files.find(is_named)?).unwrap();
            assert_no_secret(&text);
            authtap::exchange::har::read(&text)
        })
    };
    browser.press("h");
    browser.wait("document.querySelector('#toast').innerText.includes('2 exchanges saved')");
    assert_eq!(saved("01").records.len(), 2);
    browser.press("Escape");
    browser.click("#save");
    browser.wait("document.querySelector('#toast').innerText.includes('44 exchanges saved')");
    let all = saved("exchanges");
    assert_eq!((all.records.len(), all.faults.len()), (2 * SENT, 0));
    browser.assert_no_complaint();
}
