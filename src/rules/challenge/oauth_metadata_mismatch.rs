//! A document that describes a login is about another address than the one for which it was fetched.

use crate::exchange::View;
use crate::exchange::location::{Address, Leads};
use crate::exchange::view::path_of;
use crate::memory::Memory;
use crate::rules::evidence::{clip, clock, shown, variant};
use crate::rules::json::Top;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "oauth-metadata-mismatch",
    family: Family::Challenge,
    severity: Severity::Error,
    title: "OAuth metadata names another address than the one it was fetched for",
    why: "A client has to throw such a document away, or else one server could speak for another, and then the login can't \
          begin. The server builds the address from what it knows of itself behind a gateway: http, its inner name, a path \
          without the gateway's prefix; or it is set by hand, and one letter or the slash at the end is another.",
    fix: "Set the server's public base URL, or its issuer, to exactly what clients are configured with: scheme, host, path and \
          the slash at the end. The gateway has to hand on the Host that was asked for, or X-Forwarded-Host and \
          X-Forwarded-Proto.",
    spec: &[
        Spec::rfc(9728, "3.3"),
        Spec::rfc(8414, "3.3"),
        Spec::Document("OpenID Connect Discovery 4.3", "https://openid.net/specs/openid-connect-discovery-1_0.html"),
    ],
    supersedes: &[],
    examples: &[
        Example::fires("the resource has another path", MOVED),
        Example::fires("the resource ends in a slash", SLASH),
        Example::fires("the issuer has the inner name", INSIDE),
        Example::fires("the issuer is http behind a gateway with TLS", HTTP),
        Example::fires("the issuer has a path of which the URL knows nothing", PREFIX),
        Example::fires("another public URL was given", GIVEN),
        Example::fires("the challenge came from elsewhere", ELSEWHERE),
        Example::fires_beside("the resource is above the address", ABOVE),
        Example::quiet("both are the same", SAME),
        Example::quiet("the slash at an issuer's end does not show in the URL", ISSUER_SLASH),
        Example::quiet("the challenge named the document of the whole host", ROOT),
        Example::quiet("the tap does not see the prefix of the public URL", PREFIXED),
        Example::quiet("a gateway with TLS may stand before a tap that sees http", DOUBTFUL),
        Example::quiet("one issuer for many tenants", TENANTS),
        Example::quiet("the answer is a page", NO_JSON),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    mismatch(view, memory).map(Finding::about_success).into_iter().collect()
}

/// What a document has to be about, by the path under which it was fetched.
struct Document<'v> {
    /// The member that says what it is about.
    member: &'static str,
    /// The path that this has to have.
    path: &'v str,
}

impl<'v> Document<'v> {
    /// The words `.well-known` stand in front of the path (RFC 8414 3.1, RFC 9728 3.1), or behind it (OpenID Connect
    /// Discovery 4). Where there is something on both sides, nothing says which of them is meant.
    fn at(path: &'v str) -> Option<Self> {
        let (before, name) = path.split_once("/.well-known/")?;
        let (name, behind) = name.split_at(name.find('/').unwrap_or(name.len()));
        let member = match name {
            "oauth-protected-resource" => "resource",
            "oauth-authorization-server" | "openid-configuration" => "issuer",
            _ => return None,
        };
        let path = match (before, behind) {
            ("", path) => path,
            (path, "") if name == "openid-configuration" => path,
            _ => return None,
        };
        Some(Document { member, path })
    }

    fn is_resource(&self) -> bool {
        self.member == "resource"
    }

    /// Whether it is the one of the whole host, which may be about anything there.
    fn is_of_host(&self) -> bool {
        self.is_resource() && self.path.trim_end_matches('/').is_empty()
    }
}

/// The address that the client asked, as far as it is known.
struct Asked<'m> {
    address: Address,
    /// The path of the public URL, which the tap may not see.
    prefix: &'m str,
    is_given: bool,
    /// A gateway before the tap may have written host or path anew.
    is_behind_gateway: bool,
}

