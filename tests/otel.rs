//! Spans and logs, as a collector gets them.

// Without the feature there is nothing to send; tests/run has it on.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::canaries::{BEARER_TOKEN, SESSION, assert_no_secret};
use common::head::answer;
use common::path::ReservedPort;
use common::tap::command;
use common::{Client, DEADLINE, Head, Origin, Tap, wait_for};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What a collector got.
#[derive(Clone, Default)]
struct Got(Arc<Mutex<Vec<Request>>>);

/// The head and the body of what was posted.
type Request = (Head, Vec<u8>);

impl Got {
    fn bodies(&self, target: &str) -> Vec<Vec<u8>> {
        let got = self.0.lock().unwrap();
        got.iter().filter(|(head, _)| head.target() == target).map(|(_, body)| body.clone()).collect()
    }

    fn spans(&self) -> Vec<(Resource, Span)> {
        let mut all = Vec::new();
        for body in self.bodies("/v1/traces") {
            for of in ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans {
                let resource = of.resource.unwrap();
                let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
                all.extend(spans.map(|span| (resource.clone(), span)));
            }
        }
        all
    }

    fn logs(&self) -> Vec<LogRecord> {
        let bodies = self.bodies("/v1/logs").into_iter();
        let all = bodies.flat_map(|body| ExportLogsServiceRequest::decode(&body[..]).unwrap().resource_logs);
        all.flat_map(|of| of.scope_logs).flat_map(|scope| scope.log_records).collect()
    }

    /// The spans, as soon as there are `n`.
    fn wait_for_spans(&self, n: usize) -> Vec<(Resource, Span)> {
        let spans = wait_for("spans", DEADLINE, || Some(self.spans()).filter(|spans| spans.len() >= n));
        assert_eq!(spans.len(), n, "{spans:#?}");
        spans
    }
}

/// A collector that takes all it is sent.
fn collector() -> (Origin, Got) {
    let got = Got::default();
    let kept = got.clone();
    let origin = Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            let body = conn.read_body(&head);
            kept.0.lock().unwrap().push((head, body));
            conn.write(&answer("200 OK", &["Content-Type: application/x-protobuf"], ""));
        }
    });
    (origin, got)
}

/// A backend that refuses, in a way that has a finding.
fn refusing() -> Origin {
    Origin::reply(answer("401 Unauthorized", &["wWW-Authenticate: Bearer realm=\"a\""], "no credentials provided"))
}

fn start(endpoint: &str, more: &[(&str, &str)], options: &[&str], taps: &[&str]) -> Tap {
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ];
    variables.extend(more);
    Tap::run_in(&variables, &[&["--otel"], options].concat(), taps)
}

fn ask(tap: &Tap, target: &str, fields: &[&str]) {
    let mut client = Client::connect(tap.addr());
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("GET {target} HTTP/1.1\r\nhOsT: api.example:8443\r\n{fields}\r\n"));
    client.close_write();
    client.read_to_end();
}

