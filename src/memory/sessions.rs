//! Session cookies that were set and did not come back yet.
//!
//! It takes a client for one only on one connection that no gateway shares among several: an address with a User-Agent may
//! be a whole office, and of two colleagues one is logged in and the other one is not.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::bounces::{cookie_name, is_taken_back};
use super::hashes::Hashes;
use super::table::{Bounded, Table};
use super::{Fingerprint, fingerprint};
use crate::exchange::View;
use crate::exchange::dates::parse_http_date;
use crate::exchange::view::path_of;

/// Entries of the table.
const ENTRIES: usize = 4096;
/// Cookies that are kept of one answer, and lines of it that are read.
const COOKIES: usize = 4;
const LINES: usize = 32;
/// Browsers store no larger one.
const COOKIE_SIZE: usize = 4096;
/// Parts of a path within which a cookie's Path is looked for.
const PARTS: usize = 32;
/// What was set longer ago may have been deleted with good reason.
const RECENT: SignedDuration = SignedDuration::from_mins(10);
/// Over HTTP/2 a request may be on its way while the answer to another one is.
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(1);
/// So often a session cookie was set in vain before somebody is taken for a client that does not return it.
const TIMES: u32 = 2;

/// Session cookies that this exchange's request should have and has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReturned {
    /// When the request came that was answered with them.
    pub set: Timestamp,
    /// The status of that answer.
    pub status: u16,
    /// Whether that was a login.
    pub is_login: bool,
    /// How many answers in a row set such a cookie.
    pub times: u32,
    /// Whether this exchange's answer sets it once more.
    pub is_set_again: bool,
    /// The SameSite of the first of them.
    pub same_site: Option<SameSite>,
    /// Whether it is Secure.
    pub is_secure: bool,
    /// Whether it has a Domain.
    pub has_domain: bool,
}

/// What a cookie says about requests that another site starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Sent with all.
    None,
    /// Sent where a page of that other site leads here.
    Lax,
    /// Sent with none.
    Strict,
}

#[derive(Clone)]
struct Cookie {
    name: Fingerprint,
    path: u64,
    expires: Option<Timestamp>,
    is_secure: bool,
    has_domain: bool,
    same_site: Option<SameSite>,
}

#[derive(Clone)]
struct Session {
    cookies: Vec<Cookie>,
    set: Timestamp,
    /// When the last answer that set them was over.
    ended: Timestamp,
    connection: u64,
    status: u16,
    is_login: bool,
    times: u32,
    /// Whether the client had some other cookie.
    had_cookie: bool,
    /// The path to which the answer led.
    leads: Option<u64>,
}

/// All of them: bounded like all that is remembered.
pub(super) struct Sessions {
    sessions: Table<u64, Option<Session>>,
    hashes: Hashes,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { sessions: Table::new(ENTRIES), hashes: Hashes::default() }
    }
}

