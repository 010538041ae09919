//! Names the differences between the fields of a message before and behind a hop.

use std::collections::HashMap;

use super::compare::is_all_in;
use super::difference::NameCase;
use super::kinds::kind_of;
use super::rewrite::{is_round, name_case, rewrite};
use super::{Change, Credential, Difference, Kind, Line, Message, Rewrite, Side, Told, Value};
use crate::auth::{FingerprintKey, Scheme};
use crate::exchange::Version;
use crate::exchange::redact::Redactor;

/// A message on both sides of a hop.
pub(super) struct Comparing<'a> {
    pub(super) side: Side,
    pub(super) before: &'a Message,
    pub(super) after: &'a Message,
    /// The credentials of a request, before and behind.
    pub(super) sent: Option<(&'a [Credential], &'a [Credential])>,
    pub(super) redactor: &'a Redactor,
    pub(super) key: &'a FingerprintKey,
}

/// The lines of one name.
#[derive(Default)]
struct Group<'a> {
    before: Vec<&'a Line>,
    after: Vec<&'a Line>,
}

/// What is removed or added is matched with each other to find what was renamed; more than this is not looked through.
const RENAMES: usize = 64;

/// A value shorter than this may stand in two fields by chance.
const DISTINCTIVE: usize = 8;

pub(super) fn compare_fields(comparing: &Comparing<'_>, found: &mut Vec<Difference>) {
    if is_untouched(comparing) {
        return;
    }
    let (names, groups) = grouped(comparing);
    let mut gone = Vec::new();
    let mut new = Vec::new();
    let mut recased = Vec::new();
    let start = found.len();
    for name in &names {
        let Some(group) = groups.get(name.as_str()) else { continue };
        // The host is compared by itself, since over HTTP/2 it is no field.
        if name == "host" && group.before.len() <= 1 && group.after.len() <= 1 {
            continue;
        }
        match (group.before.as_slice(), group.after.as_slice()) {
            (before, []) => gone.push((name.as_str(), before)),
            ([], after) => new.push((name.as_str(), after)),
            (before, after) => {
                let change = comparing.change(name, before, after);
                if let Some((change, is_sure)) = change {
                    found.push(comparing.difference(name, change, is_sure, before.first(), after.first()));
                } else if before.iter().zip(after).any(|(before, after)| before.name != after.name) {
                    recased.push((name.as_str(), before, after));
                }
            }
        }
    }
    comparing.pair_renamed(&mut gone, &mut new, &groups, found, start);
    for (name, before) in gone {
        if let Some((change, is_sure)) = comparing.removal(name, before) {
            found.push(comparing.difference(name, change, is_sure, before.first(), None));
        }
    }
    for (name, after) in new {
        if comparing.before.extent.has_all_of(name) {
            found.push(comparing.difference(name, Change::Added, true, None, after.first()));
        }
    }
    comparing.name_recased(&recased, &groups, found);
}

/// Whether both sides have the same lines in the same order.
fn is_untouched(comparing: &Comparing<'_>) -> bool {
    let (before, after) = (&comparing.before.fields, &comparing.after.fields);
    before.len() == after.len()
        && before.iter().zip(after).all(|(one, other)| {
            one.name == other.name
                && matches!((one.value.bytes(), other.value.bytes()), (Some(one), Some(other)) if one == other)
        })
}

fn grouped<'a>(comparing: &Comparing<'a>) -> (Vec<String>, HashMap<String, Group<'a>>) {
    let mut names: Vec<String> = Vec::new();
    let mut groups: HashMap<String, Group<'a>> = HashMap::new();
    let sides = [(&comparing.before.fields, false), (&comparing.after.fields, true)];
    for (lines, is_after) in sides {
        for line in lines {
            let name = line.name.to_ascii_lowercase();
            let group = groups.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                Group::default()
            });
            if is_after { group.after.push(line) } else { group.before.push(line) }
        }
    }
    (names, groups)
}

