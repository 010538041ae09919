//! What is asked of each subject, and what is measured meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::load::{self, Ask, Door};
use crate::subject::{self, Running, Setup, Subject};

/// A number of the table, where there is one.
pub(crate) type Figure = Option<f64>;

/// One of those loads.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) figures: &'static [&'static str],
    tls: Option<&'static [u8]>,
    kind: Kind,
    requests: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Kept(Ask),
    Http2,
    Anew,
    Steady(u32),
    Idle,
}

/// Tenths of a second for that.
const PATIENCE: usize = 100;

const COSTS: &[&str] = &["CPU s / 100,000", "requests / s", "peak MiB"];
const TIMES: &[&str] = &["p50 µs", NOISY, "CPU s / 100,000"];

/// The figure whose noise from round to round is shown as well.
pub(crate) const NOISY: &str = "p99 µs";

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "small",
        title: "A small 200, 64 connections that are kept, a Bearer token of 900 bytes",
        figures: COSTS,
        tls: None,
        kind: Kind::Kept(Ask::Small),
        requests: 60_000,
    },
    Workload {
        name: "refused",
        title: "401 with a challenge, which is a finding each time",
        figures: COSTS,
        tls: None,
        kind: Kind::Kept(Ask::Refused),
        requests: 60_000,
    },
    Workload {
        name: "large",
        title: "Bodies of 1 MiB, there and back",
        figures: COSTS,
        tls: None,
        kind: Kind::Kept(Ask::Large),
        requests: 1_280,
    },
    Workload {
        name: "tls",
        title: "The small 200 over TLS",
        figures: COSTS,
        tls: Some(b"http/1.1"),
        kind: Kind::Kept(Ask::Small),
        requests: 40_000,
    },
    Workload {
        name: "http2",
        title: "The small 200 over HTTP/2 and TLS, 8 connections with 8 streams each, HTTP/1.1 behind",
        figures: COSTS,
        tls: Some(b"h2"),
        kind: Kind::Http2,
        requests: 40_000,
    },
    Workload {
        name: "anew",
        title: "The small 200, each over a new connection on both sides",
        figures: COSTS,
        tls: None,
        kind: Kind::Anew,
        requests: 16_000,
    },
    Workload {
        name: "steady",
        title: "2,000 requests in each second, 64 connections that are kept",
        figures: TIMES,
        tls: None,
        kind: Kind::Steady(2_000),
        requests: 10_000,
    },
    Workload {
        name: "idle",
        title: "5,000 connections that served one request each and are idle",
        figures: &["KiB / connection"],
        tls: None,
        kind: Kind::Idle,
        requests: 5_000,
    },
];

impl Workload {
    pub(crate) fn has(&self, subject: Subject) -> bool {
        self.tls.is_none() || subject.has_tls()
    }

    /// Starts the subject, warms it up, and measures.
    pub(crate) fn measure(&self, subject: Subject, origin: SocketAddr, share: usize, folder: &Path) -> Vec<Figure> {
        let setup = Setup { tls: self.tls.is_some(), is_anew: matches!(self.kind, Kind::Anew) };
        let running = subject::start(subject, origin, setup, &folder.join(subject.name()));
        let door = Door { addr: running.addr, tls: self.tls.map(client_of) };
        // It takes a hundred times as long.
        let slowness = if subject == Subject::Mitmproxy { 25 } else { 1 };
        let requests = (self.requests * share / 100 / slowness).max(load::CONNECTIONS);
        match self.kind {
            Kind::Idle => self.held(&running, door, requests),
            Kind::Steady(each_second) => {
                let each_second = each_second / slowness as u32;
                load::run(load::kept(door.clone(), Ask::Small, requests / 8));
                let before = cpu(&running);
                let (mut took, _) = load::run(load::steady(door, each_second, requests));
                let spent = cpu(&running).zip(before).map(|(now, before)| now - before);
                took.sort_unstable();
                let part = |share: usize| took.get(took.len() * share / 100).map(|took| took.as_secs_f64() * 1e6);
                vec![part(50), part(99), spent.map(|spent| each_100_000(spent, took.len()))]
            }
            kind => {
                self.send(kind, &door, requests / 8);
                let before = cpu(&running);
                let took = self.send(kind, &door, requests);
                let spent = cpu(&running).zip(before).map(|(now, before)| now - before);
                let memory = running.tree().map(|tree| tree.peak_memory() as f64 / 1024.0);
                vec![
                    spent.map(|spent| each_100_000(spent, requests)),
                    Some(requests as f64 / took.as_secs_f64()),
                    memory,
                ]
            }
        }
    }

    fn send(&self, kind: Kind, door: &Door, requests: usize) -> Duration {
        let door = door.clone();
        match kind {
            Kind::Kept(ask) => load::run(load::kept(door, ask, requests)).1,
            Kind::Http2 => load::run(load::http2(door, requests)).1,
            Kind::Anew => load::run(load::anew(door, requests)).1,
            Kind::Steady(_) | Kind::Idle => Duration::ZERO,
        }
    }

    fn held(&self, running: &Running, door: Door, connections: usize) -> Vec<Figure> {
        let Some(tree) = running.tree() else { return vec![None] };
        // What is remembered of earlier connections grows to its bound, and does not belong to those that are open.
        load::run(load::anew(door.clone(), 2 * connections));
        let before = tree.memory();
        let (after, _) = load::run(load::idle(door, connections, || tree.memory()));
        vec![Some(after.saturating_sub(before) as f64 / connections as f64)]
    }
}

/// The processor time so far, once the subject has done what is left to do behind its answers.
fn cpu(running: &Running) -> Option<Duration> {
    let tree = running.tree()?;
    let mut before = tree.cpu();
    for _ in 0..PATIENCE {
        thread::sleep(Duration::from_millis(100));
        let now = tree.cpu();
        if now == before {
            break;
        }
        before = now;
    }
    Some(before)
}

fn each_100_000(spent: Duration, requests: usize) -> f64 {
    spent.as_secs_f64() * 100_000.0 / requests as f64
}

fn client_of(protocol: &'static [u8]) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let ca = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/ca.pem");
    for cert in CertificateDer::pem_file_iter(ca).expect("the tests' CA") {
        roots.add(cert.expect("a certificate")).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}
