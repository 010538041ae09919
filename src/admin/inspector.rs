//! The inspector page and what it asks for. What it answers from is handed in; it knows nothing of records but their numbers.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::{HeaderValue, Method, StatusCode, header};
use hyper::{HeaderMap, Request, Response, body::Incoming};
use tokio::sync::{Semaphore, watch};

use super::guard::{Guard, Refusal};
use super::listener::{Room, Standing};
use super::{listener, page};

/// Connections that are served at once. Those that have not shown the token leave after some seconds: they can hold its
/// owner up for that long at most.
pub const CONNECTIONS: usize = 256;

/// Requests that may wait for news at once; others are answered at once, with no news.
const WAITING: usize = 16;

/// Answers that are made of records at once; the others wait for their turn.
const READING: usize = 4;

/// The longest that a request waits for news, in seconds.
const PATIENCE: u64 = 25;

/// Stretches of numbers that may be asked for at once.
const STRETCHES: usize = 1_000;

/// Media types of the answers.
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// Nothing may be loaded or run but what comes from here, nobody may frame it, and no text may become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

const FIELDS: [(&str, &str); 8] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), clipboard-write=(self)"),
];

/// Numbers of records, from the first to the last of each pair.
pub type Numbers = [(u64, u64)];

/// What the page is answered from.
pub struct Source {
    /// What does not change while the program runs, as JSON.
    pub about: Bytes,
    /// The rules with their texts, as JSON.
    pub rules: Bytes,
    /// The records.
    pub kept: Box<dyn Kept>,
}

/// Records that are kept. Nothing of it may wait for long.
pub trait Kept: Send + Sync {
    /// The short rows of the records behind a number, and what is held in all, as JSON.
    fn rows(&self, after: u64) -> Vec<u8>;

    /// The records of these numbers, one a line, behind a line that says how far they go.
    fn records(&self, numbers: &Numbers) -> Vec<u8>;

    /// The same as entries of an HTTP Archive.
    fn entries(&self, numbers: &Numbers) -> Vec<u8>;
}

/// What those who wait for news wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The number of the latest record.
    pub latest: u64,
    /// Whether secrets are in the clear in what is kept.
    pub shows_secrets: bool,
}

/// Serves the page.
pub struct Inspector {
    source: Arc<Source>,
    guard: Guard,
    news: watch::Receiver<News>,
    waiting: Semaphore,
    reading: Arc<Semaphore>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    About,
    Rules,
    /// Rows behind a number, how many seconds it waits for some, and whether it knows secrets to be shown.
    Rows(u64, u64, Option<bool>),
    Records(Vec<(u64, u64)>),
    Entries(Vec<(u64, u64)>),
}

impl Inspector {
    /// An inspector that answers those who have the token, and hears in `news` that records came.
    pub fn new(source: Source, token: &str, news: watch::Receiver<News>) -> Arc<Self> {
        Arc::new(Inspector {
            source: Arc::new(source),
            guard: Guard::new(token),
            news,
            waiting: Semaphore::new(WAITING),
            reading: Arc::new(Semaphore::new(READING)),
        })
    }

    /// Answers until it is dropped.
    pub async fn serve(self: Arc<Self>, listener: StdListener) {
        let room = Room { places: CONNECTIONS, needs_proof: true };
        listener::serve("the inspector", listener, room, move |request, local| {
            let inspector = self.clone();
            async move { inspector.answer(&request, local).await }
        })
        .await;
    }

    async fn answer(&self, request: &Request<Incoming>, local: SocketAddr) -> Response<Full<Bytes>> {
        let (status, kind, text) = match self.said(request, local).await {
            Ok((kind, text)) => (StatusCode::OK, kind, text),
            Err((status, why)) => (status, PLAIN, Bytes::from_static(why.as_bytes())),
        };
        let mut response = Response::new(Full::new(text));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        for (name, value) in FIELDS {
            fields.insert(name, HeaderValue::from_static(value));
        }
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        match status {
            StatusCode::UNAUTHORIZED => {
                fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"authtap inspector\""));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                fields.insert(header::ALLOW, HeaderValue::from_static("GET"));
            }
            _ => {}
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED) {
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn said(
        &self,
        request: &Request<Incoming>,
        local: SocketAddr,
    ) -> Result<(&'static str, Bytes), (StatusCode, &'static str)> {
        let fields: &HeaderMap = request.headers();
        Guard::check_site(fields, local).map_err(refused)?;
        if request.method() != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
        }
        let path = request.uri().path();
        if let Some((kind, text)) = page::file(path) {
            return Ok((kind, Bytes::from_static(text.as_bytes())));
        }
        let Some(name) = path.strip_prefix("/api/") else {
            return Err((StatusCode::NOT_FOUND, "there is no such page\n"));
        };
        self.guard.check_token(fields).map_err(refused)?;
        if let Some(standing) = request.extensions().get::<Standing>() {
            standing.prove();
        }
        let asked = asked(name, request.uri().query().unwrap_or_default());
        match asked.ok_or((StatusCode::BAD_REQUEST, "this is not understood\n"))? {
            Asked::About => Ok((JSON, self.source.about.clone())),
            Asked::Rules => Ok((JSON, self.source.rules.clone())),
            Asked::Rows(after, patience, known) => {
                self.wait_for_news(after, patience, known).await;
                self.read(JSON, move |source| source.kept.rows(after)).await
            }
            Asked::Records(numbers) => self.read(LINES, move |source| source.kept.records(&numbers)).await,
            Asked::Entries(numbers) => self.read(LINES, move |source| source.kept.entries(&numbers)).await,
        }
    }

    /// Waits until there are records behind that number, or secrets are not shown as the page knows it, or for so many
    /// seconds.
    async fn wait_for_news(&self, after: u64, patience: u64, known: Option<bool>) {
        let mut news = self.news.clone();
        let Ok(_place) = self.waiting.try_acquire() else { return };
        let is_new = |news: &News| news.latest > after || known.is_some_and(|known| known != news.shows_secrets);
        let news = news.wait_for(is_new);
        // What it waits for may never come.
        let _ = tokio::time::timeout(Duration::from_secs(patience.min(PATIENCE)), news).await;
    }

    /// Reads beside the thread that serves, which has signals and health to look after.
    async fn read(
        &self,
        kind: &'static str,
        read: impl FnOnce(&Source) -> Vec<u8> + Send + 'static,
    ) -> Result<(&'static str, Bytes), (StatusCode, &'static str)> {
        let broken = (StatusCode::INTERNAL_SERVER_ERROR, "this could not be read\n");
        let turn = self.reading.clone().acquire_owned().await.map_err(|_| broken)?;
        let source = self.source.clone();
        // Who leaves ends this future but not the reading, which keeps its turn until it is done.
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&source)
        });
        let text = reading.await.map_err(|_| broken)?;
        Ok((kind, text.into()))
    }
}