impl Sessions {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.sessions]
    }

    /// The session cookies that were set on this exchange's connection and that its request should have.
    pub(super) fn not_returned(&self, view: &View<'_>) -> Option<NotReturned> {
        if view.request().is_cut() || view.is_preflight() || is_shared(view) {
            return None;
        }
        let session = self.sessions.get(&self.key(view)?)?.as_ref()?;
        let is_recent = view.exchange().time.duration_since(session.ended) <= RECENT;
        if !is_recent || !self.knew(view, session) || !is_browser(view, session) || has_any(view, &session.cookies) {
            return None;
        }
        let cookie = session.cookies.iter().find(|cookie| self.fits(view, cookie))?;
        let set_now = self.set_by(view);
        let is_set_again = set_now.iter().any(|new| new.name == cookie.name);
        if !session.is_login && (session.times < TIMES || !is_set_again) {
            return None;
        }
        Some(NotReturned {
            set: session.set,
            status: session.status,
            is_login: session.is_login,
            times: session.times,
            is_set_again,
            same_site: cookie.same_site,
            is_secure: cookie.is_secure,
            has_domain: cookie.has_domain,
        })
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        if is_shared(view) || view.is_preflight() {
            return;
        }
        let Some(response) = view.response() else { return };
        if self.sessions.is_empty() && !response.head.has("set-cookie") {
            return;
        }
        let Some(key) = self.key(view) else { return };
        let known = self.sessions.get(&key).cloned().flatten();
        let is_over = known.as_ref().is_some_and(|session| {
            has_any(view, &session.cookies)
                || view.request().is_cut()
                || response.head.is_cut()
                || is_taking_back(view, &session.cookies)
        });
        let is_cleared = is_logout(view) || response.head.has("clear-site-data");
        if known.is_some() && (is_over || is_cleared) {
            self.sessions.set(key, None);
        }
        if is_cleared || response.head.is_cut() || view.request().is_cut() || response.status >= 500 {
            return;
        }
        let cookies = self.set_by(view);
        if cookies.is_empty() {
            return;
        }
        let exchange = view.exchange();
        let known = known.filter(|_| !is_over);
        let ended = exchange.time.checked_add(exchange.timing.total).unwrap_or(exchange.time);
        let before = known.as_ref().filter(|session| {
            let shares = session.cookies.iter().any(|old| cookies.iter().any(|new| new.name == old.name));
            shares && self.knew(view, session) && exchange.time.duration_since(session.ended) <= RECENT
        });
        let times = before.map_or(1, |session| session.times.saturating_add(1));
        let is_login = is_login(view);
        let session = match (known.as_ref(), before) {
            // The login is what counts, and what came behind it tells how it went on.
            (_, Some(before)) if before.is_login && !is_login => Session { times, cookies, ended, ..before.clone() },
            (Some(other), None) if other.is_login && !is_login => return,
            _ => Session {
                cookies,
                set: before.filter(|_| !is_login).map_or(exchange.time, |session| session.set),
                ended,
                connection: exchange.client.connection,
                status: response.status,
                is_login,
                times,
                had_cookie: view.request().has("cookie"),
                leads: response.head.value("location").map(|location| self.hashes.of_text(path_of(location))),
            },
        };
        self.sessions.set(key, Some(session));
    }

    /// One client at one host.
    fn key(&self, view: &View<'_>) -> Option<u64> {
        Some(self.hashes.of((&view.exchange().tap.name, view.client(), self.hashes.of_text(host(view)?.as_bytes()))))
    }

    /// Whether the client had the cookies when it sent this request.
    fn knew(&self, view: &View<'_>, session: &Session) -> bool {
        let exchange = view.exchange();
        let since = exchange.time.duration_since(session.ended);
        let follows = || session.leads == Some(self.hashes.of_text(view.path()));
        let is_behind = since >= KNOWN_AFTER || (since >= SignedDuration::ZERO && (!view.is_http2() || follows()));
        exchange.client.connection == session.connection && is_behind
    }

    /// Whether a browser sends this cookie with this request, if it has stored it.
    fn fits(&self, view: &View<'_>, cookie: &Cookie) -> bool {
        let exchange = view.exchange();
        let is_alive = cookie.expires.is_none_or(|expires| expires > exchange.time);
        let is_safe = !cookie.is_secure || exchange.client.tls.is_some();
        is_alive && is_safe && self.is_path_within(view.path(), cookie.path) && is_for_this_site(view, cookie)
    }

    /// Whether the path matches that of a cookie (RFC 6265 5.1.4): it is the same, or begins with it at a slash.
    fn is_path_within(&self, path: &[u8], cookie: u64) -> bool {
        let is_it = |end: usize| path.get(..end).is_some_and(|start| self.hashes.of_text(start) == cookie);
        let slashes = memchr::memchr_iter(b'/', path).take(PARTS);
        is_it(path.len()) || slashes.into_iter().any(|slash| is_it(slash) || is_it(slash + 1))
    }

    /// The session cookies that the answer of this exchange sets, and that a browser stores.
    fn set_by(&self, view: &View<'_>) -> Vec<Cookie> {
        let mut cookies: Vec<Cookie> = Vec::new();
        let Some(response) = view.response() else { return cookies };
        for line in response.head.values("set-cookie").take(LINES) {
            let Some(name) = cookie_name(line) else { continue };
            let name = fingerprint(view, name);
            cookies.retain(|cookie| cookie.name != name);
            if is_taken_back(line) || cookies.len() >= COOKIES {
                continue;
            }
            cookies.extend(self.cookie(view, line, name));
        }
        cookies
    }

    fn cookie(&self, view: &View<'_>, line: &[u8], name: Fingerprint) -> Option<Cookie> {
        let text = std::str::from_utf8(line).ok().filter(|text| text.len() <= COOKIE_SIZE)?;
        let exchange = view.exchange();
        let is_secure = attribute(text, "secure").is_some();
        let same_site = match attribute(text, "samesite").map(str::to_ascii_lowercase).as_deref() {
            Some("none") => Some(SameSite::None),
            Some("lax") => Some(SameSite::Lax),
            Some("strict") => Some(SameSite::Strict),
            _ => None,
        };
        let domain = attribute(text, "domain").map(|domain| domain.trim_start_matches('.').to_ascii_lowercase());
        let domain = domain.filter(|domain| !domain.is_empty());
        let host = host(view)?;
        let path = attribute(text, "path").filter(|path| path.starts_with('/'));
        let lower = text.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_prefixed = lower.starts_with("__host-") && (!is_secure || domain.is_some() || path != Some("/"))
            || lower.starts_with("__secure-") && !is_secure;
        // What browsers do not store has a rule of its own.
        if is_prefixed
            || (same_site == Some(SameSite::None) && !is_secure)
            || (is_secure && exchange.client.tls.is_none())
            || domain.as_deref().is_some_and(|domain| !is_domain_of(&host, domain))
            || !is_session(&lower, attribute(text, "httponly").is_some())
        {
            return None;
        }
        let path = path.map_or_else(|| default_path(view.path()), str::as_bytes);
        Some(Cookie {
            name,
            path: self.hashes.of_text(path),
            expires: expires(text, exchange.time)?,
            is_secure,
            has_domain: domain.is_some(),
            same_site,
        })
    }
}