fn plain(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(values) => values.values.iter().map(plain).collect::<Vec<_>>().join("|"),
        other => format!("{other:?}"),
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes.iter().find(|one| one.key == name).map(|one| plain(one.value.as_ref().unwrap()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_span_is_joined_to_the_callers_trace_and_has_the_findings() {
    let ((collector, got), origin) = (collector(), refusing());
    let tap = start(&collector.url(), &[], &[], &[&format!("127.0.0.1:0={}", origin.url())]);
    assert!(tap.stderr().contains(&format!("spans and findings go to {}", collector.url())), "{}", tap.stderr());
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    let token = format!("authorization: Bearer {BEARER_TOKEN}");
    ask(&tap, "/v1/orders?page=2", &[&parent, &token, &format!("Cookie: sid={SESSION}"), "User-Agent: probe/1"]);
    let record = tap.record();
    let (resource, span) = got.wait_for_spans(1).remove(0);
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("authtap"));
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!((span.name.as_str(), span.kind), ("GET", 2));
    let took = record["timing"]["total_ms"].as_f64().unwrap();
    let nanos = (span.end_time_unix_nano - span.start_time_unix_nano) as f64;
    assert!((nanos / 1e6 - took).abs() < 0.01, "{nanos} {took}");
    let fingerprint = record["request"]["credentials"][0]["fingerprint"].as_str().unwrap();
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/v1/orders"),
        ("url.query", "page=2"),
        ("url.scheme", "http"),
        ("server.address", "api.example"),
        ("server.port", "8443"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "probe/1"),
        ("http.response.status_code", "401"),
        ("http.response.header.www-authenticate", "Bearer realm=\"a\""),
        ("authtap.request.header_names", "hOsT|traceparent|authorization|Cookie|User-Agent"),
        ("authtap.id", record["id"].as_str().unwrap()),
        ("authtap.tap", "tap"),
        ("authtap.verdict", "credentials-reported-missing"),
    ] {
        assert_eq!(attribute(&span.attributes, name).as_deref(), Some(value), "{name}: {span:#?}");
    }
    let fingerprints = attribute(&span.attributes, "authtap.credentials.fingerprints").unwrap();
    assert!(fingerprints.starts_with(fingerprint), "{fingerprints}");
    // A refusal is what a server may do; it is no error of a server.
    assert_eq!(span.status.unwrap_or_default().code, 0);
    let event = &span.events[0];
    assert_eq!(event.name, "authtap.finding");
    assert_eq!(attribute(&event.attributes, "authtap.finding.rule").as_deref(), Some("credentials-reported-missing"));
    let finding = &record["diagnosis"]["findings"][0];
    assert_eq!(attribute(&event.attributes, "authtap.finding.fix").as_deref(), finding["fix"].as_str());

    let logs = wait_for("logs", DEADLINE, || Some(got.logs()).filter(|logs| !logs.is_empty()));
    assert_eq!((hex(&logs[0].trace_id), &logs[0].span_id), (TRACE.to_owned(), &span.span_id));
    assert_eq!(plain(logs[0].body.as_ref().unwrap()), finding["summary"].as_str().unwrap());
    assert_eq!(logs[0].severity_text, "ERROR");
    let sent = got.0.lock().unwrap().clone();
    for (head, body) in sent {
        assert_no_secret(&String::from_utf8_lossy(&body));
        assert_eq!(head.get("content-type").as_deref(), Some("application/x-protobuf"));
    }
    drop(tap);
}

#[test]
fn all_taps_of_a_path_tell_of_one_trace() {
    let ((collector, got), origin) = (collector(), refusing());
    let inner = ReservedPort::new();
    let taps = [format!("edge@127.0.0.1:0=http://{}", inner.addr()), format!("app@{}={}", inner.addr(), origin.url())];
    let tap = start(&collector.url(), &[("OTEL_SERVICE_NAME", "gateway-tap")], &[], &[&taps[0], &taps[1]]);
    ask(&tap, "/a", &[]);
    tap.records(2);
    let spans = got.wait_for_spans(2);
    let of = |name: &str| {
        let found = spans.iter().find(|(_, span)| attribute(&span.attributes, "authtap.tap").as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let ((resource, edge), (_, app)) = (of("edge"), of("app"));
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("gateway-tap"));
    assert_eq!(edge.trace_id, app.trace_id);
    assert_eq!(edge.span_id, app.parent_span_id);
    assert!(edge.parent_span_id.is_empty(), "{edge:#?}");
    let path = ulid::Ulid::from_string(&attribute(&edge.attributes, "authtap.path_id").unwrap()).unwrap();
    assert_eq!(hex(&edge.trace_id), format!("{:032x}", path.0));
}

#[test]
fn what_is_left_is_sent_at_the_end() {
    let ((collector, got), origin) = (collector(), refusing());
    let traces = format!("{}/v1/traces", collector.url());
    let slow = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "600000"),
    ];
    let tap = start(&collector.url(), &slow, &[], &[&format!("127.0.0.1:0={}", origin.url())]);
    let said = format!("go to {traces} and {}\n", collector.url());
    assert!(tap.stderr().contains(&said), "{}", tap.stderr());
    ask(&tap, "/a", &[]);
    tap.record();
    assert_eq!(tap.stop().code, Some(0));
    assert_eq!(got.spans().len(), 1);
    assert!(!got.logs().is_empty());
}

#[test]
fn an_upstream_that_fails_is_an_error_of_the_span() {
    let (collector, got) = collector();
    let nobody = ReservedPort::new();
    let nobody = nobody.addr();
    let tap = start(&collector.url(), &[], &[], &[&format!("127.0.0.1:0=http://{nobody}")]);
    ask(&tap, "/a", &[]);
    tap.record();
    let (_, span) = got.wait_for_spans(1).remove(0);
    assert_eq!(attribute(&span.attributes, "error.type").as_deref(), Some("upstream-connect"));
    assert_eq!(span.status.unwrap().code, 2);
}

