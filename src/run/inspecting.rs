//! Joins the inspector page with what it shows: the ring of records, the catalogue, and what the run was asked for.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::sync::watch;

use super::{listen, no_random_bytes, reachable};
use crate::admin::inspector::{Inspector, Kept, News, Numbers, Source};
use crate::cli::RulesFormat;
use crate::config::{Config, Listen, check_no_upstream};
use crate::error::Error;
use crate::exchange::har::recorded::{BETWEEN, CLOSING, OPENING};
use crate::explain;
use crate::queue::Losses;
use crate::sinks::ring::Ring;

/// Random bytes of the token.
const TOKEN: usize = 16;

/// An inspector whose port is taken.
pub(super) struct Bound {
    addr: SocketAddr,
    listener: TcpListener,
    memory: usize,
}

/// An inspector that is ready.
pub(super) struct Inspecting {
    /// What the sinks put records into.
    pub(super) ring: Arc<Ring>,
    /// What the banner says of it.
    pub(super) words: String,
    /// What serves, and where.
    pub(super) listening: (Arc<Inspector>, TcpListener),
}

/// Takes the port, where an inspector is wanted.
pub(super) fn bind(config: &Config) -> Result<Option<Bound>, Error> {
    let Some((wanted, memory)) = config.inspect else { return Ok(None) };
    let (addr, listeners) = listen(wanted, 1).map_err(|error| {
        let port = wanted.port().wrapping_add(1).max(1024);
        error.from_source("--inspect").advice(format!("another port, such as --inspect=:{port}"))
    })?;
    // Now that the port is known, which may have been any that is free.
    check_no_upstream(&config.taps, &[("--inspect", Some(addr))])?;
    Ok(listeners.into_iter().next().map(|listener| Bound { addr, listener, memory }))
}

impl Bound {
    /// Makes the ring and the inspector. `urls` are the taps with their URLs.
    pub(super) fn start(self, config: &Config, urls: &[(String, String)], losses: Losses) -> Result<Inspecting, Error> {
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token).map_err(|error| no_random_bytes(&error))?;
        let token = URL_SAFE_NO_PAD.encode(token);
        let shows_secrets = config.show_secrets.is_some();
        let (grown, news) = watch::channel(News { latest: 0, shows_secrets });
        let ring = Ring::start(self.memory, shows_secrets, move |latest, shows_secrets| {
            grown.send_replace(News { latest, shows_secrets });
        });
        let ring = ring.map_err(|error| Error::run(format!("cannot start the inspector: {error}")))?;
        let inspector = Inspector::new(source(config, urls, &ring, losses, self.memory), &token, news);
        Ok(Inspecting { ring, words: words(self.addr, &token), listening: (inspector, self.listener) })
    }
}

/// What the banner says of the page. The token stands behind `#`, where no program sends it to a server or writes it into its
/// log by itself.
fn words(addr: SocketAddr, token: &str) -> String {
    let url = reachable(&format!("http://{addr}"));
    let warning = match addr.ip().is_loopback() {
        true => String::new(),
        false => format!(
            "WARNING: --inspect: the page and its token go over plain HTTP on {addr}, where others may read along.\n"
        ),
    };
    format!("Watch it at {url}/#token={token}\n{warning}")
}

fn source(config: &Config, urls: &[(String, String)], ring: &Arc<Ring>, losses: Losses, memory: usize) -> Source {
    let taps = config.taps.iter().zip(urls).map(|(tap, (name, url))| {
        let socket = match &tap.listen {
            Listen::Unix(path) => Some(path.display().to_string()),
            Listen::Tcp(_) => None,
        };
        // Where connections are redirected to, which is no place for a client to be pointed at.
        let port = url.rsplit_once(':').filter(|_| config.is_transparent).map(|(_, port)| port);
        json!({ "name": name, "url": url, "upstream": tap.upstream.url(), "socket": socket, "redirected_to": port })
    });
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "taps": taps.collect::<Vec<_>>(),
        "memory": memory,
        "archive": { "opening": OPENING, "between": BETWEEN, "closing": CLOSING },
    });
    Source {
        about: about.to_string().into(),
        rules: explain::rules(RulesFormat::Json).into(),
        kept: Box::new(Shown { ring: ring.clone(), losses }),
    }
}

/// What the page shows.
struct Shown {
    ring: Arc<Ring>,
    losses: Losses,
}

impl Kept for Shown {
    fn rows(&self, after: u64) -> Vec<u8> {
        // Asked for before the rows are read, so that none with a secret is told as masked.
        let shows_secrets = self.ring.shows_secrets();
        let part = self.ring.rows(after);
        let held = self.ring.held();
        let numbers = json!({
            "until": part.until,
            "oldest": held.oldest,
            "next": held.next,
            "dropped": held.dropped,
            "bytes": held.bytes,
            "unseen": self.losses.dropped(),
            "shows_secrets": shows_secrets,
        });
        // The rows are JSON already, one a line.
        let rows: Vec<&[u8]> = part.lines.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()).collect();
        let mut text = numbers.to_string().into_bytes();
        text.pop();
        text.extend_from_slice(b",\"rows\":[");
        text.extend_from_slice(&rows.join(&b','));
        text.extend_from_slice(b"]}");
        text
    }

    fn records(&self, numbers: &Numbers) -> Vec<u8> {
        self.ring.records(numbers).with_place()
    }

    fn entries(&self, numbers: &Numbers) -> Vec<u8> {
        self.ring.entries(numbers).with_place()
    }
}
