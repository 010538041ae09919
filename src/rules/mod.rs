//! The catalogue of what authtap can find. Start reading here.
//!
//! One diagnosis is one file: its texts, its severity, its references, its check and its examples. The examples are at
//! once its documentation, the text of `authtap explain`, and its tests.
//!
//! To add a rule: copy one that is near, give it a name that says the fault, write its examples and see them fail, write
//! the check, and add its line to its family's `mod.rs` and to [`RULES`]. The README's table, `rules`, `explain` and the
//! tests over the whole catalogue follow by themselves.
//!
//! A check is a pure function of an exchange and of what earlier exchanges told. It states only what its evidence shows:
//! a false alarm in an incident costs more than a missed hint.

pub mod challenge;
pub mod connection;
pub mod cors;
pub mod credentials;
mod evidence;
mod field_names;
pub mod finding;
pub mod hop;
mod json;
pub mod normal;
mod phrases;
pub mod products;
pub mod redirect;
pub mod session;
pub mod signature;
pub mod status;
pub mod token;
pub mod transport;
mod words;

use crate::exchange::View;
use crate::hops::Crossing;
use crate::memory::Memory;

pub use finding::{
    At, Certainty, Diagnosis, Evidence, Finding, Message, NOT_DIAGNOSED, Place, RequestDiagnosis, Severity,
};

/// All rules, by name.
pub static RULES: &[&Rule] = &[
    &transport::auth_header_name_suspect::RULE,
    &connection::authenticated_connection_shared::RULE,
    &session::authorised_response_shared::RULE,
    &redirect::authorization_lost_on_redirect::RULE,
    &transport::authorization_misplaced::RULE,
    &signature::authorization_on_presigned_url::RULE,
    &credentials::basic_charset_ambiguous::RULE,
    &credentials::basic_suspicious_value::RULE,
    &credentials::basic_undecodable::RULE,
    &challenge::bearer_error_misused::RULE,
    &signature::bearer_or_basic_at_aws_iam::RULE,
    &challenge::browser_popup::RULE,
    &session::cached_refusal::RULE,
    &hop::challenge_changed::RULE,
    &session::challenge_ignored::RULE,
    &challenge::challenge_malformed::RULE,
    &challenge::challenge_missing::RULE,
    &challenge::challenge_multi_hazard::RULE,
    &cors::challenge_not_exposed::RULE,
    &challenge::challenge_renamed::RULE,
    &connection::client_certificate_not_forwarded::RULE,
    &token::clock_skew::RULE,
    &session::cookie_and_header_conflict::RULE,
    &session::cookie_unstorable::RULE,
    &cors::cors_missing_on_error::RULE,
    &cors::cors_origin_invalid::RULE,
    &session::credential_stopped_working::RULE,
    &status::credentials_absent::RULE,
    &credentials::credentials_empty::RULE,
    &transport::credentials_in_url::RULE,
    &hop::credentials_moved::RULE,
    &transport::credentials_over_cleartext::RULE,
    &credentials::credentials_percent_encoded::RULE,
    &status::credentials_rejected::RULE,
    &hop::credentials_replaced::RULE,
    &transport::credentials_reported_missing::RULE,
    &hop::credentials_rewritten::RULE,
    &hop::credentials_stripped::RULE,
    &challenge::digest_algorithm_unsupported::RULE,
    &signature::digest_answer_inconsistent::RULE,
    &signature::digest_nonce_not_shared::RULE,
    &credentials::digest_parameters_invalid::RULE,
    &signature::digest_uri_mismatch::RULE,
    &signature::dpop_htu_mismatch::RULE,
    &signature::dpop_proof_invalid::RULE,
    &signature::dpop_proof_reused::RULE,
    &status::error_on_bad_credentials::RULE,
    &status::failure_in_200::RULE,
    &transport::field_line_malformed::RULE,
    &status::forbidden_without_credentials::RULE,
    &hop::forwarded_context_missing::RULE,
    &transport::framing_ambiguous::RULE,
    &hop::gateway_credential_leaked::RULE,
    &status::grpc_auth_status::RULE,
    &status::handshake_step::RULE,
    &hop::header_name_recased::RULE,
    &transport::header_section_too_large::RULE,
    &status::hidden_not_found::RULE,
    &token::jwks_stale::RULE,
    &token::jwt_alg_unexpected::RULE,
    &token::jwt_audience_mismatch::RULE,
    &token::jwt_issuer_mismatch::RULE,
    &token::jwt_key_unknown::RULE,
    &token::jwt_malformed::RULE,
    &token::jwt_signature_invalid::RULE,
    &token::jwt_signature_removed::RULE,
    &token::jwt_truncated::RULE,
    &status::known_error_text::RULE,
    &status::login_redirect_for_api::RULE,
    &redirect::login_redirect_loop::RULE,
    &status::manifest_without_credentials::RULE,
    &status::method_auth_differs::RULE,
    &transport::multiple_credentials::RULE,
    &status::not_an_auth_failure::RULE,
    &connection::ntlm_connection_broken::RULE,
    &connection::ntlm_over_http2::RULE,
    &challenge::oauth_metadata_mismatch::RULE,
    &cors::preflight_authorization_not_allowed::RULE,
    &cors::preflight_redirected::RULE,
    &cors::preflight_rejected::RULE,
    &signature::presigned_url_expired::RULE,
    &status::proxy_auth_status_confused::RULE,
    &transport::proxy_authorization_at_origin::RULE,
    &challenge::realm_unstable::RULE,
    &redirect::redirect_changes_origin::RULE,
    &redirect::redirect_slash_with_credentials::RULE,
    &session::refresh_no_effect::RULE,
    &session::refresh_token_raced::RULE,
    &hop::refusal_origin::RULE,
    &session::replica_disagreement::RULE,
    &challenge::resource_metadata_missing::RULE,
    &challenge::resource_metadata_wrong::RULE,
    &session::same_credential_retried::RULE,
    &credentials::scheme_case::RULE,
    &credentials::scheme_malformed::RULE,
    &credentials::scheme_not_offered::RULE,
    &credentials::scheme_repeated::RULE,
    &token::scope_insufficient::RULE,
    &token::sender_constraint_missing::RULE,
    &session::session_cookie_not_returned::RULE,
    &signature::signed_part_changed::RULE,
    &signature::sigv4_clock_skew::RULE,
    &signature::sigv4_fragile_header_signed::RULE,
    &signature::sigv4_payload_hash_mismatch::RULE,
    &signature::sigv4_scope_mismatch::RULE,
    &signature::sigv4_session_token_missing::RULE,
    &session::stale_token_kept::RULE,
    &hop::status_rewritten::RULE,
    &credentials::token_bad_character::RULE,
    &token::token_expired::RULE,
    &token::token_not_yet_valid::RULE,
    &credentials::token_placeholder::RULE,
    &challenge::token_service_url_wrong::RULE,
    &status::upstream_failed::RULE,
    &cors::wildcard_does_not_cover_authorization::RULE,
    &transport::wrong_credential_header::RULE,
    &token::wrong_token_kind::RULE,
];

