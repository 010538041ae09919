//! What challenges said, and whether it was found where they said.

use jiff::{SignedDuration, Timestamp};

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::location::Address;
use crate::exchange::view::path_of;

/// Entries of each table.
const ENTRIES: usize = 4096;
/// Realms that are kept of one host.
const REALMS: usize = 8;
/// Paths that are kept of those whose challenges named one place, with the paths above them.
const PATHS: usize = 32;
/// For so long what was named or found counts.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

const PROTECTED_RESOURCE: &[u8] = b"/.well-known/oauth-protected-resource";
const SERVERS: [&[u8]; 2] = [b"/.well-known/oauth-authorization-server", b"/.well-known/openid-configuration"];

/// What a host answered where clients look for metadata by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WellKnown {
    /// The last answer where the metadata of a protected resource may be (RFC 9728 3); a success stays.
    pub resource: Option<(Timestamp, u16)>,
    /// Whether the metadata of an authorization server was found (RFC 8414 3).
    pub has_server: bool,
}

/// That challenges named a place for metadata.
#[derive(Clone, Default)]
struct Named {
    time: Option<Timestamp>,
    /// Hashes of the paths that were asked for, and of those above them.
    paths: Vec<u64>,
}

/// All of them: bounded like all that is remembered.
pub(super) struct Challenges {
    /// When a challenge named a place for metadata, by its host and path.
    named: Table<u64, Named>,
    /// By the host.
    well_known: Table<u64, WellKnown>,
    /// Hashes of the realms for passwords, by the host.
    realms: Table<u64, Vec<u64>>,
    hashes: Hashes,
}

impl Default for Challenges {
    fn default() -> Self {
        Challenges {
            named: Table::new(ENTRIES),
            well_known: Table::new(ENTRIES),
            realms: Table::new(ENTRIES),
            hashes: Hashes::default(),
        }
    }
}

impl Challenges {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.named, &mut self.well_known, &mut self.realms]
    }

    /// When a challenge sent clients to this exchange's path for metadata.
    pub(super) fn named(&self, view: &View<'_>) -> Option<Timestamp> {
        self.named_here(view)?.time
    }

    /// Whether a challenge that sent clients to this exchange's path for metadata stood at that path, or below it. `None`
    /// where no challenge did.
    pub(super) fn is_named_at(&self, view: &View<'_>, path: &[u8]) -> Option<bool> {
        Some(self.named_here(view)?.paths.contains(&self.hashes.of_text(path)))
    }

    fn named_here(&self, view: &View<'_>) -> Option<&Named> {
        if self.named.is_empty() {
            return None;
        }
        let host = Address::of_request(view)?.host;
        let named = self.named.get(&self.place(view, &host, view.path()))?;
        (view.exchange().time.duration_since(named.time?) <= RECENT).then_some(named)
    }

    /// What this exchange's host answered where clients look for metadata.
    pub(super) fn well_known(&self, view: &View<'_>) -> WellKnown {
        self.well_known.get(&view.host()).copied().unwrap_or_default()
    }

    /// How many realms this exchange's host has asked passwords for, beside this one.
    pub(super) fn other_realms(&self, view: &View<'_>, realm: &str) -> usize {
        let this = self.hashes.of_text(realm.as_bytes());
        self.realms.get(&view.host()).map_or(0, |realms| realms.iter().filter(|known| **known != this).count())
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let time = view.exchange().time;
        for challenge in view.challenges(false) {
            let url = challenge.param("resource_metadata").filter(|_| challenge.scheme == Scheme::Bearer);
            if let Some((url, address)) = url.and_then(|url| Some((url, Address::parse(url)?))) {
                let place = self.place(view, &address.host, path_of(url.as_bytes()));
                let named = self.named.entry(place);
                named.time = Some(time);
                for path in with_those_above(view.path()) {
                    let path = self.hashes.of_text(path);
                    if !named.paths.contains(&path) {
                        named.paths.insert(0, path);
                    }
                }
                named.paths.truncate(PATHS);
            }
            if let (Scheme::Basic | Scheme::Digest, Some(realm)) = (&challenge.scheme, challenge.param("realm")) {
                let (host, realm) = (view.host(), self.hashes.of_text(realm.as_bytes()));
                let realms = self.realms.entry(host);
                if !realms.contains(&realm) {
                    realms.insert(0, realm);
                    realms.truncate(REALMS);
                }
            }
        }
        let status = view.status();
        if status == 0 || view.method() != b"GET" {
            return;
        }
        let is_found = (200..300).contains(&status);
        if view.path().starts_with(PROTECTED_RESOURCE) {
            let host = view.host();
            let known = &mut self.well_known.entry(host).resource;
            let was_found = known.is_some_and(|(_, status)| (200..300).contains(&status));
            if is_found || !was_found {
                *known = Some((time, status));
            }
        } else if is_found && SERVERS.iter().any(|place| view.path().starts_with(place)) {
            let host = view.host();
            self.well_known.entry(host).has_server = true;
        }
    }

    fn place(&self, view: &View<'_>, host: &str, path: &[u8]) -> u64 {
        self.hashes.of((tap(view), self.hashes.of_text(host.as_bytes()), self.hashes.of_text(path)))
    }
}

/// A path, and each that is above it, with the slash at its end and without.
fn with_those_above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let above = memchr::memrchr_iter(b'/', path).flat_map(|at| [path.get(..=at), path.get(..at)]);
    std::iter::once(path).chain(above.flatten()).take(PATHS / 2)
}

fn tap<'a>(view: &View<'a>) -> &'a str {
    &view.exchange().tap.name
}