impl<'m> Asked<'m> {
    fn of(view: &View<'_>, memory: &'m Memory) -> Option<Self> {
        const GATEWAYS: [&str; 7] = [
            "via",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-prefix",
            "x-real-ip",
        ];
        let given = memory.given().public_url.as_deref();
        if let Some((url, address)) = given.and_then(|url| Some((url, Address::parse(url)?))) {
            let prefix = std::str::from_utf8(path_of(url.as_bytes())).unwrap_or_default().trim_end_matches('/');
            return Some(Asked { address, prefix, is_given: true, is_behind_gateway: false });
        }
        let request = view.request();
        let mut address = Address::of_request(view)?;
        let mut knows_host = false;
        if let Some(host) = request.value("x-forwarded-host") {
            // Of several the first is the client's.
            let host = String::from_utf8_lossy(host);
            let named = Address::parse(&format!("//{}", host.split(',').next()?.trim()))?;
            address = Address { scheme: address.scheme, ..named };
            knows_host = true;
        }
        // The client asked the tap under a name of its own, and the server never saw it.
        if !knows_host && view.exchange().edits.iter().any(|edit| edit.what == "host") {
            return None;
        }
        let is_behind_gateway = GATEWAYS.iter().any(|name| request.has(name));
        Some(Asked { address, prefix: "", is_given: false, is_behind_gateway })
    }

    fn url(&self, named: &Address, path: &str) -> String {
        // What the tap sees as http may be https before it.
        let is_known = self.is_given || self.address.scheme == Some("https");
        let scheme = self.address.scheme.filter(|_| is_known).or(named.scheme).unwrap_or("https");
        let port = self.address.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}{}{path}", self.address.host, self.prefix)
    }
}

/// What is said where the difference may be a small one, that has words of its own.
const HOST: &str = "in its host";
const PATH: &str = "in its path";

/// In what the address in a document differs from the one that was asked.
struct Difference {
    what: &'static str,
    severity: Severity,
    certainty: Certainty,
}

fn mismatch(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    // Between two taps a gateway may still write the document anew, and of what it did the first tap sees the result.
    if view.status() != 200 || view.method() != b"GET" || view.exchange().tap.position.index > 0 {
        return None;
    }
    memchr::memmem::find(view.path(), b"/.well-known/")?;
    let document = Document::at(std::str::from_utf8(view.path()).ok()?)?;
    let top = Top::read(view.answer_text()?)?;
    let value = top.get(document.member)?.as_str()?;
    let named = Address::parse(value).filter(|named| named.scheme.is_some())?;
    let asked = Asked::of(view, memory)?;
    // One document for all tenants has a name to be filled in, or another tenant's, by design.
    if value.contains(['{', '}']) || [&named, &asked.address].into_iter().any(serves_tenants) {
        return None;
    }
    let path = std::str::from_utf8(path_of(value.as_bytes())).ok()?;
    let by_path = || difference_of_path(view, memory, &document, &asked, path);
    let difference = match difference_of_address(&asked, &named)? {
        Some(difference) => difference,
        None => by_path()?,
    };
    let expected = asked.url(&named, document.path);
    let what = match difference.what {
        HOST | PATH => variant(value, &expected).unwrap_or(difference.what),
        what => what,
    };
    let member = document.member;
    let stands = match difference.severity {
        Severity::Info => what.to_owned(),
        _ => format!("differs {what} from"),
    };
    let summary = format!("the metadata's {member}, {}, {stands} the address asked", shown(view, value));
    let found = RULE.found(difference.certainty, summary).severity(difference.severity).at(At::Backend);
    let found = found.because("response: 200");
    let found = found.because(clip(format!("body: {member}={}", view.redactor().text(value))));
    let found = found.because(clip(format!("fetched: {}", view.redactor().target(view.path()))));
    // The path of the host's document says nothing; that of the challenge does.
    if let Some(named) = memory.metadata_named_here(view).filter(|_| difference.what == PATH && document.is_of_host()) {
        return Some(found.because(format!("before: a challenge at {}, at another path, named it", clock(named))));
    }
    let by = if asked.is_given { ", by --public-url" } else { "" };
    Some(found.because(clip(format!("expected{by}: {}", view.redactor().text(&expected)))))
}

