//! What earlier requests told of the gateways that they passed.

use std::hash::{BuildHasher, RandomState};

use super::table::{Bounded, Table};
use crate::auth::NtlmStep;
use crate::exchange::view::path_of;
use crate::hops::{Answer, Crossing, Sighting, Value};

/// Entries of each table.
const ENTRIES: usize = 4096;
/// Schemes of one gateway.
const SCHEMES: usize = 8;

/// What earlier requests told of gateways: bounded like all that is remembered.
pub struct Hops {
    /// The schemes for which the gateway itself asked, by the tap before it and the host.
    asked: Table<u64, Vec<String>>,
    /// The last refusal of the backend that came through, by the tap before the gateway and the target.
    refusals: Table<u64, Option<u64>>,
    /// Which connection behind the gateway carried a client's handshake, by the client's connection before it.
    handshakes: Table<u64, Option<u64>>,
    /// Which client's connection authenticated a connection behind the gateway.
    authenticated: Table<u64, Option<u64>>,
    hashes: RandomState,
}

impl Default for Hops {
    fn default() -> Self {
        Hops {
            asked: Table::new(ENTRIES),
            refusals: Table::new(ENTRIES),
            handshakes: Table::new(ENTRIES),
            authenticated: Table::new(ENTRIES),
            hashes: RandomState::new(),
        }
    }
}

impl Hops {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.asked, &mut self.refusals, &mut self.handshakes, &mut self.authenticated]
    }

    /// Whether the gateway itself has asked for credentials of this scheme, which is in lower case.
    pub fn gateway_asked_for(&self, crossing: &Crossing<'_>, scheme: &str) -> bool {
        self.asked.get(&self.gateway(crossing)).is_some_and(|schemes| schemes.iter().any(|known| known == scheme))
    }

    /// Whether the refusal that this request got is, to the letter, one that the backend gave to an earlier request for the
    /// same target.
    pub fn backend_refused_so(&self, crossing: &Crossing<'_>) -> bool {
        let Some(answer) = &crossing.outer.answer else { return false };
        let earlier = self.refusals.get(&self.target(crossing.outer)).copied().flatten();
        earlier == Some(self.signature(answer))
    }

    /// The number of the connection behind the gateway on which the handshake of this client's connection began.
    pub fn handshake_on(&self, connection: u64) -> Option<u64> {
        self.handshakes.get(&connection).copied().flatten()
    }

    /// The number of the client's connection that authenticated this connection behind the gateway.
    pub fn authenticated_by(&self, connection: u64) -> Option<u64> {
        self.authenticated.get(&connection).copied().flatten()
    }

    /// Learns from a request's way over a hop, after it was judged.
    pub fn learn(&mut self, crossing: &Crossing<'_>) {
        let outer = crossing.outer;
        let behind = crossing.last().and_then(|attempt| attempt.inner.answer.as_ref());
        if let Some(answer) = outer.answer.as_ref().filter(|answer| matches!(answer.status, 401 | 403 | 407)) {
            if crossing.attempts.is_empty() && crossing.running == 0 && crossing.is_certain {
                self.learn_gateway(crossing, answer);
            } else if behind.is_some_and(|behind| behind.status == answer.status) {
                let signature = self.signature(answer);
                let target = self.target(outer);
                self.refusals.set(target, Some(signature));
            }
        }
        self.learn_connections(crossing);
    }

    fn learn_gateway(&mut self, crossing: &Crossing<'_>, answer: &Answer) {
        // A refusal out of a cache is the backend's.
        if self.backend_refused_so(crossing) {
            return;
        }
        let schemes = answer.message.fields.iter().filter(|line| line.name.eq_ignore_ascii_case("www-authenticate"));
        let schemes: Vec<String> = schemes.filter_map(|line| first_word(&line.value)).collect();
        let gateway = self.gateway(crossing);
        let known = self.asked.entry(gateway);
        for scheme in schemes {
            if !known.contains(&scheme) && known.len() < SCHEMES {
                known.push(scheme);
            }
        }
    }

    fn learn_connections(&mut self, crossing: &Crossing<'_>) {
        let Some(attempt) = crossing.last() else { return };
        let (Some(outer), Some(inner)) = (crossing.outer.connection, attempt.inner.connection) else { return };
        let Some(view) = crossing.outer.view else { return };
        match view.ntlm_sent() {
            Some(NtlmStep::Negotiate) => self.handshakes.set(outer, Some(inner)),
            Some(NtlmStep::Authenticate) if view.is_success() => self.authenticated.set(inner, Some(outer)),
            _ => {}
        }
    }

    fn gateway(&self, crossing: &Crossing<'_>) -> u64 {
        let host = crossing.outer.authority.as_ref().map(|host| host.to_ascii_lowercase());
        self.hashes.hash_one((&crossing.outer.tap, host))
    }

    fn target(&self, outer: &Sighting<'_>) -> u64 {
        let path = match &outer.target {
            Value::Seen(secret) => path_of(secret.expose()).to_vec(),
            Value::Shown(text) => path_of(text.as_bytes()).to_vec(),
            Value::Digest { .. } => Vec::new(),
        };
        self.hashes.hash_one((&outer.tap, &outer.authority, &outer.method, path))
    }

    /// What makes a refusal the same as another one: its status, its challenge, and what it says of its body.
    fn signature(&self, answer: &Answer) -> u64 {
        const SAME: [&str; 5] = ["www-authenticate", "content-type", "content-length", "etag", "last-modified"];
        let mut lines: Vec<(String, Vec<u8>)> = Vec::new();
        for line in &answer.message.fields {
            let name = line.name.to_ascii_lowercase();
            if SAME.contains(&name.as_str()) {
                let value = match &line.value {
                    Value::Seen(secret) => secret.expose().to_vec(),
                    Value::Shown(text) => text.clone().into_bytes(),
                    Value::Digest { fingerprint, .. } => fingerprint.to_string().into_bytes(),
                };
                lines.push((name, value));
            }
        }
        lines.sort_unstable();
        self.hashes.hash_one((answer.status, lines))
    }
}

fn first_word(value: &Value) -> Option<String> {
    let text = match value {
        Value::Seen(secret) => String::from_utf8_lossy(secret.expose()).into_owned(),
        Value::Shown(text) => text.clone(),
        Value::Digest { .. } => return None,
    };
    text.split([' ', ',']).next().map(str::to_ascii_lowercase).filter(|word| !word.is_empty() && word.len() <= 64)
}