/// Whether a gateway stands before this tap, so that one connection may be many clients.
fn is_shared(view: &View<'_>) -> bool {
    const FIELDS: [&str; 6] =
        ["via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];
    let exchange = view.exchange();
    let is_inner = exchange.tap.position.index > 0 || exchange.path.parent.is_some() || exchange.path.before.is_some();
    is_inner || FIELDS.iter().any(|name| view.request().has(name))
}

/// Whether whoever asks keeps cookies: a browser does, and who returned one before.
fn is_browser(view: &View<'_>, session: &Session) -> bool {
    let request = view.request();
    let agent = request.value("user-agent").unwrap_or_default();
    let is_named = agent.starts_with(b"Mozilla/") && session.is_login;
    is_named || request.has("sec-fetch-mode") || request.has("cookie") || session.had_cookie
}

/// Whether the request has one of these cookies.
fn has_any(view: &View<'_>, cookies: &[Cookie]) -> bool {
    let mut sent = view.request().values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    sent.any(|pair| {
        let name = cookie_name(pair).map(|name| fingerprint(view, name));
        name.is_some_and(|name| cookies.iter().any(|cookie| cookie.name == name))
    })
}

/// Whether the answer takes one of these cookies away.
fn is_taking_back(view: &View<'_>, cookies: &[Cookie]) -> bool {
    let Some(response) = view.response() else { return false };
    let mut taken = response.head.values("set-cookie").filter(|line| is_taken_back(line)).filter_map(cookie_name);
    taken.any(|name| {
        let name = fingerprint(view, name);
        cookies.iter().any(|cookie| cookie.name == name)
    })
}

/// Whether the site that starts this request is one for which browsers send the cookie.
fn is_for_this_site(view: &View<'_>, cookie: &Cookie) -> bool {
    let request = view.request();
    let dest = request.value("sec-fetch-dest");
    let is_navigation = request.value("sec-fetch-mode") == Some(b"navigate");
    // The manifest of an application is fetched without cookies.
    if dest == Some(b"manifest") {
        return false;
    }
    match request.value("sec-fetch-site") {
        Some(b"cross-site") => {
            let is_page = is_navigation && view.method() == b"GET" && dest.is_none_or(|dest| dest == b"document");
            is_page && cookie.same_site != Some(SameSite::Strict)
        }
        Some(b"same-site") => is_navigation || dest == Some(b"empty"),
        Some(_) => true,
        None => request.value("origin").is_none_or(|origin| {
            let origin = String::from_utf8_lossy(origin).to_ascii_lowercase();
            origin
                .split_once("://")
                .is_some_and(|(_, authority)| Some(without_port(authority)) == host(view).as_deref())
        }),
    }
}

/// Whether the request logs somebody in, and the answer lets them in as far as one can tell.
fn is_login(view: &View<'_>) -> bool {
    const PAGES: [&str; 11] = [
        "login",
        "signin",
        "sign-in",
        "sign_in",
        "log-in",
        "logon",
        "authenticate",
        "session",
        "sessions",
        "callback",
        "acs",
    ];
    const SENT: [&[u8]; 5] = [b"password=", b"passwd=", b"pwd=", b"SAMLResponse=", b"id_token="];
    let Some(response) = view.response() else { return false };
    let is_page = |path: &[u8]| {
        let last = path.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty()).unwrap_or_default();
        PAGES.iter().any(|page| last.eq_ignore_ascii_case(page.as_bytes()))
    };
    let is_posted = || {
        let form = view.exchange().request.body.start.as_deref().unwrap_or_default();
        view.method() == b"POST"
            && (is_page(view.path()) || SENT.iter().any(|field| memchr::memmem::find(form, field).is_some()))
    };
    // The way back from a login elsewhere (RFC 6749 4.1.2).
    let is_way_back = || {
        let query = view.target().splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
        let has = |name: &[u8]| query.split(|byte| *byte == b'&').any(|pair| pair.starts_with(name));
        view.method() == b"GET" && has(b"code=") && has(b"state=")
    };
    let is_let_in = match response.status {
        // A form that comes again says under 200 that the password was wrong.
        200..=299 => {
            let kind = response.head.value("content-type").unwrap_or_default().to_ascii_lowercase();
            !kind.starts_with(b"text/html") && !kind.starts_with(b"application/xhtml")
        }
        301 | 302 | 303 | 307 | 308 => response.head.value("location").is_some_and(|location| {
            let path = path_of(location);
            let says_error = memchr::memmem::find(&location.to_ascii_lowercase(), b"error").is_some();
            !is_page(path) && !says_error && path != view.path()
        }),
        _ => false,
    };
    is_let_in && (is_posted() || is_way_back())
}