/// Names that rules once had. They are never given to another rule.
pub static RETIRED: &[&str] = &[];

/// The rule of that name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

/// The names that may have been meant by one that no rule has, nearest first.
pub fn near(name: &str) -> Vec<&'static str> {
    let name = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    let mut found: Vec<(usize, &'static str)> = Vec::new();
    for rule in RULES {
        let distance = distance(&name, rule.name);
        let shares = name.len() >= 3 && rule.name.contains(name.as_str());
        if shares || distance <= 1 + name.len() / 4 {
            found.push((if shares { 0 } else { distance }, rule.name));
        }
    }
    found.sort_unstable();
    found.truncate(5);
    found.into_iter().map(|(_, name)| name).collect()
}

/// How many letters have to be changed, added or left out to make one text of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // Nobody means a rule by a text of this length, and the work grows with it.
    if from.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (number, left) in from.chars().enumerate() {
        let mut diagonal = number;
        let mut before = number + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(to.chars()) {
            let next = (diagonal + usize::from(left != right)).min(before + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, next);
            before = next;
        }
        if let Some(first) = row.first_mut() {
            *first = number + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// One diagnosis.
pub struct Rule {
    /// The fault in kebab case; the same in the record, on the screen and in `authtap explain`. Never used again for
    /// another meaning.
    pub name: &'static str,
    /// Which part of an exchange it is about.
    pub family: Family,
    /// How bad it is at the worst.
    pub severity: Severity,
    /// One line, without a full stop and without advice.
    pub title: &'static str,
    /// Why it matters and how it comes about, in sentences.
    pub why: &'static str,
    /// What to do, in sentences.
    pub fix: &'static str,
    /// Where it is written.
    pub spec: &'static [Spec],
    /// The names of more general rules that say nothing more when this one has spoken.
    pub supersedes: &'static [&'static str],
    /// Exchanges on which it fires, and near ones on which every rule stays silent.
    pub examples: &'static [Example],
    /// The check itself.
    pub check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub enum Check {
    /// One exchange, and what earlier ones told.
    Exchange(fn(&View<'_>, &Memory) -> Vec<Finding>),
    /// The same of an exchange that is no success ([`View::is_success`]). Of one that is, it has nothing to say and is not asked.
    Failure(fn(&View<'_>, &Memory) -> Vec<Finding>),
    /// A request's way over one hop, which two taps saw.
    Hop(fn(&Crossing<'_>, &Memory) -> Vec<Finding>),
    /// Each of them, by a check of its own.
    Both(fn(&View<'_>, &Memory) -> Vec<Finding>, fn(&Crossing<'_>, &Memory) -> Vec<Finding>),
}

impl Check {
    /// The check of one exchange.
    pub fn exchange(self) -> Option<fn(&View<'_>, &Memory) -> Vec<Finding>> {
        match self {
            Self::Exchange(check) | Self::Failure(check) | Self::Both(check, _) => Some(check),
            Self::Hop(_) => None,
        }
    }

    /// Whether a success is nothing to it.
    pub fn is_for_failures(self) -> bool {
        matches!(self, Self::Failure(_))
    }

    /// The check of a way over a hop.
    pub fn hop(self) -> Option<fn(&Crossing<'_>, &Memory) -> Vec<Finding>> {
        match self {
            Self::Hop(check) | Self::Both(_, check) => Some(check),
            Self::Exchange(_) | Self::Failure(_) => None,
        }
    }
}

impl Rule {
    /// A finding of this rule. The summary is one sentence without a full stop, and never holds a secret.
    pub fn found(&'static self, certainty: Certainty, summary: impl Into<String>) -> Finding {
        Finding::new(self, certainty, summary.into())
    }
}

/// Which part of an exchange a rule is about; the folder in which it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// How credentials travel.
    Transport,
    /// How credentials are written.
    Credentials,
    /// What a token says.
    Token,
    /// How a challenge is written.
    Challenge,
    /// Which status was answered, and by whom.
    Status,
    /// What browsers ask for first.
    Cors,
    /// Where a redirect leads, and what gets lost on the way.
    Redirect,
    /// What a scheme wants of a connection.
    Connection,
    /// What a signature covers.
    Signature,
    /// What shows over several requests.
    Session,
    /// What a gateway between two taps did.
    Hop,
}

impl Family {
    /// What it is about, in a few words.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Transport => "How credentials travel",
            Self::Credentials => "How credentials are written",
            Self::Token => "What a token says",
            Self::Challenge => "How a challenge is written",
            Self::Status => "Which status was answered, and by whom",
            Self::Cors => "What browsers ask for first",
            Self::Redirect => "Where a redirect leads",
            Self::Connection => "What a scheme wants of a connection",
            Self::Signature => "What a signature covers",
            Self::Session => "What shows over several requests",
            Self::Hop => "What a gateway between two taps did",
        }
    }

    /// The name of its folder.
    pub fn id(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Credentials => "credentials",
            Self::Token => "token",
            Self::Challenge => "challenge",
            Self::Status => "status",
            Self::Cors => "cors",
            Self::Redirect => "redirect",
            Self::Connection => "connection",
            Self::Signature => "signature",
            Self::Session => "session",
            Self::Hop => "hop",
        }
    }
}

/// Where a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// A section of an RFC.
    Rfc(u16, &'static str),
    /// Another document: its name, and where it is.
    Document(&'static str, &'static str),
}

impl Spec {
    /// A section of an RFC, by number.
    pub const fn rfc(number: u16, section: &'static str) -> Self {
        Spec::Rfc(number, section)
    }

    /// `RFC 9110 15.5.2`, or the document's name.
    pub fn text(&self) -> String {
        match self {
            Self::Rfc(number, section) => format!("RFC {number} {section}"),
            Self::Document(name, _) => (*name).to_owned(),
        }
    }

    /// Where to read it.
    pub fn link(&self) -> String {
        match self {
            Self::Rfc(number, section) => format!("https://www.rfc-editor.org/rfc/rfc{number}#section-{section}"),
            Self::Document(_, link) => (*link).to_owned(),
        }
    }
}

/// An exchange, or a few in a row, as a transcript (see [`crate::exchange::transcript`]).
pub struct Example {
    /// What it shows, in a few words.
    pub name: &'static str,
    /// The exchanges.
    pub transcript: &'static str,
    /// Whether the rule fires on the last of them. If not, no rule says more than an info on any of them.
    pub fires: bool,
    /// Whether the rule is the verdict on the last of them.
    pub is_verdict: bool,
}

impl Example {
    /// An example on which the rule fires.
    pub const fn fires(name: &'static str, transcript: &'static str) -> Self {
        Example { name, transcript, fires: true, is_verdict: true }
    }

    /// An example on which the rule fires while another one is the verdict, or none.
    pub const fn fires_beside(name: &'static str, transcript: &'static str) -> Self {
        Example { name, transcript, fires: true, is_verdict: false }
    }

    /// An example of healthy traffic, one step away from firing.
    pub const fn quiet(name: &'static str, transcript: &'static str) -> Self {
        Example { name, transcript, fires: false, is_verdict: false }
    }
}

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod traffic_tests;
