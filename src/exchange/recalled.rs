//! What was made of the lines, heads and answers that came before, so that it is not made again when they come again.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::known_heads::KnownHeads;
use super::recall::Recall;
use super::redact::Redactor;
use crate::auth::{Challenge, Credentials, Defect, Fingerprint, parse_challenges, parse_credentials};

/// What a challenge field asks for, and what is wrong with it as a whole.
type ReadChallenges = (Arc<[Challenge]>, Arc<[Defect]>);

/// What was made, for each kind of thing that it was made of.
#[derive(Default)]
pub(super) struct Recalled {
    pub(super) request_heads: KnownHeads,
    pub(super) response_heads: KnownHeads,
    credentials: Recall<(Arc<Credentials>, Fingerprint)>,
    challenges: Recall<ReadChallenges>,
    requests: Recall<Arc<Line>>,
    responses: Recall<Arc<Line>>,
    parts: Parts,
}

/// Parts of records that were kept.
#[derive(Default)]
struct Parts {
    client: Recall<Arc<Kept>>,
    upstream: Recall<Arc<Kept>>,
    request: Recall<Arc<Kept>>,
    response: Recall<Arc<Kept>>,
    /// How many were ever kept.
    count: u64,
}

/// What a record is made of.
#[derive(Clone, Copy)]
pub(super) enum PartOf {
    /// The client's end.
    Client,
    /// The upstream's end.
    Upstream,
    /// The request.
    Request,
    /// The response.
    Response,
}

/// A field line as records have it.
pub struct Line {
    /// Its value, as it may be shown.
    pub value: String,
    /// Its name and its value, in JSON.
    pub json: Box<RawValue>,
}

/// A part of an earlier record.
pub struct Kept {
    /// No other part ever has the same number.
    pub number: u64,
    /// The part in JSON.
    pub json: Box<RawValue>,
}

/// The parameters of a challenge field of which what was read is kept: more would take many times the room of the line.
pub(super) const MOST_PARAMS: usize = 64;

/// What is made of so many bytes in JSON, where it is not many times as large.
fn json_of(made: &impl Serialize, size: usize) -> Option<Box<RawValue>> {
    let json = serde_json::to_string(made).ok()?;
    RawValue::from_string(json).ok().filter(|json| json.get().len() <= 4 * size + 512)
}

impl Redactor {
    /// What the value of a field such as Authorization says, and the fingerprint of its secret.
    pub(super) fn read(&self, value: &Bytes) -> (Arc<Credentials>, Fingerprint) {
        if let Some(known) = self.recalled.borrow().credentials.get(value) {
            return known;
        }
        // A copy, so that what is kept of the line keeps nothing else of its message.
        let credentials = parse_credentials(&Bytes::copy_from_slice(value));
        let fingerprint = credentials.secret.fingerprint(self.key());
        let read = (Arc::new(credentials), fingerprint);
        self.recalled.borrow_mut().credentials.note(value, || Some(read.clone()));
        read
    }

    /// What a challenge field asks for, and what is wrong with it as a whole.
    pub(super) fn read_challenges(&self, value: &[u8]) -> ReadChallenges {
        if let Some(known) = self.recalled.borrow().challenges.get(value) {
            return known;
        }
        let parsed = parse_challenges(value);
        let read: ReadChallenges = (parsed.challenges.into(), parsed.defects.into());
        let params: usize = read.0.iter().map(|challenge| challenge.params.len()).sum();
        self.recalled.borrow_mut().challenges.note(value, || (params <= MOST_PARAMS).then(|| read.clone()));
        read
    }

    /// A field line that came before, in a response or else in a request. `line` is all of it, as received.
    pub(super) fn recall(&self, line: &[u8], is_response: bool) -> Option<Arc<Line>> {
        let recalled = self.recalled.borrow();
        if is_response { recalled.responses.get(line) } else { recalled.requests.get(line) }
    }

    /// Notes how a field line is shown.
    pub(super) fn note(&self, line: &[u8], is_response: bool, shown: &(String, String)) {
        let mut recalled = self.recalled.borrow_mut();
        let lines = if is_response { &mut recalled.responses } else { &mut recalled.requests };
        lines.note(line, || Some(Arc::new(Line { value: shown.1.clone(), json: json_of(shown, line.len())? })));
    }

    /// A part of a record that came before. `key` is all that it depends on.
    pub(super) fn recall_part(&self, of: PartOf, key: &[u8]) -> Option<Arc<Kept>> {
        self.recalled.borrow_mut().parts.of(of).0.get(key)
    }

    /// Notes a part of a record that was made of its key and so many bytes beside. If `is_sure`, all that it was made of came
    /// before, and it is kept at once.
    pub(super) fn note_part(&self, of: PartOf, key: &[u8], size: usize, is_sure: bool, made: &impl Serialize) {
        let mut recalled = self.recalled.borrow_mut();
        let (parts, count) = recalled.parts.of(of);
        let make = || {
            *count += 1;
            Some(Arc::new(Kept { number: *count, json: json_of(made, key.len() + size)? }))
        };
        match is_sure {
            true => parts.keep_sized(key, key.len() + size, make),
            false => parts.note_sized(key, key.len() + size, make),
        }
    }

    /// Forgets what came before: credentials are among it.
    pub fn forget(&self) {
        let mut recalled = self.recalled.borrow_mut();
        recalled.request_heads.forget();
        recalled.response_heads.forget();
        recalled.credentials.forget();
        recalled.challenges.forget();
        recalled.requests.forget();
        recalled.responses.forget();
        for part in [PartOf::Client, PartOf::Upstream, PartOf::Request, PartOf::Response] {
            recalled.parts.of(part).0.forget();
        }
    }
}

impl Parts {
    /// Those of one kind, and how many there were of any.
    fn of(&mut self, part: PartOf) -> (&mut Recall<Arc<Kept>>, &mut u64) {
        let parts = match part {
            PartOf::Client => &mut self.client,
            PartOf::Upstream => &mut self.upstream,
            PartOf::Request => &mut self.request,
            PartOf::Response => &mut self.response,
        };
        (parts, &mut self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;

    #[test]
    fn what_would_grow_to_many_times_its_size_is_not_kept() {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"what grows"), []);
        let is_kept = |value: &[u8]| {
            let read = |_| redactor.read_challenges(value).0;
            let [_, second, third] = [0, 1, 2].map(read);
            Arc::ptr_eq(&second, &third)
        };
        assert!(is_kept(b"Bearer realm=\"orders\""));
        assert!(!is_kept(format!("Bearer {}", "a=,".repeat(1000)).as_bytes()));

        let is_kept = |line: &[u8], value: &str| {
            (0..2).for_each(|_| redactor.note(line, true, &("Location".to_owned(), value.to_owned())));
            redactor.recall(line, true).is_some()
        };
        assert!(is_kept(b"Location: /orders", "/orders"));
        assert!(!is_kept(b"Location: /%/%", &"/<redacted fp=3fa9c1d2>".repeat(100)));
    }
}
