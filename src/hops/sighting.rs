//! What one tap saw of a request and its answer, in the form in which it can be compared.

use std::time::Duration;

use jiff::Timestamp;

use super::digest::Room;
use crate::auth::{Fingerprint, FingerprintKey, Secret};
use crate::exchange::view::OfferedIn;
use crate::exchange::{Version, View};

/// One request as one tap saw it, with its answer.
pub struct Sighting<'a> {
    /// The exchange's id, as the record has it; empty where it is not known.
    pub exchange: String,
    /// The tap's name.
    pub tap: String,
    /// When the request's first byte came, by the clock of the tap's machine.
    pub time: Timestamp,
    /// How long the exchange took; `None` where it is not known.
    pub total: Option<Duration>,
    /// The number of the client's connection at this tap.
    pub connection: Option<u64>,
    /// The address of the client, without its port.
    pub client: Option<String>,
    /// Whether the client's connection was TLS; `None` where it is not known.
    pub tls: Option<bool>,
    /// Whether the client showed a certificate.
    pub client_certificate: bool,
    /// The method.
    pub method: String,
    /// The request target, with all that is secret in it.
    pub target: Value,
    /// The host that the request asks for, as it came to the tap.
    pub authority: Option<String>,
    /// The host with which the request left the tap, where the tap set another one.
    pub set_authority: Option<String>,
    /// The request.
    pub request: Message,
    /// What stands for who sends it.
    pub credentials: Vec<Credential>,
    /// The names of the fields that a signature in the request covers, in lower case, with `@method`, `@target` and
    /// `@authority` for what is no field.
    pub signed: Vec<String>,
    /// The answer; `None` where none was seen.
    pub answer: Option<Answer>,
    /// The exchange itself, where it is at hand.
    pub view: Option<&'a View<'a>>,
}

/// The answer to a request.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Its fields.
    pub message: Message,
    /// Whether the tap made it itself, because the upstream gave none.
    pub by_tap: bool,
    /// Whether it reports a success: a 2xx whose grpc-status, if there is one, is 0.
    pub is_success: bool,
}

/// The fields of a message.
pub struct Message {
    /// The version in which it came.
    pub version: Version,
    /// The fields in order.
    pub fields: Vec<Line>,
    /// The fields behind the body.
    pub trailers: Vec<Line>,
    /// How much of the head is known.
    pub extent: Extent,
}

/// How much of a head is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All fields.
    Whole,
    /// The first ones: nothing can be said to be missing from it.
    Cut,
    /// Those that matter for authentication, as a hop header told them: other fields are not known.
    Digest {
        /// Fields up to here in the order in which they get room are all there; the others may have had none.
        told_up_to: Room,
    },
}

impl Extent {
    /// Whether a field of that name, which is in lower case, would be known if it had been there.
    pub fn has_all_of(self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Cut => false,
            Self::Digest { told_up_to } => told_up_to.has(name),
        }
    }
}

/// One field.
pub struct Line {
    /// The name as spelled.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// A value, as far as it is known.
#[derive(Clone)]
pub enum Value {
    /// Its bytes.
    Seen(Secret),
    /// What a record shows of it. Equal values have equal texts under one key.
    Shown(String),
    /// What a hop header tells of it.
    Digest {
        /// The fingerprint of the whole value.
        fingerprint: Fingerprint,
        /// Its length in bytes.
        length: usize,
    },
}

impl Value {
    /// The fingerprint under `key`, where it can be told.
    pub fn fingerprint(&self, key: &FingerprintKey) -> Option<Fingerprint> {
        match self {
            Self::Seen(secret) => Some(secret.fingerprint(key)),
            Self::Shown(_) => None,
            Self::Digest { fingerprint, .. } => Some(*fingerprint),
        }
    }

    /// Whether both are the same value. `key` is that of digests.
    pub fn is_same(&self, other: &Value, key: &FingerprintKey) -> bool {
        match (self, other) {
            (Self::Seen(one), Self::Seen(other)) => one.expose() == other.expose(),
            (Self::Shown(one), Self::Shown(other)) => one == other,
            (one, other) => match (one.fingerprint(key), other.fingerprint(key)) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            },
        }
    }

    /// The bytes, where they are at hand.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Seen(secret) => Some(secret.expose()),
            _ => None,
        }
    }
}

/// One of the credentials of a request.
#[derive(Clone)]
pub struct Credential {
    /// Where it was.
    pub place: OfferedIn,
    /// The name of the field or parameter, as sent.
    pub name: String,
    /// The scheme in lower case; `None` where there is none.
    pub scheme: Option<String>,
    /// The scheme as it was sent.
    pub scheme_as_sent: String,
    /// The fingerprint of the secret behind the scheme.
    pub secret: Fingerprint,
    /// The secret's length in bytes; 0 where it is too short to be told.
    pub length: usize,
    /// `Bearer jwt#7f3a`: what the screen calls it.
    pub label: String,
    /// The user name of Basic and Digest.
    pub user: Option<String>,
    /// Who issued the token, by its own word.
    pub issuer: Option<String>,
    /// The id of the key with which the token was signed, by its own word.
    pub key_id: Option<String>,
    /// Whom the token is for, by its own word.
    pub audience: Vec<String>,
    /// When the token was issued and when it expires, in seconds since 1970: with the issuer, they tell whether two
    /// tokens of which one is damaged were the same.
    pub times: (Option<i64>, Option<i64>),
}
