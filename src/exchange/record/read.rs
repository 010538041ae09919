//! Records, read back. Other programs write and cut them too, so whatever can be missing may be.

use serde::Deserialize;

use super::SCHEMA;

/// One exchange, as far as a record tells of it.
#[derive(Deserialize)]
pub struct Read {
    /// The schema, which has to be [`SCHEMA`].
    pub schema: String,
    /// The exchange's id.
    pub id: String,
    /// When it began, RFC 3339.
    pub time: String,
    /// The tap.
    #[serde(default)]
    pub tap: String,
    /// The same for one request at all taps of a path.
    #[serde(default)]
    pub path_id: String,
    /// The exchange at the tap before.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// The id of the key of all fingerprints.
    #[serde(default)]
    pub fingerprint_key: Option<String>,
    /// The client's end.
    #[serde(default)]
    pub client: ReadClient,
    /// The upstream's end.
    #[serde(default)]
    pub upstream: ReadUpstream,
    /// The request.
    pub request: ReadRequest,
    /// What the tap changed.
    #[serde(default)]
    pub edits: Vec<ReadEdit>,
    /// The response.
    #[serde(default)]
    pub response: Option<ReadResponse>,
    /// How long it took.
    #[serde(default)]
    pub timing: ReadTimes,
    /// How the exchange ended.
    #[serde(default)]
    pub outcome: String,
    /// What was found when it was recorded.
    #[serde(default)]
    pub diagnosis: ReadDiagnosis,
}

/// What was found.
#[derive(Deserialize, Default)]
pub struct ReadDiagnosis {
    /// The name of the rule that explains the exchange best, or a word in its place.
    #[serde(default)]
    pub verdict: String,
    /// The findings, the one that explains the exchange best first.
    #[serde(default)]
    pub findings: Vec<ReadFinding>,
}

/// One finding.
#[derive(Deserialize)]
pub struct ReadFinding {
    /// The name of its rule.
    pub rule: String,
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// `certain`, `likely` or `possible`.
    #[serde(default)]
    pub certainty: String,
    /// Where to go and fix.
    #[serde(default)]
    pub at: String,
    /// The field that it is about.
    #[serde(default)]
    pub header: Option<String>,
    /// The sentence for people.
    #[serde(default)]
    pub summary: String,
    /// What shows it.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub fix: String,
}

/// The client's end.
#[derive(Deserialize, Default)]
pub struct ReadClient {
    /// Its address, with its port.
    #[serde(default)]
    pub addr: String,
    /// The number of its connection.
    #[serde(default)]
    pub connection: Option<u64>,
    /// What was agreed on in TLS.
    #[serde(default)]
    pub tls: Option<ReadTls>,
}

/// The upstream's end.
#[derive(Deserialize, Default)]
pub struct ReadUpstream {
    /// The address that was connected to.
    #[serde(default)]
    pub addr: Option<String>,
}

/// What was agreed on in TLS.
#[derive(Deserialize)]
pub struct ReadTls {
    /// Whether the peer showed a certificate.
    #[serde(default)]
    pub peer_certificate: bool,
}

/// A request.
#[derive(Deserialize)]
pub struct ReadRequest {
    /// The method.
    pub method: String,
    /// The target, masked.
    pub target: String,
    /// The version.
    #[serde(default)]
    pub version: String,
    /// The host that was asked for.
    #[serde(default)]
    pub authority: Option<String>,
    /// Names and values, masked.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// What stands for who sends it.
    #[serde(default)]
    pub credentials: Vec<ReadCredential>,
    /// What its signatures cover.
    #[serde(default)]
    pub signed: Vec<String>,
    /// The fields behind the body.
    #[serde(default)]
    pub trailers: Vec<(String, String)>,
    /// Set where the head was cut.
    #[serde(default)]
    pub cut_head_bytes: Option<u64>,
}

/// One credential.
#[derive(Deserialize)]
pub struct ReadCredential {
    /// Where it was.
    #[serde(rename = "in", default)]
    pub place: String,
    /// The name of the field or parameter, in lower case.
    pub name: String,
    /// The scheme.
    #[serde(default)]
    pub scheme: Option<String>,
    /// The scheme as it was sent.
    #[serde(default)]
    pub scheme_as_sent: String,
    /// The fingerprint of the secret.
    #[serde(default)]
    pub fingerprint: String,
    /// Its length.
    #[serde(default)]
    pub length: usize,
    /// The user name.
    #[serde(default)]
    pub user: Option<String>,
    /// What a token says of itself.
    #[serde(default)]
    pub jwt: Option<ReadJwt>,
}

