//! What the schemes require of their challenges, beyond the grammar that they share.

use super::challenge::{Challenge, takes_parameters};
use super::defect::{DefectKind, Defects};
use super::digest::is_known_algorithm;
use super::negotiate::Message;
use super::parameter::AuthParam;
use super::scheme::Scheme;

/// Adds the defects that only somebody who knows the scheme can see.
pub(super) fn check(challenge: &Challenge, defects: &mut Defects) {
    let param = |name: &str| challenge.params.iter().find(|param| param.name == name);
    if challenge.token68.is_some() && takes_parameters(&challenge.scheme) {
        defects.push(DefectKind::Token68Unexpected, challenge.at);
    }
    if let Some(realm) = param("realm") {
        check_realm(realm, defects);
    }
    match challenge.scheme {
        // RFC 7617 2 and 2.1.
        Scheme::Basic => {
            require(challenge, "realm", DefectKind::RealmMissing, defects);
            check_charset(param("charset"), defects);
        }
        // RFC 7616 3.3.
        Scheme::Digest => {
            require(challenge, "realm", DefectKind::RealmMissing, defects);
            require(challenge, "nonce", DefectKind::NonceMissing, defects);
            require(challenge, "qop", DefectKind::QopMissing, defects);
            check_charset(param("charset"), defects);
            if let Some(algorithm) = param("algorithm")
                && !is_known_algorithm(&algorithm.value)
            {
                defects.push(DefectKind::AlgorithmUnknown, algorithm.at);
            }
        }
        // RFC 6750 3.
        Scheme::Bearer if challenge.params.is_empty() && challenge.token68.is_none() => {
            defects.push(DefectKind::BearerParametersMissing, challenge.at);
        }
        Scheme::Negotiate | Scheme::Ntlm if challenge.message() == Some(Message::NotBase64) => {
            defects.push(DefectKind::NegotiateNotBase64, challenge.at);
        }
        _ => {}
    }
}

fn require(challenge: &Challenge, name: &str, missing: DefectKind, defects: &mut Defects) {
    if challenge.param(name).is_none() {
        defects.push(missing, challenge.at);
    }
}

fn check_realm(realm: &AuthParam, defects: &mut Defects) {
    if realm.quoted && realm.value.is_empty() {
        defects.push(DefectKind::RealmEmpty, realm.at);
    }
    // RFC 9110 11.5 wants a quoted-string; a realm that needs the quotes was reported by the grammar already.
    if !realm.quoted && super::token::is_token(realm.value.as_bytes()) {
        defects.push(DefectKind::RealmNotQuoted, realm.at);
    }
}

fn check_charset(charset: Option<&AuthParam>, defects: &mut Defects) {
    if let Some(charset) = charset
        && !charset.value.eq_ignore_ascii_case("utf-8")
    {
        defects.push(DefectKind::CharsetNotUtf8, charset.at);
    }
}
