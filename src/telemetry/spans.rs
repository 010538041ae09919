//! A record as a span with its findings as events, and each finding as a log as well.
//!
//! Names are those of OpenTelemetry's semantic conventions for HTTP servers. What they have no name for, such as how a header
//! was spelled, is under `authtap.`. A request belongs to the trace that its `traceparent` names; one without is a trace of its
//! own, whose id is the record's `path_id`, so that all taps on its way tell of one trace.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Event, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value as Attribute};
use opentelemetry_sdk::logs::SdkLogger;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, SdkTracer};
use serde_json::Value;
use ulid::Ulid;

/// Methods that the conventions know; any other is `_OTHER` there.
const METHODS: [&str; 10] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// The name of a finding's event.
const FINDING: &str = "authtap.finding";

/// The ids of the span that is made next, which are those of its record.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(Arc<Mutex<(u128, u64)>>);

impl Ids {
    fn set(&self, trace: u128, span: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (trace, span);
    }

    fn get(&self) -> (u128, u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(self.get().0)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.get().1)
    }
}

/// A record that is told to a collector.
pub(super) struct Told<'r> {
    record: &'r Value,
    began: SystemTime,
    ended: SystemTime,
}

/// Fields of the request, for what reads trace ids out of them.
struct Fields<'r>(&'r Value);

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        list(self.0).find(|field| words(&field[0]).eq_ignore_ascii_case(key)).and_then(|field| field[1].as_str())
    }

    fn keys(&self) -> Vec<&str> {
        list(self.0).map(|field| words(&field[0])).collect()
    }
}

impl<'r> Told<'r> {
    /// `None` where it is no record.
    pub(super) fn of(record: &'r Value) -> Option<Self> {
        let began: Timestamp = record["time"].as_str()?.parse().ok()?;
        let took = record["timing"]["total_ms"].as_f64().filter(|took| took.is_finite() && *took >= 0.0);
        let began = SystemTime::try_from(began).ok()?;
        let took = Duration::try_from_secs_f64(took.unwrap_or_default() / 1000.0).unwrap_or_default();
        Some(Told { record, began, ended: began.checked_add(took).unwrap_or(began) })
    }

