//! Where a URL in an answer leads, compared with where the request went.
//!
//! Clients keep Authorization on a redirect only as long as scheme, host and port stay what they were (Fetch, HTTP-redirect
//! fetch), so that these three are looked at apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::View;

/// Scheme, host and port of a URL or of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `http` or `https`; `None` where it is not known.
    pub scheme: Option<&'static str>,
    /// The host in lower case, without its port.
    pub host: String,
    /// The port, where one is written.
    pub port: Option<u16>,
}

/// How the address of a redirect differs from that of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leads {
    /// In nothing that is known to differ.
    SameOrigin,
    /// From https to http, on the same host.
    ToHttp,
    /// From http to https, on the same host.
    ToHttps,
    /// To another port of the same host, under the same scheme.
    OtherPort,
    /// From a host of the internet to a name or an address that is known only inside.
    ToInternalHost,
    /// To another host.
    OtherHost,
}

impl Address {
    /// Reads the start of an absolute URL of http or https, or of one that leaves out the scheme (`//host/`).
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some("https"), rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some("http"), rest),
            _ => (None, url.strip_prefix("//")?),
        };
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Self::of_authority(scheme, authority)
    }

    fn of_authority(scheme: Option<&'static str>, authority: &str) -> Option<Self> {
        let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority.get(after_brackets..)?.rfind(':') {
            Some(colon) => authority.split_at_checked(after_brackets + colon)?,
            None => (authority, ""),
        };
        let port = port.get(1..).and_then(|port| port.parse().ok());
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        (!host.is_empty()).then_some(Address { scheme, host, port })
    }

    /// The address that the client of this exchange asked for, as far as the tap can know it.
    pub fn of_request(view: &View<'_>) -> Option<Self> {
        Self::of_authority(client_scheme(view), view.authority()?.trim())
    }

    fn effective_port(&self) -> Option<u16> {
        self.port.or(match self.scheme? {
            "https" => Some(443),
            _ => Some(80),
        })
    }

    /// Whether the host is known only inside of a machine or a network: a name without a dot, a private address.
    pub fn is_internal(&self) -> bool {
        const SUFFIXES: [&str; 8] =
            [".local", ".localhost", ".internal", ".lan", ".localdomain", ".svc", ".home.arpa", ".intranet"];
        match ip_of(&self.host) {
            Some(IpAddr::V4(addr)) => is_internal_v4(addr),
            Some(IpAddr::V6(addr)) => addr.is_loopback() || addr.is_unique_local() || addr.is_unspecified(),
            None => !self.host.contains('.') || SUFFIXES.iter().any(|suffix| self.host.ends_with(suffix)),
        }
    }

    /// Where a redirect from here to `to` leads. What is not known to differ counts as the same.
    pub fn leads(&self, to: &Address) -> Leads {
        if self.host != to.host {
            let goes_inside = to.is_internal() && !self.is_internal();
            return if goes_inside { Leads::ToInternalHost } else { Leads::OtherHost };
        }
        match (self.scheme, to.scheme.or(self.scheme)) {
            (Some("https"), Some("http")) => Leads::ToHttp,
            (Some("http"), Some("https")) => Leads::ToHttps,
            (None, _) | (_, None) => Leads::SameOrigin,
            (_, scheme) => {
                let to = Address { scheme, ..to.clone() };
                if self.effective_port() == to.effective_port() { Leads::SameOrigin } else { Leads::OtherPort }
            }
        }
    }
}

fn is_internal_v4(addr: Ipv4Addr) -> bool {
    addr.is_private() || addr.is_loopback() || addr.is_link_local() || addr.is_unspecified()
}