impl Comparing<'_> {
    fn is_http2(&self) -> bool {
        [self.before.version, self.after.version].contains(&Version::Http2)
    }

    fn is_same(&self, one: &Value, other: &Value) -> bool {
        one.is_same(other, self.key)
    }

    /// What became of the lines of a name that are there on both sides; `None` where nothing did.
    fn change(&self, name: &str, before: &[&Line], after: &[&Line]) -> Option<(Change, bool)> {
        let (from, to) = (before.len(), after.len());
        let equal = |one: &[&Line], other: &[&Line]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| self.is_same(&one.value, &other.value))
        };
        if equal(before, after) {
            return None;
        }
        // Lines that are missing where not all are known are no change.
        let is_cut_short =
            (to < from && !self.after.extent.has_all_of(name)) || (from < to && !self.before.extent.has_all_of(name));
        if is_cut_short {
            return None;
        }
        let holds = |lines: &[&Line], value: &Value| lines.iter().any(|line| self.is_same(&line.value, value));
        let is_within = |one: &[&Line], other: &[&Line]| one.iter().all(|line| holds(other, &line.value));
        let is_same_set = is_within(before, after) && is_within(after, before);
        if is_same_set && from == to {
            return Some((Change::Reordered, true));
        }
        if is_same_set {
            let change = if to > from { Change::Duplicated { from, to } } else { Change::Thinned { from, to } };
            return Some((change, true));
        }
        if to < from && self.is_joined(before, after) {
            // Over HTTP/2 a cookie comes in crumbs (RFC 9113 8.2.3), and one line of them is no change.
            return if name == "cookie" && self.is_http2() {
                None
            } else {
                Some((Change::Merged { lines: from }, true))
            };
        }
        if to > from && self.is_joined(after, before) {
            return if name == "cookie" && self.is_http2() { None } else { Some((Change::Split { lines: to }, true)) };
        }
        if to > from && is_within(before, after) {
            return Some((Change::Added, true));
        }
        if to < from && is_within(after, before) {
            return Some((Change::Removed, true));
        }
        let differing = before.iter().zip(after).find(|(one, other)| !self.is_same(&one.value, &other.value));
        differing.map(|(one, other)| self.rewritten(name, one, other))
    }

    /// Whether the many lines are the few, joined in one or more of them.
    fn is_joined(&self, many: &[&Line], few: &[&Line]) -> bool {
        let [joined] = few else { return false };
        let Some(joined) = text_of(&joined.value) else { return false };
        let parts: Option<Vec<&[u8]>> = many.iter().map(|line| text_of(&line.value)).collect();
        parts.is_some_and(|parts| [&b", "[..], b",", b"; ", b";"].iter().any(|by| parts.join(*by) == joined))
    }

    /// How one value became another.
    fn rewritten(&self, name: &str, before: &Line, after: &Line) -> (Change, bool) {
        let kind = kind_of(name, self.side);
        let both = (self.credential(before, false), self.credential(after, true));
        if let (Some(old), Some(new)) = both
            && old.secret == new.secret
        {
            let change = match (old.scheme_as_sent.as_str(), new.scheme_as_sent.as_str()) {
                (old, new) if old == new => match (text_of(&before.value), text_of(&after.value)) {
                    (Some(before), Some(after)) => rewrite(before, after).unwrap_or(Rewrite::WhiteSpace),
                    _ => Rewrite::WhiteSpace,
                },
                (old, new) if old.eq_ignore_ascii_case(new) => Rewrite::SchemeCase,
                _ => Rewrite::Scheme,
            };
            return (Change::Rewritten(change), true);
        }
        if let (Some(one), Some(other)) = (before.value.bytes(), after.value.bytes()) {
            return match rewrite(one, other) {
                Some(rewrite) => (Change::Rewritten(rewrite), true),
                None if kind == Kind::Credentials => (Change::Replaced { kept_in: None }, true),
                None => (Change::Changed, true),
            };
        }
        if kind != Kind::Credentials {
            return (Change::Changed, true);
        }
        match both {
            (Some(old), Some(new)) => guess_cut(old, new),
            _ => (Change::Replaced { kept_in: None }, true),
        }
    }

    /// The credential that a line carries.
    fn credential(&self, line: &Line, is_after: bool) -> Option<&Credential> {
        let (before, after) = self.sent?;
        let all = if is_after { after } else { before };
        let mut named = all.iter().filter(|credential| credential.name == line.name);
        let lines = if is_after { &self.after.fields } else { &self.before.fields };
        let nth = lines.iter().filter(|other| other.name == line.name).position(|other| std::ptr::eq(other, line))?;
        named.nth(nth)
    }

    /// Finds what stands under another name now.
    fn pair_renamed<'l>(
        &self,
        gone: &mut Vec<(&'l str, &'l [&'l Line])>,
        new: &mut Vec<(&'l str, &'l [&'l Line])>,
        groups: &HashMap<String, Group<'_>>,
        found: &mut Vec<Difference>,
        start: usize,
    ) {
        if gone.len() > RENAMES || new.len() > RENAMES {
            return;
        }
        gone.retain(|(name, before)| {
            let Some(line) = before.first() else { return true };
            if let Some(at) = new.iter().position(|(to, after)| self.is_renamed(name, line, to, after)) {
                let (_, after) = new.remove(at);
                let to = after.first().map(|line| line.name.clone()).unwrap_or_default();
                found.push(self.difference(name, Change::Renamed(to), true, Some(line), after.first()));
                return false;
            }
            // A token may travel on within the cookie.
            if let Some(cookie) = groups.get("cookie").and_then(|group| group.after.first())
                && self.is_within_cookie(line, cookie)
            {
                let is_its_own = |difference: &Difference| difference.name == "cookie" && difference.side == self.side;
                let changed = found.iter().skip(start).position(is_its_own).map(|at| at + start);
                if let Some(at) = changed {
                    found.remove(at);
                }
                new.retain(|(name, _)| *name != "cookie");
                found.push(self.difference(name, Change::Renamed("Cookie".to_owned()), true, Some(line), Some(cookie)));
                return false;
            }
            true
        });
        // Where other credentials took the place, the old ones may still be there.
        for difference in found.iter_mut().skip(start).filter(|difference| difference.side == self.side) {
            let Change::Replaced { kept_in } = &mut difference.change else { continue };
            let Some(line) = groups.get(&difference.name).and_then(|group| group.before.first()) else { continue };
            if let Some(at) = new.iter().position(|(to, after)| self.is_renamed(&difference.name, line, to, after)) {
                let (_, after) = new.remove(at);
                *kept_in = after.first().map(|line| line.name.clone());
            }
        }
    }

    fn is_renamed(&self, name: &str, line: &Line, to: &str, after: &[&Line]) -> bool {
        let Some(other) = after.first() else { return false };
        let kind = kind_of(name, self.side);
        let secret = match (self.credential(line, false), self.credential(other, true)) {
            (Some(old), Some(new)) => old.secret == new.secret,
            _ => false,
        };
        let is_distinctive = match kind {
            Kind::Credentials | Kind::Challenge => true,
            Kind::Plumbing => false,
            _ => line.value.bytes().is_some_and(|bytes| bytes.len() >= DISTINCTIVE),
        };
        let is_bare = || match (self.secret_of(line), other.value.bytes()) {
            (Some(secret), Some(bytes)) => secret.len() >= DISTINCTIVE && secret == bytes,
            _ => false,
        };
        let to_plumbing = kind_of(to, self.side) == Kind::Plumbing;
        !to_plumbing && (secret || is_bare() || (is_distinctive && self.is_same(&line.value, &other.value)))
    }

    /// What stands behind the scheme, for lines of credentials.
    fn secret_of<'l>(&self, line: &'l Line) -> Option<&'l [u8]> {
        let credential = self.credential(line, false)?;
        let bytes = line.value.bytes()?;
        let rest = bytes.get(credential.scheme_as_sent.len()..)?;
        Some(rest.trim_ascii())
    }

    fn is_within_cookie(&self, line: &Line, cookie: &Line) -> bool {
        let (Some(secret), Some(cookie)) = (self.secret_of(line), cookie.value.bytes()) else { return false };
        secret.len() >= DISTINCTIVE
            && cookie.split(|byte| *byte == b';').any(|pair| {
                let value = memchr::memchr(b'=', pair).and_then(|at| pair.get(at + 1..)).unwrap_or_default();
                value.trim_ascii() == secret
            })
    }

    /// What became of lines that are not in the head any more; `None` where nothing can be said.
    fn removal(&self, name: &str, before: &[&Line]) -> Option<(Change, bool)> {
        let moved = self.after.trailers.iter().any(|trailer| {
            trailer.name.eq_ignore_ascii_case(name)
                && before.first().is_some_and(|line| self.is_same(&line.value, &trailer.value))
        });
        if moved {
            return Some((Change::MovedToTrailer, true));
        }
        self.after.extent.has_all_of(name).then_some((Change::Removed, true))
    }

    /// Names that are spelled in another way: each by itself, or all at once where a program writes all so.
    fn name_recased(
        &self,
        recased: &[(&str, &[&Line], &[&Line])],
        groups: &HashMap<String, Group<'_>>,
        found: &mut Vec<Difference>,
    ) {
        let unknown = [self.before.version, self.after.version].contains(&Version::Unknown);
        if self.is_http2() || unknown || recased.is_empty() {
            return;
        }
        let now = || groups.values().flat_map(|group| &group.after).map(|line| name_case(&line.name));
        let regular = [NameCase::Lower, NameCase::Title, NameCase::Upper];
        let case = regular.into_iter().find(|case| is_all_in(*case, now()));
        // Host is compared elsewhere, and its name is spelled like the others.
        let host = groups.get("host").and_then(|group| Some((group.before.first()?, group.after.first()?)));
        let count = recased.len() + usize::from(host.is_some_and(|(before, after)| before.name != after.name));
        if let (Some(to), true) = (case, count > 1) {
            let list = |firsts: Vec<&Line>| {
                Told::plain(firsts.into_iter().take(4).map(|line| self.shown_name(line)).collect::<Vec<_>>().join(", "))
            };
            let before = list(recased.iter().filter_map(|(_, before, _)| before.first().copied()).collect());
            let after = list(recased.iter().filter_map(|(_, _, after)| after.first().copied()).collect());
            let change = Change::Recased { all: true, to };
            found.push(Difference::sure(self.side, Kind::Plumbing, "*", change).between(before, after));
            return;
        }
        for (name, before, after) in recased {
            let to = after.first().map_or(NameCase::Mixed, |line| name_case(&line.name));
            let change = Change::Recased { all: false, to };
            found.push(self.difference(name, change, true, before.first(), after.first()));
        }
    }

    fn shown_name(&self, line: &Line) -> String {
        self.redactor.name(line.name.as_bytes()).into_owned()
    }

    fn difference(
        &self,
        name: &str,
        change: Change,
        is_sure: bool,
        before: Option<&&Line>,
        after: Option<&&Line>,
    ) -> Difference {
        // Where a line more or less is the point, the one that makes the difference is shown.
        let after = match (&change, before) {
            (Change::Added, Some(_)) => self.odd_one(name, self.after, self.before).or(after.copied()),
            _ => after.copied(),
        };
        let before = match change {
            Change::Removed if after.is_some() => self.odd_one(name, self.before, self.after).or(before.copied()),
            _ => before.copied(),
        };
        let after = if change == Change::Removed { None } else { after };
        let before = if change == Change::Added { None } else { before };
        let kind = kind_of(name, self.side);
        let mut difference = Difference::sure(self.side, kind, name, change);
        difference.before = before.map(|line| self.told(name, line, false));
        difference.after = after.map(|line| self.told(name, line, true));
        // The credential is the same, and what was put to it is no part of what is told of it.
        if difference.change == Change::Rewritten(Rewrite::Extended)
            && let (Some(before), Some(after)) = (before, after)
            && let (Some(one), Some(other)) = (before.value.bytes(), after.value.bytes())
            && self.credential(after, true).is_some()
            && let Some(told) = &mut difference.after
        {
            told.value.push_str(&format!(", and {} bytes more", other.len().saturating_sub(one.len())));
        }
        difference.is_sure = is_sure;
        difference
    }

    /// The first line of a name on one side that the other side does not have.
    fn odd_one<'l>(&self, name: &str, here: &'l Message, there: &Message) -> Option<&'l Line> {
        let named = |line: &&Line| line.name.eq_ignore_ascii_case(name);
        here.fields
            .iter()
            .filter(named)
            .find(|line| !there.fields.iter().filter(named).any(|other| self.is_same(&line.value, &other.value)))
    }

    fn told(&self, name: &str, line: &Line, is_after: bool) -> Told {
        let shown_name = self.shown_name(line);
        let Some(credential) = self.credential(line, is_after) else {
            return Told::named(&shown_name, told_value(self.redactor, name, &line.value));
        };
        let value = match credential.length {
            0 => credential.label.clone(),
            length => format!("{} ({length} bytes)", credential.label),
        };
        let scheme = credential.scheme.as_deref().map(|scheme| Scheme::parse(scheme.as_bytes()));
        let about = [
            scheme.and_then(|scheme| scheme.usual_spelling()).map(|scheme| format!("scheme {scheme}")),
            credential.user.as_ref().map(|user| format!("user {}", self.redactor.text(user))),
            credential.issuer.as_ref().map(|issuer| format!("issuer {}", self.redactor.text(issuer))),
            credential.key_id.as_ref().map(|id| format!("key {}", self.redactor.text(id))),
            credential.audience.first().map(|audience| format!("for {}", self.redactor.text(audience))),
        ];
        Told { name: shown_name, value, about: about.into_iter().flatten().collect() }
    }
}

