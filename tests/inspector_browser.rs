//! The inspector page in a browser: every view, as it is used.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Tap;
use common::browser::Browser;
use common::canaries::{BEARER_TOKEN, WRONG_BEARER_TOKEN, assert_no_secret};
use common::inspector::{EXPIRED, INSPECT, SENT, get, link, open, shop_in_browser};
use common::path::{ReservedPort, orders};
use serde_json::{Value, json};

#[test]
fn an_empty_page_says_what_to_do_and_hears_of_exchanges() {
    let origin = orders();
    let tap = Tap::start_with(&origin.url(), &INSPECT);
    let mut browser = open(&tap);
    browser.wait("document.querySelector('#empty').innerText.includes('Point your client at')");
    assert!(browser.text("document.querySelector('#empty').innerText").contains(&tap.url("")));
    browser.picture("empty");
    // The token is not left where it would be copied from.
    assert_eq!(browser.text("location.hash"), "#/exchanges");

    get(&tap, "/v1/orders/17", &[&format!("Authorization: Bearer {BEARER_TOKEN}")]);
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 1");
    get(&tap, "/v1/orders/18", &[&format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")]);
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 2");
    // The latest stands first.
    let first = browser.text("document.querySelector('[aria-posinset=\"1\"]').innerText");
    assert!(first.contains("401") && first.contains("/v1/orders/18"), "{first}");
    browser.assert_no_complaint();
}

#[test]
fn a_request_is_shown_with_its_taps_its_findings_and_its_credentials() {
    let (path, mut browser) = shop_in_browser();
    browser.picture("list");
    browser.set_dark(true);
    browser.picture("list-dark");
    browser.set_dark(false);

    // The verdicts stand in the list, one row for both taps.
    let rows = browser
        .text("[...document.querySelectorAll('.row:not([hidden])')].map(row => row.innerText).join('\\n---\\n')");
    for verdict in ["credentials-stripped", "token-expired", "challenge-missing", "credentials-rejected"] {
        assert!(rows.contains(verdict), "{verdict} is not in {rows}");
    }
    assert!(rows.contains("2 taps"), "{rows}");

    browser.eval(
        "[...document.querySelectorAll('.row')].find(row => row.innerText.includes('/v1/admin/users/2')).click()",
    );
    browser.wait("document.querySelector('#detail .finding')");
    let shown = browser.text("document.querySelector('#detail').innerText");
    for words in
        ["credentials-stripped", "Fix", "Sure", "edge", "app", "SEEN BY 2 TAPS", "(not there)", "X-Forwarded-For"]
    {
        assert!(shown.contains(words), "{words:?} is not in {shown}");
    }
    assert_no_secret(&shown);
    // What differs is marked, and nothing else.
    let marked = browser.eval("[...document.querySelectorAll('#detail mark')].map(mark => mark.innerText)");
    let marked: Vec<&str> = marked.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(marked.contains(&"Authorization"), "{marked:?}");
    let same =
        browser.text("[...document.querySelectorAll('#detail .line.same')].map(line => line.innerText).join('\\n')");
    assert!(same.contains("User-Agent") && !same.contains("Authorization"), "{same}");
    browser.picture("exchange");
    browser.eval("document.querySelector('#detail .heads').scrollIntoView()");
    browser.picture("exchange-heads");
    browser.set_dark(true);
    browser.picture("exchange-heads-dark");
    browser.set_dark(false);
    // What the rule means is told by the catalogue.
    let meaning = browser.text("(() => { const d = document.querySelector('#detail .finding details'); d.open = true; return d.innerText; })()");
    assert!(meaning.contains("The credentials were removed between two taps"), "{meaning}");

    // A credential highlights all its uses.
    browser.click("#detail .credential-card .chip");
    browser.wait("!document.querySelector('#used').hidden");
    let used = browser.text("document.querySelector('#used').innerText");
    assert!(used.contains("used 16 times, refused 4 times, first refused at"), "{used}");
    browser.wait("document.querySelectorAll('.row.uses:not([hidden])').length === 16");
    browser.picture("uses");
    browser.press("Escape");
    browser.wait("document.querySelector('#detail').hidden");
    browser.press("Escape");
    browser.wait("document.querySelector('#used').hidden && document.querySelectorAll('.row.uses').length === 0");
    // In the list as well, by a click and by a key.
    browser.click(".row[aria-posinset=\"1\"] .credential");
    browser.wait("document.querySelectorAll('.row.uses:not([hidden])').length === 16");
    browser.press("u");
    browser.wait("document.querySelector('#used').hidden");
    browser.assert_no_complaint();
    drop(path);
}

#[test]
fn summary_and_timeline_tell_causes_and_when_it_began() {
    let (path, mut browser) = shop_in_browser();
    browser.press("2");
    browser.wait("document.querySelectorAll('#view-summary .cause').length >= 4");
    let summary = browser.text("document.querySelector('#view-summary').innerText");
    for words in [
        "22 requests",
        "12 fine, 1 failed without a finding, 9 with findings",
        "token-expired",
        "× 2",
        "credentials-stripped",
        "× 3",
        "the hop from edge to app",
        "GET /v1/admin/users/{id}",
    ] {
        assert!(summary.contains(words), "{words:?} is not in {summary}");
    }
    browser.picture("summary");
    browser.set_dark(true);
    browser.picture("summary-dark");
    browser.set_dark(false);

    browser.press("3");
    browser.wait("document.querySelectorAll('#view-timeline .over-time').length >= 3");
    let timeline = browser.text("document.querySelector('#view-timeline').innerText");
    assert!(
        timeline.contains("fine 12 times, failing since") || timeline.contains("fine and failing in turns"),
        "{timeline}"
    );
    assert!(timeline.contains("failed each time (4), since"), "{timeline}");
    browser.picture("timeline");
    browser.eval("[...document.querySelectorAll('.choice button')].find(b => b.innerText === 'Routes').click()");
    browser.wait("document.querySelector('#view-timeline').innerText.includes('GET /v1/orders/{id}')");
    let routes = browser.text("document.querySelector('#view-timeline').innerText");
    assert!(routes.contains("fine each time (12)") && routes.contains("failed each time (3), since"), "{routes}");
    browser.picture("timeline-routes");
    browser.set_dark(true);
    browser.picture("timeline-dark");
    // From a cause to its exchanges.
    browser.press("2");
    browser.wait("document.querySelector('#view-summary .cause a')");
    browser.eval("[...document.querySelectorAll('.cause h3 a')].find(a => a.innerText === 'token-expired').click()");
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 2");
    assert_eq!(browser.text("document.querySelector('#query').value"), "rule:token-expired");
    browser.assert_no_complaint();
    drop(path);
}

#[test]
fn it_is_readable_on_a_phone() {
    let (path, mut browser) = shop_in_browser();
    browser.resize(390, 844, true);
    let fits = "document.documentElement.scrollWidth <= 390 && innerWidth <= 390";
    browser.wait(&format!("{fits} && document.querySelectorAll('.row:not([hidden])').length > 8"));
    browser.picture("phone-list");
    browser.eval(
        "[...document.querySelectorAll('.row')].find(row => row.innerText.includes('credentials-stripped')).click()",
    );
    browser.wait("document.querySelector('#detail .finding')");
    assert_eq!(browser.eval(fits), true);
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('#list')).display"), "none");
    browser.picture("phone-exchange");
    browser.eval("document.querySelector('#detail .heads').scrollIntoView()");
    browser.picture("phone-heads");
    browser.eval("document.querySelector('#detail .back').click()");
    browser.wait("document.querySelector('#detail').hidden");
    for (key, name) in [("2", "summary"), ("3", "timeline")] {
        browser.press(key);
        browser.wait(&format!("document.querySelector('#view-{name} h2')"));
        assert_eq!(browser.eval(fits), true);
        browser.picture(&format!("phone-{name}"));
    }
    browser.assert_no_complaint();
    drop(path);
}

#[test]
fn it_is_filtered_by_words_and_choices_and_used_by_keys() {
    let (path, mut browser) = shop_in_browser();
    let rows = |browser: &mut Browser| {
        browser.eval("document.querySelectorAll('.row:not([hidden])').length").as_u64().unwrap()
    };
    let count = |browser: &mut Browser| browser.text("document.querySelector('#count').innerText");
    browser.press("/");
    browser.wait("document.activeElement.id === 'query'");
    for (query, found) in [
        ("status:401", 9),
        ("status:4xx -rule:credentials-stripped", 6),
        ("rule:token-expired", 2),
        ("route:/v1/orders/{id}", 12),
        ("path:/v1/admin", 3),
        ("client:127.0.0.1", 22),
        ("client:192.0.2.1", 0),
        ("users/1", 1),
        ("catalogue KEY#", 1),
        ("method:post", 1),
        ("is:warning", 1),
        ("tap:app is:ok", 13),
        ("", 22),
    ] {
        browser.eval(&format!(
            "(() => {{ const q = document.querySelector('#query'); q.value = {}; q.dispatchEvent(new Event('input', {{bubbles: true}})); }})()",
            json!(query)
        ));
        let expected = if query.is_empty() { "22 requests".to_owned() } else { format!("{found} of 22") };
        browser.wait(&format!("document.querySelector('#count').innerText === '{expected}'"));
        browser.wait(&format!("document.querySelectorAll('.row:not([hidden])').length === {found}"));
    }
    // A choice becomes a word, which the address keeps.
    browser.wait("document.querySelector('#facet-rule option[value=stale-token-kept]')");
    browser.eval(
        "(() => { const s = document.querySelector('#facet-rule'); s.value = 'stale-token-kept'; s.dispatchEvent(new Event('change')); })()",
    );
    browser.wait("document.querySelector('#count').innerText === '2 of 22'");
    assert_eq!(browser.text("document.querySelector('#query').value"), "rule:stale-token-kept");
    assert!(browser.text("location.hash").contains("q=rule%3Astale-token-kept"));
    // A filter holds for what comes later, too.
    get(&path.tap, "/v1/orders", &[&format!("Authorization: Bearer {EXPIRED}")]);
    browser.wait("document.querySelector('#count').innerText === '3 of 23'");
    browser.eval("document.querySelector('#query').focus()");
    browser.press("Escape");
    browser.wait("document.querySelector('#count').innerText === '23 requests'");
    browser.eval("document.querySelector('#list').focus()");

    // Down, over those without a finding, and into one.
    browser.press("j");
    browser.press("j");
    browser.wait("document.querySelector('.row.cursor')?.getAttribute('aria-posinset') === '2'");
    browser.press("k");
    browser.wait("document.querySelector('.row.cursor')?.getAttribute('aria-posinset') === '1'");
    assert_eq!(
        browser.text("document.querySelector('#list').getAttribute('aria-activedescendant')"),
        browser.text("document.querySelector('.row.cursor').id")
    );
    browser.press("n");
    browser.wait("document.querySelector('.row.cursor').innerText.includes('challenge-missing')");
    browser.press("Enter");
    browser.wait("document.querySelector('#detail .finding')?.innerText.includes('challenge-missing')");
    browser.press("j");
    browser.wait("document.querySelector('#detail .finding')?.innerText.includes('stale-token-kept')");
    browser.press("Escape");
    browser.wait("document.querySelector('#detail').hidden && document.activeElement.id === 'list'");
    browser.press("?");
    browser.wait("document.querySelector('#help').open");
    browser.picture("help");
    browser.press("Escape");
    browser.wait("!document.querySelector('#help').open");
    // The tabs, as such are used.
    browser.eval("document.querySelector('#tab-exchanges').focus()");
    browser.press("ArrowRight");
    browser.wait("document.querySelector('#tab-summary').getAttribute('aria-selected') === 'true' && document.activeElement.id === 'tab-summary'");
    browser.press("1");
    browser.wait("!document.querySelector('#view-exchanges').hidden");
    // Held still, nothing comes.
    browser.press("p");
    browser.wait("document.querySelector('.status.held')");
    get(&path.tap, "/v1/orders/99", &[]);
    path.tap.records(2 * (SENT + 2));
    assert_eq!(count(&mut browser), "23 requests");
    browser.press("p");
    browser.wait("document.querySelector('#count').innerText === '24 requests'");
    assert_eq!(rows(&mut browser), 24);
    browser.assert_no_complaint();
}

#[test]
fn a_link_to_an_exchange_opens_it_and_a_wrong_token_opens_nothing() {
    let (path, mut browser) = shop_in_browser();
    let record = path.tap.records_now().into_iter().find(|record| record["request"]["target"] == "/v1/admin/users/1");
    let id = record.unwrap()["id"].as_str().unwrap().to_owned();
    let page = link(&path.tap);
    let base = page.split("/#").next().unwrap().to_owned();
    // In the same tab, with the token kept beside the address.
    browser.go("about:blank");
    browser.go(&format!("{base}/#/exchange/{id}"));
    browser.wait("document.querySelector('#detail .finding')?.innerText.includes('credentials-stripped')");
    browser.assert_no_complaint();

    browser.eval("sessionStorage.clear()");
    browser.go("about:blank");
    browser.go(&format!("{base}/#token=AAAAAAAAAAAAAAAAAAAAAA"));
    browser.wait("!document.querySelector('#gate').hidden");
    browser.picture("gate");
    assert!(browser.text("document.querySelector('#gate').innerText").contains("not that of this run"));
    assert_eq!(browser.eval("document.querySelectorAll('.row').length"), 0);
    let refused = browser.take_complaints();
    assert!(refused.iter().all(|complaint| complaint.contains("401")), "{refused:?}");
    // The right link, pasted.
    browser.eval(&format!("document.querySelector('#gate-token').value = {}", json!(page)));
    browser.click("#gate-form button");
    browser.wait(
        "document.querySelector('#gate').hidden && document.querySelectorAll('.row:not([hidden])').length === 22",
    );
    browser.assert_no_complaint();
}

#[test]
fn a_hundred_thousand_exchanges_are_no_burden() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    get(&tap, "/v1/orders", &[&format!("Authorization: Bearer {BEARER_TOKEN}")]);
    tap.records(1);
    let mut browser = open(&tap);
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 1");
    // As they come from the program: in parts of two thousand, each drawn before the next one comes.
    let fed = browser.eval(
        "(async () => {
            const { receive } = await import('/exchanges.js');
            const frame = () => new Promise(requestAnimationFrame);
            const id = (number) => '01M8CW1Q1CHMJ6C1' + String(number).padStart(10, '0');
            const began = performance.now();
            const parts = [];
            for (let part = 0; part < 50; part += 1) {
                const rows = [];
                for (let at = 0; at < 2000; at += 1) {
                    const number = 2 + part * 2000 + at;
                    const bad = number % 10 === 0;
                    rows.push([number, id(number), id(number), null, 1795521600000 + number * 7, 'tap', 'GET', `/v1/orders/${number}/lines?page=${number % 9}`,
                        bad ? 401 : 200, bad ? 'token-expired' : 'ok', bad ? 'error' : '', bad ? 'client' : '', bad ? ['token-expired'] : [], `10.0.${number % 7}.${number % 250}`,
                        [['Bearer jwt#' + String(1000 + number % 500), String(10000000 + number % 500)]], 12.5, 'complete']);
                }
                const start = performance.now();
                receive(rows);
                await frame();
                parts.push(performance.now() - start);
            }
            await frame();
            return { usual: parts.sort((a, b) => a - b)[25], all: performance.now() - began };
        })()",
    );
    browser.wait("document.querySelector('#count').innerText === '100,001 requests'");
    assert!(browser.eval("document.querySelectorAll('*').length").as_u64().unwrap() < 4_000);
    assert!(browser.eval("document.querySelectorAll('.row').length").as_u64().unwrap() < 100);
    browser.picture("many");

    let timed = browser.eval(
        "(async () => {
            const { state, store } = await import('/state.js');
            const { setQuery } = await import('/exchanges.js');
            const frame = () => new Promise(requestAnimationFrame);
            const time = async (act) => { const start = performance.now(); await act(); await frame(); await frame(); return performance.now() - start; };
            const result = {};
            const median = (all) => all.sort((a, b) => a - b)[all.length >> 1];
            const queries = { rule: 'rule:token-expired', text: 'orders/77 -status:401', route: 'route:/v1/orders/{id}/lines client:10.0.3.3', none: '' };
            const found = {};
            for (const name of Object.keys(queries)) result[name] = [];
            for (let round = 0; round < 5; round += 1) {
                for (const [name, query] of Object.entries(queries)) {
                    result[name].push(await time(() => setQuery(query)));
                    found[name] = store.shownSize;
                }
            }
            for (const name of Object.keys(queries)) result[name] = median(result[name]);
            const list = document.querySelector('#list');
            const scroll = [];
            for (let at = 0; at < 40; at += 1) scroll.push(await time(() => { list.scrollTop = (at * 99991 * 30) % list.scrollHeight; }));
            result.scroll = median(scroll);
            // Once is chance: each is done again and again, for other secrets and from the other view.
            const { choose } = await import('/credentials.js');
            const [uses, summary, timeline] = [[], [], []];
            for (let round = 0; round < 5; round += 1) {
                uses.push(await time(() => choose(String(10000100 + round))));
                summary.push(await time(() => { location.hash = '#/summary'; }));
                timeline.push(await time(() => { location.hash = '#/timeline'; }));
            }
            Object.assign(result, { uses: median(uses), summary: median(summary), timeline: median(timeline) });
            return { result, found };
        })()",
    );
    println!("fed in {fed}, then {timed}");
    assert_eq!(timed["found"]["rule"], 10_000);
    assert!(timed["found"]["text"].as_u64().unwrap() > 900, "{timed}");
    // Several times what it takes on a machine that does nothing else, and a small part of what it would take if anything were
    // done for each row again and again.
    for what in ["rule", "text", "route", "none", "uses"] {
        assert!(timed["result"][what].as_f64().unwrap() < 1_500.0, "{what}: {timed}");
    }
    for view in ["summary", "timeline"] {
        assert!(timed["result"][view].as_f64().unwrap() < 4_000.0, "{view}: {timed}");
    }
    assert!(timed["result"]["scroll"].as_f64().unwrap() < 500.0, "{timed}");
    assert!(fed["usual"].as_f64().unwrap() < 750.0, "{fed}");
    browser.wait("document.querySelectorAll('#view-timeline .over-time').length === 40");
    // A live update still comes through.
    browser.press("1");
    get(&tap, "/v1/orders/last", &[]);
    browser.wait("document.querySelector('#count').innerText === '100,002 requests'");
    browser.assert_no_complaint();
}