impl ReadCredential {
    /// What kind of secret it is, in a word.
    pub fn kind(&self) -> &'static str {
        match (&self.jwt, self.scheme.as_deref()) {
            (Some(_), _) => "jwt",
            (None, Some("basic")) => "password",
            (None, Some("digest")) => "digest",
            (None, Some(_)) => "token",
            (None, None) => "key",
        }
    }

    /// What the screen calls it, such as `Bearer jwt#7f3a`.
    pub fn label(&self) -> String {
        let label = format!("{}#{}", self.kind(), self.fingerprint.get(..4).unwrap_or_default());
        if self.scheme_as_sent.is_empty() { label } else { format!("{} {label}", self.scheme_as_sent) }
    }
}

/// What a token says of itself.
#[derive(Deserialize)]
pub struct ReadJwt {
    /// The key's id.
    #[serde(default)]
    pub kid: Option<String>,
    /// Who issued it.
    #[serde(default)]
    pub iss: Option<String>,
    /// Whom it is for.
    #[serde(default)]
    pub aud: Vec<String>,
    /// When it expires.
    #[serde(default)]
    pub exp: Option<i64>,
    /// When it was issued.
    #[serde(default)]
    pub iat: Option<i64>,
}

/// A response.
#[derive(Deserialize)]
pub struct ReadResponse {
    /// The status code.
    pub status: u16,
    /// The version.
    #[serde(default)]
    pub version: String,
    /// Names and values, masked.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The fields behind the body.
    #[serde(default)]
    pub trailers: Vec<(String, String)>,
    /// Set where the head was cut.
    #[serde(default)]
    pub cut_head_bytes: Option<u64>,
    /// Whether the tap made it.
    #[serde(default)]
    pub by_tap: bool,
}

/// One change by the tap.
#[derive(Deserialize)]
pub struct ReadEdit {
    /// What was changed.
    pub what: String,
    /// What went on.
    #[serde(default)]
    pub to: String,
}

/// How long it took.
#[derive(Deserialize, Default)]
pub struct ReadTimes {
    /// Until all was over, in milliseconds.
    #[serde(default)]
    pub total_ms: Option<f64>,
}

impl Read {
    /// Whether the request or its answer has a field of that name.
    pub fn has_header(&self, name: &str) -> bool {
        let answered = self.response.iter().flat_map(|response| &response.headers);
        self.request.headers.iter().chain(answered).any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The first value of a field of the request, as far as it was shown.
    pub fn request_value(&self, name: &str) -> Option<&str> {
        let field = self.request.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// Reads one line of a recording.
    ///
    /// # Errors
    /// Why it is no record, in words that quote nothing of it.
    pub fn of_line(line: &str) -> Result<Self, String> {
        let read: Read = serde_json::from_str(line).map_err(|error| match error.classify() {
            // What serde says of data may quote it; where it stands is enough.
            serde_json::error::Category::Data => format!("it lacks a field of a record (column {})", error.column()),
            _ => format!("it is not JSON (column {})", error.column()),
        })?;
        match read.schema.as_str() {
            SCHEMA => Ok(read),
            _ => Err(format!("its schema is not {SCHEMA}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_refused_without_quoting_it() {
        for (line, words) in [
            ("hunter2", "not JSON"),
            ("{\"schema\":\"authtap/1\",\"id\":\"hunter2\"}", "lacks a field"),
            (
                "{\"schema\":\"hunter2\",\"id\":\"1\",\"time\":\"t\",\"request\":{\"method\":\"GET\",\"target\":\"/\"}}",
                "schema",
            ),
        ] {
            let Err(error) = Read::of_line(line) else { panic!("{line}") };
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn little_is_enough() {
        let line =
            r#"{"schema":"authtap/1","id":"1","time":"2026-11-24T12:00:00Z","request":{"method":"GET","target":"/"}}"#;
        let read = Read::of_line(line).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((read.request.method.as_str(), read.response.is_none()), ("GET", true));
    }
}