fn ip_of(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// The scheme that the client used: what a gateway before the tap says of it, or else what the tap sees itself. Behind a
/// gateway that says nothing of it, it is not known.
pub fn client_scheme(view: &View<'_>) -> Option<&'static str> {
    const GATEWAYS: [&str; 5] = ["via", "x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip"];
    let request = view.request();
    let known = |text: &str| match text {
        text if text.eq_ignore_ascii_case("https") => Some("https"),
        text if text.eq_ignore_ascii_case("http") => Some("http"),
        _ => None,
    };
    if let Some(proto) = request.value("x-forwarded-proto") {
        // Of several the first is the client's.
        return known(String::from_utf8_lossy(proto).split(',').next()?.trim());
    }
    if let Some(forwarded) = request.value("forwarded") {
        let text = String::from_utf8_lossy(forwarded).to_ascii_lowercase();
        let first = text.split(',').next()?.split(';').find_map(|pair| pair.trim().strip_prefix("proto="));
        return first.and_then(|proto| known(proto.trim_matches('"')));
    }
    if GATEWAYS.iter().any(|name| request.has(name)) {
        return None;
    }
    let client = &view.exchange().client;
    match &client.announced {
        // Who sends its address knows how it spoke, and does not always say.
        Some(announced) if client.tls.is_none() => announced.tls.map(|tls| if tls { "https" } else { "http" }),
        _ => Some(if client.tls.is_some() { "https" } else { "http" }),
    }
}

/// Where the redirect of this exchange's answer leads, if it is one and its Location can be read.
pub fn redirect(view: &View<'_>) -> Option<Leads> {
    let response = view.response().filter(|response| matches!(response.status, 301 | 302 | 303 | 307 | 308))?;
    let location = String::from_utf8_lossy(response.head.value("location")?);
    let location = location.trim();
    if location.contains("://") || location.starts_with("//") {
        return Some(Address::of_request(view)?.leads(&Address::parse(location)?));
    }
    (!location.is_empty()).then_some(Leads::SameOrigin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    fn leads(head: &str, location: &str) -> Option<Leads> {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"location"), []);
        let text = format!("{head}< HTTP/1.1 302 Found\n< Location: {location}\n");
        let exchange = transcript::parse(&text).unwrap().remove(0);
        redirect(&View::new(&exchange, &redactor))
    }

    #[test]
    fn what_differs_is_told_apart() {
        let tls = "* client tls\n> GET /a HTTP/1.1\n> Host: api.example\n";
        let plain = "> GET /a HTTP/1.1\n> Host: api.example\n";
        let told = "> GET /a HTTP/1.1\n> Host: api.example\n> X-Forwarded-Proto: https\n";
        let untold = "> GET /a HTTP/1.1\n> Host: api.example\n> X-Forwarded-For: 203.0.113.7\n";
        let forwarded = "> GET /a HTTP/1.1\n> Host: api.example\n> Forwarded: for=203.0.113.7;proto=https\n";
        let inside = "> GET /a HTTP/1.1\n> Host: app:9000\n";
        let balanced = "* client announced\n> GET /a HTTP/1.1\n> Host: api.example\n";
        let balanced_tls = "* client announced tls\n> GET /a HTTP/1.1\n> Host: api.example\n";
        for (head, location, expected) in [
            (tls, "/a/", Some(Leads::SameOrigin)),
            (tls, "https://api.example/a/", Some(Leads::SameOrigin)),
            (tls, "https://API.example.:443/a/", Some(Leads::SameOrigin)),
            (tls, "//api.example/a/", Some(Leads::SameOrigin)),
            (tls, "http://api.example/a/", Some(Leads::ToHttp)),
            (told, "http://api.example/a/", Some(Leads::ToHttp)),
            (forwarded, "http://api.example/a/", Some(Leads::ToHttp)),
            (untold, "http://api.example/a/", Some(Leads::SameOrigin)),
            (balanced, "http://api.example/a/", Some(Leads::SameOrigin)),
            (balanced_tls, "http://api.example/a/", Some(Leads::ToHttp)),
            (plain, "http://api.example:80/a/", Some(Leads::SameOrigin)),
            (plain, "https://api.example/a", Some(Leads::ToHttps)),
            (tls, "https://api.example:8443/a", Some(Leads::OtherPort)),
            (tls, "https://app:9000/a", Some(Leads::ToInternalHost)),
            (tls, "http://10.0.0.7/a", Some(Leads::ToInternalHost)),
            (tls, "http://[::1]:80/a", Some(Leads::ToInternalHost)),
            (inside, "http://db:80/a", Some(Leads::OtherHost)),
            (tls, "https://login.example/a", Some(Leads::OtherHost)),
            (tls, "https:///a", None),
            (tls, "app://callback", None),
            (tls, "", None),
        ] {
            assert_eq!(leads(head, location), expected, "{head}{location}");
        }
    }
}
