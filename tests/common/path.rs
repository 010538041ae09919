//! A gateway between two taps of one process: what both saw, what the hop changed, and what is said of it.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::canaries::{BEARER_TOKEN, assert_secret_absent};
use super::curl;
use super::gateway::changing;
use super::head::{Head, answer};
use super::origin::Origin;
use super::record::{findings, verdict};
use super::servers::Server;
use super::tap::Tap;

/// Whatever stands between the two taps.
pub trait Gateway {
    /// Its URL, for the outer tap to go to.
    fn upstream(&self) -> String;
}

impl Gateway for Server {
    fn upstream(&self) -> String {
        self.url("")
    }
}

impl Gateway for Origin {
    fn upstream(&self) -> String {
        self.url()
    }
}

/// A gateway whose URL begins with another scheme than `http`.
pub struct At<G>(pub &'static str, pub G);

impl<G: Gateway> Gateway for At<G> {
    fn upstream(&self) -> String {
        self.1.upstream().replacen("http", self.0, 1)
    }
}

/// A backend that takes one token, and asks for one otherwise.
pub fn orders() -> Origin {
    Origin::serve(|head| match head.get("authorization") {
        Some(value) if value == format!("Bearer {BEARER_TOKEN}") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
    })
}

/// A backend that speaks no HTTP/2, and says so to who tries it.
pub fn http1(answered: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Origin {
    Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            if head.method() == "PRI" {
                // Some have left by then.
                let _ = conn.try_write(&answer("400 Bad Request", &["Connection: close"], ""));
                let _ = conn.stream().shutdown(Shutdown::Write);
                conn.read_to_end();
                return;
            }
            conn.read_body(&head);
            conn.write(&answered(&head));
        }
    })
}

/// The header that it takes.
pub fn bearer() -> String {
    format!("Authorization: Bearer {BEARER_TOKEN}")
}

/// A backend that takes whatever comes.
pub fn fine() -> Origin {
    Origin::reply(answer("200 OK", &["Content-Type: text/plain"], "fine\n"))
}

/// The host for which requests are signed.
pub const SIGNED_HOST: &str = "bucket.example:9000";

/// The signature of a request to S3, which nobody verifies.
pub const SIGNATURE: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

/// The headers of a request to S3 that is signed for [`SIGNED_HOST`], with these fields covered beside the host.
pub fn signed(covered: &str) -> [String; 3] {
    [
        format!("Host: {SIGNED_HOST}"),
        "X-Amz-Date: 20261126T120000Z".to_owned(),
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261126/us-east-1/s3/aws4_request, \
             SignedHeaders=host;{covered}, Signature={SIGNATURE}"
        ),
    ]
}

/// A store that computes the signature over what arrived: it comes to another result where host or target are not those
/// of the client.
pub fn store(target: &'static str) -> Origin {
    Origin::serve(move |head| match (head.get("host"), head.target()) {
        (Some(host), arrived) if host == SIGNED_HOST && arrived == target => answer("200 OK", &[], "fine\n"),
        _ => answer(
            "403 Forbidden",
            &["Content-Type: application/xml"],
            "<Error><Code>SignatureDoesNotMatch</Code></Error>",
        ),
    })
}

/// A port that nobody else gets while this is there, and on which who shares it may listen.
pub struct ReservedPort(Socket);

impl ReservedPort {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Self(socket)
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    /// Who listens there. When it is dropped, nobody does, and nobody else can.
    pub fn listen(&self) -> TcpListener {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&self.addr().into()).unwrap();
        socket.listen(128).unwrap();
        socket.into()
    }
}

/// `edge` and `app`, with a gateway between them and an origin behind.
pub struct Path<G = Server> {
    pub tap: Tap,
    pub gateway: G,
    _app: ReservedPort,
}

impl<G: Gateway> Path<G> {
    /// `gateway` is started with the address of the inner tap, such as `127.0.0.1:4711`.
    pub fn start(gateway: impl FnOnce(&str) -> G, origin: &str) -> Self {
        Self::start_with(&[], gateway, origin)
    }

