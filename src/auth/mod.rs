//! What auth header fields mean: bytes in, values and defects out.
//!
//! This stage takes the value of one field (`WWW-Authenticate`, `Authorization` and their proxy counterparts) as it
//! was on the wire and gives what was understood of it, together with a list of [`Defect`]s, each with its byte offset
//! in that value. Parsing never fails, because the values that cannot be parsed are those that our users look for.
//!
//! On purpose it does not judge: whether a defect explains a refusal depends on the rest of the exchange, and that is
//! for the rules. It reads no clock, verifies no signature and keeps nothing between calls.
//!
//! Everything that could let somebody log in ends in a [`Secret`], which cannot be printed.

pub mod basic;
pub mod challenge;
mod challenge_meaning;
pub mod credentials;
mod credentials_split;
pub mod defect;
pub mod digest;
pub mod dpop;
mod encoding;
pub mod jwt;
pub mod jwt_claims;
pub mod keys;
pub mod negotiate;
pub mod parameter;
pub mod placeholder;
pub mod scheme;
pub mod secret;
pub mod sigv4;
pub mod token;

#[cfg(test)]
mod never_panics;

pub use basic::Basic;
pub use challenge::{Challenge, Challenges, parse_challenges};
pub use credentials::{Credentials, Detail, Joined, parse_credentials};
pub use defect::{Defect, DefectKind};
pub use digest::DigestResponse;
pub use dpop::{DpopProof, access_token_hash, parse_dpop};
pub use jwt::{Jwt, Signature, looks_like_jwt, parse_jwt};
pub use jwt_claims::{Claims, JwtHeader, NumericDate};
pub use keys::{Checked, KeySet, NoKeySet, check_signature};
pub use negotiate::{Message, NtlmStep};
pub use parameter::AuthParam;
pub use placeholder::Placeholder;
pub use scheme::Scheme;
pub use secret::{Fingerprint, FingerprintKey, Secret};
pub use sigv4::SigV4;
