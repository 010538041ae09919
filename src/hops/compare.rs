//! Names the differences between what two taps saw of one request.

use super::difference::NameCase;
use super::fields::{Comparing, compare_fields, told_value};
use super::rewrite::{rewrite, rewrite_path};
use super::{Change, Difference, Kind, Rewrite, Side, Sighting, Told, Value};
use crate::auth::FingerprintKey;
use crate::exchange::names;
use crate::exchange::redact::Redactor;

/// What the hop between `outer` and `inner` changed: in the request from the outer to the inner tap, in the answer from
/// the inner to the outer one. `key` is that under which the fingerprints of both were made.
pub fn compare(
    outer: &Sighting<'_>,
    inner: &Sighting<'_>,
    redactor: &Redactor,
    key: &FingerprintKey,
) -> Vec<Difference> {
    let mut found = Vec::new();
    if outer.method != inner.method {
        let told = |method: &str| Told::plain(redactor.name(method.as_bytes()));
        found.push(
            Difference::sure(Side::Request, Kind::Target, ":method", Change::Changed)
                .between(told(&outer.method), told(&inner.method)),
        );
    }
    compare_targets(outer, inner, redactor, key, &mut found);
    compare_hosts(outer, inner, redactor, key, &mut found);
    let request = Comparing {
        side: Side::Request,
        before: &outer.request,
        after: &inner.request,
        sent: Some((&outer.credentials, &inner.credentials)),
        redactor,
        key,
    };
    compare_fields(&request, &mut found);
    for difference in &mut found {
        mark_signed(outer, difference);
    }
    if let (Some(behind), Some(before)) = (&inner.answer, &outer.answer)
        && !behind.by_tap
        && !before.by_tap
    {
        if behind.status != before.status {
            let told = |status: u16| Told::plain(status.to_string());
            found.push(
                Difference::sure(Side::Answer, Kind::Status, ":status", Change::Changed)
                    .between(told(behind.status), told(before.status)),
            );
        }
        let answer = Comparing {
            side: Side::Answer,
            before: &behind.message,
            after: &before.message,
            sent: None,
            redactor,
            key,
        };
        compare_fields(&answer, &mut found);
    }
    found
}

/// A field that a signature covers matters for that reason, unless it does for a better one.
fn mark_signed(outer: &Sighting<'_>, difference: &mut Difference) {
    let is_plain = matches!(difference.kind, Kind::Other | Kind::Plumbing | Kind::Forwarded | Kind::Cors);
    // That a name is spelled in another way changes no signature.
    let is_recased = matches!(difference.change, Change::Recased { .. });
    if is_plain && !is_recased && outer.signed.contains(&difference.name) {
        difference.kind = Kind::Signed;
    }
}

fn compare_hosts(
    outer: &Sighting<'_>,
    inner: &Sighting<'_>,
    redactor: &Redactor,
    key: &FingerprintKey,
    found: &mut Vec<Difference>,
) {
    // What counts for the next tap is what left the one before.
    let host = |sighting: &Sighting<'_>, set: Option<&String>| -> Option<(String, Value)> {
        let line = sighting.request.fields.iter().find(|line| line.name.eq_ignore_ascii_case("host"));
        let name = line.map_or_else(|| ":authority".to_owned(), |line| line.name.clone());
        let value = match (set.or(sighting.authority.as_ref()), line) {
            (Some(authority), _) => Value::Seen(crate::auth::Secret::new(authority.clone().into_bytes().into())),
            (None, Some(line)) => line.value.clone(),
            (None, None) => return None,
        };
        Some((name, value))
    };
    let (before, after) = (host(outer, outer.set_authority.as_ref()), host(inner, None));
    let told = |(name, value): &(String, Value)| Told::named(name, told_value(redactor, "host", value));
    let change = match (&before, &after) {
        (None, None) => return,
        // What is not known to be missing had no room, or was cut off.
        (Some(_), None) if !inner.request.extent.has_all_of("host") => return,
        (None, Some(_)) if !outer.request.extent.has_all_of("host") => return,
        (Some(_), None) => Change::Removed,
        (None, Some(_)) => Change::Added,
        (Some((_, before)), Some((_, after))) if is_same_host(before, after, key) => return,
        (Some((_, before)), Some((_, after))) => match (text(before), text(after)) {
            (Some(before), Some(after)) if without_port(&before) == after || before == without_port(&after) => {
                Change::Rewritten(Rewrite::Port)
            }
            _ => Change::Changed,
        },
    };
    let mut difference = Difference::sure(Side::Request, Kind::Host, "host", change);
    difference.before = before.as_ref().map(told);
    difference.after = after.as_ref().map(told);
    found.push(difference);
}