    /// The same, with options of the program.
    pub fn start_with(options: &[&str], gateway: impl FnOnce(&str) -> G, origin: &str) -> Self {
        let app = ReservedPort::new();
        let gateway = gateway(&app.addr().to_string());
        let taps = [format!("edge@127.0.0.1:0={}", gateway.upstream()), format!("app@{}={origin}", app.addr())];
        let tap = Tap::run(options, &[&taps[0], &taps[1]]);
        Self { tap, gateway, _app: app }
    }

    /// Where clients are pointed at, with `path` behind it.
    pub fn url(&self, path: &str) -> String {
        self.tap.url(path)
    }

    /// Fails if the program wrote this anywhere; the secrets of all tests are looked for in any case.
    #[track_caller]
    pub fn assert_absent(&self, secret: &str) {
        assert_secret_absent(secret, &self.tap.stdout());
        assert_secret_absent(secret, &self.tap.stderr());
        assert_secret_absent(secret, &std::fs::read_to_string(self.tap.record_file()).unwrap());
    }

    /// The only request, which arrived `arrived` times at the inner tap.
    #[track_caller]
    pub fn way(&self, arrived: usize) -> Way {
        self.ways(&[arrived]).remove(0)
    }

    /// The requests in the order in which they ended, each of which arrived so many times at the inner tap. Waits until
    /// all are told.
    #[track_caller]
    pub fn ways(&self, arrived: &[usize]) -> Vec<Way> {
        let records = self.tap.records(arrived.len() + arrived.iter().sum::<usize>());
        let (edge, mut app): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record["tap"] == "edge");
        assert_eq!(edge.len(), arrived.len(), "requests at the outer tap: {edge:#?}");
        let mut ways: Vec<Way> = edge.into_iter().map(|edge| Way { edge, app: Vec::new() }).collect();
        for way in &mut ways {
            way.app = app.extract_if(.., |record| record["path_id"] == way.edge["path_id"]).collect();
        }
        // What has another id lost it within the gateway, and came in the same order.
        let mut strays = app.into_iter();
        for (way, arrived) in ways.iter_mut().zip(arrived) {
            way.app.extend(strays.by_ref().take(arrived.saturating_sub(way.app.len())));
            assert_eq!(way.app.len(), *arrived, "arrivals at the inner tap in {way:#?}");
        }
        ways
    }
}

/// One request, as both taps saw it.
#[derive(Debug)]
pub struct Way {
    pub edge: Value,
    /// Once for each time that the gateway sent it.
    pub app: Vec<Value>,
}

impl Way {
    /// What the hop did, by the record of the outer tap.
    #[track_caller]
    pub fn hop(&self) -> &Value {
        let hops = self.edge["hops"].as_array().unwrap_or_else(|| panic!("no hops in {:#}", self.edge));
        assert_eq!(hops.len(), 1, "{:#}", self.edge);
        assert_eq!((&hops[0]["from"], &hops[0]["to"]), (&Value::from("edge"), &Value::from("app")));
        &hops[0]
    }

    /// All that the hop changed, such as `request authorization removed`, but for what changes on every hop.
    #[track_caller]
    pub fn changes(&self) -> Vec<String> {
        let changes = self.hop()["changes"].as_array().unwrap();
        let text = |change: &Value| {
            let word =
                |name: &str| change[name].as_str().unwrap_or_else(|| panic!("no {name} in {change:#}")).to_owned();
            format!("{} {} {}", word("in"), word("name"), word("change"))
        };
        changes.iter().filter(|change| change["kind"] != "plumbing").map(text).collect()
    }

    /// The change of that name and side, in words.
    #[track_caller]
    pub fn change(&self, side: &str, name: &str) -> &Value {
        let changes = self.hop()["changes"].as_array().unwrap();
        let found = changes.iter().find(|change| change["in"] == side && change["name"] == name);
        found.unwrap_or_else(|| panic!("{side} {name} did not change in {changes:#?}"))
    }

