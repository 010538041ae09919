//! What was made of the lines, heads and answers that came before, so that it is not made again when they come again.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::recall::Recall;
use super::record::Kept;
use super::redact::Redactor;
use crate::auth::{Challenge, Credentials, Defect, Fingerprint, parse_challenges, parse_credentials};

/// What a challenge field asks for, and what is wrong with it as a whole.
type ReadChallenges = (Arc<[Challenge]>, Arc<[Defect]>);

/// By what it was made of.
#[derive(Default)]
pub(super) struct Recalled {
    credentials: Recall<(Arc<Credentials>, Fingerprint)>,
    challenges: Recall<ReadChallenges>,
    requests: Recall<Arc<Line>>,
    responses: Recall<Arc<Line>>,
    /// By what they are parts of, [`PartOf`].
    parts: [Recall<Arc<Kept>>; 4],
    /// How many parts were ever kept.
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

/// No longer text is kept of a part of a record, in bytes.
const LONGEST_PART: usize = 8 * 1024;

/// A field line as records have it.
pub struct Line {
    /// Its value, as it may be shown.
    pub value: String,
    /// Its name and its value, in JSON.
    pub json: Box<RawValue>,
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
        self.recalled.borrow_mut().challenges.note(value, || Some(read.clone()));
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
        lines.note(line, || {
            let json = RawValue::from_string(serde_json::to_string(shown).ok()?).ok()?;
            Some(Arc::new(Line { value: shown.1.clone(), json }))
        });
    }

    /// A part of a record that came before. `key` is all that it depends on.
    pub(super) fn recall_part(&self, of: PartOf, key: &[u8]) -> Option<Arc<Kept>> {
        self.recalled.borrow().parts.get(of as usize)?.get(key)
    }

    /// Notes a part of a record.
    pub(super) fn note_part(&self, of: PartOf, key: &[u8], made: &impl Serialize) {
        let mut recalled = self.recalled.borrow_mut();
        let Recalled { parts, count, .. } = &mut *recalled;
        let Some(parts) = parts.get_mut(of as usize) else { return };
        parts.note(key, || {
            let json = serde_json::to_string(made).ok().filter(|json| json.len() <= LONGEST_PART)?;
            *count += 1;
            Some(Arc::new(Kept { number: *count, json: RawValue::from_string(json).ok()? }))
        });
    }

    /// Forgets what came before: credentials are among it.
    pub fn forget(&self) {
        let mut recalled = self.recalled.borrow_mut();
        recalled.credentials.forget();
        recalled.challenges.forget();
        recalled.requests.forget();
        recalled.responses.forget();
        recalled.parts.iter_mut().for_each(Recall::forget);
    }
}
