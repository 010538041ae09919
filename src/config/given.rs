//! What is known of the service, read and checked.

use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::cannot_read;
use crate::cli::GivenOptions;
use crate::error::Error;

/// What is known of the service, so that tokens can be held against it.
pub struct GivenConfig {
    /// The issuers of its tokens.
    pub issuers: Vec<String>,
    /// The audiences of its tokens.
    pub audiences: Vec<String>,
    /// The URL under which clients reach it, without a slash at its end.
    pub public_url: Option<String>,
    /// Where keys are.
    pub keys: Vec<KeyPlace>,
    /// The secret that signer and service share, and the name of its file.
    pub secret: Option<(String, Zeroizing<Vec<u8>>)>,
    /// The authorities that are trusted where keys are published; the platform's, if not given.
    pub cacert: Option<PathBuf>,
}

/// Where keys are.
#[derive(Clone)]
pub enum KeyPlace {
    /// In a file, with what is in it.
    File(PathBuf, Vec<u8>),
    /// At a URL.
    Url(String),
    /// Where the metadata of an issuer says.
    Issuer(String),
}

impl KeyPlace {
    /// The place as it may be shown: without the query of a URL.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Url(url) | Self::Issuer(url) => without_query(url).to_owned(),
        }
    }
}

impl GivenConfig {
    /// Checks what was given, and reads the files that it names.
    ///
    /// # Errors
    /// What is wrong, with which input.
    pub fn new(options: &GivenOptions, cacert: Option<&Path>) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for text in &options.jwks {
            keys.push(match text.contains("://") {
                true => KeyPlace::Url(url("--jwks", text)?.to_owned()),
                false => {
                    let path = PathBuf::from(text);
                    let json = fs::read(&path).map_err(|error| cannot_read("--jwks", &path, &error))?;
                    KeyPlace::File(path, json)
                }
            });
        }
        let secret = options.jwt_secret_file.as_ref().map(|path| read_secret(path)).transpose()?;
        if keys.is_empty() && secret.is_none() {
            let urls = options.issuer.iter().filter(|issuer| issuer.contains("://"));
            for issuer in urls {
                keys.push(KeyPlace::Issuer(url("--issuer", issuer)?.to_owned()));
            }
        }
        let public_url = options.public_url.as_ref().map(|text| url("--public-url", text)).transpose()?;
        Ok(GivenConfig {
            issuers: options.issuer.clone(),
            audiences: options.audience.clone(),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            keys,
            secret,
            cacert: cacert.map(Path::to_owned),
        })
    }
}

/// A URL without its query, in which a secret may stand.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A URL that can be asked for; a password in it is not repeated.
fn url<'t>(option: &str, text: &'t str) -> Result<&'t str, Error> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err(Error::usage(format!("{option}: the URL has a user name or password in it"))
            .advice("leave it out, or download the document and give the file"));
    }
    if authority.is_empty() || text.contains(char::is_whitespace) {
        return Err(Error::usage(format!("{option}: {:?} is no URL", without_query(text)))
            .advice("write it in full, such as https://login.example.com/keys"));
    }
    Ok(text)
}

fn read_secret(path: &Path) -> Result<(String, Zeroizing<Vec<u8>>), Error> {
    let option = "--jwt-secret-file";
    let mut secret = Zeroizing::new(fs::read(path).map_err(|error| cannot_read(option, path, &error))?);
    let end = secret.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    secret.truncate(end);
    match secret.is_empty() {
        true => Err(Error::usage(format!("{option}: {} is empty", path.display()))
            .advice("put the secret into it as the server has it")),
        false => Ok((path.display().to_string(), secret)),
    }
}
