//! Spans and logs for an OpenTelemetry collector, made of records and sent by OTLP over HTTP.
//!
//! It takes lines of the record, in which secrets are masked already, and runs on the thread of its output: whoever diagnoses
//! hands lines over and never waits, and what the collector does not take in time is lost and counted there. Where spans go,
//! and how, is for the variables of the field (`OTEL_…`), which its libraries read.

mod client;
mod spans;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::logs::LoggerProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{LogExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use serde_json::Value;

use crate::error::Error;
use client::Client;
use spans::Ids;

/// The variables that say where the collector is, and where it is without them.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// What one kind of telemetry is switched by.
const TRACES: &str = "TRACES";
const LOGS: &str = "LOGS";

/// Spans and logs after which they are sent without waiting for more; the libraries hold twice as many and then drop them
/// without a word.
const BATCH: usize = 1024;

/// How long the end of the program waits for the collector to take the rest.
const GOODBYE: Duration = Duration::from_millis(1500);

/// Where records become spans and logs.
pub struct Telemetry {
    traces: Option<(SdkTracerProvider, SdkTracer)>,
    logs: Option<(SdkLoggerProvider, SdkLogger)>,
    ids: Ids,
    /// How many were made since they were sent.
    made: usize,
    /// Where they go, as it may be shown.
    endpoints: String,
}

impl Telemetry {
    /// Sets up what the environment asks for. Nothing is connected to before there is something to send.
    ///
    /// # Errors
    /// A variable that can't be followed.
    pub fn start() -> Result<Self, Error> {
        let protocol = [format!("OTEL_EXPORTER_OTLP_{TRACES}_PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL".to_owned()];
        for name in protocol {
            match set(&name).as_deref() {
                None | Some("http/protobuf") => {}
                Some(other) => {
                    return Err(Error::usage(format!(
                        "{name} asks for {other:?}, and --otel speaks http/protobuf alone"
                    ))
                    .advice(format!("{name}=http/protobuf, and the collector's port for it, 4318 as a rule")));
                }
            }
        }
        let cannot = |what: &str, why: &dyn std::fmt::Display| {
            Error::run(format!("--otel: cannot send {what}: {why}"))
                .advice(format!("check {ENDPOINT} and the other OTEL_EXPORTER_OTLP_… variables"))
        };
        let client = Client::start(set("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from).as_deref())?;
        let ids = Ids::default();
        let resource = resource();
        let traces = match is_wanted(TRACES)? {
            false => None,
            true => {
                let exporter = SpanExporter::builder().with_http().with_http_client(client.clone()).build();
                let provider = SdkTracerProvider::builder()
                    .with_batch_exporter(exporter.map_err(|error| cannot("spans", &error))?)
                    .with_id_generator(ids.clone())
                    .with_resource(resource.clone())
                    .build();
                let tracer = provider.tracer("authtap");
                Some((provider, tracer))
            }
        };
        let logs = match is_wanted(LOGS)? {
            false => None,
            true => {
                let exporter = LogExporter::builder().with_http().with_http_client(client).build();
                let provider = SdkLoggerProvider::builder()
                    .with_batch_exporter(exporter.map_err(|error| cannot("logs", &error))?)
                    .with_resource(resource)
                    .build();
                let logger = provider.logger("authtap");
                Some((provider, logger))
            }
        };
        if traces.is_none() && logs.is_none() {
            return Err(Error::usage("--otel has nothing to send: the environment switches spans and logs off")
                .advice("leave --otel out, or OTEL_SDK_DISABLED and OTEL_…_EXPORTER=none"));
        }
        let mut endpoints: Vec<String> = Vec::new();
        for (kind, is_sent) in [(TRACES, traces.is_some()), (LOGS, logs.is_some())] {
            let endpoint = set(&format!("OTEL_EXPORTER_OTLP_{kind}_ENDPOINT")).or_else(|| set(ENDPOINT));
            let endpoint = client::shown(&endpoint.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()));
            if is_sent && !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        Ok(Telemetry { traces, logs, ids, made: 0, endpoints: endpoints.join(" and ") })
    }

    /// Where it goes, without what may be secret in it.
    pub fn endpoints(&self) -> &str {
        &self.endpoints
    }

    fn record(&mut self, record: &Value) {
        let Some(told) = spans::Told::of(record) else { return };
        let mut context = told.context(&self.ids);
        if let Some((_, tracer)) = &self.traces {
            context = told.span(tracer, &context);
            self.made += 1;
        }
        if let Some((_, logger)) = &self.logs {
            self.made += told.logs(logger, &context);
        }
        if self.made >= BATCH {
            self.send();
        }
    }

    /// Sends what was made, and waits until it is sent. What can't be is told by the client.
    fn send(&mut self) {
        self.made = 0;
        if let Some((provider, _)) = &self.traces {
            let _ = provider.force_flush();
        }
        if let Some((provider, _)) = &self.logs {
            let _ = provider.force_flush();
        }
    }
}

impl Write for Telemetry {
    /// Takes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Ok(record) = serde_json::from_slice::<Value>(line) {
                self.record(&record);
            }
        }
        Ok(lines.len())
    }

    /// Nothing has to be sent now: batches go by time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // What a collector does not take at the end is lost, and the client has said why.
        if let Some((provider, _)) = &self.traces {
            let _ = provider.shutdown_with_timeout(GOODBYE);
        }
        if let Some((provider, _)) = &self.logs {
            let _ = provider.shutdown_with_timeout(GOODBYE);
        }
    }
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Whether that kind of telemetry is to be sent by OTLP.
fn is_wanted(kind: &str) -> Result<bool, Error> {
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let name = format!("OTEL_{kind}_EXPORTER");
    match set(&name).as_deref() {
        None | Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => Err(Error::usage(format!("{name} asks for {other:?}, and --otel has OTLP alone"))
            .advice(format!("{name}=otlp, or none"))),
    }
}

/// Who sends: the name that the environment gives, or the program's.
fn resource() -> Resource {
    let is_named = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES")
            .is_some_and(|all| all.split(',').any(|one| one.trim().starts_with("service.name=")));
    let builder = Resource::builder();
    let builder = if is_named { builder } else { builder.with_service_name("authtap") };
    builder.with_attribute(KeyValue::new("authtap.version", env!("CARGO_PKG_VERSION"))).build()
}
