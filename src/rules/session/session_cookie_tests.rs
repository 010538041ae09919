use super::*;
use crate::auth::FingerprintKey;
use crate::exchange::redact::Redactor;
use crate::exchange::transcript;

/// Whether the rule speaks of the last exchange.
fn fires(text: &str) -> bool {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"session"), []);
    let exchanges = transcript::parse(text).unwrap();
    let mut memory = Memory::default();
    let (last, before) = exchanges.split_last().unwrap();
    for exchange in before {
        memory.learn(&View::new(exchange, &redactor));
    }
    !check(&View::new(last, &redactor), &memory).is_empty()
}

const COOKIE: &str = "session=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly";

#[test]
fn the_attributes_say_whether_it_should_come_back() {
    for (cookie, expected) in [
        (COOKIE, true),
        ("session=a1b2", false),
        ("session=a1b2; HttpOnly; Path=/", true),
        ("SESSION=a1b2; Path=/api", true),
        ("session=a1b2; Path=/api/", true),
        ("session=a1b2; Path=/api/orders", true),
        ("session=a1b2; Path=/ap", false),
        ("session=a1b2; Path=/api/orders/", false),
        ("session=a1b2; Path=/admin; Path=/", true),
        ("session=a1b2; Path=/; Domain=shop.example", true),
        ("session=a1b2; Path=/; Domain=.SHOP.example", true),
        ("session=a1b2; Path=/; Domain=example", false),
        ("session=a1b2; Path=/; Domain=other.example", false),
        ("session=a1b2; Path=/; Domain=hop.example", false),
        ("session=a1b2; Path=/; Max-Age=3600", true),
        ("session=a1b2; Path=/; Max-Age=0", false),
        ("session=a1b2; Path=/; Expires=Tue, 24 Nov 2026 12:00:00 GMT", false),
        ("session=a1b2; Path=/; Expires=Tue, 24 Nov 2026 13:00:00 GMT", true),
        ("session=a1b2; Path=/; Expires=Tue, 24 Nov 2020 12:00:00 GMT; Max-Age=60", true),
        ("session=a1b2; Path=/; Expires=tomorrow", false),
        ("session=a1b2; Path=/; SameSite=None", false),
        ("__Host-session=a1b2; Path=/", false),
        ("__Host-session=a1b2; Path=/; Secure", true),
        ("session=; Path=/", false),
        ("csrf_session=a1b2; Path=/; HttpOnly", false),
        ("theme=dark; Path=/", false),
        ("id=a1b2; Path=/; HttpOnly", true),
    ] {
        let text = LOGIN.replace("POST /login", "POST /auth/login").replace(COOKIE, cookie);
        assert_eq!(fires(&text), expected, "{cookie}");
    }
    let large = format!("session={}; Path=/", "a".repeat(5000));
    assert!(!fires(&LOGIN.replace(COOKIE, &large)));
    assert!(!fires(&LOGIN.replace("* client tls\n", "")));
    let plain = LOGIN.replace("* client tls\n", "").replace("; Secure", "");
    assert!(fires(&plain));
}

#[test]
fn who_asks_and_how_matters() {
    let second = |fields: &str| LOGIN.replace("> Accept: application/json\n<", &format!("{fields}\n<"));
    for (fields, expected) in [
        ("> Cookie: theme=dark", true),
        ("> Cookie: theme=dark; session=a1b2", false),
        ("> Cookie: theme=dark\n> Cookie: session=a1b2", false),
        ("> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA", false),
        ("> Via: 1.1 edge", false),
        ("> X-Forwarded-For: 192.0.2.1", false),
        ("> Sec-Fetch-Site: cross-site\n> Sec-Fetch-Mode: cors\n> Sec-Fetch-Dest: empty", false),
        ("> Sec-Fetch-Site: cross-site\n> Sec-Fetch-Mode: navigate\n> Sec-Fetch-Dest: document", true),
        ("> Sec-Fetch-Site: cross-site\n> Sec-Fetch-Mode: navigate\n> Sec-Fetch-Dest: iframe", false),
        ("> Sec-Fetch-Site: same-site\n> Sec-Fetch-Mode: cors\n> Sec-Fetch-Dest: empty", true),
        ("> Sec-Fetch-Site: same-site\n> Sec-Fetch-Mode: cors\n> Sec-Fetch-Dest: font", false),
        ("> Sec-Fetch-Site: same-origin\n> Sec-Fetch-Mode: cors\n> Sec-Fetch-Dest: manifest", false),
        ("> Origin: https://shop.example", true),
        ("> Origin: https://other.example", false),
        ("> X-Nothing: a", true),
    ] {
        assert_eq!(fires(&second(fields)), expected, "{fields}");
    }
    assert!(!fires(&LOGIN.replace("> User-Agent: Mozilla/5.0\n", "")));
    assert!(!fires(&LOGIN.replace("Mozilla/5.0", "curl/8.7.1")));
    // Who returns some cookie keeps cookies, whatever it is called.
    let jar = LOGIN.replace("Mozilla/5.0", "curl/8.7.1").replace("> Content-Type", "> Cookie: lang=de\n> Content-Type");
    assert!(fires(&jar));
}