/// Whether that login server has one document for many tenants, whose issuer is another host or path by design.
fn serves_tenants(address: &Address) -> bool {
    const HOSTS: [&str; 7] = [
        "microsoftonline.com",
        "microsoftonline.us",
        "partner.microsoftonline.cn",
        "windows.net",
        "microsoft.com",
        "b2clogin.com",
        "ciamlogin.com",
    ];
    HOSTS.iter().any(|host| address.host.strip_suffix(host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// In what scheme, host and port differ: `Some(None)` where in nothing, and `None` where that can't be told, so that the path
/// tells nothing either.
fn difference_of_address(asked: &Asked<'_>, named: &Address) -> Option<Option<Difference>> {
    let sure = |is_sure: bool| if is_sure { Certainty::Certain } else { Certainty::Likely };
    let differs = |what, is_sure| Some(Some(Difference { what, severity: Severity::Error, certainty: sure(is_sure) }));
    // Where a name is known only inside, the client is inside as well, and the document is meant for those outside.
    let is_inside = asked.address.is_internal() && !asked.is_given;
    match asked.address.leads(named) {
        Leads::SameOrigin => Some(None),
        Leads::ToInternalHost => differs("in its host (known only inside)", true),
        Leads::OtherHost if is_inside => None,
        Leads::OtherHost => differs(HOST, !asked.is_behind_gateway),
        Leads::ToHttp if !is_inside => differs("by http in place of https", true),
        // The tap sees http behind whatever ends TLS, also where that says nothing of it.
        Leads::ToHttps if asked.is_given => differs("by https in place of http", true),
        // Gateways leave out the port when they hand on the host.
        Leads::OtherPort if !is_inside => differs("in its port", asked.is_given),
        Leads::ToHttp | Leads::ToHttps | Leads::OtherPort => Some(None),
    }
}

fn difference_of_path(
    view: &View<'_>,
    memory: &Memory,
    document: &Document<'_>,
    asked: &Asked<'_>,
    path: &str,
) -> Option<Difference> {
    let bare = |path: &str| path.trim_end_matches('/').to_owned();
    let with_prefix = format!("{}{}", asked.prefix, document.path);
    let expected = [document.path, &with_prefix];
    // The slash behind the host, and that at an issuer's end, are left out of the URL.
    let is_same = |one: &str| match document.is_resource() && !bare(one).is_empty() {
        true => one == path,
        false => bare(one) == bare(path),
    };
    if expected.into_iter().any(is_same) {
        return None;
    }
    // A document that a challenge named is about what was asked there (RFC 9728 3.3), and clients look for that of the
    // whole host when there is none of its own.
    let is_of_host = document.is_of_host();
    let seen = path.strip_prefix(asked.prefix).unwrap_or(path);
    let is_named_at = |path: &str| memory.metadata_is_named_at(view, path.as_bytes());
    let is_named = is_named_at(path).max(is_named_at(seen)).filter(|_| document.is_resource());
    let is_named_but_for_slash = || is_of_host && is_named_at(&bare(path)) == Some(true);
    if is_named == Some(true) || is_of_host && is_named.is_none() || is_named_but_for_slash() {
        return None;
    }
    // Of the host's document another client than the one that a challenge sent may know what it is looking for.
    let is_doubtful = asked.is_behind_gateway || is_of_host;
    let certainty = if is_doubtful { Certainty::Likely } else { Certainty::Certain };
    let differs = |what, severity| Some(Difference { what, severity, certainty });
    // A gateway may have taken the start of the path away.
    if asked.is_behind_gateway && bare(path).ends_with(&bare(document.path)) {
        return None;
    }
    if expected.into_iter().any(|one| bare(one) == bare(path)) {
        return differs("by the slash at its end alone", Severity::Warning);
    }
    let is_above = |one: &str| one.strip_prefix(&bare(path)).is_some_and(|rest| rest.starts_with('/'));
    if document.is_resource() && expected.into_iter().any(is_above) {
        return differs("is above", Severity::Info);
    }
    differs(PATH, Severity::Error)
}

const MOVED: &str = r#"* client tls
> GET /.well-known/oauth-protected-resource/prod/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/mcp","authorization_servers":["https://login.example"]}
"#;

const SLASH: &str = r#"* client tls
> POST /mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp"
> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/mcp/","authorization_servers":["https://login.example"]}
"#;

const INSIDE: &str = r#"* client tls
> GET /realms/main/.well-known/openid-configuration HTTP/1.1
> Host: login.example
< HTTP/1.1 200 OK
< Content-Type: application/json;charset=UTF-8
<
< {"issuer":"http://keycloak:8080/realms/main","authorization_endpoint":"http://keycloak:8080/realms/main/auth"}
"#;

const HTTP: &str = r#"> GET /.well-known/oauth-authorization-server HTTP/1.1
> Host: login.example
> X-Forwarded-Proto: https
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"issuer":"http://login.example","token_endpoint":"http://login.example/token"}
"#;

const PREFIX: &str = r#"* client tls
> GET /.well-known/oauth-authorization-server HTTP/1.1
> Host: login.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"issuer":"https://login.example/realms/main","token_endpoint":"https://login.example/realms/main/token"}
"#;

const GIVEN: &str = r#"* given public-url https://api.example/tools
> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: 10.0.3.7:8080
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/mcp"}
"#;

const ABOVE: &str = r#"* client tls
> GET /.well-known/oauth-protected-resource/mcp/v1 HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/mcp"}
"#;

const SAME: &str = r#"* client tls
> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: tools.example:443
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://Tools.example/mcp"}
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/"}
"#;

const ISSUER_SLASH: &str = r#"* client tls
> GET /main/.well-known/openid-configuration HTTP/1.1
> Host: login.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"issuer":"https://login.example/main/","jwks_uri":"https://login.example/main/jwks"}
"#;