/// Every text is told apart from what is behind it as WCAG 2 wants it, by 4.5 to 1.
const FAINT: &str = "(() => {
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const rgba = (color) => { context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1); const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
    const over = (top, under) => top.slice(0, 3).map((part, at) => part * top[3] + under[at] * (1 - top[3]));
    const behind = (element) => { if (element === null) return rgba(getComputedStyle(document.body).backgroundColor).slice(0, 3); const own = rgba(getComputedStyle(element).backgroundColor); return own[3] === 1 ? own.slice(0, 3) : over(own, behind(element.parentElement)); };
    const light = (color) => { const [r, g, b] = color.map((part) => { const value = part / 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        const box = element.getBoundingClientRect();
        const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent.trim()).join('');
        if (text === '' || box.width < 3 || box.height < 3 || element.disabled || !element.checkVisibility({ opacityProperty: true }) || element.closest('option, .unseen, .toast') !== null) continue;
        const back = behind(element);
        const [a, b] = [light(over(rgba(getComputedStyle(element).color), back)), light(back)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) faint.push(`${element.className || element.tagName} ${text.slice(0, 30)} ${ratio.toFixed(2)}`);
    }
    return [...new Set(faint)];
})()";

#[test]
fn everything_can_be_read_and_has_a_name() {
    let (path, mut browser) = shop_in_browser();
    let unnamed = |browser: &mut Browser| {
        let tree = browser.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().unwrap();
        let is_used = |role: &str| {
            ["button", "link", "textbox", "searchbox", "combobox", "tab", "checkbox", "option", "listbox", "tabpanel"]
                .contains(&role)
        };
        let nodes = nodes
            .iter()
            .filter(|node| node["ignored"] == false && is_used(node["role"]["value"].as_str().unwrap_or_default()));
        let mut count = 0;
        for node in nodes {
            count += 1;
            let name = node["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.trim().is_empty(), "{node:#}");
        }
        assert!(count > 8, "{count} things to use");
    };
    for is_dark in [false, true] {
        browser.set_dark(is_dark);
        browser.press("1");
        browser.eval(
            "[...document.querySelectorAll('.row')].find(row => row.innerText.includes('token-expired')).click()",
        );
        browser.wait("document.querySelector('#detail .finding')");
        browser.eval("document.querySelectorAll('details').forEach(details => { details.open = true; })");
        browser.eval("document.querySelector('#detail .chip').click()");
        browser.wait("!document.querySelector('#used').hidden");
        assert_eq!(browser.eval(FAINT), json!([]), "exchange, dark: {is_dark}");
        unnamed(&mut browser);
        browser.press("Escape");
        browser.wait("document.querySelector('#detail').hidden");
        browser.press("Escape");
        browser.wait("document.querySelector('#used').hidden");
        assert_eq!(browser.eval(FAINT), json!([]), "list, dark: {is_dark}");
        for (key, view) in [("2", "summary"), ("3", "timeline")] {
            browser.press(key);
            browser.wait(&format!("document.querySelector('#view-{view} h3')"));
            assert_eq!(browser.eval(FAINT), json!([]), "{view}, dark: {is_dark}");
            unnamed(&mut browser);
        }
    }
    // The search is not blind. Both in one, since the page may make its parts anew between two looks.
    let faint = format!("(document.querySelector('#view-timeline h2').style.color = '#777d', {FAINT}.length)");
    assert_eq!(browser.eval(&faint), 1);
    drop(path);
}

#[test]
fn rows_are_joined_counted_and_forgotten() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    let mut browser = open(&tap);
    let found = browser.eval(
        "(async () => {
            const { Store } = await import('/store.js');
            const row = (seq, path, parent, tap, status, verdict) => [seq, 'id' + seq, path, parent, 1000 * seq, tap, 'GET', '/v1/orders/' + seq, status, verdict,
                verdict === 'ok' ? '' : 'error', '', verdict === 'ok' ? [] : [verdict], tap === 'app' ? '10.0.0.1' : '192.0.2.1', [['Bearer token#aaaa', 'aaaa0000']], 1, 'complete'];
            const store = new Store();
            // The inner tap tells first of the first request, and the outer one of the second.
            store.add([row(1, 'P', 'id2', 'app', 401, 'token-expired'), row(2, 'P', null, 'edge', 401, 'ok'), row(3, 'Q', null, 'edge', 200, 'ok')]);
            store.filter('tap:app');
            const before = store.shownSize;
            store.add([row(4, 'Q', 'id3', 'app', 200, 'ok'), row(5, 'R', null, 'edge', 200, 'ok')]);
            const rows = [...store.all()];
            const result = {
                before, after: store.shownSize, taps: rows.map((one) => one.tap), inner: rows.map((one) => (one.inner ?? []).map((two) => [two.tap, two.seq])),
                seq: rows.map((one) => one.seq), found: [store.byId('id1') === rows[0], store.byId('id2') === rows[0], store.byId('x') === undefined],
                status: [...store.counts.status.of], rules: [...store.counts.rule.of], uses: store.uses('aaaa0000').failed,
                places: [store.placeOf(rows[0]), store.placeOf(rows[1]), store.placeOf(rows[2])],
            };
            store.filter('-rule:token-expired');
            const clean = store.shownSize;
            store.add([row(6, 'Q', 'id3', 'app', 401, 'token-expired'), row(7, 'S', null, 'edge', 200, 'ok'), row(8, 'S', 'id7', 'app', 401, 'token-expired')]);
            result.turned = [clean, store.shownSize];
            store.filter('tap:app');
            store.forgetBefore(3);
            result.left = [store.size, store.shownSize, [...store.counts.rule.of]];
            store.forgetBefore(9);
            result.empty = [store.size, store.shownSize, ...Object.values(store.counts).map((counts) => counts.of.size)];
            return result;
        })()",
    );
    assert_eq!(
        found,
        json!({
            "before": 1, "after": 2, "taps": ["edge", "edge", "edge"], "inner": [[["app", 2]], [["app", 4]], []],
            "seq": [1, 3, 5], "found": [true, true, true], "status": [["401", 1], ["200", 2]], "rules": [["token-expired", 1]],
            "uses": 1, "places": [1, 0, -1], "turned": [2, 1], "left": [3, 2, [["token-expired", 2]]], "empty": [0, 0, 0, 0, 0, 0],
        })
    );
}