fn is_logout(view: &View<'_>) -> bool {
    const WORDS: [&[u8]; 5] = [b"logout", b"logoff", b"signout", b"sign-out", b"sign_out"];
    let path = view.path().to_ascii_lowercase();
    WORDS.iter().any(|word| memchr::memmem::find(&path, word).is_some())
}

/// Whether a cookie of that name, in lower case, is one of a session, and not one against forged requests or of a balancer.
fn is_session(name: &str, is_http_only: bool) -> bool {
    const OTHERS: [&str; 10] =
        ["csrf", "xsrf", "state", "nonce", "lang", "locale", "__cf", "awsalb", "bigipserver", "incap_"];
    const WORDS: [&str; 5] = ["sess", "auth", "login", "token", "jwt"];
    let is_named = name.ends_with("sid") || WORDS.iter().any(|word| name.contains(word));
    !OTHERS.iter().any(|other| name.contains(other)) && (is_named || is_http_only)
}

/// When a cookie ends: never by itself, at a time, or `None` where that can't be read.
fn expires(text: &str, now: Timestamp) -> Option<Option<Timestamp>> {
    if let Some(age) = attribute(text, "max-age") {
        let age: i64 = age.parse().ok()?;
        // What lasts longer than time does is as good as for ever.
        return Some(now.checked_add(SignedDuration::from_secs(age)).ok());
    }
    match attribute(text, "expires") {
        Some(date) => parse_http_date(date.as_bytes()).map(Some),
        None => Some(None),
    }
}

/// The last attribute of that name, which is the one that counts.
fn attribute<'c>(cookie: &'c str, name: &str) -> Option<&'c str> {
    let parts = cookie.split(';').skip(1).map(|part| part.split_once('=').unwrap_or((part, "")));
    parts.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name)).last().map(|(_, value)| value.trim())
}

/// The path of a cookie that names none (RFC 6265 5.1.4).
fn default_path(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(slash) if slash > 0 => path.get(..slash).unwrap_or(b"/"),
        _ => b"/",
    }
}

fn is_domain_of(host: &str, domain: &str) -> bool {
    let is_above = || domain.contains('.') && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    host == domain || (is_above() && host.parse::<IpAddr>().is_err())
}

fn host(view: &View<'_>) -> Option<String> {
    let authority = view.authority()?.to_ascii_lowercase();
    Some(without_port(&authority).to_owned())
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