const ROOT: &str = r#"* client tls
> POST /mcp/messages HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource"
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/mcp"}
"#;

const ELSEWHERE: &str = r#"* client tls
> POST /v1/mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource"
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://tools.example/mcp"}
"#;

const PREFIXED: &str = r#"* given public-url https://api.example/tools
> POST /mcp HTTP/1.1
> Host: 10.0.3.7:8080
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="http://10.0.3.7:8080/.well-known/oauth-protected-resource"
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: 10.0.3.7:8080
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"resource":"https://api.example/tools/mcp"}
"#;

const DOUBTFUL: &str = r#"> GET /.well-known/oauth-authorization-server HTTP/1.1
> Host: login.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"issuer":"https://login.example"}
"#;

const TENANTS: &str = r#"* client tls
> GET /common/v2.0/.well-known/openid-configuration HTTP/1.1
> Host: login.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"issuer":"https://login.example/{tenantid}/v2.0"}
"#;

const NO_JSON: &str = r#"* client tls
> GET /.well-known/oauth-authorization-server HTTP/1.1
> Host: login.example
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< <html>"issuer":"https://other.example"</html>
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    /// What is found in the document that says `value`, as severity, certainty and summary.
    fn found(path: &str, fields: &str, member: &str, value: &str) -> Option<(Severity, Certainty, String)> {
        let text = format!(
            "* client tls\n> GET {path} HTTP/1.1\n{fields}< HTTP/1.1 200 OK\n< Content-Type: application/json\n<\n\
             < {{\"{member}\":\"{value}\",\"more\":[\n"
        );
        let exchange = transcript::parse(&text).unwrap().remove(0);
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let found = check(&View::new(&exchange, &redactor), &Memory::default()).pop()?;
        Some((found.severity, found.certainty, found.summary))
    }

    const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
    const HOST_FIELD: &str = "> Host: tools.example\n";

    #[test]
    fn how_it_differs_is_said() {
        let what = |value: &str| {
            let (severity, certainty, summary) = found(RESOURCE, HOST_FIELD, "resource", value).unwrap();
            let what = summary.split_once(&format!("{value}, ")).unwrap().1.strip_suffix(" the address asked").unwrap();
            let what = what.strip_prefix("differs ").and_then(|what| what.strip_suffix(" from")).unwrap_or(what);
            (severity, certainty, what.to_owned())
        };
        use Certainty::{Certain, Likely};
        use Severity::{Error, Info, Warning};
        let told = |severity, certainty, what: &str| (severity, certainty, what.to_owned());
        assert_eq!(what("https://tools.example/mcp/"), told(Warning, Certain, "by the slash at its end alone"));
        assert_eq!(what("http://tools.example/mcp"), told(Error, Certain, "by http in place of https"));
        assert_eq!(what("https://other.example/mcp"), told(Error, Certain, "by its host alone"));
        assert_eq!(what("https://10.1.2.3/mcp"), told(Error, Certain, "in its host (known only inside)"));
        assert_eq!(what("https://tools.example/MCP"), told(Error, Certain, "by upper and lower case alone"));
        assert_eq!(what("https://tools.example/api"), told(Error, Certain, "in its path"));
        assert_eq!(what("https://tools.example:8443/mcp"), told(Error, Likely, "in its port"));
        assert_eq!(what("https://tools.example"), told(Info, Certain, "is above"));
    }

    #[test]
    fn what_may_be_right_is_left() {
        let quiet = |path: &str, fields: &str, member: &str, value: &str| {
            let found = found(path, fields, member, value);
            assert!(found.is_none(), "{path} {fields} {value}: {:?}", found.unwrap().2);
        };
        let same = "https://tools.example/mcp";
        quiet(RESOURCE, HOST_FIELD, "resource", same);
        quiet(RESOURCE, HOST_FIELD, "resource", "https://tools.example:443/mcp");
        quiet(RESOURCE, HOST_FIELD, "resource", "urn:tools");
        quiet(RESOURCE, HOST_FIELD, "other", "https://other.example");
        // Who asks under an inner name is meant to get what is for those outside.
        quiet(RESOURCE, "> Host: localhost:8080\n", "resource", same);
        quiet(RESOURCE, "> Host: tools:8080\n", "resource", same);
        // A gateway said under which name it was asked, or may have cut the path.
        quiet(RESOURCE, "> Host: a.example\n> X-Forwarded-Host: tools.example\n", "resource", same);
        quiet(RESOURCE, "> Host: tools.example\n> Via: 1.1 edge\n", "resource", "https://tools.example/prod/mcp");
        // The document of the whole host is looked for where a path has none.
        quiet("/.well-known/oauth-protected-resource", HOST_FIELD, "resource", same);
        let tenant = "/common/.well-known/openid-configuration";
        quiet(tenant, "> Host: login.microsoftonline.com\n", "issuer", "https://sts.windows.net/2f1c/");
        quiet("/a/.well-known/openid-configuration/b", HOST_FIELD, "issuer", "https://tools.example/c");
        quiet("/.well-known/jwks.json", HOST_FIELD, "issuer", "https://other.example");
    }

    #[test]
    fn behind_a_gateway_that_does_not_name_the_host_it_is_less_sure() {
        let fields = "> Host: a.example\n> Via: 1.1 edge\n";
        let (_, certainty, _) = found(RESOURCE, fields, "resource", "https://tools.example/mcp").unwrap();
        assert_eq!(certainty, Certainty::Likely);
    }
}