/// Names of hosts are compared without regard to case (RFC 9110 4.2.3).
fn is_same_host(one: &Value, other: &Value, key: &FingerprintKey) -> bool {
    match (text(one), text(other)) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(&other),
        _ => one.is_same(other, key),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Seen(secret) => Some(String::from_utf8_lossy(secret.expose()).into_owned()),
        Value::Shown(text) => Some(text.clone()),
        Value::Digest { .. } => None,
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A target in its parts. Of one that only a digest is known of there are none.
struct Target {
    has_origin: bool,
    path: String,
    query: String,
}

fn parts(value: &Value) -> Option<Target> {
    let text = text(value)?;
    let (has_origin, rest) = match text.find("://") {
        Some(at) if !text.starts_with('/') => {
            let path = text.get(at + 3..).and_then(|rest| rest.find('/')).map_or(text.len(), |slash| at + 3 + slash);
            (true, text.get(path..).unwrap_or_default().to_owned())
        }
        _ => (false, text),
    };
    let (path, query) = rest.split_once('?').unwrap_or((&rest, ""));
    let path = if has_origin && path.is_empty() { "/" } else { path };
    Some(Target { has_origin, path: path.to_owned(), query: query.to_owned() })
}

fn compare_targets(
    outer: &Sighting<'_>,
    inner: &Sighting<'_>,
    redactor: &Redactor,
    key: &FingerprintKey,
    found: &mut Vec<Difference>,
) {
    let told = |value: &Value| {
        Told::plain(match value {
            Value::Seen(secret) => redactor.target(secret.expose()),
            Value::Shown(text) => text.clone(),
            Value::Digest { length, .. } => format!("({length} bytes)"),
        })
    };
    let difference = |change: Change| {
        Difference::sure(Side::Request, Kind::Target, ":target", change)
            .between(told(&outer.target), told(&inner.target))
    };
    let (Some(before), Some(after)) = (parts(&outer.target), parts(&inner.target)) else {
        // A digest has the path alone.
        let own = |value: &Value| match parts(value) {
            Some(target) => Value::Seen(crate::auth::Secret::new(target.path.into_bytes().into())),
            None => value.clone(),
        };
        if !own(&outer.target).is_same(&own(&inner.target), key) {
            found.push(difference(Change::Changed));
        }
        return;
    };
    if before.path != after.path {
        let change = rewrite_path(&before.path, &after.path).map_or(Change::Changed, Change::Rewritten);
        found.push(difference(change));
    } else if before.has_origin != after.has_origin {
        found.push(difference(Change::Rewritten(Rewrite::TargetForm)));
    }
    compare_queries(&before.query, &after.query, redactor, found, difference);
}

fn compare_queries(
    before: &str,
    after: &str,
    redactor: &Redactor,
    found: &mut Vec<Difference>,
    of_target: impl Fn(Change) -> Difference,
) {
    if before == after {
        return;
    }
    let (old, new) = (pairs(before), pairs(after));
    let mut sorted = (old.clone(), new.clone());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    if sorted.0 == sorted.1 {
        found.push(of_target(Change::Reordered));
        return;
    }
    let shown = |name: &str, value: &str| {
        // What a record shows is masked already.
        if value.starts_with("<redacted") {
            return Told::named(name, value);
        }
        let text = redactor.target(format!("?{name}={value}").as_bytes());
        Told::named(name, text.split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default())
    };
    let count = found.len();
    let values = |pairs: &[(&str, &str)], name: &str| -> Vec<String> {
        pairs.iter().filter(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()).collect()
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in old.iter().chain(&new) {
        if !names.contains(name) && names.len() < 256 {
            names.push(name);
        }
    }
    for name in names {
        let (from, to) = (values(&old, name), values(&new, name));
        if from == to {
            continue;
        }
        let change = match (from.as_slice(), to.as_slice()) {
            (_, []) => Change::Removed,
            ([], _) => Change::Added,
            ([one], [other]) => rewrite(one.as_bytes(), other.as_bytes()).map_or(Change::Changed, Change::Rewritten),
            (from, to) if to.len() > from.len() && to.iter().all(|value| from.contains(value)) => {
                Change::Duplicated { from: from.len(), to: to.len() }
            }
            _ => Change::Changed,
        };
        let kind = if names::is_key_parameter(name.as_bytes()) { Kind::Credentials } else { Kind::Target };
        let mut difference = Difference::sure(Side::Request, kind, &format!("?{name}"), change);
        difference.before = from.first().map(|value| shown(name, value));
        difference.after = to.first().map(|value| shown(name, value));
        found.push(difference);
    }
    if found.len() == count {
        found.push(of_target(Change::Changed));
    }
}

fn pairs(query: &str) -> Vec<(&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
}

impl Difference {
    /// One that follows from what was recorded.
    pub(super) fn sure(side: Side, kind: Kind, name: &str, change: Change) -> Self {
        Difference { side, kind, name: name.to_owned(), change, before: None, after: None, is_sure: true }
    }

    /// Says how it looked on both sides.
    pub(super) fn between(mut self, before: Told, after: Told) -> Self {
        self.before = Some(before);
        self.after = Some(after);
        self
    }
}

impl Told {
    /// Something without a name.
    pub(super) fn plain(value: impl Into<String>) -> Self {
        Told { name: String::new(), value: value.into(), about: Vec::new() }
    }

    /// Something with a name.
    pub(super) fn named(name: &str, value: impl Into<String>) -> Self {
        Told { name: name.to_owned(), value: value.into(), about: Vec::new() }
    }
}

/// Whether all names are spelled in that case, as far as they have letters.
pub(super) fn is_all_in(case: NameCase, mut names: impl Iterator<Item = NameCase>) -> bool {
    names.all(|found| found == case)
}