#[test]
fn when_secrets_are_masked_again_the_page_forgets_them() {
    let backend = orders().may_be_unused();
    // It takes its time to start, which counts for nothing here.
    let mut browser = Browser::start(1280, 800);
    let tap = Tap::start_with(&backend.url(), &["--inspect=:0", "--show-secrets=8s"]);
    get(
        &tap,
        &format!("/v1/orders/1?token={WRONG_BEARER_TOKEN}"),
        &[&format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")],
    );
    browser.go(&link(&tap));
    browser.wait("document.querySelector('#banner')?.innerText.includes('SECRETS ARE SHOWN')");
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 1");
    browser.eval("document.querySelector('.row').click()");
    browser.wait(&format!("document.querySelector('#detail').innerText.includes('{WRONG_BEARER_TOKEN}')"));
    // Nothing that is held still outlives it.
    browser.press("p");
    browser.wait("document.querySelector('#banner').hidden");
    browser.press("p");
    get(&tap, "/v1/orders/2", &[&format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")]);
    browser.wait("document.querySelector('.row')?.innerText.includes('/v1/orders/2')");
    assert!(
        browser.eval("document.querySelector('#detail').hidden && location.hash === '#/exchanges'").as_bool().unwrap()
    );
    assert_no_secret(&browser.text("document.documentElement.outerHTML"));
    let kept = browser.text(
        "(async () => { const { state, store } = await import('/state.js'); 
            return JSON.stringify([state, [...store.all()], [...store.byPath]], (_, value) => value instanceof Map ? [...value] : value); })()",
    );
    assert_no_secret(&kept);
    assert!(kept.contains("/v1/orders/2"), "{kept}");
    // A report says so as well.
    browser.eval("document.querySelector('.row').click()");
    browser.wait("document.querySelector('#detail .finding')");
    let report = browser.text("(async () => (await import('/copy.js')).report([{ id: '1', time: 'x', tap: 'tap', upstream: { url: 'a' }, outcome: 'complete', request: { method: 'GET', target: '/', version: 'HTTP/1.1', headers: [] }, response: null }], []))()");
    assert!(report.contains("secrets are masked") && !report.contains("IN THE CLEAR"), "{report}");
    browser.assert_no_complaint();
}

/// The command for curl of a request that named no host.
fn command_for(browser: &mut Browser, tap: &str, upstream: &str) -> String {
    let record = json!({
        "tap": tap, "request": { "method": "GET", "target": "/a", "version": "HTTP/1.0", "authority": null, "body_bytes": 0, "headers": [] },
        "client": { "tls": null }, "upstream": { "url": upstream },
    });
    let command = browser.text(&format!("(async () => (await import('/copy.js')).curl({record}))()"));
    command.trim_start_matches("curl -i --globoff --path-as-is --proto '=http,https' ").trim_end().to_owned()
}

#[test]
fn a_tap_that_listens_on_a_socket_is_asked_by_its_socket() {
    let origin = orders();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tap.sock").to_str().unwrap().to_owned();
    let tap = Tap::run(&INSPECT, &[&format!("unix:{path}={}", origin.url())]);
    let mut browser = open(&tap);
    browser.wait("document.querySelector('#empty').innerText.includes('Point your client at')");
    let empty = browser.text("document.querySelector('#empty').innerText");
    assert!(empty.contains(&format!("$TOKEN\" --unix-socket {path} http://localhost/")), "{empty}");
    common::curl(&["--unix-socket", &path, "http://shop.example/v1/orders"]);
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 1");
    browser.eval("document.querySelector('.row').click()");
    browser.wait("document.querySelector('#detail .heads')");
    let record = tap.record();
    let command = browser.text(&format!("(async () => (await import('/copy.js')).curl({record}))()"));
    assert!(command.contains(&format!("--unix-socket '{path}' --url 'http://shop.example/v1/orders'")), "{command}");
    for (upstream, host) in [
        ("unix:/run/app.sock", "localhost"),
        ("h2c://unix:/run/app.sock", "localhost"),
        ("", "localhost"),
        ("http://app:3000", "app:3000"),
        ("h2c://app:3000", "app:3000"),
    ] {
        let expected = format!("--unix-socket '{path}' --url 'http://{host}/a'");
        assert_eq!(command_for(&mut browser, "tap", upstream), expected, "{upstream}");
    }
    browser.assert_no_complaint();
}

#[test]
fn a_tap_of_redirected_connections_is_nothing_to_point_at() {
    let tap = Tap::run(&["--inspect=:0", "--transparent"], &["127.0.0.1:0"]);
    let port = tap.addr().port();
    let mut browser = open(&tap);
    browser.wait("document.querySelector('#empty').innerText.includes('Nothing has passed yet')");
    let empty = browser.text("document.querySelector('#empty').innerText");
    assert!(empty.contains(&format!("authtap redirect PORT --to {port}")), "{empty}");
    assert!(!empty.contains("Point your client"), "{empty}");
    let taps = browser.text("document.querySelector('#taps').innerText");
    assert_eq!(taps, format!("redirected connections → http://127.0.0.1:{port} → where they were going"));
    assert_eq!(command_for(&mut browser, "tap", "http://192.0.2.1:80"), "--url 'http://192.0.2.1:80/a'");
    assert_eq!(command_for(&mut browser, "tap", ""), format!("--url 'http://127.0.0.1:{port}/a'"));
    browser.assert_no_complaint();
}

#[test]
fn the_page_keeps_no_more_than_it_may() {
    let backend = orders().may_be_unused();
    let tap = Tap::start_with(&backend.url(), &INSPECT);
    let mut browser = open(&tap);
    let kept = browser.eval(
        "(async () => {
            const { Store } = await import('/store.js');
            const row = (seq, path, parent, size) => [seq, 'id' + seq, path, parent, 1000 * seq, 'tap', 'GET', '/' + 'x'.repeat(size), 200, 'ok', '', '', [], '10.0.0.1', [], 1, 'complete'];
            const many = new Store(10);
            for (let seq = 1; seq <= 25; seq += 1) many.add([row(seq, 'P' + seq, null, 1)]);
            const large = new Store(1000, 100000);
            let most = 0;
            for (let seq = 1; seq <= 200; seq += 1) {
                large.add([row(2 * seq, 'P' + seq, null, seq % 50 === 0 ? 20000 : 1000), row(2 * seq + 1, 'P' + seq, 'id' + 2 * seq, 1000)]);
                most = Math.max(most, large.signs);
            }
            const size = large.size;
            // One that is larger than all is there alone.
            large.add([row(500, 'Q', null, 200000)]);
            const alone = [large.size, [...large.all()][0].seq];
            large.forgetBefore(501);
            return { many: [...many.all()].map((one) => one.seq), most, size, alone, left: [large.size, large.signs] };
        })()",
    );
    assert_eq!(kept["many"], json!((16..=25).collect::<Vec<u64>>()));
    let (most, size) = (kept["most"].as_u64().unwrap(), kept["size"].as_u64().unwrap());
    assert!(most <= 100_000 && most > 80_000 && (5..20).contains(&size), "{kept}");
    assert_eq!((&kept["alone"], &kept["left"]), (&json!([1, 500]), &json!([0, 0])), "{kept}");
}

#[test]
fn after_a_restart_it_asks_for_the_new_link() {
    let backend = orders().may_be_unused();
    let port = ReservedPort::new();
    let inspect = format!("--inspect={}", port.addr());
    let tap = Tap::start_with(&backend.url(), &[&inspect]);
    get(&tap, "/v1/orders/1", &[]);
    let mut browser = open(&tap);
    browser.wait("document.querySelector('#count').innerText === '1 request'");
    tap.stop();
    browser.wait("document.querySelector('.status.lost')");
    let tap = Tap::start_with(&backend.url(), &[&inspect]);
    get(&tap, "/v1/orders/2", &[]);
    browser.wait("!document.querySelector('#gate').hidden");
    browser.eval(&format!("document.querySelector('#gate-token').value = {}", json!(link(&tap))));
    browser.eval("document.querySelector('#gate-form button').click()");
    browser.wait(
        "document.querySelector('#gate').hidden && document.querySelector('.row')?.innerText.includes('/v1/orders/2')",
    );
    assert_eq!(browser.text("document.querySelector('#count').innerText"), "1 request");
}