/// What is known of a value's bytes: all of them, or those that a record shows.
fn text_of(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Seen(secret) => Some(secret.expose()),
        Value::Shown(text) => Some(text.as_bytes()),
        Value::Digest { .. } => None,
    }
}

/// A value as it may be shown.
pub(super) fn told_value(redactor: &Redactor, name: &str, value: &Value) -> String {
    match value {
        Value::Seen(secret) => redactor.field(name.as_bytes(), secret.expose()),
        Value::Shown(text) => text.clone(),
        Value::Digest { length: 0, .. } => "(present)".to_owned(),
        Value::Digest { length, .. } => format!("({length} bytes)"),
    }
}

/// Whether credentials of which only lengths and claims are known were cut or replaced, and whether that is sure.
fn guess_cut(old: &Credential, new: &Credential) -> (Change, bool) {
    let is_shorter = new.length > 0 && new.length < old.length && old.scheme == new.scheme;
    let cut = Change::Rewritten(Rewrite::Cut { at: new.length });
    let is_known = old.issuer.is_some() && old.times != (None, None);
    if is_shorter && is_known && (&old.issuer, old.times) == (&new.issuer, new.times) {
        return (cut, true);
    }
    let is_other_token = new.issuer.is_some() || new.user != old.user;
    if is_shorter && !is_other_token && is_round(new.length) {
        return (cut, false);
    }
    (Change::Replaced { kept_in: None }, true)
}