fn refused(why: Refusal) -> (StatusCode, &'static str) {
    match why {
        Refusal::Host => (StatusCode::FORBIDDEN, "this host is not served here: use the link that authtap printed\n"),
        Refusal::Origin => (StatusCode::FORBIDDEN, "pages of other sites are not answered\n"),
        Refusal::Token => (StatusCode::UNAUTHORIZED, "this needs the token of the link that authtap printed\n"),
    }
}

fn asked(name: &str, query: &str) -> Option<Asked> {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    let number = |name: &str| value(name).map_or(Some(0), |text| text.parse().ok());
    match name {
        "about" => Some(Asked::About),
        "rules" => Some(Asked::Rules),
        "rows" => {
            let known = value("secrets").map(str::parse).transpose().ok()?;
            Some(Asked::Rows(number("after")?, number("wait")?, known))
        }
        "records" => Some(Asked::Records(numbers(value("in")?)?)),
        "entries" => Some(Asked::Entries(numbers(value("in")?)?)),
        _ => None,
    }
}

/// Reads `1-3,8`.
fn numbers(text: &str) -> Option<Vec<(u64, u64)>> {
    let stretch = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some((first, last))
    };
    let found = text.split(',').take(STRETCHES + 1).map(stretch).collect::<Option<Vec<_>>>()?;
    (found.len() <= STRETCHES).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Records whose reading takes until it is let go on.
    struct Slow {
        begun: AtomicUsize,
        gate: Mutex<()>,
    }

    impl Kept for Arc<Slow> {
        fn rows(&self, _: u64) -> Vec<u8> {
            self.begun.fetch_add(1, Ordering::SeqCst);
            drop(self.gate.lock());
            Vec::new()
        }

        fn records(&self, _: &Numbers) -> Vec<u8> {
            Vec::new()
        }

        fn entries(&self, _: &Numbers) -> Vec<u8> {
            Vec::new()
        }
    }

    #[test]
    fn a_reading_that_nobody_waits_for_any_more_keeps_its_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let slow = Arc::new(Slow { begun: AtomicUsize::new(0), gate: Mutex::new(()) });
        let source = Source { about: Bytes::new(), rules: Bytes::new(), kept: Box::new(slow.clone()) };
        let (_grown, news) = watch::channel(News { latest: 0, shows_secrets: false });
        let inspector = Inspector::new(source, "token", news);
        let held = slow.gate.lock().unwrap();
        runtime.block_on(async {
            for _ in 0..3 * READING {
                let asking = inspector.clone();
                let asking = tokio::spawn(async move { asking.read(JSON, |source| source.kept.rows(0)).await });
                tokio::task::yield_now().await;
                asking.abort();
                assert!(asking.await.is_err(), "it was answered before it could be");
            }
            assert_eq!(inspector.reading.available_permits(), 0);
        });
        assert!(slow.begun.load(Ordering::SeqCst) <= READING);
        drop(held);
        runtime.block_on(async {
            let last = inspector.read(JSON, |source| source.kept.rows(0)).await;
            assert!(last.is_ok());
            let all = u32::try_from(READING).unwrap();
            assert!(inspector.reading.acquire_many(all).await.is_ok());
        });
        assert_eq!(slow.begun.load(Ordering::SeqCst), READING + 1);
    }

    #[test]
    fn what_is_asked_for_is_read() {
        assert_eq!(asked("rows", "after=7&wait=20"), Some(Asked::Rows(7, 20, None)));
        assert_eq!(asked("rows", "after=7&secrets=true"), Some(Asked::Rows(7, 0, Some(true))));
        assert_eq!(asked("rows", ""), Some(Asked::Rows(0, 0, None)));
        assert_eq!(asked("records", "in=1-3,8"), Some(Asked::Records(vec![(1, 3), (8, 8)])));
        assert_eq!(asked("entries", "in=5"), Some(Asked::Entries(vec![(5, 5)])));
        for (name, query) in [
            ("rows", "after=x"),
            ("rows", "after=-1"),
            ("rows", "secrets=1"),
            ("records", ""),
            ("records", "in=3-1"),
            ("records", "in="),
            ("x", ""),
        ] {
            assert_eq!(asked(name, query), None, "{name}?{query}");
        }
        assert_eq!(numbers(&"1,".repeat(STRETCHES + 5)), None);
    }
}
