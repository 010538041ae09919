//! What was made of the lines, heads and answers that came before, so that it is not made again when they come again.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::recall::Recall;
use super::record::Kept;
use super::redact::Redactor;
use crate::auth::{Challenge, Credentials, Defect, Fingerprint, parse_challenges, parse_credentials};

/// By what it was made of.
#[derive(Default)]
pub(super) struct Recalled {
    credentials: Recall<(Arc<Credentials>, Fingerprint)>,
    challenges: Recall<(Arc<[Challenge]>, Arc<[Defect]>)>,
    requests: Recall<Arc<Line>>,
    responses: Recall<Arc<Line>>,
    whole_requests: Recall<Arc<Kept>>,
    whole_responses: Recall<Arc<Kept>>,
    /// How many of these were ever kept.
    count: u64,
}

/// No longer text is kept of a whole request or answer, in bytes.
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
    pub(super) fn read_challenges(&self, value: &[u8]) -> (Arc<[Challenge]>, Arc<[Defect]>) {
        if let Some(known) = self.recalled.borrow().challenges.get(value) {
            return known;
        }
        let parsed = parse_challenges(value);
        let read: (Arc<[Challenge]>, Arc<[Defect]>) = (parsed.challenges.into(), parsed.defects.into());
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

    /// A whole request that came before, or else an answer. `key` is all that what was made of it depends on.
    pub(super) fn recall_part(&self, key: &[u8], is_response: bool) -> Option<Arc<Kept>> {
        let recalled = self.recalled.borrow();
        if is_response { recalled.whole_responses.get(key) } else { recalled.whole_requests.get(key) }
    }

    /// Notes what records say of a whole request, or else of an answer.
    pub(super) fn note_part(&self, key: &[u8], is_response: bool, made: &impl Serialize) {
        let mut recalled = self.recalled.borrow_mut();
        let Recalled { whole_requests, whole_responses, count, .. } = &mut *recalled;
        let parts = if is_response { whole_responses } else { whole_requests };
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
        recalled.whole_requests.forget();
        recalled.whole_responses.forget();
    }
}