#[test]
fn what_is_no_login_or_failed_sets_nothing_to_be_missed() {
    assert!(fires(LOGIN));
    assert!(!fires(&LOGIN.replace("POST /login", "GET /login")));
    assert!(!fires(&LOGIN.replace("POST /login", "POST /cart")));
    assert!(!fires(&LOGIN.replace("< Content-Type: application/json", "< Content-Type: text/html")));
    let sent_to = |location: &str| LOGIN.replace("200 OK", &format!("302 Found\n< Location: {location}"));
    assert!(fires(&sent_to("/")));
    assert!(!fires(&sent_to("/login?error=1")));
    assert!(!fires(&sent_to("/?login_error")));
    assert!(!fires(&LOGIN.replace("401 Unauthorized", "200 OK")));
    assert!(!fires(&LOGIN.replace("401 Unauthorized", "404 Not Found")));
    assert!(!fires(&CALLBACK.replace("Location: https://login.example/authorize?client_id=app", "Location: /home")));
}

#[test]
fn what_came_between_ends_it() {
    let (login, next) = LOGIN.split_once("> GET").unwrap();
    let between = |more: &str| fires(&format!("{login}{more}> GET{next}"));
    let request = |line: &str, fields: &str, answer: &str| {
        format!(
            "> {line} HTTP/1.1\n> Host: shop.example\n> User-Agent: Mozilla/5.0\n{fields}< HTTP/1.1 200 OK\n{answer}"
        )
    };
    assert!(between(&request("GET /style.css", "", "")));
    assert!(!between(&request("GET /", "> Cookie: session=kX81mQ02pLz7Rt55\n", "")));
    assert!(!between(&request("GET /", "", "< Set-Cookie: session=; Max-Age=0; Path=/\n")));
    assert!(!between(&request("POST /logout", "", "")));
    assert!(!between(&request("GET /", "", "< Clear-Site-Data: \"cookies\"\n")));
    assert!(!between("* later 11m\n"));
    assert!(!between("* new connection\n"));
}

#[test]
fn requests_that_are_on_their_way_together_know_nothing_of_each_other() {
    let at_once = LOGIN
        .replace("> POST", "* time 2026-11-24T12:00:00Z\n> POST")
        .replace("> GET", "* time 2026-11-24T12:00:00Z\n> GET");
    assert!(!fires(&at_once));
    let http2 = at_once.replace(" HTTP/1.1\n> Host: shop.example", " HTTP/2\n> :authority: shop.example");
    assert!(!fires(&http2));
    assert!(fires(&http2.replace("12:00:00Z\n> GET", "12:00:02Z\n> GET")));
    assert!(!fires(&http2.replace("12:00:00Z\n> GET", "12:00:00.500Z\n> GET")));
    // The redirect of the login has to have come before it is followed.
    let followed = CALLBACK
        .replace(" HTTP/1.1\n> Host: app.example", " HTTP/2\n> :authority: app.example")
        .replace("> GET / ", "* time 2026-11-24T12:00:00.5Z\n> GET / ")
        .replace("* client tls\n", "* client tls\n* time 2026-11-24T12:00:00Z\n");
    assert!(fires(&followed));
}

#[test]
fn a_client_without_cookies_is_told_by_three_new_sessions() {
    assert!(fires(EACH_TIME));
    let (_, later) = EACH_TIME.split_once("> POST /cart").unwrap();
    assert!(!fires(&format!("* client tls\n> POST /cart{later}")));
    assert!(!fires(&EACH_TIME.replace("> Sec-Fetch-Mode: cors\n", "> User-Agent: Mozilla/5.0\n")));
    let returned = EACH_TIME.replace("POST /order HTTP/1.1\n", "POST /order HTTP/1.1\n> Cookie: JSESSIONID=b\n");
    assert!(!fires(&returned));
}
