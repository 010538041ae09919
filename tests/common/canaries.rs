//! The secrets that the tests send, and the check that none of them comes out again.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};

// They carry characters that change under percent-encoding and in the URL-safe alphabet of base64, and no other text
// of the tests resembles them.
pub const PASSWORD: &str = "canary+Zx81/wheelbarrow~quokka=";
pub const WRONG_PASSWORD: &str = "canary+Qf27/trombone~axolotl=";
pub const BEARER_TOKEN: &str = "canary-Jv40+lighthouse/pangolin==";
pub const WRONG_BEARER_TOKEN: &str = "canary-Kw93+accordion/narwhal==";
pub const API_KEY: &str = "canary.Bn65-marzipan_capybara/key";
pub const SESSION: &str = "canary.Tm12-harpsichord/tapir";

pub const ALL: &[&str] = &[PASSWORD, WRONG_PASSWORD, BEARER_TOKEN, WRONG_BEARER_TOKEN, API_KEY, SESSION];

/// Fails if `text` has one of the secrets in it, in any spelling that a careless writer could give it.
pub fn assert_no_secret(text: &str) {
    for secret in ALL {
        assert_secret_absent(secret, text);
    }
}

/// The same for one secret, such as one that the test made up while it ran.
pub fn assert_secret_absent(secret: &str, text: &str) {
    let lower = text.to_ascii_lowercase();
    for (form, spelled) in spellings(secret) {
        let found = match form {
            Form::Exact => text.contains(&spelled),
            Form::AnyCase => lower.contains(&spelled.to_ascii_lowercase()),
        };
        assert!(!found, "the secret {secret:?} is there as {spelled:?} in:\n{text}");
    }
}

#[derive(Clone, Copy)]
enum Form {
    Exact,
    AnyCase,
}

fn spellings(secret: &str) -> Vec<(Form, String)> {
    let bytes = secret.as_bytes();
    // Half a secret is too much as well.
    let (front, back) = secret.split_at(secret.len() / 2);
    let mut all = vec![
        (Form::AnyCase, secret.to_owned()),
        (Form::AnyCase, front.to_owned()),
        (Form::AnyCase, back.to_owned()),
        (Form::Exact, secret.chars().rev().collect()),
        (Form::AnyCase, hex(bytes, "")),
        (Form::AnyCase, hex(bytes, "%")),
        (Form::AnyCase, hex(bytes, "\\x")),
        (Form::AnyCase, percent_encoded(bytes)),
        (Form::AnyCase, secret.replace('/', "\\/")),
        (Form::Exact, format!("{bytes:?}").trim_matches(['[', ']']).to_owned()),
    ];
    for alphabet in [&STANDARD, &URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        // Inside a longer text, such as `user:password`, a secret begins at one of three places of a base64 group.
        for offset in 0..3 {
            let mut padded = vec![b'x'; offset];
            padded.extend_from_slice(bytes);
            let encoded = engine.encode(&padded);
            // The first characters depend on what stood before, the last on what follows.
            let from = [0, 2, 3][offset];
            let to = padded.len() * 8 / 6;
            all.push((Form::Exact, encoded[from..to].to_owned()));
        }
    }
    all
}

fn hex(bytes: &[u8], before_each: &str) -> String {
    bytes.iter().map(|byte| format!("{before_each}{byte:02x}")).collect()
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