    /// What the span hangs from: the caller's, or that of the tap before, or nothing.
    pub(super) fn context(&self, ids: &Ids) -> Context {
        let ulid = |name: &str| self.record[name].as_str().and_then(|id| Ulid::from_string(id).ok()).map(|id| id.0);
        let low = |id: u128| (id & u128::from(u64::MAX)) as u64;
        let own = ulid("id").unwrap_or_default();
        let path = ulid("path_id").unwrap_or(own);
        ids.set(path, low(own));
        let fields = Fields(&self.record["request"]["headers"]);
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &fields);
        if context.span().span_context().is_valid() {
            return context;
        }
        match ulid("parent_id") {
            None => Context::new(),
            Some(parent) => Context::new().with_remote_span_context(SpanContext::new(
                TraceId::from(path),
                SpanId::from(low(parent)),
                TraceFlags::SAMPLED,
                true,
                TraceState::default(),
            )),
        }
    }

    /// Makes the span. Gives a context with it, for the logs, and how many are sent.
    pub(super) fn span(&self, tracer: &SdkTracer, parent: &Context) -> (Context, usize) {
        let findings = self.findings().map(|finding| Event::new(FINDING, self.ended, about(finding), 0)).collect();
        let (method, _) = method(words(&self.record["request"]["method"]));
        let name = if method == "_OTHER" { "HTTP" } else { method };
        let mut span = tracer
            .span_builder(name.to_owned())
            .with_kind(SpanKind::Server)
            .with_start_time(self.began)
            .with_attributes(self.attributes())
            .with_events(findings)
            .start_with_context(tracer, parent);
        if let Some(error) = self.error() {
            span.set_attribute(KeyValue::new("error.type", error));
            span.set_status(Status::error(""));
        }
        let sent = usize::from(span.span_context().is_sampled());
        span.end_with_timestamp(self.ended);
        (Context::new().with_remote_span_context(span.span_context().clone()), sent)
    }

    /// Makes a log of each finding. Gives their number.
    pub(super) fn logs(&self, logger: &SdkLogger, context: &Context) -> usize {
        let span = context.span().span_context().clone();
        let mut made = 0;
        for finding in self.findings() {
            let mut log = logger.create_log_record();
            log.set_event_name(FINDING);
            log.set_timestamp(self.ended);
            log.set_observed_timestamp(SystemTime::now());
            let (number, text) = match words(&finding["severity"]) {
                "error" => (Severity::Error, "ERROR"),
                "warning" => (Severity::Warn, "WARN"),
                _ => (Severity::Info, "INFO"),
            };
            log.set_severity_number(number);
            log.set_severity_text(text);
            log.set_body(AnyValue::from(bounded(words(&finding["summary"]))));
            log.add_attributes(about(finding).into_iter().map(|one| (one.key, any(one.value))));
            log.add_attributes(self.whose().into_iter().map(|one| (one.key, any(one.value))));
            if span.is_valid() {
                log.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
            }
            logger.emit(log);
            made += 1;
        }
        made
    }

    fn findings(&self) -> impl Iterator<Item = &'r Value> {
        list(&self.record["diagnosis"]["findings"])
    }

    /// What the conventions call the error of a server: a status from 500 on, or the step that failed before there was one.
    /// What was not read, or broken off by its client, is no error of the server.
    fn error(&self) -> Option<String> {
        let step = self.record["failure"]["step"].as_str();
        let status = self.record["response"]["status"].as_u64().filter(|status| *status >= 500);
        step.map(|step| format!("upstream-{step}")).or_else(|| status.map(|status| status.to_string()))
    }

    /// The attributes by which an exchange is found again.
    fn whose(&self) -> Vec<KeyValue> {
        let record = self.record;
        let (method, _) = method(words(&record["request"]["method"]));
        let mut all = Attributes(Vec::new());
        all.text("authtap.id", &record["id"]);
        all.text("authtap.path_id", &record["path_id"]);
        all.text("authtap.tap", &record["tap"]);
        all.put("http.request.method", method.to_owned());
        if let Some(path) = self.path() {
            all.put("url.path", path.to_owned());
        }
        all.number("http.response.status_code", &record["response"]["status"]);
        all.0
    }

    /// The target in front of its query, and the query.
    fn target(&self) -> (&'r str, Option<&'r str>) {
        let target = words(&self.record["request"]["target"]);
        target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
    }

    /// The path, where the target has one: that of CONNECT has none, nor has `*`.
    fn path(&self) -> Option<&'r str> {
        let (target, _) = self.target();
        match target.split_once("://") {
            Some((_, rest)) => Some(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")),
            None => Some(target).filter(|target| target.starts_with('/')),
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let record = self.record;
        let (request, response) = (&record["request"], &record["response"]);
        let mut all = Attributes(self.whose());
        if let (_, Some(original)) = method(words(&request["method"])) {
            all.put("http.request.method_original", original.to_owned());
        }
        if let (_, Some(query)) = self.target() {
            all.put("url.query", query.to_owned());
        }
        all.put("url.scheme", if record["client"]["tls"].is_null() { "http" } else { "https" }.to_owned());
        if let Some(authority) = request["authority"].as_str() {
            let (host, port) = host_and_port(authority);
            all.put("server.address", host.to_owned());
            port.into_iter().for_each(|port| all.put("server.port", i64::from(port)));
        }
        match words(&record["client"]["addr"]).parse::<SocketAddr>() {
            Ok(addr) => {
                all.put("client.address", addr.ip().to_string());
                all.put("client.port", i64::from(addr.port()));
            }
            Err(_) => all.text("client.address", &record["client"]["addr"]),
        }
        // Who speaks for the client may be somebody else, such as a load balancer.
        let peer = record["client"]["proxy_protocol"]["from"].as_str().or(record["client"]["addr"].as_str());
        if let Some(peer) = peer.and_then(|peer| peer.parse::<SocketAddr>().ok()) {
            all.put("network.peer.address", peer.ip().to_string());
            all.put("network.peer.port", i64::from(peer.port()));
        }
        if let Some(version) = request["version"].as_str().and_then(|version| version.strip_prefix("HTTP/")) {
            all.put("network.protocol.name", "http".to_owned());
            all.put("network.protocol.version", version.to_owned());
        }
        if let Some(agent) = Fields(&request["headers"]).get("user-agent") {
            all.put("user_agent.original", agent.to_owned());
        }
        all.number("http.request.body.size", &request["body_bytes"]);
        all.number("http.response.body.size", &response["body_bytes"]);
        let offered =
            list(&response["headers"]).filter(|field| words(&field[0]).eq_ignore_ascii_case("www-authenticate"));
        all.texts("http.response.header.www-authenticate", offered.map(|field| words(&field[1])));
        all.texts("authtap.request.header_names", list(&request["headers"]).map(|field| words(&field[0])));
        all.texts("authtap.response.header_names", list(&response["headers"]).map(|field| words(&field[0])));
        let sent = || list(&request["credentials"]);
        all.texts("authtap.credentials.names", sent().map(|one| words(&one["name"])));
        all.texts("authtap.credentials.schemes", sent().map(|one| words(&one["scheme"])));
        all.texts("authtap.credentials.fingerprints", sent().map(|one| words(&one["fingerprint"])));
        all.text("authtap.upstream.url", &record["upstream"]["url"]);
        all.text("authtap.upstream.addr", &record["upstream"]["addr"]);
        all.text("authtap.outcome", &record["outcome"]);
        all.text("authtap.verdict", &record["diagnosis"]["verdict"]);
        all.0
    }
}

