//! Spans and logs for an OpenTelemetry collector, made of records and sent by OTLP over HTTP.
//!
//! It takes lines of the record, in which secrets are masked already, and runs on the thread of its output: whoever diagnoses
//! hands lines over and never waits, and what the collector does not take in time is lost and counted. Where spans go, and
//! how, is for the variables of the field (`OTEL_…`), which its libraries read.

mod client;
mod counted;
mod environment;
mod spans;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::logs::LoggerProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{LogExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use serde_json::Value;

use crate::error::Error;
use client::Client;
use counted::Counted;
use environment::Signal;
use spans::Ids;

/// Spans or logs after which they are sent without waiting for more, at the latest: the libraries hold twice as many, as a
/// rule, and then drop them without a word.
const BATCH: usize = 1024;

/// Bytes of records after which they are sent, so that large ones don't take much memory while they wait.
const BATCH_BYTES: usize = 1 << 20;

/// How long the end of the program waits for the collector to take the rest.
const GOODBYE: Duration = Duration::from_millis(1500);

/// Where records become spans and logs.
pub struct Telemetry {
    traces: Option<(SdkTracerProvider, SdkTracer)>,
    logs: Option<(SdkLoggerProvider, SdkLogger)>,
    ids: Ids,
    /// How many were made since they were sent, of the more numerous kind.
    made: usize,
    /// Of how many bytes of records.
    bytes: usize,
    /// How many may be made before they are sent.
    batch: usize,
    /// Where they go, as it may be shown.
    endpoints: String,
    counts: Arc<Counts>,
}

/// What was made for the collector, and what it took.
#[derive(Default)]
pub struct Counts {
    made: AtomicU64,
    taken: Arc<AtomicU64>,
}

impl Counts {
    /// How many spans and logs did not get to the collector, of those that were made. While it runs, some may be on their way.
    pub fn lost(&self) -> u64 {
        self.made.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }
}

impl Telemetry {
    /// Sets up what the environment asks for. Nothing is connected to before there is something to send.
    ///
    /// # Errors
    /// A variable that can't be followed.
    pub fn start() -> Result<Self, Error> {
        let mut endpoints: Vec<String> = Vec::new();
        let mut wanted = Vec::new();
        for signal in Signal::ALL {
            if !signal.is_wanted()? {
                continue;
            }
            let endpoint = signal.endpoint()?;
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
            wanted.push(signal);
        }
        if wanted.is_empty() {
            return Err(Error::usage("--otel has nothing to send: the environment switches spans and logs off")
                .advice("leave --otel out, or OTEL_SDK_DISABLED and OTEL_…_EXPORTER=none"));
        }
        let client = Client::start(environment::certificate().as_deref())?;
        let (ids, counts, resource) = (Ids::default(), Arc::new(Counts::default()), resource());
        // The libraries' own words could repeat what stands in a variable.
        let cannot = |signal: Signal| {
            Error::run(format!("--otel: what sends {} can't be set up", signal.words()))
                .advice("check the OTEL_EXPORTER_OTLP_… variables")
        };
        let (mut traces, mut logs) = (None, None);
        for signal in &wanted {
            let client = client.of(*signal);
            match signal {
                Signal::Traces => {
                    let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
                    let exporter = exporter.map_err(|_| cannot(*signal))?;
                    let builder = SdkTracerProvider::builder()
                        .with_batch_exporter(Counted::new(exporter, counts.taken.clone()))
                        .with_id_generator(ids.clone())
                        .with_resource(resource.clone());
                    // An exchange that failed is what is looked for, whether its client samples it or not.
                    let builder =
                        if environment::has_sampler() { builder } else { builder.with_sampler(Sampler::AlwaysOn) };
                    let provider = builder.build();
                    let tracer = provider.tracer("authtap");
                    traces = Some((provider, tracer));
                }
                Signal::Logs => {
                    let exporter = LogExporter::builder().with_http().with_http_client(client).build();
                    let exporter = exporter.map_err(|_| cannot(*signal))?;
                    let provider = SdkLoggerProvider::builder()
                        .with_batch_exporter(Counted::new(exporter, counts.taken.clone()))
                        .with_resource(resource.clone())
                        .build();
                    let logger = provider.logger("authtap");
                    logs = Some((provider, logger));
                }
            }
        }
        let smallest = wanted.iter().map(|signal| signal.queue() / 2).min().unwrap_or(BATCH);
        let batch = smallest.clamp(1, BATCH);
        Ok(Telemetry { traces, logs, ids, made: 0, bytes: 0, batch, endpoints: endpoints.join(" and "), counts })
    }

    /// Where it goes, without what may be secret in it.
    pub fn endpoints(&self) -> &str {
        &self.endpoints
    }

    /// What was made and taken, to be asked for when it has ended.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    fn record(&mut self, record: &Value, size: usize) {
        let Some(told) = spans::Told::of(record) else { return };
        let mut context = told.context(&self.ids);
        let (mut spans, mut logs) = (0, 0);
        if let Some((_, tracer)) = &self.traces {
            (context, spans) = told.span(tracer, &context);
        }
        if let Some((_, logger)) = &self.logs {
            logs = told.logs(logger, &context);
        }
        self.counts.made.fetch_add((spans + logs) as u64, Ordering::Relaxed);
        self.made += spans.max(logs);
        self.bytes += size;
        if self.made >= self.batch || self.bytes >= BATCH_BYTES {
            self.send();
        }
    }

    /// Sends what was made, and waits until it is sent. What can't be is told by the client.
    fn send(&mut self) {
        (self.made, self.bytes) = (0, 0);
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
                self.record(&record, line.len());
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
        // What a collector does not take at the end is lost and counted, and the client has said why.
        let end = Instant::now() + GOODBYE;
        let left = || end.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        if let Some((provider, _)) = &self.traces {
            let _ = provider.shutdown_with_timeout(left());
        }
        if let Some((provider, _)) = &self.logs {
            let _ = provider.shutdown_with_timeout(left());
        }
    }
}

/// Who sends: the name that the environment gives, or the program's.
fn resource() -> Resource {
    let builder = Resource::builder();
    let builder = if environment::has_service_name() { builder } else { builder.with_service_name("authtap") };
    builder.with_attribute(KeyValue::new("authtap.version", env!("CARGO_PKG_VERSION"))).build()
}