#[test]
fn a_collector_that_is_away_is_told_of_once_and_holds_nobody_up() {
    let origin = refusing();
    let nobody = ReservedPort::new();
    let nobody = nobody.addr();
    let tap = start(
        &format!("http://{nobody}/?key=secret-of-the-url"),
        &[],
        &[],
        &[&format!("127.0.0.1:0={}", origin.url())],
    );
    for _ in 0..20 {
        ask(&tap, "/a", &[]);
    }
    tap.records(20);
    for what in ["takes no spans", "takes no logs"] {
        wait_for(what, DEADLINE, || tap.stderr().contains(what).then_some(()));
    }
    let stopped = tap.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    for what in ["takes no spans", "takes no logs", "spans and logs did not get to the collector"] {
        assert_eq!(stopped.stderr.matches(what).count(), 1, "{what}: {}", stopped.stderr);
    }
    assert!(!stopped.stderr.contains("secret-of-the-url"), "{}", stopped.stderr);
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    let origin = refusing();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let tap = start(&url, &[], &[], &[&format!("127.0.0.1:0={}", origin.url())]);
    for _ in 0..20 {
        ask(&tap, "/a", &[]);
    }
    tap.records(20);
    let began = Instant::now();
    assert_eq!(tap.stop().code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn a_collector_that_takes_spans_alone_is_told_of_once() {
    let got = Got::default();
    let kept = got.clone();
    let collector = Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            let body = conn.read_body(&head);
            let status = if head.target() == "/v1/traces" { "200 OK" } else { "404 Not Found" };
            kept.0.lock().unwrap().push((head, body));
            conn.write(&answer(status, &[], ""));
        }
    });
    let origin = refusing();
    let tap = start(&collector.url(), &[], &[], &[&format!("127.0.0.1:0={}", origin.url())]);
    for round in 1..=3 {
        ask(&tap, "/a", &[]);
        // Both kinds of this round have been there before the next.
        wait_for("a round", DEADLINE, || {
            (got.spans().len() == round && got.bodies("/v1/logs").len() >= round).then_some(())
        });
    }
    let stopped = tap.stop();
    assert_eq!(stopped.stderr.matches("takes no logs: it answered 404").count(), 1, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("OTEL_LOGS_EXPORTER=none"), "{}", stopped.stderr);
    assert!(!stopped.stderr.contains("takes no spans") && !stopped.stderr.contains("again"), "{}", stopped.stderr);
}

#[test]
fn an_exchange_of_a_trace_that_is_not_sampled_is_sent_unless_the_environment_says_otherwise() {
    let origin = refusing();
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-00");
    for (sampler, sent) in [(None, 1), (Some(("OTEL_TRACES_SAMPLER", "parentbased_always_on")), 0)] {
        let (collector, got) = collector();
        let more: Vec<(&str, &str)> = sampler.into_iter().collect();
        let tap = start(&collector.url(), &more, &[], &[&format!("127.0.0.1:0={}", origin.url())]);
        ask(&tap, "/a", &[&parent]);
        tap.record();
        let stopped = tap.stop();
        assert_eq!(got.spans().len(), sent, "{sampler:?}");
        assert!(!got.logs().is_empty(), "{sampler:?}");
        assert!(!stopped.stderr.contains("did not get to"), "{}", stopped.stderr);
    }
}

#[test]
fn secrets_that_are_shown_leave_no_machine() {
    let output = command().args(["--otel", "--show-secrets", ":0=http://127.0.0.1:9"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("secrets would leave this machine"), "{said}");
}

#[test]
fn the_environment_alone_sends_nothing() {
    let origin = refusing();
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", collector.local_addr().unwrap());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_TRACES_EXPORTER", "otlp")];
    let tap = Tap::run_in(&variables, &[], &[&format!("127.0.0.1:0={}", origin.url())]);
    ask(&tap, "/a", &[]);
    tap.record();
    tap.stop();
    collector.set_nonblocking(true).unwrap();
    assert!(collector.accept().is_err(), "somebody connected to the collector");
}

#[test]
fn what_can_not_be_followed_is_said_with_what_to_do() {
    for (variables, words) in [
        (vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http/protobuf alone"),
        (vec![("OTEL_TRACES_EXPORTER", "zipkin")], "\"zipkin\""),
        (vec![("OTEL_SDK_DISABLED", "true")], "nothing to send"),
        (vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem")], "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        (vec![("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json")], "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"),
        (vec![("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/a.key")], "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")], "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@localhost:4318\n")], "white space"),
    ] {
        let output = command().envs(variables).args(["--otel", ":0=http://127.0.0.1:9"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
        assert!(said.contains(words) && said.contains("try:") && !said.contains("hunter2"), "{said}");
    }
}