/// What a finding says.
fn about(finding: &Value) -> Vec<KeyValue> {
    let mut all = Attributes(Vec::new());
    for name in ["rule", "severity", "certainty", "at", "header", "summary", "fix", "spec"] {
        all.text(&format!("authtap.finding.{name}"), &finding[name]);
    }
    all.texts("authtap.finding.evidence", list(&finding["evidence"]).map(words));
    all.0
}

/// The longest text of an attribute, in bytes, and the most texts of a list. What a peer sends may be larger, and a collector
/// that is away lets some thousands of spans wait.
const LONGEST: usize = 4096;
const MOST: usize = 64;

/// The text, or its beginning where it is too long.
fn bounded(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, name: &'static str, value: impl Into<Attribute>) {
        let value = match value.into() {
            Attribute::String(text) => Attribute::String(bounded(text.as_str()).into()),
            other => other,
        };
        self.0.push(KeyValue::new(name, value));
    }

    fn text(&mut self, name: &str, value: &Value) {
        if let Some(text) = value.as_str() {
            self.0.push(KeyValue::new(name.to_owned(), bounded(text)));
        }
    }

    fn number(&mut self, name: &'static str, value: &Value) {
        value.as_i64().into_iter().for_each(|number| self.put(name, number));
    }

    fn texts<'a>(&mut self, name: &'static str, values: impl Iterator<Item = &'a str>) {
        // The last of a list that is cut says so, and all of them together are no longer than one text may be.
        let mut room = LONGEST;
        let mut kept: Vec<StringValue> = Vec::new();
        for value in values {
            if kept.len() == MOST || value.len() > room {
                kept.push("…".into());
                break;
            }
            room -= value.len();
            kept.push(value.to_owned().into());
        }
        let values = kept;
        if !values.is_empty() {
            self.put(name, Attribute::Array(Array::String(values)));
        }
    }
}

/// The same value as a log has it.
fn any(value: Attribute) -> AnyValue {
    match value {
        Attribute::Bool(value) => value.into(),
        Attribute::I64(value) => value.into(),
        Attribute::F64(value) => value.into(),
        Attribute::Array(Array::String(values)) => values.into_iter().collect(),
        other => other.as_str().into_owned().into(),
    }
}

/// The method as the conventions have it, and as it was sent where that is something else.
fn method(sent: &str) -> (&str, Option<&str>) {
    if METHODS.contains(&sent) { (sent, None) } else { ("_OTHER", Some(sent)) }
}

fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.contains(']') => match port.parse() {
            Ok(port) => (host.trim_matches(['[', ']']), Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority.trim_matches(['[', ']']), None),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_comes_apart() {
        assert_eq!(host_and_port("a.example:8443"), ("a.example", Some(8443)));
        assert_eq!(host_and_port("a.example"), ("a.example", None));
        assert_eq!(host_and_port("[::1]:80"), ("::1", Some(80)));
        assert_eq!(host_and_port("[::1]"), ("::1", None));
    }

    #[test]
    fn what_a_peer_sends_is_cut_to_a_bound() {
        let mut all = Attributes(Vec::new());
        all.texts("names", std::iter::repeat_n("a", 15_000));
        all.texts("long", ["x".repeat(LONGEST), "y".to_owned()].iter().map(String::as_str));
        all.put("text", "ü".repeat(LONGEST));
        let length = |value: &Attribute| match value {
            Attribute::Array(Array::String(texts)) => texts.len(),
            other => other.as_str().len(),
        };
        let lengths: Vec<usize> = all.0.iter().map(|one| length(&one.value)).collect();
        assert_eq!(lengths, [MOST + 1, 2, LONGEST + "…".len()]);
    }

    #[test]
    fn a_method_of_ones_own_is_other() {
        assert_eq!(method("GET"), ("GET", None));
        assert_eq!(method("get"), ("_OTHER", Some("get")));
    }
}
