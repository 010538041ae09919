//! Names of fields that were meant to carry credentials and may not be understood.

use crate::exchange::names;
use crate::wire::{HeadDefectKind, RawHead};

/// Why a name may not be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// It is nearly Authorization.
    Misspelt,
    /// It has an underscore, which nginx and others drop unless told not to.
    Underscore,
    /// A gateway moves Authorization there.
    Renamed,
    /// It has another character that is legal and that gateways stumble over.
    Character(char),
}

/// Names that resemble Authorization and have a meaning of their own.
const OWN_MEANING: [&str; 6] = [
    "authorization",
    "authentication-info",
    "authentication-results",
    "proxy-authorization",
    "proxy-authentication-info",
    "authentication-control",
];

/// Where gateways put an Authorization that they do not hand on under its own name.
const RENAMED: [&str; 3] = ["x-amzn-remapped-authorization", "x-forwarded-authorization", "x-original-authorization"];

/// What is doubtful about a name, if it was meant to carry credentials.
pub(super) fn suspect(name: &[u8]) -> Option<Suspect> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    if OWN_MEANING.contains(&name.as_str()) || name.len() > 60 {
        return None;
    }
    if RENAMED.contains(&name.as_str()) {
        return Some(Suspect::Renamed);
    }
    let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') else {
        let is_near = name.len() >= 10 && super::distance(&name, "authorization") <= 2;
        let is_misspelt = name == "authentication" || (is_near && !names::is_key_field(name.as_bytes()));
        return is_misspelt.then_some(Suspect::Misspelt);
    };
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let is_key = plain == "authorization" || names::is_key_field(plain.as_bytes());
    is_key.then_some(if odd == '_' { Suspect::Underscore } else { Suspect::Character(odd) })
}

/// Whether a whole field line is one that carries credentials or asks for them, however it is written.
pub(super) fn is_about_credentials(line: &[u8]) -> bool {
    let start: Vec<u8> =
        line.iter().take(64).filter(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(byte)).copied().collect();
    let name = start.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_known = |name: &[u8]| names::is_key_field(name) || suspect(name).is_some();
    let begins = [&b"authorization"[..], b"proxy-authorization", b"www-authenticate", b"proxy-authenticate"];
    let lower = name.to_ascii_lowercase();
    begins.iter().any(|begin| lower.starts_with(begin)) || is_known(name)
}

/// Whether a line about credentials is so malformed that it was not read as a field of its name.
pub(super) fn hides_credentials(head: &RawHead) -> bool {
    head.defects().iter().any(|defect| {
        let hides = matches!(defect.kind, HeadDefectKind::NoColon | HeadDefectKind::NameCharacter);
        let field = defect.field.and_then(|index| head.fields().nth(index));
        hides && field.is_some_and(|field| is_about_credentials(field.line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubtful_names_are_found_and_known_ones_are_not() {
        for (name, expected) in [
            ("Authorisation", Some(Suspect::Misspelt)),
            ("Autorization", Some(Suspect::Misspelt)),
            ("Authentication", Some(Suspect::Misspelt)),
            ("x_api_key", Some(Suspect::Underscore)),
            ("X.Api.Key", Some(Suspect::Character('.'))),
            ("X_Authorization", Some(Suspect::Underscore)),
            ("X-Forwarded-Authorization", Some(Suspect::Renamed)),
            ("x-amzn-Remapped-Authorization", Some(Suspect::Renamed)),
            ("X-Original-Authorization", Some(Suspect::Renamed)),
            ("Authorization", None),
            ("Proxy-Authorization", None),
            ("Authentication-Info", None),
            ("X-Authorization", None),
            ("X-Api-Key", None),
            ("X_Request_Id", None),
            ("Host", None),
        ] {
            assert_eq!(suspect(name.as_bytes()), expected, "{name}");
        }
        assert!(is_about_credentials(b"Authorization Bearer x") && is_about_credentials(b"X-Api-Key\xc2\xa0: x"));
        assert!(!is_about_credentials(b"Host: a") && !is_about_credentials(b""));
    }
}