    /// Exactly these changes, in any order.
    #[track_caller]
    pub fn assert_changes(&self, expected: &[&str]) -> &Self {
        let mut found = self.changes();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "what the hop changed in {:#}", self.edge);
        self
    }

    /// How both sides were joined.
    #[track_caller]
    pub fn assert_join(&self, expected: &str) -> &Self {
        assert_eq!(self.hop()["join"], expected, "{:#}", self.edge);
        self
    }

    /// The verdict at the outer tap, with its severity, certainty and place.
    #[track_caller]
    pub fn assert_verdict(&self, rule: &str, severity: &str, certainty: &str, at: &str) -> &Self {
        assert_eq!(verdict(&self.edge), rule, "the verdict of {:#}", self.edge);
        let finding = &findings(&self.edge)[0];
        let told = ["severity", "certainty", "at"].map(|name| finding[name].as_str().unwrap());
        assert_eq!(told, [severity, certainty, at], "{rule} in {:#}", self.edge);
        self
    }

    /// A finding beside the verdict, at the outer tap.
    #[track_caller]
    pub fn assert_beside(&self, rule: &str) -> &Value {
        let found = findings(&self.edge).iter().find(|finding| finding["rule"] == rule);
        found.unwrap_or_else(|| panic!("no {rule} in {:#}", self.edge))
    }

    /// No finding of that rule at the outer tap.
    #[track_caller]
    pub fn assert_silent(&self, rule: &str) {
        assert!(findings(&self.edge).iter().all(|finding| finding["rule"] != rule), "{rule} in {:#}", self.edge);
    }

    /// The outer tap names the hop: the client's credentials, or its challenge, were changed by the gateway for sure.
    #[track_caller]
    pub fn assert_hop_error(&self, rule: &str) -> &Self {
        self.assert_verdict(rule, "error", "certain", "hop:edge>app")
    }

    /// A line of evidence of the verdict that holds all of these texts.
    #[track_caller]
    pub fn assert_evidence(&self, texts: &[&str]) -> &Self {
        let evidence = findings(&self.edge)[0]["evidence"].as_array().unwrap();
        let holds = |line: &Value| texts.iter().all(|text| line.as_str().unwrap().contains(text));
        assert!(evidence.iter().any(holds), "{texts:?} in {evidence:#?}");
        self
    }

    /// The summary of the verdict holds this text.
    #[track_caller]
    pub fn assert_summary(&self, text: &str) -> &Self {
        let summary = findings(&self.edge)[0]["summary"].as_str().unwrap();
        assert!(summary.contains(text), "{text:?} in {summary:?}");
        self
    }

    /// The fix of the verdict holds this text.
    #[track_caller]
    pub fn assert_fix(&self, text: &str) -> &Self {
        let fix = findings(&self.edge)[0]["fix"].as_str().unwrap();
        assert!(fix.contains(text), "{text:?} in {fix:?}");
        self
    }

    /// Neither an error nor a warning at either tap.
    #[track_caller]
    pub fn assert_healthy(&self) -> &Self {
        for record in std::iter::once(&self.edge).chain(&self.app) {
            super::record::assert_no_alarm(record);
        }
        self
    }
}

/// Sends requests through a path of two taps whose gateway takes the header off under `/admin`; `options` say where that is
/// recorded.
pub fn record_path(options: &[&str]) {
    let origin = orders();
    let port = ReservedPort::new();
    let gateway = changing(&port.addr().to_string(), |request| {
        if request.start_line.contains("/admin") {
            request.take("authorization");
        }
    });
    let taps = [format!("edge@127.0.0.1:0={}", gateway.url()), format!("app@{}={}", port.addr(), origin.url())];
    let tap = Tap::run(options, &[&taps[0], &taps[1]]);
    for target in ["/v1/orders", "/v1/admin/keys", "/v1/admin/users"] {
        curl(&["-H", &bearer(), &tap.url(target)]);
    }
    assert_eq!(tap.stop().code, Some(0));
}
