//! What the environment says of telemetry, looked through before the libraries read it: they pass over what they can't follow,
//! and repeat values in which a password may stand.

use std::env;
use std::path::PathBuf;

use hyper::Uri;

use crate::config::without_query;
use crate::error::Error;

/// The variable that says where the collector is, and where it is without it.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// What a collector is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

impl Signal {
    pub(super) const ALL: [Signal; 2] = [Signal::Traces, Signal::Logs];

    fn name(self) -> &'static str {
        match self {
            Signal::Traces => "TRACES",
            Signal::Logs => "LOGS",
        }
    }

    /// How it is called in a message.
    pub(super) fn words(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Logs => "logs",
        }
    }

    /// Whether it is to be sent by OTLP.
    ///
    /// # Errors
    /// An exporter that there is not.
    pub(super) fn is_wanted(self) -> Result<bool, Error> {
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(false);
        }
        let name = format!("OTEL_{}_EXPORTER", self.name());
        match set(&name).as_deref() {
            None | Some("otlp") => Ok(true),
            Some("none") => Ok(false),
            Some(other) => Err(Error::usage(format!("{name} asks for {other:?}, and --otel has OTLP alone"))
                .advice(format!("{name}=otlp, or none"))),
        }
    }

    /// Where it goes, as it may be shown.
    ///
    /// # Errors
    /// A protocol, an endpoint or a certificate that can't be followed.
    pub(super) fn endpoint(self) -> Result<String, Error> {
        let of_signal = |what: &str| format!("OTEL_EXPORTER_OTLP_{}_{what}", self.name());
        // The signal's own variable counts, and the general one without it.
        let protocol = [of_signal("PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL".to_owned()];
        if let Some((name, other)) = protocol.into_iter().find_map(|name| set(&name).map(|value| (name, value)))
            && other != "http/protobuf"
        {
            return Err(Error::usage(format!("{name} asks for {other:?}, and --otel speaks http/protobuf alone"))
                .advice(format!("{name}=http/protobuf, and the collector's port for it, 4318 as a rule")));
        }
        let general = |what: &str| format!("OTEL_EXPORTER_OTLP_{what}");
        let unknown = [
            of_signal("CERTIFICATE"),
            of_signal("CLIENT_CERTIFICATE"),
            of_signal("CLIENT_KEY"),
            general("CLIENT_CERTIFICATE"),
            general("CLIENT_KEY"),
        ];
        if let Some(name) = unknown.into_iter().find(|name| set(name).is_some()) {
            return Err(Error::usage(format!("{name} is set, and --otel can't follow it"))
                .advice("OTEL_EXPORTER_OTLP_CERTIFICATE for an authority; client certificates by a collector nearby"));
        }
        let name = of_signal("ENDPOINT");
        match (env::var(&name), env::var(ENDPOINT)) {
            (Ok(value), _) if !value.is_empty() => checked(&name, &value),
            (_, Ok(value)) if !value.is_empty() => checked(ENDPOINT, &value),
            _ => Ok(DEFAULT_ENDPOINT.to_owned()),
        }
    }

    /// How many of them the libraries hold before they drop the next one.
    pub(super) fn queue(self) -> usize {
        let name = match self {
            Signal::Traces => "OTEL_BSP_MAX_QUEUE_SIZE",
            Signal::Logs => "OTEL_BLRP_MAX_QUEUE_SIZE",
        };
        set(name).and_then(|value| value.parse().ok()).unwrap_or(2048)
    }
}

/// The authorities that the collector's certificate is held against, where the environment names any.
pub(super) fn certificate() -> Option<PathBuf> {
    set("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from)
}

/// Whether the environment says which requests are sampled.
pub(super) fn has_sampler() -> bool {
    set("OTEL_TRACES_SAMPLER").is_some()
}

/// Whether the environment says who sends.
pub(super) fn has_service_name() -> bool {
    let is_name = |one: &str| one.trim().starts_with("service.name=");
    set("OTEL_SERVICE_NAME").is_some() || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.split(',').any(is_name))
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// An endpoint that can be asked for; nothing secret in it is repeated.
fn checked(name: &str, value: &str) -> Result<String, Error> {
    let shown = shown(value.trim());
    let wrong = |why: &str, advice: &str| Err(Error::usage(format!("{name}: {shown:?} {why}")).advice(advice));
    if value.trim() != value {
        return wrong("has white space around it", "take it out; a line end at its end is enough");
    }
    let is_url = value.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if !is_url {
        return wrong("is no URL", "write it in full, such as http://localhost:4318");
    }
    if value.contains('@') {
        return wrong("has a user name or a password in it", "send it with OTEL_EXPORTER_OTLP_HEADERS");
    }
    Ok(shown)
}

/// A URL as it may be shown: without a user, a password and a query.
pub(super) fn shown(url: &str) -> String {
    let url = without_query(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.rsplit_once('@').map_or(url, |(_, rest)| rest).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_secrets() {
        assert_eq!(shown("https://user:hunter2@otel.example:4318/v1?key=hunter2"), "https://otel.example:4318/v1");
        assert_eq!(shown("http://localhost:4318"), "http://localhost:4318");
        assert_eq!(shown("user:hunter2@otel"), "otel");
    }

    #[test]
    fn a_wrong_endpoint_is_named_and_no_password_in_it() {
        for (value, words) in [
            ("https://user:hunter2@otel.example:4318\n", "white space"),
            ("https://user:hunter2@otel.example:4318", "user name or a password"),
            ("user:hunter2@otel.example", "no URL"),
            ("ftp://otel.example/?key=hunter2", "no URL"),
            ("not a url", "no URL"),
        ] {
            let error = checked("NAME", value).unwrap_err().to_string();
            assert!(
                error.contains(words) && error.contains("NAME") && !error.contains("hunter2"),
                "{value:?}: {error}"
            );
        }
        assert_eq!(checked("NAME", "http://localhost:4318/").unwrap(), "http://localhost:4318/");
    }
}
